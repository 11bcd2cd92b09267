"""What a neural head is conditioned on, and how codes of people who do not exist are drawn."""

from dataclasses import dataclass, field

import numpy as np

from sansface.errors import SansfaceError
from sansface.heads.albedo import CODES
from sansface.heads.light import COUNT, ambient, random_light
from sansface.heads.parametric import HeadModel

ALONE = ("mouthClose", "PupilDilate_L", "PupilDilate_R")
"""Expressions that are never drawn: the first closes an open jaw's lips and tears a closed one's, and the
others move nothing that is seen."""
ACTIVE, LARGEST = 0.2, 0.7
"""Chance that an expression is not zero, and its largest weight."""

IDENTITIES, EXPRESSIONS = 100, 57
SHAPES = {
    "identity": (IDENTITIES,),
    "expression": (EXPRESSIONS,),
    "albedo": (len(CODES),),
    "light": (COUNT, 3),
}
"""Of a head's codes."""


@dataclass(frozen=True, eq=False)
class HeadCodes:
    """One head in one light.

    Attributes:
        identity: (100,) float32, N(0, 1) over people: the linear model's weights.
        expression: (57,) float32 in [0, 1], in the order of the model's `expression`.
        albedo: (12,) float32, N(0, 1) over people: see `sansface.heads.albedo.CODES`.
        light: (9, 3) float32, see `sansface.heads.light`.

    Raises:
        SansfaceError: a shape that is not so, or a number that is not finite.
    """

    identity: np.ndarray = field(default_factory=lambda: np.zeros(IDENTITIES, dtype=np.float32))
    expression: np.ndarray = field(default_factory=lambda: np.zeros(EXPRESSIONS, dtype=np.float32))
    albedo: np.ndarray = field(default_factory=lambda: np.zeros(len(CODES), dtype=np.float32))
    light: np.ndarray = field(default_factory=lambda: ambient(np.ones(3)).astype(np.float32))

    def __post_init__(self) -> None:
        for name, shape in SHAPES.items():
            value = getattr(self, name)
            if value.shape != shape or not np.isfinite(value).all():
                raise SansfaceError(
                    f"a head's {name} is an array of finite numbers of shape {shape}, not {value.shape}; "
                    "correct it."
                )


def random_expression(names: tuple[str, ...], rng: np.random.Generator) -> np.ndarray:
    """(57,) float32: each expression with a chance of ACTIVE evenly from [0, LARGEST], both sides alike or,
    half the time, each by itself.
    """
    drawn: dict[str, float] = {}
    alike = rng.random() < 0.5
    for name in names:
        weight = float(rng.random() * LARGEST) if rng.random() < ACTIVE else 0.0
        stem = name.removesuffix("_L").removesuffix("_R")
        drawn[name] = drawn.setdefault(stem, weight) if alike else weight
    return np.array([0.0 if name in ALONE else drawn[name] for name in names], dtype=np.float32)


def random_codes(model: HeadModel, rng: np.random.Generator) -> HeadCodes:
    """Somebody who does not exist: identity and albedo from N(0, 1) cut off at 2, an expression, a light."""
    return HeadCodes(
        identity=rng.normal(size=len(model.identity)).clip(-2, 2).astype(np.float32),
        expression=random_expression(tuple(model.expression), rng),
        albedo=rng.normal(size=len(CODES)).clip(-2, 2).astype(np.float32),
        light=random_light(rng),
    )
