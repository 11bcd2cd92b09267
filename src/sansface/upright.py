"""Which way is up, as the cameras were held, and frames that stand upright."""

from collections.abc import Sequence

import numpy as np

from sansface.capture import Camera

LEVEL = 0.2
"""Least spread of the cameras' horizontal axes for up to be what is perpendicular to all of them."""


def up_direction(cameras: Sequence[Camera]) -> np.ndarray:
    """(3,) unit vector: up for people who hold their cameras level.

    It is perpendicular to the pictures' horizontal axes, which holds for cameras that look down or up, too;
    where those all point one way, it is the mean of the pictures' upward axes. Where those in turn point
    every way, all around the subject, the photographs lie on their side: as phones store them that are held
    upright, with what was above on the left.
    """
    upward = -np.mean([camera.cam_from_world[1, :3] for camera in cameras], axis=0)
    across = np.stack([camera.cam_from_world[0, :3] for camera in cameras])
    values, axes = np.linalg.eigh(across.T @ across / len(across))
    level = axes[:, 0] if axes[:, 0] @ upward >= 0 else -axes[:, 0]
    if values[1] > LEVEL and values[0] < LEVEL / 2:
        return level
    length = float(np.linalg.norm(upward))
    if length < LEVEL and values[2] > 1 - LEVEL:
        return axes[:, 2] * -np.copysign(1.0, across.mean(axis=0) @ axes[:, 2])
    return upward / length if length > 0 else level


def upright(up: np.ndarray, towards: np.ndarray) -> np.ndarray:
    """(3, 3) rotation of columns x, y = up, and z as near to `towards` as that allows; z is any where
    `towards` is up.
    """
    level = towards - (towards @ up) * up
    if np.linalg.norm(level) < 1e-6:
        level = np.eye(3)[np.argmin(np.abs(up))]
        level = level - (level @ up) * up
    z = level / np.linalg.norm(level)
    return np.column_stack([np.cross(up, z), up, z])
