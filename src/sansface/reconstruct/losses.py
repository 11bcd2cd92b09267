"""The losses, each without its weight."""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from sansface.fields.on_cpu import compilable
from sansface.loops import coverage as loops
from sansface.protect.operators import Operator
from sansface.reconstruct.modulus import modulus
from sansface.render.coverage import LEAST_SIDE, covered_area

SLACK = 1e-3
"""A coverage so near to 0 or 1 counts as none or all of a pixel."""
PULL = 0.1
"""Of each missing pixel where the area is saturated, as against an area of 1."""
FAR = 10.0
"""So many missing pixels at most."""


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
        normal: unit normal of the outline in the picture, not differentiated.
        coverage: what the mask says.
    """
    if all(compilable(x) for x in (distance, normal, coverage)):
        return _CoverageLoss.apply(distance, normal, coverage)
    return plain_coverage_loss(distance, normal, coverage)


def plain_coverage_loss(distance: Tensor, normal: Tensor, coverage: Tensor) -> Tensor:
    """The same by torch alone."""
    area, reach = covered_area(distance, normal)
    outside, inside = coverage <= SLACK, coverage >= 1 - SLACK
    missing = torch.where(
        outside,
        F.relu(reach - distance),
        torch.where(inside, F.relu(reach + distance), F.relu(distance.abs() - reach)),
    )
    return (area - coverage).abs() + PULL * missing.clamp(max=FAR)


class _CoverageLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, distance: Tensor, normal: Tensor, coverage: Tensor) -> Tensor:
        loss, slope = torch.empty_like(distance), torch.empty_like(distance)
        given = (x.detach().numpy() for x in (distance, normal, coverage))
        loops.coverage_loss(*given, LEAST_SIDE, SLACK, PULL, FAR, loss.numpy(), slope.numpy())
        ctx.save_for_backward(slope)
        return loss

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return grads[0] * ctx.saved_tensors[0], None, None
