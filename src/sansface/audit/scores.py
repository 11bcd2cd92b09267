"""How well an attacker recognises, from matrices of similarities: a match is a similarity ≥ the threshold.

FMR, the false-match rate, is the share of pairs of different people that match, TAR that of pairs of one
person. Thresholds come from the pairs of the threshold people alone. Rank-1 is the share of probes that are
most like the right one of all people enrolled. Terms as in ISO/IEC 19795-1.
"""

from dataclasses import dataclass

import numpy as np

DRAWS = 1000
"""Of the bootstrap."""
COVERAGE = 0.95
"""Of an interval."""
ERRORS = 10
"""A threshold is calibrated if so many false matches were to be expected among its pairs: with fewer, chance
moves the rate by a third and more."""


@dataclass(frozen=True)
class Rate:
    """A share with its interval.

    Attributes:
        value: 0 to 1.
        low, high: the interval's ends; see `interval`.
        tries: of what it is a share.
    """

    value: float
    low: float
    high: float
    tries: int


def percent(rate: Rate) -> str:
    """A rate with its interval, in per cent."""
    return f"{100 * rate.value:.1f} [{100 * rate.low:.1f}, {100 * rate.high:.1f}]"


@dataclass(frozen=True)
class Counted:
    """A rate with undetected faces counted each way; all the same where all are detected.

    Attributes:
        misses: as failures.
        guesses: as what chance gives.
        left_out: not at all; None if nothing was detected.
        undetected: how many of the tries.
    """

    misses: Rate
    guesses: Rate
    left_out: Rate | None
    undetected: int


@dataclass(frozen=True)
class Threshold:
    """The least similarity that counts as a match, at a false-match rate.

    Attributes:
        value: the threshold.
        rate: the false-match rate that was asked for.
        pairs: of different people, on which it was calibrated.
    """

    value: float
    rate: float
    pairs: int

    @property
    def too_few(self) -> bool:
        """Are there too few pairs to know the rate?"""
        return self.rate * self.pairs < ERRORS


@dataclass(frozen=True)
class Verification:
    """Same person or not, by one threshold.

    Attributes:
        threshold: by which.
        tar: share of the pairs of one person that match.
        fmr: share of the evaluated people's pairs of different people that match: near `threshold.rate` if it
            was calibrated well.
    """

    threshold: Threshold
    tar: Counted
    fmr: float


@dataclass(frozen=True)
class Identification:
    """Which of the people enrolled.

    Attributes:
        rank1: share of probes named rightly; of equal scores each gets its part.
        chance: what guessing gives, 1 / people.
        worst: (person, share named rightly, undetected ones as failures), the most often named first.
    """

    rank1: Counted
    chance: float
    worst: tuple[tuple[int, float], ...]


def similarities(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Cosines of embeddings (n, d) and (m, d).

    Returns:
        (n, m) float64; 0 where an embedding is.
    """
    a, b = (_unit(embeddings.astype(np.float64)) for embeddings in (one, other))
    return a @ b.T


def impostors(similar: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Similarities of all pairs of different people, each pair once.

    Args:
        similar: (n, n), of photographs with themselves.
        labels: (n,).
    """
    row, column = np.triu_indices(len(labels), k=1)
    different = labels[row] != labels[column]
    return similar[row[different], column[different]]


def calibrated(pairs: np.ndarray, rate: float) -> Threshold:
    """The least threshold at which no more than a share `rate` of pairs of different people match.

    Args:
        pairs: (m,) similarities of m ≥ 1 pairs, of the threshold people alone.
        rate: 0 < rate < 1.
    """
    falling = np.sort(pairs)[::-1]
    allowed = int(np.floor(rate * len(pairs) + 1e-9))
    return Threshold(float(np.nextafter(falling[allowed], np.inf)), rate, len(pairs))


def verify(
    similar: np.ndarray,
    probes: np.ndarray,
    enrolled: np.ndarray,
    threshold: Threshold,
    rng: np.random.Generator,
    detected: np.ndarray | None = None,
) -> Verification:
    """Compare every probe with every photograph enrolled.

    Args:
        similar: (n, m).
        probes: (n,) person of each probe.
        enrolled: (m,) person of each photograph enrolled.
        threshold: see `calibrated`.
        rng: draws the bootstrap.
        detected: (n,) bool, whether the probe's face was found; None for all.
    """
    seen = np.ones(len(probes), dtype=bool) if detected is None else detected
    match = (similar >= threshold.value) & seen[:, None]
    same = probes[:, None] == enrolled
    row, _ = np.nonzero(same)
    tar = _counted(match[same].astype(np.float64), probes[row], seen[row], threshold.rate, rng)
    return Verification(threshold, tar, float(match[~same].mean()))


def equal_error_rate(genuine: np.ndarray, different: np.ndarray) -> float:
    """Where pairs of one person that do not match are as frequent as pairs of different people that do.

    Both rates are taken as straight between the thresholds at which they change, so that they do meet.

    Args:
        genuine: (n,) similarities of pairs of one person; −∞ never matches.
        different: (m,) of pairs of different people.
    """
    both = np.concatenate([genuine, different])
    same = np.arange(len(both)) < len(genuine)
    return _equal_error(_Steps(both), same.astype(np.float64), (~same).astype(np.float64))


def equal_error(
    similar: np.ndarray, probes: np.ndarray, enrolled: np.ndarray, rng: np.random.Generator, draws: int = 200
) -> Rate:
    """`equal_error_rate` of all pairs of probes and photographs enrolled, with its interval over people.

    A pair of different people counts in a draw as often as the one times the other was drawn. Where nothing
    or everything fails, see `interval`, of the people who have a pair of their own.

    Raises:
        ValueError: there are no pairs of one person, or none of different people.
    """
    people, who = np.unique(np.concatenate([probes, enrolled]), return_inverse=True)
    row, column = (part.ravel() for part in np.broadcast_arrays(who[: len(probes), None], who[len(probes) :]))
    same = row == column
    if same.all() or not same.any():
        raise ValueError("pairs of one person, or of different people, are missing")
    value = equal_error_rate(similar.ravel()[same], similar.ravel()[~same])
    steps, drawn = _Steps(similar.ravel()), []
    while len(drawn) < draws:
        often = np.bincount(rng.integers(len(people), size=len(people)), minlength=len(people))
        genuine, different = np.where(same, often[row], 0), np.where(same, 0, often[row] * often[column])
        if not (genuine.any() and different.any()):
            continue  # few people, of whom this draw has nobody's own pair, or no two of whom there is one
        drawn.append(_equal_error(steps, genuine, different))
    return Rate(value, *interval(value, np.array(drawn), len(np.unique(row[same]))), len(same))


def by_person(similar: np.ndarray, enrolled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean similarity of each probe to a person's photographs.

    Args:
        similar: (n, m).
        enrolled: (m,) person of each photograph enrolled.

    Returns:
        (n, people) and (people,) who, in ascending order.
    """
    people, who = np.unique(enrolled, return_inverse=True)
    member = np.eye(len(people))[who]
    return similar @ (member / member.sum(axis=0)), people


def identify(
    scores: np.ndarray,
    probes: np.ndarray,
    people: np.ndarray,
    rng: np.random.Generator,
    detected: np.ndarray | None = None,
) -> Identification:
    """Name the person of the highest score.

    Args:
        scores: (n, people) of each probe; see `by_person`.
        probes: (n,) its person.
        people: (people,) whose score a column is.
        rng: draws the bootstrap.
        detected: (n,) bool, whether the probe's face was found; None for all.
    """
    seen = np.ones(len(probes), dtype=bool) if detected is None else detected
    best = scores == scores.max(axis=1, keepdims=True)
    right = probes[:, None] == people
    hits = np.where(seen, (best & right).sum(axis=1) / best.sum(axis=1), 0.0)
    who, tried, named = _per_person(hits, probes)
    order = np.lexsort((who, -named / tried))
    return Identification(
        rank1=_counted(hits, probes, seen, 1 / len(people), rng),
        chance=1 / len(people),
        worst=tuple((int(who[index]), float(named[index] / tried[index])) for index in order),
    )


def chance_interval(tries: int, people: int, rng: np.random.Generator) -> tuple[float, float]:
    """Low and high end of rank-1 by guesses: between them lie 95 of 100 audits of so many tries."""
    low, high = np.quantile(rng.binomial(tries, 1 / people, 100_000) / tries, _ENDS)
    return float(low), float(high)


def bootstrapped(hits: np.ndarray, labels: np.ndarray, rng: np.random.Generator, draws: int = DRAWS) -> Rate:
    """A share and its 95 % interval over identities: people are drawn with all their tries, with replacement.

    Args:
        hits: (n,) in [0, 1] of n ≥ 1 tries.
        labels: (n,) person of each.
        rng: draws.
        draws: how often.
    """
    people, tried, named = _per_person(hits, labels)
    often = rng.multinomial(len(people), np.full(len(people), 1 / len(people)), size=draws)
    value, drawn = float(hits.mean()), (often @ named) / (often @ tried)
    return Rate(value, *interval(value, drawn, len(people)), len(hits))


def interval(value: float, drawn: np.ndarray, people: int) -> tuple[float, float]:
    """Low and high end of a share's 95 % interval.

    Where none or all of the tries succeed, all draws are alike and tell nothing; then the open end is where
    so many people, a try each, would give none with a probability of 0.025 (Clopper and Pearson 1934).

    Args:
        value: the share.
        drawn: (draws,) what the bootstrap over people gave.
        people: who tried.
    """
    (low, high), margin = np.quantile(drawn, _ENDS), 1 - _ENDS[0] ** (1 / people)
    return (float(low) if value < 1 else 1 - margin), (float(high) if value > 0 else margin)


_ENDS = ((1 - COVERAGE) / 2, (1 + COVERAGE) / 2)


def _counted(
    hits: np.ndarray, labels: np.ndarray, seen: np.ndarray, chance: float, rng: np.random.Generator
) -> Counted:
    return Counted(
        misses=bootstrapped(np.where(seen, hits, 0), labels, rng),
        guesses=bootstrapped(np.where(seen, hits, chance), labels, rng),
        left_out=bootstrapped(hits[seen], labels[seen], rng) if seen.any() else None,
        undetected=int((~seen).sum()),
    )


def _per_person(hits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(people,) who, how many tries, how many succeeded."""
    people, who = np.unique(labels, return_inverse=True)
    return people, np.bincount(who).astype(np.float64), np.bincount(who, weights=hits)


def _unit(embeddings: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return embeddings / np.where(length > 0, length, 1)


class _Steps:
    """Scores in ascending order, and where a new one begins; weighted shares are then sums."""

    def __init__(self, scores: np.ndarray) -> None:
        self.order = np.argsort(scores, kind="stable")
        ascending = scores[self.order]
        self.new = np.flatnonzero(np.concatenate([[True], ascending[1:] > ascending[:-1]]))

    def below(self, weights: np.ndarray) -> np.ndarray:
        """Share of the weight with a score below each threshold: each score, and above all of them."""
        total = np.concatenate([[0.0], np.cumsum(weights[self.order])])
        return np.append(total[self.new], total[-1]) / total[-1]


def _equal_error(steps: _Steps, genuine: np.ndarray, different: np.ndarray) -> float:
    missed, matched = steps.below(genuine), 1 - steps.below(different)
    more = missed - matched  # rises from −1 to 1
    after = int(np.argmax(more >= 0))
    part = more[after] / (more[after] - more[after - 1])
    return float(missed[after] + part * (missed[after - 1] - missed[after]))
