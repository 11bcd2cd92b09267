"""σ once more, differentiable: the client's operator applied to rendered pictures.

The definition is `sansface.protect.operators`; this twin takes its kernels from there and is tested to agree
with it to 1e-5.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sansface.protect.operators import Operator

FLOOR = 1e-8
"""Added under each root: at most 1e-4 in value, and a finite derivative where the gradient vanishes."""


def modulus(
    picture: Float[Tensor, "h w 3"], operator: Operator, floor: float = FLOOR
) -> Float[Tensor, "h w"]:
    """Eq. 6, ‖∂c/∂x‖₂ + ‖∂c/∂y‖₂, of a picture in sRGB values.

    Args:
        picture: float32; a patch needs a halo of one pixel, whose results the caller drops.
        operator: the kernels.
        floor: 0 gives σ exactly, at the price of infinite derivatives in flat places.
    """
    kernels = torch.from_numpy(np.stack([operator.kernel_x, operator.kernel_y])[:, None]).to(picture)
    padded = F.pad(picture.permute(2, 0, 1)[:, None], (1, 1, 1, 1), mode="replicate")
    derivatives = F.conv2d(padded, kernels)  # (3, 2, h, w): channel, direction
    return torch.sqrt(derivatives.square().sum(dim=0) + floor).sum(dim=0)
