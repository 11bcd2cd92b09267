"""What pictures tell of a person beside the name: private attributes, found by linear models.

The paper's supplement (sec. 6) counts leakage as the mean over attributes of the average precision, after
Orekondy et al. (2017), whose model knows sixty-eight attributes of photographs. Here attributes are what is
known of the pictures at hand, and the models are ridge regressions fitted on pictures of the same kind, so
that they may learn what protected pictures look like.

Whoever is tested was not learnt from: people, not pictures, are divided into folds, and the strength of the
regularisation is chosen within those learnt from. Guessing gives about the share of pictures that have the
attribute, and labels given to other people at random what the same models make of no knowledge.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sansface.audit.attackers import linear
from sansface.audit.scores import COVERAGE, DRAWS, Rate
from sansface.errors import SansfaceError

STRENGTHS = (0.01, 0.1, 1.0, 10.0)
"""Of the ridge, in units of the mean variance along a direction."""
FOLDS = 5
LEAST = 3
"""People who have an attribute, and who have not, from which on it is looked for."""


@dataclass(frozen=True, eq=False)
class Precision:
    """What of the attributes was found.

    Attributes:
        each: (attributes,) float64, average precision, 0 to 1.
        mean: of `each`, with its interval over people.
    """

    each: np.ndarray
    mean: Rate


def average_precision(scores: np.ndarray, truth: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Σ (R_k − R_{k−1}) P_k over the falling thresholds k, equal scores at once.

    Args:
        scores: (n,) more is likelier.
        truth: (n,) bool.
        weights: (n,) how often each picture counts; None for once.

    Returns:
        NaN where no picture that counts is true.
    """
    often = np.ones(len(scores)) if weights is None else weights
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)
    found = np.cumsum((often * truth)[order])[last]
    shown = np.cumsum(often[order])[last]
    if found[-1] == 0:
        return float("nan")
    return float(np.diff(found, prepend=0) @ (found / np.maximum(shown, 1e-12)) / found[-1])


def gram_of(descriptors: Mapping[str, np.ndarray]) -> np.ndarray:
    """(n, n) float64 inner products of all descriptors together, each of the same mean square length.

    Args:
        descriptors: name to (n, d).
    """
    total = None
    for values in descriptors.values():
        centred = values.astype(np.float64) - values.mean(axis=0, dtype=np.float64)
        gram = centred @ centred.T
        gram /= max(np.trace(gram) / len(gram), 1e-12)
        total = gram if total is None else total + gram
    if total is None:
        raise SansfaceError("there are no descriptors of the pictures; describe them.")
    return total


def worth_looking_for(truth: np.ndarray, people: np.ndarray, least: int = LEAST) -> np.ndarray:
    """(attributes,) bool: those that so many people have in some picture, and so many lack in some.

    Args:
        truth: (n, attributes) bool.
        people: (n,) int64.
    """
    who = np.unique(people)
    having = np.stack([truth[people == one].any(axis=0) for one in who])
    lacking = np.stack([(~truth[people == one]).any(axis=0) for one in who])
    return (having.sum(axis=0) >= least) & (lacking.sum(axis=0) >= least)


def find_attributes(
    gram: np.ndarray,
    truth: np.ndarray,
    people: np.ndarray,
    rng: np.random.Generator,
    strengths: Sequence[float] = STRENGTHS,
) -> Precision:
    """Fit on some people and look at the others, for each attribute by itself.

    Args:
        gram: (n, n) inner products of the pictures' descriptors.
        truth: (n, attributes) bool.
        people: (n,) int64, at least twice as many people as folds.
        rng: divides people into folds and draws the bootstrap.

    Raises:
        SansfaceError: too few people, or no attribute that enough have and lack.
    """
    who, place = np.unique(people, return_inverse=True)
    if len(who) < 2 * FOLDS or truth.shape[1] == 0:
        raise SansfaceError(
            f"{len(who)} people with {truth.shape[1]} attributes tell nothing; give {2 * FOLDS} or more "
            f"people, {LEAST} of them with an attribute and {LEAST} without."
        )
    fold = rng.permutation(np.arange(len(who)) % FOLDS)[place]
    scores = np.stack([_scores(gram, one, people, fold, strengths) for one in truth.T], axis=1)
    each = _each(scores, truth)
    drawn = []
    for _ in range(DRAWS):
        often = np.bincount(rng.integers(len(who), size=len(who)), minlength=len(who))
        drawn.append(np.nanmean(_each(scores, truth, often[place])))
    low, high = np.quantile(drawn, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    mean = Rate(float(each.mean()), float(low), float(high), len(truth))
    return Precision(each, mean)


def given_to_others(truth: np.ndarray, groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The negative control: all pictures of a group with the attributes of another one, drawn at random.

    Args:
        truth: (n, attributes) bool, the same within a group.
        groups: (n,) int64, pictures of one sitting.
    """
    _, first, place = np.unique(groups, return_index=True, return_inverse=True)
    return truth[rng.permutation(first)][place]


def _scores(
    gram: np.ndarray, truth: np.ndarray, people: np.ndarray, fold: np.ndarray, strengths: Sequence[float]
) -> np.ndarray:
    """(n,) how likely, by those in the other folds."""
    result, labels = np.zeros(len(truth)), truth.astype(np.int64)
    for one in range(FOLDS):
        out = fold == one
        left, told = linear.ridge(
            gram[np.ix_(~out, ~out)], gram[np.ix_(out, ~out)], labels[~out], people[~out], 2, strengths
        )
        reached = [average_precision(row[:, 1], truth[~out]) for row in left]
        result[out] = told[int(np.argmax(np.nan_to_num(reached)))][:, 1]
    return result


def _each(scores: np.ndarray, truth: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    return np.array([average_precision(*pair, weights) for pair in zip(scores.T, truth.T, strict=True)])
