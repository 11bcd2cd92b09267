"""The bundle: same input, same bytes; each rule of the verifier, one by one."""

import copy
import hashlib
import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from bundle_rules import decoded, violations
from mutated_bundles import repacked, sample_bundle
from sansface.capture import Camera, Role
from sansface.errors import SansfaceError
from sansface.protect import bundle as module
from sansface.protect.bundle import BundleError, bundle_bytes, decode, read_bundle, write_bundle
from sansface.protect.contents import Bundle, Share
from sansface.protect.describe import describe, summary
from sansface.protect.operators import operator
from sansface.protect.sheet import contact_sheet

DATA = sample_bundle()
SENSITIVE = "frames/002.image"


@pytest.mark.parametrize("bits", [8, 16])
def test_reading_gives_back_what_was_written(tmp_path, bits):
    data = sample_bundle(bits)
    assert violations(data) == []
    bundle = decode(data)
    write_bundle(bundle, tmp_path / "head.sfb")
    again = read_bundle(tmp_path / "head.sfb")
    assert (tmp_path / "head.sfb").read_bytes() == data == bundle_bytes(again)
    assert (again.bits, again.resolution, again.unit, again.sphere_source) == (bits, 24, "mm", "masks")
    assert (again.radius, again.center.tolist(), again.operator.name) == (3.5, [0, 1, 2], "sobel")
    told = decoded(data)["arrays"]
    for index, frame in enumerate(again.frames):
        np.testing.assert_array_equal(frame.image, told[f"frames/{index:03d}.image"])
        np.testing.assert_array_equal(frame.mask, told[f"frames/{index:03d}.mask"])


def test_what_the_first_schema_can_say_has_the_bytes_that_it_always_had():
    """Older bundles are read, and older readers read ours. These are the bytes of version 0.1.0."""
    first = {
        8: "60c5abcb61f1687efa21975d1e935f6188c63de92217693fe03cd082792c6eb1",
        16: "3c6cbf572f50fd7ebfa9fd161f7a31f9b6dc8b902e8bee87b171b59851a5aa37",
    }
    for bits, sha in first.items():
        assert hashlib.sha256(sample_bundle(bits)).hexdigest() == sha
        assert decode(sample_bundle(bits)).schema == 1


STRONG = [
    {"bits": 1},
    {"bits": 12},
    {"noise": 0.05},
    {"gain": True},
    {"sigma": operator("sobel", 0.5)},
    {"sigma": operator("roberts")},
    {"sigma": operator("structure", 0.5)},
    {"sigma": operator("log"), "bits": 4, "noise": 0.01, "gain": True},
]


@pytest.mark.parametrize("strong", STRONG)
def test_the_second_schema_says_operators_and_strengths(strong):
    data = sample_bundle(size=40, **strong)
    assert violations(data) == []
    bundle = decode(data)
    assert bundle_bytes(bundle) == data
    assert bundle.schema == 2
    sigma = strong.get("sigma", operator("sobel"))
    assert bundle.operator.parameters() == sigma.parameters()
    told = (bundle.bits, bundle.noise, bundle.gain)
    assert told == (strong.get("bits", 8), strong.get("noise", 0.0), strong.get("gain", False))
    words = describe(bundle)
    assert (f"{bundle.noise:g} a pixel" in words) == ("noise" in strong)
    assert ("not told" in words) == ("gain" in strong)
    assert (f"after a blur of {sigma.blur:g}" in words) == (sigma.blur > 0)


def sharing(share: Share) -> Bundle:
    """The sample with less of its sensitive frames."""
    bundle = decode(DATA)
    frames = tuple(
        frame
        if frame.role is Role.NEUTRAL
        else replace(
            frame,
            image=np.zeros_like(frame.image),
            scale=1.0,
            mask=frame.mask if share is Share.OUTLINE else None,
        )
        for frame in bundle.frames
    )
    return replace(bundle, frames=frames, share=share, scale=1.0)


@pytest.mark.parametrize("share", [Share.OUTLINE, Share.CAMERA])
def test_the_third_schema_says_that_there_is_no_modulus(share):
    bundle = sharing(share)
    data = bundle_bytes(bundle)
    assert violations(data) == []
    again = decode(data)
    assert (again.schema, again.share) == (3, share)
    assert bundle_bytes(again) == data
    assert not any(frame.shared().any() for frame in again.frames if frame.role is Role.SENSITIVE)
    words = f"{describe(again)} {summary(again)}"
    assert ("outline only" in words) == (share is Share.OUTLINE)
    assert ("camera only" in words) == (share is Share.CAMERA)
    assert "gradient magnitudes" not in words


@pytest.mark.parametrize(
    ("share", "changes", "says"),
    [
        (Share.OUTLINE, lambda b: {"frames": decode(DATA).frames}, "and there is some"),
        (Share.CAMERA, lambda b: {"frames": decode(DATA).frames}, "some have none|and there is some"),
        (Share.OUTLINE, lambda b: {"noise": 0.1}, "and there is some"),
        (Share.CAMERA, lambda b: {"gain": True}, "and there is some"),
        (Share.OUTLINE, lambda b: {"frames": sharing(Share.CAMERA).frames}, "some have none"),
        (Share.CAMERA, lambda b: {"frames": sharing(Share.OUTLINE).frames}, "no outline of a sensitive"),
        (Share.CAMERA, lambda b: {"frames": b.frames[2:]}, "no neutral one"),
        (Share.CAMERA, lambda b: {"share": "camera "}, "none of"),
        (
            Share.OUTLINE,
            lambda b: {"frames": tuple(replace(f, mask=None) for f in b.frames)},
            "has no masks",
        ),
    ],
)
def test_what_is_not_to_be_shared_may_not_be_there(share, changes, says):
    bundle = sharing(share)
    with pytest.raises(BundleError, match=says):
        replace(bundle, **changes(bundle))


@pytest.mark.parametrize("name", ["sobel", "log", "structure"])
def test_the_outline_is_withheld_as_far_as_the_operator_sees(name):
    """A pixel at exactly the operator's reach from the outline is refused, the next one inwards is taken."""
    sigma = operator(name, 0.5)
    bundle = decode(sample_bundle(size=64, sigma=sigma))
    frame = bundle.frames[2]
    rows, columns = np.mgrid[:64, :64]
    mask = np.where((abs(rows - 32) < 20) & (abs(columns - 32) < 20), 255, 0).astype(np.uint8)
    image = np.zeros_like(frame.image)
    image[32, 51 - sigma.reach] = 9
    assert replace(frame, image=image, mask=mask).shared().sum() == 1
    image[32, 52 - sigma.reach] = 9
    with pytest.raises(BundleError, match="outline"):
        replace(frame, image=image, mask=mask)


def test_any_tool_can_open_it():
    with zipfile.ZipFile(io.BytesIO(DATA)) as archive:
        assert archive.testzip() is None
        assert archive.namelist()[-2:] == ["manifest.json", "manifest.sha256"]


@pytest.mark.parametrize("bits", [1, 3, 8, 12, 16])
def test_values_and_what_is_shared(bits):
    bundle = decode(sample_bundle(bits))
    top = np.iinfo(bundle.frames[0].image.dtype).max
    neutral, sensitive = bundle.frames[0], bundle.frames[2]
    np.testing.assert_allclose(neutral.values(), neutral.image / top, atol=1e-7)
    assert neutral.shared().all()
    codes = sensitive.image.astype(np.float64)
    steps = {1: 1, 3: 7, 8: 254, 12: 4095, 16: 65534}[bits]
    expected = np.where(codes == 0, 0, (codes - 1) / steps * 0.5)
    assert codes.max() <= steps + 1
    np.testing.assert_allclose(sensitive.values(), expected, atol=1e-7)
    np.testing.assert_array_equal(sensitive.shared(), codes != 0)


def test_a_sensitive_frame_has_one_channel():
    frame = decode(DATA).frames[2]
    with pytest.raises(BundleError, match="more than one channel"):
        replace(frame, image=np.repeat(frame.image[:, :, None], 3, axis=2))


def test_a_sensitive_frame_has_no_value_at_the_outline():
    frame = decode(DATA).frames[2]
    image = np.array(frame.image)
    row = 12
    image[row, np.flatnonzero(frame.mask[row] == 255)[0]] = 9
    with pytest.raises(BundleError, match="outline"):
        replace(frame, image=image)
    assert replace(frame, image=image, mask=None).mask is None  # without masks nobody can tell


def test_a_neutral_frame_has_no_background():
    frame = decode(DATA).frames[0]
    image = np.array(frame.image)
    image[0, 0, 1] = 1
    with pytest.raises(BundleError, match="outside its mask"):
        replace(frame, image=image)


def camera_with(frame, **changes):
    camera = frame.camera
    fields = {
        "K": camera.K,
        "width": camera.width,
        "height": camera.height,
        "cam_from_world": camera.cam_from_world,
    }
    return Camera(**(fields | changes))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"cam_from_world": np.eye(4)}, "inside the unit sphere"),
        ({"distortion": np.array([0.1, 0, 0, 0, 0])}, "distortion"),
        ({"K": np.array([[1e9, 0, 12], [0, 1e9, 12], [0, 0, 1]])}, "proportion"),
        ({"width": 20}, "unlike its camera"),
    ],
)
def test_cameras_that_do_not_fit(changes, says):
    frame = decode(DATA).frames[2]
    with pytest.raises(BundleError, match=says):
        replace(frame, camera=camera_with(frame, **changes))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (lambda b: {"frames": b.frames[:2]}, "no sensitive frame"),
        (lambda b: {"frames": ()}, "0 frames"),
        (lambda b: {"frames": (replace(b.frames[0], mask=None), *b.frames[1:])}, "share all masks or none"),
        (lambda b: {"resolution": 23}, "declared resolution"),
        (lambda b: {"resolution": 4096}, "resolution 4096"),
        (lambda b: {"bits": 16}, "16 bits"),
        (lambda b: {"bits": 12}, "12 bits"),
        (lambda b: {"noise": 1.5}, "noise 1.5"),
        (lambda b: {"noise": float("nan")}, "noise nan"),
        (lambda b: {"operator": operator("sobel", 1.0)}, "reach"),
        (lambda b: {"scale": 0.25}, "unlike the bundle's"),
        (lambda b: {"unit": "ward"}, "unit"),
        (lambda b: {"sphere_source": "guess"}, "source of its sphere"),
        (lambda b: {"radius": float("nan")}, "sphere"),
        (lambda b: {"center": np.array([0, np.inf, 0])}, "sphere"),
        (lambda b: {"operator": replace(operator("sobel"), kernel_x=operator("scharr").kernel_x)}, "unlike"),
    ],
)
def test_bundles_that_cannot_be(changes, says):
    bundle = decode(DATA)
    with pytest.raises(SansfaceError, match=says):
        replace(bundle, **changes(bundle))


def test_scale_and_withheld_rules():
    bundle = decode(DATA)
    frame = bundle.frames[2]
    for scale in (0.0, 0.3, 3.0, -0.5):
        with pytest.raises(BundleError, match="multiple of 1/256"):
            replace(frame, scale=scale)
    withheld = tuple(
        replace(one, image=np.zeros_like(one.image)) if one is frame else one for one in bundle.frames
    )
    with pytest.raises(BundleError, match="wholly withheld"):
        replace(bundle, frames=withheld)
    with pytest.raises(BundleError, match="scale other than 1"):
        replace(decode(DATA).frames[0], scale=0.5)


def test_codes_beyond_their_bits():
    frame = decode(sample_bundle(4)).frames[2]
    image = np.array(frame.image)
    image[12, 12] = 17
    with pytest.raises(BundleError, match="4 bits cannot say"):
        replace(frame, image=image)
    for bits in (0, 17, -1):
        with pytest.raises(BundleError, match="1 to 16"):
            replace(frame, bits=bits)
    with pytest.raises(BundleError, match="unlike the declared 9 bits"):
        replace(frame, bits=9)


def refusal(data: bytes) -> str:
    with pytest.raises(BundleError) as caught:
        decode(data)
    text = str(caught.value)
    assert "\n" not in text
    assert text.endswith(".")
    return text


def rezipped(method=zipfile.ZIP_STORED, extra=(), rename=None, comment=b"") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(DATA)) as source, zipfile.ZipFile(out, "w", method) as target:
        for info in source.infolist():
            name = (rename or {}).get(info.filename, info.filename)
            target.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), source.read(info), method)
        for name, content in extra:
            target.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, method)
        target.comment = comment
    return out.getvalue()


def test_compressed_members_and_bombs_are_refused_unopened():
    assert "compressed" in refusal(rezipped(zipfile.ZIP_DEFLATED))
    assert "compressed" in refusal(rezipped(zipfile.ZIP_DEFLATED, [("bomb", bytes(50 << 20))]))
    assert "larger than" in refusal(bytes(module.MAX_BYTES + 1))


def test_declared_and_real_sizes_must_agree():
    data = bytearray(DATA)
    entry = data.index(b"PK\x01\x02")
    data[entry + 20 : entry + 28] = (1 << 30).to_bytes(4, "little") * 2  # both sizes of the first member
    assert "more than the file holds" in refusal(bytes(data))
    data = bytearray(DATA)
    second = data.index(b"PK\x01\x02", entry + 4)
    data[second + 42 : second + 46] = (0).to_bytes(
        4, "little"
    )  # the second member starts where the first does
    assert "overlaps" in refusal(bytes(data))
    data = bytearray(DATA)
    data[-12:-10] = (60000).to_bytes(2, "little")
    data[-14:-12] = (60000).to_bytes(2, "little")
    assert "60000 members" in refusal(bytes(data))


@pytest.mark.parametrize("name", ["/etc/passwd", "../secret", "frames/../../x", "C:\\x", "\\\\host\\x"])
def test_absolute_and_parent_paths(name):
    assert "absolute or parent path" in refusal(rezipped(rename={SENSITIVE: name}))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_unknown_and_missing_and_doubled_members():
    assert "unknown member 'note.txt'" in refusal(rezipped(extra=[("note.txt", b"")]))
    assert "no member frames/002.image" in refusal(rezipped(rename={SENSITIVE: "frames/900.image"}))
    assert "no member manifest.json" in refusal(rezipped(rename={"manifest.json": "manifest.txt"}))
    assert "twice" in refusal(rezipped(extra=[(SENSITIVE, b"")]))
    assert "end is missing" in refusal(rezipped(comment=b"hello"))
    assert "not a zip" in refusal(b"")
    assert "not a zip" in refusal(b"\x89PNG" + bytes(100))


def test_what_hides_outside_of_the_contents_is_found():
    assert "do not account for" in refusal(rezipped())  # other attributes, all hashes right
    data = bytearray(DATA)
    data[10] ^= 1  # the time in the first local header
    assert "do not account for" in refusal(bytes(data))


def test_wrong_hashes():
    data = bytearray(DATA)
    data[60] ^= 1
    assert "frames/000.image does not have the SHA-256" in refusal(bytes(data))
    at = data.index(b'"bits":8')
    data = bytearray(DATA)
    data[at + 7 : at + 8] = b"9"
    assert "manifest does not have the SHA-256" in refusal(bytes(data))


TRUTH = decoded(DATA)


def rewritten(change) -> bytes:
    manifest = copy.deepcopy(TRUTH["manifest"])
    arrays = {name: array.tobytes() for name, array in TRUTH["arrays"].items()}
    change(manifest, arrays)
    return repacked(manifest, arrays)


def test_rewriting_nothing_is_the_identity():
    assert rewritten(lambda manifest, arrays: None) == DATA


def in_frame(index, *path, value):
    def change(manifest, arrays):
        target = manifest["frames"][index]
        for key in path[:-1]:
            target = target[key]
        target[path[-1]] = value

    return change


def three_channels(manifest, arrays):
    manifest["frames"][2]["image"]["shape"] = [24, 24, 3]
    arrays[SENSITIVE] *= 3


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (three_channels, "shape [24, 24, 3], but its role and camera ask for [24, 24]"),
        (in_frame(2, "camera", "width", value=25), "width 25 is not a whole number from 1 to 24"),
        (in_frame(2, "camera", "height", value=True), "height True"),
        (in_frame(2, "camera", "K", 0, 0, value=float("nan")), "non-finite"),
        (in_frame(2, "camera", "K", 0, 0, value=90), "not a number with a decimal point"),
        (in_frame(2, "camera", "K", value=[[1.0]]), "numbers of shape (3, 3)"),
        (in_frame(2, "camera", "cam_from_world", value=np.zeros((4, 4)).tolist()), "last row"),
        (in_frame(2, "camera", "cam_from_world", value=np.diag([1.0, 1, -1, 1]).tolist()), "mirrored"),
        (in_frame(2, "camera", "cam_from_world", value=np.diag([1.0, 1, 0, 1]).tolist()), "singular"),
        (in_frame(2, "camera", "lens", value="50 mm"), "unknown key 'lens'"),
        (in_frame(2, "role", value="rear"), "neither neutral nor sensitive"),
        (in_frame(2, "role", value="neutral"), "ask for [24, 24, 3]"),
        (in_frame(2, "image", "dtype", value="float64"), "not uint8 or uint16"),
        (in_frame(2, "image", "dtype", value="uint16"), "576 bytes where 1152 are declared"),
        (in_frame(2, "mask", value=None), "unknown member 'frames/002.mask'"),
        (lambda m, a: m.update(note="x"), "unknown key 'note'"),
        (lambda m, a: m.pop("unit"), "lacks the key 'unit'"),
        (lambda m, a: m.update(schema=4), "schema version 4 is none of 1, 2, 3"),
        (lambda m, a: m.update(schema=3), "schema 3 lacks the key"),
        (
            lambda m, a: m.update(schema=3, noise=0.0, gain=False, share="everything"),
            "what it shares, 'everything', is none of modulus, outline, camera",
        ),
        (lambda m, a: m.update(schema=3, noise=0.0, gain=False, share=["outline"]), "is none of modulus"),
        (lambda m, a: m.update(schema=3, noise=0.0, gain=False, share="outline"), "and there is some"),
        (lambda m, a: m.update(schema=2), "schema 2 lacks the key"),
        (lambda m, a: m.update(noise=0.1), "unknown key 'noise'"),
        (
            lambda m, a: m.update(schema=2, noise=0.0, gain=False),
            "do not account for",
        ),  # the first can say it
        (lambda m, a: m.update(schema=2, noise=-0.0, gain=False), "do not account for"),
        (lambda m, a: m.update(schema=2, noise=2.0, gain=True), "noise 2.0"),
        (lambda m, a: m.update(schema=2, noise=0.1, gain=1), "neither true nor false"),
        (lambda m, a: m.update(schema=2, noise=1, gain=True), "not a number with a decimal point"),
        (lambda m, a: m["operator"].update(blur=0.5), "outline"),
        (lambda m, a: m["operator"].update(blur=9.0), "the blur 9.0"),
        (lambda m, a: m["operator"].update(blur="wide"), "the blur wide"),
        (lambda m, a: m["operator"].update(window=1.0), "unlike ours"),
        (lambda m, a: m["operator"].update(name="log", blur=0.0), "blur above 0"),
        (lambda m, a: m.update(bits=17), "bits 17"),
        (lambda m, a: m.update(bits=4), "4 bits cannot say"),
        (lambda m, a: m.update(frames=[]), "1 to 500 frames"),
        (lambda m, a: m.update(bits=16), "16 bits"),
        (lambda m, a: m.update(scale=0.3), "multiple of 1/256"),
        (lambda m, a: m["operator"].update(border="wrap"), "unlike ours"),
        (lambda m, a: m["world_from_norm"].update(radius=-1.0), "positive radius"),
        (lambda m, a: m.update(unit="Jane Roe"), "is not a word"),
        (lambda m, a: a.update({SENSITIVE: bytes(576)}), "wholly withheld"),
        (lambda m, a: a.update({SENSITIVE: b"\1" * 576}), "outline"),
    ],
)
def test_contents_that_are_refused_though_every_hash_is_right(change, says):
    data = rewritten(change)
    assert says in refusal(data)


def test_the_file_is_named(tmp_path):
    (tmp_path / "head.sfb").write_bytes(b"PK")
    with pytest.raises(BundleError, match=r"head\.sfb is refused"):
        read_bundle(tmp_path / "head.sfb")
    with pytest.raises(BundleError, match=r"none\.sfb"):
        read_bundle(tmp_path / "none.sfb")
    with pytest.raises(BundleError):
        read_bundle(tmp_path)


def test_a_bundle_that_would_be_too_large_is_not_written(monkeypatch):
    bundle = decode(DATA)
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    with pytest.raises(BundleError, match="lower the resolution"):
        bundle_bytes(bundle)


def test_it_is_described_and_shown():
    bundle = decode(DATA)
    text = describe(bundle)
    for part in (
        "2 neutral",
        "3 sensitive",
        "24 x 24",
        "sobel",
        "8 a value",
        "mm",
        f"{len(DATA):,} bytes",
        "shared",
    ):
        assert part in text
    hidden = replace(bundle, frames=tuple(replace(frame, mask=None) for frame in bundle.frames))
    assert "not shared" in describe(hidden)
    sheet = contact_sheet(bundle)
    assert sheet.dtype == np.uint8
    assert sheet.shape == (24, 5 * 26 - 2, 3)
    neutral = np.rint(bundle.frames[0].values() * 255)
    np.testing.assert_array_equal(sheet[:, :24], neutral)
    assert bundle.frames[0].role is Role.NEUTRAL
