"""Path-traced light with the noise of few samples taken out: what falls on a surface varies slowly on it.

Light over albedo is averaged over the pixels around that look the same way, and multiplied by the albedo
again, so that nothing painted is blurred (a joint bilateral filter, Eisemann and Durand 2004, of demodulated
light).
"""

import numba
import numpy as np

REACH = 3
"""Pixels to each side."""
SPREAD = 2.0
"""Of the Gaussian over them, pixels."""
TURN = 0.15
"""Of the Gaussian over the difference of unit normals."""
LEAST = 0.02
"""Added to the albedo, so that it divides."""


def denoised(light: np.ndarray, albedo: np.ndarray, normal: np.ndarray, coverage: np.ndarray) -> np.ndarray:
    """The light without its noise.

    Args:
        light: (h, w, 3) float32, linear, of a pixel of which the subject covers a part, so much of it.
        albedo, normal: (h, w, 3) float32, in the same way.
        coverage: (h, w, 1) float32; where it is 0 the light is 0.

    Returns:
        (h, w, 3) float32.
    """
    whole = np.maximum(coverage, 1e-3)
    falls = light / (albedo + LEAST * whole)
    # A lone bright path is no light.
    falls = np.minimum(falls, 4 * np.median(falls[coverage[..., 0] > 0.5], axis=0))
    turned = normal / np.maximum(np.linalg.norm(normal, axis=2, keepdims=True), 1e-6)
    mean = _averaged(falls, turned, np.ascontiguousarray(coverage[..., 0]))
    return mean * (albedo + LEAST * whole)


@numba.njit(cache=True)
def _averaged(falls: np.ndarray, turned: np.ndarray, coverage: np.ndarray) -> np.ndarray:
    """(h, w, 3): the mean over the pixels around, weighted by coverage, distance and direction."""
    height, width = coverage.shape
    result = np.zeros_like(falls)
    for y in range(height):
        for x in range(width):
            if coverage[y, x] <= 0:
                continue
            total, weights = np.zeros(3, np.float32), np.float32(0)
            for v in range(max(0, y - REACH), min(height, y + REACH + 1)):
                for u in range(max(0, x - REACH), min(width, x + REACH + 1)):
                    if coverage[v, u] <= 0:
                        continue
                    away = np.float32((v - y) ** 2 + (u - x) ** 2) / np.float32(2 * SPREAD**2)
                    apart = np.float32(0)
                    for k in range(3):
                        apart += (turned[v, u, k] - turned[y, x, k]) ** 2
                    weight = coverage[v, u] * np.exp(-away - apart / np.float32(2 * TURN**2))
                    for k in range(3):
                        total[k] += weight * falls[v, u, k]
                    weights += weight
            for k in range(3):
                result[y, x, k] = total[k] / weights
    return result
