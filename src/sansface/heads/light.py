"""Distant light as spherical harmonics up to the second order, and what of it falls on a surface.

    L(ω) = Σ_k light_k Y_k(ω),        E(n) = ∫ L(ω) max(n·ω, 0) dω = Σ_k A_l(k) light_k Y_k(n)

with A = π, 2π/3, π/4 for l = 0, 1, 2 (Ramamoorthi and Hanrahan 2001, eq. 7 to 9); a Lambertian surface then
shows albedo · E / π. Y are the real, orthonormal ones in the order 1, y, z, x, xy, yz, 3z² − 1, xz, x² − y².
Everything works on NumPy arrays and on torch tensors alike.
"""

from typing import TypeVar

import numpy as np

Array = TypeVar("Array")
"""A NumPy array or a torch tensor."""

COUNT = 9
Y0 = float(np.sqrt(1 / (4 * np.pi)))  # 0.282095
Y1 = float(np.sqrt(3 / (4 * np.pi)))  # 0.488603
Y2 = float(np.sqrt(15 / (4 * np.pi)))  # 1.092548
Y20 = float(np.sqrt(5 / (16 * np.pi)))  # 0.315392
Y22 = float(np.sqrt(15 / (16 * np.pi)))  # 0.546274
COSINE = (np.pi, *(2 * np.pi / 3,) * 3, *(np.pi / 4,) * 5)
"""A_l of every k."""


def harmonics(ways: Array) -> list[Array]:
    """The nine Y_k of unit vectors (..., 3), each (...)."""
    x, y, z = ways[..., 0], ways[..., 1], ways[..., 2]  # type: ignore[index]
    return [
        Y0 + 0 * x,
        Y1 * y,
        Y1 * z,
        Y1 * x,
        Y2 * x * y,
        Y2 * y * z,
        Y20 * (3 * z * z - 1),
        Y2 * x * z,
        Y22 * (x * x - y * y),
    ]


def irradiance(normals: Array, light: Array) -> Array:
    """E / π ≥ 0, what a white Lambertian surface shows.

    Args:
        normals: (..., 3), unit.
        light: (9, 3), RGB.

    Returns:
        (..., 3), like the normals. Cut off at zero: nine harmonics of a lamp go a little below it.
    """
    terms = zip(COSINE, light, harmonics(normals), strict=True)  # type: ignore[call-overload]
    total = sum(y[..., None] * (cosine / np.pi * one) for cosine, one, y in terms)
    return total.clip(min=0)  # type: ignore[union-attr]


def lamp(way: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """(9, 3): a distant lamp of colour (3,) in direction way (3,); what faces it has E = 17/16 colour."""
    return np.multiply.outer(np.array(harmonics(np.asarray(way, dtype=np.float64))), colour)


def ambient(colour: np.ndarray) -> np.ndarray:
    """(9, 3): the same radiance colour (3,) from everywhere; E / π = colour on any surface."""
    result = np.zeros((COUNT, 3))
    result[0] = np.asarray(colour) / Y0
    return result


def random_light(rng: np.random.Generator) -> np.ndarray:
    """(9, 3) float32: a sky, and two lamps in front of and above a face that looks along +z.

    A surface that faces the stronger lamp shows about 1 for an albedo of 1.
    """
    total = ambient(rng.uniform(0.25, 0.5) * _tint(rng))
    for power in (rng.uniform(0.4, 0.9), rng.uniform(0.0, 0.5)):
        turn, height = rng.uniform(-1.4, 1.4), rng.uniform(-0.3, 1.0)
        way = np.array([np.sin(turn) * np.cos(height), np.sin(height), np.cos(turn) * np.cos(height)])
        total += lamp(way, np.pi * power * _tint(rng))
    return total.astype(np.float32)


def _tint(rng: np.random.Generator) -> np.ndarray:
    """(3,) about white: warm to cold."""
    warm = rng.normal(scale=0.08)
    return np.exp([warm, 0.0, -warm])
