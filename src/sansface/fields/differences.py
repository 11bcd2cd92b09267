"""Differences of a function on grid nodes, and the two penalties on them, with their adjoints written out.

Autograd gives each slice of a difference a gradient of the whole grid's size, filled with zeros; a step on a
96³ grid would spend a third of its time on those. The tests hold each class against autograd on plain slices.
"""

from typing import Any

import torch
from torch import Tensor

AXES = (4, 3, 2)
"""x, y, z of a grid (1, 1, d, h, w)."""


class CentralDifferences(torch.autograd.Function):
    """A function on nodes and its slopes, half the one-sided difference on the border.

    Args:
        f: (1, 1, d, h, w), x fastest.
        spacing: of the nodes.

    Returns:
        (1, 4, d, h, w): f, ∂f/∂x, ∂f/∂y, ∂f/∂z.
    """

    @staticmethod
    def forward(ctx: Any, f: Tensor, spacing: float) -> Tensor:
        ctx.spacing = spacing
        packed = torch.cat([f, f.new_empty((1, 3, *f.shape[2:]))], dim=1)
        for channel, axis in enumerate(AXES, start=1):
            n = f.shape[axis]
            out = packed[:, channel : channel + 1]
            torch.sub(f.narrow(axis, 2, n - 2), f.narrow(axis, 0, n - 2), out=out.narrow(axis, 1, n - 2))
            torch.sub(f.narrow(axis, 1, 1), f.narrow(axis, 0, 1), out=out.narrow(axis, 0, 1))
            torch.sub(f.narrow(axis, n - 1, 1), f.narrow(axis, n - 2, 1), out=out.narrow(axis, n - 1, 1))
        packed[:, 1:] /= 2 * spacing
        return packed

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (grad,) = grads
        slopes = grad[:, 1:] / (2 * ctx.spacing)
        result = grad[:, :1].clone()
        for channel, axis in enumerate(AXES):
            g = slopes[:, channel : channel + 1]
            n = g.shape[axis]
            # Node i is right of i - 1 and left of i + 1; the border is its own neighbour.
            result.narrow(axis, 1, n - 1).add_(g.narrow(axis, 0, n - 1))
            result.narrow(axis, 0, n - 1).sub_(g.narrow(axis, 1, n - 1))
            result.narrow(axis, n - 1, 1).add_(g.narrow(axis, n - 1, 1))
            result.narrow(axis, 0, 1).sub_(g.narrow(axis, 0, 1))
        return result, None


class MeanSquaredSecondDifference(torch.autograd.Function):
    """Σ over the axes of the mean of (f₊ − 2f + f₋)², of a function (1, 1, d, h, w) on nodes."""

    @staticmethod
    def forward(ctx: Any, f: Tensor) -> Tensor:
        total, gradient = f.new_zeros(()), torch.zeros_like(f)
        for axis in AXES:
            n = f.shape[axis] - 2
            left, middle, right = (f.narrow(axis, k, n) for k in range(3))
            second = torch.add(left, right).sub_(middle, alpha=2)
            total = total + second.square().mean()
            second *= 2 / second.numel()
            gradient.narrow(axis, 0, n).add_(second)
            gradient.narrow(axis, 1, n).sub_(second, alpha=2)
            gradient.narrow(axis, 2, n).add_(second)
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0] * ctx.saved_tensors[0]


class WeightedEikonal(torch.autograd.Function):
    """Σ w (‖∇f‖ − 1)² / Σ w, eq. 4, over the nodes.

    Args:
        packed: (1, 4, d, h, w) of `CentralDifferences`.
        weight: (1, 1, d, h, w), a constant.
    """

    @staticmethod
    def forward(ctx: Any, packed: Tensor, weight: Tensor) -> Tensor:
        slopes = packed[:, 1:]
        length = slopes.square().sum(dim=1, keepdim=True).sqrt()  # vector_norm takes 80 times as long here
        share = weight / weight.sum()
        excess = length - 1
        steep = 2 * share * excess / length.clamp(min=1e-6)
        gradient = torch.cat([torch.zeros_like(steep), steep * slopes], dim=1)
        ctx.save_for_backward(gradient)
        return (share * excess.square()).sum()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0] * ctx.saved_tensors[0], None
