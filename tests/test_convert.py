"""Formats that are written: write then read is the identity, alone and through each other (row c)."""

import os
import struct
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fabricated_captures as fabricated
from sansface import cli
from sansface.capture import Camera, Capture, Frame, Role, Sphere
from sansface.errors import SansfaceError
from sansface.formats import FORMATS, WRITERS, convert, read_capture, recognise
from test_transforms_json import rotation, rotations

EXPRESSIBLE = {"transforms": 5, "colmap": 4, "colmap-text": 4, "npz": 0}
"""How many numbers of Brown's distortion each format can say."""


@st.composite
def captures(draw, folder: Path, brown: int) -> Capture:
    """Random cameras whose (empty) pictures lie in `folder`, sorted by name."""
    frames = []
    same = draw(st.booleans())
    drawn = []
    for index in range(draw(st.integers(1, 3))):
        pose = np.eye(4)
        pose[:3, :3] = rotation(draw(rotations))
        pose[:3, 3] = draw(st.tuples(*[st.floats(-10, 10)] * 3))
        fx, fy = draw(st.floats(10, 10000)), draw(st.floats(10, 10000))
        cx, cy = draw(st.floats(-100, 5000)), draw(st.floats(-100, 5000))
        distortion = [*draw(st.lists(st.floats(-1, 1), min_size=brown, max_size=brown)), *[0.0] * (5 - brown)]
        size = (draw(st.integers(1, 6000)), draw(st.integers(1, 6000)))
        drawn.append(([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], *size, pose, distortion))
        K, width, height, _, distortion = drawn[0 if same else index]
        image = folder / f"ä {index}.png"
        # a header says the size to the formats that do not
        header = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height)
        image.write_bytes(header)
        mask = folder / f"m{index}.png"
        mask.write_bytes(b"mask")
        frames.append(
            Frame(Camera(K, width, height, pose, distortion), draw(st.sampled_from(Role)), image, mask)
        )
    sphere = None
    if draw(st.booleans()):
        sphere = Sphere(
            np.array(draw(st.tuples(*[st.floats(-10, 10)] * 3))), draw(st.floats(0.1, 9)), "given"
        )
    return Capture(tuple(frames), draw(st.sampled_from(["unknown", "mm", "m"])), sphere)


def assert_same(one: Capture, other: Capture) -> None:
    assert len(one.frames) == len(other.frames)
    for a, b in zip(one.frames, other.frames, strict=True):
        np.testing.assert_allclose(a.camera.cam_from_world, b.camera.cam_from_world, rtol=0, atol=1e-9)
        np.testing.assert_allclose(a.camera.K, b.camera.K, rtol=0, atol=1e-6)
        np.testing.assert_allclose(a.camera.distortion, b.camera.distortion, rtol=0, atol=1e-6)
        assert (a.camera.width, a.camera.height) == (b.camera.width, b.camera.height)
        assert a.image.read_bytes() == b.image.read_bytes()
        assert a.mask.read_bytes() == b.mask.read_bytes()
    assert one.unit == other.unit
    assert (one.sphere is None) == (other.sphere is None)
    if one.sphere is not None and other.sphere is not None:
        assert one.sphere.radius == pytest.approx(other.sphere.radius, abs=1e-9)
        np.testing.assert_allclose(one.sphere.center, other.sphere.center, atol=1e-9)


@pytest.mark.parametrize("name", WRITERS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_write_then_read_is_the_identity(tmp_path_factory, name, data):
    home = tmp_path_factory.mktemp("c")
    capture = data.draw(captures(home, EXPRESSIBLE[name]))
    kept = convert(capture, home / "out", name)
    again = read_capture(home / "out")
    assert_same(capture, again)
    assert recognise(home / "out") == name.removesuffix("-text")
    if kept:
        assert [frame.role for frame in again.frames] == [frame.role for frame in capture.frames]
    else:
        assert {frame.role for frame in again.frames} == {Role.SENSITIVE}


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_through_each_other_is_the_identity(tmp_path_factory, data):
    home = tmp_path_factory.mktemp("c")
    chain = data.draw(st.lists(st.sampled_from(list(WRITERS)), min_size=2, max_size=5))
    capture = now = data.draw(captures(home, min(EXPRESSIBLE[name] for name in chain)))
    for turn, name in enumerate(chain):
        convert(now, home / str(turn), name)
        now = read_capture(home / str(turn))
    assert_same(capture, now)


def with_pictures(folder: Path, camera: Camera) -> Capture:
    fabricated.picture(folder / "a.png")
    return Capture((Frame(camera, Role.SENSITIVE, folder / "a.png"),))


def test_what_a_format_cannot_say_is_refused_and_leaves_nothing(tmp_path):
    K = [[90, 0, 27], [0, 90, 40], [0, 0, 1]]
    cubic = with_pictures(tmp_path, Camera(K, 55, 80, np.eye(4), [0, 0, 0, 0, 0.1]))
    skewed = with_pictures(tmp_path, Camera([[90, 1, 27], *K[1:]], 55, 80, np.eye(4)))
    for capture, name, says in (
        (cubic, "npz", "distortion"),
        (cubic, "colmap", "k3"),
        (cubic, "colmap-text", "k3"),
        (skewed, "colmap", "skewed"),
        (skewed, "transforms", "skewed"),
        (cubic, "usd", "cannot be written"),
    ):
        with pytest.raises(SansfaceError, match=says):
            convert(capture, tmp_path / "out", name)
        assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]
    assert convert(skewed, tmp_path / "out", "npz")
    np.testing.assert_allclose(read_capture(tmp_path / "out").frames[0].camera.K, skewed.frames[0].camera.K)


def test_photographs_of_one_name_from_two_folders_are_numbered(tmp_path):
    for part in ("left", "right"):
        fabricated.picture(tmp_path / part / "0.png")
    one, two = fabricated.cameras()[:2]
    frames = [
        Frame(one, Role.NEUTRAL, tmp_path / "left/0.png"),
        Frame(two, Role.SENSITIVE, tmp_path / "right/0.png"),
    ]
    convert(Capture(tuple(frames)), tmp_path / "out", "transforms")
    again = read_capture(tmp_path / "out")
    assert [frame.image.name for frame in again.frames] == ["000.png", "001.png"]
    assert [frame.role for frame in again.frames] == [Role.NEUTRAL, Role.SENSITIVE]


def test_photographs_that_differ_in_their_suffix_have_masks_of_their_own(tmp_path):
    frames = []
    for suffix, camera in zip(("jpg", "png"), fabricated.cameras()[:2], strict=True):
        fabricated.picture(tmp_path / f"a.{suffix}")
        mask = tmp_path / f"mask-{suffix}.png"
        assert cv2.imwrite(str(mask), np.full((80, 55), 100 + len(frames), np.uint8))
        frames.append(Frame(camera, Role.SENSITIVE, tmp_path / f"a.{suffix}", mask))
    convert(Capture(tuple(frames)), tmp_path / "out", "transforms")
    again = read_capture(tmp_path / "out").frames
    assert [cv2.imread(str(frame.mask), 0)[0, 0] for frame in again] == [100, 101]


def test_a_folder_in_use_and_a_missing_picture(tmp_path):
    capture = with_pictures(tmp_path / "in", fabricated.cameras()[0])
    with pytest.raises(SansfaceError, match="already holds files"):
        convert(capture, tmp_path / "in", "transforms")
    capture.frames[0].image.unlink()
    with pytest.raises(SansfaceError, match="is missing"):
        convert(capture, tmp_path / "out", "colmap")
    assert [entry.name for entry in tmp_path.iterdir()] == ["in"]


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root and Windows write anywhere")
@pytest.mark.parametrize("name", WRITERS)
def test_a_read_only_folder(tmp_path, name):
    capture = with_pictures(tmp_path / "in", fabricated.cameras()[0])
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(SansfaceError, match="no permission"):
        convert(capture, tmp_path / "locked/out", name)


@pytest.mark.parametrize("name", WRITERS)
def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch, name):
    """As root, who may write anywhere, the system's refusal is played."""
    capture = with_pictures(tmp_path / "in", fabricated.cameras()[0])

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(SansfaceError, match="no permission"):
        convert(capture, tmp_path / "out", name)
    assert [entry.name for entry in tmp_path.iterdir()] == ["in"]


def test_an_unreadable_photograph_is_not_said_to_be_unwritable(tmp_path, monkeypatch):
    capture = with_pictures(tmp_path / "in", fabricated.cameras()[0])

    def refuse(source, target):
        raise PermissionError(13, "Permission denied", str(source))

    monkeypatch.setattr("shutil.copyfile", refuse)
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(SansfaceError, match=r"cannot read .*a\.png"):
        convert(capture, tmp_path / "out", "transforms")


def test_a_half_made_folder_is_not_touched(tmp_path):
    capture = with_pictures(tmp_path / "in", fabricated.cameras()[0])
    (tmp_path / "out.part").mkdir()
    with pytest.raises(SansfaceError, match=r"out\.part is in the way"):
        convert(capture, tmp_path / "out", "transforms")
    assert (tmp_path / "out.part").is_dir()


def test_the_verb(tmp_path, capsys):
    fabricated.transforms(tmp_path / "in")
    words = ["convert", str(tmp_path / "in"), "-o", str(tmp_path / "ä b"), "--format", "colmap-text"]
    assert cli.main(words) == 1  # it has k3
    assert "k3" in capsys.readouterr().err
    fabricated.h3ds(tmp_path / "scene")
    assert (
        cli.main(["convert", str(tmp_path / "scene"), "-o", str(tmp_path / "ä b"), "--format", "colmap"]) == 0
    )
    assert "4 frames as colmap" in capsys.readouterr().out
    assert read_capture(tmp_path / "ä b").unit == "mm"
    words = ["convert", str(tmp_path / "ä b"), "-o", str(tmp_path / "c"), "--from-format", "h3ds"]
    assert cli.main(words) == 1
    assert "cameras.npz" in capsys.readouterr().err


def test_the_verbs_know_every_format():
    parsed = [cli.parse(["protect", "x", "-o", "y", "--format", name]) for name in FORMATS]
    assert [verb.format for verb in parsed] == list(FORMATS)
    parsed = [cli.parse(["convert", "x", "-o", "y", "--format", name]) for name in WRITERS]
    assert [verb.format for verb in parsed] == list(WRITERS)
