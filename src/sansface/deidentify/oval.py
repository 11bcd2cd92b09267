"""The oval of a face: an ellipse in the template of `recognise.align`, laid into a photograph by five
landmarks.

It goes from ear to ear and from the hairline to the chin of a face seen from the front.
"""

import numpy as np

from sansface.recognise.align import TEMPLATE, similarity

CENTRE, RADII = np.array([56.0, 62.0]), np.array([46.0, 66.0])
"""Pixels of the template, x and y."""


def oval(landmarks: np.ndarray, height: int, width: int, scale: float = 1.0) -> np.ndarray:
    """(height, width) bool: pixels whose centre lies in the oval.

    Args:
        landmarks: (5, 2) of the face, pixels of the photograph.
        height, width: of the photograph.
        scale: of the oval about its centre.
    """
    fit = similarity(landmarks, TEMPLATE)
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    x, y = (fit[axis, 0] * columns + fit[axis, 1] * rows + fit[axis, 2] for axis in (0, 1))
    return ((x - CENTRE[0]) / RADII[0]) ** 2 + ((y - CENTRE[1]) / RADII[1]) ** 2 <= scale**2


def box(inside: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of the smallest box around the pixels of a (h, w) mask, of which there is one at
    least.
    """
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
