"""Where a capture's pictures lie, and how large they are by their headers. No picture is decoded here."""

import struct
from itertools import pairwise
from pathlib import Path, PurePosixPath

from sansface.errors import SansfaceError
from sansface.files import os_error_sentence

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".heic", ".heif", ".bmp")

_HEADER = 1 << 20
"""Bytes within which a JPEG must say its size; EXIF, profiles and thumbnails come first."""


def inside(folder: Path, name: str, where: Path) -> Path:
    """The path of a file named in a capture, which may not leave the capture's folder.

    Args:
        folder: to which the name is relative.
        name: as it stands in the file.
        where: that file, for the error.

    Raises:
        SansfaceError: the name is empty, absolute, leads elsewhere or cannot be a file's name.
    """
    path = PurePosixPath(name)
    unusual = any(mark in name for mark in "\\\0\n\r") or path.parts[:1] == ("/",) or ":" in name[:2]
    if unusual or ".." in path.parts or not path.name:
        raise SansfaceError(
            f"{where} names the file {name[:60]!a}, which is not inside the capture's folder; correct it."
        )
    return folder / name


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder, by suffix, sorted by name; none if there is no such folder.

    Raises:
        SansfaceError: the folder cannot be listed, or two pictures differ in their suffix alone.
    """
    if not folder.is_dir():
        return []
    try:
        found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    except OSError as error:
        raise SansfaceError(os_error_sentence("read", folder, error)) from error
    for one, other in pairwise(found):
        if one.stem == other.stem:
            raise SansfaceError(
                f"{folder} holds {one.name} and {other.name} for one view; remove one of them."
            )
    return found


def mask_of(folder: Path, name: str) -> Path | None:
    """The mask of a picture in the capture's folder of masks, if there is one.

    COLMAP appends `.png` to the picture's whole name (`012.jpg.png`); others put it in place of the suffix.

    Args:
        folder: the capture's.
        name: of the picture, relative to the folder of pictures.
    """
    for masks in ("masks", "mask"):
        for candidate in (f"{name}.png", str(PurePosixPath(name).with_suffix(".png"))):
            if (folder / masks / candidate).is_file():
                return folder / masks / candidate
    return None


def picture_size(path: Path) -> tuple[int, int]:
    """(width, height) in pixels of a PNG or JPEG as its header says, before any EXIF orientation.

    PNG: W3C Portable Network Graphics, 11.2.2 IHDR. JPEG: ITU-T T.81, B.2.2 frame header.

    Raises:
        SansfaceError: no such file, or another kind of file.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_HEADER)
    except OSError as error:
        raise SansfaceError(os_error_sentence("read the photograph", path, error)) from error
    except ValueError as error:  # a NUL, or half a character
        raise SansfaceError(f"{str(path)!r} is no name of a file; correct it.") from error
    size = None
    if data[:8] == b"\x89PNG\r\n\x1a\n" and data[12:16] == b"IHDR" and len(data) >= 24:
        size = struct.unpack(">II", data[16:24])
    elif data[:2] == b"\xff\xd8":
        size = _jpeg_size(data)
    if size is None:
        raise SansfaceError(
            f"{path} is neither a PNG nor a JPEG, which this format asks for; save it as PNG."
        )
    return size


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None
