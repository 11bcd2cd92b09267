"""The virtual identity: an isometry of the identity embedding that a key draws.

With e the recogniser's embedding of a face, d numbers,

    v = Q e / ‖e‖ + o,

Q orthogonal, uniform over the orthogonal group (Haar's measure), and o a vector of length `OFFSET` in a
direction uniform over the sphere. Distances between embeddings are kept under one key; under another key, or
with another use, all is unrelated. **It is an obfuscation and no encryption**: who has the key turns it back
exactly, and d + 1 pairs of embedding and template of one isometry give Q and o away.

Q and o come from the key's stream of ChaCha20 (RFC 8439): 52 bits of every 8 bytes are a uniform number, the
inverse distribution function makes it normal, and Q is that of the QR decomposition of a matrix of such
numbers with the signs of R's diagonal taken out (Mezzadri 2007, sec. 5).
"""

from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from scipy.special import ndtri

from sansface.deidentify.keys import Key, Purpose
from sansface.errors import SansfaceError

OFFSET = 1.0
"""Length of o. Templates of two keys are then 2 apart in the mean, those of two people under one key √2."""
MOST = 2048
"""Numbers of an embedding: Q takes d² of them and a time that grows with d³."""


@dataclass(frozen=True, eq=False)
class Isometry:
    """v = Q e/‖e‖ + o.

    Attributes:
        turn: (d, d) float64, Q.
        offset: (d,) float64, o.
    """

    turn: np.ndarray
    offset: np.ndarray

    def __call__(self, embeddings: np.ndarray) -> np.ndarray:
        """(..., d) float64 of embeddings (..., d), see `unit`."""
        return unit(embeddings) @ self.turn.T + self.offset

    def back(self, virtual: np.ndarray) -> np.ndarray:
        """(..., d) float64 e/‖e‖ of (..., d) v."""
        return (virtual.astype(np.float64) - self.offset) @ self.turn


def isometry(key: Key, dimension: int, *use: str | int) -> Isometry:
    """The isometry that a key draws for a use.

    Args:
        key: for recognition.
        dimension: d.
        use: words and numbers that tell it from the key's others; see `Key.derive`.

    Raises:
        SansfaceError: the key is for something else, or the recogniser's embeddings are too long.
    """
    key.check(Purpose.RECOGNITION)
    if not 1 <= dimension <= MOST:
        raise SansfaceError(
            f"the recogniser gives {dimension} numbers a face, a key turns {MOST} at most; choose another."
        )
    stream = normals(key.derive("isometry", *use), dimension * (dimension + 1))
    matrix, direction = stream[:-dimension].reshape(dimension, dimension), stream[-dimension:]
    return Isometry(_haar(matrix), OFFSET * direction / np.linalg.norm(direction))


def codes(key: Key, embeddings: np.ndarray, count: int, counter: int) -> np.ndarray:
    """The numbers by which a face is changed: √d W e/‖e‖, W of orthonormal rows that the key draws.

    Of faces whose e/‖e‖ is uniform over the sphere each number is nearly N(0, 1): its variance is 1, its
    kurtosis 3 − 6 / (d + 2). Beyond d numbers, W is one block of d orthonormal rows after the other.

    Args:
        key: for recognition.
        embeddings: (..., d), see `unit`.
        count: of numbers.
        counter: 0, 1, ...: each gives other numbers.

    Returns:
        (..., count) float32.
    """
    dimension = embeddings.shape[-1]
    blocks = -(-count // dimension)
    rows = [isometry(key, dimension, "codes", counter, block).turn for block in range(blocks)]
    return (np.sqrt(dimension) * unit(embeddings) @ np.concatenate(rows)[:count].T).astype(np.float32)


def unit(embeddings: np.ndarray) -> np.ndarray:
    """(..., d) float64 of length 1.

    Raises:
        SansfaceError: one has no direction.
    """
    exact = embeddings.astype(np.float64)
    length = np.linalg.norm(exact, axis=-1, keepdims=True)
    if not (np.isfinite(length) & (length > 0)).all():
        raise SansfaceError(
            "the recogniser finds nothing in the face; give a clearer photograph or another recogniser."
        )
    return exact / length


def normals(seed: bytes, count: int) -> np.ndarray:
    """(count,) float64 of N(0, 1) from the ChaCha20 stream of 32 bytes, the same on every machine but for the
    last bits of the inverse distribution function.
    """
    # Each seed is used for one stream alone, so the nonce may be nothing.
    stream = Cipher(ChaCha20(seed, bytes(16)), mode=None).encryptor().update(bytes(8 * count))
    uniform = ((np.frombuffer(stream, "<u8") >> np.uint64(12)) + 0.5) * 2.0**-52  # never 0 or 1
    return ndtri(uniform)


def _haar(matrix: np.ndarray) -> np.ndarray:
    q, r = np.linalg.qr(matrix)
    return q * np.where(np.diag(r) < 0, -1.0, 1.0)
