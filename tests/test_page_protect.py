"""The protection in the browser against Python's, in a real Chromium."""

import json
import random
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from browser import Browser, array_of, chromium, text_of
from bundle_rules import violations
from conftest import make_tiny_capture
from sansface.capture import Capture, Frame, Role
from sansface.errors import SansfaceError
from sansface.formats import read_capture
from sansface.protect.bundle import bundle_digest, decode
from sansface.protect.contents import Share
from sansface.protect.frame import UserFrame
from sansface.protect.operators import OPERATORS, operator
from sansface.protect.pipeline import ProtectSettings, protect_capture

SMALL = {"resolution": 32}
PROTECT = """
const { Protector } = await import('/page/protect/protector.js');
const protector = new Protector(() => new Worker('/page/protect/worker.js', { type: 'module' }));
try {
  const reduced = await Promise.all(frames.map(async ({ file, mask, camera, role }) => protector.reduce({
    file: await fileOf(file), mask: mask && await fileOf(mask), camera, role }, settings)));
  const made = await protector.bundle(reduced.map(({ id }) => id), settings);
  return { ...made, bytes: base64(made.bytes), reduced: reduced.map((one) =>
    ({ ...one, mask: base64(one.mask), preview: { ...one.preview, data: base64(one.preview.data) } })) };
} finally {
  protector.close();
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def ball(tmp_path_factory) -> Capture:
    return read_capture(make_tiny_capture(tmp_path_factory.mktemp("ball") / "capture"))


def told(camera) -> dict[str, Any]:
    """A camera as the page takes it."""
    return {
        "K": camera.K.ravel().tolist(),
        "width": camera.width,
        "height": camera.height,
        "camFromWorld": camera.cam_from_world.ravel().tolist(),
        "distortion": camera.distortion.tolist(),
    }


def offered(browser: Browser, frame: Frame, index: int) -> dict[str, Any]:
    """A frame as the page takes it, its files at hand there."""
    name = f"{index}-{frame.image.name}"
    browser.files[name] = frame.image.read_bytes()
    mask = None
    if frame.mask is not None:
        mask = f"{index}-mask-{frame.mask.name}"
        browser.files[mask] = frame.mask.read_bytes()
    return {"file": name, "mask": mask, "camera": told(frame.camera), "role": frame.role.value}


def protected(browser: Browser, capture: Capture, **settings: Any) -> dict[str, Any]:
    """What the page makes of a capture."""
    sphere = capture.sphere
    given = {"center": sphere.center.tolist(), "radius": sphere.radius} if sphere else None
    frames = [offered(browser, frame, index) for index, frame in enumerate(capture.frames)]
    found = browser.ask(PROTECT, frames=frames, settings={"sphere": given, "unit": capture.unit} | settings)
    found["bytes"] = array_of(found["bytes"], np.uint8).tobytes()
    return found


def test_floats_are_written_as_python_writes_them(browser):
    draw = random.Random(0)
    patterns = (struct.pack("<Q", draw.getrandbits(64)) for _ in range(100_000))
    drawn = [value for (value,) in map(lambda bits: struct.unpack("<d", bits), patterns) if value - value == 0]
    edges = [10.0**power for power in range(-320, 309)] + [0.0, -0.0, 5e-324, 1.7976931348623157e308, 2.0**53]
    near = [draw.uniform(-2, 2) * 10.0 ** draw.randint(-8, 20) for _ in range(20_000)]
    values = np.array([*drawn, *edges, *near])
    found = browser.ask(
        "const { formatFloat } = await import('/page/protect/canonical_json.js');"
        "return Array.from(unpacked(values, Float64Array), formatFloat).join(' ');",
        values=text_of(values),
    )
    assert found.split(" ") == [repr(value) for value in values.tolist()]


def test_the_operators_are_pythons_byte_for_byte(browser):
    asked = [(name, blur) for name in OPERATORS for blur in (None, 0.25, 0.7, 1.0, 3.3, 8.0)]
    asked += [(name, 0.0) for name in OPERATORS if name != "log"]
    found = browser.ask(
        "const { operatorNamed, parametersOf, reachOf } = await import('/page/protect/operators.js');"
        "const { canonicalJson } = await import('/page/protect/canonical_json.js');"
        "return asked.map(([name, blur]) => { const one = operatorNamed(name, blur);"
        " return [canonicalJson(parametersOf(one)), reachOf(one)]; });",
        asked=asked,
    )
    for (name, blur), (text, reach) in zip(asked, found, strict=True):
        wanted = operator(name, blur)
        assert text == json.dumps(wanted.parameters(), sort_keys=True, separators=(",", ":"))
        assert reach == wanted.reach


@pytest.mark.parametrize("images", [100, pytest.param(400, marks=pytest.mark.slow)])
def test_sigma_is_pythons(browser, images):
    """Row c: to a thousandth; it is to a hundred-thousandth."""
    rng = np.random.default_rng(images)
    worst = 0.0
    for name in OPERATORS:
        blurs = [1.0 if name == "log" else 0.0, round(float(rng.uniform(0.25, 3)), 3)]
        pictures = [
            cv2.GaussianBlur(rng.random((*rng.integers(3, 70, 2), 3), dtype=np.float32), (0, 0), 0.1 + index % 4)
            for index in range(images)
        ]
        asked = [[*picture.shape[1::-1], text_of(picture)] for picture in pictures]
        found = browser.ask(
            "const { operatorNamed, sigmaOf } = await import('/page/protect/operators.js');"
            "return asked.map(([width, height, picture], at) => base64(sigmaOf(operatorNamed(name,"
            " blurs[at % 2]), unpacked(picture, Float32Array), width, height)));",
            asked=asked,
            name=name,
            blurs=blurs,
        )
        for index, (picture, text) in enumerate(zip(pictures, found, strict=True)):
            wanted = operator(name, blurs[index % 2])(picture)
            worst = max(worst, float(np.abs(array_of(text, np.float32, *wanted.shape) - wanted).max()))
    assert worst <= 1e-5


def compared(browser: Browser, capture: Capture, **settings: Any) -> float:
    """The page's bundle and frame against Python's; the share of values that are off by one, none by more."""
    words = {"shareMasks": "share_masks"}
    own = ProtectSettings(
        **{words.get(key, key): Share(value) if key == "share" else value for key, value in settings.items()}
    )
    wanted, way = protect_capture(capture, own)
    made = protected(browser, capture, **settings)
    found = decode(made["bytes"])
    assert violations(made["bytes"]) == []
    assert made["digest"] == made["frame"]["bundle"] == bundle_digest(found)
    for key in ("resolution", "bits", "unit", "sphere_source", "noise", "gain", "share", "schema"):
        assert getattr(found, key) == getattr(wanted, key)
    assert found.operator.parameters() == wanted.operator.parameters()
    assert abs(found.scale - wanted.scale) <= 1 / 256
    back = UserFrame(**{key: made["frame"][key] for key in ("center", "radius", "rotation", "unit")})
    assert back.unit == way.unit
    for one, other in ((back.center, way.center), (back.radius, way.radius), (back.rotation, way.rotation)):
        np.testing.assert_allclose(one, other, atol=1e-9)
    off = total = 0
    for mine, ours in zip(found.frames, wanted.frames, strict=True):
        assert mine.role is ours.role
        np.testing.assert_allclose(mine.camera.K, ours.camera.K, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(mine.camera.cam_from_world, ours.camera.cam_from_world, atol=1e-9)
        pairs = [(mine.image, ours.image)]
        assert (mine.mask is None) == (ours.mask is None)
        if mine.mask is not None:
            pairs.append((mine.mask, ours.mask))
        np.testing.assert_array_equal(mine.shared(), ours.shared())
        if found.scale != wanted.scale:
            continue
        for one, other in pairs:
            difference = np.abs(one.astype(int) - other.astype(int))
            assert difference.max() <= 1
            off += int(difference.sum())
            total += difference.size
    return off / total


def test_lps(browser, shared_captures):
    capture = read_capture(shared_captures / "lps")
    print(compared(browser, capture))


def test_ball(browser, ball):
    print(compared(browser, ball, **SMALL))
