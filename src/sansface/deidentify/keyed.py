"""Virtual faces by a key, and people known again by them: KFAAR (Wang et al. 2024), with a key of 256 bits.

Each face of a photograph is changed by numbers that the key draws from its embedding (`virtual.codes`); what
turns numbers into another face is given from outside (`Subject`). With a register, whoever is known with the
key gets the numbers of the enrolment, so that all photographs of a person show one virtual person; whoever is
not known is enrolled. A virtual face is drawn anew, by the next counter, where the recogniser

- finds no face in it, or takes it for its original,
- takes it for somebody enrolled, or for the virtual face of somebody enrolled,

or where an enrolled person of so like a face has those very numbers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from sansface import assets
from sansface.deidentify.keys import Key
from sansface.deidentify.register import FACE, VIRTUAL, Register, enrol, opened, register_for
from sansface.deidentify.virtual import codes, unit
from sansface.errors import SansfaceError
from sansface.recognise.detect import Face, at
from sansface.recognise.recogniser import Recogniser

DRAWS = 8
"""So many counters are tried."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A face of a photograph that can be given another identity.

    Attributes:
        landmarks: (5, 2) where it lies, see `sansface.recognise.align`.
        count: of the numbers that say who is to be seen.
        change: gives the photograph, (h, w, 3) uint8 sRGB in which other faces may be changed already, with
            this face changed by (count,) float32, each about N(0, 1).
    """

    landmarks: np.ndarray
    count: int
    change: Callable[[np.ndarray, np.ndarray], np.ndarray]


class Detector(Protocol):
    """What is asked of one: `sansface.recognise.detect.Yunet`."""

    def every(self, picture: np.ndarray) -> list[Face]: ...


@dataclass(frozen=True)
class Limits:
    """Distances of embeddings of length 1: ‖a − b‖² = 2 − 2 cos.

    Attributes:
        accepted: up to which two faces count as one person.
        apart: from which on a virtual face is unlike its original; not below `accepted`, for the person's
            other photographs lie about this one.
        virtual: up to which two virtual pictures count as one virtual person; not above `accepted`, for
            virtual faces are more alike than people are.
    """

    accepted: float
    apart: float
    virtual: float

    def __post_init__(self) -> None:
        if not 0 < self.virtual <= self.accepted <= self.apart < 2:
            raise SansfaceError(f"the threshold {self.accepted:g} is no distance of faces; give 0 to 2.")


LIMITS = {
    assets.ASSETS["edgeface"].sha256: Limits(1.2183, 1.2737, 1.0),
    assets.ASSETS["mobilefacenet"].sha256: Limits(1.1664, 1.2368, 0.95),
}
"""By the digest of the recogniser's weights: false-match rates of 1e-3 and 1e-2 on 250 people of LFW, a
photograph each, 31,125 pairs (benchmarks/keyed_templates.py). Of `virtual`
eight virtual pictures of four people tell: of one virtual person 0.63 to 1.06 and 0.56 to 0.91 apart, of two
1.01 and 0.99 at least."""


@dataclass(frozen=True, eq=False)
class Recognition:
    """By what faces are found and told apart.

    Attributes:
        recogniser: gives the embeddings.
        detector: finds all faces as the recogniser wants them.
        limits: see there.
    """

    recogniser: Recogniser
    detector: Detector
    limits: Limits

    def faces(self, picture: np.ndarray) -> list[Face]:
        """All faces of a picture (h, w, 3) uint8 sRGB.

        Raises:
            SansfaceError: there is none.
        """
        found = self.detector.every(picture)
        if not found:
            raise SansfaceError("no face is found in the picture; give a larger or clearer one, upright.")
        return found

    def embed(self, picture: np.ndarray, faces: Sequence[Face]) -> np.ndarray:
        """(n, d) float64 e/‖e‖ of n faces."""
        placing = self.recogniser.placing
        crops = np.stack([placing.cut(picture, face.landmarks) for face in faces])
        return unit(self.recogniser.embed(crops))


@dataclass(frozen=True)
class Made:
    """What was done with one face.

    Attributes:
        entry: the id of its entry.
        counter: by which its numbers were drawn.
        known: whether it was enrolled before.
    """

    entry: str
    counter: int
    known: bool


@dataclass(frozen=True, eq=False)
class Anonymized:
    """A picture of virtual faces.

    Attributes:
        picture: (h, w, 3) uint8 sRGB.
        register: the one that was given with those who are new.
        faces: what was done with each.
    """

    picture: np.ndarray
    register: Register
    faces: tuple[Made, ...]


@dataclass(frozen=True)
class Answer:
    """Who a picture shows, of those enrolled.

    Attributes:
        entry: the id of the nearest entry; None if there is none near enough.
        distance: to it.
    """

    entry: str | None
    distance: float


def anonymize(
    photograph: np.ndarray,
    subjects: Sequence[Subject],
    key: Key,
    recognition: Recognition,
    register: Register | None = None,
    new: bool = False,
    renew: str | None = None,
) -> Anonymized:
    """Give every face of a photograph the virtual identity that the key draws of it.

    Args:
        photograph: (h, w, 3) uint8 sRGB, upright.
        subjects: all its faces.
        key: for recognition.
        recognition: embeds them.
        register: who is enrolled; None for nobody, and then nothing is remembered.
        new: whether all faces are of people who are not enrolled, even where they look like one who is.
        renew: id of an entry that is made anew from the one face of this photograph: from the next counter
            on, under this key.

    Raises:
        SansfaceError: no face, or more than one to renew; no virtual face that may be kept within `DRAWS`;
            or what a subject's `change` raises.
    """
    register = register_for(recognition.recogniser) if register is None else register
    if not subjects:
        raise SansfaceError("no face is found on the photograph, so nothing was written.")
    start = 0
    if renew is not None:
        if len(subjects) != 1:
            raise SansfaceError(
                f"{len(subjects)} faces are found, and one is renewed; give a photograph of one."
            )
        start = register.entry(renew).counter + 1
        register = register.revoked(renew)
    drawing = _Drawing(key, recognition, register, new or renew is not None)
    seen = recognition.detector.every(photograph)
    drawing.missed = {id(subject) for subject in subjects if at(seen, subject.landmarks) is None}
    # A face that the detector misses, and the fit did not, is cut out by the fit's own landmarks.
    faces = [at(seen, subject.landmarks) or Face(0.0, subject.landmarks) for subject in subjects]
    picture, made = photograph, []
    for subject, embedding in zip(subjects, recognition.embed(photograph, faces), strict=True):
        picture, one = drawing.draw(picture, subject, embedding, start, renew)
        made.append(one)
    return Anonymized(picture, drawing.register, tuple(made))


def authenticate(
    picture: np.ndarray,
    key: Key,
    recognition: Recognition,
    register: Register,
    virtual: bool = False,
    entry: str | None = None,
) -> Answer:
    """Whom of those enrolled a picture shows: the nearest of all its faces and all entries.

    Args:
        picture: (h, w, 3) uint8 sRGB: a fresh photograph, or a virtual picture.
        key: for recognition; with another one than that of the enrolment nobody is near.
        recognition: the register's recogniser.
        register: who is enrolled.
        virtual: whether it is a virtual picture.
        entry: id of the only entry that counts; None for all.

    Raises:
        SansfaceError: no face in the picture, no such entry.
    """
    if entry is not None:
        register = replace(register, entries=(register.entry(entry),))
    embeddings = recognition.embed(picture, recognition.faces(picture))
    distances = _distances(embeddings, opened(register, key, VIRTUAL if virtual else FACE))
    if distances.size == 0:
        return Answer(None, float("inf"))
    nearest = int(distances.min(axis=0).argmin())
    distance = float(distances.min())
    near = distance <= (recognition.limits.virtual if virtual else recognition.limits.accepted)
    return Answer(register.entries[nearest].id if near else None, distance)


class _Drawing:
    """The virtual faces of one photograph, each unlike those before it and those enrolled."""

    def __init__(
        self,
        key: Key,
        recognition: Recognition,
        register: Register,
        new: bool,
    ) -> None:
        self.key, self.recognition, self.register = key, recognition, register
        # Faces that the detector does not find on the photograph need not be found afterwards.
        self.missed: set[int] = set()
        self.enrolled, self.virtuals = (opened(register, key, kind) for kind in (FACE, VIRTUAL))
        self.counters = [entry.counter for entry in register.entries]
        self.ids = [entry.id for entry in register.entries]
        # Whom this picture shows already, and who cannot be one of those enrolled, is somebody else.
        self.taken = [new] * len(self.ids)

    def draw(
        self, picture: np.ndarray, subject: Subject, embedding: np.ndarray, start: int, name: str | None
    ) -> tuple[np.ndarray, Made]:
        """The picture with one more face changed."""
        distances = _distances(embedding[None], self.enrolled)[0]
        free = np.where(self.taken, np.inf, distances)
        if free.size and free.min() <= self.recognition.limits.accepted:
            return self._again(picture, subject, embedding, int(free.argmin()))
        limits = self.recognition.limits
        alike = distances <= limits.accepted
        used = {counter for counter, near in zip(self.counters, alike, strict=True) if near}
        tried = [counter for counter in range(start, start + DRAWS + len(used)) if counter not in used]
        for counter in tried[:DRAWS]:
            numbers = codes(self.key, embedding, subject.count, counter)
            changed, virtual = self._changed(picture, subject, numbers)
            if virtual is None or _nearest(virtual, embedding[None]) < limits.apart:
                continue
            if _nearest(virtual, self.enrolled) <= limits.accepted:
                continue
            if _nearest(virtual, self.virtuals) <= limits.virtual:
                continue
            entry = enrol(self.key, embedding, virtual, counter, name)
            self.register = self.register.enrolled(entry)
            self._remember(entry.id, counter, embedding, virtual)
            return changed, Made(entry.id, counter, known=False)
        raise SansfaceError(
            f"none of {DRAWS} virtual faces is unlike its original and everybody enrolled; give another "
            "photograph or another key."
        )

    def _again(
        self, picture: np.ndarray, subject: Subject, embedding: np.ndarray, known: int
    ) -> tuple[np.ndarray, Made]:
        """One who is enrolled, by the numbers of the enrolment."""
        numbers = codes(self.key, self.enrolled[known], subject.count, self.counters[known])
        changed, virtual = self._changed(picture, subject, numbers)
        own = np.stack([embedding, self.enrolled[known]])
        if virtual is None or _nearest(virtual, own) <= self.recognition.limits.accepted:
            raise SansfaceError(
                f"the virtual face of {self.ids[known]} is like its original, or no face at all, in this "
                "photograph; give another photograph or renew the entry."
            )
        self.taken[known] = True
        return changed, Made(self.ids[known], self.counters[known], known=True)

    def _changed(
        self, picture: np.ndarray, subject: Subject, numbers: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """The picture changed, and the embedding of its face, None where none is found any more."""
        changed = subject.change(picture, numbers)
        if changed.shape != picture.shape or changed.dtype != np.uint8:
            raise ValueError(
                f"a changed picture is uint8 {picture.shape}, not {changed.dtype} {changed.shape}"
            )
        found = at(self.recognition.detector.every(changed), subject.landmarks)
        if found is None and id(subject) in self.missed:
            found = Face(0.0, subject.landmarks)
        return changed, None if found is None else self.recognition.embed(changed, [found])[0]

    def _remember(self, name: str, counter: int, embedding: np.ndarray, virtual: np.ndarray) -> None:
        self.ids.append(name)
        self.counters.append(counter)
        self.taken.append(True)
        rows = len(self.ids) - 1, len(embedding)
        self.enrolled = np.concatenate([self.enrolled.reshape(rows), embedding[None]])
        self.virtuals = np.concatenate([self.virtuals.reshape(rows), virtual[None]])


def _distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(n, m) Euclidean of (n, d) and (m, d); (n, 0) where there is no other."""
    if not len(other):
        return np.zeros((len(one), 0))
    return np.linalg.norm(one[:, None] - other, axis=2)


def _nearest(one: np.ndarray, others: np.ndarray) -> float:
    """The least distance of (d,) to (n, d)."""
    return float(_distances(one[None], others).min(initial=np.inf))
