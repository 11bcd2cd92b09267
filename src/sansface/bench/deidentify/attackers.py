"""Who wants to know whom a hidden picture shows, and has more than the picture: the method, or ten of its
runs.

None of them has the randomness of the run attacked. Each names the right one of all people enrolled, beside
what guessing gives.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sansface.audit.accuracy import nearest
from sansface.audit.attackers.distillation import DistillationSettings, Student
from sansface.audit.attackers.linear import directions
from sansface.audit.attackers.parrot import name_people
from sansface.audit.attackers.teachable import first_teachable
from sansface.audit.scores import Rate, by_person, calibrated, identify, impostors, similarities, verify
from sansface.bench.deidentify.cohort import Portrait
from sansface.bench.deidentify.measure import Instruments, found_again, runs
from sansface.bench.deidentify.scorers import Scorer, matched
from sansface.bench.deidentify.student import described, teach
from sansface.deidentify.methods import Method
from sansface.errors import SansfaceError
from sansface.recognise.align import Placing

STRICT = 1e-3
"""Rate of false matches."""
DIVERGING = 1_000_003
"""Added to the seed of whoever runs the method himself: his randomness is not that of the run attacked."""
LESSONS = 2
"""Runs on each photograph that the student learns from."""


@dataclass(frozen=True)
class Attack:
    """What one attacker achieves with one recogniser.

    Attributes:
        attacker, recogniser: names.
        rank1: share of pictures of which the right person is named; chance: by guessing.
        tar: share of pairs of one person that match at a false-match rate of 1e-3; None where there are no
            pairs.
    """

    attacker: str
    recogniser: str
    rank1: Rate
    chance: float
    tar: Rate | None

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> "Attack":
        """Of plain JSON, as `asdict` gives it."""
        tar = told["tar"] and Rate(**told["tar"])
        return cls(**{**told, "rank1": Rate(**told["rank1"]), "tar": tar})


@dataclass(frozen=True, eq=False)
class Faces:
    """Faces cut out of hidden pictures.

    Attributes:
        which: (r,) index of the portrait.
        crops: of each placing (r, side, side, 3) float32.
    """

    which: np.ndarray
    crops: dict[Placing, np.ndarray]


def average(method: Method, by: Instruments, draws: int) -> list[Attack]:
    """Averager: he has `draws` runs on each photograph, such as the frames of a film, and no method.

    He takes one of them, the mean picture, or the mean of the pictures' embeddings of length 1.
    """
    portraits = by.cohort.portraits
    rows: list[tuple[int, np.ndarray]] = []
    means: list[tuple[int, np.ndarray]] = []
    total, count, last = np.zeros(0), 0, -1

    def finish() -> None:
        if count:
            means.append((last, np.rint(total / count).astype(np.uint8)))

    for index, picture, _ in runs(method, portraits, draws, by.seed):
        if picture is None:
            continue
        if index != last:
            finish()
            total, count, last = np.zeros(picture.shape), 0, index
        total, count = total + picture, count + 1
        rows.append((index, picture))
    finish()
    single, mean = (cut_out(by, pictures, portraits) for pictures in (rows, means))
    _, first, group = np.unique(single.which, return_index=True, return_inverse=True)
    result = []
    for one in by.scorers:
        known = _embedded(one, single)
        pooled = np.eye(len(first))[group].T @ directions(known)
        shown = {
            "one run": known[first],
            "averager, picture": _embedded(one, mean),
            "averager, embedding": pooled,
        }
        labels = one.labels[single.which[first]]
        for name, probes in shown.items():
            tar, rank1, chance = matched(one, probes, labels, np.random.default_rng([by.seed, 3]))
            result.append(Attack(name, one.name, rank1, chance, tar))
    return result


def search(
    method: Method, by: Instruments, draws: int, settings: DistillationSettings | None = None
) -> list[Attack]:
    """Searcher: he hides every candidate's clear photographs himself, `draws` times each, and compares.

    He names the candidate whose hidden pictures are the likest in the mean, or of whom one is (he has
    searched the codes), or fits linear models on them (`audit.attackers.parrot`). His threshold is calibrated
    on his own hidden pictures, for hidden faces are more alike than clear ones. Where there are lessons he
    teaches a student of the first recogniser that can be taught (`student`), which compares with the
    candidates' clear photographs, or is one more descriptor for the linear models, beside all recognisers.

    Args:
        method: see there.
        by: see there.
        draws: of each photograph of his.
        settings: of the student.

    Raises:
        SansfaceError: the gallery has less than two photographs a person.
    """
    cohort = by.cohort
    probes = cut_out(by, _made(runs(method, cohort.portraits, 1, by.seed)), cohort.portraits)
    own = cut_out(by, _made(runs(method, cohort.gallery, draws, by.seed + DIVERGING)), cohort.gallery)
    known = np.array([portrait.person for portrait in cohort.gallery])
    owners, labels = known[own.which], cohort.labels[probes.which]
    embedded = {one.name: (_embedded(one, probes), _embedded(one, own)) for one in by.scorers}
    result = []
    for name, (asked, gallery) in embedded.items():
        rng = np.random.default_rng([by.seed, 4])
        similar = similarities(asked, gallery)
        threshold = calibrated(impostors(similarities(gallery, gallery), owners), STRICT)
        tar = verify(similar, labels, owners, threshold, rng).tar.misses
        for way, scores in (("mean", by_person(similar, owners)), ("likest", nearest(similar, owners))):
            named = identify(scores[0], labels, scores[1], rng)
            result.append(Attack(f"searcher, {way}", name, named.rank1.misses, named.chance, tar))
        rank1, chance = _parrot({name: (asked[:, None], gallery[:, None])}, labels, owners, own.which, rng)
        result.append(Attack("searcher, parrot", name, rank1, chance, None))
    seed = by.seed + 2 * DIVERGING
    learnt = taught(by, lambda lessons: _made(runs(method, lessons, LESSONS, seed)), settings)
    if learnt:
        (one, student), rng = learnt, np.random.default_rng([by.seed, 8])
        asked, gallery = (described(student, faces.crops[one.recogniser.placing]) for faces in (probes, own))
        rank1, chance = named_by(student, one, probes, labels, rng)
        result.append(Attack("student, clear gallery", one.name, rank1, chance, None))
        every = {f"student's {name}": (asked[name], gallery[name]) for name in asked}
        every |= {name: (shown[:, None], known[:, None]) for name, (shown, known) in embedded.items()}
        rank1, chance = _parrot(every, labels, owners, own.which, rng)
        together = ", ".join(embedded)
        result.append(Attack("searcher, parrot and student", together, rank1, chance, None))
    return result


def _parrot(
    descriptors: Mapping[str, tuple[np.ndarray, np.ndarray]],
    labels: np.ndarray,
    owners: np.ndarray,
    photographs: np.ndarray,
    rng: np.random.Generator,
) -> tuple[Rate, float]:
    """Rank-1 and chance, of probes (n, copies, d) and a gallery (r, copies, d) by descriptor.

    A photograph's runs are copies as well; one of which a run was refused is left out.
    """
    _, begin, counts = np.unique(photographs, return_index=True, return_counts=True)
    whole, most = counts == counts.max(), counts.max()
    people, who = np.unique(owners[begin[whole]], return_inverse=True)
    if np.bincount(who).max() < 2:
        raise SansfaceError("the searcher needs two photographs of a candidate; say --gallery 2.")
    known = {
        name: np.stack([np.concatenate(gallery[start : start + most]) for start in begin[whole]])
        for name, (_, gallery) in descriptors.items()
    }
    said = name_people(known, who, {name: asked for name, (asked, _) in descriptors.items()}, rng)
    named = identify(said.scores, labels, people, rng)
    return named.rank1.misses, named.chance


def taught(
    by: Instruments,
    hide: Callable[[Sequence[Portrait]], Sequence[tuple[int, np.ndarray]]],
    settings: DistillationSettings | None = None,
) -> tuple[Scorer, Student] | None:
    """A student of the first recogniser that can be taught; None without one, or without lessons.

    Args:
        by: see there.
        hide: what the attacker does to the lessons, as often as he likes: index and hidden picture.
        settings: of the student.
    """
    lessons, found = by.cohort.lessons, first_teachable([one.recogniser for one in by.scorers])
    if not lessons or found is None:
        return None
    recogniser, teacher = found
    hidden, placing = cut_out(by, hide(lessons), lessons), recogniser.placing
    clear = np.stack([placing.cut(one.picture, one.landmarks) for one in lessons])
    generator = torch.Generator().manual_seed(by.seed)
    student = teach(
        clear[hidden.which], hidden.crops[placing], teacher, settings or DistillationSettings(), generator
    )
    return next(one for one in by.scorers if one.recogniser is recogniser), student


def named_by(
    student: Student, one: Scorer, faces: Faces, labels: np.ndarray, rng: np.random.Generator
) -> tuple[Rate, float]:
    """Rank-1 and chance, before the clear photographs enrolled.  labels: (r,) whose the faces are."""
    said = described(student, faces.crops[one.recogniser.placing])["embedding"].mean(axis=1)
    scores, people = by_person(similarities(said, student.about(one.enrolled)), one.owners)
    named = identify(scores, labels, people, rng)
    return named.rank1.misses, named.chance


def cut_out(
    by: Instruments, pictures: Sequence[tuple[int, np.ndarray]], portraits: Sequence[Portrait]
) -> Faces:
    """Faces of (index of the portrait, hidden picture), where they are found again, else where they were.

    Raises:
        SansfaceError: there is no picture.
    """
    if not pictures:
        raise SansfaceError("the method refused every photograph; give others.")
    where = [found_again(by.yunet, picture, portraits[index].landmarks)[1] for index, picture in pictures]
    crops = {
        placing: np.stack(
            [placing.cut(picture, place) for (_, picture), place in zip(pictures, where, strict=True)]
        )
        for placing in by.placings
    }
    return Faces(np.array([index for index, _ in pictures]), crops)


def _made(found) -> list[tuple[int, np.ndarray]]:
    return [(index, picture) for index, picture, _ in found if picture is not None]


def _embedded(one: Scorer, faces: Faces) -> np.ndarray:
    return one.recogniser.embed(faces.crops[one.recogniser.placing])
