"""Letters of a font that every OpenCV has (Hershey's), each alone in a slot of its own, as on a plate."""

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np

ALPHABET = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"
"""Without I, O and Q, which plates leave out, too."""
INK = 0.86
"""Of a slot's height and width that a letter fills at most."""


@cache
def letter(sign: str, height: int, width: int, bold: int = 4) -> np.ndarray:
    """(height, width) float32, 1 where ink is: the sign as large as its slot allows, in the middle.

    bold: thickness of the strokes, in 20ths of a letter's height.
    """
    drawn = np.zeros((240, 240), np.uint8)
    cv2.putText(drawn, sign, (60, 170), cv2.FONT_HERSHEY_DUPLEX, 4.0, 255, 5 * bold, cv2.LINE_AA)
    rows, columns = (np.flatnonzero(drawn.any(axis=axis)) for axis in (1, 0))
    slot = np.zeros((height, width), np.float32)
    if not len(rows):
        return slot
    ink = drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    # All letters have one height; one that is too broad for its slot is made narrower, as on a plate.
    high = max(1, round(INK * height))
    wide = max(1, min(round(INK * width), round(high * ink.shape[1] / ink.shape[0])))
    small = cv2.resize(ink, (wide, high), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    top, left = (height - high) // 2, (width - wide) // 2
    slot[top : top + high, left : left + wide] = small
    slot.flags.writeable = False
    return slot


def line(text: str, height: int, width: int, bold: int = 4) -> np.ndarray:
    """(height, width · letters) float32 ink: a slot a sign."""
    return np.concatenate([letter(sign, height, width, bold) for sign in text], axis=1)


def page(lines: Sequence[tuple[str, int, int, int]], height: int, width: int) -> np.ndarray:
    """(height, width) float32 ink.

    lines: text, place of its left and top edge, and its height; a sign is 0.6 as wide as high. What does not
    fit is cut off.
    """
    ink = np.zeros((height, width), np.float32)
    for text, left, top, size in lines:
        drawn = line(text, size, round(0.6 * size), 3)[: height - top, : width - left]
        ink[top : top + drawn.shape[0], left : left + drawn.shape[1]] = drawn
    return ink
