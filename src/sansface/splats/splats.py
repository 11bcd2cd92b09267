"""2D Gaussian splats: elliptical discs with soft edges, in the unit-sphere frame (Huang et al. 2024, sec. 4).

A point of splat k's plane is p(u, v) = c + s_u t_u u + s_v t_v v (eq. 4); there its opacity is
o exp(−(u² + v²) / 2) (eq. 6).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

HARMONIC0 = 0.28209479177387814  # 1 / (2 √π)
HARMONIC1 = 0.4886025119029199  # √3 / (2 √π)


class Splats(nn.Module):
    """As many splats as there are at the beginning.

    Args:
        centres: (n, 3).
        normals: (n, 3) unit; t_u and t_v are turned around them at random.
        scale: s_u and s_v, in radii of the sphere.
        opacity: o.
        colour: (3,) sRGB, the same from everywhere.
        degree: of the colour's spherical harmonics, 0 or 1.
        generator: on the CPU.
    """

    need: Tensor

    def __init__(
        self,
        centres: Float[Tensor, "n 3"],
        normals: Float[Tensor, "n 3"],
        scale: float,
        opacity: float,
        colour: Float[Tensor, " 3"],
        degree: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        n = len(centres)
        turn = torch.pi * torch.rand(n, generator=generator)
        waves = torch.zeros((n, (degree + 1) ** 2, 3))
        waves[:, 0] = (colour - 0.5) / HARMONIC0
        self.centres = nn.Parameter(centres.clone())
        self.turns = nn.Parameter(facing(normals, turn))
        self.log_scales = nn.Parameter(torch.full((n, 2), scale).log())
        self.logits = nn.Parameter(torch.full((n,), opacity).logit())
        self.waves = nn.Parameter(waves)
        self.register_buffer("need", torch.zeros(n))  # the pull since the last relocation

    def axes(self) -> Float[Tensor, "n 3 3"]:
        """Columns t_u, t_v and the normal t_u × t_v: the rotation of the quaternion w, x, y, z."""
        w, x, y, z = F.normalize(self.turns, dim=1).unbind(dim=1)
        rows = [
            *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
            *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
            *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
        ]
        return torch.stack(rows, dim=1).view(-1, 3, 3)

    def scales(self) -> Float[Tensor, "n 2"]:
        """s_u and s_v, in radii of the sphere."""
        return self.log_scales.exp()

    def opacities(self) -> Float[Tensor, " n"]:
        """o."""
        return self.logits.sigmoid()

    def colours(self, origin: Float[Tensor, " 3"]) -> Float[Tensor, "n 3"]:
        """sRGB, from 0 on, as seen from a place: ½ + Σ k Y of the direction (Kerbl et al. 2023)."""
        colour = 0.5 + HARMONIC0 * self.waves[:, 0]
        if self.waves.shape[1] > 1:
            x, y, z = F.normalize(self.centres - origin, dim=1)[..., None].unbind(dim=1)
            first = -y * self.waves[:, 1] + z * self.waves[:, 2] - x * self.waves[:, 3]
            colour = colour + HARMONIC1 * first
        return colour.clamp(min=0)

    def parameter_groups(self) -> dict[str, nn.Parameter]:
        """Parameters by the learning rate that they take."""
        return {
            "centre": self.centres,
            "turn": self.turns,
            "scale": self.log_scales,
            "opacity": self.logits,
            "colour": self.waves,
        }


def facing(normals: Float[Tensor, "n 3"], turn: Float[Tensor, " n"]) -> Float[Tensor, "n 4"]:
    """Quaternions w, x, y, z of rotations that bring the z axis to ± the normals, after a turn around it.

    A splat has two sides, so of a normal and its opposite the one that is nearer to the z axis will do.
    """
    x, y, z = (normals * torch.where(normals[:, 2:] < 0, -1.0, 1.0)).unbind(dim=1)
    tilt = F.normalize(torch.stack([1 + z, -y, x], dim=1), dim=1)
    c, s = (turn / 2).cos(), (turn / 2).sin()
    w, a, b = tilt.unbind(dim=1)
    return torch.stack([w * c, a * c + b * s, b * c - a * s, w * s], dim=1)
