"""Splats as one camera sees them: which ray meets which splat where (Huang et al. 2024, sec. 4.2).

With M = K [s_u R t_u, s_v R t_v, R c + t] a point (u, v) of a splat's plane is seen at the pixel (x, y) where
M (u, v, 1)ᵀ = z (x, y, 1)ᵀ. So the ray through a pixel meets the plane at (u, v, 1) ∝ adj(M) (x, y, 1)ᵀ: what
eq. 8-10 there get as the meeting of three planes, and no inverse that an edge-on splat would make infinite.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sansface.capture import Camera
from sansface.splats.splats import Splats

FAINT = 1 / 255
"""Least opacity at a pixel that counts."""
NEAR = 0.05
"""Least depth of a splat's centre, in radii of the sphere."""
GRAZING = 0.1
"""Where |cos| between the normal and the ray to the centre is less, the depth at the centre stands for all of
the splat: what the plane says beside it would be wild."""


@dataclass(frozen=True, eq=False)
class Pinhole:
    """A camera without distortion on the device."""

    width: int
    height: int
    K: Float[Tensor, "3 3"]
    rotation: Float[Tensor, "3 3"]
    shift: Float[Tensor, " 3"]
    origin: Float[Tensor, " 3"]
    rays: Float[Tensor, "h w 3"]  # through pixel centres, in camera axes, z = 1


def pinhole(camera: Camera, like: Tensor) -> Pinhole:
    """A camera as tensors of the kind and on the device of another one."""
    pixels = np.insert(camera.grid(), 2, 1, axis=1).reshape(camera.height, camera.width, 3)
    pose = camera.cam_from_world
    arrays = camera.K, pose[:3, :3], pose[:3, 3], camera.center, pixels @ np.linalg.inv(camera.K).T
    tensors = (torch.from_numpy(np.array(a)).to(like) for a in arrays)
    return Pinhole(camera.width, camera.height, *tensors)


@dataclass(frozen=True, eq=False)
class Projection:
    """Splats in a picture, x to the right and y down in pixels."""

    adjugate: Float[Tensor, "n 3 3"]  # of M, rows for u, v and 1
    centre: Float[Tensor, "n 2"]
    opacity: Float[Tensor, " n"]
    depth: Float[Tensor, " n"]  # z of the centre, radii of the sphere
    normal: Float[Tensor, "n 3"]  # camera axes, towards the camera
    disparity: Float[Tensor, "n 3"]  # a: 1 / z of the plane is a · (x_cam, y_cam, 1) along that ray
    low: Float[Tensor, "n 2"]  # box of all places whose opacity counts, no graph
    high: Float[Tensor, "n 2"]
    seen: Bool[Tensor, " n"]  # in front of the camera, not too faint, box within the picture
    finer: int  # the low-pass filter is that of a picture so many times as large


def project(splats: Splats, camera: Pinhole, finer: int = 1) -> Projection:
    """Splats in the picture of a camera."""
    axes = camera.rotation @ splats.axes()
    place = splats.centres @ camera.rotation.T + camera.shift
    tangents = axes[:, :, :2] * splats.scales()[:, None]
    matrix = camera.K @ torch.cat([tangents, place[:, :, None]], dim=2)
    a, b, c = matrix.unbind(dim=2)
    adjugate = torch.stack([torch.linalg.cross(*pair) for pair in ((b, c), (c, a), (a, b))], dim=1)
    depth, opacity = place[:, 2], splats.opacities()
    seen = (depth > NEAR) & (opacity >= FAINT)
    safe = torch.where(seen, depth, torch.ones_like(depth))
    centre = c[:, :2] / safe[:, None]

    normal = axes[:, :, 2]
    along = (normal * place).sum(dim=1)
    steep = along.square() > GRAZING**2 * place.square().sum(dim=1)
    plane = normal / torch.where(steep, along, torch.ones_like(along))[:, None]
    forward = place.new_tensor([0.0, 0.0, 1.0]) / safe[:, None]
    disparity = torch.where(steep[:, None], plane, forward)

    low, high = _box(matrix.detach(), centre.detach(), opacity.detach(), finer)
    size = low.new_tensor([camera.width, camera.height])
    seen = seen & (high > 0).all(dim=1) & (low < size).all(dim=1)
    towards = torch.where(along > 0, -1.0, 1.0)[:, None]
    return Projection(adjugate, centre, opacity, depth, normal * towards, disparity, low, high, seen, finer)


def _box(matrix: Tensor, centre: Tensor, opacity: Tensor, finer: int) -> tuple[Tensor, Tensor]:
    """Low and high corner (n, 2) of where the opacity is `FAINT` or more.

    The ellipse u² + v² = r² is a conic whose dual in the picture is M diag(r², r², −1) Mᵀ; the tangents along
    x and y are read off it. The low-pass filter's disc is added.
    """
    reach = 2 * (opacity / FAINT).clamp(min=1).log()
    weight = torch.stack([reach, reach, -torch.ones_like(reach)], dim=1)
    rows = matrix.unbind(dim=1)
    corner = (weight * rows[2] * rows[2]).sum(dim=1)  # negative if all of the splat is before the camera
    before = corner < 0
    corner = torch.where(before, corner, -torch.ones_like(corner))
    middle = torch.stack([(weight * row * rows[2]).sum(dim=1) for row in rows[:2]], dim=1) / corner[:, None]
    square = torch.stack([(weight * row * row).sum(dim=1) for row in rows[:2]], dim=1) / corner[:, None]
    half = (middle.square() - square).clamp(min=0).sqrt()
    disc = (reach / 2).sqrt()[:, None] / finer
    low, high = torch.minimum(middle - half, centre - disc), torch.maximum(middle + half, centre + disc)
    # One that passes the camera's plane may be anywhere.
    far = low.new_tensor(1e9)
    return torch.where(before[:, None], low, -far), torch.where(before[:, None], high, far)
