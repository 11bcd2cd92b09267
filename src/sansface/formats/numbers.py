"""Numbers out of other people's files, and the half pixel between two conventions."""

from typing import Any

import numpy as np

from sansface.errors import SansfaceError

HALF_PIXEL = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
"""Takes pixels counted from the first one's centre at (0, 0) to ours, at (0.5, 0.5): HALF_PIXEL @ K."""


def numbers(value: Any, name: str, *shapes: tuple[int, ...]) -> np.ndarray:
    """A JSON list as float64.

    Args:
        value: from the file; None stands for a key that is not there.
        name: for the error.
        shapes: those that are allowed.

    Raises:
        SansfaceError: missing, of another shape, or not finite numbers.
    """
    if value is None:
        raise SansfaceError(f"{name} is missing; give it.")
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        array = np.zeros(0)
    if array.shape not in shapes or not np.isfinite(array).all():
        wanted = " or ".join(" × ".join(map(str, shape)) for shape in shapes)
        raise SansfaceError(f"{name} is not {wanted} finite numbers; correct it.")
    return array


def pose_of(value: Any, name: str) -> np.ndarray:
    """(4, 4) of 3 × 4 or 4 × 4 numbers; see `numbers`."""
    given = numbers(value, name, (3, 4), (4, 4))
    return given if len(given) == 4 else np.vstack([given, [0.0, 0.0, 0.0, 1.0]])


def inverse(pose: np.ndarray, name: str) -> np.ndarray:
    """The inverse of a pose, with the last row kept exact.

    Raises:
        SansfaceError: it is singular.
    """
    try:
        result = np.linalg.inv(pose)
    except np.linalg.LinAlgError as error:
        raise SansfaceError(f"{name} is singular; give a rigid 4 × 4 matrix.") from error
    if (pose[3] == (0, 0, 0, 1)).all():
        result[3] = (0, 0, 0, 1)  # the inverse of a matrix with this row has it too, but for rounding
    return result
