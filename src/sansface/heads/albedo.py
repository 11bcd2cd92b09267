"""Albedo of the parametric head, which has none of its own: painted by region, by a code with named numbers.

The regions are drawn where the vertices of the *mean* head are, in millimetres, so that they follow the
topology from head to head and through every expression. Colours are linear RGB.
"""

from itertools import pairwise

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.special import ndtr

from sansface.errors import SansfaceError
from sansface.heads.look import Seen
from sansface.heads.parametric import HeadModel
from sansface.heads.trace import linear

CODES = (
    "skin",  # from the lightest to the darkest tone of the Monk scale
    "warmth",  # from bluish to reddish skin
    "blush",  # of cheeks, nose and chin
    "lip colour",  # from the skin's to a strong red
    "lip darkness",
    "brow colour",  # from fair to black: of the stubble, too
    "brow thickness",
    "brow density",
    "iris",  # from blue through green to dark brown
    "beard",  # shadow of a shaved beard
    "scalp",  # how much the shaved hair shows
    "eye shadow",  # how much darker the skin around the eyes is
)
"""What the numbers of a code mean, each of N(0, 1) over people; the words are for its rise."""

MONK = ("f6ede4", "f3e7db", "f7ead0", "eadaba", "d7bd96", "a07e56", "825c43", "604134", "3a312a", "292420")
"""The Monk skin tone scale, sRGB."""
HAIRS = np.array([[0.35, 0.22, 0.09], [0.06, 0.03, 0.015], [0.012, 0.010, 0.010]])
IRISES = np.array([[0.08, 0.15, 0.26], [0.07, 0.10, 0.04], [0.08, 0.035, 0.015], [0.03, 0.014, 0.008]])
WHITE, TEETH, FLESH = 0.48, 0.5, (0.32, 0.09, 0.08)
LASHES = ((36, 40, 0.35), (39, 43, 0.8), (42, 46, 0.35), (45, 49, 0.8))
"""Landmarks along each lid (the last of an eye is its first) and the share of light that its lashes leave."""
LASH = 0.9
"""Width over which they darken the lid's rim, mm."""
PUPIL, IRIS = 2.2, 6.0
"""Radii, mm."""
FRAYED = 1.8
"""Half the width of a brow's edge, mm: single hairs."""
SOFT = 0.7
"""Half the width of an edge, mm: the vertices lie one to three millimetres apart."""

HAIRLINE = PchipInterpolator(
    [0, 30, 50, 65, 76, 84, 92, 105, 118, 132, 150, 180],
    [88, 90, 80, 56, 30, 26, 62, 62, 20, -18, -38, -42],
)
"""Height of the hair line, mm, by the angle from the face, degrees."""
AXIS = np.array([0.0, 0.0, 8.0])
"""A point of the vertical axis around which that angle turns."""


def albedo(model: HeadModel, codes: np.ndarray) -> np.ndarray:
    """The colours of a head.

    Args:
        codes: (k,) of `CODES`, the first k; the rest are zero.

    Returns:
        (n, 3) float32 linear RGB in [0, 1], at all vertices of the model.

    Raises:
        SansfaceError: too many numbers, or one that is not finite.
    """
    code = _named(codes)
    colour = np.empty((len(model.neutral), 3))
    colour[:] = FLESH
    colour[slice(*model.parts["Teeth"])] = TEETH
    skin = np.concatenate([np.arange(*model.parts[name]) for name in ("Face", "Head and Neck")])
    colour[skin] = _skin(model, model.neutral[skin].astype(np.float64), code)
    for side in ("left", "right"):
        ball = slice(*model.parts[f"Eyeball {side}"])
        colour[ball] = _eye(model.neutral[ball].astype(np.float64), iris_colour(code["iris"], code["skin"]))
    return colour.astype(np.float32)


def albedo_seen(
    model: HeadModel, seen: Seen, codes: np.ndarray, gaze: tuple[float, float] = (0.0, 0.0)
) -> np.ndarray:
    """The colours of what a camera sees, painted pixel by pixel: edges as sharp as the picture.

    Args:
        codes: as for `albedo`.
        gaze: how far the irises lie to the head's own left and up, mm.

    Returns:
        (k, 3) float32 linear RGB in [0, 1].

    Raises:
        SansfaceError: see `albedo`.
    """
    code, mean = _named(codes), seen.of(model.neutral).astype(np.float64)
    colour = np.empty((len(mean), 3))
    colour[:] = FLESH
    colour[seen.is_part("Teeth")] = TEETH
    skin = seen.is_part("Face", "Head and Neck")
    colour[skin] = _skin(model, mean[skin], code) * _lashes(model, mean[skin])[:, None]
    iris = iris_colour(code["iris"], code["skin"])
    for side in ("left", "right"):
        ball = seen.is_part(f"Sclera {side}")
        whole = model.neutral[slice(*model.parts[f"Sclera {side}"])]
        center = (whole.min(axis=0) + whole.max(axis=0)) / 2
        colour[ball] = eye_colour(np.linalg.norm(mean[ball, :2] - center[:2] - gaze, axis=1), iris)
    return colour.astype(np.float32)


def _named(codes: np.ndarray) -> dict[str, float]:
    said = np.asarray(codes, dtype=np.float64).reshape(-1)
    if len(said) > len(CODES) or not np.isfinite(said).all():
        raise SansfaceError(
            f"an albedo code is up to {len(CODES)} finite numbers, not {len(said)}; correct it."
        )
    numbers = np.pad(said, (0, len(CODES) - len(said)))
    return {str(name): float(number) for name, number in zip(CODES, numbers, strict=True)}


def skin_tone(skin: float, warmth: float = 0.0) -> np.ndarray:
    """(3,) linear RGB: the Monk scale, evenly used by N(0, 1)."""
    codes = np.array([[int(tone[k : k + 2], 16) for k in (0, 2, 4)] for tone in MONK])
    # The scale shows skin in the light, and albedo is what it is made from: no skin reflects less than 3 %.
    tones = 0.9 * linear(codes / 255) + 0.025
    return _mixed(tones, skin) * np.exp(0.06 * warmth * np.array([1.0, 0.0, -1.0]))


def iris_colour(iris: float, skin: float = 0.0) -> np.ndarray:
    """(3,) linear RGB of an iris, which is dark in dark skin."""
    return _mixed(IRISES, iris + max(skin, 0))


def margin(mean: np.ndarray) -> np.ndarray:
    """(n,) about how far inside the hair line, mm; negative on the face, the neck and the ears."""
    across = mean - AXIS
    angle = np.degrees(np.arctan2(np.abs(across[:, 0]), across[:, 2]))
    result = mean[:, 1] - HAIRLINE(angle)
    ear = (np.abs(mean[:, 0]) > 79) & (mean[:, 1] < 60)
    return np.where(ear, -np.abs(result) - 1, result)


def inside(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """(n,) bool: which (n, 2) points lie in a polygon (k, 2), by the even-odd rule."""
    result = np.zeros(len(points), dtype=bool)
    for a, b in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        crosses = (a[1] > points[:, 1]) != (b[1] > points[:, 1])
        if a[1] != b[1]:
            result ^= crosses & (points[:, 0] < a[0] + (points[:, 1] - a[1]) * (b[0] - a[0]) / (b[1] - a[1]))
    return result


def off_line(points: np.ndarray, line: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) distance from a polyline, and (n,) how far along it the nearest place is, in [0, 1]."""
    best, along = np.full(len(points), np.inf), np.zeros(len(points))
    for k, (a, b) in enumerate(pairwise(line)):
        t = np.clip((points - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
        away = np.linalg.norm(points - a - t[:, None] * (b - a), axis=1)
        nearer = away < best
        best[nearer], along[nearer] = away[nearer], (k + t[nearer]) / (len(line) - 1)
    return best, along


def _skin(model: HeadModel, mean: np.ndarray, code: dict[str, float]) -> np.ndarray:
    tone = skin_tone(code["skin"], code["warmth"])
    hair = _mixed(HAIRS, code["brow colour"] + max(code["skin"], 0))  # dark skin with fair hair is rare
    marks = model.neutral[model.landmarks].astype(np.float64)
    folded = np.column_stack([np.abs(mean[:, 0]), mean[:, 1:]])
    colour = np.broadcast_to(tone, mean.shape).copy()
    for center, wide, strength in (
        ((45, -10, 85), 18, 0.5),
        ((0, 3, 125), 9, 0.4),
        ((0, -68, 100), 12, 0.25),
    ):
        red = strength * ndtr(code["blush"]) * _spot(folded, center, wide)
        colour *= 1 - red[:, None] * np.array([0.0, 0.55, 0.5])
    eye = np.abs(marks[36:48]).mean(axis=0)  # the middle of both lid rims, folded onto one side
    shadow = 0.5 * ndtr(code["eye shadow"]) * _spot(folded, eye + np.array([0, -3, 2]), 15)
    colour *= 1 - shadow[:, None] * np.array([0.8, 1.0, 1.0])

    beard = 0.45 * ndtr(code["beard"] - 1) * _beard(mean, marks)
    scalp = (0.15 + 0.75 * ndtr(code["scalp"])) * _step(margin(mean), 4.0)
    for share in (beard, scalp):
        colour += share[:, None] * (0.6 * hair + 0.2 * tone - colour)

    lips = _step(_depth(mean[:, :2], marks[48:60, :2]), SOFT) * (mean[:, 2] > 85)
    red = (1 - 0.75 * ndtr(code["lip colour"]) * np.array([0.05, 1.0, 0.9])) * np.exp(
        -0.2 * (code["lip darkness"] + 1)
    )
    colour += lips[:, None] * (red * tone - colour)

    for brow in (marks[17:22], marks[22:27]):
        away, along = off_line(mean[:, :2], brow[:, :2] + (0, 2.0))
        inner = along if brow[0, 0] > 0 else 1 - along  # the tail, away from the nose, is thinner
        thick = (3.8 - 2.4 * inner) * np.exp(0.25 * code["brow thickness"])
        share = (0.35 + 0.6 * ndtr(code["brow density"])) * _step(thick - away, FRAYED) * (mean[:, 2] > 55)
        colour += share[:, None] * (hair - colour)
    return colour.clip(0.005, 0.9)


def _beard(mean: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """(n,) in [0, 1]: the lower face but for the middle of the cheeks."""
    below = _step(marks[33, 1] - 4 - mean[:, 1], 4.0)
    front = _step(mean[:, 2] - 30, 12.0)
    cheek = _spot(np.column_stack([np.abs(mean[:, 0]), mean[:, 1:]]), (45, -10, 85), 22)
    return below * front * _step(mean[:, 1] + 110, 12.0) * (1 - cheek)


def _lashes(model: HeadModel, mean: np.ndarray) -> np.ndarray:
    """(n,) share of light that the lashes leave, 1 but at the lids' rims."""
    marks, share = model.neutral[model.landmarks][:, :2].astype(np.float64), np.ones(len(mean))
    for first, last, left in LASHES:
        start = 36 if first < 42 else 42
        line = marks[[start + (k - start) % 6 for k in range(first, last)]]
        away, _ = off_line(mean[:, :2], line)
        share *= 1 - (1 - left) * _step(LASH - away, LASH) * (mean[:, 2] > 45)
    return share


def _eye(mean: np.ndarray, iris: np.ndarray) -> np.ndarray:
    """White, an iris and a pupil, around the axis along z."""
    center = (mean.min(axis=0) + mean.max(axis=0)) / 2
    away = np.linalg.norm(mean[:, :2] - center[:2], axis=1)
    return eye_colour(np.where(mean[:, 2] > center[2], away, np.inf), iris)


def eye_colour(away: np.ndarray, iris: np.ndarray) -> np.ndarray:
    """(n, 3) linear RGB of an eye ball's front by the distance (n,) from its axis, mm."""
    white = np.full((len(away), 3), WHITE)
    coloured = white + _step(IRIS - away, SOFT)[:, None] * (iris - white)
    return coloured + _step(PUPIL - away, SOFT)[:, None] * (0.004 - coloured)


def _mixed(steps: np.ndarray, number: float) -> np.ndarray:
    """(3,) of (k, 3) colours, mixed geometrically: the first far below zero, the last far above."""
    place = ndtr(number) * (len(steps) - 1)
    low = int(min(place, len(steps) - 2))
    return np.exp((1 - place + low) * np.log(steps[low]) + (place - low) * np.log(steps[low + 1]))


def _spot(points: np.ndarray, center, wide: float) -> np.ndarray:
    return np.exp(-((np.linalg.norm(points - np.asarray(center), axis=1) / wide) ** 2))


def _step(depth: np.ndarray, soft: float) -> np.ndarray:
    """0 below −soft, 1 above soft, 3 t² − 2 t³ between."""
    t = np.clip((depth + soft) / (2 * soft), 0, 1)
    return t * t * (3 - 2 * t)


def _depth(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """(n,) distance from a polygon's outline, negative outside."""
    away, _ = off_line(points, np.concatenate([polygon, polygon[:1]]))
    return np.where(inside(points, polygon), away, -away)
