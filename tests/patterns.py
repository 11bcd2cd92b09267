"""People who are patterns of colour, a recogniser that knows them, and all that is measured on them.

A photograph is a person's pattern with a little of its own. The recogniser sees colours less their mean, so
that whatever keeps the pattern is recognised, and whatever replaces it is not. No weights are needed.
"""

from collections.abc import Callable

import cv2
import numpy as np

from sansface.audit.people import People
from sansface.bench.deidentify.cohort import Cohort, Portrait, divided
from sansface.bench.deidentify.fits import Refits
from sansface.bench.deidentify.measure import Instruments
from sansface.bench.deidentify.scorers import scorer
from sansface.recognise.align import SIDE, TEMPLATE, Placing
from sansface.recognise.detect import Face

EVALUATED, EACH, STRANGERS = 12, 10, 60
OWN = 0.3
"""How much of a photograph is its own, beside a person's 1."""
COARSE = 7
"""Places a side of a pattern."""


class Eyes:
    """A recogniser: the picture reduced to its pattern."""

    name, digest, input, placing = "eyes", "", "", Placing()

    def embed(self, faces: np.ndarray) -> np.ndarray:
        small = np.stack([cv2.resize(face, (COARSE, COARSE), interpolation=cv2.INTER_AREA) for face in faces])
        flat = small.reshape(len(faces), -1)
        return flat - flat.mean(axis=1, keepdims=True)


class Nose:
    """A detector: finds the face where it must be while the picture is not black there."""

    def faces(self, picture: np.ndarray) -> list[Face]:
        return [Face(1.0, Placing().landmarks)] if picture[40:70, 40:70].any() else []


class Colours:
    """A backbone: the pattern's colours."""

    name, standard = "colours", False

    def features(self, picture: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        return cv2.resize(picture, (3, 3), interpolation=cv2.INTER_AREA).ravel() / 255


def pattern(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(COARSE, COARSE, 3))


def photographed(code: np.ndarray) -> np.ndarray:
    """(112, 112, 3) uint8 of a pattern."""
    fine = cv2.resize(code.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    return np.clip(128 + 40 * fine, 0, 255).astype(np.uint8)


def instruments(photographs: int = 24, gallery: int = 2, fit: Callable | None = None) -> Instruments:
    rng = np.random.default_rng(0)
    labels = np.concatenate([np.repeat(np.arange(EVALUATED), EACH), EVALUATED + np.arange(STRANGERS)])
    codes = [pattern(rng) for _ in range(EVALUATED + STRANGERS)]
    pictures = [photographed(codes[person] + OWN * pattern(rng)) for person in labels]
    people = People(
        labels=labels,
        numbers=np.concatenate([np.tile(np.arange(EACH), EVALUATED), np.zeros(STRANGERS, np.int64)]),
        digests=np.array([f"{index:064d}".encode() for index in range(len(labels))]),
        crops={Placing(): np.stack([Placing().cut(one, TEMPLATE) for one in pictures])},
        eyes=np.full(len(labels), 35.0),
    )
    probes, enrolled, half, strangers = divided(labels, photographs, rng)
    owners = np.concatenate([enrolled[labels[enrolled] == person][:gallery] for person in range(EVALUATED)])

    def portraits(which: np.ndarray) -> tuple[Portrait, ...]:
        return tuple(Portrait(int(labels[k]), pictures[k], TEMPLATE) for k in which)

    wholes = (portraits(which) for which in (probes, owners, strangers))
    cohort = Cohort(people, probes, enrolled, half, strangers, *wholes)
    backbone = Colours()
    return Instruments(
        cohort=cohort,
        scorers=(scorer(Eyes(), cohort, rng),),
        yunet=Nose(),
        backbone=backbone,
        clear=np.stack([backbone.features(one.picture, one.landmarks) for one in cohort.clear]),
        refits=Refits(fit, rng) if fit else None,
        fits=4,
        seed=0,
    )


def clear(photograph: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return photograph


def black(photograph: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.zeros_like(photograph)


def another(photograph: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Somebody new."""
    return photographed(pattern(rng))


def noisy(photograph: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The pattern below noise much stronger than it, which is fresh in every run."""
    fine = cv2.resize(pattern(rng).astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    return np.clip(128 + 0.08 * (photograph.astype(float) - 128) + 30 * fine, 0, 255).astype(np.uint8)


def shuffled(photograph: np.ndarray, seed: object) -> np.ndarray:
    """The pattern's places in an order that a seed decides: distances under one seed are kept."""
    rng = np.random.default_rng(seed)  # pyright: ignore[reportArgumentType]
    side = SIDE // COARSE
    blocks = photograph.reshape(COARSE, side, COARSE, side, 3).transpose(0, 2, 1, 3, 4)
    mixed = blocks.reshape(-1, side, side, 3)[rng.permutation(COARSE**2)]
    return mixed.reshape(blocks.shape).transpose(0, 2, 1, 3, 4).reshape(photograph.shape)


def one_of_three(photograph: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A code that can be searched: there are but three."""
    return shuffled(photograph, int(rng.integers(3)))
