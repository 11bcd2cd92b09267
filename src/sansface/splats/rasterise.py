"""The plain rasteriser: alpha blending of splats, front to back, in PyTorch, differentiable by autograd.

It runs anywhere, and is what `kernels` is compared with. First it is found, without a graph, which splats
count at which pixel; only those are computed once more with their derivatives.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from sansface.splats.projection import FAINT, Projection

OPAQUE = 0.999
"""Largest opacity of a splat at a pixel."""
DARK = 1e-4
"""What is left of the light behind the last splat that counts at a pixel is more than this."""


def blend(
    projection: Projection, features: Float[Tensor, "n c"], width: int, height: int
) -> tuple[Float[Tensor, "h w c"], Float[Tensor, "h w"]]:
    """Σ w f and Σ w of the splats at each pixel's centre; w = α Π (1 − α), over all nearer ones."""
    splat, pixel, starts = pairs(projection, width, height)
    alpha = opacity_at(_table(projection), splat, pixel, width, projection.finer)
    weight = alpha * passing(alpha, starts, pixel)
    # An opacity is blended as a feature of one.
    features = torch.cat([features, torch.ones_like(features[:, :1])], dim=1)
    blended = F.embedding_bag(splat, features, starts[:-1], mode="sum", per_sample_weights=weight)
    blended = blended.view(height, width, -1)
    return blended[..., :-1], blended[..., -1]


@torch.no_grad()
def front(
    projection: Projection, rays: Float[Tensor, "h w 3"], apart: float
) -> tuple[Float[Tensor, "h w"], Float[Tensor, "h w"]]:
    """The disparity of the first surface, and the opacity; meaningless below an opacity of ½.

    The mean over all splats whose depth is at most `apart` from the median one, behind which half of the
    light is gone. One over all would count the little that shines through to the far side of the head.

    Args:
        rays: through pixel centres, in camera axes, z = 1.
    """
    height, width, _ = rays.shape
    splat, pixel, starts = pairs(projection, width, height)
    alpha = opacity_at(_table(projection), splat, pixel, width, projection.finer)
    light = passing(alpha, starts, pixel)
    disparity = (projection.disparity[splat] * rays.view(-1, 3)[pixel]).sum(dim=1).clamp(min=1e-3)

    def per_pixel(values: Tensor) -> Tensor:
        return torch.zeros(width * height).to(values).index_add(0, pixel, values)

    bright = per_pixel((light > 0.5).to(alpha)).long()
    middle = (starts[:-1] + bright - 1).clamp(min=0, max=max(0, len(splat) - 1))
    near = (1 / disparity - 1 / disparity[middle[pixel]]).abs() <= apart
    weight = alpha * light
    mean = per_pixel(weight * near * disparity) / per_pixel(weight * near).clamp(min=1e-6)
    return mean.view(height, width), per_pixel(weight).view(height, width)


@torch.no_grad()
def pairs(
    projection: Projection, width: int, height: int
) -> tuple[Int[Tensor, " m"], Int[Tensor, " m"], Int[Tensor, " p"]]:
    """What counts where: numbers of splats and of pixels, by pixel and then front to back.

    Returns:
        splats, pixels y · width + x, and where each pixel's splats begin, with m as its last entry.
    """
    size = projection.low.new_tensor([width, height])
    first = (projection.low - 0.5).ceil().clamp(min=0).minimum(size).long()
    end = ((projection.high - 0.5).floor() + 1).clamp(min=0).minimum(size).long()
    extent = (end - first) * projection.seen[:, None]
    order = projection.depth.argsort(stable=True)
    count = extent.prod(dim=1)[order]
    splat = order.repeat_interleave(count)
    place = torch.arange(len(splat), device=splat.device)
    place = place - (count.cumsum(dim=0) - count).repeat_interleave(count)
    wide = extent[splat, 0]
    row = torch.div(place, wide, rounding_mode="floor")
    pixel = (first[splat, 1] + row) * width + first[splat, 0] + place - row * wide

    alpha = opacity_at(_table(projection), splat, pixel, width, projection.finer)
    counts = alpha >= FAINT
    splat, pixel, alpha = splat[counts], pixel[counts], alpha[counts]
    pixel, order = pixel.int().sort(stable=True)  # a quarter of the time that 64 bits take
    splat, pixel, alpha = splat[order], pixel.long(), alpha[order]
    light = passing(alpha, _starts(pixel, width * height), pixel) * (1 - alpha)
    splat, pixel = splat[light > DARK], pixel[light > DARK]
    return splat, pixel, _starts(pixel, width * height)


def opacity_at(
    table: Float[Tensor, "n 12"], splat: Int[Tensor, " m"], pixel: Int[Tensor, " m"], width: int, finer: int
) -> Float[Tensor, " m"]:
    """α = o max(exp(−(u² + v²) / 2), exp(−d²)), eq. 11, with d pixels from a splat's centre to the pixel's.

    The second is the low-pass filter of deviation √½: a splat that is seen edge-on, or is tiny, does not fall
    between the rays. But it widens outlines by most of a pixel, which is much of a picture of 64; so d may be
    counted in the pixels of one that is so many times `finer`.
    """
    x, y = pixel % width + 0.5, torch.div(pixel, width, rounding_mode="floor") + 0.5
    ax, ay, az, bx, by, bz, cx, cy, cz, mx, my, opacity = F.embedding(splat, table).unbind(dim=1)
    u, v, w = ax * x + ay * y + az, bx * x + by * y + bz, cx * x + cy * y + cz
    inside = (u * u + v * v) / (w * w).clamp(min=1e-12)
    beside = 2 * finer**2 * ((x - mx).square() + (y - my).square())
    return (opacity * torch.exp(-0.5 * torch.minimum(inside, beside))).clamp(max=OPAQUE)


def passing(
    alpha: Float[Tensor, " m"], starts: Int[Tensor, " p"], pixel: Int[Tensor, " m"]
) -> Float[Tensor, " m"]:
    """Π (1 − α) of all splats before each one at its pixel."""
    # One sum runs over all pixels, so it needs the digits.
    log = torch.log1p(-alpha.double())
    before = F.pad(log.cumsum(dim=0), (1, 0))
    return torch.exp(before[:-1] - before[starts[pixel]]).to(alpha.dtype)


def _table(projection: Projection) -> Tensor:
    """What `opacity_at` needs of each splat, side by side."""
    parts = projection.adjugate.flatten(1), projection.centre, projection.opacity[:, None]
    return torch.cat(parts, dim=1)


def _starts(pixel: Tensor, pixels: int) -> Tensor:
    return F.pad(torch.bincount(pixel, minlength=pixels).cumsum(dim=0), (1, 0))
