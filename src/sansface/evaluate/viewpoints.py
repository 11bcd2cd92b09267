"""Cameras that show a subject from where its photographers stood: front, three quarters, side, rear."""

from collections.abc import Sequence

import numpy as np

from sansface.capture import Camera
from sansface.upright import up_direction

SHOWN = ("front", "three_quarter", "side")
"""Of the viewpoints, those that a report shows."""

DISTANCE = 3.4
"""From the centre, in radii."""

STEEPEST = 0.8
"""Sine of the greatest height above the horizon: from straight above nothing says which way is up."""


def viewpoints(cameras: Sequence[Camera], center: np.ndarray, radius: float, size: int) -> dict[str, Camera]:
    """Four cameras around a subject, in the frame of the given ones.

    Front is the mean direction of the given cameras, height included; the others are walked to around the
    upright axis, so that what was photographed from above does not lean when it is seen from the side.

    Args:
        cameras: those of the sensitive frames.
        center, radius: of the bounding sphere, which the pictures are filled with.
        size: pixels of each picture's side.
    """
    toward = np.mean([_unit(c.center - center) for c in cameras], axis=0)
    up = up_direction(cameras)
    height = np.clip(toward @ up, -STEEPEST, STEEPEST)
    if np.linalg.norm(toward) < 1e-3:  # they stand evenly around: any side may be the front
        toward = cameras[0].center - center
    toward = toward - (toward @ up) * up
    front = _unit(toward) if np.linalg.norm(toward) > 1e-6 else _unit(np.cross(up, [0.3, 0.5, 0.8]))
    side = np.cross(up, front)
    turns = {"front": 0, "three_quarter": 40, "side": 90, "rear": 180}
    result = {}
    for name, degrees in turns.items():
        angle = np.radians(degrees)
        level = np.cos(angle) * front + np.sin(angle) * side
        direction = np.sqrt(1 - height**2) * level + height * up
        result[name] = looking(center + DISTANCE * radius * direction, center, up, size)
    return result


def from_side(front: np.ndarray, degrees: float, size: int) -> Camera:
    """The camera `front`, a (4, 4) cam_from_world in the unit-sphere frame, walked around the sphere.

    Args:
        degrees: to the head's left, around the camera's own up.
        size: pixels of the picture's side.
    """
    up, toward = -front[1, :3], -front[2, :3]
    angle = np.radians(degrees)
    direction = np.cos(angle) * toward + np.sin(angle) * np.cross(up, toward)
    return looking(DISTANCE * direction, np.zeros(3), up, size)


def looking(eye: np.ndarray, center: np.ndarray, up: np.ndarray, size: int) -> Camera:
    """A camera at `eye` that looks at a center; from `DISTANCE` radii a ball fills its picture."""
    forward = _unit(center - eye)
    right = _unit(np.cross(forward, up))
    down = np.cross(forward, right)
    pose = np.eye(4)
    pose[:3, :3] = [right, down, forward]
    pose[:3, 3] = -pose[:3, :3] @ eye
    focal = 0.5 * size * DISTANCE
    return Camera(np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]]), size, size, pose)


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.linalg.norm(v)
