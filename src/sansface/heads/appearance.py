"""Light and albedo of a photographed face, given its shape: the photometric half of the fit.

    colour(p) = albedo(p; z) · [o(p) · E(n(p); L) / π],

E the irradiance of nine spherical harmonics of each channel (`sansface.heads.light`), o how open the place is
to the sky, z the code of `sansface.heads.albedo`. Given z the light is a linear least-squares problem; given
the light, z is found by Gauss and Newton with its N(0, 1) for a prior, derivatives by differences, for there
are only a dozen. The two take turns. Residuals are weighted robustly: glasses, hair and hands are in the way.
"""

from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from safetensors.numpy import load

from sansface.heads.albedo import CODES, albedo_seen
from sansface.heads.light import COSINE, COUNT, harmonics
from sansface.heads.look import Seen
from sansface.heads.parametric import HeadModel

OPENNESS = "openness.safetensors"
BOUNCED = 0.35
"""Share of the light that reaches every corner, thrown back by skin nearby."""
TURNS = 3
"""Of light and albedo."""
PLACES = 1500
"""Pixels that are asked, at most."""
NOISE = 0.12
"""Standard deviation of a colour about the model's, as a share of it: pores, wrinkles, the rest."""
EVEN = 0.003
"""Weight that draws the light to an even one, as a share of the pixels."""
WHITE = 0.5
"""Share of the colour cast that is the light's; the skin has the rest."""
PRIOR = np.array(
    [
        {"brow thickness": 0.01, "brow density": 0.01, "iris": 0.01, "brow colour": 0.5}.get(name, 1)
        for name in CODES
    ]
)
"""Standard deviations of the codes. Thickness and density of brows that do not lie quite where they are drawn
come out thin, and an iris is a few pixels: these stay as they are on the mean face."""
TINY = 0.3
"""Difference by which derivatives are taken, of codes."""
DARK = 0.02
"""Linear light that is added before logarithms are taken."""


@dataclass(frozen=True, eq=False)
class Appearance:
    """light: (9, 3) float64.  albedo: (12,) float64 code.  albedo_spread: (12,) its standard deviations."""

    light: np.ndarray
    albedo: np.ndarray
    albedo_spread: np.ndarray


@cache
def openness() -> np.ndarray:
    """(n,) float32 in [0, 1]: the share of the sky that a vertex of the mean head sees, or sees mirrored."""
    found = load(resources.files("sansface.heads").joinpath(OPENNESS).read_bytes())
    return BOUNCED + (1 - BOUNCED) * found["openness"].astype(np.float32) / 255


def shading(seen: Seen, light: np.ndarray) -> np.ndarray:
    """(k, 3) float64: what a white surface would show."""
    return _basis(seen) @ light


def fit_appearance(
    model: HeadModel, seen: Seen, colours: np.ndarray, trusted: np.ndarray, rng: np.random.Generator
) -> Appearance:
    """Fit light and albedo.

    Args:
        seen: of the fitted head on the photograph.
        colours: (k, 3) linear RGB of the photograph at its pixels.
        trusted: (k,) bool: pixels of the face that nothing hides.
        rng: chooses among the pixels where there are many.
    """
    chosen = np.flatnonzero(trusted)
    if len(chosen) > PLACES:
        chosen = rng.choice(chosen, PLACES, replace=False)
    part = seen.some(chosen)
    shown, basis = np.maximum(colours[chosen], 0), _basis(part)
    code, weight = np.zeros(len(CODES)), np.ones(len(chosen))
    # Bright skin cannot be told from bright light: the light takes it, and the code what is left.
    light, spread = np.zeros((COUNT, 3)), np.ones(len(CODES))
    for _ in range(TURNS):
        light = _light(basis, albedo_seen(model, part, code), shown, weight)
        lit = np.maximum(basis @ light, DARK)

        def residual(z: np.ndarray, lit: np.ndarray = lit) -> np.ndarray:
            return np.log((albedo_seen(model, part, z) * lit + DARK) / (shown + DARK))

        off = residual(code)
        weight = 1 / np.maximum(np.abs(off).mean(axis=1) / NOISE, 1)
        slope = np.stack([(residual(code + TINY * e) - off) / TINY for e in np.eye(len(CODES))], axis=-1)
        # Neighbouring pixels are off together; each counts as a fourth.
        scale = (weight[:, None] / NOISE**2 / 4)[..., None]
        matrix = np.einsum("kcj,kci->ji", slope * scale, slope) + np.diag(1 / PRIOR**2)
        pull = np.einsum("kcj,kc->j", slope * scale, off) + code / PRIOR**2
        code = np.clip(code - np.linalg.solve(matrix, pull), -3, 3)
        spread = np.sqrt(np.diag(np.linalg.inv(matrix)))
    return Appearance(light, code, spread)


def _light(basis: np.ndarray, albedo: np.ndarray, shown: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(9, 3): a grey light, drawn to an even one, times a tint, drawn to white.

    Nine harmonics a channel would take any colour for the light's, and leave whites blue.
    """
    tint = np.exp(WHITE * np.log(np.median((shown + DARK) / (albedo + DARK), axis=0)))
    tint /= tint.mean()
    rows = (basis[:, None] * (albedo * tint)[..., None]).reshape(-1, COUNT)
    even = EVEN * len(rows) * (rows[:, 0] ** 2).mean() * np.diag([0.0] + [1.0] * (COUNT - 1))
    scale = np.repeat(weight, 3)
    grey = np.linalg.solve((scale[:, None] * rows).T @ rows + even, rows.T @ (scale * shown.reshape(-1)))
    return np.outer(grey, tint)


def _basis(seen: Seen) -> np.ndarray:
    """(k, 9): how much each harmonic of the light brightens each pixel."""
    rows = np.stack(harmonics(seen.normals), axis=1) * (np.array(COSINE) / np.pi)
    return rows * seen.of(openness())[:, None]
