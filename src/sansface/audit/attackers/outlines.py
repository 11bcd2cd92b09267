"""What a linear model is given of an outline: who is told by the shape of hair, face and neck before nothing.

Outlines: (n, h, w) float32 coverage in [0, 1], 1 = wholly subject. Descriptors: (n, d) float32.
"""

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt

FARTHEST = 6.0
"""Distances from the outline are cut off at so many pixels."""


def describe_outlines(outlines: np.ndarray) -> dict[str, np.ndarray]:
    """Coverage, and the distance from the outline, positive inside; both at half the size.

    Returns:
        Name to (n, d) float32.
    """
    inside = outlines > 0.5
    distance = np.stack([_depth(one) - _depth(~one) for one in inside])
    pictures = {"coverage": outlines, "distance": np.clip(distance, -FARTHEST, FARTHEST)}
    return {f"outline's {name}": _halved(values) for name, values in pictures.items()}


def _depth(inside: np.ndarray) -> np.ndarray:
    """Pixels to the nearest one that is not inside."""
    return np.asarray(distance_transform_edt(inside), dtype=np.float32)


def _halved(pictures: np.ndarray) -> np.ndarray:
    size = (-(-pictures.shape[2] // 2), -(-pictures.shape[1] // 2))
    small = [
        cv2.resize(one.astype(np.float32), size, interpolation=cv2.INTER_AREA).ravel() for one in pictures
    ]
    return np.stack(small)
