"""The changed face drawn on the carried photograph: another's features, this photograph's skin and light.

A face is told by its features more than by its outline: with the shape alone changed, recognisers still find
the person in nine of ten photographs. So what is finer than the light on the skin is drawn anew:

    new = B · r / B_r,        B, B_r = the photograph's and the drawing's skin, smoothed over the features,

r the changed head with its own albedo in the photograph's light: a ratio image (Liu, Shan and Zhang 2001).
`kept` of the photograph's own detail, carried along, is mixed in geometrically, and its grain.
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from scipy.spatial import KDTree

from sansface.deidentify.carry import NARROW
from sansface.heads.albedo import albedo_seen, inside, off_line
from sansface.heads.appearance import shading
from sansface.heads.look import SHOWN, Seen
from sansface.heads.parametric import HeadModel

SMOOTH = 0.30
"""Deviation of the smoothing over the skin, in distances between the eyes."""
FINE = 0.03
"""Deviation, in the same unit, below which detail is grain: pores, noise, compression."""
EDGE = 12.0
"""Width over which the drawing fades at the rim of the narrow face, mm."""
STEEP = (0.1, 0.35)
"""Cosines between normal and ray between which the drawing fades in."""
LEAST_SKIN = 0.02
"""Weight of skin nearby below which there is nothing to draw on."""
GLOSS, SHARP = 0.5, 180
"""Highlight on an eye: how bright in the light's own brightness, and Phong's exponent."""
DIMMEST = 0.05
"""Of the light: nine harmonics go below zero where a lamp is hard."""
FAINT = 2e-3
"""Added before logarithms are taken."""
AROUND = {"eye": 8.0, "brow": 9.0, "mouth": 6.0, "nostril": 7.0}
"""How far features reach around their landmarks, mm."""


@dataclass(frozen=True)
class Redrawing:
    """How much of the photograph's own detail stays.

    Attributes:
        kept: share of its detail on the skin, 0 to 1.
        features: share of its detail on lids, brows, lips and nostrils.
        eyes: share of it within the lids, where the gaze is.
        mouth: share of it between the lips.
        grain: share of what is finer still, on the skin alone.
    """

    kept: float = 0.05
    features: float = 0.05
    eyes: float = 0.6
    mouth: float = 0.8
    grain: float = 0.15


@dataclass(frozen=True, eq=False)
class Drawing:
    """A face that is drawn.

    Attributes:
        pixels: (h, w, 3) float32 linear RGB.
        share: (h, w) float32 in [0, 1], where they count.
        grain: (h, w) float32 in [0, 1], how much of the photograph's own grain is in them.
    """

    pixels: np.ndarray
    share: np.ndarray
    grain: np.ndarray


def redraw(
    model: HeadModel,
    seen: Seen,
    photograph: np.ndarray,
    hidden: np.ndarray,
    light: np.ndarray,
    albedo: np.ndarray,
    eyes: float,
    gaze: tuple[float, float],
    how: Redrawing,
) -> Drawing:
    """Draw the changed face.

    Args:
        seen: of the changed head, on the same pixels as the photograph.
        photograph: (h, w, 3) float32 linear RGB, carried along.
        hidden: (h, w) bool: hair and whatever else lies before the face.
        light: (9, 3), the photograph's.
        albedo: the changed face's code.
        eyes: distance between the eyes in pixels.
        gaze: see `albedo_seen`.
    """
    feature = features(model, seen)
    facing = np.clip((seen.facing - STEEP[0]) / (STEEP[1] - STEEP[0]), 0, 1)
    lit = np.maximum(shading(seen, light), DIMMEST * np.abs(light[0]).max())
    colours = albedo_seen(model, seen, albedo, gaze) * lit + _highlights(seen, light)[:, None]
    drawn = seen.picture(colours)
    skin = seen.picture((feature < 0.5) & seen.is_part("Face") & (facing > 0.2)) * ~hidden
    skin *= _plausible(photograph, skin > 0.5)
    own, near = _smoothed(photograph, skin, SMOOTH * eyes)
    its, _ = _smoothed(drawn, skin, SMOOTH * eyes)
    new = np.log(np.maximum(own, FAINT)) + np.log((drawn + FAINT) / (its + FAINT))
    old = np.log(np.maximum(photograph, FAINT))
    grain = old - cv2.GaussianBlur(old, (0, 0), max(FINE * eyes, 0.3))
    soft = cv2.GaussianBlur(seen.picture(feature), (0, 0), max(0.02 * eyes, 0.3))[..., None]
    kept = cv2.GaussianBlur(seen.picture(_kept(seen, feature, how)), (0, 0), max(0.02 * eyes, 0.3))[..., None]
    own_grain = (1 - kept) * how.grain * (1 - soft)
    mixed = (1 - kept) * new + own_grain * grain + kept * old
    share = seen.picture(inner(model, seen) * facing) * ~hidden * (near > LEAST_SKIN)
    share = cv2.GaussianBlur(share.astype(np.float32), (0, 0), max(0.03 * eyes, 0.3))
    return Drawing(np.exp(mixed), share, (kept + own_grain)[..., 0])


def _kept(seen: Seen, feature: np.ndarray, how: Redrawing) -> np.ndarray:
    """(k,) share of the photograph's own detail."""
    kept = np.where(feature > 0.5, how.features, how.kept)
    kept[seen.is_part("Sclera left", "Sclera right")] = how.eyes
    kept[seen.is_part("Teeth", "Gums and tongue", "Mouth socket")] = how.mouth
    return kept


def features(model: HeadModel, seen: Seen) -> np.ndarray:
    """(k,) float64, 1 on and around eyes, brows, mouth and nostrils, 0 on the skin between."""
    mean, marks = seen.of(model.neutral)[:, :3], model.neutral[model.landmarks][:, :2]
    front = mean[:, 2] > 45
    result = ~seen.is_part("Face", "Head and Neck")
    rings = [(marks[36:42], "eye"), (marks[42:48], "eye"), (marks[48:60], "mouth")]
    lines = [(np.concatenate([ring, ring[:1]]), AROUND[name]) for ring, name in rings]
    lines += [(marks[a:b] + np.array([0, 2]), AROUND["brow"]) for a, b in ((17, 22), (22, 27))]
    lines.append((marks[31:36], AROUND["nostril"]))
    for line, reach in lines:
        result |= front & (off_line(mean[:, :2], line, reach)[0] < reach)
    for ring, _ in rings:
        result |= front & inside(mean[:, :2], ring)
    return result.astype(np.float64)


def inner(model: HeadModel, seen: Seen) -> np.ndarray:
    """(k,) in [0, 1]: 1 within the narrow face, falling to 0 at its rim."""
    return np.clip(seen.of(_depth(model)) / EDGE, 0, 1)


@cache
def _depth(model: HeadModel) -> np.ndarray:
    """(n,) float64, mm: how far a vertex of the mean head lies within the rim of the narrow face."""
    result = np.zeros(len(model.neutral))
    rim = model.neutral[NARROW : model.parts["Face"][1]]
    result[:NARROW] = KDTree(rim).query(model.neutral[:NARROW])[0]
    for name in SHOWN[2:]:  # eyes and mouth, all within
        result[slice(*model.parts[name])] = EDGE
    return result


def _smoothed(picture: np.ndarray, skin: np.ndarray, deviation: float) -> tuple[np.ndarray, np.ndarray]:
    """The mean over the skin nearby, (h, w, 3), and how much skin there was, (h, w)."""
    near = cv2.GaussianBlur(skin.astype(np.float32), (0, 0), deviation)
    total = cv2.GaussianBlur(picture * skin[..., None].astype(np.float32), (0, 0), deviation)
    return total / np.maximum(near, 1e-6)[..., None], near


def _plausible(photograph: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """(h, w) bool: about as bright as the skin is; glasses' rims and hands' shadows are not."""
    bright = photograph.mean(axis=2)
    usual = np.median(bright[skin]) if skin.any() else 1.0
    return (bright > 0.35 * usual) & (bright < 2.5 * usual)


def _highlights(seen: Seen, light: np.ndarray) -> np.ndarray:
    """(k,) what the eyes mirror of the strongest light, by Phong's model with the halfway vector."""
    grey = light.mean(axis=1)
    way = grey[[3, 1, 2]]  # the harmonics x, y, z
    way = way / max(float(np.linalg.norm(way)), 1e-9) + seen.toward
    way /= max(float(np.linalg.norm(way)), 1e-9)
    wet = seen.is_part("Sclera left", "Sclera right")
    return GLOSS * max(float(grey[0]), 0.0) * wet * np.clip(seen.normals @ way, 0, 1) ** SHARP
