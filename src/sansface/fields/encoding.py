"""Sines and cosines of octaves (Mildenhall et al. 2020)."""

import torch
from jaxtyping import Float
from torch import Tensor


def octaves(x: Float[Tensor, "n 3"], count: int) -> Float[Tensor, "n c"]:
    """(x, sin 2⁰x, cos 2⁰x, ..., sin 2ᶜ⁻¹x, cos 2ᶜ⁻¹x): (n, 3 (1 + 2 count))."""
    angles = [x * 2.0**k for k in range(count)]
    return torch.cat([x] + [wave(a) for a in angles for wave in (torch.sin, torch.cos)], dim=1)
