"""A recogniser, with what it says of clear photographs: thresholds, and the control without which nothing
counts.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sansface.audit.attackers.linear import directions
from sansface.audit.control import Control, control
from sansface.audit.scores import Rate, by_person, identify, similarities, verify
from sansface.audit.split import Split
from sansface.bench.deidentify.cohort import Cohort
from sansface.recognise.recogniser import Recogniser


@dataclass(frozen=True, eq=False)
class Scorer:
    """One recogniser and its clear embeddings.

    Attributes:
        recogniser: any.
        probes: (n, d) of the portraits' own clear photographs.
        enrolled: (m, d) of the other clear photographs.
        labels: (n,) and owners: (m,) int64, whose.
        control: of one half of the clear photographs against the other; `control.thresholds` at false-match
            rates of 1e-2 and 1e-3.
    """

    recogniser: Recogniser
    probes: np.ndarray
    enrolled: np.ndarray
    labels: np.ndarray
    owners: np.ndarray
    control: Control

    @property
    def name(self) -> str:
        return self.recogniser.name


def scorer(recogniser: Recogniser, cohort: Cohort, rng: np.random.Generator) -> Scorer:
    """Embed all clear photographs and calibrate on strangers.

    Raises:
        SansfaceError: the recogniser does not tell clear photographs of these people apart.
    """
    people = cohort.people
    clear = recogniser.embed(people.crops[recogniser.placing])
    evaluated = np.union1d(cohort.enrolled, cohort.probes)
    rest = np.setdiff1d(evaluated, cohort.half)
    parts = Split(rest, cohort.half, np.zeros(0, np.int64), cohort.strangers)
    found = control(clear, people.labels, people.numbers, parts, rng)
    return Scorer(
        recogniser,
        clear[cohort.probes],
        clear[cohort.enrolled],
        cohort.labels,
        people.labels[cohort.enrolled],
        found,
    )


def distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """DIS of Wen et al.: ‖a/‖a‖ − b/‖b‖‖₂ of embeddings (n, d), row by row: (n,) float64 in [0, 2]."""
    return np.linalg.norm(directions(one.astype(np.float64)) - directions(other.astype(np.float64)), axis=1)


def as_distance(similarity: float) -> float:
    """The distance of unit vectors whose cosine is this: √(2 − 2 cos)."""
    return float(np.sqrt(max(0.0, 2 - 2 * similarity)))


@dataclass(frozen=True)
class Scored:
    """What a recogniser says of hidden faces.

    Attributes:
        recogniser: its name.
        distance: DIS, mean over the pictures.
        limit: the distance up to which two match, at a false-match rate of 1e-3.
        tar: share of the pairs of a hidden picture and another, clear photograph of the person that match at
            a false-match rate of 1e-3; clear_tar: the same of the clear probes.
        rank1: share of pictures of which the right person's clear photographs are the likest in the mean;
            clear_rank1, chance: of the clear probes, and of guessing.
    """

    recogniser: str
    distance: float
    limit: float
    tar: Rate
    clear_tar: Rate
    rank1: Rate
    clear_rank1: Rate
    chance: float

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> "Scored":
        """Of plain JSON, as `asdict` gives it."""
        rates = ("tar", "clear_tar", "rank1", "clear_rank1")
        return cls(**{**told, **{name: Rate(**told[name]) for name in rates}})


def scored(one: Scorer, hidden: np.ndarray, which: np.ndarray, rng: np.random.Generator) -> Scored:
    """Compare hidden faces with clear ones.

    Args:
        one: see there.
        hidden: (r, d) its embeddings of the hidden pictures, of r ≥ 1.
        which: (r,) the probe of which each was made.
        rng: draws the bootstrap.
    """
    threshold = one.control.thresholds[-1]
    tar, rank1, chance = matched(one, hidden, one.labels[which], rng)
    clear_tar, clear_rank1, _ = matched(one, one.probes, one.labels, rng)
    return Scored(
        recogniser=one.name,
        distance=float(distances(hidden, one.probes[which]).mean()),
        limit=as_distance(threshold.value),
        tar=tar,
        clear_tar=clear_tar,
        rank1=rank1,
        clear_rank1=clear_rank1,
        chance=chance,
    )


def matched(
    one: Scorer,
    probes: np.ndarray,
    labels: np.ndarray,
    rng: np.random.Generator,
    known: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[Rate, Rate, float]:
    """TAR at a false-match rate of 1e-3, rank-1, and what guessing gives of rank-1.

    Args:
        one: see there.
        probes: (r, d).
        labels: (r,) whose.
        rng: draws the bootstrap.
        known: (m, d) embeddings of a gallery and (m,) whose; None for the clear photographs enrolled.
    """
    gallery, owners = known or (one.enrolled, one.owners)
    similar = similarities(probes, gallery)
    verified = verify(similar, labels, owners, one.control.thresholds[-1], rng)
    scores, people = by_person(similar, owners)
    named = identify(scores, labels, people, rng)
    return verified.tar.misses, named.rank1.misses, named.chance
