"""Who is attacked, on whom the attackers train, and on whom thresholds are calibrated: never the same.

Evaluation: the people with at least ten photographs, one half of each person's enrolled, the other half to be
recognised. All others are the background: two thirds of those people for the attackers' training, one third
for thresholds.
"""

from dataclasses import dataclass, fields
from itertools import combinations

import numpy as np

from sansface.errors import SansfaceError

LEAST = 10
"""Photographs from which on a person is evaluated."""
TRAINING = 2 / 3
"""Of the background."""


class OverlapError(SansfaceError):
    """Parts of a split that must not have a person or a photograph in common have one."""


@dataclass(frozen=True, eq=False)
class Split:
    """Indices of photographs, each (m,) int64 in ascending order.

    Attributes:
        enrolled: of the people evaluated, what the attacker has of them.
        probe: of the same people, what he tries to recognise.
        training: of other people.
        thresholds: of yet other people.
    """

    enrolled: np.ndarray
    probe: np.ndarray
    training: np.ndarray
    thresholds: np.ndarray


def split(labels: np.ndarray, digests: np.ndarray, rng: np.random.Generator, least: int = LEAST) -> Split:
    """Divide people and photographs at random, and check that the parts are disjoint.

    Args:
        labels: (n,) int64, the person of each photograph.
        digests: (n,) of their contents.
        rng: draws.
        least: photographs from which on a person is evaluated, two at least.

    Raises:
        SansfaceError: fewer than two people have so many photographs, or fewer than three have less.
        OverlapError: a photograph lies in two parts.
    """
    people, counts = np.unique(labels, return_counts=True)
    evaluated = people[counts >= least]
    if counts.max() < 2:
        raise SansfaceError(
            "there is one photograph a person, and recognising needs a second one; give "
            f"{least} or more of at least two people."
        )
    if len(evaluated) < 2:
        raise SansfaceError(
            f"{len(evaluated)} people have {least} or more photographs, and guessing among fewer than two "
            "tells nothing; give more photographs, or ask for fewer a person."
        )
    background = rng.permutation(people[counts < least])
    if len(background) < 3:
        raise SansfaceError(
            f"{len(background)} people have fewer than {least} photographs, too few to train attackers and "
            "calibrate thresholds on; add other people, one photograph each is enough."
        )
    first, second = [], []
    for person in evaluated:
        own = rng.permutation(np.flatnonzero(labels == person))
        first.append(own[: len(own) // 2])
        second.append(own[len(own) // 2 :])
    trained, held = np.split(background, [round(TRAINING * len(background))])
    result = Split(
        enrolled=np.sort(np.concatenate(first)),
        probe=np.sort(np.concatenate(second)),
        training=np.flatnonzero(np.isin(labels, trained)),
        thresholds=np.flatnonzero(np.isin(labels, held)),
    )
    check_disjoint(result, labels, digests)
    return result


def check_disjoint(parts: Split, labels: np.ndarray, digests: np.ndarray) -> None:
    """No two parts share a photograph, and none but enrolled and probe share a person.

    Raises:
        OverlapError: they do, or the one half of the people evaluated are not the other half's.
    """
    if set(labels[parts.enrolled].tolist()) != set(labels[parts.probe].tolist()):
        raise OverlapError("other people are enrolled than those to be recognised; split again.")
    for one, other in combinations((field.name for field in fields(parts)), 2):
        a, b = getattr(parts, one), getattr(parts, other)
        same = np.intersect1d(digests[a], digests[b])
        if len(same):
            raise OverlapError(
                f"{len(same)} photographs are both in {one} and in {other}, so the audit would count what "
                "was known before; remove the copies."
            )
        people = np.intersect1d(labels[a], labels[b])
        if len(people) and (one, other) != ("enrolled", "probe"):
            raise OverlapError(
                f"person {people[0] + 1} is both in {one} and in {other}, so the audit would count what was "
                "known before; split by people."
            )
