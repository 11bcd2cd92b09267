"""Where the cameras stand and look: do they face the subject, and from which sides?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sansface.capture import Camera, Capture, Role, Sphere
from sansface.errors import SansfaceError
from sansface.protect.sphere import sphere_from_cameras
from sansface.upright import up_direction, upright

STEEP = 70.0
"""Degrees above or below the ring from which on a view belongs to no side."""
SIDES = (("front", -45, 45), ("left", 45, 135), ("rear", 135, 225), ("right", 225, 315))
"""Degrees round the head from where it looks; left is the subject's own."""


def common_view(cameras: Sequence[Camera]) -> Sphere:
    """The sphere that the cameras look at, cameras left aside that do not look at it.

    Raises:
        SansfaceError: the axes do not meet, or meet behind the cameras.
    """
    sphere = sphere_from_cameras(list(cameras))
    facing = [camera for camera in cameras if faces(camera, sphere)]
    return sphere_from_cameras(facing) if 3 <= len(facing) < len(cameras) else sphere


def faces(camera: Camera, sphere: Sphere) -> bool:
    """True where the sphere's center is ahead and within the picture."""
    pixels, depth = camera.project(sphere.center[None])
    return bool(depth[0] > 0 and (pixels[0] > 0).all() and (pixels[0] < (camera.width, camera.height)).all())


def looks_inwards(cameras: Sequence[Camera]) -> bool:
    """True where nine of ten cameras face the sphere that they all look at."""
    try:
        sphere = common_view(cameras)
    except SansfaceError:
        return False
    return bool(np.mean([faces(camera, sphere) for camera in cameras]) >= 0.9)


@dataclass(frozen=True, eq=False)
class Coverage:
    """Directions from the subject to the cameras.

    Attributes:
        directions: (frames, 3) unit vectors.
        axes: (3, 3) columns: to the subject's left, up, and the front that azimuths are told from.
        azimuth: (frames,) degrees round the upright axis, positive to the subject's left; 0 is where the face
            looks if the roles tell, else the first frame.
        elevation: (frames,) degrees above the horizon.
        nearest: (frames,) degrees to the nearest other view.
        front_known: the roles tell where the face looks.
        gap: the widest angle round the head without a view, degrees, and the two frames beside it.
        distance: (frames,) from the sphere's center, world units.
    """

    directions: np.ndarray
    axes: np.ndarray
    azimuth: np.ndarray
    elevation: np.ndarray
    nearest: np.ndarray
    front_known: bool
    gap: tuple[float, int, int]
    distance: np.ndarray

    def sides(self) -> dict[str, int]:
        """How many views each side has, by name where the front is known."""
        level = abs(self.elevation) < STEEP
        return {
            name: int((level & ((self.azimuth - first) % 360 < last - first)).sum())
            for name, first, last in SIDES
        }


def coverage(capture: Capture, sphere: Sphere) -> Coverage:
    """Directions, sides and gaps of a capture's cameras.  sphere: what they look at."""
    cameras = [frame.camera for frame in capture.frames]
    offset = np.stack([camera.center for camera in cameras]) - sphere.center
    distance = np.linalg.norm(offset, axis=1)
    directions = offset / np.maximum(distance, 1e-300)[:, None]
    up = up_direction(cameras)
    roles = np.array([frame.role is Role.NEUTRAL for frame in capture.frames])
    front_known = bool(0 < roles.sum() < len(roles))
    front = directions[0]
    if front_known:
        front = directions[~roles].mean(axis=0) - directions[roles].mean(axis=0)
    if np.linalg.norm(np.cross(front, up)) < 1e-6:
        front_known = False
    axes = upright(up, front)
    left, _, front = axes.T
    azimuth = np.rad2deg(np.arctan2(directions @ left, directions @ front))
    elevation = np.rad2deg(np.arcsin(np.clip(directions @ up, -1, 1)))
    cosine = directions @ directions.T
    np.fill_diagonal(cosine, -1)
    nearest = np.rad2deg(np.arccos(np.clip(cosine.max(axis=1), -1, 1)))
    gap = _gap(azimuth, elevation)
    return Coverage(directions, axes, azimuth, elevation, nearest, front_known, gap, distance)


def _gap(azimuth: np.ndarray, elevation: np.ndarray) -> tuple[float, int, int]:
    level = np.flatnonzero(abs(elevation) < STEEP)
    if not len(level):
        return 360.0, 0, 0
    order = level[np.argsort(azimuth[level] % 360)]
    turn = azimuth[order] % 360
    gaps = np.diff(np.append(turn, turn[0] + 360))
    widest = int(gaps.argmax())
    return float(gaps[widest]), int(order[widest]), int(order[(widest + 1) % len(order)])
