"""The protection in the browser against Python's, in a real Chromium."""

import json
import random
import re
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import pytest

from browser import PAGE, Browser, array_of, chromium, text_of
from bundle_rules import violations
from conftest import BALL_CENTER, make_tiny_capture
from sansface.capture import Capture, Frame, Role, Sphere
from sansface.formats import read_capture
from sansface.protect.bundle import bundle_digest, decode
from sansface.protect.contents import Share
from sansface.protect.frame import read_frame
from sansface.protect.operators import OPERATORS, operator
from sansface.protect.pipeline import ProtectSettings, protect_capture

SMALL = {"resolution": 32}
PROTECT = """
const protector = await sameProtector();
const reduced = await Promise.all(frames.map(async (one) => protector.reduce(await frameOf(one), settings)));
const ids = reduced.map(({ id }) => id);
try {
  const made = await protector.bundle(ids, settings);
  return { ...made, bytes: base64(made.bytes) };
} finally {
  ids.forEach((id) => protector.forget(id));
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
    given = sphere and {"center": sphere.center.tolist(), "radius": sphere.radius, "source": sphere.source}
    frames = [offered(browser, frame, index) for index, frame in enumerate(capture.frames)]
    found = browser.ask(PROTECT, frames=frames, settings={"sphere": given, "unit": capture.unit} | settings)
    found["bytes"] = array_of(found["bytes"], np.uint8).tobytes()
    return found


def test_floats_are_written_as_python_writes_them(browser):
    draw = random.Random(0)
    patterns = (struct.pack("<Q", draw.getrandbits(64)) for _ in range(100_000))
    drawn = [
        value for (value,) in map(lambda bits: struct.unpack("<d", bits), patterns) if value - value == 0
    ]
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
    asked = [(name, blur, 64) for name in OPERATORS for blur in (None, 0.25, 0.7, 1.0, 3.3, 8.0)]
    asked += [(name, 0.0, 512) for name in OPERATORS if name != "log"]
    asked += [(name, None, side) for name in OPERATORS for side in (16, 255, 256, 300, 512)]
    found = browser.ask(
        "const { operatorNamed, parametersOf, reachOf } = await import('/page/protect/operators.js');"
        "const { canonicalJson } = await import('/page/protect/canonical_json.js');"
        "return asked.map((how) => { const one = operatorNamed(...how);"
        " return [canonicalJson(parametersOf(one)), reachOf(one)]; });",
        asked=asked,
    )
    for how, (text, reach) in zip(asked, found, strict=True):
        wanted = operator(*how)
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
            cv2.GaussianBlur(
                rng.random((*rng.integers(3, 70, 2), 3), dtype=np.float32), (0, 0), 0.1 + index % 4
            )
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
    with TemporaryDirectory() as folder:
        path = Path(folder) / "head.frame.json"
        path.write_text(json.dumps(made["frame"]))
        back = read_frame(path, made["digest"])
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


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"resolution": 40, "operator": "scharr", "blur": 1.5, "bits": 16},
        {"operator": "log", "bits": 9, "shareMasks": False},
        {"operator": "structure", "bits": 4},
        {"operator": "roberts", "bits": 1},
        {"share": "outline"},
        {"share": "camera"},
        {"radius": 3.5},
    ],
    ids=str,
)
def test_a_capture_becomes_pythons_bundle(browser, ball, settings):
    assert compared(browser, ball, **(SMALL | settings)) <= 1e-3


def test_pictures_that_were_cut_out_or_lie_on_their_side(browser, ball):
    """Where is the middle of what the cameras see, and where is up? The pictures' content does not matter."""
    rolled, cut = [], []
    for frame in ball.frames:
        pose, K = np.array(frame.camera.cam_from_world), np.array(frame.camera.K)
        pose[:3] = np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]]) @ pose[:3]
        K[:2, 2] += (25, -40)
        rolled.append(replace(frame, camera=replace(frame.camera, cam_from_world=pose)))
        cut.append(replace(frame, camera=replace(frame.camera, K=K)))
    for frames in (rolled, cut):
        assert compared(browser, replace(ball, frames=tuple(frames), sphere=None), **SMALL) <= 1e-3


@pytest.mark.parametrize("share", ["modulus", "outline", "camera"])
def test_a_sphere_that_all_masks_gave_tells_nothing_where_outlines_stay(browser, ball, share):
    """A capture's own sphere is used, whatever its source; but of `camera` only where the user gave it."""
    for source in ("masks", "cameras", "given"):
        sphere = Sphere(np.array([0.3, -0.2, 0.1]) + BALL_CENTER, 2.5, source)
        capture = replace(ball, sphere=sphere)
        assert compared(browser, capture, **SMALL, share=share) <= 1e-3
        used = protected(browser, capture, **SMALL, share=share)["frame"]["radius"] == sphere.radius
        assert used == (share != "camera" or source == "given")


def test_a_sphere_of_no_known_source_is_refused(browser, ball):
    frames = [offered(browser, frame, index) for index, frame in enumerate(ball.frames)]
    sphere = {"center": BALL_CENTER.tolist(), "radius": 2.5, "source": "hull"}
    assert "the source of its sphere, is not on our list" in refusal(browser, frames, sphere=sphere)


def test_a_real_capture_becomes_pythons_bundle(browser, shared_captures):
    """Of `lps` six values in ten thousand are off by one: means of 64 pixels often lie half-way."""
    lps = read_capture(shared_captures / "lps")
    assert compared(browser, lps) <= 2e-3
    frames = tuple(
        replace(frame, camera=replace(frame.camera, distortion=np.array([-0.1, 0.05, 0.003, -0.002, 0.01])))
        for frame in lps.frames[::3]
    )
    assert compared(browser, replace(lps, frames=frames, sphere=None)) <= 2e-3
    # From 256 pixels on both blur first.
    assert compared(browser, replace(lps, frames=lps.frames[::3]), resolution=256) <= 2e-3


def test_photographs_as_cameras_write_them(browser, ball, tmp_path):
    """JPEGs with an EXIF orientation; alpha for a mask, of 8 and 16 bits; grey; sizes that do not divide."""
    frames = []
    for index, frame in enumerate(ball.frames):
        camera = frame.camera.resized(150, 115)
        picture = cv2.resize(cv2.imread(str(frame.image)), (150, 115))
        mask = cv2.resize(cv2.imread(str(frame.mask), cv2.IMREAD_GRAYSCALE), (150, 115))
        path, own = tmp_path / f"{index}.png", None
        if index % 4 == 0:
            path, own = tmp_path / f"{index}.jpg", tmp_path / f"{index}-mask.jpg"
            cv2.imwrite(str(own), mask)
            kinds, exif = [cv2.IMAGE_METADATA_EXIF], turned_exif(1 + index)
            path.write_bytes(cv2.imencodeWithMetadata(".jpg", picture, kinds, [exif])[1].tobytes())
        elif index % 4 == 1:
            cv2.imwrite(str(path), np.dstack([picture, mask]))
        elif index % 4 == 2:
            cv2.imwrite(str(path), np.dstack([picture, mask]).astype(np.uint16) * 257)
        else:
            own = tmp_path / f"{index}-mask.png"
            cv2.imwrite(str(path), picture[:, :, 1])
            cv2.imwrite(str(own), mask)
        frames.append(replace(frame, camera=camera, image=path, mask=own))
    assert compared(browser, replace(ball, frames=tuple(frames)), **SMALL) <= 1e-3


def turned_exif(orientation: int) -> np.ndarray:
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    block = b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)
    return np.frombuffer(block, np.uint8).reshape(1, -1)


@pytest.mark.parametrize("share", ["outline", "camera"])
def test_the_stronger_ways_know_nothing_inside_the_outline(browser, ball, tmp_path, share):
    frames = []
    for index, frame in enumerate(ball.frames):
        noise = np.random.default_rng(index).integers(0, 256, (96, 96, 3), dtype=np.uint8)
        neutral = frame.role is Role.NEUTRAL
        cv2.imwrite(str(tmp_path / f"{index}.png"), cv2.imread(str(frame.image)) if neutral else noise)
        frames.append(replace(frame, image=tmp_path / f"{index}.png"))
    other = replace(ball, frames=tuple(frames))
    one = protected(browser, ball, **SMALL, share=share)["bytes"]
    assert one == protected(browser, other, **SMALL, share=share)["bytes"]
    assert protected(browser, ball, **SMALL)["bytes"] != protected(browser, other, **SMALL)["bytes"]


def test_noise_and_gains_are_drawn_anew(browser, ball):
    """Each view has a gain of its own, noise has the size that is told, and none of it can be drawn again."""
    plain = decode(protected(browser, ball, **SMALL, bits=16)["bytes"])
    settings = SMALL | {"bits": 16, "gain": 0.5}
    one, two = (protected(browser, ball, **settings)["bytes"] for _ in range(2))
    assert one != two
    gains = []
    for before, after in zip(plain.frames, decode(one).frames, strict=True):
        np.testing.assert_array_equal(before.shared(), after.shared())
        if before.role is Role.SENSITIVE:
            bright = before.values() > 0.02
            ratio = after.values()[bright] / before.values()[bright]
            np.testing.assert_allclose(ratio, np.median(ratio), rtol=5e-3)
            gains.append(round(float(np.median(ratio)), 3))
    assert len(set(gains)) >= 3  # of five draws two may agree to three digits, once in fifty
    assert 0.49 < min(gains) <= max(gains) < 1.01
    noisy = decode(protected(browser, ball, **SMALL, bits=16, noise=0.01)["bytes"])
    assert (noisy.noise, noisy.gain, decode(one).gain) == (0.01, False, True)
    pairs = [pair for pair in zip(plain.frames, noisy.frames, strict=True) if pair[0].role is Role.SENSITIVE]
    added = np.concatenate([(b.values() - a.values())[a.values() > 0.04] for a, b in pairs])
    assert np.std(added) == pytest.approx(0.01, rel=0.15)


def test_the_protection_sends_stores_and_says_nothing():
    """No module of it knows a network, a store or a console; what is sent, the page sends."""
    words = r"\b(fetch|XMLHttpRequest|WebSocket|EventSource|sendBeacon|indexedDB|caches|console|\w+Storage)\b"
    modules = sorted((PAGE / "protect").glob("*.js"))
    assert len(modules) > 20
    for module in modules:
        assert re.findall(words, module.read_text(encoding="utf-8")) == [], module.name


def test_draws_are_gaussian(browser):
    text = browser.ask(
        "const { gaussianDraws } = await import('/page/protect/draws.js');"
        "return base64(gaussianDraws(200000));"
    )
    drawn = array_of(text, np.float64)
    moments = [drawn.mean(), drawn.std(), (drawn**3).mean(), (drawn**4).mean()]
    np.testing.assert_allclose(moments, [0, 1, 0, 3], atol=0.1)
    assert len(np.unique(drawn)) == drawn.size


def test_what_leaves_a_worker(browser, ball):
    """Of a sensitive photograph a preview, its mask and σ, withheld: nothing that has its colours."""
    frames = [offered(browser, frame, index) for index, frame in enumerate(ball.frames)]
    said = browser.ask(
        """
        const said = [];
        const { Protector } = await import('/page/protect/protector.js');
        const protector = new Protector(() => {
          const worker = new Worker('/page/protect/worker.js', { type: 'module' });
          worker.addEventListener('message', ({ data }) => said.push(data.result));
          return worker;
        });
        for (const one of frames) await protector.reduce(await frameOf(one), { resolution: 32 });
        protector.close();
        return said.map(({ small, preview, ...more }) => ({
          role: small.role, more: Object.keys(more), small: Object.keys(small).sort(),
          codes: small.codes?.length ?? 0, sigma: small.sigma && base64(small.sigma),
          shared: small.shared && base64(small.shared), preview: base64(preview.data) }));
        """,
        frames=frames,
    )
    assert len(said) == 8
    for one in said:
        assert one["more"] == []
        assert one["small"] == ["camera", "codes", "mask", "name", "role", "shared", "sigma"]
        if one["role"] == "neutral":
            assert (one["codes"], one["sigma"]) == (32 * 32 * 3, None)
            continue
        sigma, shared = array_of(one["sigma"], np.float32), array_of(one["shared"], np.uint8)
        assert one["codes"] == 0
        assert 0 < shared.sum() < 32 * 32 == sigma.size
        assert not sigma[shared == 0].any()
        preview = array_of(one["preview"], np.uint8, 32 * 32, 4)
        grey = np.rint(sigma.astype(np.float64) / sigma.max() * 255)
        np.testing.assert_allclose(
            preview[shared == 1, :3], np.stack([grey[shared == 1]] * 3, axis=1), atol=1
        )
        assert (preview[shared == 0, :3] == (60, 90, 140)).all()


def refusal(browser: Browser, frames: list[dict[str, Any]], **settings: Any) -> str:
    """The sentence by which the page refuses; frames may say `drawn`, a mask's data, in place of `mask`."""
    text = browser.ask(
        """
        const protector = await sameProtector();
        return refusal(async () => {
          const reduced = await Promise.all(
            frames.map(async (one) => protector.reduce(await frameOf(one), settings)));
          await protector.bundle(reduced.map(({ id }) => id), settings);
        });
        """,
        frames=frames,
        settings=SMALL | settings,
    )
    assert text is not None
    assert text.endswith(".")
    assert "\n" not in text
    return text


def picture(browser: Browser, name: str, pixels: np.ndarray) -> str:
    browser.files[name] = cv2.imencode(".png", pixels)[1].tobytes()
    return name


def test_bad_frames_are_named(browser, ball):
    """The same refusals as Python's, each naming the file, on the user's own screen."""
    frames = [offered(browser, frame, index) for index, frame in enumerate(ball.frames)]
    name = frames[2]["file"]
    white = np.full((96, 96), 255, np.uint8)
    browser.files["cut.png"] = browser.files[name][:200]
    browser.files["broken.jpg"] = b"\xff\xd8\xff\xe0\0\x04ab\xff\xd9"

    def says(text: str, settings: Any = None, **changes: Any) -> None:
        assert text in refusal(browser, [*frames[:2], frames[2] | changes, *frames[3:]], **(settings or {}))

    says(f"the sensitive photograph {name} has no mask", mask=None)
    says(f"the neutral photograph {name} has no mask", mask=None, role="neutral")
    says("the mask of m.png is empty", mask=picture(browser, "m.png", white // 255))
    says("the mask of w.png is white all over", mask=picture(browser, "w.png", white))
    says(
        "m.png is 64 x 96, but its intrinsics are for 96 x 96", mask=picture(browser, "m.png", white[:, :64])
    )
    coloured = np.dstack([np.eye(96, dtype=np.uint8) * 255, white, white])
    says("the mask c.png is coloured", mask=picture(browser, "c.png", coloured))
    says(f"the mask of {name} is empty", drawn={"width": 96, "height": 96, "data": [0] * 96 * 96})
    says(f"the mask of {name} is 95 x 96", drawn={"width": 95, "height": 96, "data": [9] * 95 * 96})
    says(f"the mask of {name} does not have the size", drawn={"width": 96, "height": 96, "data": [9] * 96})
    says("cut.png is cut short", file="cut.png")
    says("broken.jpg cannot be decoded", file="broken.jpg")
    says("p.png is 96 x 80, but", file=picture(browser, "p.png", white[:80]))
    says("is neither neutral nor sensitive", role="rear")
    camera = frames[2]["camera"]
    says("is not finite", camera=camera | {"K": [float("nan"), *camera["K"][1:]]})
    says(
        "is not finite",
        camera=camera
        | {"camFromWorld": [*camera["camFromWorld"][:3], float("inf"), *camera["camFromWorld"][4:]]},
    )
    says(
        "is scaled or sheared",
        camera=camera | {"camFromWorld": [2 * x for x in camera["camFromWorld"][:15]] + [1]},
    )
    says(
        "is mirrored",
        camera=camera
        | {"camFromWorld": [-x for x in camera["camFromWorld"][:4]] + camera["camFromWorld"][4:]},
    )
    says("lies on its side", camera=camera | {"width": 80}, file=picture(browser, "s.png", white[:80]))
    dot = np.zeros((96, 96), np.uint8)
    dot[40:46, 40:46] = 255
    says(f"{name} is all outline at 32 pixels", mask=picture(browser, "dot.png", dot))
    says("is inside the bounding sphere", settings={"radius": 100})
    away = list(camera["camFromWorld"])
    for row in (3, 7, 11):
        away[row] *= 1e6
    sphere = {"center": BALL_CENTER.tolist(), "radius": 2.5}
    says("less than a pixel wide", camera=camera | {"camFromWorld": away}, settings=sphere)
    says("cameras see anything of the bounding sphere", settings={"center": [500, 0, 0], "radius": 5})


def test_bad_settings_and_roles(browser, ball):
    frames = [offered(browser, frame, index) for index, frame in enumerate(ball.frames)]

    def labelled(*neutral: int) -> list[dict[str, Any]]:
        return [
            one | {"role": "neutral" if index in neutral else "sensitive"} for index, one in enumerate(frames)
        ]

    assert "all frames are neutral" in refusal(browser, labelled(*range(8)))
    assert "one neutral frame is too few" in refusal(browser, labelled(4))
    assert "2 sensitive frames are too few" in refusal(browser, labelled(*range(6)))
    for given, says in (
        ({"resolution": 8}, "the resolution 8 is not 16 to 512"),
        ({"resolution": 128}, "fewer than the resolution 128"),
        ({"bits": 17}, "17 bits are not 1 to 16"),
        ({"noise": 2}, "the noise 2 is not 0 to 1"),
        ({"noise": float("nan")}, "the noise"),
        ({"gain": 0}, "the gain 0 is not 0.1 to 1"),
        ({"share": "outline", "shareMasks": False}, "share masks"),
        ({"share": "outline", "noise": 0.1}, "noise and gain have nothing to act on"),
        ({"share": "all"}, "none of modulus, outline, camera"),
        ({"operator": "identity"}, "there is no operator 'identity'"),
        ({"operator": "log", "blur": 0}, "give it a blur above 0"),
        ({"blur": 9}, "the blur 9 is neither 0 nor 0.25 to 8"),
        ({"unit": "parsec"}, "the unit 'parsec' is not one of"),
        ({"radius": -1}, "the radius is not a positive number"),
        ({"center": [0, 0, 1e300]}, "the center is not three finite numbers"),
        ({"rgb": True}, "there is no setting 'rgb'"),
    ):
        assert says in refusal(browser, frames, **given)
    assert "share outlines" in refusal(browser, labelled(), share="camera")


def test_what_was_forgotten_or_protected_otherwise(browser, ball):
    """Ids that are gone, twice there or of other settings; noise is drawn once for all bundles."""
    frames = [offered(browser, frame, index) for index, frame in enumerate(ball.frames)]
    says = browser.ask(
        """
        const protector = await newProtector();
        const settings = { resolution: 32, noise: 0.01 };
        const reduced = await Promise.all(
          frames.map(async (one) => protector.reduce(await frameOf(one), settings)));
        const ids = reduced.map(({ id }) => id);
        const [one, two] = [await protector.bundle(ids, settings), await protector.bundle(ids, settings)];
        const said = [one.digest === two.digest];
        said.push(await refusal(() => protector.bundle(ids, { ...settings, bits: 4 })));
        said.push(await refusal(() => protector.bundle([...ids, ids[0]], settings)));
        protector.forget(ids[0]);
        said.push(await refusal(() => protector.bundle(ids, settings)));
        const late = await frameOf(frames[0]);
        const asked = refusal(() => protector.look(new File(['x'], 'x.jpg')));
        protector.close();
        said.push(await asked, await refusal(() => protector.reduce(late, settings)), one.summary);
        return said;
        """,
        frames=frames,
    )
    assert says[0] is True
    wanted = (
        "was protected with other settings",
        "twice",
        "no longer there",
        "closed before",
        "was closed; open it",
    )
    for text, part in zip(says[1:6], wanted, strict=True):
        assert part in text
    assert says[6][0].startswith(
        "Of 5 sensitive photographs: gradient magnitudes only (sobel, 32 pixels, 8 bits, noise 0.01)"
    )


def test_a_look_is_the_stored_picture_made_small(browser, ball):
    large = cv2.resize(cv2.imread(str(ball.frames[0].image)), (1200, 900))
    exif = turned_exif(6)
    encoded = cv2.imencodeWithMetadata(".jpg", large, [cv2.IMAGE_METADATA_EXIF], [exif])[1]
    browser.files["large.jpg"] = encoded.tobytes()
    told = browser.ask(
        """
        const { missingFeatures } = await import('/page/protect/protector.js');
        const { width, height, bitmap } = await (await sameProtector()).look(await fileOf('large.jpg'));
        const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
        context.drawImage(bitmap, 0, 0);
        const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
        const small = [bitmap.height, bitmap.width];
        return { width, height, small, data: base64(data), missing: missingFeatures() };
        """
    )
    assert (told["width"], told["height"], told["small"], told["missing"]) == (1200, 900, [384, 512], [])
    small = cv2.resize(
        cv2.imdecode(encoded, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION),
        (512, 384),
        interpolation=cv2.INTER_AREA,
    )
    found = array_of(told["data"], np.uint8, 384, 512, 4)[:, :, :3]
    assert np.abs(found.astype(int) - small[:, :, ::-1]).max() <= 1


def test_the_way_back(browser):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(50, 3)).astype(np.float32)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    frame = {"center": [1.0, -2.0, 3.0], "radius": 4.5, "rotation": rotation.tolist()}
    text = browser.ask(
        "const { toWorld } = await import('/page/protect/way_back.js');"
        "return base64(toWorld(unpacked(points, Float32Array), frame));",
        points=text_of(points),
        frame=frame,
    )
    wanted = np.array([1.0, -2.0, 3.0]) + 4.5 * points.astype(np.float64) @ rotation.T
    np.testing.assert_allclose(array_of(text, np.float32, 50, 3), wanted, rtol=1e-5, atol=1e-5)
