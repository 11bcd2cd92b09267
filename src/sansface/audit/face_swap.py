"""Can a face swap be trained on it? One encoder, two decoders, as in table 3 of the paper.

The autoencoder of the first DeepFakes, which DeepFaceLab (Perov et al. 2020) grew from: both faces go through
one encoder, each is drawn by a decoder of its own, from pictures that were warped a little. Then the source
goes through the target's decoder. It serves to measure how much of a person what was kept gives to such a
network. It is small, it learns in minutes and is forgotten: nothing trained is returned or written, and no
verb aims it at anybody.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sansface.recognise.align import Placing

SIDE = 64
PLACED = Placing(SIDE, 22.0, (0.0, -2.0))
"""How faces lie in it: brow to chin, and some cheek."""


@dataclass(frozen=True)
class SwapSettings:
    """How it learns; half a minute of one core."""

    steps: int = 400
    batch: int = 4  # of each face
    rate: float = 2e-3  # of Adam, falling to a tenth
    width: int = 8  # channels of the largest layer
    code: int = 96  # numbers between encoder and decoders
    turned: float = 10.0  # degrees, by which both picture and target are turned at most
    moved: float = 0.06  # of the side, by which they are shifted at most
    warped: float = 0.05  # of the side: the picture alone, smoothly


class FaceSwap(nn.Module):
    """The network. Pictures are (n, 3, 64, 64) in [0, 1]."""

    def __init__(self, width: int, code: int) -> None:
        super().__init__()
        widths = (3, width, 2 * width, 4 * width)
        down = [
            layer
            for one, other in pairwise(widths)
            for layer in (nn.Conv2d(one, other, 5, stride=2, padding=2), nn.LeakyReLU(0.1))
        ]
        flat = widths[-1] * (SIDE // 8) ** 2
        self.encoder = nn.Sequential(
            *down, nn.Flatten(), nn.Linear(flat, code), nn.Linear(code, flat), nn.LeakyReLU(0.1)
        )
        self.decoders = nn.ModuleList([self._decoder(widths) for _ in range(2)])

    def forward(self, pictures: Tensor, whose: int) -> Tensor:
        return self.decoders[whose](self.encoder(pictures))

    @staticmethod
    def _decoder(widths: tuple[int, ...]) -> nn.Sequential:
        up: list[nn.Module] = [nn.Unflatten(1, (widths[-1], SIDE // 8, SIDE // 8))]
        last = widths[1]
        for one, other in ((widths[3], widths[2]), (widths[2], last), (last, last)):
            up += [nn.Conv2d(one, 4 * other, 3, padding=1), nn.LeakyReLU(0.1), nn.PixelShuffle(2)]
        return nn.Sequential(*up, nn.Conv2d(last, 3, 3, padding=1), nn.Sigmoid())


def swapped(
    source: np.ndarray, target: np.ndarray, settings: SwapSettings, generator: torch.Generator
) -> np.ndarray:
    """The source's pictures with the target's face, by a network that has seen nothing but these two.

    Args:
        source: (n, 64, 64, 3) float32 in [0, 1], placed as `PLACED`.
        target: (m, 64, 64, 3), whatever was kept of the target.
        generator: draws weights and examples, on the CPU.

    Returns:
        (n, 64, 64, 3) float32.
    """
    network = FaceSwap(settings.width, settings.code)
    for values in network.parameters():
        if values.ndim > 1:
            nn.init.kaiming_normal_(values, a=0.1, generator=generator)
        else:
            nn.init.zeros_(values)
    faces = [torch.from_numpy(one.transpose(0, 3, 1, 2).copy()) for one in (source, target)]
    adam = torch.optim.Adam(network.parameters(), lr=settings.rate, betas=(0.5, 0.999))
    falling = torch.optim.lr_scheduler.ExponentialLR(adam, 0.1 ** (1 / settings.steps))
    for _ in range(settings.steps):
        loss = torch.zeros(())
        for whose, own in enumerate(faces):
            seen, wanted = _examples(own, settings, generator)
            loss = loss + (network(seen, whose) - wanted).abs().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        falling.step()
    with torch.no_grad():
        drawn = network(faces[0], 1)
    return drawn.permute(0, 2, 3, 1).contiguous().numpy()


def _examples(faces: Tensor, settings: SwapSettings, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Pictures drawn at random and moved, warped besides and not: (batch, 3, 64, 64) each."""

    def evenly(*shape: int) -> Tensor:
        return 2 * torch.rand(shape, generator=generator) - 1

    count = settings.batch
    chosen = faces[torch.randint(len(faces), (count,), generator=generator)]
    angle = torch.deg2rad(settings.turned * evenly(count))
    motion = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).view(count, 2, 2)
    shift = 2 * settings.moved * evenly(count, 2, 1)  # of a picture from −1 to 1
    grid = functional.affine_grid(torch.cat([motion, shift], dim=2), list(chosen.shape), align_corners=False)
    coarse = 2 * settings.warped * evenly(count, 2, 5, 5)
    smooth = functional.interpolate(coarse, (SIDE, SIDE), mode="bicubic", align_corners=True)
    warped = grid + smooth.permute(0, 2, 3, 1)
    seen, wanted = (
        functional.grid_sample(chosen, one, padding_mode="border", align_corners=False)
        for one in (warped, grid)
    )
    return seen, wanted
