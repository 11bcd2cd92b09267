"""The derivative of a step's losses, the two halves of a step side by side on the cores of a CPU.

Interpolating a grid keeps one core busy, whatever the number of points, and most of a step is that. So the
graph is cut at the surface's own tensors: each half gets leaves of their values and differentiates down to
them, in a thread of its own, and what has come together there goes on to the parameters. Which half is first
makes no difference.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch
from torch import Tensor

from sansface.fields.field import Surface

Half = Callable[[Surface], dict[str, Tensor]]
"""Some of a step's losses by name, without their weights, of a surface. No two halves may have a parameter in
common but through the surface."""


@contextmanager
def threads(device: torch.device, count: int) -> Iterator[ThreadPoolExecutor | None]:
    """Threads for so many halves, which share the cores that torch may use; None where one thread is best."""
    cores = torch.get_num_threads()
    if device.type != "cpu" or cores < 2:
        yield None
        return
    try:
        with ThreadPoolExecutor(count, "half", torch.set_num_threads, (max(1, cores // count),)) as pool:
            yield pool
    finally:
        torch.set_num_threads(cores)


def differentiate(
    surface: Surface, halves: Sequence[Half], weights: Mapping[str, float], pool: ThreadPoolExecutor | None
) -> dict[str, float]:
    """Add the derivative of the weighted sum of all losses to the gradients of the parameters.

    Args:
        surface: of this step, with its graph.
        halves: each is called once, with a surface of the same values.
        weights: of every loss.
        pool: None runs one half after the other; so does a surface without tensors, whose parameters all
            halves have in common.

    Returns:
        Each loss. Where one is not finite, neither are the gradients.
    """
    tensors = surface.tensors()
    leaves = [[tensor.detach().requires_grad_() for tensor in tensors] for _ in halves]

    def run(half: Half, mine: list[Tensor]) -> dict[str, float]:
        losses = half(surface.of(mine))
        if losses:
            torch.stack([weights[name] * loss for name, loss in losses.items()]).sum().backward()
        return {name: loss.item() for name, loss in losses.items()}

    together = pool.map if pool and tensors else map
    both = list(together(run, halves, leaves))
    gradients = [_sum([leaf.grad for leaf in copies]) for copies in zip(*leaves, strict=True)]
    pairs = [(tensor, grad) for tensor, grad in zip(tensors, gradients, strict=True) if grad is not None]
    if pairs:
        torch.autograd.backward([tensor for tensor, _ in pairs], [grad for _, grad in pairs])
    return {name: value for losses in both for name, value in losses.items()}


def _sum(gradients: Sequence[Tensor | None]) -> Tensor | None:
    there = [gradient for gradient in gradients if gradient is not None]
    return sum(there[1:], there[0]) if there else None
