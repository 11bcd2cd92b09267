"""The nearest point of a triangle mesh, exactly: libigl's tree of boxes, in double precision."""

import igl
import numpy as np

from sansface.surface.mesh import Mesh

FLAT = 1e-12
"""Height of a triangle over its longest edge, in lengths of that edge, up to which it has no area."""


class Nearest:
    """Answers nearest-point queries on one mesh.

    Triangles without area are left out, unless there are no others: libigl's answers on them are off by a
    per cent, and all their points lie on edges of their neighbours.
    """

    def __init__(self, mesh: Mesh) -> None:
        sides = mesh.triangles - np.roll(mesh.triangles, 1, axis=1)
        longest = np.linalg.norm(sides, axis=2).max(axis=1)
        solid = np.flatnonzero(2 * mesh.areas > FLAT * longest**2)
        self.kept = solid if len(solid) else np.arange(len(mesh.faces))
        self.vertices = np.ascontiguousarray(mesh.vertices, dtype=np.float64)
        self.faces = np.ascontiguousarray(mesh.faces[self.kept], dtype=np.int64)

    def query(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """points: (n, 3). Returns distance (n,), nearest point (n, 3), face (n,) int64."""
        points = np.ascontiguousarray(points, dtype=np.float64)
        squared, face, nearest = igl.point_mesh_squared_distance(points, self.vertices, self.faces)
        return np.sqrt(squared), np.asarray(nearest), self.kept[np.asarray(face)]
