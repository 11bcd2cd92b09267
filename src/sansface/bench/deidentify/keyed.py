"""Faces hidden by a key: what Wang et al. 2024 ask of KFAAR, and what a wrong key, another person or the
key's thief gets.

Every photograph is hidden four times: by a key that all share, by a second such key, by its person's own, and
by the next person's own. The first photograph of a person, by the own key, is enrolled; the others ask to be
let in. All decisions are at the threshold of *clear* faces of strangers: whoever verifies virtual faces has
no other.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from sansface.audit.attackers.distillation import DistillationSettings
from sansface.audit.scores import Rate, bootstrapped, equal_error, similarities
from sansface.audit.unlinkability import linkability
from sansface.bench.deidentify.attackers import LESSONS, Faces, cut_out, named_by, taught
from sansface.bench.deidentify.cohort import Cohort, Portrait
from sansface.bench.deidentify.measure import Instruments
from sansface.bench.deidentify.scorers import Scorer, distances, matched
from sansface.deidentify.methods import KeyedMethod
from sansface.errors import SansfaceError

KEY = 32
"""Bytes."""
VARIANTS = ("common", "second", "own", "next")


@dataclass(frozen=True, eq=False)
class Virtual:
    """Embeddings of virtual faces by one recogniser, (n, d) each, of the same photographs.

    Attributes:
        labels: (n,) whose photograph.
        following: (n,) whose key made `next`, whether or not a photograph of theirs is here.
        common, second: by two keys that all share.
        own: by the person's own key.
        next: by that of the next person.
        gallery: (g, d) of other, clear photographs, hidden by the common key; owners: (g,) whose.
    """

    labels: np.ndarray
    following: np.ndarray
    common: np.ndarray
    second: np.ndarray
    own: np.ndarray
    next: np.ndarray
    gallery: np.ndarray
    owners: np.ndarray


@dataclass(frozen=True)
class Keyed:
    """One recogniser's verdict; shares at a false-match rate of 1e-2 unless it says otherwise.

    Attributes:
        right: right key, right person, another photograph: let in (synchronism).
        wrong_key, wrong_person, both_wrong: let in; the wrong person's own key, where they are enrolled.
        equal_error: one key for everyone, another photograph against other people; clear_equal_error: of the
            clear photographs.
        two_keys: one photograph by two keys: still matches (diversity); distance: in the mean, of unit
            vectors.
        linkable: D_sys of virtual faces by two keys, see `audit.unlinkability`.
        original, clear_original: virtual face against the person's clear photographs, at 1e-3, and clear
            against clear.
        holder, holder_rank1: whoever has the key hides the clear gallery and matches, at 1e-3, and names.
        chance: of rank-1.
        keyless_rank1: whoever knows the method and no key teaches a student of this recogniser, and names of
            the clear photographs; None where he taught none.
    """

    recogniser: str
    right: Rate
    wrong_key: Rate
    wrong_person: Rate
    both_wrong: Rate
    equal_error: Rate
    clear_equal_error: Rate
    two_keys: Rate
    distance: float
    linkable: float
    original: Rate
    clear_original: Rate
    holder: Rate
    holder_rank1: Rate
    chance: float
    keyless_rank1: Rate | None = None

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> "Keyed":
        """Of plain JSON, as `asdict` gives it."""
        values: dict[str, Any] = {
            name: Rate(**one) if isinstance(one, dict) else one for name, one in told.items()
        }
        return cls(**values)


def following(labels: np.ndarray) -> np.ndarray:
    """(n,) of each photograph's person the next one, the first after the last."""
    people, who = np.unique(labels, return_inverse=True)
    return np.roll(people, -1)[who]


def hidden_by_keys(
    method: KeyedMethod, by: Instruments, rng: np.random.Generator
) -> tuple[dict[str, Faces], Faces, int]:
    """Faces of all photographs by the four keys, of the gallery by the common one, and how many were refused.

    A photograph of which one is refused is left out of all.
    """
    cohort = by.cohort
    common, second = rng.bytes(KEY), rng.bytes(KEY)
    own = {int(person): rng.bytes(KEY) for person in np.unique(cohort.labels)}
    made: dict[str, list[tuple[int, np.ndarray]]] = {name: [] for name in VARIANTS}
    refused = 0
    for index, (portrait, after) in enumerate(zip(cohort.portraits, following(cohort.labels), strict=True)):
        keys = (common, second, own[portrait.person], own[int(after)])
        try:
            pictures = [method(portrait.picture.copy(), key) for key in keys]
        except SansfaceError:
            refused += 1
            continue
        for name, picture in zip(VARIANTS, pictures, strict=True):
            made[name].append((index, picture))
    faces = {name: cut_out(by, pictures, cohort.portraits) for name, pictures in made.items()}
    return faces, cut_out(by, _hidden(method, cohort.gallery, lambda: common), cohort.gallery), refused


def virtual(one: Scorer, faces: dict[str, Faces], gallery: Faces, cohort: Cohort) -> Virtual:
    """The embeddings by one recogniser."""
    placing, embed = one.recogniser.placing, one.recogniser.embed
    owners = np.array([portrait.person for portrait in cohort.gallery])
    return Virtual(
        labels=cohort.labels[faces["own"].which],
        following=following(cohort.labels)[faces["own"].which],
        **{name: embed(faces[name].crops[placing]) for name in VARIANTS},
        gallery=embed(gallery.crops[placing]),
        owners=owners[gallery.which],
    )


def keyed(faces: Virtual, one: Scorer, rng: np.random.Generator) -> Keyed:
    """All of it, by one recogniser.

    Raises:
        SansfaceError: nobody has a second photograph to be let in with, there is one person, or nobody is
            enrolled whose key another person tries.
    """
    labels = faces.labels
    people, first = np.unique(labels, return_index=True)
    asking = np.setdiff1d(np.arange(len(labels)), first)
    if len(people) < 2 or not len(asking):
        raise SansfaceError(
            "nobody has a second photograph to be let in with; hide two or more of each person."
        )
    loose = one.control.thresholds[0].value
    enrolled = faces.own[first]
    lets_in = {
        name: similarities(getattr(faces, name)[asking], enrolled) >= loose
        for name in ("common", "own", "next")
    }
    who = labels[asking]
    same = who[:, None] == people
    after = faces.following[asking][:, None] == people
    if not after.any():
        raise SansfaceError(
            "nobody is enrolled whose key another person tries; hide photographs of more people."
        )
    alike = labels[:, None] == labels
    across = similarities(faces.common, faces.second)
    tar, _, _ = matched(one, faces.common, labels, rng)
    holder, holder_rank1, chance = matched(one, faces.common, labels, rng, (faces.gallery, faces.owners))
    return Keyed(
        recogniser=one.name,
        right=_share(lets_in["own"], same, who, rng),
        wrong_key=_share(lets_in["common"], same, who, rng),
        wrong_person=_share(lets_in["next"], after, who, rng),
        both_wrong=_share(lets_in["common"], ~same, who, rng),
        equal_error=equal_error(similarities(faces.common[asking], faces.common[first]), who, people, rng),
        clear_equal_error=one.control.equal_error,
        two_keys=bootstrapped((np.diag(across) >= loose).astype(np.float64), labels, rng),
        distance=float(distances(faces.common, faces.second).mean()),
        linkable=linkability(across[alike & ~np.eye(len(labels), dtype=bool)], across[~alike]),
        original=tar,
        clear_original=one.control.verification[-1].tar.misses,
        holder=holder,
        holder_rank1=holder_rank1,
        chance=chance,
    )


def keyless(
    method: KeyedMethod, faces: Faces, by: Instruments, settings: DistillationSettings | None = None
) -> dict[str, Rate]:
    """Rank-1 of a student (`student`) to whom strangers' faces were shown, each by keys of its own: by the
    name of the recogniser that was taught. Empty where none can be, or no lessons are.

    Args:
        method: see there.
        faces: of all photographs, by a key that the attacker does not have.
        by: see there.
        settings: of the student.
    """
    rng = np.random.default_rng([by.seed, 9])

    def hide(lessons: Sequence[Portrait]) -> list[tuple[int, np.ndarray]]:
        return _hidden(method, lessons, lambda: rng.bytes(KEY), LESSONS)

    learnt = taught(by, hide, settings)
    if learnt is None:
        return {}
    one, student = learnt
    return {one.name: named_by(student, one, faces, by.cohort.labels[faces.which], rng)[0]}


def _hidden(
    method: KeyedMethod, portraits: Sequence[Portrait], key: Callable[[], bytes], times: int = 1
) -> list[tuple[int, np.ndarray]]:
    """Index and picture of what is not refused."""
    result: list[tuple[int, np.ndarray]] = []
    for index, portrait in enumerate(portraits):
        for _ in range(times):
            with suppress(SansfaceError):
                result.append((index, method(portrait.picture.copy(), key())))
    return result


def _share(accepted: np.ndarray, pairs: np.ndarray, who: np.ndarray, rng: np.random.Generator) -> Rate:
    """Share of chosen pairs, of (n, people), with its interval over the people who ask."""
    row, _ = np.nonzero(pairs)
    return bootstrapped(accepted[pairs].astype(np.float64), who[row], rng)
