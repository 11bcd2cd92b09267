"""One focal length and one principal point for all: what makes the evidence fit best, and how sure that is.

The poses stay. Unknown are the focal lengths' common factor e^a and the principal points' common shift
(s, t), found by damped Gauss-Newton steps on Huber's loss of residuals in pixels. Views that surround a
subject at one height hardly see t, and distant ones hardly see a: so each number comes with its standard
error, from the sandwich estimator with the residuals of one view as a cluster (White 1984).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sansface.capture import Camera

Residuals = Callable[[Sequence[Camera]], np.ndarray]

PRIOR = np.array([0.3, 10.0, 10.0])
"""Standard deviations that are believed beforehand: of the logarithm of the focal factor, and pixels."""
HUBER = 2.0
"""Pixels from which on a residual pulls no harder."""
STARTS = (0.0, -0.2, 0.2)
"""Logarithms of the focal factor from which the best one is improved: from afar outlines lead astray."""
_STEP = np.array([1e-3, 0.05, 0.05])
_LONGEST = np.array([0.1, 5.0, 5.0])


@dataclass(frozen=True)
class Calibration:
    """What fits best, with standard errors; pixels of the photographs.

    Attributes:
        focal: factor by which the given focal lengths should be multiplied.
        shift: (right, down) by which the given principal points should be moved, pixels.
    """

    focal: float
    focal_error: float
    shift: tuple[float, float]
    shift_error: tuple[float, float]

    def significant_focal(self, least: float) -> bool:
        """True where the focal lengths are off by more than `least` (0.07 = 7 %), beyond doubt."""
        off = abs(np.log(self.focal))
        return bool(off > least and off > 4 * self.focal_error)


def adjusted(cameras: Sequence[Camera], values: np.ndarray) -> list[Camera]:
    """The cameras with focal lengths times e^a and principal points shifted.  values: (3,) a, s, t."""
    result = []
    for camera in cameras:
        K = np.array(camera.K)
        K[0, :2] *= np.exp(values[0])
        K[1, 1] *= np.exp(values[0])
        K[:2, 2] += values[1:]
        result.append(Camera(K, camera.width, camera.height, camera.cam_from_world, camera.distortion))
    return result


def calibrate(
    cameras: Sequence[Camera],
    prepare: Callable[[Sequence[Camera]], Residuals],
    groups: np.ndarray,
    scale: float = 1.0,
    steps: int = 8,
) -> Calibration:
    """Fit the focal factor and the shift.

    Args:
        cameras: as given.
        prepare: makes, at some cameras, the function of cameras to (n,) residuals in pixels.
        groups: (n,) int, which residuals go together.
        scale: pixels of the photograph in one of these cameras' pixels.
        steps: at most.
    """
    starts = [np.array([a, 0.0, 0.0]) for a in STARTS]
    costs = [_cost(prepare(there)(there), one) for one in starts for there in [adjusted(cameras, one)]]
    cost, values = min(costs), starts[int(np.argmin(costs))]
    residuals = prepare(adjusted(cameras, values))
    for _ in range(steps):
        r, J = _linearised(residuals, cameras, values)
        weight = _weights(r)
        normal = J.T @ (weight[:, None] * J) + np.diag(1 / PRIOR**2)
        step = -np.linalg.solve(normal, J.T @ (weight * r) + values / PRIOR**2)
        step /= max(1.0, (abs(step) / _LONGEST).max())
        for _ in range(4):
            trial = values + step
            there = adjusted(cameras, trial)
            found = prepare(there)
            lower = _cost(found(there), trial)
            if lower < cost:
                break
            step = step / 3
        else:
            break
        values, residuals, done = trial, found, cost - lower < 1e-3 * cost
        cost = lower
        if done and (abs(step) < (2e-3, 0.03, 0.03)).all():
            break
    r, J = _linearised(residuals, cameras, values)
    weight = _weights(r)
    bread = np.linalg.inv(J.T @ (weight[:, None] * J) + np.diag(1 / PRIOR**2))
    scores = np.zeros((groups.max() + 1, 3))
    np.add.at(scores, groups, (weight * r)[:, None] * J)
    scores -= scores.mean(axis=0)
    covariance = bread @ (scores.T @ scores + np.diag(1 / PRIOR**2)) @ bread
    error = np.sqrt(np.diag(covariance))
    focal = float(np.exp(values[0]))
    shift, doubt = values[1:] * scale, error[1:] * scale
    return Calibration(
        focal, float(focal * error[0]), (float(shift[0]), float(shift[1])), (float(doubt[0]), float(doubt[1]))
    )


def _linearised(
    residuals: Residuals, cameras: Sequence[Camera], values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(n,) residuals and (n, 3) their differences."""
    r = residuals(adjusted(cameras, values))
    columns = [residuals(adjusted(cameras, values + step)) - r for step in np.diag(_STEP)]
    return r, np.stack(columns, axis=1) / _STEP


def _weights(r: np.ndarray) -> np.ndarray:
    return HUBER / np.maximum(abs(r), HUBER)


def _cost(r: np.ndarray, values: np.ndarray) -> float:
    a = abs(r)
    return float(np.where(a < HUBER, a**2, 2 * HUBER * a - HUBER**2).sum() + (values**2 / PRIOR**2).sum())
