"""Clean-up of a mesh: its largest part, fewer faces."""

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from sansface.errors import SansfaceError
from sansface.extras import require
from sansface.surface.mesh import Mesh


def largest_component(mesh: Mesh) -> Mesh:
    """The connected part with the most area, without the vertices that it does not use.

    Parts are joined by shared vertices of the whole mesh, so a part that runs through many slabs is one.
    """
    if not len(mesh.faces):
        return mesh
    a, b = mesh.faces[:, [0, 1]].reshape(-1), mesh.faces[:, [1, 2]].reshape(-1)
    graph = coo_matrix((np.ones(len(a), bool), (a, b)), shape=(len(mesh.vertices),) * 2)
    part = connected_components(graph, directed=False)[1][mesh.faces[:, 0]]
    faces = mesh.faces[part == np.bincount(part, mesh.areas).argmax()]
    used, index = np.unique(faces, return_inverse=True)
    normals = None if mesh.normals is None else mesh.normals[used]
    return Mesh(mesh.vertices[used], index.reshape(faces.shape), normals)


def check_decimation(faces: int) -> None:
    """Before any work: can a mesh be made of so many faces here?

    Raises:
        SansfaceError: faces is below 4, or fast-simplification is not installed.
    """
    if faces < 4:
        raise SansfaceError(f"a closed surface needs at least 4 faces, not {faces}; ask for more.")
    require("fast_simplification", extra="decimate")


def decimate(mesh: Mesh, faces: int) -> Mesh:
    """About `faces` faces by quadric error (Garland & Heckbert 1997); a mesh with fewer is returned as it is.

    Raises:
        SansfaceError: see `check_decimation`.
    """
    check_decimation(faces)
    if len(mesh.faces) <= faces:
        return mesh
    # The library works in float32: centred and scaled first, so that a capture far from the origin keeps its
    # digits.
    middle, size = mesh.vertices.mean(axis=0), np.ptp(mesh.vertices, axis=0).max()
    points = ((mesh.vertices - middle) / size).astype(np.float32)
    simplify = require("fast_simplification", extra="decimate").simplify
    vertices, kept = simplify(points, mesh.faces.astype(np.int32), target_count=faces)[:2]
    return Mesh(middle + size * vertices.astype(np.float64), kept)
