"""The distance that H3DS's benchmark reports (Ramon et al. 2021), for tables that shall compare with it.

Prefer `geometry.score`: this one goes from vertex to vertex, so it depends on how finely both meshes are
divided, and its alignment is free in scale, so a head of the wrong size loses nothing.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree
from trimesh.registration import icp

from sansface.errors import SansfaceError
from sansface.surface.mesh import Mesh


@dataclass(frozen=True)
class H3dsDistance:
    """mean: truth's vertices to the nearest vertex of the aligned mesh, world units.  scale: that the
    alignment gave the mesh.  truth_vertices, mesh_vertices: how many, without which the mean says little.
    """

    mean: float
    scale: float
    truth_vertices: int
    mesh_vertices: int


def h3ds_distance(mesh: Mesh, truth: Mesh, region: np.ndarray | None = None) -> H3dsDistance:
    """The benchmark's *full head*, without landmarks: meshes stand in one frame, as ours do.

    Its own alignment: ICP of the region's vertices of the truth onto the mesh's vertices, with trimesh's
    defaults (20 rounds, any scale, reflections allowed), inverted; then nearest vertices.

    Args:
        mesh, truth: in one frame and unit.
        region: (k,) vertices of the truth by which the mesh is aligned, the face in H3DS; None: all.

    Raises:
        SansfaceError: the region is empty or names a vertex that the truth does not have.
    """
    chosen = np.arange(len(truth.vertices)) if region is None else np.asarray(region)
    if not len(chosen) or chosen.min() < 0 or chosen.max() >= len(truth.vertices):
        raise SansfaceError(
            "the region is empty, or has vertices that the true mesh lacks; give the one that belongs to it."
        )
    motion, _, _ = icp(truth.vertices[chosen], mesh.vertices)
    back = np.linalg.inv(motion)
    moved = mesh.vertices @ back[:3, :3].T + back[:3, 3]
    distance, _ = KDTree(moved).query(truth.vertices, workers=-1)
    return H3dsDistance(
        mean=float(np.mean(distance)),
        scale=float(np.cbrt(abs(np.linalg.det(back[:3, :3])))),
        truth_vertices=len(truth.vertices),
        mesh_vertices=len(mesh.vertices),
    )
