"""What a camera sees of a parametric head: which place of the model, pixel by pixel."""

from dataclasses import dataclass

import numpy as np

from sansface.capture import Camera
from sansface.evaluate.pictures import render_depth_normals
from sansface.heads.parametric import HeadModel
from sansface.surface.mesh import Mesh

SHOWN = (
    "Face",
    "Head and Neck",
    "Sclera left",
    "Sclera right",
    "Teeth",
    "Gums and tongue",
    "Mouth socket",
    "Eye socket left",
    "Eye socket right",
)
"""The model's parts that are there to be seen; the rest are films on the eyes and strips for lashes, for
renderers that know transparency."""


@dataclass(frozen=True, eq=False)
class Seen:
    """Of k pixels that see the head.

    Attributes:
        pixel: (k,) int64, row · width + column.
        corners: (k, 3) int64, vertices of the triangle that is seen.
        weights: (k, 3) float64 of those corners; they add up to 1.
        normals: (k, 3) float64 unit, in the model's frame, towards the camera.
        part: (k,) int64 into `SHOWN`.
        toward: (3,) unit, in the model's frame, against the camera's axis.
        shape: (height, width) of the picture.
    """

    pixel: np.ndarray
    corners: np.ndarray
    weights: np.ndarray
    normals: np.ndarray
    part: np.ndarray
    toward: np.ndarray
    shape: tuple[int, int]

    def of(self, values: np.ndarray) -> np.ndarray:
        """(k,) or (k, c) of values (n,) or (n, c) at the model's vertices."""
        return np.einsum("kj...,kj->k...", values[self.corners], self.weights)

    def picture(self, values: np.ndarray, beside: float = 0.0) -> np.ndarray:
        """(h, w) or (h, w, c) float32 of values (k,) or (k, c), and `beside` where the head is not seen."""
        result = np.full((self.shape[0] * self.shape[1], *values.shape[1:]), beside, dtype=np.float32)
        result[self.pixel] = values
        return result.reshape(*self.shape, *values.shape[1:])

    @property
    def facing(self) -> np.ndarray:
        """(k,) cosine between the normal and the way to the camera, as if it were far."""
        return self.normals @ self.toward

    def some(self, chosen: np.ndarray) -> "Seen":
        """Only those pixels, by index."""
        return Seen(
            self.pixel[chosen],
            self.corners[chosen],
            self.weights[chosen],
            self.normals[chosen],
            self.part[chosen],
            self.toward,
            self.shape,
        )

    def is_part(self, *names: str) -> np.ndarray:
        """(k,) bool."""
        return np.isin(self.part, [SHOWN.index(name) for name in names])


def look(model: HeadModel, vertices: np.ndarray, camera: Camera) -> Seen:
    """Cast a ray through every pixel of the camera.

    Args:
        vertices: (n, 3) of the head, as `HeadModel.vertices` gives them, in the camera's world.
    """
    faces = model.part(*SHOWN)
    part = np.empty(len(model.neutral), dtype=np.int64)
    for number, name in enumerate(SHOWN):
        part[slice(*model.parts[name])] = number
    parts = part[faces[:, 0]]
    seen = render_depth_normals(Mesh(vertices, faces), camera)
    pixel = np.flatnonzero(seen.face >= 0)
    face = seen.face.reshape(-1)[pixel]
    return Seen(
        pixel,
        faces[face],
        seen.weights.reshape(-1, 3)[pixel],
        seen.normal.reshape(-1, 3)[pixel],
        parts[face],
        -camera.cam_from_world[2, :3],
        (camera.height, camera.width),
    )
