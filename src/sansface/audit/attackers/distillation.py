"""Parrot, distillation: a student that sees protected faces only, taught what a recogniser says of the clear
ones.

The student begins as the recogniser itself. It learns from clear faces of anybody, protected by the attacker
himself, by

    L = 1 − mean cos(student(σ(c)) − m, recogniser(c) − m) + λ (1 − mean cos(layers of σ(c), layers of c)),

m being the recogniser's mean over those faces, and each place of a layer a vector of its own: few faces have
many places. Nobody's name is needed. What it then says of protected pictures is compared with what the
recogniser says of a clear gallery, or itself of a protected one; and its layers are descriptors for the
linear models (`parrot`).

It is taught on others than the gallery: of pictures that it was taught it says more than of probes, and
linear models would believe it too much.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sansface.audit.attackers.layers import enlarged, signed_root
from sansface.audit.attackers.linear import directions
from sansface.audit.attackers.teachable import Teachable
from sansface.audit.attackers.training import Example, Protection, TrainingSettings, drawn_seed, learn
from sansface.recognise.align import EYES, SIDE
from sansface.settings import at_least

Said = tuple[Tensor, dict[str, Tensor]]
"""(n, d) and by name (n, c, h, w)."""


@dataclass(frozen=True)
class DistillationSettings(TrainingSettings):
    """How a student is taught."""

    steps: int = 300
    batch: int = 32
    rate: float = 1e-3
    decay: float = 0.01
    blend: float = 0.5
    keep_every: int = 50
    layers: float = 1.0  # λ

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, batch=2, layers=0)


class Student(nn.Module):
    """Pictures in which a face is hidden to what a recogniser would say of the clear ones.

    Args:
        teacher: as a copy of which it begins.
        centre: (d,) the mean of what the teacher says of clear faces.
        seen: what it is shown of pictures, (n, 3, 112, 112) float32 in [0, 1].
    """

    def __init__(self, teacher: Teachable, centre: Tensor, seen: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.network, self.seen, self.centre = deepcopy(teacher), seen, nn.Buffer(centre)

    def forward(self, pictures: Tensor) -> Said:
        """Its embedding, of length 1, and its layers."""
        said, layers = self.network(self.seen(pictures))
        return F.normalize(said - self.centre, dim=1), layers

    @torch.no_grad()
    def embed(self, pictures: np.ndarray, batch: int = 64) -> dict[str, np.ndarray]:
        """What it says of n pictures: its embedding of length 1, and signed square roots of
        its layers' values; by name (n, d) float32."""
        said: dict[str, list[Tensor]] = {}
        for part in torch.from_numpy(pictures).split(batch):
            embedding, layers = self(part)
            for name, value in ({"embedding": embedding} | layers).items():
                said.setdefault(name, []).append(value.flatten(1).cpu())
        found = {name: torch.cat(parts).numpy() for name, parts in said.items()}
        return {name: one if name == "embedding" else signed_root(one) for name, one in found.items()}

    def about(self, embeddings: np.ndarray) -> np.ndarray:
        """(n, d) of length 1: what the recogniser says of clear faces, as the student would say it."""
        return directions(embeddings - self.centre.cpu().numpy())


def distil(
    clear: Tensor,
    side: int,
    eyes: float,
    teacher: Teachable,
    protect: Protection,
    settings: DistillationSettings,
    generator: torch.Generator,
    kept: Path | None = None,
    known_by: Mapping[str, Any] | None = None,
    on_progress: Callable[[float, float], None] | None = None,
) -> Student:
    """Teach a student; the other arguments and the errors as of `training.learn`.

    Args:
        eyes: pixels between the eyes in a protected picture.
        teacher: the recogniser's network, which is left as it is.
        generator: on the CPU.
    """
    teacher = teacher.to(clear.device).eval()
    zoom = EYES / eyes * side / clear.shape[-1]
    with torch.no_grad():
        said = [teacher(_face(part, zoom))[0] for part in clear.split(settings.batch)]

    def seen(pictures: Tensor) -> Tensor:
        large = torch.from_numpy(enlarged(pictures.cpu().numpy(), eyes)).to(clear.device)
        return large[:, None].expand(-1, 3, -1, -1)

    student = Student(teacher, torch.cat(said).mean(dim=0), seen)
    # Of small pictures of many channels twice as fast.
    student.network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def loss_of(example: Example) -> Tensor:
        with torch.no_grad():
            goal, shown = teacher(_face(example.fine, zoom))
            goal = F.normalize(goal - student.centre, dim=1)
        return unlike(student(example.protected), (goal, shown), settings.layers)

    learn(
        student, clear, side, protect, settings, loss_of, drawn_seed(generator), kept, known_by, on_progress
    )
    return student.eval()


def unlike(student: Said, teacher: Said, weight: float) -> Tensor:
    """The loss: what a student says, an embedding of length 1 and layers, beside what the teacher says of the
    clear faces; `weight` is λ."""
    (said, layers), (goal, shown) = student, teacher
    apart = [1 - F.cosine_similarity(layers[name], shown[name], dim=1).mean() for name in layers]
    return 1 - (said * goal).sum(dim=1).mean() + weight * sum(apart) / len(apart)


def _face(pictures: Tensor, zoom: float) -> Tensor:
    """(n, 3, 112, 112): what a recogniser is shown of clear pictures, their middle so many times as large."""
    values = pictures / 255 if pictures.dtype == torch.uint8 else pictures
    share = SIDE / (zoom * values.shape[-1])
    map_ = torch.tensor([[share, 0.0, 0.0], [0.0, share, 0.0]], device=values.device)
    grid = F.affine_grid(map_.expand(len(values), 2, 3), [len(values), 3, SIDE, SIDE], align_corners=False)
    cut = F.grid_sample(values, grid, mode="bicubic", padding_mode="border", align_corners=False)
    return cut.clamp(0, 1)
