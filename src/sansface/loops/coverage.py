"""The coverage loss of many pixels with its derivative, in one sweep.

`reconstruct.losses.coverage_loss` says what it is, and has the plain form of it.
"""

from typing import Any

import numpy as np

from sansface.loops.compiled import compiled, within


@within
def ramp(s: Any) -> Any:
    """Half the square of s where it is positive: its derivative is max(s, 0)."""
    s = max(s, np.float32(0))
    return np.float32(0.5) * s * s


@compiled
def coverage_loss(
    distance: Any,
    normal: Any,
    coverage: Any,
    least: float,
    slack: float,
    pull: float,
    far: float,
    loss: Any,
    slope: Any,
) -> None:
    """Fills loss (n,), and slope (n,) with its derivative by the distance.

    Args:
        distance: (n,).  normal: (n, 2).  coverage: (n,).
        least: projected side of the pixel.
        slack: how near to 0 and 1 a coverage counts as such.
        pull, far: weight of the missing pixels, and how many at most.
    """
    zero, one = np.float32(0), np.float32(1)
    for i in range(distance.shape[0]):
        a, b = max(abs(normal[i, 0]), np.float32(least)), max(abs(normal[i, 1]), np.float32(least))
        d, both, apart = distance[i], (a + b) / np.float32(2), (a - b) / np.float32(2)
        # Beyond the reach the four squares would cancel, and leave their rounding.
        s = min(max(-d, -both), both)
        area = (ramp(s + both) - ramp(s + apart) - ramp(s - apart) + ramp(s - both)) / (a * b)
        rise = max(s + both, zero) - max(s + apart, zero) - max(s - apart, zero) + max(s - both, zero)
        error = area - coverage[i]
        # The area falls where the distance grows.
        slope[i] = -np.sign(error) * rise / (a * b)
        if coverage[i] <= np.float32(slack):
            missing, way = both - d, -one
        elif coverage[i] >= one - np.float32(slack):
            missing, way = both + d, one
        else:
            missing, way = abs(d) - both, np.sign(d)
        missing = max(missing, zero)
        if zero < missing < np.float32(far):
            slope[i] += np.float32(pull) * way
        loss[i] = abs(error) + np.float32(pull) * min(missing, np.float32(far))
