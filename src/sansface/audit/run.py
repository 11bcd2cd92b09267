"""One audit: people whose photographs are known are protected as a bundle is, and every attacker tries them.

The bundle says how its pictures were made, and that is all that is taken from it: what is measured is how
well people are told apart by pictures made in the same way, of others than the person in the bundle.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sansface.audit.align import Placing
from sansface.audit.attackers.calibration import fused_views
from sansface.audit.attackers.descriptors import describe
from sansface.audit.attackers.integration import IntegrationSettings, integrate
from sansface.audit.attackers.inversion import InversionSettings, invert, train
from sansface.audit.attackers.layers import InnerLayers, enlarged
from sansface.audit.attackers.naive import naive
from sansface.audit.attackers.parrot import name_people
from sansface.audit.control import Control, control
from sansface.audit.people import People
from sansface.audit.protected import protected
from sansface.audit.recognisers.onnx import OnnxRecogniser
from sansface.audit.recognisers.recogniser import Recogniser
from sansface.audit.scores import Identification, by_person, chance_interval, identify, similarities
from sansface.audit.sigma import protecting
from sansface.audit.split import LEAST, split
from sansface.errors import SansfaceError
from sansface.protect.contents import Bundle
from sansface.protect.pipeline import LEAST_GAIN, ProtectSettings

EYES = 11 / 64
"""Pixels between the eyes, of the picture's side, where a whole head fills it."""
ATTACKERS = ("naive", "parrot", "reverse", "search")
"""In the order of what they cost."""
FINER = 2
"""The inversion learns from pictures with so many pixels a side of each one, to be moved and then reduced."""
FINEST = 128
"""Pixels of a side from which on it does without."""
SEARCH = IntegrationSettings(restarts=1, grids=(1,), steps=100)
"""The search begins as the inversion draws, and goes on until the picture explains σ."""


@dataclass(frozen=True, eq=False)
class Attack:
    """What one attacker reached.

    Attributes:
        attacker: naive, parrot ...
        with_what: the recogniser, or what he learnt from.
        named: who of the people evaluated is in each probe.
    """

    attacker: str
    with_what: str
    named: Identification


@dataclass(frozen=True, eq=False)
class Audit:
    """All that was found.

    Attributes:
        protection: how pictures were protected.
        eyes: pixels between the eyes in a protected picture.
        people: of whom one is to be named.
        probes: pictures that were tried.
        chance: (low, high) within which guessing lies in 95 of 100 audits.
        controls: of each recogniser, on clear photographs.
        attacks: in the order in which they were made.
        left_out: photographs that could not be used, by reason.
    """

    protection: ProtectSettings
    eyes: float
    people: int
    probes: int
    chance: tuple[float, float]
    controls: Mapping[str, Control]
    attacks: Sequence[Attack]
    left_out: Mapping[str, int]

    @property
    def strongest(self) -> Attack:
        """Of those that see one picture."""
        single = [attack for attack in self.attacks if attack.named.rank1.misses.tries == self.probes]
        return max(single, key=lambda attack: attack.named.rank1.misses.value)

    def sentence(self) -> str:
        """What a user should know, in one sentence."""
        best = self.strongest
        rate = best.named.rank1.misses
        return (
            f"An attacker who knows your operator names the right person of {self.people} in "
            f"{100 * rate.value:.1f} % [{100 * rate.low:.1f}, {100 * rate.high:.1f}] of tries "
            f"({best.attacker}, {best.with_what}); guessing gives {100 * best.named.chance:.1f} %."
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "sentence": self.sentence(),
            "protection": asdict(self.protection),
            "eyes": self.eyes,
            "people": self.people,
            "probes": self.probes,
            "chance": {"rank1": 1 / self.people, "low": self.chance[0], "high": self.chance[1]},
            "controls": {name: asdict(found) for name, found in self.controls.items()},
            "attacks": [asdict(attack) for attack in self.attacks],
            "left_out": dict(self.left_out),
        }


def protection_of(bundle: Bundle) -> ProtectSettings:
    """How a bundle's pictures were made, as far as it says so."""
    sigma = bundle.operator
    return ProtectSettings(
        resolution=bundle.resolution,
        operator=sigma.name,
        bits=bundle.bits,
        blur=sigma.blur,
        noise=bundle.noise,
        gain=LEAST_GAIN if bundle.gain else 1.0,  # the factors are nowhere, and nor is their least
    )


def placing(protection: ProtectSettings, eyes: float | None = None) -> Placing:
    """How a face lies in a protected picture.  eyes: pixels between them; None where a head fills it."""
    eyes = EYES * protection.resolution if eyes is None else eyes
    if not 2 <= eyes <= protection.resolution / 2:
        raise SansfaceError(
            f"eyes {eyes:g} pixels apart do not fit a face into {protection.resolution} pixels; "
            "give 2 to half of those."
        )
    return Placing(protection.resolution, eyes)


def finer(placed: Placing) -> Placing:
    """How the faces lie that the inversion learns from."""
    times = FINER if placed.side * FINER <= FINEST else 1
    return Placing(times * placed.side, times * placed.eyes)


@dataclass(frozen=True)
class AuditSettings:
    """Who attacks, and how hard."""

    attackers: tuple[str, ...] = ATTACKERS[:3]
    least: int = LEAST  # photographs from which on a person is attacked
    inversion: InversionSettings = field(default_factory=lambda: InversionSettings(steps=1400))
    search: IntegrationSettings = SEARCH

    def __post_init__(self) -> None:
        unknown = set(self.attackers) - set(ATTACKERS)
        if unknown or not self.attackers:
            raise SansfaceError(
                f"the attackers are some of {', '.join(ATTACKERS)}, unlike "
                f"{', '.join(self.attackers) or 'none'}; correct the names."
            )


def audit(
    people: People,
    recognisers: Sequence[Recogniser],
    protection: ProtectSettings,
    placed: Placing,
    rng: np.random.Generator,
    settings: AuditSettings | None = None,
    progress: Callable[[float, str], None] = lambda done, note: None,
    trained: Path | None = None,
    device: torch.device | None = None,
) -> Audit:
    """Attack.

    Args:
        people: cut out for each recogniser, as `placed` says and as `finer(placed)` does.
        recognisers: each must work on clear photographs.
        protection: what all photographs are protected by.
        rng: splits, draws noise, seeds the training.
        progress: told the share that is done and what is done next.
        trained: file of the inversion network's training, gone on from if it exists.
        device: on which the network learns; None for the CPU.

    Raises:
        SansfaceError: too few people, a recogniser that fails on clear photographs, or a training of other
            people or another protection in the file.
    """
    settings = settings or AuditSettings()
    parts = split(people.labels, people.digests, rng, settings.least)
    gallery = _Gallery(people.labels[parts.probe], people.labels[parts.enrolled], rng)
    controls, clear = {}, {}
    for recogniser in recognisers:
        progress(0.0, f"{recogniser.name} on clear photographs")
        clear[recogniser.name] = recogniser.embed(people.crops[recogniser.placing])
        found = control(clear[recogniser.name], people.labels, people.numbers, parts, rng)
        controls[recogniser.name] = found
    modulus = protected(people.crops[placed], protection, rng)
    probes, enrolled = modulus[parts.probe], modulus[parts.enrolled]
    attacks: list[Attack] = []

    def recognised(attacker: str, drawn: np.ndarray, own: np.ndarray | None = None) -> None:
        """By each recogniser, against clear photographs and against the gallery as the attacker draws it."""
        for one in recognisers:
            asked = one.embed(one.placing.again(drawn, placed))
            known = clear[one.name][parts.enrolled]
            attacks.append(Attack(attacker, one.name, gallery.by_likeness(similarities(asked, known))))
            if own is not None:
                redrawn = one.embed(one.placing.again(own, placed))
                similar = similarities(asked, redrawn)
                attacks.append(
                    Attack(attacker, f"{one.name}, the gallery drawn as well", gallery.by_likeness(similar))
                )

    if "naive" in settings.attackers:
        for one in recognisers:
            progress(0.1, f"naive, {one.name}")
            known = clear[one.name][parts.enrolled]
            for shown, drawing in (("as it is", False), ("as a drawing", True)):
                similar = naive(one, known, probes, placed, drawing)
                attacks.append(Attack("naive", f"{one.name}, {shown}", gallery.by_likeness(similar)))
    if "parrot" in settings.attackers:
        progress(0.2, "parrot")
        layers = _layers(recognisers)
        known, asked = (_described(one, placed.eyes, layers) for one in (enrolled, probes))
        scores = name_people(known, gallery.numbered, asked, rng).scores
        learnt = ", ".join(["linear models", *(f"layers of {name}" for name in layers)])
        attacks.append(Attack("parrot", learnt, gallery.named(scores)))
        # The whole of a bundle shows one person: all pictures of each at once.
        views = fused_views(scores, np.searchsorted(gallery.who, gallery.probes))
        named = identify(views, gallery.who, gallery.who, rng)
        attacks.append(Attack("parrot", "the same, all pictures of a person at once", named))
    if {"reverse", "search"} & set(settings.attackers):
        examples = people.crops[finer(placed)][parts.training]
        generator = torch.Generator().manual_seed(int(rng.integers(2**48)))
        network = train(
            torch.from_numpy(examples.transpose(0, 3, 1, 2).copy()).to(device or "cpu"),
            placed.side,
            protecting(protection, generator),
            settings.inversion,
            generator,
            kept=trained,
            known_by={"protection": asdict(protection), "people": _digest(people.digests[parts.training])},
            on_progress=lambda done, loss: progress(0.3 + 0.5 * done, "reverse, learning"),
        )
        drawn, redrawn = invert(network, probes), invert(network, enrolled)
        progress(0.8, "reverse, recognising")
        recognised("reverse", drawn, redrawn)
        if "search" in settings.attackers:
            progress(0.85, "search")
            found = integrate(
                torch.from_numpy(probes),
                protection.sigma(),
                settings.search,
                generator,
                drawn=torch.from_numpy(drawn.transpose(0, 3, 1, 2).copy()),
            )
            recognised("search", found.pictures)
    return Audit(
        protection=protection,
        eyes=placed.eyes,
        people=len(gallery.who),
        probes=len(probes),
        chance=chance_interval(len(probes), len(gallery.who), rng),
        controls=controls,
        attacks=attacks,
        left_out={
            "no face found": len(people.faceless),
            "too small": len(people.small),
            "twice": len(people.twice),
        },
    )


class _Gallery:
    """Whose the probes are, and who is enrolled."""

    def __init__(self, probes: np.ndarray, enrolled: np.ndarray, rng: np.random.Generator) -> None:
        self.probes, self.enrolled, self.rng = probes, enrolled, rng
        self.who, self.numbered = np.unique(enrolled, return_inverse=True)

    def named(self, scores: np.ndarray) -> Identification:
        return identify(scores, self.probes, self.who, self.rng)

    def by_likeness(self, similar: np.ndarray) -> Identification:
        scores, _ = by_person(similar, self.enrolled)
        return self.named(scores)


def _layers(recognisers: Sequence[Recogniser]) -> dict[str, InnerLayers]:
    """Of those recognisers that have such layers; a parrot does without the others'."""
    found = {}
    for one in recognisers:
        if isinstance(one, OnnxRecogniser):
            with suppress(SansfaceError):
                found[one.name] = one.layers()
    return found


def _described(pictures: np.ndarray, eyes: float, layers: Mapping[str, InnerLayers]) -> dict[str, np.ndarray]:
    """Name to (n, 2, d): of pictures and their mirror images."""
    both = np.concatenate([pictures, pictures[:, :, ::-1]])
    found = describe(both)
    large = enlarged(both, eyes) if layers else both
    for name, network in layers.items():
        found |= {f"{name} {layer}": values for layer, values in network(large).items()}
    return {name: np.stack(np.split(values, 2), axis=1) for name, values in found.items()}


def _digest(digests: np.ndarray) -> str:
    return hashlib.sha256(np.sort(digests).tobytes()).hexdigest()
