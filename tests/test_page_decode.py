"""Pictures decoded in the browser against Python's decoder: stored pixels, neither turned nor converted."""

import struct
import zlib
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest

from browser import Browser, array_of, chromium
from sansface.photographs.decode import decode

Image = pytest.importorskip("PIL.Image")

DECODED = """
const { decodePicture } = await import('/page/protect/decode.js');
const { rows, close, ...told } = await decodePicture(await fileOf(name), 'photograph');
const data = base64(rows(0, told.height));
close();
return { ...told, data };
"""
PLAIN = """
const bitmap = await createImageBitmap(await fileOf(name));
const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
const context = canvas.getContext('2d');
context.drawImage(bitmap, 0, 0);
const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
return { width: bitmap.width, height: bitmap.height, data: base64(data) };
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


def profile() -> bytes:
    """An ICC profile whose red is sRGB's blue and whose blue is its red: no eye overlooks it if applied."""

    def numbers(*values: float) -> bytes:
        return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))

    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(78),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": b"XYZ \0\0\0\0" + numbers(0.9642, 1, 0.8249),
        b"rXYZ": b"XYZ \0\0\0\0" + numbers(0.1431, 0.0606, 0.7141),
        b"gXYZ": b"XYZ \0\0\0\0" + numbers(0.3851, 0.7169, 0.0971),
        b"bXYZ": b"XYZ \0\0\0\0" + numbers(0.4361, 0.2225, 0.0139),
    }
    tags |= {key: b"curv\0\0\0\0" + struct.pack(">IH", 1, 310) for key in (b"rTRC", b"gTRC", b"bTRC")}
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += name + struct.pack(">II", 132 + 12 * len(tags) + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    size = 128 + len(table) + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"none", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    return head + bytes(12) + b"acsp" + bytes(28) + numbers(0.9642, 1, 0.8249) + bytes(48) + table + body


def smooth(seed: int, channels: int, blur: float) -> np.ndarray:
    """(97, 130, channels) uint8 of every brightness, as smooth as photographs are."""
    noise = np.random.default_rng(seed).random((97, 130, channels), dtype=np.float32)
    values = cv2.GaussianBlur(noise, (0, 0), blur).reshape(noise.shape)
    return ((values - values.min()) / np.ptp(values) * 255).astype(np.uint8)


@cache
def pictures() -> dict[str, bytes]:
    """Files of many kinds, by name."""
    rgb = Image.fromarray(smooth(0, 3, 3))
    grey, few = rgb.convert("L"), rgb.quantize(12)
    rgba = rgb.copy()
    rgba.putalpha(Image.fromarray(smooth(1, 1, 5)[:, :, 0]))
    kinds = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}
    asked = {}
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        asked |= {f"turned-{orientation}.{kind}": (rgb, {"exif": exif}) for kind in kinds}
    asked |= {f"profile.{kind}": (rgb, {"icc_profile": profile()}) for kind in kinds}
    asked |= {
        f"quality-{q}-{s}.jpg": (rgb, {"quality": q, "subsampling": s}) for q in (50, 95) for s in (0, 1, 2)
    }
    asked |= {
        "progressive.jpg": (rgb, {"progressive": True, "icc_profile": profile()}),
        "rgb.jpg": (rgb, {"keep_rgb": True}),
        "cmyk.jpg": (rgb.convert("CMYK"), {}),
        "grey.jpg": (grey, {}),
        "grey.png": (grey, {}),
        "grey-key.png": (grey, {"transparency": 100}),
        "grey-alpha.png": (rgba.convert("LA"), {}),
        "one-bit.png": (rgb.convert("1"), {}),
        "palette.png": (rgb.quantize(200), {}),
        "palette-4.png": (few, {"bits": 4}),
        "palette-alpha.png": (few, {"bits": 4, "transparency": 3}),
        "key.png": (rgb, {"transparency": rgb.getpixel((4, 3))}),
        "alpha.png": (rgba, {}),
        "alpha.webp": (rgba, {"lossless": True, "exact": True}),
        "alpha-lossy.webp": (rgba, {}),
    }
    files = {}
    for name, (picture, options) in asked.items():
        stream = BytesIO()
        picture.save(stream, kinds[name.rpartition(".")[2]], **options)
        files[name] = stream.getvalue()
    rng = np.random.default_rng(2)
    for channels in (1, 3, 4):
        wide = rng.integers(0, 65536, (97, 130, channels), dtype=np.uint16)
        files[f"wide-{channels}.png"] = cv2.imencode(".png", wide)[1].tobytes()
    plain = files["alpha.png"]
    files["gamma.png"] = plain[:33] + chunk(b"gAMA", struct.pack(">I", 100000)) + plain[33:]
    for depth, colour, channels in ((8, 2, 3), (16, 6, 4), (2, 0, 1)):
        files[f"interlaced-{depth}.png"] = interlaced(13, 11, depth, colour, channels)
    return files


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def interlaced(width: int, height: int, depth: int, colour: int, channels: int) -> bytes:
    """A PNG of noise in Adam7's seven passes, each row with another filter."""
    rng, raw = np.random.default_rng(depth), b""
    for left, top, across, down in (
        (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
    ):  # fmt: skip
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        for row in range(rows):
            raw += bytes([row % 5]) + rng.bytes(-(-columns * channels * depth // 8))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 1)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_stored_pixels_are_pythons(browser, tmp_path):
    """Row c asks for 4 / 255 before σ. All are equal, but for one in CMYK and in WebP's alpha."""
    browser.files.update(pictures())
    for name, data in pictures().items():
        Path(tmp_path, name).write_bytes(data)
        ours = decode(tmp_path / name, "photograph", upright=False).astype(int)
        told = browser.ask(DECODED, name=name)
        most, shape = told["most"], (told["height"], told["width"], told["channels"])
        mine = array_of(told["data"], np.uint16 if most > 255 else np.uint8, *shape).astype(int)
        assert shape[:2] == ours.shape[:2], name
        own = mine[:, :, -1:] if told["alpha"] else np.full((*shape[:2], 1), most)
        other = ours[:, :, 3:] if ours.shape[2] == 4 else np.full((*shape[:2], 1), most)
        np.testing.assert_array_equal(own, other, err_msg=name)
        colour, wanted = mine[:, :, : 3 if shape[2] > 2 else 1], ours[:, :, :3][:, :, ::-1]
        off = np.abs((colour * own - wanted * other) / most).max()
        assert off <= (1 if name in ("cmyk.jpg", "alpha.webp", "alpha-lossy.webp") else 0), name


@pytest.mark.parametrize("name", ["turned-6.jpg", "profile.jpg", "profile.png"])
def test_left_to_itself_the_browser_turns_and_converts(browser, name):
    """So the files above are fit to show that it is kept from it."""
    browser.files.update(pictures())
    plain, stored = browser.ask(PLAIN, name=name), browser.ask(DECODED, name=name)
    if name.startswith("turned"):
        assert (plain["width"], plain["height"]) == (stored["height"], stored["width"])
        return
    one = array_of(plain["data"], np.uint8, 97, 130, 4)[:, :, :3].astype(int)
    other = array_of(stored["data"], np.uint8, 97, 130, stored["channels"])[:, :, :3].astype(int)
    assert np.abs(one - other).max() > 40


def test_strips_are_the_same_pixels(browser):
    """Pictures are read back some rows at a time, more or fewer than the canvas has."""
    browser.files["tall.jpg"] = cv2.imencode(".jpg", cv2.resize(smooth(4, 3, 3), (40, 700)))[1].tobytes()
    same = browser.ask(
        "const { decodePicture } = await import('/page/protect/decode.js');"
        "const picture = await decodePicture(await fileOf('tall.jpg'), 'photograph');"
        "const all = picture.rows(0, 700);"
        "return [[0, 1], [13, 300], [500, 200]].every(([top, count]) =>"
        " base64(picture.rows(top, count)) === base64(all.slice(160 * top, 160 * (top + count))));"
    )
    assert same


PNG = cv2.imencode(".png", smooth(5, 3, 1))[1].tobytes()
JPEG = cv2.imencode(".jpg", smooth(5, 3, 1))[1].tobytes()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "cannot be decoded"),
        (b"P5 nothing", "cannot be decoded"),
        (b"\xff\xd8\xff\xd9", "cannot be decoded"),
        (b"\0\0\0\x18ftypqt   more", "is a video"),
        (b"\x1a\x45\xdf\xa3 more", "is a video"),
        (b"RIFF\0\0\0\0AVI more", "is a video"),
        (b"\0\0\0\x18ftypheic", "is HEIC, which is not read in a browser"),
        (b"II*\0 more", "is TIFF, which is not read in a browser"),
        (b"RIFF\xff\xff\xff\xffWEBPVP8X\xff\xff\xff\xff", "cannot be decoded"),
        (JPEG[:-200], "is cut short"),
        (PNG[:-20], "is cut short"),
        (PNG[:60] + bytes([PNG[60] ^ 1]) + PNG[61:], "cannot be decoded"),
        (PNG[:16] + struct.pack(">I", 1 << 30) + PNG[20:], "cannot be decoded"),
        (PNG[:33] + chunk(b"IDAT", zlib.compress(bytes(1 << 24))) + PNG[-12:], "cannot be decoded"),
        (PNG[:33] + PNG[-12:], "cannot be decoded"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_photograph_is_named(browser, data, says):
    browser.files["a b.jpg"] = data
    text = browser.ask(
        "const { decodePicture } = await import('/page/protect/decode.js');"
        "return refusal(async () => decodePicture(await fileOf('a b.jpg'), 'photograph'));"
    )
    assert text.startswith("the photograph a b.jpg " + says)
    assert text.endswith(".")
