"""A film whose people have other faces, each the same one throughout.

The film is read twice. First every face of every frame gets a head, and heads are followed (`tracks`); then
the heads of each track are made steady (`steady`), noise is drawn once a track, and every frame is changed.

What is not known to be changed is covered, in that frame: a face that bears no fit; one that sunglasses or a
mask hide; one that was lost for longer than can be guessed; and where a face was just before it was first
found and just after it was last found, for it may still be there.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from sansface.deidentify.around import around
from sansface.deidentify.change import Face, appearance_of, change, gaze_of
from sansface.deidentify.faces import Tools, covered, doubt, fitted, hair_before, hidden_by
from sansface.deidentify.film import CONTAINERS, Copy, Film, Moment
from sansface.deidentify.ideudemon import another, check_strength, step_two
from sansface.deidentify.steady import GAZE, SLOW, WIDTH, between, bilateral, steady
from sansface.deidentify.tracks import Cuts, Follower, Track
from sansface.errors import SansfaceError
from sansface.faces.detectors import Finding, all_faces, followed, overlap
from sansface.files import written_beside
from sansface.heads.appearance import Appearance
from sansface.heads.fit import FittedHead
from sansface.heads.parametric import HeadModel

GUESSED = 0.25
"""Seconds for which a lost face is taken to be on its way from where it was to where it will be."""
ENDS = 0.5
"""Seconds before a track begins and after it ends in which its place is covered."""
SAMPLED = 0.25
"""Seconds between frames of a track at which light and albedo are fitted."""
WITHIN = 0.6
"""Share of a head's landmarks that lie on the frame, from which on light and albedo can be fitted."""
APART = 0.2
"""Between the middles of two boxes of one face at most, in roots of a box's area."""
FIRST = 0.2
"""Share of the time that the first reading takes."""


@dataclass(frozen=True)
class Told:
    """What became of a film: how many

    Attributes:
        frames: there are.
        people: tracks were changed; one who comes back counts again.
        changed: faces were changed, frame by frame.
        guessed: of them lay between two frames in which they were found.
        covered: frames in which something was covered.
        empty: frames show no face.
        sounds: streams of sound were copied.
    """

    frames: int
    people: int
    changed: int
    guessed: int
    covered: int
    empty: int
    sounds: int


def deidentify_film(
    source: Path,
    out: Path,
    tools: Tools,
    rng: np.random.Generator,
    strength: float = 1.0,
    show: Callable[[float], None] = lambda done: None,
) -> Told:
    """Give every person of a film another identity.

    Args:
        source: whatever FFmpeg reads.
        out: .mp4 or .mkv; its pictures are H.264, its sound is the source's. Written beside and renamed.
        rng: seeded by `secrets`, but for tests.
        strength: as for a photograph.
        show: is told the share of the work that is done.

    Raises:
        SansfaceError: no face in the whole film, a film that cannot be read to its end, a strength or a
            suffix that does not do, sound that does not go into the file, a full disk, no PyAV.
    """
    check_strength(strength)
    if out.suffix.lower() not in CONTAINERS:
        raise SansfaceError(f"{out} has no suffix of {', '.join(CONTAINERS)}; name the film so.")
    film, kind = Film(source), CONTAINERS[out.suffix.lower()]
    film.check_sounds(kind)
    with written_beside(out) as part, part.open("wb") as file:
        cast = watch(film, tools, rng, show)
        for person in cast.people:
            person.settle(tools.model, cast.seconds, strength, rng)
        with Copy(file, kind) as copy:
            counts = rewrite(film, copy, cast, tools, strength, show)
        file.flush()
    people = sum(person.face is not None for person in cast.people)
    return Told(len(cast.seconds), people, *counts, film.sounds)


@dataclass(eq=False)
class Person:
    """One track and what was found along it.

    Attributes:
        track: in which frames, and where.
        heads: one for each of its frames; steady ones once settled.
        gazes: mm, one for each.
        samples: light and albedo, with their times.
        occluded: does something stand before the face? One for each of the samples.
        face: who is to be seen; None where light and albedo are not known: then it is covered.
        lights: (9, 3) for each of its frames, once settled.
        hidden: (n,) bool, in which of its frames something stands before it, once settled.
    """

    track: Track
    heads: list[FittedHead] = field(default_factory=list)
    gazes: list[float] = field(default_factory=list)
    samples: list[tuple[float, Appearance]] = field(default_factory=list)
    occluded: list[bool] = field(default_factory=list)
    face: Face | None = None
    lights: list[np.ndarray] = field(default_factory=list)
    hidden: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))

    @cached_property
    def places(self) -> dict[int, int]:
        """Frame to index."""
        return {frame: index for index, frame in enumerate(self.track.frames)}

    def settle(
        self, model: HeadModel, seconds: list[float], strength: float, rng: np.random.Generator
    ) -> None:
        """Make all steady, and draw who is to be seen."""
        if not self.samples:
            return
        # By two of three neighbours: one in a hundred bare faces is taken for a hidden one.
        votes = np.pad(np.array(self.occluded, dtype=int), 1, mode="edge")
        occluded = votes[:-2] + votes[1:-1] + votes[2:] >= 2
        bare = [sample for sample, hides in zip(self.samples, occluded, strict=True) if not hides]
        if not bare:
            return
        times = np.array(seconds)[self.track.frames]
        self.heads = steady(model, self.heads, times)
        gazes = np.array(self.gazes)
        rows = bilateral(times, WIDTH, lambda i, near: np.abs(gazes[near] - gazes[i]) / GAZE)
        self.gazes = [float(row @ gazes[near]) for near, row in rows]
        asked = np.array([time for time, _ in self.samples])
        self.hidden = occluded[np.abs(times[:, None] - asked).argmin(axis=1)]
        when, found = np.array([time for time, _ in bare]), [one for _, one in bare]
        albedo = np.median([one.albedo for one in found], axis=0)
        for time in times:
            row = np.exp(-(((when - time) / SLOW) ** 2) / 2) + 1e-9
            self.lights.append(np.tensordot(row / row.sum(), [one.light for one in found], axes=1))
        self.face = another(self.heads[0].identity, albedo, strength, rng)

    def seen(self, frame: int, seconds: list[float]) -> tuple[FittedHead, np.ndarray, float] | None:
        """Head, light and gaze in a frame, if they are known or can be guessed."""
        if self.face is None or not self.track.frames[0] <= frame <= self.track.frames[-1]:
            return None
        if frame in self.places:
            index = self.places[frame]
            if self.hidden[index]:
                return None
            return self.heads[index], self.lights[index], self.gazes[index]
        after = int(np.searchsorted(self.track.frames, frame))
        a, b = self.track.frames[after - 1], self.track.frames[after]
        if seconds[b] - seconds[a] > GUESSED or self.hidden[after - 1 : after + 1].any():
            return None
        share = (seconds[frame] - seconds[a]) / (seconds[b] - seconds[a])
        head = between(self.heads[after - 1], self.heads[after], share)
        gaze = (1 - share) * self.gazes[after - 1] + share * self.gazes[after]
        return head, self.lights[after], gaze

    def near(self, frame: int, cast: "Cast") -> bool:
        """Whether the face is there or may be."""
        first, last = cast.seconds[self.track.frames[0]], cast.seconds[self.track.frames[-1]]
        return cast.shots[frame] == self.track.shot and first - ENDS <= cast.seconds[frame] <= last + ENDS


@dataclass(eq=False)
class Cast:
    """Who is in a film.

    Attributes:
        stamps, seconds, shots: of each frame.
        people: all that bear a fit somewhere.
        unfitted: frame to boxes of what looks like a face and bears none there.
    """

    stamps: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    shots: list[int] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    unfitted: dict[int, list[np.ndarray]] = field(default_factory=dict)


def watch(film: Film, tools: Tools, rng: np.random.Generator, show: Callable[[float], None]) -> Cast:
    """The first reading: all faces of all frames.

    Raises:
        SansfaceError: there is none in the whole film.
    """
    cast, follower, cuts = Cast(), Follower(), Cuts()
    by_track: dict[Track, Person] = {}
    for frame, moment in enumerate(film.moments()):
        if cuts.between(moment.pixels):
            follower.cut()
        cast.stamps.append(moment.stamp)
        cast.seconds.append(moment.seconds)
        cast.shots.append(follower.shot)
        heads, cast.unfitted[frame] = _heads(moment, follower, by_track, tools)
        for head, track in zip(
            heads, follower.step(frame, moment.seconds, [head.box for head in heads]), strict=True
        ):
            if track not in by_track:
                by_track[track] = Person(track)
                cast.people.append(by_track[track])
            _note(by_track[track], head, moment, tools, rng)
        show(FIRST * min(1.0, (frame + 1) / film.frames))
    if not cast.people and not any(cast.unfitted.values()):
        raise SansfaceError(
            "no face is found in the film, so nothing was written; show a face of 20 pixels or more, upright "
            "and not in profile."
        )
    return cast


def _heads(
    moment: Moment, follower: Follower, by_track: dict[Track, Person], tools: Tools
) -> tuple[list[FittedHead], list[np.ndarray]]:
    """The heads of a frame, and the boxes of faces without one."""
    heads, unfitted = [], []

    def take(face: Finding) -> bool:
        head, _ = fitted(face, moment.pixels, tools.model)
        if head is None or doubt(face, head):
            return False
        if any(overlap(head.box, other.box) for other in heads):
            return any(same_face(head.box, other.box) for other in heads)
        heads.append(head)
        return True

    for face in all_faces(moment.pixels, tools.detectors):
        if not take(face):
            unfitted.append(face.extent)
    for track in follower.lost([head.box for head in heads], moment.seconds):
        face = followed(moment.pixels, by_track[track].heads[-1].landmarks, tools.detectors)
        if face is not None:
            take(face)
    return heads, unfitted


def same_face(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two boxes (4,) are of one face, and not of one that is half behind another."""
    apart = np.linalg.norm(one[:2] + one[2:] / 2 - other[:2] - other[2:] / 2)
    return overlap(one, other) and bool(apart < APART * np.sqrt(np.prod(other[2:])))


def _note(person: Person, head: FittedHead, moment: Moment, tools: Tools, rng: np.random.Generator) -> None:
    person.gazes.append(gaze_of(tools.model, head, moment.pixels)[0])
    person.heads.append(FittedHead(head.camera, head.identity, head.expression, NOTHING, head.landmarks))
    due = not person.samples or moment.seconds - person.samples[-1][0] >= SAMPLED
    if due and head.within >= WITHIN:
        hidden = hair_before(moment.pixels, [head], tools.hair)
        found = appearance_of(tools.model, head, moment.pixels, hidden, rng)
        person.samples.append((moment.seconds, found))
        person.occluded.append(bool(hidden_by(tools.model, head, moment.pixels)))


NOTHING = np.zeros((0, 0))
"""In place of covariances: 200 kB a head would fill the memory."""


def rewrite(
    film: Film, copy: Copy, cast: Cast, tools: Tools, strength: float, show: Callable[[float], None]
) -> tuple[int, int, int, int]:
    """The second reading. Returns how many were changed, guessed, covered and empty."""
    how, frame = step_two(strength), -1
    changed = guessed = covers = empty = 0
    for frame, moment in enumerate(film.moments(copy)):
        if frame >= len(cast.stamps) or moment.stamp != cast.stamps[frame]:
            break
        shown, hide = [], list(cast.unfitted[frame])
        for person in cast.people:
            if not person.near(frame, cast):
                continue
            found = person.seen(frame, cast.seconds)
            if found is None:
                hide.append(person.track.box(frame))
            else:
                shown.append((person, *found))
                guessed += frame not in person.places
        pixels = moment.pixels
        heads = [head for _, head, *_ in shown]
        hidden = hair_before(pixels, heads, tools.hair)
        for person, head, light, gaze in shown:
            assert person.face is not None
            appearance = Appearance(light, person.face.albedo, np.zeros(0))
            beside = around(heads, head, hidden)
            pixels, _ = change(
                tools.model, head, pixels, beside, appearance, person.face, how, gaze=(gaze, 0.0)
            )
        hide = [box for box in hide if not any(same_face(box, head.box) for head in heads)]
        drawn = (pixels != moment.pixels).any(axis=2)
        for box in hide:  # but for what was drawn on the face beside it
            pixels = np.where(drawn[..., None], pixels, covered(pixels, box)[0])
        changed += len(shown)
        covers += bool(hide)
        empty += not shown and not hide
        copy.picture(pixels, moment)
        show(FIRST + (1 - FIRST) * (frame + 1) / len(cast.stamps))
    if frame + 1 != len(cast.stamps):
        raise SansfaceError(f"the film {film.path} changed while it was read; copy it first.")
    return changed, guessed, covers, empty
