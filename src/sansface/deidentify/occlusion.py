"""What hides a face and is no hair: sunglasses, a medical mask, somebody's shoulder.

The landmark network sees a whole face all the same, and one drawn over it would have half a lens, or a mask's
edge beside its cheek. So the photograph's colours are compared where they must agree: both eyes' surroundings
hold white and dark, and lips and chin have about the forehead's colour, and red of their own.
"""

import numpy as np

from sansface.deidentify.redraw import features, inner
from sansface.heads.albedo import inside, off_line
from sansface.heads.look import Seen
from sansface.heads.parametric import HeadModel

DARK = 0.008
"""Linear light that is added before logarithms are taken."""
LEAST = 20
"""Pixels of a part below which nothing is said of it."""
LIDS = 8.0
"""How far the eyes' surroundings reach around the lids, mm."""
EYES_DARKER, EYES_ALIKE = 1.0, 1.1
"""Of sunglasses: so much darker than the cheeks are the eyes' surroundings in the mean, in natural
logarithms, and so near to each other are their brightest and darkest tenth."""
TINGED, PLAIN = 0.2, 0.12
"""Of a mask: so much of another colour is the lower face, in natural logarithms of the strongest channel over
the grey, if redness varies so little within it (between quartiles)."""
COLOURED, BLACK, WHITE = 0.5, -2.0, 1.3
"""The same however much it varies; and as brightness."""


def occluder(model: HeadModel, seen: Seen, colours: np.ndarray) -> str:
    """What stands before the face, in words; empty if nothing does.

    Args:
        seen: of the fitted head on the photograph.
        colours: (k, 3) linear RGB of the photograph at its pixels.
    """
    place = seen.of(model.neutral)[:, :2]
    marks = model.neutral[model.landmarks][:, :2].astype(np.float64)
    shown = (inner(model, seen) > 0.3) & (seen.facing > 0.3)
    skin = shown & (features(model, seen) < 0.5)
    values = np.log(np.maximum(colours, 0) + DARK)
    if _sunglasses(place, marks, shown, skin, values.mean(axis=1)):
        return "sunglasses"
    if _mask(place, marks, shown, skin, values):
        return "a mask, or something else before mouth and chin"
    return ""


def _sunglasses(
    place: np.ndarray, marks: np.ndarray, shown: np.ndarray, skin: np.ndarray, bright: np.ndarray
) -> bool:
    around = np.zeros(len(place), dtype=bool)
    for lids in (marks[36:42], marks[42:48]):
        ring = np.concatenate([lids, lids[:1]])
        around |= inside(place, lids) | (off_line(place, ring, LIDS)[0] < LIDS)
    below, above = marks[33, 1], marks[36:48, 1].mean() - 12
    eyes, cheeks = bright[shown & around], bright[skin & (place[:, 1] > below) & (place[:, 1] < above)]
    if min(len(eyes), len(cheeks)) < LEAST:
        return False
    spread = np.subtract(*np.percentile(eyes, (90, 10)))
    return bool(eyes.mean() < np.median(cheeks) - EYES_DARKER and spread < EYES_ALIKE)


def _mask(
    place: np.ndarray, marks: np.ndarray, shown: np.ndarray, skin: np.ndarray, values: np.ndarray
) -> bool:
    low, high = shown & (place[:, 1] < marks[33, 1] - 4), skin & (place[:, 1] > marks[30, 1])
    if min(low.sum(), high.sum()) < LEAST:
        return False
    tint = values - values.mean(axis=1, keepdims=True)
    off = np.abs(np.median(tint[low], axis=0) - np.median(tint[high], axis=0)).max()
    red = (values[:, 0] - values[:, 1])[low]
    plain = np.subtract(*np.percentile(red, (75, 25))) < PLAIN
    lighter = np.median(values[low].mean(axis=1)) - np.median(values[high].mean(axis=1))
    return bool((off > TINGED and plain) or off > COLOURED or not BLACK < lighter < WHITE)
