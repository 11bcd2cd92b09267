"""Where the 468 points of MediaPipe's face mesh lie on the parametric head.

The places were found by looking: benchmarks/landmark_places.py paints and renders heads of the model, lets
the landmark network look at them, and takes for each point the middle of where its rays meet the mean head.
"""

from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from safetensors.numpy import load

from sansface.heads.parametric import HeadModel

COUNT = 468
SHIPPED = "landmarks.safetensors"
RIGHT_EYE, LEFT_EYE = (33, 133), (263, 362)
"""Outer and inner corner of the subject's eyes, of the 468."""
NOSE, MOUTH = 1, (61, 291)
"""Its tip, and its right and left corner."""


@dataclass(frozen=True, eq=False)
class Places:
    """Points on the model's surface.

    Attributes:
        vertices: (468, 3) int64, the corners of the triangle on which each lies.
        weights: (468, 3) float32 of those corners; they add up to 1.
        spread: (468,) float32, mm: how far off, at the median, the network's point lay on renderings.
    """

    vertices: np.ndarray
    weights: np.ndarray
    spread: np.ndarray

    def of(self, values: np.ndarray) -> np.ndarray:
        """(..., 468, k) of values (..., n, k) at the model's vertices."""
        return np.einsum("...pck,pc->...pk", values[..., self.vertices, :], self.weights)

    def mean_head(self, model: HeadModel) -> np.ndarray:
        """(468, 3) float32, mm."""
        return self.of(model.neutral)


@cache
def load_places() -> Places:
    """Those that the package ships."""
    found = load(resources.files("sansface.heads").joinpath(SHIPPED).read_bytes())
    return Places(found["vertices"].astype(np.int64), found["weights"], found["spread"])


def five_landmarks(mesh: np.ndarray) -> np.ndarray:
    """(5, 2) as detectors and `sansface.recognise.align` have them, of MediaPipe's (468, 2)."""
    eyes = [mesh[list(corners)].mean(axis=0) for corners in (RIGHT_EYE, LEFT_EYE)]
    return np.stack([*eyes, mesh[NOSE], *mesh[list(MOUTH)]])


def between_eyes(points: np.ndarray) -> float:
    """Pixels between the middles of the eyes of (468, 2) landmarks, each halfway between its corners."""
    right, left = points[list(RIGHT_EYE)].mean(axis=0), points[list(LEFT_EYE)].mean(axis=0)
    return float(np.linalg.norm(left - right))
