"""Every kind of picture file to pixels."""

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from sansface.errors import SansfaceError
from sansface.photographs.decode import decode, decode_rgb

PICTURE = np.zeros((16, 24, 3), np.uint8)
PICTURE[:8, :8] = (40, 80, 250)
PICTURE[8:, 16:] = (250, 90, 20)


def exif(orientation: int) -> np.ndarray:
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    block = b"II*\0" + struct.pack("<IH", 8, 1) + entry + b"\0\0\0\0"
    return np.frombuffer(block, np.uint8).reshape(1, -1)


def written(path: Path, pixels: np.ndarray, orientation: int = 1) -> Path:
    kinds, blocks = [cv2.IMAGE_METADATA_EXIF], [exif(orientation)]
    path.write_bytes(cv2.imencodeWithMetadata(path.suffix, pixels, kinds, blocks)[1].tobytes())
    return path


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_opencv_turns_it(tmp_path, suffix, orientation):
    path = written(tmp_path / f"a{suffix}", PICTURE, orientation)
    upright = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert upright.shape == ((24, 16, 3) if orientation > 4 else (16, 24, 3))
    np.testing.assert_array_equal(decode(path, "photograph", upright=True), upright)
    stored = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    np.testing.assert_array_equal(decode(path, "photograph", upright=False), stored)


def test_alpha_is_turned_with_its_picture(tmp_path):
    pixels = np.dstack([PICTURE, PICTURE[:, :, 2]])
    found = decode(written(tmp_path / "a.png", pixels, 6), "photograph", upright=True)
    np.testing.assert_array_equal(found, np.rot90(pixels, -1))


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_sixteen_bits_and_grey_stay(tmp_path, suffix):
    rng = np.random.default_rng(0)
    for shape in ((9, 7, 1), (9, 7, 3), (9, 7, 4)):
        pixels = rng.integers(0, 65536, shape, dtype=np.uint16)
        path = tmp_path / f"{shape[2]}{suffix}"
        path.write_bytes(cv2.imencode(suffix, pixels)[1].tobytes())
        found = decode(path, "photograph", upright=True)
        assert found.dtype == np.uint16
        np.testing.assert_array_equal(found, pixels)


@pytest.mark.parametrize("channels", [3, 4])
def test_heic(tmp_path, channels):
    heif = pytest.importorskip("pillow_heif")
    pixels = np.dstack([PICTURE, PICTURE[:, :, 2]])[:, :, :channels]
    rgb = np.ascontiguousarray(pixels[:, :, [2, 1, 0, 3][:channels]])
    heif.from_bytes("RGBA"[:channels], (24, 16), rgb.tobytes()).save(tmp_path / "a.heic", quality=100)
    found = decode(tmp_path / "a.heic", "photograph", upright=True)
    assert found.shape == pixels.shape
    assert np.abs(found.astype(int) - pixels).mean() < 8
    (tmp_path / "a.heic").write_bytes((tmp_path / "a.heic").read_bytes()[:60])
    with pytest.raises(SansfaceError, match=r"a\.heic cannot be decoded"):
        decode(tmp_path / "a.heic", "photograph", upright=True)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "cannot be decoded"),
        (b"P5 nothing", "cannot be decoded"),
        (b"\0\0\0\x18ftypqt   more", "is a video"),
        (b"\x1a\x45\xdf\xa3 more", "is a video"),
        (b"RIFF\0\0\0\0AVI more", "is a video"),
        (cv2.imencode(".jpg", PICTURE)[1].tobytes()[:-200], "is cut short"),
        (cv2.imencode(".png", PICTURE)[1].tobytes()[:-20], "is cut short"),
        (cv2.imencode(".tiff", PICTURE.astype(np.float32))[1].tobytes(), "is of float32"),
    ],
)
def test_what_is_no_photograph_is_named(tmp_path, data, says):
    path = tmp_path / "ä b.jpg"
    path.write_bytes(data)
    with pytest.raises(SansfaceError, match=rf"the photograph .*ä b\.jpg {says}"):
        decode(path, "photograph", upright=True)
    with pytest.raises(SansfaceError, match="is missing"):
        decode(tmp_path / "none.jpg", "photograph", upright=True)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_any_picture_as_rgb(tmp_path, channels, depth):
    """Grey in three channels, 16 bits rounded to 8."""
    most = np.iinfo(depth).max
    stored = np.random.default_rng(0).integers(0, most, (5, 7, channels), dtype=depth, endpoint=True)
    cv2.imwrite(str(tmp_path / "a.png"), stored)
    wanted = np.rint(stored[:, :, :3] / most * 255)[:, :, ::-1]
    found = decode_rgb(tmp_path / "a.png", "photograph")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, np.broadcast_to(wanted, (5, 7, 3)))


@pytest.mark.parametrize(("dtype", "most"), [(np.uint8, 255), (np.uint16, 65535)])
def test_what_is_transparent_is_not_shown(tmp_path, dtype, most):
    """Opaque colours stay to the bit, hidden ones are white, what is half there is half white."""
    pixels = np.zeros((16, 24, 4), dtype)
    pixels[..., 2] = most  # red, in OpenCV's order
    pixels[:, :8, 3] = most
    pixels[:, 16:, 3] = most // 2 + 1
    (tmp_path / "a.png").write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    found = decode_rgb(tmp_path / "a.png", "photograph")
    assert (found[:, :8] == (255, 0, 0)).all()
    assert (found[:, 8:16] == 255).all()
    assert (np.abs(found[:, 16:].astype(int) - (255, 127, 127)) <= 1).all()
