"""The capture's world: from structure from motion's arbitrary frame to one where the head stands upright.

Origin in the middle of the subject, +y up, +z where the face looks; in millimetres where the scale is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sansface.capture import Camera, Sphere
from sansface.errors import SansfaceError
from sansface.photographs.structure import Structure
from sansface.protect.sphere import sphere_from_cameras, sphere_from_masks
from sansface.upright import upright

LEAST_SEEN = 3
"""A sparse point counts from so many photographs on."""
WITHIN = 0.98
"""Part of the sparse points around the middle that the sphere holds; the rest are strays."""
MARGIN = 1.15
"""Sparse points do not reach the outline of hair."""
STEEP = 0.1
"""Sine of the angle between front and up below which the front is not taken for one."""


@dataclass(frozen=True, eq=False)
class World:
    """x_world = scale · rotation (x − center), for x in the frame of structure from motion."""

    center: np.ndarray
    rotation: np.ndarray
    scale: float

    def camera(self, camera: Camera) -> Camera:
        """The same camera in the world; its pixels stay where they are."""
        pose = np.eye(4)
        pose[:3, :3] = camera.cam_from_world[:3, :3] @ self.rotation.T
        pose[:3, 3] = -pose[:3, :3] @ self.points(camera.center)
        return Camera(camera.K, camera.width, camera.height, pose, camera.distortion)

    def points(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) points in the world."""
        return self.scale * (points - self.center) @ self.rotation.T


def subject_sphere(structure: Structure, masks: Sequence[np.ndarray] | None = None) -> Sphere:
    """Around the subject: the masks' visual hull, else the sparse points where the cameras look.

    Args:
        masks: for each of `structure.cameras`, in order, (h, w) uint8 coverage of the camera's size.

    Raises:
        SansfaceError: the cameras look away from each other.
    """
    cameras = list(structure.cameras.values())
    hull = None if masks is None else sphere_from_masks(cameras, list(masks))
    if hull is not None:
        return hull
    common = sphere_from_cameras(cameras)
    often = np.array([len(seen) >= LEAST_SEEN for seen in structure.seen], dtype=bool)
    points = structure.points[often]
    near = points[np.linalg.norm(points - common.center, axis=1) < common.radius]
    if len(near) < 50:
        return common
    center = np.median(near, axis=0)
    radius = MARGIN * float(np.quantile(np.linalg.norm(near - center, axis=1), WITHIN))
    return Sphere(center, min(radius, common.radius), "cameras")


def world(center: np.ndarray, up: np.ndarray, forward: np.ndarray | None, scale: float) -> World:
    """The world with +y up and +z as near to forward as that allows; any way round where forward is unknown.

    Raises:
        SansfaceError: the face looks straight up or down.
    """
    if forward is None:
        return World(center, upright(up, up).T, scale)
    if np.linalg.norm(forward - (forward @ up) * up) < STEEP * np.linalg.norm(forward):
        raise SansfaceError(
            "the front is straight above or below the head; name a photograph taken from before the face."
        )
    return World(center, upright(up, forward).T, scale)
