"""How an attacker's network learns: from clear faces of others, changed a little and protected by himself.

What is learnt from each protected picture is the attacker's own (`inversion`, `distillation`).
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from math import cos, pi
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sansface.errors import SansfaceError
from sansface.reconstruct import checkpoint
from sansface.settings import at_least

Protection = Callable[[Tensor, torch.Generator], Tensor]
"""What the client does: (n, c, h, w) sRGB values to (n, h, w), and what draws its gain and noise."""

WARM_UP = 0.05
"""Share of the steps in which the rate rises; then it falls to nothing along a cosine."""
KNOTS = 5
"""Along each side of the grid whose shifts bend a picture."""


@dataclass(frozen=True)
class TrainingSettings:
    """Of any of these trainings."""

    steps: int = 1000
    batch: int = 16
    rate: float = 2e-3  # Adam's, at its highest
    decay: float = 0.0  # of the weights, decoupled (Loshchilov and Hutter 2019)
    turn: float = 6.0  # degrees; this and what follows are the standard deviations of random changes
    size: float = 0.05  # of the logarithm of an enlargement
    shift: float = 1.0  # pixels
    bend: float = 0.5  # pixels by which parts of the face move against each other, which makes other faces
    tone: float = 0.15  # of the logarithms of a gamma and of a factor for each channel
    blend: float = 0.0  # share of the pictures that are blends of two, which makes other faces
    keep_every: int = 250  # steps between two checkpoints

    def __post_init__(self) -> None:
        at_least(self, steps=1, batch=1, decay=0, keep_every=1)
        at_least(self, turn=0, size=0, shift=0, bend=0, tone=0, blend=0)


@dataclass(frozen=True, eq=False)
class Example:
    """What a network is shown in one step.

    Attributes:
        fine: (n, c, k · side, k · side) float32 in [0, 1], changed.
        clear: (n, c, side, side) float32, these reduced by area averaging.
        protected: (n, side, side) float32, or as `protect` gives it, of these.
    """

    fine: Tensor
    clear: Tensor
    protected: Tensor


def learn(
    network: nn.Module,
    clear: Tensor,
    side: int,
    protect: Protection,
    settings: TrainingSettings,
    loss_of: Callable[[Example], Tensor],
    seed: int,
    kept: Path | None = None,
    known_by: Mapping[str, Any] | None = None,
    on_progress: Callable[[float, float], None] | None = None,
) -> None:
    """Train a network. On a CPU the same seed and network give the same one.

    Args:
        network: changed in place; left in evaluation mode.
        clear: (n, c, k · side, k · side) float32 in [0, 1] or uint8: faces, all in the same place, on the
            network's device; of three channels, or of six, a face as two pictures show it. k > 1 lets the
            changes be made before the pictures are reduced.
        side: of the protected pictures, pixels.
        protect: what the client does, of (n, c, side, side); it draws by the generator it is given alone.
        loss_of: what is to become small.
        seed: of all that is left to chance.
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
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.rate, weight_decay=settings.decay)
    known = {
        "network": type(network).__name__,
        "settings": asdict(settings),
        "pictures": list(clear.shape),
        "side": side,
        "known_by": dict(known_by or {}),
        "seed": seed,
    }
    first = 0
    if kept is not None and kept.exists():
        try:
            state = checkpoint.load(kept)
        except SansfaceError as error:
            raise SansfaceError(f"{kept} is damaged; remove it, and the training begins anew.") from error
        if {**state.run, "step": None} != {**known, "step": None}:
            raise SansfaceError(f"{kept} is of another training; remove it or choose another file.")
        state.restore(network, optimiser)
        first = state.run["step"]
    network.train()
    for step in range(first, settings.steps):
        # A generator for each step: so a training that was cut off goes on as if it had not been.
        draw = torch.Generator().manual_seed(seed + 1 + step)
        fine = _drawn(clear, side, settings, draw)
        if settings.blend:
            one = (settings.batch, 1, 1, 1)
            share = torch.rand(one, generator=draw) / 2 * (torch.rand(one, generator=draw) < settings.blend)
            fine = torch.lerp(fine, _drawn(clear, side, settings, draw), share.to(fine))
        with torch.no_grad():
            reduced = F.avg_pool2d(fine, clear.shape[2] // side)
            protected = protect(reduced, draw)
        for group in optimiser.param_groups:
            group["lr"] = settings.rate * _share(step / settings.steps)
        optimiser.zero_grad()
        loss = loss_of(Example(fine, reduced, protected))
        loss.backward()
        optimiser.step()
        done = step + 1
        if kept is not None and (done % settings.keep_every == 0 or done == settings.steps):
            checkpoint.save(kept, network, optimiser, {**known, "step": done})
        if on_progress is not None:
            on_progress(done / settings.steps, loss.item())
    network.eval()


def _drawn(clear: Tensor, side: int, settings: TrainingSettings, draw: torch.Generator) -> Tensor:
    chosen = torch.randint(len(clear), (settings.batch,), generator=draw).to(clear.device)
    return augmented(clear[chosen], side, settings, draw)


def drawn_seed(generator: torch.Generator) -> int:
    """Of a training, from the generator that an attacker was given."""
    return int(torch.randint(2**48, (), generator=generator))


def augmented(clear: Tensor, side: int, settings: TrainingSettings, generator: torch.Generator) -> Tensor:
    """Faces mirrored or not, moved, bent and of other tones.

    Args:
        clear: (n, c, k · side, k · side) in [0, 1], or uint8.

    Returns:
        The same shape, float32 in [0, 1].
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
    gamma, gain = (torch.exp(normal(channels, 1, 1) * settings.tone) for channels in (1, clear.shape[1]))
    return (gain * moved.clamp(min=1e-4) ** gamma).clamp(0, 1)


def _share(progress: float) -> float:
    return min(progress / WARM_UP + 0.01, 1.0, 0.5 + 0.5 * cos(pi * progress) + 1e-3)
