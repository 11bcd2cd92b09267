"""Points drawn evenly from a surface."""

import numpy as np

from sansface.errors import SansfaceError
from sansface.surface.mesh import Mesh


def even_points(mesh: Mesh, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw from the faces by their area, and evenly within each (Osada et al. 2002, 3.1).

    Returns:
        (count, 3) float64 in the mesh's frame, and the (count,) faces on which they lie.

    Raises:
        SansfaceError: the mesh has no area.
    """
    chance = np.cumsum(mesh.areas)
    if not (len(chance) and chance[-1] > 0):
        raise SansfaceError("the mesh has no area; export it again.")
    face = np.minimum(np.searchsorted(chance, rng.random(count) * chance[-1]), len(chance) - 1)
    u, v = rng.random(count), rng.random(count)
    over = u + v > 1
    u, v = np.where(over, 1 - u, u), np.where(over, 1 - v, v)
    a, b, c = np.moveaxis(mesh.triangles[face], 1, 0)
    return a + u[:, None] * (b - a) + v[:, None] * (c - a), face
