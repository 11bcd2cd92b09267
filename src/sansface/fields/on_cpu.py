"""The functions of a grid as compiled loops, for a CPU.

Torch has no fast trilinear interpolation there: one point after the other on one core, and its derivative
takes four times as long as need be. And it makes an array of the grid's size for every term of a penalty; on
96³ nodes with their slopes those are 14 MB each, which the system takes longer to hand out than to fill. So
slopes are made where they are asked for, and nothing is larger than the distances themselves.
`GridSurface` has the same in plain torch, for a GPU, and the tests hold the one against the other.

Names: f (1, 1, n, n, n) values on the nodes of [-1, 1]³, x fastest; m points.
"""

from typing import Any

import torch
from torch import Tensor

from sansface.loops import grid as loops
from sansface.loops import penalties


def compilable(grid: Tensor) -> bool:
    """Can the loops read it?"""
    return grid.device.type == "cpu" and grid.dtype == torch.float32 and grid.is_contiguous()


class Interpolation(torch.autograd.Function):
    """Values (m, c) of a grid (1, c, n, n, n) at points (m, 3); outside the cube its nearest place counts."""

    @staticmethod
    def forward(ctx: Any, grid: Tensor, points: Tensor) -> Tensor:
        ctx.save_for_backward(points)
        ctx.shape = grid.shape
        _, channels, n, _, _ = grid.shape
        out = torch.empty((len(points), channels))
        loops.values(_flat(grid, channels), n, points.detach().numpy(), out.numpy())
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (points,) = ctx.saved_tensors
        _, channels, n, _, _ = ctx.shape
        result = torch.zeros(ctx.shape)
        grad = grads[0].contiguous().numpy()
        loops.spread(_flat(result, channels), n, points.detach().numpy(), grad)
        return result, None


class ValueAndSlopes(torch.autograd.Function):
    """(m, 4): f at points (m, 3), and its central differences on the nodes interpolated to there."""

    @staticmethod
    def forward(ctx: Any, f: Tensor, points: Tensor) -> Tensor:
        ctx.save_for_backward(points)
        ctx.shape = f.shape
        out = torch.empty((len(points), 4))
        loops.value_and_slopes(_flat(f), f.shape[-1], points.detach().numpy(), out.numpy())
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (points,) = ctx.saved_tensors
        result = torch.zeros(ctx.shape)
        grad = grads[0].contiguous().numpy()
        loops.spread_slopes(_flat(result), ctx.shape[-1], points.detach().numpy(), grad)
        return result, None


class Eikonal(torch.autograd.Function):
    """Σ w (‖∇f‖ − 1)² / Σ w, eq. 4, over the nodes, w = 1 nearer than `near` to the surface, else `far`."""

    @staticmethod
    def forward(ctx: Any, f: Tensor, near: float, far: float) -> Tensor:
        gradient = torch.zeros_like(f)
        loss = penalties.eikonal(f.detach()[0, 0].numpy(), near, far, gradient[0, 0].numpy())
        ctx.save_for_backward(gradient)
        return f.new_tensor(loss)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return grads[0] * ctx.saved_tensors[0], None, None


class SquaredSecondDifference(torch.autograd.Function):
    """Σ over the axes of the mean of (f₊ − 2f + f₋)²."""

    @staticmethod
    def forward(ctx: Any, f: Tensor) -> Tensor:
        gradient = torch.zeros_like(f)
        loss = penalties.squared_second_difference(f.detach()[0, 0].numpy(), gradient[0, 0].numpy())
        ctx.save_for_backward(gradient)
        return f.new_tensor(loss)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0] * ctx.saved_tensors[0]


def _flat(grid: Tensor, channels: int | None = None) -> Any:
    """(n³,), or (channels, n³)."""
    return grid.detach().view((-1,) if channels is None else (channels, -1)).numpy()
