"""A PNG encoder and nothing else: the server writes pictures and cannot read any."""

import struct
import zlib
from pathlib import Path

import numpy as np

from sansface.files import written_beside


def png_bytes(array: np.ndarray) -> bytes:
    """An 8-bit PNG (ISO/IEC 15948) without any metadata.

    array: (h, w), (h, w, 3) or (h, w, 4) uint8.  Rows are filtered with "up", which suits smooth shading.
    Raises ValueError for another shape or dtype.
    """
    color = {(): 0, (3,): 2, (4,): 6}.get(array.shape[2:]) if array.ndim >= 2 else None
    if array.dtype != np.uint8 or color is None or array.size == 0:
        raise ValueError(f"a PNG takes uint8 (h, w), (h, w, 3) or (h, w, 4), not {array.dtype} {array.shape}")
    h, w = array.shape[:2]
    rows = np.ascontiguousarray(array).reshape(h, -1)
    filtered = np.empty((h, rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = 2
    filtered[:, 1:] = rows
    filtered[1:, 1:] -= rows[:-1]
    header = struct.pack(">IIBBBBB", w, h, 8, color, 0, 0, 0)
    body = (
        _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(filtered.tobytes(), 6)) + _chunk(b"IEND", b"")
    )
    return b"\x89PNG\r\n\x1a\n" + body


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def write_png(path: Path, picture: np.ndarray) -> None:
    """Write a picture that `png_bytes` takes, beside and renamed.

    Raises SansfaceError where it cannot be written.
    """
    with written_beside(path) as part:
        part.write_bytes(png_bytes(picture))
