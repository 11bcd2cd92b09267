"""How much of a pixel the subject covers, from the distance field alone.

A mask that was averaged down says, at the outline, which part of a pixel is subject. A ray through the
pixel's centre comes nearest to the surface at some point; there f / ‖∇f‖ is, to first order, the distance of
the outline from the pixel's centre, and with the outline straight within the pixel the covered area is known
in closed form. So one ray and one query a pixel supervise the silhouette to a fraction of a pixel, whatever
β is: a Laplace density seen edge-on is opaque some β outside the surface, and would pull it inwards by that.
"""

import torch
from jaxtyping import Float
from torch import Tensor

LEAST_SIDE = 0.05
"""Least projected side of the pixel: an outline exactly along a row would divide by zero."""


def covered_area(
    distance: Float[Tensor, " n"], normal: Float[Tensor, "n 2"]
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Area of the unit square inside a half plane, and the distance at which that area becomes 0 or 1.

    Along the half plane's normal (a, b) the square is a box of width |a| convolved with one of width |b|, so
    the area is the second integral of that: with R(s) = max(s, 0)² / 2 and s = −distance,
    [R(s + (a+b)/2) − R(s + (a−b)/2) − R(s − (a−b)/2) + R(s − (a+b)/2)] / (a b).

    Args:
        distance: from the square's centre to the edge, in pixels, positive when the centre is outside.
        normal: (x, y) of the edge's unit normal in the picture.
    """
    a, b = normal.abs().clamp(min=LEAST_SIDE).unbind(dim=1)

    def ramp(s: Tensor) -> Tensor:
        return 0.5 * torch.relu(s).square()

    s, both, apart = -distance, (a + b) / 2, (a - b) / 2
    area = (ramp(s + both) - ramp(s + apart) - ramp(s - apart) + ramp(s - both)) / (a * b)
    return area, both
