"""Is everybody named as often, whatever the tone of the skin?

The tone is the individual typology angle arctan((L* − 50) / b*) in CIE L*a*b* (Chardon et al. 1991), the
larger the lighter: the median over both cheeks of a photograph, then over a person's photographs. Light,
exposure and white balance are whatever the photographer had, so it orders people roughly, and says nothing
exact of one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from sansface.audit.scores import Identification, Rate, bootstrapped
from sansface.recognise.align import Placing

THIRDS = ("darkest", "middle", "lightest")
LEAST = 5
"""People of a third from which on it is told: of fewer an interval would be all there is."""
CHEEK = 0.12
"""Half the side of the square that is looked at on each cheek, in distances between the eyes."""
GREY = 2.0
"""Chroma up to which a cheek is that of a grey photograph, which says no tone."""


@dataclass(frozen=True)
class Third:
    """A third of the people evaluated, by the tone of their skin.

    Attributes:
        name: one of `THIRDS`.
        people: in it.
        low, high: angles of its darkest and its lightest, degrees.
        named: share of a person's probes that were named rightly, mean over people.
    """

    name: str
    people: int
    low: float
    high: float
    named: Rate


def typology_angle(faces: np.ndarray, placed: Placing) -> np.ndarray:
    """Of each face, degrees; NaN where the photograph is grey.

    Args:
        faces: (n, side, side, 3) float32 sRGB in [0, 1], as `placed` says.

    Returns:
        (n,) float64.
    """
    # Halfway from an eye to the corner of the mouth below it: beside the nose, above the beard.
    right, left = (placed.landmarks[[eye, eye + 3]].mean(axis=0) for eye in (0, 1))
    half = CHEEK * placed.eyes
    angles = np.empty(len(faces))
    for k, face in enumerate(faces):
        cheeks = [
            face[_around(y, half, placed.side), _around(x, half, placed.side)].reshape(-1, 3)
            for x, y in (right, left)
        ]
        lab = cv2.cvtColor(np.concatenate(cheeks)[None].astype(np.float32), cv2.COLOR_RGB2Lab)[0]
        lightness, a, b = np.median(lab, axis=0)
        grey = np.hypot(a, b) <= GREY
        angles[k] = np.nan if grey else np.degrees(np.arctan2(lightness - 50, b))
    return angles


def thirds(
    people: Sequence[int], angles: np.ndarray, labels: np.ndarray
) -> Sequence[tuple[str, np.ndarray, float, float]]:
    """The people by the tone of their skin, those left out of whom every photograph is grey.

    Args:
        people: numbers.
        angles: (n,) of photographs; NaN says nothing.
        labels: (n,) their people.

    Returns:
        The third's name, its people (k,), and the angles of its darkest and its lightest, degrees; nothing
        where a third has too few.
    """
    tones = {person: _median(angles[labels == person]) for person in people}
    order = sorted((one for one in people if np.isfinite(tones[one])), key=lambda one: tones[one])
    if len(order) < LEAST * len(THIRDS):
        return ()
    parts = np.array_split(np.array(order), len(THIRDS))
    return tuple(
        (name, part, tones[part[0]], tones[part[-1]]) for name, part in zip(THIRDS, parts, strict=True)
    )


def by_tone(
    named: Identification, angles: np.ndarray, labels: np.ndarray, rng: np.random.Generator
) -> Sequence[Third]:
    """How often each third of the people was named; empty where a third has too few.

    Args:
        named: by one attacker, as many probes of each person.
        angles: (n,) of photographs; NaN says nothing.
        labels: (n,) their people.
        rng: draws the bootstrap.
    """
    shares = dict(named.worst)
    return tuple(
        Third(
            name=name,
            people=len(part),
            low=low,
            high=high,
            named=bootstrapped(np.array([shares[person] for person in part]), part, rng),
        )
        for name, part, low, high in thirds(tuple(shares), angles, labels)
    )


def _around(middle: float, half: float, side: int) -> slice:
    first = int(np.clip(np.floor(middle - half), 0, side - 1))
    return slice(first, max(first + 1, int(np.ceil(middle + half))))


def _median(angles: np.ndarray) -> float:
    known = angles[np.isfinite(angles)]
    return float(np.median(known)) if len(known) else float("nan")
