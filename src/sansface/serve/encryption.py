"""Bytes at rest: encrypted and authenticated, chunk by chunk.

What is written, and nothing else:

    magic    4 bytes, `sfe1`
    salt    32 random bytes
    chunk 0, chunk 1, …, the last: each its ciphertext, then a tag of 16 bytes

Plaintext is cut every 1 MiB; the last chunk has what remains, 1 byte to 1 MiB, or nothing if all is empty.
Each writing has a key of its own, HKDF-SHA256(key, salt, info = purpose), so that chunk n of it can have
the nonce n, 12 bytes, big-endian: no nonce is ever used twice with a key. Chunks are AES-256-GCM, and their
associated data is the magic, the name, the chunk's number and whether it is the last, so nothing can be cut
off, put in another order, repeated, or given out as something of another name, and a key for one purpose
opens nothing of another.
What is not hidden: the length, the name, and when it was written.
"""

import secrets
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC = b"sfe1"
SALT = 32
CHUNK = 1 << 20
TAG = 16


class Damaged(Exception):
    """What was read is not what was written under this key, purpose and name."""


def seal(parts: Iterable[bytes], key: bytes, purpose: str, name: str) -> Iterator[bytes]:
    """What to write, piece by piece.

    Args:
        parts: the plaintext in pieces of any length.
        key: 32 bytes.
        purpose: what the key is used for; another purpose is another key.
        name: to which the content is bound.
    """
    salt = secrets.token_bytes(SALT)
    aes = _cipher(key, salt, purpose)
    yield MAGIC + salt
    for number, (chunk, last) in enumerate(_with_last(_cut(parts))):
        yield aes.encrypt(_nonce(number), chunk, _binding(name, number, last))


def unseal(stream: BinaryIO, key: bytes, purpose: str, name: str) -> Iterator[bytes]:
    """The plaintext, chunk by chunk; none is given out before its tag was verified.

    Only when it ends without an error is the content known to be whole.

    Raises:
        Damaged: changed, cut short, of another name, or the key or purpose is another one.
    """
    if _exactly(stream, len(MAGIC)) != MAGIC:
        raise Damaged
    salt = _exactly(stream, SALT)
    if len(salt) != SALT:
        raise Damaged
    aes = _cipher(key, salt, purpose)
    pieces = iter(lambda: _exactly(stream, CHUNK + TAG), b"")
    number = -1
    for number, (sealed, last) in enumerate(_with_last(pieces)):
        try:
            chunk = aes.decrypt(_nonce(number), sealed, _binding(name, number, last))
        except (InvalidTag, ValueError):
            raise Damaged from None
        if number and not chunk:  # only what is empty as a whole has an empty chunk
            raise Damaged
        yield chunk
    if number < 0:
        raise Damaged


def _cipher(key: bytes, salt: bytes, purpose: str) -> AESGCM:
    if len(key) != 32:
        raise ValueError("a key has 32 bytes")
    return AESGCM(HKDF(SHA256(), 32, salt, f"sansface {purpose} 1".encode()).derive(key))


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")


def _binding(name: str, number: int, last: bool) -> bytes:
    return b"\0".join([MAGIC, str(number).encode(), b"last" if last else b"more", name.encode()])


def _cut(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of CHUNK; one empty piece for nothing."""
    held, empty = bytearray(), True
    for part in parts:
        held += part
        while len(held) >= CHUNK:
            yield bytes(held[:CHUNK])
            del held[:CHUNK]
            empty = False
    if held or empty:
        yield bytes(held)


def _with_last(pieces: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each piece, and whether it is the last."""
    iterator = iter(pieces)
    for held in iterator:
        for piece in iterator:
            yield held, False
            held = piece
        yield held, True


def _exactly(stream: BinaryIO, size: int) -> bytes:
    """So many bytes, fewer only at the end: a stream may give less than asked for."""
    parts = []
    while size:
        part = stream.read(size)
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
