"""The heads of one track made steady: landmarks tremble from frame to frame, and a drawn face with them.

Who it is does not change: the identity is the median over the track. Expression and turn are smoothed by a
bilateral filter over time (Tomasi and Manduchi 1998),

    y_i = Σ_j w_ij x_j / Σ_j w_ij,      w_ij = exp(−½ (t_i − t_j)² / τ² − ½ d(x_i, x_j)² / r²),

with r some times what landmarks tremble by: a face at rest is averaged over neighbours, a blink or a syllable
is much farther than r from its neighbours in time and stays what it is, where it is. Where the head stands,
how large and how tilted, is then found anew from each frame's own landmarks: hundreds of them say that well,
and whatever is smoothed would swim.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from sansface.capture import Camera
from sansface.heads.fit import ROBUST, FittedHead
from sansface.heads.landmarks import load_places
from sansface.heads.parametric import HeadModel

WIDTH = 0.1
"""τ, seconds."""
EXPRESSION, TURN, GAZE = 2.0, 2.0, 0.5
"""r: the most that a landmark moves before the camera, mm; degrees; mm. On a trembling film of a photograph
neighbouring frames differ by up to 2 mm, 1.7 degrees and 0.3 mm."""
SLOW = 0.5
"""τ of the light, seconds: it changes with the place, not with the frame."""
ROUNDS = 3
"""Of the placing, and of its weights."""


def steady(model: HeadModel, heads: Sequence[FittedHead], seconds: np.ndarray) -> list[FittedHead]:
    """The heads of one track, one identity, smoothed.

    Args:
        heads: as they were fitted, in order.
        seconds: (n,) their times.

    Returns:
        As many heads. Their landmarks are the model's own, as they then show.
    """
    places = load_places()
    identity = np.median([head.identity for head in heads], axis=0)
    expressions = np.array([head.expression for head in heads])
    moved = np.tensordot(expressions, places.of(model.expressions)[..., :2], axes=1)

    def farthest(i: int, near: slice) -> np.ndarray:
        return np.linalg.norm(moved[near] - moved[i], axis=2).max(axis=1) / EXPRESSION

    weights = bilateral(seconds, WIDTH, farthest)
    smooth = [row @ expressions[near] for near, row in weights]
    turns = Rotation.from_matrix([head.camera.cam_from_world[:3, :3] for head in heads])
    weights = bilateral(
        seconds, WIDTH, lambda i, near: np.degrees((turns[near] * turns[i].inv()).magnitude()) / TURN
    )
    result = []
    for head, expression, (near, row) in zip(heads, smooth, weights, strict=True):
        calm = replace(head, identity=identity, expression=expression)
        points = places.of(calm.vertices(model)).astype(np.float64)
        camera = placed(points, turns[near].mean(row).as_matrix(), head, places.spread)
        result.append(replace(calm, camera=camera, landmarks=camera.project(points)[0]))
    return result


def bilateral(
    seconds: np.ndarray, width: float, apart: Callable[[int, slice], np.ndarray] | None = None
) -> list[tuple[slice, np.ndarray]]:
    """The weights w_ij, for each i those j that count and their shares, which add up to 1.

    Args:
        seconds: (n,) rising.
        width: τ.
        apart: d(x_i, x_j) / r, of i and several j; None for a Gaussian alone.
    """
    result = []
    for i, time in enumerate(seconds):
        first, last = np.searchsorted(seconds, (time - 3 * width, time + 3 * width))
        near = slice(int(first), int(last))
        off = ((seconds[near] - time) / width) ** 2
        off += 0 if apart is None else apart(i, near) ** 2
        row = np.exp(-off / 2)
        result.append((near, row / row.sum()))
    return result


def placed(points: np.ndarray, turn: np.ndarray, head: FittedHead, spread: np.ndarray) -> Camera:
    """The camera that sees a turned head where the landmarks are: shift, size and tilt, by least squares.

    Args:
        points: (468, 3) mm, of the head.
        turn: (3, 3) rotation into the camera; all but its tilt about the axis is believed.
        head: with the landmarks, and the camera to begin with.
        spread: (468,) of the landmarks, mm.
    """
    K = head.camera.K
    u, v = ((head.landmarks - K[:2, 2]) / K[0, 0]).T
    pose = np.array(head.camera.cam_from_world)
    pose[:3, :3] = turn
    sure = weight = 1 / spread
    for _ in range(ROUNDS):
        x, y, z = (points @ pose[:3, :3].T).T
        # x − ω y + t_x = u (z + t_z) and y + ω x + t_y = v (z + t_z), of ω, t_x, t_y and t_z.
        one, nil = np.ones_like(x), np.zeros_like(x)
        rows = np.concatenate([np.stack([-y, one, nil, -u], 1), np.stack([x, nil, one, -v], 1)])
        wanted = np.concatenate([u * z - x, v * z - y])
        scale = np.tile(weight, 2)
        tilt, *shift = np.linalg.lstsq(scale[:, None] * rows, scale * wanted)[0]
        off = sure * np.linalg.norm((rows @ (tilt, *shift) - wanted).reshape(2, -1), axis=0)
        weight = sure * np.sqrt(np.minimum(1, ROBUST * np.median(off) / np.maximum(off, 1e-9)))
        pose[:3, :3] = Rotation.from_rotvec([0, 0, tilt]).as_matrix() @ pose[:3, :3]
        pose[:3, 3] = shift
    return Camera(K, head.camera.width, head.camera.height, pose)


def between(one: FittedHead, other: FittedHead, share: float) -> FittedHead:
    """The head at a share of the way from one to the other, 0 to 1."""

    def mixed(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (1 - share) * a + share * b

    a, b = one.camera, other.camera
    pose = mixed(a.cam_from_world, b.cam_from_world)
    turns = Rotation.from_matrix([a.cam_from_world[:3, :3], b.cam_from_world[:3, :3]])
    pose[:3, :3] = Slerp([0, 1], turns)(share).as_matrix()
    camera = Camera(mixed(a.K, b.K), a.width, a.height, pose)
    landmarks, expression = mixed(one.landmarks, other.landmarks), mixed(one.expression, other.expression)
    return replace(one, camera=camera, expression=expression, landmarks=landmarks)
