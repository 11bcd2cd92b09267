"""The nearest point of a triangle mesh, exactly: k nearest pieces from a KD-tree, with a certificate."""

import numpy as np
from scipy.spatial import KDTree

from sansface.surface.mesh import Mesh


def closest_on_triangles(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """The nearest point of triangle i to point i.

    points: (n, 3).  triangles: (n, 3, 3).  Returns (n, 3) float64: the foot of the perpendicular where it
    falls inside the triangle, else the nearest of the three edges' nearest points.
    """
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    ab, ac, ap = b - a, c - a, points - a
    d00, d01, d11 = _dot(ab, ab), _dot(ab, ac), _dot(ac, ac)
    d20, d21 = _dot(ap, ab), _dot(ap, ac)
    area2 = d00 * d11 - d01 * d01
    flat = area2 <= 1e-14 * d00 * d11
    area2 = np.where(flat, 1.0, area2)
    v = (d11 * d20 - d01 * d21) / area2
    w = (d00 * d21 - d01 * d20) / area2
    inside = ~flat & (v >= 0) & (w >= 0) & (v + w <= 1)
    best = a + v[:, None] * ab + w[:, None] * ac
    todo = np.flatnonzero(~inside)
    if len(todo):
        best[todo] = _closest_on_edges(points[todo], triangles[todo])
    return best


def _closest_on_edges(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    best = np.empty_like(points)
    least = np.full(len(points), np.inf)
    for k in range(3):
        start = triangles[:, k]
        along = triangles[:, (k + 1) % 3] - start
        t = _dot(points - start, along) / np.maximum(_dot(along, along), 1e-300)
        foot = start + np.clip(t, 0, 1)[:, None] * along
        away = _dot(points - foot, points - foot)
        nearer = away < least
        best[nearer], least[nearer] = foot[nearer], away[nearer]
    return best


class Nearest:
    """Answers nearest-point queries on one mesh.

    Large triangles are cut into pieces no wider than `reach`, so that every point of the surface lies within
    `reach` of a piece's centre. The k pieces whose centres are nearest give a distance d; no piece beyond the
    k-th can be nearer once the k-th centre lies farther than d + reach. Until then k grows. Among the k, a
    piece whose centre lies farther than d + its own radius need not be looked at.
    """

    def __init__(self, mesh: Mesh) -> None:
        self.triangles = mesh.triangles
        centers, self.face, self.radius = _pieces(self.triangles)
        self.reach = float(self.radius.max())
        self.tree = KDTree(centers)

    def query(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """points: (n, 3). Returns distance (n,), nearest point (n, 3), face (n,) int64."""
        points = np.asarray(points, dtype=np.float64)
        distance, face = np.full(len(points), np.inf), np.zeros(len(points), np.int64)
        todo, looked, k = np.arange(len(points)), 0, 1
        while len(todo) and looked < self.tree.n:
            k = min(k, self.tree.n)
            chunk = max(1, 1_000_000 // k)
            unsure = [
                self._look(points, todo[start : start + chunk], np.arange(looked + 1, k + 1), distance, face)
                for start in range(0, len(todo), chunk)
            ]
            todo, looked, k = np.concatenate(unsure), k, max(8, 2 * k)
        nearest = closest_on_triangles(points, self.triangles[face])
        return np.linalg.norm(points - nearest, axis=1), nearest, face

    def _look(self, points, which, ranks, distance, face) -> np.ndarray:
        """Lower `distance` and set `face` by the pieces of these ranks; returns those of `which` still
        unsure.
        """
        away, piece = map(np.asarray, self.tree.query(points[which], k=ranks, workers=-1))
        row, column = np.nonzero(away - self.radius[piece] < distance[which][:, None])
        candidate = self.face[piece[row, column]]
        p = points[which[row]]
        d = np.full(away.shape, np.inf)
        d[row, column] = np.linalg.norm(p - closest_on_triangles(p, self.triangles[candidate]), axis=1)
        best = d.argmin(axis=1)
        least = d[np.arange(len(which)), best]
        better = least < distance[which]
        distance[which[better]] = least[better]
        face[which[better]] = self.face[piece[better, best[better]]]
        return which[away[:, -1] < distance[which] + self.reach]


def _pieces(triangles: np.ndarray, most: int = 400_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centres (p, 3) of the pieces, the face (p,) that each is of, and the radius (p,) of each about its
    centre.
    """
    centers = triangles.mean(axis=1)
    radius = np.linalg.norm(triangles - centers[:, None], axis=2).max(axis=1)
    reach = float(np.median(radius)) or float(radius.max())
    while True:
        cuts = np.maximum(1, np.ceil(radius / max(reach, 1e-300) - 1e-9)).astype(np.int64)
        if (cuts.astype(float) ** 2).sum() <= max(most, 2 * len(triangles)):
            break
        reach *= 1.5
    out, face, reaches = [], [], []
    for n in np.unique(cuts):
        group = np.flatnonzero(cuts == n)
        weights = _barycentric_centers(int(n))
        out.append(np.einsum("pk,fkd->fpd", weights, triangles[group]).reshape(-1, 3))
        face.append(np.repeat(group, len(weights)))
        reaches.append(np.repeat(radius[group] / n, len(weights)))
    return np.concatenate(out), np.concatenate(face), np.concatenate(reaches)


def _barycentric_centers(n: int) -> np.ndarray:
    """Centres (n^2, 3) of the n^2 equal triangles that a triangle falls into, in barycentric coordinates."""
    i, j = np.divmod(np.arange(n * n), n)
    upward = i + j < n
    u = np.where(upward, i + 1 / 3, n - 1 - i + 2 / 3)
    v = np.where(upward, j + 1 / 3, n - 1 - j + 2 / 3)
    # A downward piece (i, j) with i + j >= n is the mirror of an upward one: it is told by its reflected
    # indices.
    return np.stack([u, v, n - u - v], axis=1) / n


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", a, b)
