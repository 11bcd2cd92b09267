"""A skin for heads of which only the shape is known, so that a recogniser takes them for faces.

The same for everybody: one tone, brows, lips, eyes and a cap of hair, where a head model has them.
"""

import cv2
import numpy as np
from scipy.spatial import KDTree

from sansface.heads.parametric import HeadModel

SKIN, HAIR, LIPS = (0.80, 0.64, 0.55), (0.26, 0.20, 0.16), (0.68, 0.40, 0.38)
WHITE, IRIS = (0.86, 0.84, 0.82), (0.22, 0.15, 0.11)
BROWS, EYES, MOUTH = ((17, 22), (22, 27)), ((36, 42), (42, 48)), (48, 60)
"""First and last + 1 of the usual 68 landmarks."""
BROW = 3.0
"""Half the width of a brow, mm."""
RADIUS = 5.5
"""Of an iris, mm."""
BEHIND = 40.0
"""What lies farther back than this is no eye and no lip: z of the model, mm."""


def generic_skin(model: HeadModel) -> np.ndarray:
    """(n, 3) float64 sRGB in [0, 1] of the model's vertices, decided on the mean head."""
    place = model.neutral.astype(np.float64)
    marks = place[model.landmarks]
    colour = np.tile(np.array(SKIN), (len(place), 1))
    x, y, z = place.T
    colour[y > np.minimum(88, 88 - 0.9 * (60 - z))] = HAIR
    front = z > BEHIND
    for first, last in EYES:
        eye = front & _inside(place, marks[first:last])
        colour[eye] = WHITE
        middle = marks[first:last].mean(axis=0)
        colour[eye & (np.hypot(x - middle[0], y - middle[1]) < RADIUS)] = IRIS
    colour[front & _inside(place, marks[slice(*MOUTH)])] = LIPS
    for first, last in BROWS:
        steps = np.linspace(0, last - first - 1, 60)
        brow = np.stack([np.interp(steps, range(last - first), marks[first:last, k]) for k in (0, 1)], axis=1)
        colour[front & (KDTree(brow).query(place[:, :2])[0] < BROW)] = HAIR
    return colour


def worn(skin: np.ndarray, wearer: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """A model's skin on other vertices: of each, the colour of the nearest.

    Args:
        skin: (n, 3), of `generic_skin`.
        wearer: (n, 3) the model's vertices, fitted to the mesh.
        vertices: (m, 3) of the mesh.
    """
    return skin[KDTree(wearer).query(vertices)[1]]


def _inside(place: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """(n,) bool, seen from the front."""
    outline = polygon[:, :2].astype(np.float32)
    low, high = outline.min(axis=0), outline.max(axis=0)
    near = np.flatnonzero(((place[:, :2] >= low) & (place[:, :2] <= high)).all(axis=1))
    result = np.zeros(len(place), dtype=bool)
    result[near] = [cv2.pointPolygonTest(outline, place[k, :2].tolist(), False) >= 0 for k in near]
    return result
