"""IDEudemon (Wen et al., ICCV 2023) on the parametric head: another identity by noise, the rest as it was.

    z' = clip(z + strength · s · n, −3, 3),        n ~ N(0, 1)

for the identity and the albedo code of every face, s calibrated so that strength 1 makes another person for
a recogniser (docs/deidentify.md has the attacks' numbers); and of the photograph's own detail on the face a
share stays that falls with the strength. Pose, expression and light are the photograph's.
"""

from dataclasses import dataclass, replace

import numpy as np

from sansface.deidentify.around import around
from sansface.deidentify.change import Face, StepTwo, appearance_of
from sansface.deidentify.faces import Tools, covered, find, refusal
from sansface.deidentify.hold import change_held
from sansface.deidentify.redraw import Redrawing
from sansface.deidentify.restore import Restorer
from sansface.errors import SansfaceError
from sansface.heads.albedo import CODES
from sansface.heads.landmarks import five_landmarks

IDENTITY = 1.4
"""Standard deviation of an identity's numbers at strength 1, in the population's."""
ALBEDO = {
    "skin": 0.2, "warmth": 0.2, "blush": 0.7, "lip colour": 0.5, "lip darkness": 0.5, "brow colour": 0.25,
    "brow thickness": 0.8, "brow density": 0.6, "iris": 0.8, "beard": 0.3, "scalp": 0.0, "eye shadow": 0.7,
}  # fmt: skip
"""The same of the albedo code: what is a matter of identity changes, colours of skin and hair hardly do."""
ALBEDO_SPREAD = np.array([ALBEDO[name] for name in CODES])
MOST = 3.0
"""Largest number of a code, in standard deviations: beyond, heads break."""
STRONGEST = 2.0


@dataclass(frozen=True, eq=False)
class Deidentified:
    """A photograph with other faces.

    Attributes:
        photograph: (h, w, 3) uint8 sRGB.
        touched: (h, w) bool: where it may differ; elsewhere it is the original to the bit.
        faces: how many were changed.
        covered: how many could not be, and were covered.
    """

    photograph: np.ndarray
    touched: np.ndarray
    faces: int
    covered: int


def check_strength(strength: float) -> None:
    """Raises SansfaceError where it is out of range."""
    if not 0 < strength <= STRONGEST:
        raise SansfaceError(f"the strength is above 0 and at most {STRONGEST:g}, not {strength}; correct it.")


def step_two(strength: float, parts: StepTwo | None = None) -> StepTwo:
    """What stays of the photograph: all of its detail at strength 0, `Redrawing`'s own shares at 1."""
    parts, own = parts or StepTwo(), Redrawing()
    weaker = min(strength, 1.0)

    def share(at_one: float) -> float:
        return (1 - weaker) + weaker * at_one

    shares = Redrawing(share(own.kept), share(own.features), share(own.eyes), share(own.mouth), own.grain)
    return replace(parts, redrawing=shares)


def another(identity: np.ndarray, albedo: np.ndarray, strength: float, rng: np.random.Generator) -> Face:
    """Somebody else: the equation above.

    Args:
        identity: (100,) in standard deviations.  albedo: (12,) code.  strength, rng: see `deidentify`.
    """
    moved = identity + strength * IDENTITY * rng.normal(size=len(identity))
    painted = albedo + strength * ALBEDO_SPREAD * rng.normal(size=len(albedo))
    return Face(moved.clip(-MOST, MOST), painted.clip(-MOST, MOST))


def deidentify(
    photograph: np.ndarray,
    tools: Tools,
    rng: np.random.Generator,
    strength: float = 1.0,
    cover: bool = False,
    parts: StepTwo | None = None,
    restorer: Restorer | None = None,
) -> Deidentified:
    """Give every face of a photograph another identity.

    Args:
        photograph: (h, w, 3) uint8 sRGB.
        rng: seeded by `secrets`, but for tests: who knows the seed can take the noise away again.
        strength: of the noise, 0 to 2; 1 makes another person.
        cover: black out a face that bears no fit, instead of refusing the photograph.
        parts: of step II, for ablations.
        restorer: has the last word on each changed face, where there is one.

    Raises:
        SansfaceError: no face, a face that bears no fit (without `cover`), or a strength out of range.
    """
    check_strength(strength)
    faces = find(photograph, tools)
    if faces.unfitted and not cover:
        raise refusal(faces.unfitted[0])
    how = step_two(strength, parts)
    result, touched = photograph, np.zeros(photograph.shape[:2], dtype=bool)
    for head in faces.heads:
        # What lies behind an earlier face is read from the original, so the order does not matter to the fit.
        beside = around(faces.heads, head, faces.hidden)
        appearance = appearance_of(tools.model, head, photograph, beside.hidden, rng)
        face = another(head.identity, appearance.albedo, strength, rng)
        result, changed = change_held(tools, head, result, beside, appearance, face, how)
        if restorer:
            result = restorer.restored(result, five_landmarks(head.landmarks), changed)
        touched |= changed
    for finding, _ in faces.unfitted:
        result, changed = covered(result, finding.extent)
        touched |= changed
    return Deidentified(result, touched, len(faces.heads), len(faces.unfitted))
