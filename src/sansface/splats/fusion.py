"""Depth pictures fused into a signed distance (Curless & Levoy 1996), and its zero set as a mesh."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sansface.capture import Camera
from sansface.evaluate.viewpoints import DISTANCE, looking
from sansface.reconstruct.supervision import Supervision
from sansface.splats.projection import Pinhole, pinhole, project
from sansface.splats.rasterise import front
from sansface.splats.render import SOLID, facing
from sansface.splats.splats import Splats
from sansface.surface import Mesh, extract

FINER = 5
"""Of the depth pictures: their outlines are as narrow as the splats say."""
AROUND = 24
"""Cameras on a sphere, beside the views' own: for what those saw too flatly, such as the crown."""
TRUNCATION = 0.05
"""Farther than this behind a depth nothing is known of it; in radii."""
APART = 0.05
"""Splats so near to the median one along a ray make the same surface, in radii."""
GRAZING = 0.2
"""A surface seen under a smaller cosine, such as the one between two sides of an edge, has no depth."""


@dataclass(frozen=True, eq=False)
class Depths:
    """One picture: disparity, what has a depth, what is empty, the cosine under which it was seen."""

    camera: Pinhole
    planes: Tensor  # (4, h, w)


def fuse(splats: Splats, supervision: Supervision, cells: int) -> Mesh:
    """The surface between free space and what no camera sees into, every component, in the unit-sphere frame.

    Raises:
        SansfaceError: there is no surface.
    """
    cameras = [view.camera for view in supervision.views]
    side = max(max(camera.width, camera.height) for camera in cameras)
    cameras += around(AROUND, side)
    pictures = [depths(splats, camera) for camera in cameras]
    device = splats.centres.device

    def distance(points: np.ndarray) -> np.ndarray:
        parts = torch.from_numpy(points).to(device).split(1 << 16)
        return torch.cat([signed_distance(pictures, part) for part in parts]).cpu().numpy()

    return extract(distance, cells)


@torch.no_grad()
def depths(splats: Splats, camera: Camera) -> Depths:
    """What one camera says of depth."""
    hole = pinhole(camera, splats.centres)
    disparity, opacity = front(project(splats, hole, FINER), hole.rays, APART)
    cosine = -(facing(disparity, hole.rays) * F.normalize(hole.rays, dim=2)).sum(dim=2)
    there = opacity >= SOLID
    solid = there & (cosine > GRAZING)
    return Depths(hole, torch.stack([disparity, solid.float(), (~there).float(), cosine * solid]))


@torch.no_grad()
def signed_distance(pictures: Sequence[Depths], points: Tensor) -> Tensor:
    """(n,) the mean distance to the depths along their rays, each at most ± `TRUNCATION`, negative behind.

    A depth counts by the cosine under which it was seen, empty background as free space, what lies farther
    behind a depth not at all; what nobody sees is inside.
    """
    total, weight = torch.zeros(len(points)).to(points), torch.full((len(points),), 1e-6).to(points)
    total -= TRUNCATION * weight
    for picture in pictures:
        camera = picture.camera
        local = points @ camera.rotation.T + camera.shift
        pixel = local @ camera.K.T
        place = 2 * pixel[:, :2] / pixel[:, 2:] / pixel.new_tensor([camera.width, camera.height]) - 1
        sampled = F.grid_sample(picture.planes[None], place[None, None], align_corners=False)[0, :, 0]
        disparity, solid, empty, cosine = sampled
        along = (1 / disparity.clamp(min=1e-3) - local[:, 2]) * local.norm(dim=1) / local[:, 2]
        near = (solid > 0.99) & (along > -TRUNCATION)
        total += torch.where(near, cosine * along.clamp(max=TRUNCATION), 0.0) + TRUNCATION * (empty > 0.99)
        weight += torch.where(near, cosine, 0.0) + (empty > 0.99)
    return total / weight


def around(count: int, side: int) -> list[Camera]:
    """Cameras evenly over a sphere, on a spiral, that look at the middle."""
    number = np.arange(count) + 0.5
    height, turn = 1 - 2 * number / count, np.pi * (1 + 5**0.5) * number
    radius = np.sqrt(1 - height**2)
    toward = np.stack([radius * np.cos(turn), height, radius * np.sin(turn)], axis=1)
    # Which way is up does not matter, if only it is not along the view.
    ups = np.eye(3)[np.abs(toward).argmin(axis=1)]
    return [looking(DISTANCE * d, np.zeros(3), up, side) for d, up in zip(toward, ups, strict=True)]
