"""Faces that need no weights: drawn ones, a recogniser and a detector that know them, and a changer.

A face is a square of 6 × 6 coloured tiles in a frame of magenta, and its identity are the tiles' colours. The
recogniser's embedding is a random orthogonal map of them less their mean; photographs of one person differ by
noise. The changer mixes the tiles with others, drawn from the codes.
"""

from dataclasses import dataclass, field
from functools import partial

import cv2
import numpy as np

from sansface.deidentify.keyed import Limits, Recognition, Subject
from sansface.recognise.align import Placing
from sansface.recognise.detect import Face

TILES, TILE, FRAME = 6, 16, 8
SIDE = TILES * TILE
EYES = 30.0
COUNT = 3 * TILES**2
LIMITS = Limits(0.9, 1.1, 0.8)


def person(seed: int) -> np.ndarray:
    """(6, 6, 3) uint8 colours of its tiles."""
    return np.random.default_rng(seed).integers(40, 216, (TILES, TILES, 3), dtype=np.uint8)


def drawn(tiles: np.ndarray) -> np.ndarray:
    face = np.full((SIDE + 2 * FRAME, SIDE + 2 * FRAME, 3), (255, 0, 255), np.uint8)
    face[FRAME:-FRAME, FRAME:-FRAME] = tiles.repeat(TILE, axis=0).repeat(TILE, axis=1)
    return face


def photograph(*people: int, take: int = 0, noise: float = 12.0) -> np.ndarray:
    """(h, w, 3) uint8: their faces side by side on a grey ground, a little other in each take."""
    rng = np.random.default_rng([take, *people])
    picture = rng.integers(90, 130, (260, 240 * max(len(people), 1), 3)).astype(np.float64)
    for place, who in enumerate(people):
        face = drawn(person(who)).astype(np.float64)
        face[FRAME:-FRAME, FRAME:-FRAME] += rng.normal(0, noise, (SIDE, SIDE, 3))
        tint = rng.normal(0, noise, (TILES, TILES, 3)).repeat(TILE, axis=0).repeat(TILE, axis=1)
        face[FRAME:-FRAME, FRAME:-FRAME] += tint
        top, left = 74, 240 * place + 64
        picture[top : top + len(face), left : left + len(face)] = face
    return np.clip(picture, 0, 255).astype(np.uint8)


def corners(picture: np.ndarray) -> list[tuple[int, int]]:
    """Left and top of the frames of magenta."""
    magenta = ((picture == (255, 0, 255)).all(axis=2)).astype(np.uint8)
    count, _, boxes, _ = cv2.connectedComponentsWithStats(magenta)
    return sorted((int(x), int(y)) for x, y, w, h, _ in boxes[1:count] if w == h == SIDE + 2 * FRAME)


class Frames:
    """A detector of drawn faces."""

    def every(self, picture: np.ndarray) -> list[Face]:
        template = Placing(SIDE, EYES).landmarks
        return [Face(1.0, template + np.array([x + FRAME, y + FRAME])) for x, y in corners(picture)]


@dataclass
class Tiles:
    """A recogniser of drawn faces."""

    name: str = "tiles"
    digest: str = "0" * 64
    input: str = ""
    placing: Placing = field(default_factory=lambda: Placing(TILES, EYES / TILE))

    def embed(self, faces: np.ndarray) -> np.ndarray:
        turn, _ = np.linalg.qr(np.random.default_rng(7).normal(size=(COUNT, COUNT)))
        return ((faces.reshape(len(faces), -1) - 0.5) @ turn).astype(np.float32)


def put(picture: np.ndarray, tiles: np.ndarray, corner: tuple[int, int]) -> np.ndarray:
    """The picture with a face laid over the one whose frame begins there."""
    (x, y), face, changed = corner, drawn(tiles), picture.copy()
    changed[y : y + len(face), x : x + len(face)] = face
    return changed


def changed(picture: np.ndarray, codes: np.ndarray, corner: tuple[int, int]) -> np.ndarray:
    """The tiles of a face become those that the codes say."""
    tiles = np.clip(128 + 45 * codes.reshape(TILES, TILES, 3), 10, 245).astype(np.uint8)
    return put(picture, tiles, corner)


def subjects(picture: np.ndarray, how=changed) -> list[Subject]:
    """The drawn faces, from left to right."""
    return [
        Subject(face.landmarks, COUNT, partial(how, corner=corner))
        for face, corner in zip(Frames().every(picture), corners(picture), strict=True)
    ]


def recognition() -> Recognition:
    return Recognition(Tiles(), Frames(), LIMITS)
