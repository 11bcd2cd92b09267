"""From a folder of photographs to a capture: a textured ball of known cameras, photographed from one side."""

import os
import re
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from conftest import BALL_CENTER, BALL_RADIUS, looking_at
from sansface import cli
from sansface.capture import Camera
from sansface.errors import SansfaceError
from sansface.formats import read_capture
from sansface.photographs.pipeline import CaptureSettings, make_capture
from sansface.photographs.read import list_photographs
from skull_poses import errors

pytest.importorskip("pycolmap")

VIEWS, SIZE, FOCAL = 10, 320, 520.0


def ball_cameras(views: int = VIEWS) -> list[Camera]:
    angles = np.deg2rad(np.linspace(-56, 56, views))
    heights = (-1.2, 0.6, 2.4)
    places = [(8 * np.sin(a), heights[i % 3], 8 * np.cos(a)) for i, a in enumerate(angles)]
    return [looking_at(np.add(BALL_CENTER, place), BALL_CENTER, SIZE, FOCAL) for place in places]


def textured(camera: Camera) -> np.ndarray:
    """(h, w, 4) uint8 BGRA: a ball whose brightness is noise in space, so features keep to its surface."""
    rows, columns = np.mgrid[: camera.height, : camera.width] + 0.5
    origins, ways = camera.rays(np.column_stack([columns.ravel(), rows.ravel()]))
    offset = origins - BALL_CENTER
    b = (offset * ways).sum(axis=1)
    inside = b**2 - (offset**2).sum(axis=1) + BALL_RADIUS**2
    hit = inside > 0
    point = offset + ways * (-b - np.sqrt(np.maximum(inside, 0)))[:, None]
    rng = np.random.default_rng(7)
    waves = rng.normal(size=(60, 3)) * rng.uniform(2, 16, (60, 1))
    value = np.sin(point @ waves.T + rng.uniform(0, 7, 60)).sum(axis=1) / 15
    grey = np.where(hit, np.clip(128 + 120 * value, 0, 255), 40)
    alpha = np.where(hit, 255, 0)
    return np.stack([grey, grey, grey, alpha], axis=-1).astype(np.uint8).reshape(SIZE, SIZE, 4)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> Path:
    """PNG files with alpha, one of them twice, and a file that is no photograph."""
    folder = tmp_path_factory.mktemp("photos") / "Büste im März"
    folder.mkdir()
    for number, camera in enumerate(ball_cameras()):
        cv2.imencode(".png", textured(camera))[1].tofile(folder / f"{number:02d} ä.png")
    (folder / "notes.txt").write_text("sitting 3")
    shutil.copy(folder / "03 ä.png", folder / "99.png")
    return folder


@pytest.fixture(scope="module")
def made(photographs, tmp_path_factory):
    out = tmp_path_factory.mktemp("captures") / "with spaces ö"
    return make_capture(photographs, out, CaptureSettings(front="04 ä.png", keep_sfm=True)), out


def test_cameras_are_where_they_were(made):
    capture = made[0].capture
    assert len(capture.frames) == VIEWS
    found = {frame.image.stem: np.array(frame.camera.cam_from_world) for frame in capture.frames}
    truth = {f"{i:02d} ä": np.array(camera.cam_from_world) for i, camera in enumerate(ball_cameras())}
    degrees, off = errors(found, truth)
    assert np.median(degrees) < 1
    assert np.median(off) < 0.02


def test_the_world_is_upright_with_the_front_before_it(made):
    result, _ = made
    capture = result.capture
    assert (capture.unit, result.scale, result.front) == ("unknown", None, True)
    front = capture.frames[4].camera.center
    assert front[2] > 0
    assert abs(front[0]) < 1e-6 * front[2]
    ups = np.mean([-frame.camera.cam_from_world[1, :3] for frame in capture.frames], axis=0)
    assert ups[1] > 0.95
    assert np.abs(capture.sphere.center).max() == 0
    pixels, _ = capture.frames[4].camera.project(capture.sphere.center[None])
    assert np.abs(pixels - SIZE / 2).max() < SIZE / 10


def test_the_capture_can_be_read_and_says_what_was_left_out(made):
    result, out = made
    again = read_capture(out)
    assert len(again.frames) == VIEWS
    for one, other in zip(again.frames, result.capture.frames, strict=True):
        np.testing.assert_allclose(one.camera.cam_from_world, other.camera.cam_from_world, atol=1e-9)
        assert one.mask is not None
        assert (one.image, one.role) == (other.image, other.role)
    assert result.others == ("notes.txt",)
    assert result.twins == (("99.png", "03 ä.png"),)
    assert result.lost == ()
    assert result.error < 1


def test_what_pictures_can_be_recovered_from_is_for_the_owner_alone(made):
    _, out = made
    kept = list((out / "sfm").rglob("*"))
    assert any(path.suffix == ".db" for path in kept)
    if sys.platform != "win32":
        assert not any(path.stat().st_mode & 0o077 for path in [out / "sfm", *kept])


def test_too_few_placed_are_refused_by_name_and_nothing_is_left(photographs, tmp_path, capsys):
    mixed = tmp_path / "mixed"
    shutil.copytree(photographs, mixed)
    rng = np.random.default_rng(0)
    noise = ("00 ä.png", "01 ä.png", "09 ä.png")
    for name in noise:
        cv2.imencode(".png", rng.integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8))[1].tofile(mixed / name)
    assert cli.main(["capture", str(mixed), "-o", str(tmp_path / "out")]) == 1
    told = capsys.readouterr().err
    assert re.search(r"only [4-7] of 10 photographs could be placed", told)
    assert all(name in told.split("Not placed:")[1] for name in noise)
    assert [path.name for path in tmp_path.iterdir()] == ["mixed"]


def test_ctrl_c_leaves_nothing(photographs, tmp_path):
    def stop(done: float, note: str) -> None:
        if done > 0.45:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_capture(photographs, tmp_path / "out", progress=stop)
    assert list(tmp_path.iterdir()) == []


def refused(photographs: Path, out: Path, says: str, **settings) -> None:
    with pytest.raises(SansfaceError, match=says):
        make_capture(photographs, out, CaptureSettings(**settings))
    assert not out.exists()
    assert not out.with_name(out.name + ".part").exists()


def test_a_folder_called_like_the_one_that_is_filled_is_left_alone(photographs, tmp_path):
    """It may hold the only originals."""
    mine = shutil.copytree(photographs, tmp_path / "head.part")
    with pytest.raises(SansfaceError, match=r"head\.part is in the way"):
        make_capture(mine, tmp_path / "head")
    assert sorted(path.name for path in mine.iterdir()) == sorted(p.name for p in photographs.iterdir())
    assert [path.name for path in tmp_path.iterdir()] == ["head.part"]


def test_three_photographs_are_too_few(photographs, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    for number in range(3):
        shutil.copy(photographs / f"{number:02d} ä.png", few)
    refused(few, tmp_path / "out", "3 different photographs are too few")


def test_a_corrupt_photograph_in_the_middle_is_named(photographs, tmp_path):
    folder = tmp_path / "folder"
    shutil.copytree(photographs, folder)
    whole = cv2.imencode(".jpg", textured(ball_cameras()[0])[:, :, :3])[1].tobytes()
    (folder / "03 ä.png").unlink()
    (folder / "03 ä.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "05 ä.png").write_bytes(b"\0\0\0\x18ftypmp42 a film under another name")
    refused(folder, tmp_path / "out", r"03 ä\.jpg is cut short.*\(1 more photographs have faults, too\.\)")


def test_bad_folders_are_refused(photographs, tmp_path):
    film = tmp_path / "film.mp4"
    film.write_bytes(b"\0\0\0\x18ftypisom and so on")
    refused(film, tmp_path / "out", "is a video; save single frames")
    refused(tmp_path / "nowhere", tmp_path / "out", "there is no folder")
    refused(photographs, tmp_path / "out", "holds no photograph 77.jpg", front="77.jpg")
    with pytest.raises(SansfaceError, match=r"holds no photograph, only film\.mp4"):
        list_photographs(tmp_path)
    (tmp_path / "A.png").write_bytes(b"")
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(SansfaceError, match="named alike"):
        list_photographs(tmp_path)
    with pytest.raises(SansfaceError, match="leave one out"):
        CaptureSettings(pupil_distance_mm=63, marker_mm=40)


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="needs permissions that can be refused"
)
def test_a_read_only_folder_is_refused(photographs, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    refused(photographs, closed / "out", "permission")
