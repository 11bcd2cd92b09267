"""The original inside the virtual picture, sealed: for who holds the sealing key, nothing is lost.

What the pictures differ in is cut out of the original, in rectangles, encoded as PNG and encrypted with
AES-256-GCM (NIST SP 800-38D): a key derived from a sealing key file, a nonce of 96 random bits for every
picture (so one key file for 2³² pictures at most), and a digest of the virtual picture's pixels as associated
data, so that what is sealed belongs to this picture and no other. It lies in a private chunk of the PNG
(ISO/IEC 15948, 5.3), which readers pass over: everybody can see that it is there, and how long it is.
"""

import hashlib
import secrets
import struct
import zlib

import cv2
import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sansface.deidentify.keys import Key, Purpose
from sansface.errors import SansfaceError

CHUNK = b"sfSL"
"""Ancillary, private, not to be copied where the pixels change."""
NONCE = 12
TOGETHER = 17
"""Pixels: places that differ and lie so near go into one rectangle."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PLACE = struct.Struct(">III")
"""Left, top, bytes of the PNG that follows."""


def png(picture: np.ndarray) -> bytes:
    """A PNG of (h, w, 3) uint8 sRGB with nothing but its pixels."""
    done, data = cv2.imencode(".png", picture[:, :, ::-1])
    if not done:
        raise SansfaceError(f"OpenCV cannot write a PNG of {picture.shape}; give a smaller picture.")
    return data.tobytes()


def seal(original: np.ndarray, virtual: np.ndarray, key: Key) -> bytes:
    """A PNG of the virtual picture with the original sealed in it.

    Args:
        original, virtual: (h, w, 3) uint8 sRGB.
        key: for sealing.
    """
    key.check(Purpose.SEALING)
    nonce = secrets.token_bytes(NONCE)
    content = _crops(original, virtual)
    sealed = AESGCM(key.derive("AES-256-GCM")).encrypt(nonce, content, _binding(virtual))
    data = png(virtual)
    end = len(data) - 12  # IEND: no content
    return data[:end] + _chunk(CHUNK, nonce + sealed) + data[end:]


def unseal(data: bytes, key: Key, name: str) -> np.ndarray:
    """The original (h, w, 3) uint8 sRGB, bit for bit, from the PNG that holds it.

    Args:
        data: the PNG.
        key: for sealing.
        name: of the picture, for errors.

    Raises:
        SansfaceError: no PNG, nothing sealed in it, damaged, changed, or another key.
    """
    key.check(Purpose.SEALING)
    sealed = _find(data, name)
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    wrong = SansfaceError(
        f"the original in {name} does not open: the key is another one, or the picture was changed since."
    )
    if pixels is None or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise wrong
    picture = np.ascontiguousarray(pixels[:, :, ::-1])
    try:
        aes = AESGCM(key.derive("AES-256-GCM"))
        content = aes.decrypt(sealed[:NONCE], sealed[NONCE:], _binding(picture))
    except (InvalidTag, ValueError):
        raise wrong from None
    return _put_back(content, picture)


def _binding(picture: np.ndarray) -> bytes:
    """To which picture it belongs."""
    height, width, _ = picture.shape
    pixels = hashlib.sha256(np.ascontiguousarray(picture).tobytes()).hexdigest()
    return f"sansface sealed 1\0{width}\0{height}\0{pixels}".encode()


def _crops(original: np.ndarray, virtual: np.ndarray) -> bytes:
    """Rectangles of the original that hold all that differs, each with its place."""
    differs = (original != virtual).any(axis=2).astype(np.uint8)
    near = cv2.dilate(differs, np.ones((TOGETHER, TOGETHER), np.uint8))
    count, _, boxes, _ = cv2.connectedComponentsWithStats(near)
    found = []
    for left, top, width, height, _ in boxes[1:count].tolist():
        crop = png(original[top : top + height, left : left + width])
        found.append(_PLACE.pack(left, top, len(crop)) + crop)
    return b"".join(found)


def _put_back(content: bytes, picture: np.ndarray) -> np.ndarray:
    original, at = picture.copy(), 0
    while at < len(content):
        left, top, length = _PLACE.unpack_from(content, at)
        at += _PLACE.size
        crop = cv2.imdecode(np.frombuffer(content, np.uint8, length, at), cv2.IMREAD_COLOR)
        assert crop is not None  # authenticated: it is what `_crops` wrote
        original[top : top + crop.shape[0], left : left + crop.shape[1]] = crop[:, :, ::-1]
        at += length
    return original


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def _find(data: bytes, name: str) -> bytes:
    """The content of the chunk with what is sealed."""
    if not data.startswith(_SIGNATURE):
        raise SansfaceError(f"{name} is no PNG; give the picture that `sansface anonymize` wrote.")
    at, found = len(_SIGNATURE), None
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        content, check = data[at + 8 : at + 8 + length], data[at + 8 + length : at + 12 + length]
        if len(check) == 4 and struct.unpack(">I", check)[0] != zlib.crc32(kind + content):
            raise SansfaceError(f"{name} is damaged; copy it again from where it came.")
        at += 12 + length
        if kind == CHUNK:
            found = content
        if kind == b"IEND":
            break
    else:
        raise SansfaceError(f"{name} is cut short; copy it again from where it came.")
    if at > len(data):
        raise SansfaceError(f"{name} is cut short; copy it again from where it came.")
    if found is None:
        raise SansfaceError(f"no original is sealed in {name}; give the picture as it was written.")
    return found
