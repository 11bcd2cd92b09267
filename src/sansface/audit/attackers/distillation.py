"""Parrot, distillation: a student that sees protected faces only, taught what a recogniser says of the clear
ones.

The student is a small residual network. It learns from clear faces of anybody, protected by the attacker
himself, by

    L = 1 − mean cos(student(σ(c)), recogniser(c));

nobody's name is needed. What it then says of protected pictures is compared with what it, or the recogniser,
says of a gallery; and its features are a descriptor for the linear models (`parrot`).

It should be taught on others than the gallery. On LFW, taught 300 steps on 166 strangers and on the gallery,
models of what it says named 60 % of the gallery's photographs left out and 41 % of the probes: believed too
much, it lowered a parrot of our own descriptors from 70.8 to 64.0 %. Taught on the strangers alone it names
33 %, and the parrot with layers goes from 82.8 to 81.8 %: more strangers are what it lacks. Rendered heads do
not take their place (`benchmarks/rendered_training.py`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sansface.audit.attackers.training import Example, Protection, TrainingSettings, drawn_seed, learn
from sansface.settings import at_least


@dataclass(frozen=True)
class DistillationSettings(TrainingSettings):
    """How large the student is, and how it is taught."""

    steps: int = 400
    batch: int = 64
    decay: float = 0.05
    keep_every: int = 100
    width: int = 24  # channels of the first layer; they double each time the picture halves
    cover: float = 0.3  # largest side of the rectangle that covers a part of a picture, in the picture's

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, width=1, cover=0)


class Student(nn.Module):
    """Protected pictures to embeddings.

    Args:
        numbers: of an embedding.
        side: of the pictures, pixels.
        width: channels of the first layer.
        generator: draws the weights.
    """

    def __init__(self, numbers: int, side: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        widths = [width * 2**i for i in range(4)]
        self.body = nn.Sequential(
            nn.Conv2d(2, width, 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(width),
            nn.PReLU(width),
            *map(_Block, widths[:-1], widths[1:]),
        )
        self.squeeze = nn.Sequential(nn.Conv2d(widths[-1], width, 1, bias=False), nn.BatchNorm2d(width))
        cells = -(-side // 2 ** len(widths))
        self.head = nn.Linear(width * cells**2, numbers, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, generator=generator)

    def features(self, pictures: Tensor) -> Tensor:
        """(n, d) float32 of (n, h, w): what the last layer reads, a place for each patch of the face."""
        return self.squeeze(self.body(_even(pictures))).flatten(1)

    def forward(self, pictures: Tensor) -> Tensor:
        """(n, numbers) float32 of length 1, of (n, h, w) float32 ≥ 0."""
        return F.normalize(self.head(self.features(pictures)), dim=1)


class _Block(nn.Module):
    """Two convolutions beside a shortcut (He et al. 2016); the picture's side is halved."""

    def __init__(self, known: int, new: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(known, new, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(new),
            nn.PReLU(new),
            nn.Conv2d(new, new, 3, padding=1, bias=False),
            nn.BatchNorm2d(new),
        )
        self.shortcut = nn.Sequential(nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(known, new, 1, bias=False))
        self.bend = nn.PReLU(new)

    def forward(self, x: Tensor) -> Tensor:
        return self.bend(self.residual(x) + self.shortcut(x))


def distil(
    clear: Tensor,
    embeddings: Tensor,
    side: int,
    protect: Protection,
    settings: DistillationSettings,
    generator: torch.Generator,
    kept: Path | None = None,
    known_by: Mapping[str, Any] | None = None,
    on_progress: Callable[[float, float], None] | None = None,
) -> Student:
    """Teach a student; the other arguments and the errors as of `training.learn`.

    Args:
        embeddings: (n, d) float32 of the clear faces; of several recognisers side by side, each of length 1.
        generator: draws the weights, and all else; on the CPU.
    """
    seed = drawn_seed(generator)
    begin = torch.Generator().manual_seed(seed)
    student = Student(embeddings.shape[1], side, settings.width, begin).to(clear.device)
    goal = F.normalize(embeddings, dim=1).to(clear.device)

    def loss_of(example: Example) -> Tensor:
        said = student(covered(example.protected, settings.cover, example.draw))
        return 1 - (said * goal[example.chosen]).sum(dim=1).mean()

    learn(student, clear, side, protect, settings, loss_of, seed, kept, known_by, on_progress)
    return student


def covered(pictures: Tensor, largest: float, generator: torch.Generator) -> Tensor:
    """Pictures of each of which a rectangle is 0, so that no one place may decide.

    Args:
        pictures: (n, h, w) float32.
        largest: share of a side; the rectangle's sides are drawn evenly from 0 to that.
        generator: on the CPU.
    """
    n, height, width = pictures.shape
    centre, half = torch.rand(2, n, 2, generator=generator).unbind()
    half = half * largest / 2
    rows, columns = (torch.arange(side) / side for side in (height, width))
    hidden = ((rows - centre[:, :1]).abs() < half[:, :1])[:, :, None]
    hidden = hidden & ((columns - centre[:, 1:]).abs() < half[:, 1:])[:, None]
    return pictures * ~hidden.to(pictures.device)


@torch.no_grad()
def embed(student: Student, pictures: Tensor, batch: int = 256) -> tuple[Tensor, Tensor]:
    """What a student says of protected pictures (n, h, w), and its features.

    Returns:
        Embeddings (n, d) of length 1, and features (n, f): both means over the picture and its mirror image;
        float32 on the student's device.
    """
    said, features = [], []
    for part in pictures.to(student.head.weight.device).split(batch):
        both = torch.cat([part, part.flip(2)])
        features.append(student.features(both).unflatten(0, (2, -1)).mean(dim=0))
        said.append(F.normalize(student(both).unflatten(0, (2, -1)).sum(dim=0), dim=1))
    return torch.cat(said), torch.cat(features)


def _even(pictures: Tensor) -> Tensor:
    """(n, 2, h, w): √σ over its picture's mean, and the same less its local mean over its local deviation."""
    root = pictures.clamp(min=0).sqrt()[:, None]
    root = root / (root.mean(dim=(2, 3), keepdim=True) + 1e-3)

    def near(values: Tensor) -> Tensor:
        return F.avg_pool2d(values, 11, stride=1, padding=5, count_include_pad=False)

    mean = near(root)
    return torch.cat([root - 1, (root - mean) / (near((root - mean) ** 2) + 1e-2).sqrt()], dim=1)
