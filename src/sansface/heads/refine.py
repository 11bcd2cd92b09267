"""The shape refined by the light on it: shape from shading about the fit to landmarks.

A place's colour depends on its normal, and the normal on the identity. With r = log(model / photograph) at
pixels of the skin, J its slope by the identity, W robust weights, H the curvature of the fit to landmarks,

    change of (pose, identity, expression) = −(H + Jᵀ W J)⁻¹ Jᵀ W r,

so that landmarks stay where they are as far as they are sure. Light and albedo are fitted again in between.
"""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from scipy.sparse import csr_array

from sansface.capture import Camera
from sansface.heads.albedo import albedo_seen
from sansface.heads.appearance import DARK, NOISE, Appearance, fit_appearance, openness
from sansface.heads.fit import POSE, FittedHead
from sansface.heads.light import irradiance
from sansface.heads.look import Seen
from sansface.heads.parametric import HeadModel

DIRECTIONS = 60
"""First directions of the identity that shading may change: the others are too fine for nine harmonics."""
TURNS = 2
TOGETHER = 20.0
"""Pixels that are off together, as neighbours are: a shadow's size. All of them count as one."""
SLIGHT = 0.05
"""Along a normal's change, for the slope of the light."""
PLACES = 3000
"""Pixels that are asked, at most."""
MOST = 1.0
"""Largest change of a number in a turn, in standard deviations: beyond, the slope is another one."""

Sample = Callable[[FittedHead], tuple[Seen, np.ndarray, np.ndarray]]
"""What the photograph shows where a head is seen: as `fit_appearance` takes it."""


def refine(
    model: HeadModel, head: FittedHead, sample: Sample, rng: np.random.Generator
) -> tuple[FittedHead, Appearance]:
    """Refine a fitted head by its shading.

    Args:
        head: fitted to landmarks.
        sample: gives pixels, colours and trust of a head, such as `deidentify.change.sampled`.
        rng: chooses among the pixels where there are many.

    Returns:
        The head, with the covariance of landmarks and shading together, and its light and albedo.
    """
    landmarks = np.linalg.inv(head.covariance)
    for _ in range(TURNS):
        seen, colours, trusted = sample(head)
        appearance = fit_appearance(model, seen, colours, trusted, rng)
        chosen = np.flatnonzero(trusted)
        if len(chosen) > PLACES:
            chosen = rng.choice(chosen, PLACES, replace=False)
        off, slope = _residual(model, head, seen.some(chosen), colours[chosen], appearance)
        weight = 1 / np.maximum(np.abs(off) / NOISE, 1) / NOISE**2 / TOGETHER
        curvature = landmarks.copy()
        shape = slice(POSE, POSE + DIRECTIONS)
        curvature[shape, shape] += (slope * weight[:, None]).T @ slope
        pull = np.zeros(len(curvature))
        pull[shape] = -slope.T @ (weight * off)
        change = np.linalg.solve(curvature, pull).clip(-MOST, MOST)
        head = _moved(head, change, np.linalg.inv(curvature))
    seen, colours, trusted = sample(head)
    return head, fit_appearance(model, seen, colours, trusted, rng)


def _residual(
    model: HeadModel, head: FittedHead, seen: Seen, colours: np.ndarray, appearance: Appearance
) -> tuple[np.ndarray, np.ndarray]:
    """(k,) log of model over photograph, grey, its median taken away; (k, DIRECTIONS) its slope."""
    albedo = albedo_seen(model, seen, appearance.albedo)
    open_ = seen.of(openness())[:, None]

    def lit(normals: np.ndarray) -> np.ndarray:
        return np.maximum(irradiance(normals, appearance.light) * open_, DARK)

    now = lit(seen.normals)
    off = np.log((albedo * now + DARK) / (np.maximum(colours, 0) + DARK)).mean(axis=1)
    changes = normal_slopes(model, head.vertices(model), seen)
    slope = np.empty((len(off), DIRECTIONS))
    for k in range(DIRECTIONS):
        moved = seen.normals + SLIGHT * changes[:, k]
        moved /= np.linalg.norm(moved, axis=1, keepdims=True)
        slope[:, k] = np.log(lit(moved) / now).mean(axis=1) / SLIGHT
    return off - np.median(off), slope


def normal_slopes(model: HeadModel, vertices: np.ndarray, seen: Seen, count: int = DIRECTIONS) -> np.ndarray:
    """How the normals at the pixels turn when the identity's numbers rise.

    A vertex's normal is that of the sum S of its faces' areas; so dn = (1 − n nᵀ) dS / ‖S‖.

    Returns:
        (k, count, 3) float64, of the first `count` numbers.
    """
    needed, place = np.unique(seen.corners, return_inverse=True)
    faces = model.faces[np.isin(model.faces, needed).any(axis=1)]
    a, b, c = (vertices[faces[:, k]].astype(np.float64) for k in range(3))
    areas = np.cross(b - a, c - a)
    da, db, dc = (model.identity[:count, faces[:, k]].astype(np.float64) for k in range(3))
    slopes = np.cross(db - da, c - a) + np.cross(b - a, dc - da)
    index = np.full(len(vertices), -1)
    index[needed] = np.arange(len(needed))
    rows, of = index[faces].reshape(-1), np.repeat(np.arange(len(faces)), 3)
    there = rows >= 0
    shape = len(needed), len(faces)
    around = csr_array((np.ones(there.sum()), (rows[there], of[there])), shape=shape)
    sums = around @ areas
    turning = around @ slopes.transpose(1, 0, 2).reshape(len(faces), -1)
    turning = turning.reshape(len(needed), count, 3)
    length = np.maximum(np.linalg.norm(sums, axis=1), 1e-12)
    unit = sums / length[:, None]
    turning -= np.einsum("vcd,vd->vc", turning, unit)[..., None] * unit[:, None]
    turning /= length[:, None, None]
    at_pixel = np.einsum("kj,kjcd->kcd", seen.weights, turning[place.reshape(seen.corners.shape)])
    normal = seen.normals
    at_pixel -= np.einsum("kcd,kd->kc", at_pixel, normal)[..., None] * normal[:, None]
    return at_pixel


def _moved(head: FittedHead, change: np.ndarray, covariance: np.ndarray) -> FittedHead:
    count = len(head.identity)
    pose = np.array(head.camera.cam_from_world)
    pose[:3, :3] = cv2.Rodrigues(change[:3])[0] @ pose[:3, :3]
    pose[:3, 3] += change[3:POSE]
    camera = Camera(head.camera.K, head.camera.width, head.camera.height, pose)
    identity = head.identity + change[POSE : POSE + count]
    expression = np.clip(head.expression + change[POSE + count :], 0, 1)
    return replace(head, camera=camera, identity=identity, expression=expression, covariance=covariance)
