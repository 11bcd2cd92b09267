"""`transforms.json` read in the page against Python's reader: the same cameras, roles and refusals."""

import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from browser import Browser, chromium
from conftest import make_tiny_capture
from sansface.capture import Capture
from sansface.errors import SansfaceError
from sansface.formats.transforms_json import read_transforms_json

READ = """
const { readCapture } = await import('/page/protect/capture.js');
let capture = null;
const says = await refusal(() => { capture = readCapture(text, meta); });
return { capture, says };
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def document(tmp_path_factory) -> dict[str, Any]:
    folder = make_tiny_capture(tmp_path_factory.mktemp("ball") / "capture")
    return json.loads((folder / "transforms.json").read_text())


def compared(browser: Browser, folder: Path, text: str, meta: str | None = None) -> str | None:
    """The page's capture is Python's, or both refuse; what the page says then."""
    (folder / "transforms.json").write_text(text)
    if meta is not None:
        (folder / "meta.json").write_text(meta)
    found = browser.ask(READ, text=text, meta=meta)
    wanted = read_or_refused(folder)
    if isinstance(wanted, str):
        assert found["capture"] is None
        assert found["says"] == wanted
        return found["says"]
    assert found["says"] is None
    capture = found["capture"]
    assert capture["unit"] == wanted.unit
    assert (capture["sphere"] is None) == (wanted.sphere is None)
    if (sphere := wanted.sphere) is not None:
        told = {"center": sphere.center.tolist(), "radius": sphere.radius, "source": sphere.source}
        assert capture["sphere"] == told
    for mine, ours in zip(capture["frames"], wanted.frames, strict=True):
        assert (folder / mine["path"], mine["name"], mine["role"]) == (ours.image, ours.image.name, ours.role)
        assert (None if mine["maskPath"] is None else folder / mine["maskPath"]) == ours.mask
        camera = mine["camera"]
        assert (camera["width"], camera["height"]) == (ours.camera.width, ours.camera.height)
        np.testing.assert_allclose(camera["K"], ours.camera.K.ravel(), rtol=1e-14)
        np.testing.assert_allclose(camera["camFromWorld"], ours.camera.cam_from_world.ravel(), atol=1e-12)
        assert camera["distortion"] == ours.camera.distortion.tolist()
    return None


def read_or_refused(folder: Path) -> Capture | str:
    """The capture, or the sentence as the page says it: without the folder, numbers not in quotes."""
    try:
        return read_transforms_json(folder)
    except SansfaceError as error:
        return re.sub(r"'(\d+)(\.0)?'", r"\1", str(error).replace(f"{folder}/", ""))


def first(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda document: document["frames"][0].update(changes)


def top(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda document: document.update(changes)


def without(*keys: str) -> Callable[[dict[str, Any]], Any]:
    return lambda document: [document.pop(key) for key in keys]


def posed(change: Callable[[np.ndarray], Any]) -> Callable[[dict[str, Any]], Any]:
    def act(document: dict[str, Any]) -> None:
        pose = np.array(document["frames"][0]["transform_matrix"])
        change(pose)
        document["frames"][0]["transform_matrix"] = pose.tolist()

    return act


def each(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda document: [frame.update(changes) for frame in document["frames"]]


def in_turn(*acts: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    return lambda document: [act(document) for act in acts]


K = [[150.0, 0.0, 48.0], [0.0, 150.0, 48.0], [0.0, 0.0, 1.0]]
FOCAL = ("fl_x", "fl_y", "cx", "cy")

READABLE = {
    "as it is": top(),
    "no role": lambda document: document["frames"][0].pop("role"),
    "no mask": lambda document: document["frames"][0].pop("mask_path"),
    "names sorted by code points": lambda document: [
        frame.update(file_path=name + ".png")
        for frame, name in zip(
            document["frames"], ["b", "a", "ä", "Z", "\U0001f600", "\uffee", "a-b", "aa"], strict=True
        )
    ],
    "a name with folders": first(file_path="./images//x/000.png"),
    "neuralangelo's sphere": top(sphere_center=[0.5, -0.2, 1], sphere_radius=3),
    "a sphere around the cameras": top(sphere_center=[0.5, -0.2, 1], sphere_radius=300),
    "instant-ngp's axes": in_turn(top(from_na=True), without()),
    "intrinsic_matrix": in_turn(without(*FOCAL), each(intrinsic_matrix=K)),
    "a field of view": in_turn(without(*FOCAL), top(camera_angle_x=0.6)),
    "distortion_params": in_turn(
        without("k1", "k2", "p1", "p2", "k3"), top(distortion_params=[0.1, 0.01, 0.001, 0, 0.002, 0.003])
    ),
    "a simple pinhole": in_turn(top(camera_model="SIMPLE_PINHOLE"), without("fl_y")),
}
REFUSED = {
    "unknown key on top": top(colour=1),
    "unknown key on a frame": first(colour=1),
    "unknown role": first(role="rear"),
    "mask of no name": first(mask_path=""),
    "no frames": top(frames=[]),
    "frames of no list": top(frames={}),
    "no file_path": first(file_path=""),
    "twice": lambda document: document["frames"][0].update(
        file_path="./" + document["frames"][1]["file_path"]
    ),
    "fisheye": top(is_fisheye=True),
    "camera model": top(camera_model="FISHEYE"),
    "mixed": first(fl_x=100),
    "no focal length": without("fl_x"),
    "no pose": lambda document: document["frames"][0].pop("transform_matrix"),
    "half a pixel": top(w=96.5),
    "no width": top(w=0),
    "wide": top(w=40000),
    "a huge number": top(fl_x=1e13),
    "a negative focal length": top(fl_x=-1),
    "a word for a number": top(fl_x="wide"),
    "fourth coefficient": top(k4=0.1),
    "no such coefficient": top(camera_model="PINHOLE", k1=0.1),
    "five parameters": in_turn(without("k1", "k2", "p1", "p2", "k3"), top(distortion_params=[0.1] * 5)),
    "parameters twice": top(distortion_params=[0.1] * 6),
    "matrix and focal length": each(intrinsic_matrix=K),
    "skewed": in_turn(without(*FOCAL), each(intrinsic_matrix=[[150, 1, 48], *K[1:]])),
    "matrix of words": in_turn(without(*FOCAL), each(intrinsic_matrix=[["a"] * 3] * 3)),
    "half a turn": in_turn(without(*FOCAL), top(camera_angle_x=3.2)),
    "scaled": posed(lambda pose: pose[:3, :3].__imul__(2)),
    "mirrored": posed(lambda pose: pose[:3, 0].__imul__(-1)),
    "flat": posed(lambda pose: pose[:3, :3].fill(0)),
    "last row": posed(lambda pose: pose[3].__setitem__(0, 1)),
    "three rows": lambda document: document["frames"][0]["transform_matrix"].pop(),
    "negative radius": top(sphere_center=[0, 0, 0], sphere_radius="big"),
    "center of two": top(sphere_center=[0, 0], sphere_radius=1),
}


@pytest.mark.parametrize("case", READABLE)
def test_the_same_capture(browser, document, tmp_path, case):
    changed = copy.deepcopy(document)
    READABLE[case](changed)
    assert compared(browser, tmp_path, json.dumps(changed)) is None


@pytest.mark.parametrize("case", REFUSED)
def test_the_same_sentence(browser, document, tmp_path, case):
    changed = copy.deepcopy(document)
    REFUSED[case](changed)
    assert compared(browser, tmp_path, json.dumps(changed)) is not None


def test_roles_that_were_said(browser, document):
    changed = copy.deepcopy(document)
    del changed["frames"][3]["role"]
    frames = browser.ask(READ, text=json.dumps(changed), meta=None)["capture"]["frames"]
    assert [frame["said"] for frame in frames] == [index != 3 for index in range(8)]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", "nothing", '{"frames": [NaN]}', '{"frames": [1e999]}', '{"w": 1, "w": 2}', "[" * 100_000],
)
def test_json_that_is_none(browser, text):
    says = browser.ask(READ, text=text, meta=None)["says"]
    assert says.startswith(
        "transforms.json is not usable JSON" if text != "[]" else "transforms.json has no list"
    )
    assert says.endswith(".")


@pytest.mark.parametrize(
    "meta",
    [
        "{}",
        '{"unit": "Millimetres"}',
        '{"unit": "parsec", "head_min_y": 3}',
        '{"unit": 3, "center": [1, 2, 3], "radius": 2.5}',
        '{"center": [1, 2, 3]}',
        "[]",
        '{"center": [1, 2], "radius": 2}',
        '{"center": [1, 2, 3], "radius": -2}',
    ],
)
def test_what_lies_beside(browser, document, tmp_path, meta):
    compared(browser, tmp_path, json.dumps(document), meta)


def test_how_the_sphere_was_found(browser, document, tmp_path):
    text, sphere = json.dumps(document), {"center": [1, 2, 3], "radius": 2}
    for source in ("masks", "cameras", "given"):
        meta = json.dumps(sphere | {"sphere_source": source})
        assert compared(browser, tmp_path, text, meta) is None
        assert browser.ask(READ, text=text, meta=meta)["capture"]["sphere"]["source"] == source
    for wrong in ("hull", "Masks", "", None, 1, ["masks"]):
        says = compared(browser, tmp_path, text, json.dumps(sphere | {"sphere_source": wrong}))
        assert says is not None
        assert "sphere_source is none of masks, cameras, given" in says
    assert compared(browser, tmp_path, text, '{"sphere_source": "hull", "radius": 2}') is None  # of no sphere
