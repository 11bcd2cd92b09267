"""σ once more, differentiable: the client's operator applied to rendered pictures.

The definition is `sansface.protect.operators`; this twin takes its kernels from there and is tested to agree
with it to 1e-5.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sansface.protect.operators import NORM_OF_SUM, STRUCTURE_TENSOR, Operator, gaussian

FLOOR = 1e-8
"""Added under each root: at most 1e-4 in value, and a finite derivative where the gradient vanishes."""


def modulus(
    picture: Float[Tensor, "h w 3"], operator: Operator, floor: float = FLOOR
) -> Float[Tensor, "h w"]:
    """σ of a picture in sRGB values.

    Args:
        picture: float32; a patch needs a halo of the operator's reach, whose results the caller drops.
        operator: the kernels, their blur and how they become one number.
        floor: 0 gives σ exactly, at the price of infinite derivatives in flat places.
    """
    halo = F.pad(picture.permute(2, 0, 1)[:, None], (operator.reach,) * 4, mode="replicate")
    colours = _smoothed(halo, operator.blur)
    kernels = torch.from_numpy(np.stack([operator.kernel_x, operator.kernel_y])[:, None]).to(picture)
    derivatives = F.conv2d(colours, kernels)  # (3, 2, h, w): channel, direction
    if operator.modulus == NORM_OF_SUM:
        return torch.sqrt(derivatives.sum(dim=1).square().sum(dim=0) + floor)
    if operator.modulus == STRUCTURE_TENSOR:
        x, y = derivatives.unbind(dim=1)
        tensor = torch.stack([x * x, x * y, y * y]).sum(dim=1, keepdim=True)
        xx, xy, yy = _smoothed(tensor, operator.window)[:, 0].unbind()
        return torch.sqrt(torch.sqrt(xx * xx + 2 * xy * xy + yy * yy + floor**2))
    return torch.sqrt(derivatives.square().sum(dim=0) + floor).sum(dim=0)


def _smoothed(planes: Float[Tensor, "n 1 _ _"], deviation: float) -> Float[Tensor, "n 1 _ _"]:
    if deviation == 0:
        return planes
    weights = torch.from_numpy(gaussian(deviation)).to(planes)
    return F.conv2d(F.conv2d(planes, weights[None, None, None, :]), weights[None, None, :, None])
