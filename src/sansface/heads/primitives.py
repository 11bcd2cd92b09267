"""Distances to simple solids and their smooth combinations, on separate coordinate arrays.

x, y, z: (n,) float32. Every function returns (n,) float32, negative inside. Points come as three arrays
because NumPy works through those several times faster than through (n, 3).
"""

import numpy as np

Xyz = tuple[np.ndarray, np.ndarray, np.ndarray]


def sphere(p: Xyz, center, radius: float) -> np.ndarray:
    """|p - c| - r."""
    square = (p[0] - center[0]) ** 2 + (p[1] - center[1]) ** 2 + (p[2] - center[2]) ** 2
    return np.sqrt(square) - np.float32(radius)


def ellipsoid(p: Xyz, center, radii) -> np.ndarray:
    """First-order distance k0 (k0 - 1) / k1 with k0 = |q / r|, k1 = |q / r^2|, q = p - c: exact on the
    surface.
    """
    k0, k1 = np.full_like(p[0], 1e-12), np.full_like(p[0], 1e-12)
    for axis in range(3):
        square = p[axis] - np.float32(center[axis])
        square *= square
        square *= np.float32(radii[axis] ** -2)
        k0 += square
        square *= np.float32(radii[axis] ** -2)
        k1 += square
    np.sqrt(k0, out=k0)
    np.sqrt(k1, out=k1)
    return k0 * (k0 - 1) / k1


def capsule(p: Xyz, start, end, start_radius: float, end_radius: float | None = None) -> np.ndarray:
    """Distance to the segment less a radius that changes evenly along it.

    With q = p - a, s = b - a and t = clip(q.s / s.s, 0, 1): |q - t s|^2 = q.q - t (2 q.s - t s.s).
    """
    along = np.asarray(end, np.float64) - np.asarray(start, np.float64)
    square, share = np.zeros_like(p[0]), np.zeros_like(p[0])
    for axis in range(3):
        q = p[axis] - np.float32(start[axis])
        if along[axis]:
            share += q * np.float32(along[axis])
        q *= q
        square += q
    length = np.float32(along @ along)
    t = np.minimum(np.maximum(share * (1 / length), 0), 1)
    square -= t * (2 * share - t * length)
    away = np.sqrt(np.maximum(square, 0, out=square), out=square)
    if end_radius is None:
        return away - np.float32(start_radius)
    return away - (np.float32(start_radius) + t * np.float32(end_radius - start_radius))


def union(a: np.ndarray, b: np.ndarray, k: float) -> np.ndarray:
    """Smooth minimum: min(a, b) - h^2 k / 4 with h = max(k - |a - b|, 0) / k; never more than k / 4 less."""
    h = np.abs(a - b)
    np.maximum(np.float32(k) - h, 0, out=h)
    h *= h
    h *= np.float32(0.25 / k)
    return np.minimum(a, b) - h


def without(a: np.ndarray, b: np.ndarray, k: float) -> np.ndarray:
    """Smooth a minus b."""
    return -union(-a, b, k)


def ramp(low: float, high: float, value: np.ndarray) -> np.ndarray:
    """0 below low, 1 above high, 3 t^2 - 2 t^3 between."""
    t = np.minimum(np.maximum((value - np.float32(low)) * np.float32(1 / (high - low)), 0), 1)
    return t * t * (3 - 2 * t)
