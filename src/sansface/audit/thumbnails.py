"""The only pictures that leave an audit: small ones, with AUDIT written across them."""

import cv2
import numpy as np

SIDE = 96
"""Pixels of a thumbnail's longer side."""
WORD = "AUDIT"
FONT = cv2.FONT_HERSHEY_SIMPLEX
LINES = 2
"""How often the word stands in it, one below the other."""


def stamped(picture: np.ndarray, side: int = SIDE) -> np.ndarray:
    """A picture as it may stand in a report: its longer side of `side` pixels, `WORD` across it.

    The letters are white with a black edge, so that they show on any ground, and are part of the pixels.

    Args:
        picture: (h, w), (h, w, 3), float32 in [0, 1] or uint8; sRGB.
        side: pixels.

    Returns:
        (h′, w′, 3) uint8.
    """
    values = picture if picture.dtype == np.uint8 else np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    if values.ndim == 2:
        values = np.repeat(values[:, :, None], 3, axis=2)
    height, width = values.shape[:2]
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    smaller = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    result = np.ascontiguousarray(cv2.resize(values, size, interpolation=smaller))
    letters = np.zeros(result.shape[:2], dtype=np.uint8)
    (wide, tall), _ = cv2.getTextSize(WORD, FONT, 1.0, 1)
    enlarged = min(0.94 * size[0] / wide, 0.7 * size[1] / LINES / tall)
    left = round((size[0] - enlarged * wide) / 2)
    for line in range(LINES):
        bottom = round(size[1] * (line + 0.5) / LINES + enlarged * tall / 2)
        cv2.putText(letters, WORD, (left, bottom), FONT, enlarged, 255, 1)
    # putText's own thickness means little in OpenCV 5, so the letters' edge is drawn by dilation.
    result[cv2.dilate(letters, np.ones((3, 3), np.uint8)) > 127] = 0
    result[letters > 127] = 255
    return result
