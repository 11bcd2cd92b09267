"""Volume rendering of a signed distance field (VolSDF, eq. 1 of the paper)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sansface.fields.field import Surface
from sansface.render.density import laplace_density
from sansface.render.sampling import Sight, around

Radiance = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""(points, normals, directions, features) -> sRGB values in [0, 1]."""

SPAN = 5.0
"""Half width of the sampled slab in units of β: e⁻⁵ of the density lies beyond."""

GRAZING = 0.15
"""Least cosine between ray and normal by which the slab is widened."""


@dataclass(frozen=True)
class Rendering:
    """What rays see."""

    colour: Float[Tensor, "n 3"]  # sRGB, over black
    opacity: Float[Tensor, " n"]
    depth: Float[Tensor, " n"]  # distance along the ray, mean of the weights
    normal: Float[Tensor, "n 3"]  # mean of the weights, not of unit length


def weights(density: Float[Tensor, "n k"], lengths: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """wᵢ = Tᵢ αᵢ, αᵢ = 1 − exp(−σᵢ δᵢ), Tᵢ = Πⱼ₍ⱼ<ᵢ₎ (1 − αⱼ), eq. 1: non-negative, at most 1 in sum."""
    thickness = density * lengths
    before = torch.cumsum(F.pad(thickness[:, :-1], (1, 0)), dim=1)
    return torch.exp(-before) * -torch.expm1(-thickness)


def composite(
    surface: Surface,
    radiance: Radiance,
    origins: Float[Tensor, "n 3"],
    directions: Float[Tensor, "n 3"],
    t: Float[Tensor, "n k"],
    lengths: Float[Tensor, "n k"],
    beta: float | Tensor,
) -> Rendering:
    """Render rays from given samples.

    Args:
        t, lengths: places along the rays, and the length that each stands for.
        beta: scale of VolSDF's density; a tensor () that is learnt has its part in the graph.
    """
    n, k = t.shape
    points = (origins[:, None] + directions[:, None] * t[..., None]).reshape(-1, 3)
    distance, gradient, features = surface.query(points)
    normals = gradient / gradient.square().sum(dim=1, keepdim=True).add(1e-8).sqrt()
    toward = directions[:, None].expand(-1, k, -1).reshape(-1, 3)
    colour = radiance(points, normals, toward, features).view(n, k, 3)
    w = weights(laplace_density(distance, beta).view(n, k), lengths)
    return Rendering(
        colour=(w[..., None] * colour).sum(dim=1),
        opacity=w.sum(dim=1),
        depth=(w * t).sum(dim=1) / w.sum(dim=1).clamp(min=1e-6),
        normal=(w[..., None] * normals.view(n, k, 3)).sum(dim=1),
    )


def render(
    surface: Surface,
    radiance: Radiance,
    origins: Float[Tensor, "n 3"],
    directions: Float[Tensor, "n 3"],
    sight: Sight,
    beta: float | Tensor,
    samples: int,
    generator: torch.Generator,
) -> Rendering:
    """Render rays from a few samples in the slab around the surface where VolSDF's density has its weight.

    The slab is t ± SPAN β / |cos| around the sight's t. A second surface behind the first, and one that is
    missed but nearer than some β, are not seen; against dense quadrature this shows as soon as β exceeds
    the size of what is to be told apart.
    """
    with torch.no_grad():
        _, gradient = surface.shape(origins + directions * sight.t[:, None])
        length = gradient.square().sum(dim=1).add(1e-8).sqrt()
        cosine = (-(gradient * directions).sum(dim=1) / length).clamp(min=GRAZING)
        t, lengths = around(sight.t, SPAN * beta / cosine, samples, generator)
    return composite(surface, radiance, origins, directions, t, lengths, beta)
