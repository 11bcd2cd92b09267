"""One face in all kinds of pictures at the same place, and the tables that are made of them."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import trimesh

from conftest import BALL_CENTER, BALL_RADIUS, make_tiny_capture
from sansface.audit.face_swap import SwapSettings
from sansface.audit.portraits import FRONTAL, mesh_views, photographed, portraits, protected_views, window
from sansface.bench.audit_papers import attributes, face_swaps, histogram, recognition, transfers
from sansface.bench.sittings import Sitting, artefacts, read_sitting, with_runs
from sansface.capture import Role
from sansface.errors import SansfaceError
from sansface.formats import read_capture
from sansface.protect.pipeline import ProtectSettings, protect
from sansface.recognise.align import Placing, similarity
from sansface.recognise.detect import Face
from sansface.recognise.gradients import Gradients
from sansface.surface import Mesh, write_mesh
from small import small_config

PLACING = Placing(40, 14.0)
FRONT = np.array([0.0, 0.0, 1.0])
"""Of the ball, the way to the first of its cameras."""
SPHERE = {"center": tuple(BALL_CENTER.tolist()), "radius": 1.3 * BALL_RADIUS}
PROTECTION = ProtectSettings(32, **SPHERE)


def on_the_ball(camera) -> np.ndarray:
    """(5, 2) where the five landmarks of a face on the ball are seen, were it of glass."""
    places = np.array([[-0.5, 0.4, 1], [0.5, 0.4, 1], [0, 0, 1.1], [-0.4, -0.5, 1], [0.4, -0.5, 1]])
    return camera.project(BALL_CENTER + BALL_RADIUS * places)[0]


def ball() -> Mesh:
    sphere = trimesh.creation.icosphere(4, BALL_RADIUS)
    return Mesh(sphere.vertices + BALL_CENTER, sphere.faces)


def the_capture(folder: Path, views: int = 8):
    make_tiny_capture(folder, size=96, views=views)
    write_mesh(ball(), folder / "gt.ply")
    (folder / "meta.json").write_text(
        f'{{"center": {BALL_CENTER.tolist()}, "radius": {1.3 * BALL_RADIUS}, "unit": "mm"}}'
    )
    return read_capture(folder)


class Finder:
    """Knows where the face is: the pictures come in the order of the frames that are asked for."""

    def __init__(self, capture, frontal=60.0):
        sensitive = [frame.camera for frame in capture.frames if frame.role is Role.SENSITIVE]
        rays = np.stack([camera.center - BALL_CENTER for camera in sensitive])
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        middle = rays.mean(axis=0) / np.linalg.norm(rays.mean(axis=0))
        near = rays @ middle >= np.cos(np.radians(frontal))
        self.cameras = [camera for camera, one in zip(sensitive, near, strict=True) if one]

    def __call__(self, picture):
        assert picture.dtype == np.uint8
        return Face(1.0, on_the_ball(self.cameras.pop(0)))


@pytest.fixture
def seen(tmp_path):
    capture = the_capture(tmp_path / "ball")
    return capture, portraits(capture, Finder(capture), frontal=60.0)


def test_only_views_from_before_the_face_in_which_it_is_found(seen):
    capture, views = seen
    assert 2 <= len(views) < sum(frame.role is Role.SENSITIVE for frame in capture.frames)
    assert all(capture.frames[one.number].role is Role.SENSITIVE for one in views)
    assert portraits(capture, lambda picture: None) == []


def test_a_window_is_the_same_camera_seen_through_a_hole(seen):
    for one in seen[1]:
        camera, landmarks = window(one, PLACING)
        np.testing.assert_allclose(on_the_ball(camera), landmarks, atol=1e-9)
        # all of the square that is cut out lies in it
        corners = np.array([[0, 0], [0, PLACING.side], [PLACING.side, 0], [PLACING.side, PLACING.side]])
        fit = similarity(PLACING.landmarks, landmarks)
        placed = corners @ fit[:, :2].T + fit[:, 2]
        assert (placed >= 0).all()
        assert (placed <= (camera.width, camera.height)).all()


def test_a_mesh_lies_where_the_photograph_has_the_ball(seen):
    capture, views = seen
    placing = Placing(40, 12.0)  # so small that the outline is seen
    photographs = photographed(views, placing).max(axis=3) > 0.02
    meshes = (mesh_views(views, ball(), placing) < 0.98).any(axis=3)
    for photograph, mesh in zip(photographs, meshes, strict=True):
        assert 0.1 < mesh.mean() < 0.9
        assert (photograph == mesh).mean() > 0.97
    assert capture.sphere is not None


def test_protected_pictures_lie_there_too(seen):
    capture, views = seen
    bundle = protect(capture, PROTECTION)
    found = protected_views(views, bundle, PLACING)
    assert found.shape == (len(views), 40, 40)
    assert found.min() == 0
    for one, values in zip(views, found, strict=True):
        own = bundle.frames[one.number].values()
        landmarks = on_the_ball(one.camera.resized(32, 32))
        np.testing.assert_allclose(values, PLACING.cut(own, landmarks), atol=1e-5)
        assert values.max() <= own.max() + 1e-6


def test_landmarks_lie_where_a_picture_s_sides_were_rounded(seen):
    """95 × 43 pixels of a photograph are 32 × 14 of the bundle, not 32 × 14.5."""
    views = seen[1]
    one = replace(views[0], camera=replace(views[0].camera, width=95, height=43))
    fake = SimpleNamespace(frames={one.number: SimpleNamespace(values=lambda: ramp)})
    ramp = np.tile(np.arange(14, dtype=np.float32)[:, None] + 0.5, (1, 32))  # each pixel's own height
    found = protected_views([one], fake, PLACING)[0]
    expected = PLACING.cut(ramp, one.landmarks * (32 / 95, 14 / 43))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found - PLACING.cut(ramp, one.landmarks * 32 / 95)).max() > 0.1


def test_fewer_pixels_are_blurred_ones(seen):
    views = seen[1]
    fine, coarse = photographed(views, PLACING), photographed(views, PLACING, 24)
    assert fine.shape == coarse.shape
    assert np.abs(np.diff(coarse, axis=2)).sum() < 0.9 * np.abs(np.diff(fine, axis=2)).sum()
    np.testing.assert_allclose(photographed(views, PLACING, 500), fine)


def test_a_table_of_recognition_says_where_the_control_fails(tmp_path):
    """Balls that are all alike: nobody could tell them apart, and so nothing is proved."""
    sittings = []
    for number in range(3):
        capture = the_capture(tmp_path / f"ball{number}", views=20)
        find = Finder(capture, FRONTAL)
        one = read_sitting(tmp_path / f"ball{number}", tmp_path, find, PROTECTION)
        assert list(artefacts(one, PLACING)) == [
            "original",
            "original, reduced",
            "protected",
            "protected, as a drawing",
            "true mesh",
        ]
        sittings.append(one)
    text, found = recognition(sittings, [Gradients()], np.random.default_rng(0))
    assert "control fails" in text
    assert not found["gradients"]["original"].names
    assert histogram(found["gradients"], "gradients").startswith(b"\x89PNG")
    known = {one.name: {"light": True} for one in sittings}
    with pytest.raises(SansfaceError, match="tell nothing"):
        attributes(sittings, known, [], np.random.default_rng(0))
    with pytest.raises(SansfaceError, match="are not known"):
        attributes(sittings, {}, [], np.random.default_rng(0))


def test_a_reconstruction_of_another_seed_or_of_other_steps_is_not_shown(tmp_path, monkeypatch):
    monkeypatch.setattr("sansface.bench.sittings.preset", lambda name, resolution: small_config(2, 2))
    monkeypatch.setattr("sansface.bench.sittings.baseline_config", lambda resolution: small_config(2, 2))
    capture, runs = the_capture(tmp_path / "ball", views=20), tmp_path / "runs"

    def read(steps: int, seed: int) -> Sitting:
        return read_sitting(tmp_path / "ball", runs, Finder(capture, FRONTAL), PROTECTION, steps, seed)

    nothing = read(3, 0)
    assert nothing.ours is nothing.full_rgb is None
    made = with_runs(nothing, runs, 3, 0)
    assert (made.ours, made.full_rgb) == (runs / "ball" / "ours", runs / "ball" / "full-rgb")
    before = [(run / "config.json").read_bytes() for run in (made.ours, made.full_rgb)]
    again = with_runs(read(3, 0), runs, 3, 0)
    assert (again.ours, again.full_rgb) == (made.ours, made.full_rgb)
    assert [(run / "config.json").read_bytes() for run in (made.ours, made.full_rgb)] == before
    for steps, seed, words in ((4, 0, "with other settings"), (3, 1, "with another seed")):
        with pytest.raises(SansfaceError, match=rf"ours holds was reconstructed {words}; remove it"):
            read(steps, seed)
        with pytest.raises(SansfaceError, match=rf"ours holds was reconstructed {words}; remove it"):
            with_runs(made, runs, steps, seed)
    shutil.rmtree(made.ours)
    with pytest.raises(SansfaceError, match="full-rgb holds was reconstructed with another seed"):
        read(3, 1)
    # Beside the head lies one of the other bench's, which `with_runs` takes for none of its own.
    shutil.rmtree(runs)
    monkeypatch.setattr("sansface.bench.sittings.CONFIG", small_config(1, 1))
    monkeypatch.setattr("sansface.bench.sittings.preset", lambda name, resolution: small_config(1, 1))
    own = with_runs(nothing, tmp_path, None, 0).ours
    own.replace(tmp_path / "ball" / "b-run")
    assert read(3, 0).ours == tmp_path / "ball" / "b-run"
    with pytest.raises(SansfaceError, match="b-run holds was reconstructed with another seed"):
        read(3, 1)
    assert with_runs(read(3, 0), runs, 3, 0).ours == runs / "ball" / "ours"


@pytest.mark.slow
def test_reconstructions_are_made_once_and_shown_from_the_same_cameras(tmp_path):
    """Balls, reconstructed hastily: their renderings lie where the photographs have them."""
    sittings = []
    for number in range(3):
        capture = the_capture(tmp_path / f"ball{number}", views=20)
        one = read_sitting(tmp_path / f"ball{number}", tmp_path, Finder(capture, FRONTAL), PROTECTION)
        sittings.append(with_runs(one, tmp_path / "runs", 4) if number < 1 else one)
    first = sittings[0]
    find = Finder(first.capture, FRONTAL)
    again = read_sitting(tmp_path / "ball0", tmp_path / "runs", find, PROTECTION, 4)
    assert again.ours == first.ours is not None
    assert again.full_rgb == first.full_rgb is not None
    assert with_runs(again, tmp_path / "runs", 4).ours == first.ours
    placing = Placing(40, 12.0)
    shown = artefacts(first, placing)
    whole = shown["original"].max(axis=3) > 0.02
    for kind in ("ours", "full RGB"):
        rendered = shown[f"rendering, {kind}"].max(axis=3) > 0.02
        assert (rendered == whole).mean() > 0.9
    text = transfers(sittings[:1], sittings, [Gradients()])
    assert text.count("| gradients | ") == 2
    assert text.count("control fails") == 4
    few = SwapSettings(steps=2, batch=2, width=2, code=4)
    assert "control fails" in face_swaps([(sittings[1], sittings[0])], sittings, [Gradients()], few)
    with pytest.raises(SansfaceError, match="make it first"):
        sittings[2].trained("ours")
