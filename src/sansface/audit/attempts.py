"""What each attacker makes of the probes: how likely he takes each of the people enrolled to be in each.

All know how pictures are protected and where the face lies, and have photographs of the people enrolled,
clear ones, which they can protect in the same way.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sansface.audit.attackers.descriptors import describe, mirrored, with_mirror_images
from sansface.audit.attackers.distillation import DistillationSettings, Student, distil
from sansface.audit.attackers.integration import IntegrationSettings, integrate
from sansface.audit.attackers.inversion import InversionSettings, Inverter, invert, train
from sansface.audit.attackers.layers import InnerLayers, describe_layers, layers_of
from sansface.audit.attackers.naive import SHOWN, as_pictures, naive
from sansface.audit.attackers.outlines import describe_outlines
from sansface.audit.attackers.parrot import name_people, weighed
from sansface.audit.attackers.teachable import first_teachable
from sansface.audit.kept import Kept
from sansface.audit.scores import by_person, similarities
from sansface.audit.sigma import protecting
from sansface.audit.split import LEAST
from sansface.errors import SansfaceError
from sansface.protect.contents import Share
from sansface.protect.pipeline import ProtectSettings
from sansface.recognise.align import EYES, SIDE, Placing
from sansface.recognise.recogniser import Recogniser, known_by

ATTACKERS: tuple[str, ...] = ("naive", "outlines", "parrot", "reverse", "search")
"""In the order of what they cost."""
DRAWS = 2
"""So often the parrot protects his gallery where something of it is drawn at random."""
STUDENT = "a student"
SEARCH = IntegrationSettings(restarts=1, grids=(1,), steps=100)
"""The search begins as the inversion draws, and goes on until the picture explains σ."""

Scores = dict[str, np.ndarray]
"""With what, to (probes, people): more is likelier; the people enrolled in ascending order."""
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class AuditSettings:
    """Who attacks, and how hard."""

    attackers: tuple[str, ...] = ("naive", "parrot", "reverse")
    least: int = LEAST  # photographs from which on a person is attacked
    student: DistillationSettings | None = field(default_factory=DistillationSettings)
    inversion: InversionSettings = field(default_factory=lambda: InversionSettings(steps=1400))
    search: IntegrationSettings = SEARCH

    def __post_init__(self) -> None:
        unknown = set(self.attackers) - set(ATTACKERS)
        if unknown or not self.attackers:
            raise SansfaceError(
                f"the attackers are some of {', '.join(ATTACKERS)}, unlike "
                f"{', '.join(self.attackers) or 'none'}; correct the names."
            )


@dataclass(frozen=True, eq=False)
class Attempts:
    """The attackers, before the same people.

    Attributes:
        recognisers: as they are, of different names.
        clear: of each recogniser (m, d) embeddings of the clear photographs enrolled.
        owners: (m,) whose the photographs enrolled are.
        enrolled: (draws, m, h, w) float32, those protected; more than once where that draws at random.
        probes: (n, h, w) float32, protected; of whom, enrolled or not, nobody here knows.
        outlines: (m, h, w) and (n, h, w) float32 of those enrolled and of the probes, where they are shared.
        examples: (t, k · h, k · w, 3) float32, the clear photographs of others, finer.
        placed: where the face lies in protected pictures.
        protection: how they were protected.
        seeds: of each attacker's draws.
        settings: how hard they try.
        kept: what was learnt before.
        device: on which networks learn.
        progress: told the share that is done and what is done next.
    """

    recognisers: Sequence[Recogniser]
    clear: Mapping[str, np.ndarray]
    owners: np.ndarray
    enrolled: np.ndarray
    probes: np.ndarray
    outlines: tuple[np.ndarray, np.ndarray] | None
    examples: np.ndarray
    placed: Placing
    protection: ProtectSettings
    seeds: Mapping[str, int]
    settings: AuditSettings
    kept: Kept
    device: torch.device
    progress: Progress

    def scores(self, attacker: str) -> Scores:
        """What the attacker of that name says, or said before of the very same."""
        ways = {
            "naive": self.naive,
            "outlines": self.of_outlines,
            "parrot": self.parrot,
            "reverse": self.reverse,
            "search": self.search,
        }
        efforts = {
            "naive": {},
            "outlines": {"outlines": self.outlines},
            "parrot": {"student": self.settings.student},
            "reverse": {"inversion": self.settings.inversion},
            "search": {"inversion": self.settings.inversion, "search": self.settings.search},
        }
        made_from = {
            "clear": self.clear,
            "owners": self.owners,
            "enrolled": self.enrolled,
            "probes": self.probes,
            "placed": self.placed,
            "protection": self.protection,
            "examples": self.examples,
            "seeds": self.seeds,
            **efforts[attacker],
        }
        return self.kept.arrays(attacker, made_from, ways[attacker])

    def naive(self) -> Scores:
        """Trains nothing."""
        found = {}
        for one in self.recognisers:
            self.progress(0.1, f"naive, {one.name}")
            for shown, drawing in SHOWN.items():
                similar = naive(one, self.clear[one.name], self.probes, self.placed, drawing)
                found[f"{one.name}, {shown}"] = by_person(similar, self.owners)[0]
        return found

    def of_outlines(self) -> Scores:
        """A parrot of outlines: linear models on their shapes, and on layers of recognisers that see them."""
        if self.outlines is None:
            raise SansfaceError("the bundle shares no outlines to attack; leave that attacker out.")
        self.progress(0.1, "outlines")
        layers, described = layers_of(self.recognisers), []
        eyes = EYES * self.placed.side / SIDE  # the whole picture: what tells people apart is around the face
        for outlines in self.outlines:
            both = mirrored(outlines)
            found = describe_outlines(both) | describe_layers(layers, both, eyes)
            described.append(with_mirror_images(found))
        owners = np.unique(self.owners, return_inverse=True)[1]
        rng = np.random.default_rng(self.seeds["outlines"])
        scores = name_people(described[0], owners, described[1], rng).scores
        return {_learnt(layers): scores}

    def parrot(self) -> Scores:
        """Linear models on descriptors; a student; and the models with the student's descriptors besides."""
        layers = layers_of(self.recognisers)
        taught, student = self._student() or ("", None)
        self.progress(0.3, "parrot")
        every = [self._described(pictures, layers, student) for pictures in self.enrolled]
        gallery = {name: np.concatenate([one[name] for one in every], axis=1) for name in every[0]}
        probes = self._described(self.probes, layers, student)
        owners = np.unique(self.owners, return_inverse=True)[1]
        everything = name_people(gallery, owners, probes, np.random.default_rng(self.seeds["parrot"]))
        learnt = _learnt(layers)
        if student is None:
            return {learnt: everything.scores}
        without = weighed([fit for fit in everything.fits if not fit.name.startswith(STUDENT)], owners)
        said, asked = (one[f"{STUDENT}'s embedding"].mean(axis=1) for one in (gallery, probes))
        of_clear = {"clear gallery": student.about(self.clear[taught]), "the gallery protected": said}
        return {
            f"{learnt}, {STUDENT}": everything.scores,
            learnt: without.scores,
            **{
                f"{STUDENT} of {taught}, {what}": by_person(similarities(asked, known), self.owners)[0]
                for what, known in of_clear.items()
            },
        }

    def reverse(self) -> Scores:
        """Draws the probes, which recognisers then see, and the gallery as well."""
        network = self._inverter
        drawn, redrawn = invert(network, self.probes), invert(network, self.enrolled[0])
        self.progress(0.8, "reverse, recognising")
        return self._recognised(drawn, redrawn)

    def search(self) -> Scores:
        """Goes on from there."""
        return self._recognised(self._searched(self.probes))

    def pictures(self, which: np.ndarray) -> dict[str, np.ndarray]:
        """What attackers see of some probes and draw, by name: (k, h, w) or (k, h, w, 3) float32."""
        if self.protection.share is Share.OUTLINE and self.outlines is not None:
            return {"as it was uploaded": self.outlines[1][which]}
        probes = self.probes[which]
        found = {
            "as it was uploaded": as_pictures(probes),
            "as a drawing": as_pictures(probes, drawing=True),
        }
        if {"reverse", "search"} & set(self.settings.attackers):
            found["drawn back by a network (reverse)"] = invert(self._inverter, probes)
        if "search" in self.settings.attackers:
            found["and searched on from there"] = self._searched(probes)
        return found

    def _searched(self, probes: np.ndarray) -> np.ndarray:
        drawn = invert(self._inverter, probes)
        self.progress(0.85, "search")
        return integrate(
            torch.from_numpy(probes),
            self.protection.sigma(),
            self.settings.search,
            torch.Generator().manual_seed(self.seeds["search"]),
            drawn=torch.from_numpy(drawn.transpose(0, 3, 1, 2).copy()),
        ).pictures

    def _recognised(self, drawn: np.ndarray, redrawn: np.ndarray | None = None) -> Scores:
        """By each recogniser, against clear photographs and against the gallery as the attacker draws it."""
        found = {}
        for one in self.recognisers:
            asked = one.embed(one.placing.again(drawn, self.placed))
            known = {one.name: self.clear[one.name]}
            if redrawn is not None:
                gallery = one.embed(one.placing.again(redrawn, self.placed))
                known[f"{one.name}, the gallery drawn as well"] = gallery
            for name, embeddings in known.items():
                found[name] = by_person(similarities(asked, embeddings), self.owners)[0]
        return found

    def _student(self) -> tuple[str, Student] | None:
        """Of the first recogniser that can be taught, with its name."""
        settings, found = self.settings.student, first_teachable(self.recognisers)
        if settings is None or found is None:
            return None
        (one, teacher), seed = found, self.seeds["parrot"]
        place, known = self._training(
            "student", recogniser=known_by(one), placed=self.placed, settings=settings, seed=seed
        )
        student = distil(
            self._clear(),
            self.placed.side,
            self.placed.eyes,
            teacher,
            protecting(self.protection),
            settings,
            torch.Generator().manual_seed(seed),
            place,
            known,
            lambda done, loss: self.progress(0.1 + 0.2 * done, "parrot, teaching a student"),
        )
        return one.name, student

    @cached_property
    def _inverter(self) -> Inverter:
        generator = torch.Generator().manual_seed(self.seeds["reverse"])
        settings = self.settings.inversion
        place, known_by = self._training("inversion", settings=settings, seed=self.seeds["reverse"])
        return train(
            self._clear(),
            self.placed.side,
            protecting(self.protection),
            settings,
            generator,
            place,
            known_by,
            lambda done, loss: self.progress(0.4 + 0.4 * done, "reverse, learning"),
        )

    def _training(self, what: str, **more: Any) -> tuple[Path | None, dict[str, Any]]:
        """Where it is kept, and what it is known by."""
        return self.kept.training(what, {"examples": self.examples, "protection": self.protection, **more})

    def _clear(self) -> torch.Tensor:
        return torch.from_numpy(self.examples.transpose(0, 3, 1, 2).copy()).to(self.device)

    def _described(
        self, pictures: np.ndarray, layers: Mapping[str, InnerLayers], student: Student | None
    ) -> dict[str, np.ndarray]:
        """Name to (n, 2, d): of pictures and their mirror images."""
        both = mirrored(pictures)
        found = describe(both) | describe_layers(layers, both, self.placed.eyes)
        said = {} if student is None else student.embed(both)
        found |= {f"{STUDENT}'s {name}": values for name, values in said.items()}
        return with_mirror_images(found)


def _learnt(layers: Mapping[str, InnerLayers]) -> str:
    """With what a parrot learns, in words."""
    return ", ".join(["linear models", *(f"layers of {name}" for name in layers)])
