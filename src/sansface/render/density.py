"""VolSDF's density (Yariv et al. 2021, eq. 2-3)."""

import torch
from jaxtyping import Float
from torch import Tensor


def laplace_density(distance: Float[Tensor, "*s"], beta: float | Tensor) -> Float[Tensor, "*s"]:
    """σ(x) = α Ψ_β(−f(x)) with α = 1/β and Ψ_β the distribution function of a Laplace law of scale β.

    Args:
        distance: signed distance f, negative inside.
        beta: scale, in the unit of the distance; a tensor has to spread over the distance.

    Returns:
        density per unit length: 1/β deep inside, 1/(2β) on the surface, falling off exponentially outside.
    """
    tail = 0.5 * torch.exp(-distance.abs() / beta)
    return torch.where(distance > 0, tail, 1 - tail) / beta
