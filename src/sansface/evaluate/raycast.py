"""First hits of rays on a mesh, by embree."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import trimesh

from sansface.capture import Camera
from sansface.errors import SansfaceError
from sansface.surface.mesh import Mesh


@dataclass(frozen=True)
class Hits:
    """ray: (h,) int64, which ray hit.  face: (h,) int64, what it hit.  point: (h, 3) float64, where."""

    ray: np.ndarray
    face: np.ndarray
    point: np.ndarray


class Caster:
    """Casts rays on one mesh; the tree is built once, at the first cast."""

    def __init__(self, mesh: Mesh) -> None:
        if not trimesh.ray.has_embree:
            raise SansfaceError('casting rays needs embreex: pip install "sansface[reconstruct]".')
        self.mesh = mesh
        self._intersector = trimesh.ray.ray_pyembree.RayMeshIntersector(mesh.to_trimesh())

    def first(self, origins: np.ndarray, directions: np.ndarray) -> Hits:
        """origins, directions: (n, 3). Embree finds the face in float32; the point follows in float64."""
        face = np.asarray(self._intersector.intersects_first(origins, directions)).reshape(-1)
        ray = np.flatnonzero(face >= 0)
        face = face[ray].astype(np.int64)
        triangles, normals = self.mesh.triangles[face], self.mesh.face_normals[face]
        o, d = origins[ray], directions[ray]
        slope = np.einsum("ij,ij->i", d, normals)
        height = np.einsum("ij,ij->i", triangles[:, 0] - o, normals)
        t = np.divide(height, slope, out=np.zeros_like(height), where=np.abs(slope) > 1e-12)
        # A ray along a face has no single crossing: the nearest point of that face stands for it.
        points = np.asarray(trimesh.triangles.closest_point(triangles, o + t[:, None] * d))
        return Hits(ray, face, points)


def visible_hits(caster: Caster, cameras: Sequence[Camera], rays: int = 96) -> Hits:
    """First hits of rays x rays rays of every camera; `ray` counts on from camera to camera."""
    cast = [camera.rays(camera.grid(rays, rays)) for camera in cameras]
    return caster.first(np.concatenate([o for o, _ in cast]), np.concatenate([d for _, d in cast]))
