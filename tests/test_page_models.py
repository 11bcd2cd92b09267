"""Masks and faces by models in the page, in a real Chromium, against Python's.

What needs the models is skipped by name where they are not.
"""

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from browser import Browser, array_of, chromium, text_of
from conftest import ROOT
from sansface import assets
from sansface.assets import ASSETS, Asset
from sansface.capture import Camera, Capture, Role
from sansface.errors import SansfaceError
from sansface.faces import detectors as d
from sansface.faces.direction import find_head
from sansface.faces.roles import decide
from sansface.faces.segment import person_mask
from sansface.faces.tflite import Network
from sansface.formats import read_capture
from sansface.protect.photograph import read_colour
from sansface.serve.models import MODEL_FILES, RUNTIME, model_file
from test_faces import AROUND, ring
from test_page_protect import told

OPEN = """
const { Models } = await import('/page/models/models.js');
const makeWorker = () => new Worker('/page/models/worker.js', { type: 'module' });
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def opened(browser: Browser) -> Browser:
    """A page whose `models` are open."""
    for name in assets.PAGE:
        try:
            assets.find(name)
        except SansfaceError:
            pytest.skip(f"no {name} (sansface assets pull {' '.join(assets.PAGE)})")
    browser.ask(f"{OPEN} globalThis.models = await Models.open(makeWorker);")
    return browser


@pytest.fixture(scope="module")
def lps() -> Capture:
    folder = Path(os.environ.get("SANSFACE_CAPTURES", ROOT.parent / "shared" / "captures")) / "lps"
    if not folder.is_dir():
        pytest.skip("no shared captures (set SANSFACE_CAPTURES)")
    return read_capture(folder)


def colours(frame: Any) -> np.ndarray:
    return np.rint(read_colour(frame)[0] * 255).astype(np.uint8)


def offered(browser: Browser, picture: np.ndarray, name: str = "picture.png") -> str:
    """The name of a (h, w, 3) picture that the page can fetch."""
    browser.files[name] = cv2.imencode(".png", picture[:, :, ::-1])[1].tobytes()
    return name


# --- what the service gives out ---


def archive(members: dict[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as file:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            file.addfile(entry, io.BytesIO(data))
    return whole.getvalue()


def test_only_what_the_page_needs_is_given_out_and_only_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(assets.MIRROR, str(tmp_path))
    assert [model_file(name) for name in MODEL_FILES] == [None] * 5
    wasm = "package/wasm/litert_wasm_compat_internal"
    packed = archive({f"{wasm}.js": b"script", f"{wasm}.wasm": b"\0asm", "package/dist/index.js": b"other"})
    held = {RUNTIME: packed, "person": b"person", "yunet": b"yunet"}
    for name, data in held.items():
        digest = hashlib.sha256(data).hexdigest()
        monkeypatch.setitem(ASSETS, name, Asset(f"{name}.bin", digest, "", ""))
        (tmp_path / f"{name}.bin").write_bytes(data)
    assert model_file("person") == (b"person", "application/octet-stream")
    assert model_file("litert.js") == (b"script", "text/javascript; charset=utf-8")
    assert model_file("litert.wasm") == (b"\0asm", "application/wasm")
    for name in ("yunet", RUNTIME, "package/dist/index.js", "index.js", "../person.bin", "person.bin", ""):
        assert model_file(name) is None
    for name in ("person", RUNTIME):
        (tmp_path / f"{name}.bin").write_bytes(b"something else")
    assert [model_file(name) for name in ("person", "litert.js", "litert.wasm")] == [None] * 3
    broken = b"no archive"
    monkeypatch.setitem(ASSETS, RUNTIME, Asset("b.bin", hashlib.sha256(broken).hexdigest(), "", ""))
    (tmp_path / "b.bin").write_bytes(broken)
    assert model_file("litert.js") is None


# --- what needs no models ---


def test_pictures_are_resized_and_turned_as_opencv_does(browser: Browser):
    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.integers(0, 256, (150, 211, 3), np.uint8), (0, 0), 1.5)
    given = {"width": 211, "height": 150, "data": text_of(picture)}
    for width, height in ((97, 64), (211, 150), (128, 75)):
        ours = browser.ask(
            """const { resized } = await import('/page/models/pixels.js');
            const pixels = { ...given, data: unpacked(given.data, Uint8Array) };
            return base64(resized(pixels, width, height).data)""",
            given=given,
            width=width,
            height=height,
        )
        theirs = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        assert np.abs(array_of(ours, np.uint8, height, width, 3) - theirs.astype(int)).max() <= 1
    for beside, border in (("grey", cv2.BORDER_CONSTANT), ("repeated", cv2.BORDER_REPLICATE)):
        fit = cv2.getRotationMatrix2D((100.0, 60.0), 37.0, 0.8)
        theirs = cv2.warpAffine(picture, fit, (180, 160), borderMode=border, borderValue=d.GREY)
        ours = browser.ask(
            """const { mapped, turning } = await import('/page/models/affine.js');
            const pixels = { ...given, data: unpacked(given.data, Uint8Array) };
            return base64(mapped(pixels, turning([100, 60], 37, 0.8), 180, 160, beside).data)""",
            given=given,
            beside=beside,
        )
        difference = np.abs(array_of(ours, np.uint8, 160, 180, 3) - theirs.astype(int))
        assert difference.max() <= 4
        assert difference.mean() < 0.2


def page_findings(seen: list[list[d.Finding]]) -> list[list[dict[str, Any]]]:
    def one(finding: d.Finding) -> dict[str, Any]:
        mesh = None if finding.landmarks is None else finding.landmarks.ravel().tolist()
        return {
            "kind": finding.kind,
            "score": finding.score,
            "box": finding.box.tolist(),
            "landmarks": mesh,
            "turned": finding.turned,
            "mirrored": finding.mirrored,
        }

    return [[one(finding) for finding in found] for found in seen]


def suggested(
    browser: Browser, capture: Capture, seen: Any, front: int | None = None
) -> list[dict[str, Any]]:
    frames = [{"name": frame.image.name, "camera": told(frame.camera)} for frame in capture.frames]
    return browser.ask(
        "const { suggest } = await import('/page/models/roles.js'); return suggest(frames, seen, front);",
        frames=frames,
        seen=seen,
        front=front,
    )


def bent(capture: Capture) -> Capture:
    """The same with lenses that distort, to compare the arithmetic."""
    bend = np.array([-0.1, 0.03, 0.001, -0.002, 0.01])
    frames = [
        replace(frame, camera=Camera(frame.camera.K, 512, 512, np.array(frame.camera.cam_from_world), bend))
        for frame in capture.frames
    ]
    return Capture(tuple(frames))


@pytest.mark.parametrize("seed", range(3))
def test_the_head_is_where_python_finds_it(browser: Browser, seed: int):
    capture, seen = ring(AROUND, noise=0.4, seed=seed)
    for one in (capture, bent(capture)):
        ours = browser.ask(
            "const { findHead } = await import('/page/models/direction.js'); return findHead(cameras, seen);",
            cameras=[told(frame.camera) for frame in one.frames],
            seen=page_findings(seen),
        )
        theirs = find_head(one, seen)
        assert theirs is not None
        assert np.allclose(ours["center"], theirs.center, atol=1e-4)
        assert np.allclose(ours["forward"], theirs.forward, atol=1e-4)


def test_roles_are_suggested_as_python_decides(browser: Browser):
    capture, seen = ring(AROUND)
    seen[9] = [d.Finding("short range", 0.71, np.array([1, 2, 3, 4.0]), turned=90, mirrored=True)]
    for front in (None, 0):
        name = None if front is None else "000.png"
        ours = suggested(browser, capture, page_findings(seen), front)
        theirs = decide(capture, name, seen=seen)
        assert {one["role"] for one in ours} == {"neutral", "sensitive"}
        for one, other in zip(ours, theirs, strict=True):
            assert (one["role"], tuple(one["reasons"])) == (other.role, other.reasons)
            assert one["angle"] == pytest.approx(other.angle, abs=1e-3)
    refused = browser.ask(
        """const { suggest } = await import('/page/models/roles.js');
        return refusal(async () => suggest(frames, seen, 8))""",
        frames=[{"name": frame.image.name, "camera": told(frame.camera)} for frame in capture.frames],
        seen=page_findings(seen),
    )
    assert "from where the photographs show the face" in refused


def test_a_given_front_makes_nothing_neutral_that_the_faces_show_from_the_side(browser: Browser):
    """As in Python: the lesser of the angles to what is said and to what is shown."""
    capture, seen = ring([0.0, 30, -30, 60, 40, -95, 95, 180])
    ours = suggested(browser, capture, page_findings(seen), 4)
    assert [one["role"] == "neutral" for one in ours] == [False] * 7 + [True]
    for one, other in zip(ours, decide(capture, "004", seen=seen), strict=True):
        assert one["angle"] == pytest.approx(other.angle, abs=1e-3)


@pytest.mark.parametrize("angles", [[180.0, 150], [0.0, 150], [0.0, 0.5, 170]])
def test_where_the_direction_is_not_known_nothing_is_neutral(browser: Browser, angles: list[float]):
    capture, seen = ring(angles)
    ours = suggested(browser, capture, page_findings(seen))
    assert all(one["role"] == "sensitive" for one in ours)
    assert "say which picture is from the front" in ours[-1]["reasons"][-1]


def test_a_picture_that_no_detector_looked_at_is_sensitive(browser: Browser):
    capture, seen = ring(AROUND)
    some = page_findings(seen)
    assert suggested(browser, capture, some)[9]["role"] == "neutral"
    some[9] = None
    assert suggested(browser, capture, some)[9]["reasons"] == ["no detector could look"]
    nobody = suggested(browser, capture, [None] * len(some), 0)
    assert all(one["role"] == "sensitive" for one in nobody)


def test_without_their_files_there_are_no_models(browser: Browser):
    found = browser.ask(f"{OPEN} return [await Models.open(makeWorker, '/models/none/'), Models.why]")
    assert found[0] is None
    assert found[1].endswith("this server does not have person.")
    assert all("404" in line for line in browser.said)
    browser.said.clear()


# --- with the models ---


@pytest.mark.parametrize("lacking", ["face-landmarks", RUNTIME])
def test_one_file_that_lacks_closes_them_all(
    opened: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: str
):
    for name in set(assets.PAGE) - {lacking}:
        path = tmp_path / ASSETS[name].path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(assets.find(name))
    monkeypatch.setenv(assets.MIRROR, str(tmp_path))
    found = opened.ask(f"{OPEN} return [await Models.open(makeWorker), Models.why]")
    file = "litert.wasm" if lacking == RUNTIME else lacking
    assert found == [
        None,
        f"The models that draw masks and find faces are not here: this server does not have {file}.",
    ]
    assert all("404" in line for line in opened.said)
    opened.said.clear()


@pytest.mark.parametrize(
    ("name", "side"), [("person", 256), ("face-short-range", 128), ("face-landmarks", 192)]
)
def test_the_networks_say_what_they_say_in_python(opened: Browser, lps: Capture, name: str, side: int):
    picture = cv2.resize(colours(lps.frames[10])[60:420, 60:420], (side, side), interpolation=cv2.INTER_AREA)
    given = (picture / 255.0).astype(np.float32)
    theirs = Network(name)(given)
    ours = opened.ask(
        """const { Runtime } = await import('/page/models/litert.js');
        const at = async (name) => new Uint8Array(await (await fetch('/models/' + name)).arrayBuffer());
        globalThis.runtime ??= await Runtime.open('/models/litert.js', await at('litert.wasm'));
        const network = await runtime.network(await at(name));
        return (await network(unpacked(values, Float32Array))).map(base64)""",
        name=name,
        values=text_of(given),
    )
    for one, other in zip(ours, theirs, strict=True):
        found = array_of(one, np.float32).reshape(other.shape)
        assert np.abs(found - other).max() <= 1e-4 * max(1.0, float(np.abs(other).max()))
        assert np.ptp(other) > 0.5 or other.size == 1


def looked(picture: np.ndarray, network: Network) -> list[d.Finding]:
    """What the short-range detector finds of a picture in Python, look by look, until one finds something."""
    small = d._of_size(picture, min(128, max(picture.shape[:2])))
    found: list[d.Finding] = []
    for count, (turned, mirrored) in enumerate([(t, m) for m in (False, True) for t in d.TURNS], start=1):
        found += d._View(picture, small, turned, mirrored).short_range(network)
        if found and count >= d.UPRIGHT:
            break
    return sorted(found, key=lambda one: -one.score)


ASK_FACES = """
return (await models.faces(await fileOf(name))).map(
  (one) => ({ ...one, landmarks: one.landmarks && base64(one.landmarks) }))
"""


def test_faces_are_found_where_python_s_network_finds_them(
    opened: Browser, lps: Capture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(d, "SHORT_RANGE", 0.6)  # the page's
    network, mesh = Network("face-short-range"), Network("face-landmarks")
    front, behind = colours(lps.frames[10]), colours(lps.frames[21])
    oblong = front[40:440, 20:500]
    half = np.full_like(front, 127)
    half[:, :270] = front[:, :270]
    pictures = [front, oblong, np.ascontiguousarray(np.rot90(front)), half, behind, colours(lps.frames[6])]
    meshed = 0
    for picture in pictures:
        ours = opened.ask(ASK_FACES, name=offered(opened, picture))
        detected = [one for one in ours if one["kind"] == "short range"]
        theirs = looked(picture, network)
        assert len(detected) == len(theirs)
        for one, other in zip(detected, theirs, strict=True):
            assert (one["turned"], one["mirrored"]) == (other.turned, other.mirrored)
            assert one["score"] == pytest.approx(other.score, abs=0.01)
            assert np.allclose(one["box"], other.box, atol=0.01 * max(picture.shape))
        for one in (one for one in ours if one["kind"] == "landmarks"):
            points = array_of(one["landmarks"], np.float32, 468, 2).astype(np.float64)
            again = d.Finding("face", 1.0, np.array(one["box"]), points[[33, 263]])
            (found,) = d._landmarks(picture, again, mesh)
            assert found.landmarks is not None
            assert np.abs(found.landmarks - points).mean() < 2
            meshed += 1
    assert meshed >= 3
    large = opened.ask(ASK_FACES, name=offered(opened, cv2.resize(front, (2048, 2048))))
    small = opened.ask(ASK_FACES, name=offered(opened, front))
    assert large[0]["kind"] == small[0]["kind"] == "landmarks"
    assert np.allclose(np.array(large[0]["box"]) / 4, small[0]["box"], atol=3)


@pytest.mark.parametrize(
    "frames",
    [(3, 10, 0, 19, 21, 25, 27), pytest.param(range(30), marks=pytest.mark.slow)],
    ids=["some", "all"],
)
def test_roles_of_lps(opened: Browser, lps: Capture, frames: Sequence[int]):
    some = Capture(tuple(lps.frames[index] for index in frames))
    for frame in some.frames:
        opened.files[frame.image.name] = frame.image.read_bytes()
    seen = opened.ask(
        """const seen = [];
        for (const name of names) {
          const found = await models.faces(await fileOf(name));
          seen.push(found.map((one) => ({ ...one, landmarks: one.landmarks && [...one.landmarks] })));
        }
        return seen""",
        names=[frame.image.name for frame in some.frames],
    )
    ours = suggested(opened, some, seen)
    neutral = {index for index, one in zip(frames, ours, strict=True) if one["role"] == "neutral"}
    behind = {20, 21, 22, 23, 24, 25, 26, 28}  # the other two, 27 and 29, are 123° and 129° from the front
    assert neutral == behind & set(frames)
    assert all(lps.frames[index].role is Role.NEUTRAL for index in neutral)


def test_masks_are_nearly_python_s_and_nearly_right(opened: Browser, lps: Capture):
    network = Network("person")
    for index in (10, 16, 21):
        frame = lps.frames[index]
        picture, true = colours(frame), cv2.imread(str(frame.mask), 0) > 127
        for rows in (slice(None), slice(60, 450)):
            found = opened.ask(
                "const mask = await models.mask(await fileOf(name));"
                "return { ...mask, data: base64(mask.data) }",
                name=offered(opened, picture[rows]),
            )
            assert (found["width"], found["height"]) == (512, len(picture[rows]))
            mask = array_of(found["data"], np.uint8, found["height"], 512)
            assert set(np.unique(mask)) == {0, 255}
            theirs = person_mask(picture[rows], network) > 127
            assert overlap(mask > 127, theirs) > 0.96
            assert overlap(mask > 127, true[rows]) > 0.95
    shown = opened.ask(
        """const file = await fileOf(name);
        const [mask, look] = [await models.mask(file), await (await newProtector()).look(file)];
        return [mask.width, mask.height, look.bitmap.width, look.bitmap.height]""",
        name=offered(opened, cv2.resize(colours(lps.frames[10]), (1400, 1037))),
    )
    assert shown[:2] == shown[2:]


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_models_that_were_closed_say_so_and_a_bad_picture_harms_no_other(opened: Browser, lps: Capture):
    opened.files["bad.png"] = b"\x89PNG nothing"
    good = offered(opened, colours(lps.frames[28]))
    found = opened.ask(
        """const [bad, fine] = await Promise.allSettled(
          [models.faces(await fileOf('bad.png')), models.faces(await fileOf(good))]);
        return [bad.reason.message, fine.value.length]""",
        good=good,
    )
    assert found[0].startswith("the photograph bad.png ")
    assert found[1] == 0
    said = opened.ask(
        f"""{OPEN}
        const others = await Models.open(makeWorker);
        const waiting = refusal(async () => others.mask(await fileOf(good)));
        await new Promise((resolve) => setTimeout(resolve, 0));
        others.close();
        return [await waiting, await refusal(async () => others.mask(await fileOf(good))), others.open]""",
        good=good,
    )
    assert said == ["the models were closed."] * 2 + [False]
