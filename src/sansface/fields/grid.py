"""The default field: a signed distance stored on a pyramid of grids, fast on a CPU and on a GPU.

The distance is a sphere plus the sum of grids of rising resolution, each interpolated to the next one's;
coarse grids move the whole head in one step, fine ones add the detail. The sum is formed once a step. Its
gradient is the central difference on the finest nodes, interpolated like the distance itself, so normals are
continuous.
Features for the radiance lie on a grid of their own.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sansface.fields.differences import CentralDifferences, MeanSquaredSecondDifference, WeightedEikonal
from sansface.fields.field import SOFT, Field, Sdf
from sansface.fields.on_cpu import Eikonal, Interpolation, SquaredSecondDifference, ValueAndSlopes, compilable
from sansface.fields.radiance import AlbedoTimesShading, RadianceNetwork

NEAR = 0.1
"""Nodes nearer to the surface than this count fully in the eikonal term, the others by `FAR`."""
FAR = 0.1


class GridField(Field):
    """Pyramid of distances, grid of features, albedo times shading.

    Args:
        levels: nodes along an edge of [-1, 1]³, coarse to fine.
        feature_nodes, feature_channels: the features' grid.
        width, depth: of the radiance's hidden layers.
        radius: of the sphere that it starts as.
        generator: for the initial values.
        factored: radiance is albedo times shading; else one network sees features, normal and direction.

    Raises:
        ValueError: levels or nodes of which there is no cell, no channel, no layer.
    """

    start: Tensor
    rest: Tensor | None = None
    """(1, 1, n, n, n) what is smooth by definition, after `begin_as`."""

    def __init__(
        self,
        levels: tuple[int, ...],
        feature_nodes: int,
        feature_channels: int,
        width: int,
        depth: int,
        radius: float,
        generator: torch.Generator,
        factored: bool = True,
    ) -> None:
        if not levels or min(*levels, feature_nodes) < 2 or min(feature_channels, width, depth) < 1:
            raise ValueError("levels and feature_nodes are at least 2, channels, width and depth at least 1")
        super().__init__()
        self.levels = nn.ParameterList(nn.Parameter(torch.zeros(1, 1, n, n, n)) for n in levels)
        shape = (1, feature_channels, feature_nodes, feature_nodes, feature_nodes)
        self.features = nn.Parameter(1e-2 * torch.randn(shape, generator=generator))
        self.radiance = (
            AlbedoTimesShading(feature_channels, width, depth)
            if factored
            else RadianceNetwork(feature_channels, width, depth, frequencies=0)
        )
        for number, (coarse, fine) in enumerate(pairwise(levels)):
            hats = F.interpolate(torch.eye(coarse)[None], size=fine, mode="linear", align_corners=True)[0].T
            self.register_buffer(f"refine{number}", hats.contiguous(), persistent=False)
        n = levels[-1]
        self.register_buffer("start", (nodes(n).norm(dim=1) - radius).view(1, 1, n, n, n))

    def now(self) -> "GridSurface":
        distance = self.levels[0]
        for number, level in enumerate(list(self.levels)[1:]):
            distance = _refined(distance, self.get_buffer(f"refine{number}")) + level
        return GridSurface(self.start + distance, self.features, self.rest)

    @torch.no_grad()
    def begin_as(self, sdf: Sdf, generator: torch.Generator) -> None:
        self.start.copy_(sdf(nodes(self.start.shape[-1], self.start.device)).view_as(self.start))
        self.rest = self.start

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        return {
            "distance": list(self.levels),
            "features": [self.features],
            "radiance": list(self.radiance.parameters()),
        }


class GridSurface:
    """One step of a `GridField`: (1, 1, n, n, n) distances, x fastest, and (1, c, m, m, m) features.

    rest: (1, 1, n, n, n) distances of a shape that counts as smooth, such as a template: then it is what was
    added to them that is to be smooth, and what no picture speaks of keeps the template's form.
    """

    def __init__(self, distance: Tensor, features: Tensor, rest: Tensor | None = None) -> None:
        self.distance, self.features, self.rest = distance, features, rest
        self.spacing = 2 / (distance.shape[-1] - 1)
        self.fixed = distance.detach()
        self.compiled = compilable(distance) and compilable(features)

    @property
    def values(self) -> Float[Tensor, "n n n"]:
        """The distances without a graph."""
        return self.fixed[0, 0]

    @cached_property
    def packed(self) -> Float[Tensor, "1 4 n n n"]:
        """The distances and their slopes on the nodes, with a graph whoever asks first: all get the same."""
        with torch.enable_grad():
            return CentralDifferences.apply(self.distance, self.spacing)

    def tensors(self) -> tuple[Tensor, ...]:
        return self.distance, self.features

    def of(self, tensors: Sequence[Tensor]) -> "GridSurface":
        distance, features = tensors
        return GridSurface(distance, features, self.rest)

    def sdf(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, " n"]:
        return self._interpolated(self.fixed, points)[:, 0]

    def query(
        self, points: Float[Tensor, "n 3"]
    ) -> tuple[Float[Tensor, " n"], Float[Tensor, "n 3"], Float[Tensor, "n c"]]:
        return *self.shape(points), self._interpolated(self.features, points)

    def shape(self, points: Float[Tensor, "n 3"]) -> tuple[Float[Tensor, " n"], Float[Tensor, "n 3"]]:
        if self.compiled and not points.requires_grad:
            values = ValueAndSlopes.apply(self.distance, points)
        else:
            values = interpolate(self.packed, points)
        return values[:, 0], values[:, 1:]

    def eikonal(self, generator: torch.Generator) -> Float[Tensor, ""]:
        if self.compiled:
            return Eikonal.apply(self.distance, NEAR, FAR)
        return WeightedEikonal.apply(self.packed, torch.where(self.fixed.abs() < NEAR, 1.0, FAR))

    def smoothness(self, generator: torch.Generator) -> Float[Tensor, ""]:
        of = SquaredSecondDifference if self.compiled else MeanSquaredSecondDifference
        bent = self.distance if self.rest is None else self.distance - self.rest
        return of.apply(bent) / self.spacing**4

    def volume(self, generator: torch.Generator) -> Float[Tensor, ""]:
        return torch.sigmoid(self.distance / -SOFT).mean()

    def _interpolated(self, grid: Tensor, points: Tensor) -> Tensor:
        if self.compiled and not points.requires_grad:
            return Interpolation.apply(grid, points)
        return interpolate(grid, points)


def nodes(n: int, device: torch.device | None = None) -> Float[Tensor, "m 3"]:
    """The n³ nodes of a grid over [-1, 1]³ in the order of its values: x fastest."""
    axis = torch.linspace(-1, 1, n, device=device)
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    return torch.stack([x, y, z], dim=-1).view(-1, 3)


def _refined(grid: Tensor, hats: Float[Tensor, "m n"]) -> Tensor:
    """Trilinear values (1, 1, m, m, m) of a grid (1, 1, n, n, n) on finer nodes, one axis after the other.

    What torch's own interpolation does, whose derivative takes ten times as long and one core.
    """
    m, n = hats.shape
    along_x = grid.reshape(n * n, n) @ hats.T
    along_y = torch.matmul(hats, along_x.view(n, n, m))
    return (hats @ along_y.reshape(n, m * m)).view(1, 1, m, m, m)


def interpolate(grid: Float[Tensor, "1 c d h w"], points: Float[Tensor, "n 3"]) -> Float[Tensor, "n c"]:
    """Trilinear values over [-1, 1]³ by torch; outside, those of the nearest place in it."""
    values = F.grid_sample(grid, points.view(1, -1, 1, 1, 3), padding_mode="border", align_corners=True)
    return values.view(grid.shape[1], -1).T
