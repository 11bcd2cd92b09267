"""Two bundles: are they of one person? No gallery is labelled; other people's bundles say what matches."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sansface.audit.artefacts.views import Views, alike
from sansface.audit.scores import Rate, Threshold, calibrated, equal_error_rate, interval
from sansface.errors import SansfaceError

DRAWS = 500


@dataclass(frozen=True)
class Linkage:
    """error: equal error rate.  matched: at each threshold, the share of one person's pairs that match.
    thresholds: each with its false-match rate.  false: of the people linked, at each threshold.
    """

    error: Rate
    matched: tuple[Rate, ...]
    thresholds: tuple[Threshold, ...]
    false: tuple[float, ...]


def likeness(first: Views, second: Views) -> np.ndarray:
    """How like each person's second bundle is to each one's first: (people, people) float64.

    Of every descriptor the mean picture from that side is taken off, over all bundles that the attacker has,
    cosines are averaged over pictures of one side, and standardised over all pairs. No label is used.
    """
    people = int(first.labels.max()) + 1
    total = np.zeros((people, people))
    for name in first.described:
        one, other = (_centred(views, name, first) for views in (first, second))
        scores = np.zeros((people, people))
        np.add.at(scores, second.labels, alike(one, other, name))
        scores /= np.bincount(second.labels, minlength=people)[:, None]
        total += (scores - scores.mean()) / max(float(scores.std()), 1e-12)
    return total / len(first.described)


def linked(first: Views, second: Views, rates: Sequence[float], rng: np.random.Generator) -> Linkage:
    """Thresholds for one half of the people are calibrated on the other, in turn.

    Args:
        first, second: of one bundle and another of the same people.
        rates: false-match rates, for which thresholds are calibrated on the background.
        rng: draws halves and bootstrap.

    Raises:
        SansfaceError: fewer than four people.
    """
    people = int(first.labels.max()) + 1
    if people < 4:
        raise SansfaceError(f"{people} people have no halves of two, to link and to compare with; give four.")
    half = np.isin(np.arange(people), rng.permutation(people)[: people // 2])
    parts, thresholds = [], []
    scores, apart = likeness(first, second), ~np.eye(people, dtype=bool)
    for background in (half, ~half):
        known = scores[np.outer(background, background) & apart]
        thresholds.append([calibrated(known, rate) for rate in rates])
        parts.append(scores[np.ix_(~background, ~background)])
    matched, false = [], []
    for which in range(len(rates)):
        limits = [one[which].value for one in thresholds]
        values = [_pooled(part >= limit) for part, limit in zip(parts, limits, strict=True)]
        hits = np.concatenate([genuine for genuine, _ in values]).astype(np.float64)
        drawn = hits[rng.integers(len(hits), size=(DRAWS, len(hits)))].mean(axis=1)
        value = float(hits.mean())
        matched.append(Rate(value, *interval(value, drawn, people), people))
        false.append(float(np.concatenate([different for _, different in values]).mean()))
    return Linkage(_equal_error(parts, rng), tuple(matched), tuple(thresholds[0]), tuple(false))


def _equal_error(parts: Sequence[np.ndarray], rng: np.random.Generator) -> Rate:
    def error(chosen: Sequence[np.ndarray]) -> float:
        pairs = [_pooled(part[np.ix_(one, one)], one) for part, one in zip(parts, chosen, strict=True)]
        genuine, different = (np.concatenate([pair[k] for pair in pairs]) for k in (0, 1))
        return equal_error_rate(genuine, different)

    value = error([np.arange(len(part)) for part in parts])
    drawn = [error([_people(len(part), rng) for part in parts]) for _ in range(DRAWS)]
    people = sum(len(part) for part in parts)
    return Rate(value, *interval(value, np.array(drawn), people), sum(part.size for part in parts))


def _people(count: int, rng: np.random.Generator) -> np.ndarray:
    """(count,) people drawn with replacement, more than one of them."""
    while True:
        drawn = rng.integers(count, size=count)
        if (drawn != drawn[0]).any():
            return drawn


def _pooled(scores: np.ndarray, who: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Scores of pairs of one person, and of different ones; `who` each row and column is."""
    who = np.arange(len(scores)) if who is None else who
    # Of a person who was drawn twice each copy has its own pair, and no pair with the other copy.
    own, same = np.eye(len(scores), dtype=bool), who[:, None] == who
    return scores[own], scores[~same]


def _centred(views: Views, name: str, known: Views) -> Views:
    values = views.described[name].astype(np.float64)
    for group in np.unique(views.groups):
        values[views.groups == group] -= known.described[name][known.groups == group].mean(axis=0)
    return Views(views.labels, views.groups, {name: values})
