"""Where the head is and where its face looks, from the faces that the photographs show and their cameras."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from sansface.capture import Camera, Capture
from sansface.faces.detectors import Finding

# Of MediaPipe's mesh of 468 points. Points on the rim of the face are none of them: they slide along it.
RIGHT, LEFT = (33, 133, 61), (263, 362, 291)
"""The subject's right and left corners of eyes and mouth."""
NASION, CHIN, NOSE = 168, 152, 1
DEPTH = 0.75
"""The middle between the ears lies so many face lengths, from nasion to chin, behind the nasion."""

PROFILE = 0.5
"""Offset of the nose tip from the middle of the eyes, in eye distances, at which a face counts nothing."""
OUTLIER = 0.05
"""A view whose landmarks are so many face lengths off has half its weight."""
LOOSE = 0.1
"""Median distance of views from the landmarks, in face lengths, beyond which faces and cameras disagree."""
APART = np.radians(5)
"""Least angle between two views."""
BESIDE = np.radians(45)
"""The face looks at the cameras that see it from the front, to within this."""
STEPS = 20


@dataclass(frozen=True, eq=False)
class Head:
    """Where the head is: the middle between its ears (3,), and its forward direction, a unit vector (3,).

    Both float64, in the world. Forward is level with the head upright: perpendicular to the facial plane's
    line from nasion to chin, which stands at 88° to the Frankfurt horizontal (Downs 1948), and to the line
    from eye to eye.
    """

    center: np.ndarray
    forward: np.ndarray

    def angle(self, camera: Camera) -> float:
        """Degrees, at the head's centre, between forward and the camera."""
        offset = camera.center - self.center
        cosine = offset @ self.forward / max(float(np.linalg.norm(offset)), 1e-300)
        return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def find_head(capture: Capture, findings: Sequence[Sequence[Finding]]) -> Head | None:
    """The head, from the landmarks of all photographs that show its face.

    Landmarks are triangulated by least squares on the distances to their rays, views being weighted by how
    frontal the face is and reweighted against outliers (Holland and Welsch 1977, Cauchy's weights).

    Args:
        capture: its cameras and photographs.
        findings: of each photograph.

    Returns:
        None where fewer than two photographs show the face well enough from different sides, or where they
        contradict each other or the cameras.
    """
    found = [_view(frame.camera, one) for frame, one in zip(capture.frames, findings, strict=True)]
    views = [view for view in found if view is not None]
    if len(views) < 2:
        return None
    origins = np.stack([view.origin for view in views])
    rays = np.stack([view.rays for view in views])
    frontal = np.array([view.frontal for view in views])
    middle = rays.mean(axis=1)
    middle /= np.linalg.norm(middle, axis=1, keepdims=True)
    if np.arccos(np.clip(middle @ middle.T, -1, 1)).max() < APART:
        return None
    points, distances = _triangulated(origins, rays, frontal)
    length = float(np.linalg.norm(points[_CHIN] - points[_NASION]))
    normal = np.cross(points[_CHIN] - points[_NASION], (points[_LEFT] - points[_RIGHT]).mean(axis=0))
    size = float(np.linalg.norm(normal))
    if not (length > 0 and size > 0) or _weighted_median(distances, frontal) > LOOSE * length:
        return None
    forward = normal / size
    mean = -(frontal[:, None] * middle).sum(axis=0)
    if forward @ mean <= np.cos(BESIDE) * np.linalg.norm(mean):
        return None
    return Head(points[_NASION] - DEPTH * length * forward, forward)


_USED = (*RIGHT, *LEFT, NASION, CHIN)
_RIGHT, _LEFT, _NASION, _CHIN = slice(0, 3), slice(3, 6), 6, 7


@dataclass(frozen=True, eq=False)
class _View:
    """One photograph's face: the camera's centre (3,), unit rays (8, 3) to the landmarks used, its weight."""

    origin: np.ndarray
    rays: np.ndarray
    frontal: float


def _view(camera: Camera, findings: Sequence[Finding]) -> _View | None:
    """The largest face of a photograph that has a mesh and is not in profile."""
    meshed = [one for one in findings if one.kind == "landmarks" and one.landmarks is not None]
    if not meshed:
        return None
    mesh = max(meshed, key=lambda one: one.box[2] * one.box[3]).landmarks
    assert mesh is not None
    right, left = mesh[list(RIGHT[:2])].mean(axis=0), mesh[list(LEFT[:2])].mean(axis=0)
    across = left - right
    turned = abs((mesh[NOSE] - (right + left) / 2) @ across) / max(float(across @ across), 1e-300)
    if turned >= PROFILE:
        return None
    points = cv2.undistortPoints(mesh[list(_USED), None], camera.K, camera.distortion, P=camera.K)[:, 0]
    origins, rays = camera.rays(points)
    return _View(origins[0], rays, float(1 - turned / PROFILE))


def _triangulated(
    origins: np.ndarray, rays: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(8, 3) points nearest to their rays, and (n,) mean distance of each view's rays from them.

    Minimises Σ w ‖(I − d dᵀ)(x − o)‖² over the views o, d, for each landmark x.
    """
    across_ray = np.eye(3) - rays[..., :, None] * rays[..., None, :]
    robust = np.ones(len(origins))
    points, distances = np.zeros((rays.shape[1], 3)), np.zeros(len(origins))
    for _ in range(STEPS):
        total = (weights * robust)[:, None, None, None] * across_ray
        right = (total @ origins[:, None, :, None]).sum(axis=0)
        points = np.linalg.solve(total.sum(axis=0), right)[..., 0]
        offset = (across_ray @ (points - origins[:, None])[..., None])[..., 0]
        distances = np.linalg.norm(offset, axis=-1).mean(axis=1)
        length = float(np.linalg.norm(points[_CHIN] - points[_NASION]))
        robust = 1 / (1 + (distances / max(OUTLIER * length, 1e-300)) ** 2)
    return points, distances


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values)
    total = weights[order].cumsum()
    return float(values[order][np.searchsorted(total, total[-1] / 2)])
