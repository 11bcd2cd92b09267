"""Reverse without training: find a picture whose σ is the one that was sent.

    c* = argmin  mean_known |σ(c) − s| + λ mean ‖∇c‖ + μ mean max(0, −c, c − 1)

by Adam through the differentiable σ, coarse grids first. Which way the colour changes, up or down, is what σ
withholds; it is found on the way or guessed wrong, so there are several beginnings, and the one that explains
s best counts. Total variation (Rudin, Osher and Fatemi 1992) prefers few edges.

Two things that an attacker may know help. *The outline*: beyond it the picture is black, so the sum of the
changes along a row is known. *Other faces*: their mean and principal components (Turk and Pentland 1991); the
attack begins as the likeliest face of that linear space, c = mean + Σ zₖ sₖ vₖ with z ~ N(0, 1), and then
leaves it pixel by pixel. It may as well begin where another attacker ended, such as the inversion network.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sansface.audit.sigma import sigma
from sansface.errors import SansfaceError
from sansface.protect.operators import Operator
from sansface.settings import at_least


@dataclass(frozen=True)
class IntegrationSettings:
    """Of the search."""

    restarts: int = 4  # beginnings for each picture
    grids: tuple[int, ...] = (8, 4, 2, 1)  # pixels between two unknowns, from coarse to fine
    steps: int = 200  # on each grid
    rate: float = 0.03  # Adam's, in sRGB values
    variation: float = 0.02  # λ
    range: float = 1.0  # μ
    begin: float = 0.1  # standard deviation of the unknowns' beginnings
    grey: bool = True  # all channels change alike: one sign to find for each place, not three
    components: int = 40  # of the linear space, if other faces are given
    linear_steps: int = 300
    linear_rate: float = 0.1  # Adam's, in standard deviations of the components
    likely: float = 1e-3  # weight of ½ mean z² against the mean error of σ

    def __post_init__(self) -> None:
        at_least(self, restarts=1, steps=1, components=1, linear_steps=1, variation=0, range=0, begin=0)
        if not self.grids or min(self.grids) < 1:
            raise SansfaceError(f"the grids are whole pixels from 1, unlike {self.grids}; correct them.")


@dataclass(frozen=True, eq=False)
class LinearFaces:
    """mean: (3, h, w).  axes: (k, 3, h, w), each a principal component times its standard deviation."""

    mean: Tensor
    axes: Tensor

    def __call__(self, z: Tensor) -> Tensor:
        """(n, k) to (n, 3, h, w)."""
        return self.mean + torch.einsum("nk,kchw->nchw", z, self.axes)


@dataclass(frozen=True, eq=False)
class Integrated:
    """pictures: (n, h, w, 3) float32 in [0, 1].  errors: (n,) float32, mean |σ(c) − s| of each."""

    pictures: np.ndarray
    errors: np.ndarray


def linear_faces(clear: Tensor, components: int) -> LinearFaces:
    """The linear space of given faces.

    Args:
        clear: (n, 3, h, w) float32 in [0, 1], n ≥ 2.
        components: at most; n − 1 are to be had.
    """
    flat = clear.flatten(1)
    mean = flat.mean(dim=0)
    _, lengths, axes = torch.linalg.svd(flat - mean, full_matrices=False)
    kept = min(components, len(flat) - 1)
    scaled = axes[:kept] * (lengths[:kept, None] / (len(flat) - 1) ** 0.5)
    return LinearFaces(mean.view(clear.shape[1:]), scaled.view(kept, *clear.shape[1:]))


def integrate(
    protected: Tensor,
    operator: Operator,
    settings: IntegrationSettings,
    generator: torch.Generator,
    known: Tensor | None = None,
    inside: Tensor | None = None,
    faces: LinearFaces | None = None,
    drawn: Tensor | None = None,
) -> Integrated:
    """Search for pictures with given σ, all at once.

    Args:
        protected: (n, h, w) float32, σ.
        generator: draws the beginnings, on the CPU.
        known: (n, h, w) bool, where σ was not withheld; None: everywhere.
        inside: (n, h, w) in [0, 1], the subject's coverage; beyond it the picture is black. None: not known.
        faces: None: nothing is known of faces.
        drawn: (n, 3, h, w), where to begin instead, as another attacker would have it; one restart is enough.
    """
    n, height, width = protected.shape
    many = settings.restarts
    target = protected.repeat_interleave(many, dim=0)
    counted = torch.ones_like(target) if known is None else known.repeat_interleave(many, dim=0).to(target)
    black = None if inside is None else inside.repeat_interleave(many, dim=0)[:, None]

    def shown(pictures: Tensor) -> Tensor:
        return pictures if black is None else pictures * black

    def errors(pictures: Tensor) -> Tensor:
        wrong = (sigma(pictures, operator) - target).abs() * counted
        return wrong.sum(dim=(1, 2)) / counted.sum(dim=(1, 2)).clamp(min=1)

    def draw(*shape: int) -> Tensor:
        return torch.randn(len(target), *shape, generator=generator).to(target)

    if drawn is not None:
        start = drawn.repeat_interleave(many, dim=0)
    elif faces is None:
        start = torch.full((len(target), 3, height, width), 0.5).to(target)
    else:
        z = (0.5 * draw(len(faces.axes))).requires_grad_()
        optimiser = torch.optim.Adam([z], lr=settings.linear_rate)
        for step in range(settings.linear_steps):
            _cool(optimiser, settings.linear_rate, step / settings.linear_steps)
            optimiser.zero_grad()
            likely = 0.5 * settings.likely * z.square().mean(dim=1)
            (errors(shown(faces(z))) + likely).sum().backward()
            optimiser.step()
        start = faces(z.detach())
    change = torch.zeros(len(target), 1 if settings.grey else 3, height, width).to(target)
    for number, grid in enumerate(settings.grids):
        places = -(-height // grid), -(-width // grid)
        unknown = torch.zeros(len(target), change.shape[1], *places).to(target)
        if number == 0 and faces is None and drawn is None:
            unknown = settings.begin * draw(change.shape[1], *places)
        unknown.requires_grad_()
        optimiser = torch.optim.Adam([unknown], lr=settings.rate)
        for step in range(settings.steps):
            _cool(optimiser, settings.rate, step / settings.steps)
            optimiser.zero_grad()
            pictures = shown(start + change + _spread(unknown, height, width))
            loss = errors(pictures) + settings.variation * _variation(pictures)
            outside = F.relu(-pictures) + F.relu(pictures - 1)
            (loss + settings.range * outside.mean(dim=(1, 2, 3))).sum().backward()
            optimiser.step()
        change = change + _spread(unknown.detach(), height, width)
    with torch.no_grad():
        pictures = shown(start + change).clamp(0, 1)
        remaining = errors(pictures).view(n, many)
        best = remaining.argmin(dim=1)
        chosen = pictures.view(n, many, 3, height, width)[torch.arange(n), best]
    return Integrated(
        chosen.permute(0, 2, 3, 1).cpu().numpy(), remaining.gather(1, best[:, None])[:, 0].cpu().numpy()
    )


def _cool(optimiser: torch.optim.Adam, rate: float, progress: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate * (1 - 0.95 * progress)


def _spread(unknown: Tensor, height: int, width: int) -> Tensor:
    if unknown.shape[2:] == (height, width):
        return unknown
    return F.interpolate(unknown, size=(height, width), mode="bilinear")


def _variation(pictures: Tensor) -> Tensor:
    """(n,) mean over the pixels of the length of the gradient, all channels together."""
    x, y = pictures.diff(dim=3)[:, :, :-1], pictures.diff(dim=2)[:, :, :, :-1]
    return torch.sqrt((x.square() + y.square()).sum(dim=1) + 1e-8).mean(dim=(1, 2))
