"""The losses, each without its weight."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from sansface.protect.operators import Operator
from sansface.reconstruct.modulus import modulus
from sansface.render.coverage import covered_area


def colour_loss(
    rendered: Float[Tensor, "n 3"], target: Float[Tensor, "n 3"], known: Bool[Tensor, " n"]
) -> Float[Tensor, ""]:
    """L_rgb = mean |ĉ − c|, eq. 2, over all rays; one whose colour is not known counts as right."""
    return ((rendered - target).abs() * known[:, None]).mean()


def gradient_loss(
    picture: Float[Tensor, "h w 3"],
    target: Float[Tensor, "h w"],
    known: Bool[Tensor, "h w"],
    operator: Operator,
    tolerance: float = 0.0,
    gain: bool = False,
) -> Float[Tensor, ""]:
    """L_grad = mean | ‖ĝ‖ − ‖g‖ | over the known pixels, eq. 5; ĝ is σ of the rendered picture.

    Args:
        known: leaves out the outline, and every pixel of which σ sees something that was not rendered.
        tolerance: half a step of coarse codes: differences up to this are none.
        gain: the target is times an unknown factor. The one that fits best by least squares,
            a = Σ ‖ĝ‖ ‖g‖ / Σ ‖ĝ‖², multiplies ‖ĝ‖ and has its part in the derivative: so the loss is the same
            for ĉ and any multiple of it, and pulls towards none of them.
    """
    ours = modulus(picture, operator)
    if gain:
        ours = ours * ((ours * target * known).sum() / (ours.square() * known).sum().clamp(min=1e-12))
    error = (ours - target).abs()
    if tolerance > 0:
        error = F.relu(error - tolerance)
    return (error * known).sum() / known.sum().clamp(min=1)


def coverage_loss(
    distance: Float[Tensor, " n"], normal: Float[Tensor, "n 2"], coverage: Float[Tensor, " n"]
) -> Float[Tensor, " n"]:
    """|area(distance) − coverage|, plus a pull of a tenth of the missing pixels where the area is saturated.

    Args:
        distance: signed distance of the outline from each pixel's centre, in pixels, positive outside.
        normal: unit normal of the outline in the picture.
        coverage: what the mask says.
    """
    area, reach = covered_area(distance, normal)
    outside, inside = coverage <= 1e-3, coverage >= 1 - 1e-3
    missing = torch.where(
        outside,
        F.relu(reach - distance),
        torch.where(inside, F.relu(reach + distance), F.relu(distance.abs() - reach)),
    )
    return (area - coverage).abs() + 0.1 * missing.clamp(max=10.0)
