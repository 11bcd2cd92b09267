"""σ of many pictures at once, differentiable: what every trained attacker makes its examples with."""

from collections.abc import Callable

import torch
from torch import Tensor

from sansface.protect.contents import MAX_SCALE, SCALE_STEPS, levels
from sansface.protect.operators import Operator
from sansface.protect.pipeline import ProtectSettings
from sansface.reconstruct.modulus import FLOOR, modulus


def sigma(pictures: Tensor, operator: Operator, floor: float = FLOOR) -> Tensor:
    """`sansface.reconstruct.modulus.modulus` of each picture.

    Args:
        pictures: (n, 3, h, w) float32 sRGB values.
        floor: 0 gives σ exactly, at the price of infinite derivatives in flat places.

    Returns:
        (n, h, w) float32.
    """
    return torch.vmap(lambda picture: modulus(picture.permute(1, 2, 0), operator, floor))(pictures)


def coded(values: Tensor, bits: int) -> Tensor:
    """What a bundle of one picture keeps of σ: the nearest code, of those that say 0 to the scale evenly.

    Args:
        values: (n, h, w) float32. The scale of each is its largest value, rounded up to a multiple of 1/256.
    """
    steps = levels(bits) - 1
    scale = (values.amax(dim=(1, 2), keepdim=True) * SCALE_STEPS).ceil().clamp(min=1) / SCALE_STEPS
    return (values / scale * steps).round() / steps * scale


def protecting(settings: ProtectSettings) -> Callable[[Tensor, torch.Generator], Tensor]:
    """All that the client does to a picture's values, as `audit.protected.protected`, but of many at once.

    Returns:
        A function of (n, 3, h, w) sRGB values, and of a generator on the CPU that draws gain and noise; it
        gives (n, h, w).
    """
    operator = settings.sigma()

    def protect(pictures: Tensor, generator: torch.Generator) -> Tensor:
        values = sigma(pictures, operator, 0.0)
        if settings.gain < 1:
            share = torch.rand((len(values), 1, 1), generator=generator)
            values = values * (settings.gain**share).to(values)
        if settings.noise > 0:
            values = values + settings.noise * torch.randn(values.shape, generator=generator).to(values)
        return coded(values.clamp(0, MAX_SCALE), settings.bits)

    return protect
