"""One audit: people whose photographs are known are protected as a bundle is, and every attacker tries them.

The bundle says how its pictures were made, and that is all that is taken from it: what is measured is how
well people are told apart by pictures made in the same way, of others than the person in the bundle.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch

from sansface.audit.attackers.calibration import fused_views
from sansface.audit.attackers.naive import seen
from sansface.audit.attempts import ATTACKERS, DRAWS, Attempts, AuditSettings, Progress
from sansface.audit.control import RATES, Control, control
from sansface.audit.kept import Kept
from sansface.audit.people import People
from sansface.audit.protected import protected
from sansface.audit.scores import (
    Counted,
    Identification,
    Rate,
    Verification,
    calibrated,
    chance_interval,
    equal_error,
    identify,
    verify,
)
from sansface.audit.skin_tone import Third, by_tone, typology_angle
from sansface.audit.split import split
from sansface.errors import SansfaceError
from sansface.protect.contents import Bundle, Share
from sansface.protect.pipeline import LEAST_GAIN, ProtectSettings
from sansface.recognise.align import Placing
from sansface.recognise.recogniser import Recogniser, known_by

EYES = 11 / 64
"""Pixels between the eyes, of the picture's side, where a whole head fills it."""
FINE = 128
"""Networks learn from pictures of so many pixels a side, if the protected have fewer, to be moved and then
reduced."""
NOTHING = (
    "Of a sensitive photograph nothing is in the bundle but its camera, so there is no picture of a face to "
    "attack; what neutral photographs tell is in docs/audit.md."
)
SHOWN = 8
"""People of whom pictures are shown, if they are asked for."""


@dataclass(frozen=True, eq=False)
class Attack:
    """What one attacker reached.

    Attributes:
        attacker: naive, parrot ...
        with_what: the recogniser, or what he learnt from.
        named: who of the people evaluated is in each probe.
        equal_error: of all probes against all people: is it this person, or not?
        verified: the same at each of `control.RATES`, by thresholds calibrated on protected pictures of
            people whom nobody enrolled; none where all pictures of a person are one try: those have one each.
        detected: `named` where a detector must find the face first; None where none looked for it.
    """

    attacker: str
    with_what: str
    named: Identification
    equal_error: Rate
    verified: tuple[Verification, ...] = ()
    detected: Counted | None = None


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
        skin: how often the strongest attacker of one picture names the people of each third, by their tone;
            none where they are too few.
        left_out: photographs that could not be used, by reason.
        pictures: if asked for, of some probes what attackers see and draw, by name: float32, (k, h, w) or
            (k, h, w, 3) each. They show people.
    """

    protection: ProtectSettings
    eyes: float
    people: int
    probes: int
    chance: tuple[float, float]
    controls: Mapping[str, Control]
    attacks: Sequence[Attack]
    skin: Sequence[Third]
    left_out: Mapping[str, int]
    pictures: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def strongest(self) -> Attack:
        """Of those that see one picture."""
        return strongest(self.attacks, self.probes)

    @property
    def strongest_of_all(self) -> Attack:
        """Those that see all pictures of a person at once among them."""
        return max([self.strongest, *self.attacks], key=lambda attack: attack.named.rank1.misses.value)

    def fused(self) -> str | None:
        """A sentence of those that see more than one picture; None where they name no more."""
        best = self.strongest_of_all
        if best is self.strongest:
            return None
        said = f"{_share(best)} ({best.attacker}, {best.with_what})"
        return f"With all pictures of a person at once, as a bundle has them, it is {said}."

    def sentence(self) -> str:
        """What a user should know, in one sentence."""
        best = self.strongest
        return (
            f"An attacker who knows your operator names the right person of {self.people} in {_share(best)} "
            f"of tries ({best.attacker}, {best.with_what}); guessing gives {100 * best.named.chance:.1f} %."
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON. People and their photographs are counted from 1, as on the page."""
        controls = {name: asdict(found) for name, found in self.controls.items()}
        for found in controls.values():
            found["strangers"] = [[1 + number for number in one] for one in found["strangers"]]
        attacks = [asdict(attack) for attack in self.attacks]
        for attack in attacks:
            attack["named"]["worst"] = [[1 + person, share] for person, share in attack["named"]["worst"]]
        return {
            "sentence": self.sentence(),
            "protection": asdict(self.protection),
            "eyes": self.eyes,
            "people": self.people,
            "probes": self.probes,
            "chance": {"rank1": 1 / self.people, "low": self.chance[0], "high": self.chance[1]},
            "controls": controls,
            "attacks": attacks,
            "skin": [asdict(third) for third in self.skin],
            "left_out": dict(self.left_out),
        }


def _share(attack: Attack) -> str:
    rate = attack.named.rank1.misses
    return f"{100 * rate.value:.1f} % [{100 * rate.low:.1f}, {100 * rate.high:.1f}]"


def strongest(attacks: Sequence[Attack], probes: int) -> Attack:
    """The attacker who names most, of those that see one picture at a time, as many as there are probes."""
    single = [attack for attack in attacks if attack.named.rank1.misses.tries == probes]
    return max(single, key=lambda attack: attack.named.rank1.misses.value)


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
        share_masks=any(frame.mask is not None for frame in bundle.frames),
        share=bundle.share,
    )


def applicable(attackers: Sequence[str], protection: ProtectSettings) -> tuple[str, ...]:
    """Those attackers who are given what they need; where no σ leaves, that is whoever reads outlines.

    Raises:
        SansfaceError: nothing of a sensitive photograph leaves, so there is nothing to attack.
    """
    if protection.share is Share.CAMERA:
        raise SansfaceError(NOTHING)
    return tuple(attackers) if protection.share is Share.MODULUS else ("outlines",)


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
    """How the faces lie that networks learn from."""
    times = max(1, FINE // placed.side)
    return Placing(times * placed.side, times * placed.eyes)


def audit(
    people: People,
    recognisers: Sequence[Recogniser],
    protection: ProtectSettings,
    placed: Placing,
    rng: np.random.Generator,
    settings: AuditSettings | None = None,
    progress: Progress = lambda done, note: None,
    kept: Kept | None = None,
    device: torch.device | None = None,
    detects: Callable[[np.ndarray, np.ndarray], bool] | None = None,
    pictures: bool = False,
) -> Audit:
    """Attack.

    Args:
        people: cut out for each recogniser, as `placed` says and as `finer(placed)` does; with outlines as
            `placed` says where those are attacked.
        recognisers: each must work on clear photographs.
        protection: what all photographs are protected by.
        rng: splits, draws noise, seeds the training.
        progress: told the share that is done and what is done next.
        kept: what earlier audits found out; it is used again and added to.
        device: on which networks learn; None for the CPU.
        detects: whether a face is found in a (h, w, 3) uint8 picture at (5, 2) landmarks, such as
            `Yunet.sees`; None for no word of that.
        pictures: keep some, see `Audit.pictures`.

    Raises:
        SansfaceError: too few people, two recognisers of one name, one that fails on clear photographs, or
            something damaged among what was kept.
    """
    settings, kept = settings or AuditSettings(), kept or Kept(None)
    names = [one.name for one in recognisers]
    if len(set(names)) < len(names):
        raise SansfaceError(f"two of the recognisers {', '.join(names)} have one name; leave one out.")
    parts = split(people.labels, people.digests, rng, settings.least)
    # Of each attacker's own, whoever else attacks.
    seeds = dict(zip(ATTACKERS, rng.integers(2**48, size=len(ATTACKERS)).tolist(), strict=True))
    gallery = _Gallery(people.labels[parts.probe], people.labels[parts.enrolled], rng)
    # Behind the probes come pictures of people whom nobody enrolled: thresholds are calibrated on them.
    asked = np.concatenate([parts.probe, parts.thresholds])
    controls, clear = {}, {}
    for one in recognisers:
        progress(0.0, f"{one.name} on clear photographs")
        clear[one.name] = _embedded(one, people.crops[one.placing], kept)
        controls[one.name] = control(clear[one.name], people.labels, people.numbers, parts, rng)
    modulus = protected(people.crops[placed], protection, rng)
    random = protection.noise > 0 or protection.gain < 1
    enrolled = [modulus[parts.enrolled]]
    for _ in range(DRAWS - 1 if random else 0):
        enrolled.append(protected(people.crops[placed][parts.enrolled], protection, rng))
    outlines = people.outlines.get(placed)
    attempts = Attempts(
        recognisers=recognisers,
        clear={name: known[parts.enrolled] for name, known in clear.items()},
        owners=people.labels[parts.enrolled],
        enrolled=np.stack(enrolled),
        probes=modulus[asked],
        outlines=None if outlines is None else (outlines[parts.enrolled], outlines[asked]),
        examples=people.crops[finer(placed)][parts.training],
        placed=placed,
        protection=protection,
        seeds=seeds,
        settings=settings,
        kept=kept,
        device=device or torch.device("cpu"),
        progress=progress,
    )
    attacks: list[Attack] = []
    for attacker in (one for one in ATTACKERS if one in settings.attackers):
        found = seen(modulus[parts.probe], placed, detects) if attacker == "naive" and detects else {}
        for number, (name, scores) in enumerate(attempts.scores(attacker).items()):
            way = name.rpartition(", ")[2]
            attacks.append(gallery.attacked(attacker, name, scores, found.get(way)))
            if attacker in ("parrot", "outlines") and number == 0:
                # The whole of a bundle shows one person.
                attacks.append(gallery.attacked_at_once(attacker, scores))
    shown = max(people.crops, key=lambda one: one.eyes)
    angles = typology_angle(people.crops[shown], shown)
    return Audit(
        protection=protection,
        eyes=placed.eyes,
        people=len(gallery.who),
        probes=len(modulus[parts.probe]),
        chance=chance_interval(len(parts.probe), len(gallery.who), rng),
        controls=controls,
        attacks=attacks,
        skin=by_tone(strongest(attacks, len(parts.probe)).named, angles, people.labels, rng),
        left_out={
            "no face found": len(people.faceless),
            "too small": len(people.small),
            "twice": len(people.twice),
        },
        pictures=attempts.pictures(gallery.first(SHOWN)) if pictures else {},
    )


def _embedded(recogniser: Recogniser, faces: np.ndarray, kept: Kept) -> np.ndarray:
    made_from = {"recogniser": known_by(recogniser), "faces": faces}
    return kept.arrays("embeddings", made_from, lambda: {"all": recogniser.embed(faces)})["all"]


class _Gallery:
    """Whose the probes are, and who is enrolled. Scores are of the probes, and behind them of strangers."""

    def __init__(self, probes: np.ndarray, enrolled: np.ndarray, rng: np.random.Generator) -> None:
        self.probes, self.who, self.rng = probes, np.unique(enrolled), rng

    def attacked(self, attacker: str, name: str, scores: np.ndarray, detected: np.ndarray | None) -> Attack:
        """detected: (n,) bool, in which of the probes a detector finds the face; None: it was not asked."""
        own, strangers = np.split(scores, [len(self.probes)])
        thresholds = [calibrated(strangers.ravel(), rate) for rate in RATES]
        about = own, self.probes, self.who
        attack = Attack(
            attacker,
            name,
            identify(*about, self.rng),
            equal_error(*about, self.rng),
            tuple(verify(*about, one, self.rng) for one in thresholds),
        )
        if detected is None:
            return attack
        return replace(attack, detected=identify(*about, self.rng, detected=detected).rank1)

    def attacked_at_once(self, attacker: str, scores: np.ndarray) -> Attack:
        """All pictures of each person; of scores that are logarithms of probabilities."""
        views = fused_views(scores[: len(self.probes)], np.searchsorted(self.who, self.probes))
        return Attack(
            attacker,
            "the same, all pictures of a person at once",
            identify(views, self.who, self.who, self.rng),
            equal_error(views, self.who, self.who, self.rng),
        )

    def first(self, most: int) -> np.ndarray:
        """A probe of each of the first people."""
        return np.unique(self.probes, return_index=True)[1][:most]
