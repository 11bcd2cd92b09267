"""Closed forms that the server's tests compare with: a ball or a thin shell as a `Surface`."""

import torch
from torch import Tensor
from torch.nn import functional as F

from sansface.render.sampling import through_cube


class Ball:
    """The exact distance of a ball, or of a spherical shell of some thickness; features are the points."""

    def __init__(
        self, radius: float = 0.5, centre: tuple[float, ...] = (0.0, 0.0, 0.0), shell: float = 0.0
    ) -> None:
        self.radius, self.centre, self.shell = radius, torch.tensor(centre), shell

    def shape(self, points: Tensor) -> tuple[Tensor, Tensor]:
        offset = points - self.centre
        distance = offset.norm(dim=1) - self.radius
        gradient = F.normalize(offset, dim=1)
        if not self.shell:
            return distance, gradient
        return distance.abs() - self.shell / 2, gradient * distance.sign()[:, None]

    def query(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return *self.shape(points), points

    def tensors(self) -> tuple[Tensor, ...]:
        return ()

    def of(self, tensors) -> "Ball":
        return self

    def sdf(self, points: Tensor) -> Tensor:
        return self.shape(points)[0]

    def eikonal(self, generator: torch.Generator) -> Tensor:
        return torch.zeros(())

    def smoothness(self, generator: torch.Generator) -> Tensor:
        return torch.zeros(())

    def volume(self, generator: torch.Generator) -> Tensor:
        return torch.zeros(())


def parallel_rays(offsets: Tensor, distance: float = 3.0) -> tuple[Tensor, Tensor]:
    """Rays along +z that pass the z axis at these offsets along x: origins (n, 3), directions (n, 3)."""
    zero = torch.zeros_like(offsets)
    origins = torch.stack([offsets, zero, zero - distance], dim=1)
    return origins, torch.tensor([[0.0, 0.0, 1.0]]).expand(len(offsets), 3).contiguous()


def random_rays(count: int, seed: int, aim: float = 0.8) -> tuple[Tensor, Tensor]:
    """Rays from random places at distance 3 towards random points within `aim` of the origin."""
    generator = torch.Generator().manual_seed(seed)
    origins = 3 * F.normalize(torch.randn((count, 3), generator=generator), dim=1)
    towards = aim * (2 * torch.rand((count, 3), generator=generator) - 1) / 3**0.5
    return origins, F.normalize(towards - origins, dim=1)


def first_meeting(
    origins: Tensor, directions: Tensor, radius: float, centre: tuple[float, ...] = (0.0, 0.0, 0.0)
) -> tuple[Tensor, Tensor, Tensor]:
    """Of rays and a sphere: the first t (NaN for a miss), t of the closest approach, and its distance."""
    offset = origins - torch.tensor(centre)
    along = -(offset * directions).sum(dim=1)
    miss = (offset + along[:, None] * directions).norm(dim=1)
    return along - torch.sqrt(radius**2 - miss**2), along, miss


def everywhere(origins: Tensor, directions: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """Midpoints (n, k) and lengths of equal strata all the way through the cube: dense quadrature."""
    near, far = through_cube(origins, directions)
    share = (torch.arange(samples) + 0.5) / samples
    length = far - near
    return near[:, None] + length[:, None] * share, (length / samples)[:, None].expand(-1, samples)
