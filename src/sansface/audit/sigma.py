"""σ of many pictures at once, differentiable: what every trained attacker makes its examples with."""

import torch
from torch import Tensor

from sansface.protect.contents import SCALE_STEPS, levels
from sansface.protect.operators import Operator
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
