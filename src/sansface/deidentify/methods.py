"""Ways to hide who is on a photograph, by name: what `sansface bench deidentify` compares.

A way is a function of a photograph, (h, w, 3) uint8 sRGB, and a random generator; it gives a picture of the
same shape and type, or raises SansfaceError where it can hide no face. To add one: a file, and a line in
`KINDS`; of one with a part left out the name is "WAY without PART". A way with a key, in `KEYED`, takes the
key's 32 bytes in the generator's place.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from sansface.deidentify.baselines import black_box, blur, pixelation
from sansface.errors import SansfaceError
from sansface.extras import require

if TYPE_CHECKING:
    from sansface.deidentify.faces import Tools

Method = Callable[[np.ndarray, np.random.Generator], np.ndarray]
KeyedMethod = Callable[[np.ndarray, bytes], np.ndarray]


@dataclass(frozen=True)
class Kind:
    """A way, whatever its strength.

    Attributes:
        make: the way at a strength; raises SansfaceError where that makes no sense.
        strength: what is used where none is said.
        strengths: those of its curve, ascending; more hides more.
        unit: what the strength means.
        random: two runs on one photograph differ.
        calibrated_by: names of recognisers with which it was tuned, whose scores prove less.
    """

    make: Callable[[float], Method]
    strength: float
    strengths: tuple[float, ...]
    unit: str
    random: bool = False
    calibrated_by: tuple[str, ...] = ()


def ideudemon(carry: bool = True, relight: bool = True, hair: bool = True) -> Callable[[float], Method]:
    """As `sansface deidentify` does it; False leaves a part of step II out, see `change.StepTwo`."""

    def make(strength: float) -> Method:
        method = require("sansface.deidentify.ideudemon", extra="deidentify")
        from sansface.deidentify.change import StepTwo

        method.check_strength(strength)
        tools, kept = _tools(), StepTwo(carry=carry, relight=relight, hair=hair)
        return lambda photograph, rng: (
            method.deidentify(photograph, tools, rng, strength, parts=kept).photograph
        )

    return make


@cache
def _tools() -> "Tools":
    from sansface.deidentify.faces import Tools

    return Tools()


# The noise's strength was set looking at both recognisers' scores (docs/deidentify.md).
IDEUDEMON = (
    1.0,
    (0.25, 0.5, 0.75, 1.0, 1.25, 1.5),
    "of the noise",
    True,
    ("edgeface", "mobilefacenet"),
)
KINDS: dict[str, Kind] = {
    "ideudemon": Kind(ideudemon(), *IDEUDEMON),
    "ideudemon without carrying": Kind(ideudemon(carry=False), *IDEUDEMON),
    "ideudemon without its light": Kind(ideudemon(relight=False), *IDEUDEMON),
    "ideudemon without hair": Kind(ideudemon(hair=False), *IDEUDEMON),
    "blur": Kind(blur, 0.4, (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6), "σ / distance between the eyes"),
    "pixelation": Kind(
        pixelation, 0.6, (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8), "block / distance between the eyes"
    ),
    "black box": Kind(black_box, 1.0, (0.25, 0.5, 0.75, 1.0), "share of the face's oval"),
}


@dataclass(frozen=True)
class KeyedKind:
    """A way with a key.

    Attributes:
        make: with nobody enrolled.
        calibrated_by: name of the recogniser that guides it, whose scores prove nothing.
    """

    make: Callable[[], KeyedMethod]
    calibrated_by: str


def kfaar(recogniser: str) -> KeyedKind:
    """As `sansface anonymize` does it, with a register for each key: who was seen before is known again."""

    def make() -> KeyedMethod:
        keyed = require("sansface.deidentify.keyed", extra="deidentify")
        from sansface.deidentify.keys import Key, Purpose
        from sansface.deidentify.kfaar import subjects
        from sansface.deidentify.register import Register, register_for
        from sansface.recognise import registry
        from sansface.recognise.detect import Yunet

        used = registry.recogniser(recogniser)
        recognition = keyed.Recognition(used, Yunet(), keyed.LIMITS[used.digest])
        tools, enrolled = _tools(), dict[bytes, Register]()

        def anonymized(photograph: np.ndarray, secret: bytes) -> np.ndarray:
            known = enrolled.get(secret) or register_for(used)
            key = Key(Purpose.RECOGNITION, secret)
            ready, found = subjects(photograph, tools, np.random.default_rng(0))
            done = keyed.anonymize(ready, found, key, recognition, known)
            enrolled[secret] = done.register
            return done.picture

        return anonymized

    return KeyedKind(make, recogniser)


KEYED: dict[str, KeyedKind] = {f"kfaar by {name}": kfaar(name) for name in ("edgeface", "mobilefacenet")}


@dataclass(frozen=True)
class Chosen:
    """A way with its strength.  name: of the kind."""

    name: str
    strength: float

    @property
    def kind(self) -> Kind:
        return KINDS[self.name]

    def make(self) -> Method:
        return self.kind.make(self.strength)

    def __str__(self) -> str:
        return f"{self.name} {self.strength:g}"


def chosen(words: str) -> Chosen:
    """A way by its name, or by name@strength.

    Raises:
        SansfaceError: there is no such way, or the strength is no number.
    """
    name, at, number = words.partition("@")
    if name not in KINDS:
        raise SansfaceError(f"there is no method {name!r}; choose of {', '.join(KINDS)}.")
    try:
        return Chosen(name, float(number) if at else KINDS[name].strength)
    except ValueError:
        raise SansfaceError(f"the strength in {words!r} is no number; say it like {name}@0.5.") from None
