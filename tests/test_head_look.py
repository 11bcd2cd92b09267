"""What a camera sees of the model, against a slow ray caster, and cropped cameras."""

import numpy as np
import pytest

from landmark_places import view
from painted import drawn, head_model, shape
from sansface.capture import Camera
from sansface.heads.look import SHOWN, Seen, look
from sansface.heads.parametric import HeadModel


@pytest.fixture(scope="module")
def model() -> HeadModel:
    return head_model()


@pytest.fixture(scope="module")
def seen(model) -> tuple[np.ndarray, Camera, Seen]:
    vertices, camera = shape(model, *drawn(0)), view(20, -5).resized(48, 48)
    return vertices, camera, look(model, vertices, camera)


def test_rays_meet_what_a_slow_caster_says(model, seen):
    """Möller and Trumbore 1997, every ray with every triangle, in float64."""
    vertices, camera, found = seen
    faces = model.part(*SHOWN)
    a, b, c = np.moveaxis(vertices.astype(np.float64)[faces], 1, 0)
    e, f = b - a, c - a
    got = dict(zip(found.pixel.tolist(), range(len(found.pixel)), strict=True))
    for pixel in range(0, 48 * 48, 37):
        row, column = divmod(pixel, 48)
        (origin,), (way,) = camera.rays(np.array([[column + 0.5, row + 0.5]]))
        h = np.cross(way, f)
        slope = np.einsum("fd,fd->f", e, h)
        with np.errstate(divide="ignore", invalid="ignore"):
            s = origin - a
            u = np.einsum("fd,fd->f", s, h) / slope
            q = np.cross(s, e)
            v = (q @ way) / slope
            t = np.einsum("fd,fd->f", f, q) / slope
        hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0)
        assert hit.any() == (pixel in got)
        if hit.any():
            k = got[pixel]
            point = vertices[found.corners[k]].astype(np.float64).T @ found.weights[k]
            np.testing.assert_allclose(point, origin + t[hit].min() * way, atol=1e-2)


def test_places_lie_on_their_pixels(seen):
    vertices, camera, found = seen
    assert len(found.pixel) > 500
    np.testing.assert_allclose(found.weights.sum(axis=1), 1, atol=1e-9)
    shown, _ = camera.project(found.of(vertices))
    row, column = np.divmod(found.pixel, 48)
    np.testing.assert_allclose(shown, np.column_stack([column, row]) + 0.5, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(found.normals, axis=1), 1, atol=1e-9)
    assert (found.facing > -0.2).all()  # the camera is near: rays are up to some degrees off its axis
    np.testing.assert_allclose(found.toward, camera.center / np.linalg.norm(camera.center), atol=0.05)


def test_a_picture_has_its_values_where_the_head_is(seen):
    _, _, found = seen
    values = np.random.default_rng(0).random((len(found.pixel), 3))
    picture = found.picture(values, beside=-1)
    assert picture.shape == (48, 48, 3)
    assert picture.dtype == np.float32
    np.testing.assert_array_equal(picture.reshape(-1, 3)[found.pixel], values.astype(np.float32))
    assert ((picture == -1).all(axis=2).sum()) == 48 * 48 - len(found.pixel)
    assert found.picture(values[:, 0]).shape == (48, 48)
    few = found.some(np.array([5, 3]))
    np.testing.assert_array_equal(few.pixel, found.pixel[[5, 3]])
    np.testing.assert_array_equal(few.of(np.arange(30000.0)), found.of(np.arange(30000.0))[[5, 3]])
    assert few.shape == found.shape


def test_parts_are_where_they_belong(model):
    still = np.zeros(57)
    camera = view(0, 0)
    shut = look(model, shape(model, np.zeros(100), still), camera)
    open_ = still.copy()
    open_[list(model.expression).index("jawOpen")] = 1
    wide = look(model, shape(model, np.zeros(100), open_), camera)
    eyes = shut.is_part("Sclera left", "Sclera right")
    place = shut.of(model.neutral)
    assert eyes.sum() > 50
    assert (place[shut.is_part("Sclera left"), 0] > 0).all()
    assert (place[shut.is_part("Sclera right"), 0] < 0).all()
    assert shut.is_part("Face").sum() > 10 * eyes.sum()
    within = ("Teeth", "Gums and tongue", "Mouth socket")
    assert wide.is_part(*within).sum() > 10 * (1 + shut.is_part(*within).sum())


def test_a_cropped_camera_sees_a_part_of_the_picture(model, seen):
    vertices, camera, found = seen
    part = look(model, vertices, camera.cropped(10, -5, 30, 40))
    ones = np.arange(len(found.pixel)) + 1.0
    whole = found.picture(found.of(vertices)[:, 2] + 0 * ones)
    cut = part.picture(part.of(vertices)[:, 2])
    np.testing.assert_allclose(cut[5:, :], whole[:35, 10:40], atol=1e-3)


def test_nothing_is_seen_beside_the_head(model, seen):
    vertices, camera, _ = seen
    away = look(model, vertices, camera.cropped(500, 500, 20, 20))
    assert len(away.pixel) == 0
    assert (away.picture(np.zeros((0, 3)), beside=2) == 2).all()
