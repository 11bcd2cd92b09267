"""The way back from a bundle's normalised frame to the user's own, which stays with the user.

Place, direction, size and unit of the world say where and how photographs were taken: a capture may be
geo-referenced. So a bundle has the unit sphere, turned upright by what the cameras themselves say, and this
file has the rest.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sansface.capture import RIGID_TOLERANCE, UNITS, Camera, Role
from sansface.errors import SansfaceError
from sansface.files import read_json, write_json
from sansface.protect.contents import MAX_WORLD, Bundle
from sansface.upright import up_direction, upright

SCHEMA = 1
NORMALISED = "arbitrary"
"""The unit of a bundle that does not say its user's: the radius of its sphere."""


@dataclass(frozen=True, eq=False)
class UserFrame:
    """x_world = center + radius · rotation x_norm.

    Attributes:
        center: (3,) float64, in the user's unit.
        radius: positive, in that unit.
        rotation: (3, 3) float64.
        unit: one of `sansface.capture.UNITS`.

    Raises:
        SansfaceError: one of them is not so.
    """

    center: np.ndarray
    radius: float
    rotation: np.ndarray
    unit: str

    def __post_init__(self) -> None:
        center, rotation = (np.array(value, dtype=np.float64) for value in (self.center, self.rotation))
        rigid = (
            rotation.shape == (3, 3) and np.abs(rotation @ rotation.T - np.eye(3)).max() <= RIGID_TOLERANCE
        )
        if (
            center.shape != (3,)
            or not np.abs(center).max() <= MAX_WORLD
            or not 0 < float(self.radius) <= MAX_WORLD
            or not rigid
            or np.linalg.det(rotation) < 0
            or self.unit not in UNITS
        ):
            raise SansfaceError(
                "the frame is not a center, a positive radius, a rotation and a unit; protect again."
            )
        object.__setattr__(self, "center", center)
        object.__setattr__(self, "rotation", rotation)


def without_frame(bundle: Bundle) -> tuple[Bundle, UserFrame]:
    """The same bundle in a frame that says nothing of the world, and the way back.

    Its axes follow from the cameras alone: +y is up as they were held, +z is towards the cameras of the
    sensitive photographs.
    """
    cameras = [frame.camera for frame in bundle.frames]
    before = [frame.camera for frame in bundle.frames if frame.role is Role.SENSITIVE]
    towards = np.mean([camera.center / np.linalg.norm(camera.center) for camera in before], axis=0)
    rotation = upright(up_direction(cameras), towards)
    frames = tuple(replace(frame, camera=_turned(frame.camera, rotation)) for frame in bundle.frames)
    frame = UserFrame(bundle.center, bundle.radius, rotation, bundle.unit)
    return replace(bundle, frames=frames, center=np.zeros(3), radius=1.0, unit=NORMALISED), frame


def write_frame(frame: UserFrame, path: str | Path, digest: str) -> None:
    """Write the way back.

    Args:
        digest: SHA-256 of the bundle to which it belongs.

    Raises:
        SansfaceError: the file cannot be written.
    """
    write_json(
        path,
        {
            "schema": SCHEMA,
            "bundle": digest,
            "center": frame.center.tolist(),
            "radius": float(frame.radius),
            "rotation": frame.rotation.tolist(),
            "unit": frame.unit,
        },
    )


def read_frame(path: str | Path, digest: str) -> UserFrame:
    """Read the way back.

    Args:
        digest: SHA-256 of the bundle for which it is wanted.

    Raises:
        SansfaceError: unreadable, of another bundle, or not a frame.
    """
    document: Any = read_json(path)
    try:
        of, frame = (
            document["bundle"],
            {key: document[key] for key in ("center", "radius", "rotation", "unit")},
        )
    except (TypeError, KeyError) as error:
        raise SansfaceError(
            f"{path} is not the frame of a bundle; give what sansface protect wrote."
        ) from error
    if of != digest:
        raise SansfaceError(f"{path} belongs to another bundle; give the one that was written with this one.")
    try:
        return UserFrame(**frame)
    except (SansfaceError, TypeError, ValueError, OverflowError) as error:
        raise SansfaceError(f"{path} is damaged: {error}") from error


def _turned(camera: Camera, rotation: np.ndarray) -> Camera:
    pose = np.array(camera.cam_from_world)
    pose[:3, :3] = pose[:3, :3] @ rotation
    return Camera(camera.K, camera.width, camera.height, pose, camera.distortion)
