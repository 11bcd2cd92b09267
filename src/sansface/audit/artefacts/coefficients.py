"""Shapes compared by what a head model says of them: identity coefficients fitted to a surface.

    min over w, e, motion of   Σ (n · (x_i(w, e) − q_i))² / s²  +  ‖w‖²  +  ‖e / e₀‖²

where x_i are vertices of the model under the motion, q_i the nearest points of the surface with normals n.
Linearised in the motion, solved in turn with the correspondences (as Amberg, Knothe and Vetter 2008 do with
an expression-invariant model).
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from sansface.audit.artefacts.cloud import Cloud
from sansface.evaluate.align import icp
from sansface.heads.parametric import HeadModel

VERTICES = 2000
ROUNDS = 8
NOISE = 15.0
"""s: of a vertex's distance, mm. Errors of neighbours go together, so it is far larger than any of them: of
the reconstructions of six rendered people, 5 mm name two rightly, for the coefficients follow the errors, and
15 mm five."""
EXPRESSION = 0.3
"""e₀: of an expression's weight."""
REACH = 15.0
"""Farther from the surface a vertex has no counterpart, mm."""
LOWEST = -80.0
"""Height of the model above which its skin is compared, mm: the neck is cut somewhere."""


@dataclass(frozen=True, eq=False)
class Fit:
    """identity: (k,) in standard deviations.  motion: (4, 4) world_from_model, rigid.  vertices: (n, 3) of
    the whole model with identity and expression, in its own frame.
    """

    identity: np.ndarray
    motion: np.ndarray
    vertices: np.ndarray


def fit(model: HeadModel, surface: Cloud, rng: np.random.Generator) -> Fit:
    """The model's head that is likeliest behind a surface in millimetres, which looks along +z, y up.

    rng: draws the vertices that are compared.
    """
    skin = np.unique(model.skin)
    skin = skin[model.neutral[skin, 1] > LOWEST]
    chosen = np.sort(rng.permutation(skin)[:VERTICES])
    expressions = np.stack(list(model.expression.values()))
    basis = np.concatenate([model.identity, EXPRESSION * expressions]).astype(np.float64)
    mean, local = model.neutral[chosen].astype(np.float64), basis[:, chosen]
    motion = np.eye(4)
    motion[:3, 3] = surface.points.mean(axis=0) - mean.mean(axis=0)
    start = mean + motion[:3, 3]
    motion = icp(start, surface, surface.normals, 15) @ motion
    weights = np.zeros(len(basis))
    for _ in range(ROUNDS):
        turn = motion[:3, :3]
        placed = (mean + np.tensordot(weights, local, axes=1)) @ turn.T + motion[:3, 3]
        distance, nearest, which = surface.query(placed)
        near = distance < REACH
        normals = surface.normals[which[near]]
        origin = placed[near].mean(axis=0)
        # Unknowns: the weights themselves, and a small motion on top of this one.
        shapes = np.einsum("kij,lj,il->ik", local[:, near], turn, normals, optimize=True)
        arm = np.cross(placed[near] - origin, normals)
        now = np.einsum("ij,ij->i", placed[near] - nearest[near], normals)
        unknown = np.concatenate([shapes, arm / 100, normals], axis=1) / NOISE
        wanted = (shapes @ weights - now) / NOISE
        prior = np.diag(np.concatenate([np.ones(len(basis)), np.full(6, 1e-6)]))
        answer = np.linalg.solve(unknown.T @ unknown + prior, unknown.T @ wanted)
        weights, small, shift = answer[:-6], answer[-6:-3] / 100, answer[-3:]
        motion = _moved(origin, small, shift) @ motion
    whole = model.neutral + np.tensordot(weights, basis, axes=1)
    return Fit(weights[: len(model.identity)], motion, whole)


def _moved(origin: np.ndarray, turn: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """(4, 4): a turn (3,) in radians around a point, and a shift."""
    step = np.eye(4)
    step[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
    step[:3, 3] = origin + shift - step[:3, :3] @ origin
    return step
