"""The bounding sphere: from the visual hull of the masks, else from what all cameras look at."""

import numpy as np

from sansface.capture import Camera, Sphere
from sansface.errors import SansfaceError

GRIDS = (32, 64)
"""Voxels along each axis of the first carving grid, and of the one that fits."""
MARGIN = 1.05
"""The sphere is this much larger than the hull."""
SEEN = 2 / 3
"""Part of the cameras that must see a place; with less, the cones between opposite cameras count as hull."""
NEAREST = 0.9
"""The sphere reaches at most this part of the way to the nearest camera, ..."""
LEAST = 0.5
"""... but is at least this part as large as what was found: a camera within has a wrong pose."""


def sphere_from_masks(cameras: list[Camera], masks: list[np.ndarray]) -> Sphere | None:
    """The sphere around the visual hull, by voxel carving on a coarse grid and again on one that fits.

    A camera carves away a voxel whose centre projects into its picture, but not within a pixel of the
    subject. A voxel outside a picture is not carved by it, for the picture may cut the subject (neck,
    shoulders); but `SEEN` of the cameras must see it.

    Args:
        cameras: without distortion, in the world.
        masks: for each camera (h, w) uint8 coverage, 0 = background.

    Returns:
        None if nothing remains: the masks or poses contradict each other.

    Raises:
        SansfaceError: the cameras' axes do not meet (see `sphere_from_cameras`).
    """
    start = sphere_from_cameras(cameras)
    wide = [_widened(mask > 0) for mask in masks]
    low, high = start.center - 1.6 * start.radius, start.center + 1.6 * start.radius
    points, voxel = np.zeros((0, 3)), np.zeros(3)
    for voxels in GRIDS:
        voxel = (high - low) / voxels
        points = _carve(_grid(low, high, voxels), cameras, wide)
        if not len(points):
            return None
        low, high = points.min(axis=0) - voxel, points.max(axis=0) + voxel
    center = (points.min(axis=0) + points.max(axis=0)) / 2
    radius = float(np.linalg.norm(points - center, axis=1).max() + np.linalg.norm(voxel) / 2)
    return Sphere(center, _outside_cameras(MARGIN * radius, center, cameras), "masks")


def sphere_from_cameras(cameras: list[Camera]) -> Sphere:
    """The sphere that the cameras look at: where rays through their pictures' middles nearly meet.

    Of a picture that was cut out of a larger one the middle ray is not the optical axis. The center is the
    least-squares point nearest to all rays; the radius is the median half width, at the center's depth, of
    what a picture's shorter side sees.

    Raises:
        SansfaceError: the axes are parallel, or meet behind the cameras.
    """
    centers = np.stack([camera.center for camera in cameras])
    axes = np.stack([_middle_ray(camera) for camera in cameras])
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    total = across.sum(axis=0)
    if np.linalg.eigvalsh(total)[0] < 1e-3 * len(cameras):
        raise SansfaceError(
            "the cameras' axes do not meet, so no sphere can be found; give center and radius."
        )
    center = np.linalg.solve(total, np.einsum("nij,nj->i", across, centers))
    depth = np.einsum("ni,ni->n", center - centers, axes)
    if np.median(depth) <= 0:
        raise SansfaceError(
            "the cameras look away from each other; check the poses, or give center and radius."
        )
    half = [min(camera.width / camera.K[0, 0], camera.height / camera.K[1, 1]) / 2 for camera in cameras]
    radius = float(np.median(np.maximum(depth, 0) * half))
    return Sphere(center, _outside_cameras(radius, center, cameras), "cameras")


def _middle_ray(camera: Camera) -> np.ndarray:
    """(3,) unit vector in the world, without distortion."""
    ray = np.linalg.solve(camera.K, [camera.width / 2, camera.height / 2, 1.0])
    return camera.cam_from_world[:3, :3].T @ (ray / np.linalg.norm(ray))


def _outside_cameras(radius: float, center: np.ndarray, cameras: list[Camera]) -> float:
    nearest = min(np.linalg.norm(camera.center - center) for camera in cameras)
    return float(max(LEAST * radius, min(radius, NEAREST * nearest)))


def _grid(low: np.ndarray, high: np.ndarray, voxels: int) -> np.ndarray:
    """(voxels³, 3) voxel centres of a box."""
    steps = (np.arange(voxels) + 0.5) / voxels
    axes = [low[axis] + steps * (high[axis] - low[axis]) for axis in range(3)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


def _carve(points: np.ndarray, cameras: list[Camera], masks: list[np.ndarray]) -> np.ndarray:
    """Those of the points that no camera carves away and `SEEN` of the cameras see."""
    x, y, z = np.ascontiguousarray(points.T)
    seen = np.zeros(len(x), dtype=np.int32)
    for camera, mask in zip(cameras, masks, strict=True):
        # Camera.project, written out: products with three columns are slower through BLAS
        P = camera.K @ camera.cam_from_world[:3]
        u, v, depth = (row[0] * x + row[1] * y + row[2] * z + row[3] for row in P)
        ahead = np.maximum(depth, 1e-12)
        column, row = np.floor(u / ahead), np.floor(v / ahead)
        inside = (depth > 0) & (column >= 0) & (row >= 0) & (column < camera.width) & (row < camera.height)
        keep = ~inside
        keep[inside] = mask[row[inside].astype(np.intp), column[inside].astype(np.intp)]
        x, y, z, seen = x[keep], y[keep], z[keep], (seen + inside)[keep]
    return np.column_stack([x, y, z])[seen >= SEEN * len(cameras)]


def _widened(mask: np.ndarray) -> np.ndarray:
    """True within one pixel of True."""
    height, width = mask.shape
    padded = np.pad(mask, 1)
    result = np.zeros_like(mask)
    for row in range(3):
        for column in range(3):
            result |= padded[row : row + height, column : column + width]
    return result
