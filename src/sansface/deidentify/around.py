"""What stands around a face on a photograph: hair and nearer faces before it, other faces beside it.

Where two faces touch, the one that shows larger is taken for the nearer one. The farther one is drawn behind
it, and neither moves the other's pixels: a face that the picture's rim cuts tore its neighbour otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from sansface.heads.fit import FittedHead


@dataclass(frozen=True, eq=False)
class Around:
    """Of one face.

    Attributes:
        hidden: (h, w) bool: what lies before the face, where nothing is drawn.
        still: (h, w) bool: other faces, where nothing is moved.
    """

    hidden: np.ndarray
    still: np.ndarray


def around(heads: Sequence[FittedHead], head: FittedHead, hidden: np.ndarray) -> Around:
    """Of one of a photograph's faces.

    Args:
        heads: all of them.
        hidden: (h, w) bool: hair before any of them.
    """
    others = [other for other in heads if other is not head]
    before = _faces([other for other in others if other.eyes > head.eyes], hidden.shape)
    behind = _faces([other for other in others if other.eyes <= head.eyes], hidden.shape)
    return Around(hidden | before, before | behind & ~_faces([head], hidden.shape))


def _faces(heads: Sequence[FittedHead], shape: tuple[int, ...]) -> np.ndarray:
    """(h, w) bool: within the outline of any of the faces."""
    drawn = np.zeros(shape, dtype=np.uint8)
    for head in heads:
        hull = cv2.convexHull(head.landmarks.astype(np.float32))
        cv2.fillConvexPoly(drawn, np.rint(hull).astype(np.int32), 1)
    return drawn > 0
