"""Reverse by learning: a network that has seen many faces beside their σ draws the face back.

The attacker protects clear faces of other people himself, learns to undo it, undoes the protection of the
picture that he holds, and gives the result to a recogniser. The network is a U-Net (Ronneberger et al. 2015).
It learns by

    L = mean |ĉ − c| + λ mean |D ĉ − D c|,

D being the differences between neighbours with their signs, which are what σ withholds, and what tells people
apart: at 400 steps on 166 faces of LFW this term raised rank-1 of 79 from 5.4 to 11.8 %, and PSNR as well. A
recogniser in the loss did worse there (3.3 %), be it a student distilled from the attacker's few people or
MobileFaceNet's own derivative, at a weight of 0.2 from the first step on; other weights were not tried.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from math import cos, pi
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sansface.errors import SansfaceError
from sansface.reconstruct import checkpoint
from sansface.settings import at_least

Protection = Callable[[Tensor], Tensor]
"""What the client does: (n, 3, h, w) sRGB values to (n, h, w)."""

WARM_UP = 0.05
"""Share of the steps in which the rate rises; then it falls to nothing along a cosine."""
KNOTS = 5
"""Along each side of the grid whose shifts bend a picture."""


@dataclass(frozen=True)
class InversionSettings:
    """Of the network and its training."""

    channels: int = 24  # of the finest level; each coarser one has twice as many. A multiple of 8
    levels: int = 4
    fold: int = 2  # so many pixels a side are folded into channels before the finest level
    steps: int = 3000
    batch: int = 16
    rate: float = 2e-3  # Adam's, at its highest
    slopes: float = 2.0  # λ
    turn: float = 6.0  # degrees; this and what follows are the standard deviations of random changes
    size: float = 0.05  # of the logarithm of an enlargement
    shift: float = 1.0  # pixels
    bend: float = 0.5  # pixels by which parts of the face move against each other, which makes other faces
    tone: float = 0.15  # of the logarithms of a gamma and of a factor for each channel
    keep_every: int = 250  # steps between two checkpoints

    def __post_init__(self) -> None:
        at_least(self, channels=8, levels=1, fold=1, steps=1, batch=1, keep_every=1)
        at_least(self, slopes=0, turn=0, size=0, shift=0, bend=0, tone=0)
        if self.channels % 8:
            raise SansfaceError(
                f"the inversion's channels are a multiple of 8, unlike {self.channels}; choose another."
            )


class Inverter(nn.Module):
    """The U-Net: (n, 1, h, w) protected to (n, 3, h, w) in [0, 1].

    h and w are multiples of fold · 2^(levels − 1).
    """

    def __init__(self, settings: InversionSettings, generator: torch.Generator) -> None:
        super().__init__()
        self.fold = settings.fold
        widths = [settings.channels * 2**level for level in range(settings.levels)]
        inputs = [self.fold**2, *widths[:-1]]
        self.down = nn.ModuleList(_convolutions(a, b) for a, b in zip(inputs, widths, strict=True))
        finer = list(reversed(widths[:-1]))
        coarser = list(reversed(widths[1:]))
        self.up = nn.ModuleList(_convolutions(a + b, a) for a, b in zip(finer, coarser, strict=True))
        self.out = nn.Conv2d(widths[0], 3 * self.fold**2, 3, padding=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, generator=generator)
                assert module.bias is not None
                nn.init.zeros_(module.bias)
        nn.init.zeros_(self.out.weight)  # begins with grey

    def forward(self, protected: Tensor) -> Tensor:
        x = F.pixel_unshuffle(protected, self.fold)
        kept: list[Tensor] = []
        for level, block in enumerate(self.down):
            x = block(F.avg_pool2d(x, 2) if level else x)
            kept.append(x)
        for block, fine in zip(self.up, reversed(kept[:-1]), strict=True):
            x = block(torch.cat([fine, F.interpolate(x, scale_factor=2.0)], dim=1))
        return torch.sigmoid(F.pixel_shuffle(self.out(x), self.fold))


def train(
    clear: Tensor,
    side: int,
    protect: Protection,
    settings: InversionSettings,
    generator: torch.Generator,
    kept: Path | None = None,
    known_by: Mapping[str, Any] | None = None,
    on_progress: Callable[[float, float], None] | None = None,
) -> Inverter:
    """Learn to undo a protection. On a CPU the same generator gives the same network.

    Args:
        clear: (n, 3, k · side, k · side) float32 in [0, 1] or uint8: faces, all in the same place, on the
            device that is to learn. k > 1 lets the changes be made before the pictures are reduced.
        side: of the protected pictures, pixels.
        protect: what the client does, of (n, 3, side, side).
        generator: draws the network's beginning, and all else; on the CPU.
        kept: a file of the training's state, gone on from if it exists, and written every `keep_every` steps.
        known_by: what else tells this training from others, such as the operator's parameters, as JSON; a
            file that is known by other things is refused.
        on_progress: is told the share done and the loss.

    Raises:
        SansfaceError: `clear` is not of a whole multiple of `side`, or the file is of another training.
    """
    height, width = clear.shape[2:]
    if height != width or height % side:
        raise SansfaceError(
            f"the attacker's pictures have {width} × {height} pixels, no multiple of {side} × {side}; cut "
            "them again."
        )
    seed = int(torch.randint(2**48, (), generator=generator))
    network = Inverter(settings, torch.Generator().manual_seed(seed)).to(clear.device)
    optimiser = torch.optim.Adam(network.parameters(), lr=settings.rate)
    first = 0
    known = {
        "attacker": "inversion",
        "settings": asdict(settings),
        "pictures": list(clear.shape),
        "side": side,
        "known_by": dict(known_by or {}),
        "seed": seed,
    }
    if kept is not None and kept.exists():
        state = checkpoint.load(kept)
        if {**state.run, "step": None} != {**known, "step": None}:
            raise SansfaceError(f"{kept} is of another training; remove it or choose another file.")
        state.restore(network, optimiser)
        first = state.run["step"]
    network.train()
    for step in range(first, settings.steps):
        # A generator for each step: so a training that was cut off goes on as if it had not been.
        draw = torch.Generator().manual_seed(seed + 1 + step)
        chosen = torch.randint(len(clear), (settings.batch,), generator=draw)
        target = augmented(clear[chosen.to(clear.device)], side, settings, draw)
        with torch.no_grad():
            protected = protect(target)
        for group in optimiser.param_groups:
            group["lr"] = settings.rate * _share(step / settings.steps)
        optimiser.zero_grad()
        loss = _loss(network(protected[:, None]), target, settings.slopes)
        loss.backward()
        optimiser.step()
        done = step + 1
        if kept is not None and (done % settings.keep_every == 0 or done == settings.steps):
            checkpoint.save(kept, network, optimiser, {**known, "step": done})
        if on_progress is not None:
            on_progress(done / settings.steps, loss.item())
    return network.eval()


def invert(network: Inverter, protected: np.ndarray, batch: int = 64) -> np.ndarray:
    """Draw faces back.

    Args:
        protected: (n, h, w) float32.

    Returns:
        (n, h, w, 3) float32 sRGB values in [0, 1].
    """
    device = network.out.weight.device
    network.eval()
    with torch.no_grad():
        pieces = [
            network(piece[:, None].to(device)).permute(0, 2, 3, 1).cpu()
            for piece in torch.from_numpy(protected).split(batch)
        ]
    return torch.cat(pieces).numpy()


def augmented(clear: Tensor, side: int, settings: InversionSettings, generator: torch.Generator) -> Tensor:
    """Faces mirrored or not, moved, bent and of other tones, then reduced by area averaging.

    Args:
        clear: (n, 3, k · side, k · side) in [0, 1], or uint8.

    Returns:
        (n, 3, side, side) float32 in [0, 1].
    """
    n, device = len(clear), clear.device
    values = clear / 255 if clear.dtype == torch.uint8 else clear

    def normal(*shape: int) -> Tensor:
        return torch.randn(n, *shape, generator=generator).to(device)

    angle, factor = normal() * settings.turn * (pi / 180), torch.exp(normal() * settings.size)
    mirror = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0).to(device)
    pixel = 2 / side  # affine_grid measures a picture from −1 to 1
    x, y = factor * torch.cos(angle), factor * torch.sin(angle)
    shift = normal(2, 1) * settings.shift * pixel
    turn = torch.stack([torch.stack([mirror * x, -mirror * y], 1), torch.stack([y, x], 1)], 1)
    grid = F.affine_grid(torch.cat([turn, shift], dim=2), list(clear.shape), align_corners=False)
    bend = normal(2, KNOTS, KNOTS) * settings.bend * pixel
    grid = grid + F.interpolate(bend, size=clear.shape[2:], mode="bicubic").permute(0, 2, 3, 1)
    moved = F.grid_sample(values, grid, padding_mode="border", align_corners=False)
    small = F.avg_pool2d(moved, clear.shape[2] // side)
    gamma, gain = torch.exp(normal(1, 1, 1) * settings.tone), torch.exp(normal(3, 1, 1) * settings.tone)
    return (gain * small.clamp(min=1e-4) ** gamma).clamp(0, 1)


def _convolutions(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.GroupNorm(outputs // 8, outputs),
        nn.SiLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.GroupNorm(outputs // 8, outputs),
        nn.SiLU(),
    )


def _share(progress: float) -> float:
    return min(progress / WARM_UP + 0.01, 1.0, 0.5 + 0.5 * cos(pi * progress) + 1e-3)


def _loss(drawn: Tensor, target: Tensor, slopes: float) -> Tensor:
    wrong = drawn - target
    return wrong.abs().mean() + slopes * sum(wrong.diff(dim=axis).abs().mean() for axis in (2, 3))
