"""The first check of every run: on clear photographs the recogniser must work, else nothing is proved.

A recogniser that fails on clear photographs fails on protected ones, too, and its failure says nothing of the
protection.
"""

from dataclasses import dataclass

import numpy as np

from sansface.audit.scores import (
    Identification,
    Rate,
    Threshold,
    Verification,
    by_person,
    calibrated,
    equal_error,
    identify,
    impostors,
    similarities,
    verify,
)
from sansface.audit.split import Split
from sansface.errors import SansfaceError

RATES = (1e-2, 1e-3)
"""False-match rates at which thresholds are calibrated."""
LEAST_TAR = 0.5
"""At the first rate: the clear pairs of one person that must match."""
MOST_FMR = 5.0
"""So many times the first rate may the clear pairs of different people match."""
MOST_STRANGERS = 0.5
"""Of a person's photographs, from which on the folder is mislabelled."""

MOST_ALIKE = 0.4
"""At the last rate, if there are pairs enough to know it: of two people's photographs, those that match each
other. Two folders half mixed up have 0.5; of the 79 people of LFW no two have more than 0.31."""


@dataclass(frozen=True)
class Control:
    """What the recogniser does on clear photographs.

    Attributes:
        thresholds: at each of `RATES`.
        verification: at each of `RATES`, enrolled against probe.
        equal_error: of the same pairs.
        identification: of the probes.
        strangers: (person, photograph) by their numbers: photographs of the people evaluated that match no
            other of the same person, for the user's own screen.
    """

    thresholds: tuple[Threshold, ...]
    verification: tuple[Verification, ...]
    equal_error: Rate
    identification: Identification
    strangers: tuple[tuple[int, int], ...]


def control(
    embeddings: np.ndarray, labels: np.ndarray, numbers: np.ndarray, parts: Split, rng: np.random.Generator
) -> Control:
    """Calibrate on the threshold people, recognise the clear photographs of the people evaluated.

    Args:
        embeddings: (n, d) of all clear photographs.
        labels: (n,) int64, their people.
        numbers: (n,) int64, the photograph's number among the person's own.
        parts: who is what.
        rng: draws the bootstrap.

    Raises:
        SansfaceError: photographs of one person do not match each other, or those of different people do: of
            many, or of one or two.
    """
    held = parts.thresholds
    pairs = impostors(similarities(embeddings[held], embeddings[held]), labels[held])
    thresholds = tuple(calibrated(pairs, rate) for rate in RATES)
    similar = similarities(embeddings[parts.probe], embeddings[parts.enrolled])
    probes, enrolled = labels[parts.probe], labels[parts.enrolled]
    verified = tuple(verify(similar, probes, enrolled, threshold, rng) for threshold in thresholds)
    tar, fmr, rate = verified[0].tar.misses.value, verified[0].fmr, RATES[0]
    if not fmr <= MOST_FMR * rate:
        one, other, _ = _most_alike(similar >= thresholds[0].value, probes, enrolled)
        raise SansfaceError(
            f"{100 * fmr:.1f} % of the clear photographs of different people match, with a threshold for "
            f"{100 * rate:g} %, so the audit can prove nothing; check the labels, first of people {one + 1} "
            f"and {other + 1} (in alphabetical order), or add people like those evaluated to calibrate on."
        )
    strict = thresholds[-1]
    one, other, share = _most_alike(similar >= strict.value, probes, enrolled)
    if strict.rate * strict.pairs >= 1 and share > MOST_ALIKE:
        raise SansfaceError(
            f"{100 * share:.0f} % of the photographs of people {one + 1} and {other + 1} (in alphabetical "
            "order) match each other; check whether the two folders show one person, or are mixed up."
        )
    evaluated = np.union1d(parts.enrolled, parts.probe)
    odd = strangers(embeddings[evaluated], labels[evaluated], thresholds[0].value)
    unsure = ""
    if thresholds[0].too_few:
        unsure = (
            f" Or the threshold is wrong, for it rests on {len(pairs)} pairs of strangers: first add people "
            "with one photograph each."
        )
    if tar >= LEAST_TAR:
        _check_folders(labels[evaluated], numbers[evaluated], odd, unsure)
    else:
        raise SansfaceError(
            f"only {100 * tar:.0f} % of the clear photographs of one person match, at a false-match rate of "
            f"{100 * rate:g} %, so the audit can prove nothing; use a better recogniser, or check that each "
            f"folder shows one person.{unsure}"
        )
    scores, people = by_person(similar, enrolled)
    return Control(
        thresholds=thresholds,
        verification=verified,
        equal_error=equal_error(similar, probes, enrolled, rng),
        identification=identify(scores, probes, people, rng),
        strangers=tuple(zip(labels[evaluated][odd].tolist(), numbers[evaluated][odd].tolist(), strict=True)),
    )


def strangers(embeddings: np.ndarray, labels: np.ndarray, threshold: float) -> np.ndarray:
    """(n,) bool: photographs that match at most a tenth of the others of the same person.

    Args:
        embeddings: (n, d) of clear photographs.
        labels: (n,).
        threshold: from which similarity on two match.
    """
    same = labels[:, None] == labels
    np.fill_diagonal(same, False)
    matching = (same & (similarities(embeddings, embeddings) >= threshold)).sum(axis=1)
    return (matching <= 0.1 * same.sum(axis=1)) & same.any(axis=1)


def _most_alike(match: np.ndarray, probes: np.ndarray, enrolled: np.ndarray) -> tuple[int, int, float]:
    """Two people whose photographs match each other most often, of (n, m) matches, and the share of that."""
    people, who = np.unique(np.concatenate([probes, enrolled]), return_inverse=True)
    probe, known = np.split(np.eye(len(people))[who], [len(probes)])
    share = (probe.T @ match @ known) / np.outer(probe.sum(axis=0), known.sum(axis=0))
    either = np.triu(share + share.T, k=1) / 2
    one, other = np.unravel_index(either.argmax(), either.shape)
    return int(people[one]), int(people[other]), float(either[one, other])


def _check_folders(labels: np.ndarray, numbers: np.ndarray, odd: np.ndarray, unsure: str) -> None:
    for person in np.unique(labels):
        own = labels == person
        if odd[own].mean() < MOST_STRANGERS:
            continue
        which = ", ".join(str(number + 1) for number in numbers[own & odd])
        raise SansfaceError(
            f"photographs {which} of person {person + 1} (in alphabetical order) do not match the others of "
            f"that person; check whom that folder shows.{unsure}"
        )
