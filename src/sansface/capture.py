"""What every part exchanges: a camera, a photograph with its role, a capture.

Conventions, everywhere in the package: OpenCV axes (+x right, +y down, +z forward), `cam_from_world`,
pixel centres at +0.5 (the first pixel's centre is (0.5, 0.5)), masks 255 = subject.
Other conventions live only in `sansface.formats`. This module imports nothing that can read a picture.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from sansface.errors import SansfaceError

UNITS = ("unknown", "arbitrary", "mm", "cm", "m", "in")
"""The units that a capture's world can be in. A closed list, because the unit travels to the server."""

MILLIMETRES = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "in": 25.4}
"""In each of the units whose length is known."""

RIGID_TOLERANCE = 1e-4
"""Largest entry of R Rᵀ − I that still counts as a rotation; files with six digits stay below it."""

MAX_SIDE = 32766
"""Longest image side in pixels: OpenCV undistorts no longer one."""


class Role(StrEnum):
    """What a photograph shows. Whatever is not labelled is sensitive."""

    NEUTRAL = "neutral"  # of a head its rear: no nose, eye, brow or lip, not even in profile
    SENSITIVE = "sensitive"


def counted(roles: Iterable[Role]) -> tuple[int, int]:
    """How many are neutral, and how many sensitive."""
    neutral = [role is Role.NEUTRAL for role in roles]
    return sum(neutral), len(neutral) - sum(neutral)


def _array(value: Any, shape: tuple[int, ...], name: str) -> np.ndarray:
    """A read-only float64 copy of the given shape, all finite; SansfaceError otherwise."""
    try:
        result = np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise SansfaceError(f"{name} is not an array of numbers; correct the camera file.") from error
    if result.shape != shape:
        raise SansfaceError(f"{name} has shape {result.shape} instead of {shape}; correct the camera file.")
    if not np.isfinite(result).all():
        raise SansfaceError(f"{name} holds a number that is not finite; correct the camera file.")
    result.flags.writeable = False
    return result


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera with Brown's distortion.

    x_cam = R x_world + t, pixel = K x_cam / z_cam, with the first pixel's centre at (0.5, 0.5).

    Attributes:
        K: (3, 3) float64 intrinsics in pixels, read-only.
        width, height: image size in pixels.
        cam_from_world: (4, 4) float64 rigid motion [R t; 0 1], OpenCV axes, read-only.
        distortion: (5,) float64 k1, k2, p1, p2, k3 as OpenCV defines them.

    Raises:
        SansfaceError: a wrong shape, a number that is not finite, a focal length that is not positive,
            or a pose that is singular, scaled or mirrored.
    """

    K: np.ndarray
    width: int
    height: int
    cam_from_world: np.ndarray
    distortion: np.ndarray = field(default_factory=lambda: np.zeros(5))

    def __post_init__(self) -> None:
        K = _array(self.K, (3, 3), "the intrinsic matrix K")
        pose = _array(self.cam_from_world, (4, 4), "the pose")
        set_ = object.__setattr__
        set_(self, "K", K)
        set_(self, "cam_from_world", pose)
        set_(self, "distortion", _array(self.distortion, (5,), "the distortion"))
        for name in ("width", "height"):
            side = getattr(self, name)
            whole = isinstance(side, (int, np.integer)) and not isinstance(side, bool)
            if not whole or not 1 <= side <= MAX_SIDE:
                said = str(side)[:40]
                raise SansfaceError(
                    f"the image {name} {said!r} is not a whole number from 1 to {MAX_SIDE}; correct it."
                )
            set_(self, name, int(side))
        if K[0, 0] <= 0 or K[1, 1] <= 0 or K[1, 0] != 0 or (K[2] != (0.0, 0.0, 1.0)).any():
            raise SansfaceError(
                "the matrix K is not [fx s cx; 0 fy cy; 0 0 1] with positive focal lengths; correct it."
            )
        _check_rigid(pose)

    @property
    def center(self) -> np.ndarray:
        """(3,) float64, the camera's centre −Rᵀ t in the world."""
        R, t = self.cam_from_world[:3, :3], self.cam_from_world[:3, 3]
        return -R.T @ t

    def resized(self, width: int, height: int) -> "Camera":
        """The camera of the same picture at another size.

        With pixel centres at +0.5, a resize is exactly u' = u · width' / width, so the rows of K are
        multiplied by s_x = width' / width and s_y = height' / height, principal point included.
        Distortion acts on normalised coordinates and stays.
        """
        scale = np.diag([width / self.width, height / self.height, 1.0])
        return Camera(scale @ self.K, width, height, self.cam_from_world, self.distortion)

    def cropped(self, left: int, top: int, width: int, height: int) -> "Camera":
        """The camera of a part of the same picture, which may reach beyond it."""
        K = np.array(self.K)
        K[:2, 2] -= left, top
        return Camera(K, width, height, self.cam_from_world, self.distortion)

    def normalized(self, center: np.ndarray, radius: float) -> "Camera":
        """The same camera where the world is x_norm = (x_world − center) / radius.

        Depths shrink by `radius` and pixels stay where they are: R' = R, t' = (R center + t) / radius.
        """
        pose = np.array(self.cam_from_world)
        pose[:3, 3] = (pose[:3, :3] @ np.asarray(center, dtype=np.float64) + pose[:3, 3]) / radius
        return Camera(self.K, self.width, self.height, pose, self.distortion)

    def grid(self, columns: int | None = None, rows: int | None = None) -> np.ndarray:
        """Centres of so many cells over the picture, row by row; of its pixels if nothing is said.

        Returns:
            (rows · columns, 2) float64 pixels.
        """
        columns, rows = columns or self.width, rows or self.height
        x = (np.arange(columns) + 0.5) * self.width / columns
        y = (np.arange(rows) + 0.5) * self.height / rows
        return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Project world points, without distortion: pictures are undistorted before anything is projected.

        Args:
            points: (n, 3) world points.

        Returns:
            (n, 2) float64 pixels, without meaning where the depth is not positive, and
            (n,) float64 depths z_cam.
        """
        R, t = self.cam_from_world[:3, :3], self.cam_from_world[:3, 3]
        local = np.asarray(points, dtype=np.float64) @ R.T + t
        depth = local[:, 2]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            pixels = (local @ self.K.T)[:, :2] / depth[:, None]
        return pixels, depth

    def rays(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """World rays through pixels, without distortion.

        Args:
            pixels: (n, 2) pixel positions; (0.5, 0.5) is the centre of the first pixel.

        Returns:
            (n, 3) float64 origins, all the camera's centre, and (n, 3) float64 unit directions.
        """
        pixels = np.asarray(pixels, dtype=np.float64)
        local = np.column_stack([pixels, np.ones(len(pixels))]) @ np.linalg.inv(self.K).T
        directions = local @ self.cam_from_world[:3, :3]
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        return np.broadcast_to(self.center, directions.shape).copy(), directions


def _check_rigid(pose: np.ndarray) -> None:
    R = pose[:3, :3]
    if (pose[3] != (0.0, 0.0, 0.0, 1.0)).any():
        raise SansfaceError("the pose's last row is not 0 0 0 1; give a rigid 4 × 4 matrix.")
    with np.errstate(over="ignore", invalid="ignore"):
        error = np.abs(R @ R.T - np.eye(3)).max()
    if not error <= RIGID_TOLERANCE:
        kind = "singular" if abs(R).max() < 2 and abs(np.linalg.det(R)) < 1e-6 else "scaled or sheared"
        raise SansfaceError(f"the pose is {kind}, not rotation and translation; give a rigid 4 × 4 matrix.")
    if np.linalg.det(R) < 0:
        raise SansfaceError(
            "the pose is mirrored (determinant −1); flip one axis of the world or the camera."
        )


@dataclass(frozen=True, eq=False)
class Sphere:
    """A sphere around the subject, in the world. Geometry is looked for only inside it.

    Attributes:
        center: (3,) float64.
        radius: in world units, positive.
        source: how it was found: `masks` (visual hull), `cameras` (their common view) or `given`.
    """

    center: np.ndarray
    radius: float
    source: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "center", _array(self.center, (3,), "the sphere's center"))
        try:
            radius = float(self.radius)
        except (TypeError, ValueError, OverflowError):
            radius = 0.0
        if not 0 < radius < float("inf"):
            raise SansfaceError(
                f"the sphere's radius {str(self.radius)[:40]!r} is not a positive number; give one."
            )
        object.__setattr__(self, "radius", radius)
        if self.source not in ("masks", "cameras", "given"):
            raise SansfaceError(
                f"the sphere's source {str(self.source)[:40]!r} is not one of masks, cameras, given."
            )


@dataclass(frozen=True, eq=False)
class Frame:
    """One photograph on the client's disk: where it is, its mask if it has one, its camera and role.

    Where `image` is a video, `video_frame` counts its frames from 0.
    """

    camera: Camera
    role: Role
    image: Path
    mask: Path | None = None
    video_frame: int | None = None


@dataclass(frozen=True, eq=False)
class Capture:
    """Photographs of one subject from several sides.

    Attributes:
        frames: sorted by file name.
        unit: one of `UNITS`.
        sphere: bounding sphere if the capture states one.
        meta: what `meta.json` beside the capture says, if there is one; never leaves the client.
    """

    frames: tuple[Frame, ...]
    unit: str = "unknown"
    sphere: Sphere | None = None
    meta: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.frames:
            raise SansfaceError("the capture holds no frame; list at least one photograph.")
        if self.unit not in UNITS:
            raise SansfaceError(f"the unit {self.unit!r} is not one of {', '.join(UNITS)}; choose one.")

    @property
    def millimetre(self) -> float | None:
        """Its length in the world's unit: what meta.json says in `units_per_mm`, else what the unit says."""
        said = self.meta.get("units_per_mm")
        if isinstance(said, int | float) and not isinstance(said, bool) and said > 0:
            return float(said)
        return 1 / MILLIMETRES[self.unit] if self.unit in MILLIMETRES else None
