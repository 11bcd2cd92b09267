"""A picture of splats: colour, opacity, depth, normals and how far apart in depth lies what a ray meets."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sansface.capture import Camera
from sansface.splats import kernels, rasterise
from sansface.splats.projection import Pinhole, pinhole, project
from sansface.splats.splats import Splats

SOLID = 0.5
"""Least opacity of a pixel that has a depth."""


@dataclass(frozen=True, eq=False)
class Picture:
    """What a camera sees; the means are those of the blending weights."""

    colour: Float[Tensor, "h w 3"]  # sRGB, over black
    opacity: Float[Tensor, "h w"]
    disparity: Float[Tensor, "h w"]  # mean of 1 / z, inverse radii of the sphere; nothing below SOLID
    normal: Float[Tensor, "h w 3"]  # camera axes, towards the camera; not of unit length
    distortion: Float[Tensor, "h w"]  # Σ wᵢ wⱼ (zᵢ − zⱼ)², in squared radii to first order
    camera: Pinhole

    @property
    def solid(self) -> Tensor:
        """(h, w) bool: pixels that have a depth."""
        return self.opacity >= SOLID

    def facing(self) -> Float[Tensor, "h w 3"]:
        """Unit normals of the surface that the depths are, towards the camera; 0 on the border."""
        return facing(self.disparity, self.camera.rays)


def facing(disparity: Float[Tensor, "h w"], rays: Float[Tensor, "h w 3"]) -> Float[Tensor, "h w 3"]:
    """Unit normals by the differences of neighbouring points (eq. 15), in the rays' axes; 0 on the border."""
    points = rays / disparity.clamp(min=1e-3)[..., None]
    across, down = points[1:-1, 2:] - points[1:-1, :-2], points[2:, 1:-1] - points[:-2, 1:-1]
    return F.pad(F.normalize(torch.linalg.cross(down, across), dim=2), (0, 0, 1, 1, 1, 1))


def render(splats: Splats, camera: Camera, finer: int = 1) -> Picture:
    """The picture of a camera without distortion, differentiable.

    All that is blended is constant on a splat: its disparity is a plane over the picture, 1 / z = a · r, so
    the mean needs that of a, and the mean square that of a aᵀ. So one blending gives the depths where rays
    meet splats, and eq. 13's sum over all pairs: of squares it is Σ w Σ w m² − (Σ w m)². As in the paper's
    code m is a disparity. On a CUDA device with gsplat the blending is gsplat's.

    Args:
        finer: the low-pass filter is that of a picture so many times as large, an odd number.
    """
    seen_by = pinhole(camera, splats.centres)
    projection = project(splats, seen_by, finer)
    # Measured from the disparity of the sphere's middle, so that little is lost in the difference.
    middle = 1 / seen_by.origin.norm()
    plane = projection.disparity - middle * plane_of_one(projection.disparity)
    squares = torch.einsum("ni,nj->nij", plane, plane).flatten(1)[:, [0, 4, 8, 1, 2, 5]]
    features = torch.cat([splats.colours(seen_by.origin), projection.normal, plane, squares], dim=1)
    if kernels.usable(splats.centres, camera):
        blended, opacity = kernels.blend(splats, seen_by, features, finer)
    else:
        blended, opacity = rasterise.blend(projection, features, camera.width, camera.height)

    colour, normal, plane, squares = blended.split([3, 3, 3, 6], dim=2)
    x, y, _ = seen_by.rays.unbind(dim=2)
    mean = (plane * seen_by.rays).sum(dim=2)
    products = torch.stack([x * x, y * y, torch.ones_like(x), 2 * x * y, 2 * x, 2 * y], dim=2)
    spread = opacity * (squares * products).sum(dim=2) - mean.square()
    return Picture(
        colour=colour,
        opacity=opacity,
        disparity=middle + mean / opacity.clamp(min=1e-6),
        normal=normal,
        distortion=spread.clamp(min=0) / middle**4,
        camera=seen_by,
    )


def plane_of_one(like: Tensor) -> Tensor:
    """(3,) a of the plane 1 / z = 1."""
    return like.new_tensor([0.0, 0.0, 1.0])


@torch.no_grad()
def seen_normals(splats: Splats, camera: Camera) -> np.ndarray:
    """(h, w, 3) float32 unit normals in the unit-sphere frame, NaN where a pixel has no depth."""
    picture = render(splats, camera)
    normal = F.normalize(picture.normal @ picture.camera.rotation, dim=2)
    normal[~picture.solid] = torch.nan
    return normal.cpu().numpy()
