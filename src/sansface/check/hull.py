"""The visual hull in voxels: for the picture, and for each mask's overlap with what the other masks carve."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from sansface.capture import Sphere
from sansface.check.silhouettes import Silhouette, signed_distance

VOXELS = 72
"""Along each axis."""
EDGE = 1.15
"""Half the side of the voxels' cube, in radii of the sphere that the cameras look at."""


@dataclass(frozen=True, eq=False)
class Hull:
    """Voxels that at most one frame carves away.

    Attributes:
        points: (n, 3) centres in the world.
        carver: (n,) the frame that carves the voxel away, -1 for none: those are the hull.
        side: of a voxel, in world units.
    """

    points: np.ndarray
    carver: np.ndarray
    side: float

    @property
    def solid(self) -> np.ndarray:
        """(n, 3) the voxels that no frame carves away."""
        return self.points[self.carver < 0]


def carve(silhouettes: Sequence[Silhouette], frames: Sequence[int], sphere: Sphere) -> Hull:
    """Carve the hull of some frames; a voxel is carved away whose centre lies outside a mask."""
    steps = ((np.arange(VOXELS) + 0.5) / VOXELS * 2 - 1) * EDGE * sphere.radius
    points = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    points = points[(points**2).sum(axis=1) < (EDGE * sphere.radius) ** 2] + sphere.center
    side = 2 * EDGE * sphere.radius / VOXELS
    carver = np.full(len(points), -1)
    for frame in frames:
        if not len(points):
            break
        camera = silhouettes[frame].camera
        P = camera.K @ camera.cam_from_world[:3]
        rows = [(points @ row[:3] + row[3])[:, None] for row in P]
        inside = np.concatenate(
            [
                signed_distance(silhouettes[frame], *(row[start : start + 30000] for row in rows))[:, 0] >= 0
                for start in range(0, len(points), 30000)
            ]
        )
        keep = inside | (carver < 0)
        points, carver, inside = points[keep], carver[keep], inside[keep]
        carver = np.where(inside, carver, frame)
    return Hull(points, carver, side)


def overlap(hull: Hull, index: int, one: Silhouette) -> float:
    """Intersection over union of a mask with the picture of the hull that the other frames carve.

    As coarse as the voxels are; the outlines' distances are the exact numbers.
    """
    points = hull.points[(hull.carver < 0) | (hull.carver == index)]
    pixels, depth = one.camera.project(points)
    shrink = one.camera.K[0, 0] / np.median(depth) * hull.side if len(points) else 1.0  # pixels of a voxel
    width, height = (max(1, round(side / shrink)) for side in (one.camera.width, one.camera.height))
    column, row = np.floor(pixels * (width / one.camera.width, height / one.camera.height)).astype(int).T
    seen = (depth > 0) & (column >= 0) & (row >= 0) & (column < width) & (row < height)
    picture = np.zeros((height, width), np.uint8)
    picture[row[seen], column[seen]] = 1
    picture = cv2.morphologyEx(picture, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)) > 0
    mask = (
        cv2.resize((one.distance > 0).astype(np.float32), (width, height), interpolation=cv2.INTER_AREA) > 0.5
    )
    return float((picture & mask).sum() / max(1, (picture | mask).sum()))
