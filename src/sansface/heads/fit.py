"""The parametric head of a photograph: where it is, who it is and what it expresses, by landmarks.

With landmarks q_i, places x_i = n_i + Σ w_k I_ik + Σ e_j X_ij of the model, and a pinhole camera π of a
rotation R and a shift t, the fit is the maximum of the posterior

    −log p = Σ_i ρ(‖π(R x_i + t) − q_i‖ / s_i) + ½ Σ w_k² + ½ Σ (e_j / 0.3)²,      0 ≤ e_j ≤ 1,

ρ Huber's loss, w ~ N(0, 1) the identity, s_i the landmark's own spread. It is found by Gauss and Newton with
the bounds as an active set; the inverse of its last matrix is the covariance of what was found (Laplace).
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from scipy.optimize import lsq_linear

from sansface.capture import MAX_SIDE, Camera
from sansface.errors import SansfaceError
from sansface.heads.landmarks import COUNT, Places, between_eyes, load_places
from sansface.heads.parametric import HeadModel

NOISE = 0.03
"""Standard deviation of a sharp landmark, in distances between the eyes. Each is less far off, but they are
so together, as those of one network: identities of renderings then lie about one deviation beside the truth.
"""
SHARP = 1.5
"""Spread of such a landmark on renderings, mm; the others are less certain in proportion."""
EXPRESSION = 0.3
"""Standard deviation of an expression's weight about rest."""
ROBUST = 2.0
"""Standard deviations from which on Huber's loss grows linearly."""
FAR = 4.0
"""Focal length in sizes of the face: it is seen from about three quarters of a metre. A single face says
little about it, and a portrait is seldom taken from nearer."""
STEPS, ENOUGH = 25, 1e-3
"""Most iterations, and the largest change after which they end."""
ROUNDS = 20
"""Of the active set, at most; it usually needs three."""
NO_FACE = "the landmarks are no face's; the face is too small, or there is none."
POSE = 6
"""Numbers of a pose: turns about the camera's axes, shifts in mm."""


@dataclass(frozen=True, eq=False)
class FittedHead:
    """A head on a photograph. Its world is the model's frame, in millimetres.

    Attributes:
        camera: of the whole photograph, its axis through the face.
        identity: (100,) float64, standard deviations.
        expression: (57,) float64 in [0, 1], in the model's order.
        covariance: (163, 163) float64 of pose (turns in rad, shifts in mm), identity and expression.
        landmarks: (468, 2) float64 pixels, as they were found.
    """

    camera: Camera
    identity: np.ndarray
    expression: np.ndarray
    covariance: np.ndarray
    landmarks: np.ndarray

    @property
    def eyes(self) -> float:
        """Pixels between the eyes."""
        return between_eyes(self.landmarks)

    @property
    def box(self) -> np.ndarray:
        """(4,) left, top, width, height of the landmarks."""
        low, high = self.landmarks.min(axis=0), self.landmarks.max(axis=0)
        return np.concatenate([low, high - low])

    @property
    def within(self) -> float:
        """Share of the landmarks that lie on the picture."""
        size = self.camera.width, self.camera.height
        return float(((self.landmarks >= 0) & (self.landmarks < size)).all(axis=1).mean())

    @property
    def rotation(self) -> np.ndarray:
        """(3, 3): the head's, the identity for one that looks straight into the camera."""
        return np.diag([1.0, -1.0, -1.0]) @ self.camera.cam_from_world[:3, :3]

    @property
    def turned(self) -> float:
        """Degrees between the way the face looks and the camera's axis."""
        return float(np.degrees(np.arccos(np.clip(self.rotation[2, 2], -1, 1))))

    @property
    def identity_spread(self) -> np.ndarray:
        """(100,) standard deviations of the identity, given the landmarks: 1 where they say nothing."""
        return np.sqrt(np.diag(self.covariance)[POSE : POSE + len(self.identity)])

    @property
    def expression_spread(self) -> np.ndarray:
        """(57,) standard deviations of the expression, its bounds left out of account."""
        return np.sqrt(np.diag(self.covariance)[POSE + len(self.identity) :])

    def vertices(self, model: HeadModel, identity: np.ndarray | None = None) -> np.ndarray:
        """(n, 3) float32 with this expression, and with another identity if one is given."""
        weights = self.identity if identity is None else identity
        return model.vertices(weights) + np.tensordot(
            self.expression.astype(np.float32), model.expressions, axes=1
        )

    def surface_spread(self, model: HeadModel) -> np.ndarray:
        """(n,) float32, mm: how uncertain identity and expression leave each vertex, as one deviation."""
        # Σ = C Cᵀ, so that a vertex's three variances add up to ‖basis · C‖².
        root = np.linalg.cholesky(self.covariance[POSE:, POSE:]).astype(np.float32)
        basis = np.concatenate([model.identity, model.expressions])
        moved = np.einsum("kc,knd->cnd", root, basis, optimize=True)
        return np.sqrt((moved**2).sum(axis=(0, 2)))


def fit_head(
    model: HeadModel,
    landmarks: np.ndarray,
    size: tuple[int, int],
    used: np.ndarray | None = None,
    places: Places | None = None,
) -> FittedHead:
    """Fit the head to landmarks.

    Args:
        landmarks: (468, 2) pixels, as `sansface.faces.detectors` finds them.
        size: (width, height) of the photograph.
        used: (468,) bool, those that count; None for all.
        places: where they lie on the model; None for those of the package.

    Raises:
        SansfaceError: the landmarks are no face's: not finite, far from any picture, all but in one place, or
            such that the head would lie behind the camera.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    near = points.shape == (COUNT, 2) and np.abs(points).max() < 2 * MAX_SIDE  # false for NaN
    if not near or between_eyes(points) < 1:
        raise SansfaceError(NO_FACE)
    problem = _Problem(model, points, np.ones(COUNT, bool) if used is None else used, places or load_places())
    for _ in range(STEPS):
        if problem.step() < ENOUGH:
            break
    if problem.t[2] <= 0:
        raise SansfaceError(NO_FACE)
    return FittedHead(
        problem.camera(*size),
        problem.codes[: len(model.identity)],
        problem.codes[len(model.identity) :],
        np.linalg.inv(problem.curvature),
        points,
    )


class _Problem:
    """The posterior and the place reached on it."""

    def __init__(self, model: HeadModel, points: np.ndarray, used: np.ndarray, places: Places) -> None:
        mean, basis = _at_landmarks(model, places)
        self.mean, self.basis = mean[used], basis[:, used]
        self.points = points[used]
        low, high = self.points.min(axis=0), self.points.max(axis=0)
        self.middle, self.focal = (low + high) / 2, FAR * float((high - low).max())
        self.scale = NOISE * between_eyes(points) * np.maximum(places.spread[used] / SHARP, 1)
        count = len(model.identity), len(model.expressions)
        self.codes = np.zeros(sum(count))
        self.precision = np.repeat([1.0, 1 / EXPRESSION**2], count)
        self.low = np.repeat([-np.inf, 0.0], count)
        self.high = np.repeat([np.inf, 1.0], count)
        K = np.array([[self.focal, 0, self.middle[0]], [0, self.focal, self.middle[1]], [0, 0, 1]])
        _, turn, shift = cv2.solvePnP(self.mean, self.points, K, np.zeros(5), flags=cv2.SOLVEPNP_SQPNP)
        self.R, self.t = cv2.Rodrigues(turn)[0], shift[:, 0]
        self.curvature = np.eye(POSE + sum(count))

    def step(self) -> float:
        """One iteration; returns the largest change of a number (rad, mm, code)."""
        turned = (self.mean + np.tensordot(self.codes, self.basis, axes=1)) @ self.R.T
        x, y, z = (turned + self.t).T
        shown = self.focal * np.column_stack([x, y]) / z[:, None] + self.middle
        off = self.points - shown
        far = np.linalg.norm(off, axis=1) / self.scale
        weight = np.sqrt(np.minimum(1, ROBUST / np.maximum(far, 1e-12))) / self.scale
        by_place = np.zeros((len(x), 2, 3))  # derivatives of the pixel by the place before the camera
        by_place[:, 0, 0] = by_place[:, 1, 1] = self.focal / z
        by_place[:, :, 2] = -self.focal * np.column_stack([x, y]) / z[:, None] ** 2
        by_turn = np.stack([np.cross(axis, turned) for axis in np.eye(3)], axis=-1)
        slope = np.concatenate(
            [
                by_place @ by_turn,
                by_place,
                np.einsum("nij,jk,cnk->nic", by_place, self.R, self.basis, optimize=True),
            ],
            axis=2,
        )
        slope = (weight[:, None, None] * slope).reshape(2 * len(x), -1)
        prior = np.concatenate([np.zeros(POSE), self.precision])
        self.curvature = slope.T @ slope + np.diag(prior)
        now = np.concatenate([np.zeros(POSE), self.codes])
        pull = slope.T @ (weight[:, None] * off).reshape(-1) - prior * now
        free = np.full(POSE, np.inf)
        low = np.concatenate([-free, self.low - self.codes])
        high = np.concatenate([free, self.high - self.codes])
        change = bounded(self.curvature, pull, low, high)
        self.R = cv2.Rodrigues(change[:3])[0] @ self.R
        self.t = self.t + change[3:POSE]
        self.codes = np.clip(self.codes + change[POSE:], self.low, self.high)
        return float(np.abs(change).max())

    def camera(self, width: int, height: int) -> Camera:
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = self.R, self.t
        K = np.array([[self.focal, 0, self.middle[0]], [0, self.focal, self.middle[1]], [0, 0, 1.0]])
        return Camera(K, width, height, pose)


@lru_cache(maxsize=2)
def _at_landmarks(model: HeadModel, places: Places) -> tuple[np.ndarray, np.ndarray]:
    """(468, 3) and (157, 468, 3) float64, mm: mean head, and what each number moves."""
    basis = places.of(np.concatenate([model.identity, model.expressions]))
    return places.mean_head(model).astype(np.float64), basis.astype(np.float64)


def bounded(curvature: np.ndarray, pull: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The least of ½ xᵀ C x − pᵀ x within bounds, C positive definite, by a primal-dual active set.

    What a bound holds is let go where the pull is inwards (Hintermüller, Ito and Kunisch 2003). The set
    settles within a few rounds, or now and then never: then the bounds are met one by one, which is slower.
    """
    side = np.zeros(len(pull))
    x, force = np.linalg.solve(curvature, pull), np.zeros(len(pull))
    for _ in range(ROUNDS):
        wanted, before = x + force / np.diag(curvature), side
        side = np.where(wanted > high, 1, np.where(wanted < low, -1, 0))
        if (side == before).all():
            return np.clip(x, low, high)
        held = side != 0
        x = np.where(held, np.clip(wanted, low, high), 0)
        rest = pull - curvature[:, held] @ x[held]
        x[~held] = np.linalg.solve(curvature[np.ix_(~held, ~held)], rest[~held])
        force = np.where(held, pull - curvature @ x, 0)
    root = np.linalg.cholesky(curvature)
    return lsq_linear(root.T, np.linalg.solve(root, pull), (low, high), method="bvls").x
