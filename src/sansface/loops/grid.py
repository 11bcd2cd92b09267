"""Values on the n³ nodes of [-1, 1]³, x fastest: interpolation, and where rays meet the surface they give.

Grids come as flat arrays and indices are unsigned: a signed one would be looked at for being negative. What
stands `within` a loop is in its file, since numba keeps a loop's machine code for as long as that file is the
same, whatever happens to others.
"""

from typing import Any

import numpy as np

from sansface.loops.compiled import compiled, within

SECANTS = 2
"""Steps from a crossing's two looks to its place."""


@within
def cell(x: Any, n: int) -> tuple[Any, Any]:
    """First node of the cell that x of [-1, 1] lies in, and how far along it is; 0 for what is no number."""
    last = np.float32(n - 1)
    place = (x + np.float32(1)) * (np.float32(0.5) * last)
    place = place if place > np.float32(0) else np.float32(0)
    place = place if place < last else last
    first = min(np.int32(place), np.int32(n - 2))
    return np.uintp(first), place - np.float32(first)


@within
def at(f: Any, n: int, x: Any, y: Any, z: Any) -> Any:
    """Value (n³,) at a place."""
    ix, fx = cell(x, n)
    iy, fy = cell(y, n)
    iz, fz = cell(z, n)
    row, plane, one = np.uintp(n), np.uintp(n) * np.uintp(n), np.uintp(1)
    i = iz * plane + iy * row + ix
    j = i + plane
    near_low = f[i] + (f[i + one] - f[i]) * fx
    near_high = f[i + row] + (f[i + row + one] - f[i + row]) * fx
    far_low = f[j] + (f[j + one] - f[j]) * fx
    far_high = f[j + row] + (f[j + row + one] - f[j + row]) * fx
    near = near_low + (near_high - near_low) * fy
    far = far_low + (far_high - far_low) * fy
    return near + (far - near) * fz


@compiled
def values(grid: Any, n: int, points: Any, out: Any) -> None:
    """Of a grid (c, n³) at points (m, 3), into (m, c)."""
    for i in range(points.shape[0]):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        for k in range(grid.shape[0]):
            out[i, k] = at(grid[k], n, x, y, z)


@compiled
def spread(result: Any, n: int, points: Any, grads: Any) -> None:
    """The adjoint of `values`: what came back for each point (m, c) goes to the eight nodes around it."""
    row, plane, one = np.uintp(n), np.uintp(n) * np.uintp(n), np.uintp(1)
    for i in range(points.shape[0]):
        ix, fx = cell(points[i, 0], n)
        iy, fy = cell(points[i, 1], n)
        iz, fz = cell(points[i, 2], n)
        first = iz * plane + iy * row + ix
        for k in range(result.shape[0]):
            part = result[k]
            far = grads[i, k] * fz
            near = grads[i, k] - far
            near_high, far_high = near * fy, far * fy
            near_low, far_low = near - near_high, far - far_high
            j = first
            part[j] += near_low - near_low * fx
            part[j + one] += near_low * fx
            j = first + row
            part[j] += near_high - near_high * fx
            part[j + one] += near_high * fx
            j = first + plane
            part[j] += far_low - far_low * fx
            part[j + one] += far_low * fx
            j = first + plane + row
            part[j] += far_high - far_high * fx
            part[j + one] += far_high * fx


@within
def neighbours(i: Any, first: Any, last: Any, stride: Any) -> tuple[Any, Any]:
    """Indices of node i's neighbours on an axis of that stride, i itself where it has none."""
    return (i if first else i - stride), (i if last else i + stride)


@compiled
def value_and_slopes(f: Any, n: int, points: Any, out: Any) -> None:
    """Of f (n³,) at points (m, 3), into (m, 4): the value, and the central differences between the nodes.

    On the border a slope is half the one-sided difference.
    """
    row, plane, one = np.uintp(n), np.uintp(n) * np.uintp(n), np.uintp(1)
    last = np.uintp(n - 1)
    each = np.float32(0.25) * np.float32(n - 1)  # 1 / (2 spacing)
    for i in range(points.shape[0]):
        ix, fx = cell(points[i, 0], n)
        iy, fy = cell(points[i, 1], n)
        iz, fz = cell(points[i, 2], n)
        value = dx = dy = dz = np.float32(0)
        for corner in range(8):
            right, high, far = np.uintp(corner & 1), np.uintp((corner >> 1) & 1), np.uintp(corner >> 2)
            x, y, z = ix + right, iy + high, iz + far
            weight = (fx if right else np.float32(1) - fx) * (fy if high else np.float32(1) - fy)
            weight *= fz if far else np.float32(1) - fz
            j = z * plane + y * row + x
            value += weight * f[j]
            before, after = neighbours(j, x == 0, x == last, one)
            dx += weight * (f[after] - f[before])
            before, after = neighbours(j, y == 0, y == last, row)
            dy += weight * (f[after] - f[before])
            before, after = neighbours(j, z == 0, z == last, plane)
            dz += weight * (f[after] - f[before])
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = value, each * dx, each * dy, each * dz


@compiled
def spread_slopes(result: Any, n: int, points: Any, grads: Any) -> None:
    """The adjoint of `value_and_slopes`."""
    row, plane, one = np.uintp(n), np.uintp(n) * np.uintp(n), np.uintp(1)
    last = np.uintp(n - 1)
    each = np.float32(0.25) * np.float32(n - 1)
    for i in range(points.shape[0]):
        ix, fx = cell(points[i, 0], n)
        iy, fy = cell(points[i, 1], n)
        iz, fz = cell(points[i, 2], n)
        value, dx, dy, dz = grads[i, 0], each * grads[i, 1], each * grads[i, 2], each * grads[i, 3]
        for corner in range(8):
            right, high, far = np.uintp(corner & 1), np.uintp((corner >> 1) & 1), np.uintp(corner >> 2)
            x, y, z = ix + right, iy + high, iz + far
            weight = (fx if right else np.float32(1) - fx) * (fy if high else np.float32(1) - fy)
            weight *= fz if far else np.float32(1) - fz
            j = z * plane + y * row + x
            result[j] += weight * value
            before, after = neighbours(j, x == 0, x == last, one)
            result[before] -= weight * dx
            result[after] += weight * dx
            before, after = neighbours(j, y == 0, y == last, row)
            result[before] -= weight * dy
            result[after] += weight * dy
            before, after = neighbours(j, z == 0, z == last, plane)
            result[before] -= weight * dz
            result[after] += weight * dz


@compiled
def look(
    f: Any,
    n: int,
    origins: Any,
    directions: Any,
    near: Any,
    far: Any,
    share: Any,
    fine: int,
    zero: Any,
    hit: Any,
    nearest: Any,
    at_end: Any,
) -> None:
    """Where rays meet the surface: fills in what `render.sampling.Sight` holds.

    Names: o and d a ray's origin and direction, t distance along it, f the surface's distance there.

    Args:
        f: (n³,).
        near, far: (n,) where the looks begin and end.
        share: (n, looks) of [0, 1) within its stratum.
        fine: looks, less one, between the two around the nearest.
        zero, hit, nearest, at_end: (n,) to be filled.
    """
    looks = share.shape[1]
    t, seen = np.empty(looks, np.float32), np.empty(looks, np.float32)
    fine_t, fine_seen = np.empty(fine + 1, np.float32), np.empty(fine + 1, np.float32)
    for i in range(origins.shape[0]):
        o, d = origins[i], directions[i]
        width = (far[i] - near[i]) / np.float32(looks)
        for k in range(looks):
            t[k] = near[i] + width * (np.float32(k) + share[i, k])
            seen[k] = _along(f, n, o, d, t[k])
        least = _least(seen)
        at_end[i] = least in (0, looks - 1)
        centre = min(max(least, 1), looks - 2)
        step = (t[centre + 1] - t[centre - 1]) / np.float32(fine)
        for k in range(fine + 1):
            fine_t[k] = t[centre - 1] + step * np.float32(k)
            fine_seen[k] = _along(f, n, o, d, fine_t[k])
        nearest[i] = _vertex(fine_t, fine_seen)
        first = _first_crossing(seen)
        if first >= 0:
            hit[i] = True
            zero[i] = _secants(f, n, o, d, t[first], t[first + 1], seen[first], seen[first + 1])
            continue
        first = _first_crossing(fine_seen)
        hit[i] = first >= 0
        zero[i] = nearest[i]
        if first >= 0:
            zero[i] = _secants(
                f, n, o, d, fine_t[first], fine_t[first + 1], fine_seen[first], fine_seen[first + 1]
            )


@within
def _along(f: Any, n: int, o: Any, d: Any, t: Any) -> Any:
    return at(f, n, o[0] + d[0] * t, o[1] + d[1] * t, o[2] + d[2] * t)


@within
def _least(seen: Any) -> int:
    least = 0
    for k in range(1, len(seen)):
        if seen[k] < seen[least]:
            least = k
    return least


@within
def _first_crossing(seen: Any) -> int:
    """Index before the first change from outside to inside; -1 if there is none."""
    for k in range(len(seen) - 1):
        if seen[k] > 0 and seen[k + 1] <= 0:
            return k
    return -1


@within
def _vertex(t: Any, seen: Any) -> Any:
    """Least point of the parabola through the least of equidistant values and its neighbours."""
    i = min(max(_least(seen), 1), len(seen) - 2)
    before, least, after = seen[i - 1], seen[i], seen[i + 1]
    bend = max(before - np.float32(2) * least + after, np.float32(1e-6))
    offset = min(max(np.float32(0.5) * (before - after) / bend, np.float32(-1)), np.float32(1))
    return t[i] + offset * (t[1] - t[0])


@within
def _secants(f: Any, n: int, o: Any, d: Any, a: Any, b: Any, fa: Any, fb: Any) -> Any:
    for _ in range(SECANTS):
        middle = a + (b - a) * _share(fa, fb)
        fm = _along(f, n, o, d, middle)
        if fm > 0:
            a, fa = middle, fm
        else:
            b, fb = middle, fm
    return a + (b - a) * _share(fa, fb)


@within
def _share(fa: Any, fb: Any) -> Any:
    return min(max(fa / (fa - fb + np.float32(1e-9)), np.float32(0)), np.float32(1))
