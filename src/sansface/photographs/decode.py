"""Any picture file to pixels: the only place that decodes one.

JPEG, PNG, TIFF, WebP by OpenCV; HEIC by pillow-heif (extra `heic`). Nothing but pixels is kept: EXIF, names,
profiles and thumbnails end here.
"""

from pathlib import Path

import cv2
import numpy as np

from sansface.errors import SansfaceError
from sansface.extras import require
from sansface.files import os_error_sentence

_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_ORIENTATION = 0x0112
"""Of TIFF 6.0, section 8, and of EXIF."""


def decode(path: Path, kind: str, *, upright: bool) -> np.ndarray:
    """Decode a picture.

    Args:
        path: its file.
        kind: what to call it in an error, such as "photograph".
        upright: apply the EXIF orientation. False gives the stored pixels, to which given intrinsics belong.
            TIFF and HEIC are always upright: their decoders know no other way.

    Returns:
        (h, w, c) uint8 or uint16 with c of 1 (grey), 3 (BGR) or 4 (BGRA, not premultiplied).

    Raises:
        SansfaceError: naming the file: missing, unreadable, cut short, a video, not of 8 or 16 bits.
    """
    data = _read(path, kind)
    if is_video(data[:16]):
        raise SansfaceError(f"the {kind} {path} is a video; save single frames of it as PNG or JPEG.")
    if _cut_short(data):
        raise SansfaceError(f"the {kind} {path} is cut short; copy it again from where it came.")
    pixels = _decode_heic(data) if _is_heic(data) else _decode_others(data, upright)
    if pixels is None:
        raise SansfaceError(f"the {kind} {path} cannot be decoded; save it again as PNG or JPEG.")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise SansfaceError(f"the {kind} {path} is of {pixels.dtype}; save it with 8 or 16 bits a channel.")
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    if pixels.shape[2] not in (1, 3, 4):
        raise SansfaceError(
            f"the {kind} {path} has {pixels.shape[2]} channels; save it as grey, RGB or RGBA."
        )
    return pixels


def decode_rgb(path: Path, kind: str) -> np.ndarray:
    """A picture as it is to be looked at: (h, w, 3) uint8 sRGB, upright, grey in three channels, on white.

    What is transparent is white afterwards: its colours may show what nobody was meant to see. An alpha that
    is the same all over hides nothing, and counts as none.

    Raises:
        SansfaceError: see `decode`.
    """
    pixels = decode(path, kind, upright=True)
    colour = pixels[:, :, :3][:, :, ::-1] if pixels.shape[2] > 1 else np.repeat(pixels, 3, axis=2)
    if colour.dtype == np.uint16:
        colour = cv2.convertScaleAbs(colour, alpha=255 / 65535)
    if pixels.shape[2] == 4 and pixels[:, :, 3].min() != pixels[:, :, 3].max():
        share = pixels[:, :, 3:] / np.float32(np.iinfo(pixels.dtype).max)
        colour = np.rint(share * colour + (1 - share) * 255).astype(np.uint8)
    return np.ascontiguousarray(colour)


def is_video(head: bytes) -> bool:
    """Does a file that begins so hold a film? MP4 and QuickTime, Matroska and WebM, AVI, MPEG."""
    film = head[4:8] == b"ftyp" and head[8:12] not in (*_HEIC_BRANDS, b"avif", b"avis")
    quicktime = head[4:8] in (b"moov", b"mdat", b"wide")
    others = head.startswith((b"\x1a\x45\xdf\xa3", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3"))
    return film or quicktime or others or (head.startswith(b"RIFF") and head[8:12] == b"AVI ")


def _read(path: Path, kind: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise SansfaceError(f"the {kind} {path} is missing; correct the path.") from error
    except OSError as error:
        raise SansfaceError(os_error_sentence(f"read the {kind}", path, error)) from error
    except ValueError as error:  # NUL, or half of a surrogate pair
        raise SansfaceError(f"the {kind} {str(path)!a} has no name of a file; correct it.") from error


def _decode_others(data: bytes, upright: bool) -> np.ndarray | None:
    if not data:
        return None
    try:
        pixels, kinds, metadata = cv2.imdecodeWithMetadata(
            np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED
        )
    except cv2.error:
        return None
    if pixels is None or not upright:
        return pixels
    exif = next((m for k, m in zip(kinds, metadata, strict=True) if k == cv2.IMAGE_METADATA_EXIF), None)
    return _turned(pixels, _orientation(b"" if exif is None else np.asarray(exif).tobytes()))


def _orientation(exif: bytes) -> int:
    """1 to 8, as the first directory of a TIFF block says; 1 where it does not."""
    order = {b"II*\0": "little", b"MM\0*": "big"}.get(exif[:4])
    if order is None:
        return 1

    def number(at: int, size: int) -> int:
        return int.from_bytes(exif[at : at + size], order)  # type: ignore[arg-type]

    directory = number(4, 4)
    for entry in range(directory + 2, directory + 2 + 12 * number(directory, 2), 12):
        if number(entry, 2) == _ORIENTATION:
            value = number(entry + 8, 2)
            return value if 1 <= value <= 8 else 1
    return 1


def _turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """The picture as it is to be looked at. EXIF 2.32, table of tag 274: where row 0 and column 0 lie."""
    if orientation >= 5:
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation in (2, 3, 6, 7):  # column 0 is on the right
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):  # row 0 is at the bottom
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _is_heic(data: bytes) -> bool:
    return data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS


def _decode_heic(data: bytes) -> np.ndarray | None:
    heif = require("pillow_heif", extra="heic")
    try:
        picture = heif.open_heif(data, convert_hdr_to_8bit=False, bgr_mode=True)
        return np.array(picture)
    except (ValueError, OSError, RuntimeError, EOFError):
        return None


def _cut_short(data: bytes) -> bool:
    """True for a PNG or JPEG without its end: some decoders fill the rest with grey and say nothing."""
    if data.startswith(b"\x89PNG"):
        return b"IEND" not in data
    if not data.startswith(b"\xff\xd8"):
        return False
    position = 2
    while (
        position + 4 <= len(data) and data[position : position + 2] != b"\xff\xda"
    ):  # segments up to the scan
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return b"\xff\xd9" not in data[position:]
