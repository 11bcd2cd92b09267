"""Whose photographs are hidden, with what they are compared, and on whom thresholds are calibrated.

People with ten photographs and more are evaluated: some of their photographs are hidden (the probes), all
their others are enrolled as they are. Thresholds come from everybody else. Photographs are enlarged where a
larger size
is asked for: that costs what it costs to work on so many pixels, and adds nothing to see.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from sansface.audit.people import CLEAR, People, read_people, read_photographs
from sansface.audit.split import LEAST
from sansface.errors import SansfaceError
from sansface.recognise.align import Placing
from sansface.recognise.detect import Yunet


@dataclass(frozen=True, eq=False)
class Portrait:
    """A whole photograph of somebody.

    Attributes:
        person: number, see `audit.people`.
        picture: (h, w, 3) uint8 sRGB.
        landmarks: (5, 2) of the face, pixels.
        faces: of all faces in the photograph, its own among them.
    """

    person: int
    picture: np.ndarray
    landmarks: np.ndarray
    faces: tuple[np.ndarray, ...] = ()


@dataclass(frozen=True, eq=False)
class Cohort:
    """Everybody.

    Attributes:
        people: all photographs' faces, cut out.
        probes: (n,) index in `people` of each portrait, in order.
        enrolled: (m,) indices of other photographs of the people evaluated.
        half: (h,) half of each person's photographs, the probes among them: for the control.
        strangers: (k,) indices of other people's.
        portraits: the n photographs to be hidden.
        gallery: photographs among those enrolled that an attacker hides himself.
        clear: strangers' photographs, as many as are hidden or all there are: what faces ought to look like.
        lessons: strangers' photographs that an attacker hides himself, to learn from.
    """

    people: People
    probes: np.ndarray
    enrolled: np.ndarray
    half: np.ndarray
    strangers: np.ndarray
    portraits: tuple[Portrait, ...]
    gallery: tuple[Portrait, ...]
    clear: tuple[Portrait, ...]
    lessons: tuple[Portrait, ...] = ()

    @property
    def labels(self) -> np.ndarray:
        """(n,) the person of each portrait."""
        return self.people.labels[self.probes]


def read_cohort(
    folder: Path,
    placings: Sequence[Placing],
    photographs: int,
    size: int,
    seed: int,
    gallery: int = 0,
    each: int = 1,
    lessons: int = 0,
    progress: Callable[[float], None] | None = None,
) -> Cohort:
    """Read a folder as `sansface audit` does, and divide it.

    Args:
        folder: of people, see `audit.people`.
        placings: of the recognisers.
        photographs: how many are hidden, in all: at most half of each person's.
        size: pixels to which the longer side of whole photographs is brought; 0 leaves them as they are.
        seed: decides which.
        gallery: photographs a person that an attacker has, of those enrolled.
        each: photographs of a person that are hidden before the next one's turn.
        lessons: photographs of strangers that an attacker learns from, or all there are.
        progress: called with the share that is done.

    Raises:
        SansfaceError: as for `read_people`; too few people, or photographs.
    """
    people = read_people(folder, tuple({CLEAR, *placings}), progress=progress)
    rng = np.random.default_rng([seed, 1])
    probes, enrolled, half, strangers = divided(people.labels, photographs, rng, each)
    owners = _first(people.labels, enrolled, gallery)
    other = rng.permutation(strangers)[: max(photographs, lessons)]
    hidden, known, others = (_portraits(folder, people, which, size) for which in (probes, owners, other))
    parts = (hidden, known, others[:photographs], others[:lessons])
    return Cohort(people, probes, enrolled, half, strangers, *parts)


def divided(
    labels: np.ndarray, photographs: int, rng: np.random.Generator, each: int = 1, least: int = LEAST
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Indices of probes, those enrolled, half of each person's, strangers; the people are taken in turn.

    Args:
        labels: (n,) int64, the person of each photograph.
        photographs: how many probes.
        rng: draws.
        each: photographs of a person before the next one's turn.
        least: photographs from which on a person is evaluated.

    Raises:
        SansfaceError: fewer than two people have so many photographs, fewer than three have less, or there
        are
            not so many photographs to hide.
    """
    people, counts = np.unique(labels, return_counts=True)
    evaluated = rng.permutation(people[counts >= least])
    if len(evaluated) < 2 or (counts < least).sum() < 3:
        raise SansfaceError(
            f"{len(evaluated)} people have {least} or more photographs and {(counts < least).sum()} have "
            "fewer, but two to be recognised and three to calibrate thresholds on are needed; add people."
        )
    turns = [
        rng.permutation(np.flatnonzero(labels == person))[: counts[people == person][0] // 2]
        for person in evaluated
    ]
    rounds = range(0, max(map(len, turns)), each)
    ordered = np.concatenate([own[begin : begin + each] for begin in rounds for own in turns])
    if not 1 <= photographs <= len(ordered):
        raise SansfaceError(
            f"{photographs} photographs cannot be hidden, for at most half of a person's are: ask for 1 to "
            f"{len(ordered)}."
        )
    probes = np.sort(ordered[:photographs])
    known = np.isin(labels, evaluated)
    rest = np.setdiff1d(np.flatnonzero(known), probes)
    return probes, rest, np.sort(ordered), np.flatnonzero(~known)


def enlarged(picture: np.ndarray, size: int) -> np.ndarray:
    """A (h, w, 3) uint8 picture with its longer side brought to so many pixels; as it is for 0."""
    scale = size / max(picture.shape[:2])
    if size == 0 or scale == 1:
        return picture
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    way = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    return cv2.resize(picture, (width, height), interpolation=way)


def _first(labels: np.ndarray, enrolled: np.ndarray, count: int) -> np.ndarray:
    owners = labels[enrolled]
    return np.concatenate([enrolled[owners == person][:count] for person in np.unique(owners)])


def _portraits(folder: Path, people: People, which: np.ndarray, size: int) -> tuple[Portrait, ...]:
    """Whole photographs with their faces; read_people has found one in each, at its own size."""
    yunet, result = Yunet(), []
    numbers = tuple(zip(people.labels[which].tolist(), people.numbers[which].tolist(), strict=True))
    for (person, number), picture in zip(numbers, read_photographs(folder, numbers), strict=True):
        own = yunet.nearest(picture)
        if own is None:
            raise SansfaceError(
                f"photograph {number + 1} of person {person + 1} in {folder} changed; run again."
            )
        larger = enlarged(picture, size)
        scale = np.array(larger.shape[1::-1]) / picture.shape[1::-1]
        faces = [face.landmarks * scale for face in yunet.every(picture)]
        result.append(Portrait(person, larger, own.landmarks * scale, tuple(faces)))
    return tuple(result)
