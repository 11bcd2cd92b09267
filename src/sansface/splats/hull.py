"""The visual hull of the masks: where splats begin."""

import numpy as np
import torch

from sansface.reconstruct.supervision import Supervision, View
from sansface.splats.splats import Splats
from sansface.surface import Mesh, extract, largest_component
from sansface.surface.even import even_points

CELLS = 64
"""Along the edge of the cube, as many as a picture has pixels."""
SOLID = 0.8
"""Opacity of a splat at the beginning."""
SPREAD = 0.75
"""Its deviation, in sides of a square as large as its share of the surface."""


def visual_hull(supervision: Supervision) -> Mesh:
    """What lies in the unit sphere and no view sees beside its subject, where somebody said what is subject.

    Raises:
        SansfaceError: nothing does.
    """

    def outside(points: np.ndarray) -> np.ndarray:
        least = np.ones(len(points))
        for view in supervision.views:
            least = np.minimum(least, _coverage(view, points))
        # In cells as a distance would be, so that the search along the surface is as wide as for one.
        carved = (0.5 - least) * 2 / CELLS
        return np.maximum(carved, np.linalg.norm(points, axis=1) - 1).astype(np.float32)

    return largest_component(extract(outside, CELLS))


def splats_on(mesh: Mesh, count: int, degree: int, colour: np.ndarray, generator: torch.Generator) -> Splats:
    """Splats evenly over a surface, each as large as its share of it.

    Args:
        colour: (3,) sRGB of all of them.
    """
    seed = int(torch.randint(2**62, (), generator=generator))
    centres, face = even_points(mesh, count, np.random.default_rng(seed))
    arrays = centres, mesh.face_normals[face], colour
    where, normals, tint = (torch.from_numpy(np.asarray(array, dtype=np.float32)) for array in arrays)
    scale = SPREAD * float(mesh.areas.sum() / count) ** 0.5
    return Splats(where, normals, scale, SOLID, tint, degree, generator)


def _coverage(view: View, points: np.ndarray) -> np.ndarray:
    """(n,) bilinear coverage where points are seen; 1 outside the picture and where nobody said."""
    pixels, depth = view.camera.project(points)
    known = np.pad(np.nan_to_num(view.coverage, nan=1.0), 1, mode="edge")
    height, width = view.coverage.shape
    inside = (depth > 0) & (pixels >= 0).all(axis=1) & (pixels <= (width, height)).all(axis=1)
    x, y = np.where(inside[:, None], pixels, 0.5).T + 0.5
    i, j = np.minimum(x.astype(int), width), np.minimum(y.astype(int), height)
    p, q = x - i, y - j
    top = known[j, i] * (1 - p) + known[j, i + 1] * p
    bottom = known[j + 1, i] * (1 - p) + known[j + 1, i + 1] * p
    return np.where(inside, top * (1 - q) + bottom * q, 1.0)
