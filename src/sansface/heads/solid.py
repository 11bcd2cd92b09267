"""A head of the parametric model as a closed solid with signed distances, for whatever learns shapes.

The model's skin is open at the eyes, between the lips and below the neck. Each of these rims is closed by a
fan of triangles around its middle, and the eye balls are added as balls, so that the lids have something to
lie on.
"""

from itertools import pairwise

import numpy as np

from sansface.evaluate.distance import Nearest
from sansface.evaluate.raycast import Caster
from sansface.heads.parametric import HeadModel
from sansface.surface.even import even_points
from sansface.surface.mesh import Mesh

WAYS = np.array([[0.267, 0.535, 0.802], [-0.802, 0.267, 0.535], [0.535, -0.802, -0.267]])
"""Directions along no axis: a ray from inside meets the first face from behind, and the majority decides."""


class Solid:
    """One head, in the model's frame and millimetres: skin and eye balls.

    Args:
        vertices: (n, 3) of the head, as `HeadModel.vertices` gives them.
    """

    def __init__(self, model: HeadModel, vertices: np.ndarray) -> None:
        self.skin = closed(Mesh(vertices, model.skin))
        self.balls = [ball(vertices[slice(*model.parts[f"Sclera {side}"])]) for side in ("left", "right")]
        self._caster, self._open = Caster(self.skin), len(model.skin)
        self._nearest = Nearest(self.skin)

    def distance(self, points: np.ndarray) -> np.ndarray:
        """(n,) float64, mm, negative inside: of the skin or an eye ball, whichever is less."""
        result = self.skin_distance(points)
        for center, radius in self.balls:
            result = np.minimum(result, np.linalg.norm(points - center, axis=1) - radius)
        return result

    def skin_distance(self, points: np.ndarray) -> np.ndarray:
        """(n,) float64, mm, negative inside: of the closed skin."""
        away, _, _ = self._nearest.query(points)
        return np.where(self.inside(points), -away, away)

    def inside(self, points: np.ndarray) -> np.ndarray:
        """(n,) bool: within the closed skin."""
        votes = np.zeros(len(points), dtype=np.int64)
        for way in WAYS:
            directions = np.broadcast_to(way / np.linalg.norm(way), points.shape)
            hits = self._caster.first(points, directions)
            leaving = np.einsum("ij,ij->i", self.skin.face_normals[hits.face], directions[hits.ray]) > 0
            votes[hits.ray[leaving]] += 1
        return votes > len(WAYS) / 2

    def sample(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """(count, 3) points drawn evenly from the skin without the fans, and their (count, 3) normals."""
        points, face = even_points(Mesh(self.skin.vertices, self.skin.faces[: self._open]), count, rng)
        return points, self.skin.face_normals[face]


def closed(mesh: Mesh) -> Mesh:
    """The mesh with each open rim closed by a fan around the mean of its vertices; new faces come last."""
    edges = mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    there = set(map(tuple, edges.tolist()))
    after = {b: a for a, b in there if (b, a) not in there}  # along the rim, against its faces' own turn
    vertices, faces = list(mesh.vertices), list(mesh.faces)
    while after:
        first = here = next(iter(after))
        rim = [first]
        while (here := after.pop(here)) != first:
            rim.append(here)
        faces += [np.array([a, b, len(vertices)]) for a, b in pairwise([*rim, first])]
        vertices.append(mesh.vertices[rim].mean(axis=0))
    return Mesh(np.array(vertices), np.array(faces))


def ball(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Center and radius of the ball nearest to points: ‖p‖² = 2 p·c + (r² − ‖c‖²), by least squares."""
    equations = np.column_stack([2 * points, np.ones(len(points))])
    answer = np.linalg.lstsq(equations, (points**2).sum(axis=1), rcond=None)[0]
    center = answer[:3]
    return center, float(np.sqrt(answer[3] + center @ center))
