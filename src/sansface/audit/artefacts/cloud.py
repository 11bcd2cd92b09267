"""A surface as a cloud of points with normals: what is compared of two shapes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial import KDTree

from sansface.capture import Camera
from sansface.evaluate.align import move
from sansface.evaluate.raycast import Caster, visible_hits
from sansface.surface import Mesh

RAYS = 64
"""A side of a camera's picture: from each of the cameras six millimetres apart on a head."""


@dataclass(frozen=True, eq=False)
class Cloud:
    """points, normals: (n, 3) float64, in the capture's unit; normals are of unit length."""

    points: np.ndarray
    normals: np.ndarray

    @cached_property
    def _tree(self) -> KDTree:
        return KDTree(self.points)

    def query(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """points: (m, 3). Returns distance (m,), nearest point (m, 3) and its number (m,) int64."""
        distance, found = self._tree.query(points)
        nearest = np.asarray(found)
        return np.asarray(distance), self.points[nearest], nearest

    def drawn(self, count: int, rng: np.random.Generator) -> "Cloud":
        """So many of the points, or all if there are fewer."""
        kept = rng.permutation(len(self.points))[:count]
        return Cloud(self.points[kept], self.normals[kept])

    def moved(self, motion: np.ndarray) -> "Cloud":
        """Under a (4, 4) rigid motion."""
        return Cloud(move(self.points, motion), self.normals @ motion[:3, :3].T)


def seen(mesh: Mesh, cameras: Sequence[Camera], lowest: float) -> Cloud:
    """What the cameras see of a mesh above a height: the skin, nothing within.

    lowest: y of the world, below which a neck is cut off somewhere.
    """
    caster = Caster(mesh)
    hits = visible_hits(caster, cameras, RAYS)
    kept = hits.point[:, 1] > lowest
    return Cloud(hits.point[kept], mesh.face_normals[hits.face[kept]])
