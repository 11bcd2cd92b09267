"""Rigid alignment: rotation and translation, never a scale, never a reflection."""

from typing import Protocol

import numpy as np

from sansface.surface.mesh import Mesh


class Surface(Protocol):
    """What a point is brought onto, such as `evaluate.distance.Nearest`."""

    def query(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """points: (n, 3). Distance (n,), nearest point (n, 3), and which face or point it is of (n,)."""
        ...


def icp(points: np.ndarray, surface: Surface, normals: np.ndarray, iterations: int = 40) -> np.ndarray:
    """The rigid motion that takes the points onto the surface: point-to-plane ICP (Chen & Medioni 1992).

    A round pairs every point p with its nearest point q, whose face has the normal n, and solves
    min over (w, t) of sum (n . (p + w x p + t - q))^2; the step is the rotation exp([w]) and the shift t, so
    it is a proper rigid motion however large w is. What the points leave open (a sphere's rotation) is left
    as it is. points: (n, 3).  normals: (faces, 3) of the surface, or what else `query` numbers.  Returns
    (4, 4) float64 surface_from_points.
    """
    origin = points.mean(axis=0)
    size = np.linalg.norm(points - origin, axis=1).max()
    motion = np.eye(4)
    for _ in range(iterations):
        moved = move(points, motion)
        _, nearest, face = surface.query(moved)
        n, arm = normals[face], moved - origin
        equations = np.concatenate([np.cross(arm, n), size * n], axis=1)
        answer = np.linalg.lstsq(equations, np.einsum("ij,ij->i", n, nearest - moved), rcond=1e-6)[0]
        turn, shift = answer[:3], size * answer[3:]
        step = np.eye(4)
        step[:3, :3] = _rotation(turn)
        step[:3, 3] = origin + shift - step[:3, :3] @ origin
        motion = step @ motion
        if np.linalg.norm(turn) * size + np.linalg.norm(shift) < 1e-7 * size:
            break
    return motion


def move(points: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """points (n, 3) under a (4, 4) rigid motion."""
    return points @ motion[:3, :3].T + motion[:3, 3]


def move_mesh(mesh: Mesh, motion: np.ndarray) -> Mesh:
    """The mesh under a (4, 4) rigid motion, normals turned along."""
    normals = None if mesh.normals is None else mesh.normals @ motion[:3, :3].T
    return Mesh(move(mesh.vertices, motion), mesh.faces, normals)


def _rotation(turn: np.ndarray) -> np.ndarray:
    """exp of the cross-product matrix of a rotation vector (3,), radians (Rodrigues)."""
    angle = float(np.linalg.norm(turn))
    x, y, z = turn
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sinc(angle / np.pi) * cross + 0.5 * np.sinc(angle / 2 / np.pi) ** 2 * cross @ cross
