"""Pictures of a mesh: right place, right depth, legible scale."""

import cv2
import numpy as np
import pytest
import trimesh

from conftest import looking_at
from sansface.evaluate.pictures import colors, heat_map, render_depth_normals, render_mesh
from sansface.evaluate.png import png_bytes
from sansface.surface import Mesh


@pytest.fixture(scope="module")
def ball() -> Mesh:
    made = trimesh.creation.icosphere(5)
    return Mesh(made.vertices, made.faces)


@pytest.fixture(scope="module")
def camera():
    return looking_at(np.array([0.0, 0.0, 5.0]), np.zeros(3), 64, 120.0)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (1, 1, 4)])
def test_a_png_reads_back(shape):
    array = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    back = cv2.imdecode(np.frombuffer(png_bytes(array), np.uint8), cv2.IMREAD_UNCHANGED)
    if array.ndim == 3:
        back = back[..., [2, 1, 0, 3][: shape[2]]]
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize(
    "array", [np.zeros((4, 4)), np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4), np.uint8)]
)
def test_a_png_refuses_what_it_cannot_say(array):
    with pytest.raises(ValueError, match="PNG"):
        png_bytes(array)


def test_depth_and_normal_of_a_ball(ball, camera):
    buffers = render_depth_normals(ball, camera, (65, 65))
    assert buffers.depth[32, 32] == pytest.approx(4.0, abs=2e-3)
    np.testing.assert_allclose(buffers.normal[32, 32], [0, 0, 1], atol=0.02)
    assert np.isnan(buffers.depth[0, 0])
    assert buffers.face[0, 0] == -1
    seen = buffers.face >= 0
    np.testing.assert_allclose(buffers.weights[seen].sum(axis=1), 1, atol=1e-9)
    # the ball's half angle is asin(1 / 5)
    radius = 120 * 65 / 64 * np.tan(np.arcsin(0.2))
    assert seen.sum() == pytest.approx(np.pi * radius**2, rel=0.03)


def test_the_shaded_ball_is_grey_on_white_and_lit_from_the_upper_left(ball, camera):
    picture = render_mesh(ball, camera)
    assert picture.shape == (64, 64, 3)
    assert (picture[0, 0] == 255).all()
    assert 60 < picture[32, 32].mean() < 250
    assert picture[22, 22].mean() > picture[42, 42].mean() + 10


def test_the_heat_map_shows_small_dark_and_large_light(ball, camera):
    values = np.where(ball.vertices[:, 0] > 0, 0.02, 0.0)
    picture = heat_map(ball, values, camera, 0.02, unit="R").astype(int)
    assert picture.shape[0] == 64
    assert picture.shape[1] > 64
    assert picture[32, 40].sum() > picture[32, 24].sum() + 100
    assert picture[32, 40, 0] > picture[32, 40, 2]  # yellow
    assert (picture[:, 64:] < 60).all(axis=2).any()  # letters


def test_the_scale_grows_lighter_all_the_way():
    luma = colors(np.linspace(0, 1, 100)) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luma) > 0).all()
