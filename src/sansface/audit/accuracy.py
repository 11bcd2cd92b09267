"""Recognition accuracy as the paper's table 2 counts it, and the distances of its figure 8.

There a recogniser is shown a clear photograph and a picture made of the same person, and says whether they
match; accuracy is the share of pairs that do. The paper took each library's constant threshold, and, as far
as its figure 8 tells, pairs from the same side. Here a picture is compared with the nearest of a person's
clear ones, and the threshold calibrated on clear pictures of other people, so that recognisers and kinds of
pictures compare. A share of matches says little without the pairs that must not match, so rank-1 stands
beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sansface.audit.scores import (
    Identification,
    Threshold,
    Verification,
    calibrated,
    identify,
    similarities,
    verify,
)

LEAST_TAR = 0.5
"""Of the clear pairs of one person: whoever matches fewer is no recogniser of such pictures."""
MOST_FMR = 5.0
"""So many times the rate asked for may the clear pairs of different people match."""
LEAST_NAMED, MORE = 0.5, 2.0
"""Of the clear pictures that must be named rightly, and how many times chance its interval must begin at."""


@dataclass(frozen=True, eq=False)
class Accuracy:
    """One cell of table 2.

    Attributes:
        verification: `tar` is the paper's accuracy, here at a known rate of false matches; pairs are of a
            picture and a person.
        identification: the person of the nearest of all clear pictures.
        same, other: (n,), (m,) float64 cosine distances, 1 − cos, to the nearest clear picture of the
            same person, and of each other one: figure 8.
        limit: the distance up to which two match, in the mean over people.
    """

    verification: Verification
    identification: Identification
    same: np.ndarray
    other: np.ndarray
    limit: float

    @property
    def names(self) -> bool:
        """Of clear pictures: is the right person named? Else no distance to anybody proves anything."""
        rank1 = self.identification.rank1.misses
        return rank1.value >= LEAST_NAMED and rank1.low >= MORE * self.identification.chance

    @property
    def proves(self) -> bool:
        """Of clear pictures: do those of one person match, and those of others not?"""
        threshold, tar = self.verification.threshold, self.verification.tar.misses.value
        return tar >= LEAST_TAR and self.verification.fmr <= MOST_FMR * threshold.rate


def nearest(similar: np.ndarray, owners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The similarity of each probe to the likest of a person's pictures.

    Args:
        similar: (n, m).
        owners: (m,) whose each picture enrolled is.

    Returns:
        (n, people) and (people,) who, in ascending order.
    """
    people = np.unique(owners)
    return np.stack([similar[:, owners == person].max(axis=1) for person in people], axis=1), people


def thresholds_of_others(
    probes: np.ndarray, labels: np.ndarray, enrolled: np.ndarray, owners: np.ndarray, rate: float
) -> dict[int, Threshold]:
    """For each person a threshold from the clear pictures of all others: nobody's own decides.

    Args:
        probes: (n, d) embeddings of clear pictures of at least three people.
        labels: (n,) int64, whose.
        enrolled: (m, d) of other clear pictures of the same people.
        owners: (m,) int64.
        rate: of false matches.
    """
    near, people = nearest(similarities(probes, enrolled), owners)
    different = labels[:, None] != people
    return {
        int(person): calibrated(near[different & (labels != person)[:, None] & (people != person)], rate)
        for person in people[np.isin(people, labels)]
    }


def accuracy(
    probes: np.ndarray,
    labels: np.ndarray,
    enrolled: np.ndarray,
    owners: np.ndarray,
    thresholds: Threshold | Mapping[int, Threshold],
    rng: np.random.Generator,
) -> Accuracy:
    """Compare pictures of people with clear ones.

    Args:
        probes: (n, d) embeddings.
        labels: (n,) int64, whose; each of `owners`.
        enrolled: (m, d) of clear pictures, none of which a probe was made of.
        owners: (m,) int64.
        thresholds: of a match, one for all or one for each person probed.
        rng: draws the bootstrap.
    """
    if isinstance(thresholds, Threshold):
        thresholds = dict.fromkeys(np.unique(labels).tolist(), thresholds)
    near, people = nearest(similarities(probes, enrolled), owners)
    same = labels[:, None] == people
    # What is above the own threshold is above 0.
    above = near - np.array([thresholds[person].value for person in labels.tolist()])[:, None]
    known = list(thresholds.values())
    zero = Threshold(0.0, known[0].rate, min(one.pairs for one in known))
    return Accuracy(
        verify(above, labels, people, zero, rng),
        identify(near, labels, people, rng),
        1 - near[same],
        1 - near[~same],
        1 - float(np.mean([one.value for one in known])),
    )
