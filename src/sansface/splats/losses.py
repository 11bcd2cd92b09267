"""Losses of splats: their outline, and what they should be like anyway. Each without its weight."""

import torch
from jaxtyping import Float
from torch import Tensor

from sansface.splats.render import Picture


def coverage_loss(picture: Picture, coverage: Float[Tensor, "h w"]) -> Float[Tensor, ""]:
    """mean |opacity − coverage| over the pixels whose coverage is known, those that are not NaN: ours."""
    error = (picture.opacity - coverage.nan_to_num()).abs()
    known = ~coverage.isnan()
    return (error * known).sum() / known.sum().clamp(min=1)


def normal_loss(picture: Picture) -> Float[Tensor, ""]:
    """L_n = mean Σ wᵢ (1 − nᵢ · N), eq. 14: splats lie along the surface of their depths, of normal N."""
    facing = picture.facing()
    inner = picture.solid & (facing.square().sum(dim=2) > 0)
    error = picture.opacity - (picture.normal * facing).sum(dim=2)
    return (error * inner).sum() / inner.sum().clamp(min=1)


def distortion_loss(picture: Picture) -> Float[Tensor, ""]:
    """L_d = mean Σ wᵢ wⱼ (zᵢ − zⱼ)², eq. 13 with squares, over all pixels, in squared radii of the sphere."""
    return picture.distortion.mean()


def smoothness_loss(picture: Picture) -> Float[Tensor, ""]:
    """mean ‖N(x + 1) − N(x)‖² over neighbours in rows and columns, of unit normals: ours."""
    facing = picture.facing()
    inner = picture.solid & (facing.square().sum(dim=2) > 0)
    changes = [
        ((facing[1:] - facing[:-1]).square().sum(dim=2), inner[1:] & inner[:-1]),
        ((facing[:, 1:] - facing[:, :-1]).square().sum(dim=2), inner[:, 1:] & inner[:, :-1]),
    ]
    return torch.stack([(c * both).sum() / both.sum().clamp(min=1) for c, both in changes]).sum()
