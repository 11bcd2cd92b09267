"""Penalties on values that stand on the nodes of a grid, each with its derivative, in one sweep.

`fields.differences` has what they compute, and the plain form of it.
"""

from typing import Any

import numpy as np

from sansface.loops.compiled import compiled


@compiled
def eikonal(f: Any, near: float, far: float, gradient: Any) -> float:
    """Σ w (‖∇f‖ − 1)² / Σ w, of central differences of f (n, n, n) on [-1, 1]³; on its border half one-sided.

    Args:
        near, far: w is 1 where |f| is below the one, else the other.
        gradient: of f's shape, all zero; filled with the derivative.
    """
    n = f.shape[0]
    each = np.float32(0.25) * np.float32(n - 1)  # 1 / (2 spacing)
    total = 0.0
    for z in range(n):
        for y in range(n):
            for x in range(n):
                total += 1.0 if abs(f[z, y, x]) < near else far
    result = 0.0
    gx, gy, gz = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.float32)
    for z in range(n):
        back, front = max(z - 1, 0), min(z + 1, n - 1)
        for y in range(n):
            low, high = max(y - 1, 0), min(y + 1, n - 1)
            for x in range(n):
                gx[x] = f[z, y, min(x + 1, n - 1)] - f[z, y, max(x - 1, 0)]
            for x in range(n):
                dx = each * gx[x]
                dy = each * (f[z, high, x] - f[z, low, x])
                dz = each * (f[front, y, x] - f[back, y, x])
                length = np.sqrt(dx * dx + dy * dy + dz * dz)
                share = np.float32(1.0 if abs(f[z, y, x]) < near else far) / np.float32(total)
                excess = length - np.float32(1)
                result += share * excess * excess
                steep = np.float32(2) * each * share * excess / max(length, np.float32(1e-6))
                gx[x], gy[x], gz[x] = steep * dx, steep * dy, steep * dz
            for x in range(n):
                gradient[z, high, x] += gy[x]
                gradient[z, low, x] -= gy[x]
            for x in range(n):
                gradient[front, y, x] += gz[x]
                gradient[back, y, x] -= gz[x]
            for x in range(n):
                gradient[z, y, min(x + 1, n - 1)] += gx[x]
                gradient[z, y, max(x - 1, 0)] -= gx[x]
    return result


@compiled
def squared_second_difference(f: Any, gradient: Any) -> float:
    """Σ over the axes of the mean of (f₊ − 2f + f₋)², of f (d, h, w).  gradient: of its shape, all zero."""
    d, h, w = f.shape
    result = 0.0
    each = np.float32(2) / np.float32(d * h * (w - 2))
    for z in range(d):
        for y in range(h):
            for x in range(1, w - 1):
                second = f[z, y, x - 1] + f[z, y, x + 1] - np.float32(2) * f[z, y, x]
                result += each * second * second
                gradient[z, y, x - 1] += each * second
                gradient[z, y, x] -= np.float32(2) * each * second
                gradient[z, y, x + 1] += each * second
    each = np.float32(2) / np.float32(d * (h - 2) * w)
    for z in range(d):
        for y in range(1, h - 1):
            for x in range(w):
                second = f[z, y - 1, x] + f[z, y + 1, x] - np.float32(2) * f[z, y, x]
                result += each * second * second
                gradient[z, y - 1, x] += each * second
                gradient[z, y, x] -= np.float32(2) * each * second
                gradient[z, y + 1, x] += each * second
    each = np.float32(2) / np.float32((d - 2) * h * w)
    for z in range(1, d - 1):
        for y in range(h):
            for x in range(w):
                second = f[z - 1, y, x] + f[z + 1, y, x] - np.float32(2) * f[z, y, x]
                result += each * second * second
                gradient[z - 1, y, x] += each * second
                gradient[z, y, x] -= np.float32(2) * each * second
                gradient[z + 1, y, x] += each * second
    return result / 2
