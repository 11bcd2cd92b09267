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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sansface.audit.attackers.training import Example, Protection, TrainingSettings, drawn_seed, learn
from sansface.errors import SansfaceError
from sansface.settings import at_least


@dataclass(frozen=True)
class InversionSettings(TrainingSettings):
    """Of the network and its training."""

    steps: int = 3000
    channels: int = 24  # of the finest level; each coarser one has twice as many. A multiple of 8
    levels: int = 4
    fold: int = 2  # so many pixels a side are folded into channels before the finest level
    slopes: float = 2.0  # λ

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, channels=8, levels=1, fold=1, slopes=0)
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
    """Learn to undo a protection; arguments and errors as of `training.learn`.

    generator: draws the network's beginning, and all else; on the CPU.
    """
    seed = drawn_seed(generator)
    network = Inverter(settings, torch.Generator().manual_seed(seed)).to(clear.device)

    def loss_of(example: Example) -> Tensor:
        return _loss(network(example.protected[:, None]), example.clear, settings.slopes)

    learn(network, clear, side, protect, settings, loss_of, seed, kept, known_by, on_progress)
    return network


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


def _convolutions(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.GroupNorm(outputs // 8, outputs),
        nn.SiLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.GroupNorm(outputs // 8, outputs),
        nn.SiLU(),
    )


def _loss(drawn: Tensor, target: Tensor, slopes: float) -> Tensor:
    wrong = drawn - target
    return wrong.abs().mean() + slopes * sum(wrong.diff(dim=axis).abs().mean() for axis in (2, 3))
