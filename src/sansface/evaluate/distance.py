"""The nearest point of a triangle mesh, exactly: libigl's tree of boxes, in double precision."""

import igl
import numpy as np

from sansface.surface.mesh import Mesh


class Nearest:
    """Answers nearest-point queries on one mesh."""

    def __init__(self, mesh: Mesh) -> None:
        self.vertices = np.ascontiguousarray(mesh.vertices, dtype=np.float64)
        self.faces = np.ascontiguousarray(mesh.faces, dtype=np.int64)

    def query(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """points: (n, 3). Returns distance (n,), nearest point (n, 3), face (n,) int64."""
        points = np.ascontiguousarray(points, dtype=np.float64)
        squared, face, nearest = igl.point_mesh_squared_distance(points, self.vertices, self.faces)
        return np.sqrt(squared), np.asarray(nearest), np.asarray(face)
