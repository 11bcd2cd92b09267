"""VolSDF's own field: an MLP for distance and features (Yariv et al. 2021, sec. B.2)."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sansface.fields.encoding import octaves
from sansface.fields.field import SOFT, Field, Sdf
from sansface.fields.radiance import RadianceNetwork

POINTS = 1024
"""Points for the eikonal and smoothness terms."""

BEGINNING = {"steps": 400, "points": 2048, "rate": 1e-3}
"""Of the regression by which the network takes other distances than the sphere's."""

LEAST_BETA = 1e-4
"""Of the density's scale."""

NEAR = 0.1
"""Where that error counts half, in units of the frame."""

STEP = 0.01
"""Between neighbours whose gradients the smoothness term compares, in units of the frame."""


class MlpField(Field):
    """SDF network with softplus (β = 100), one skip connection and geometric initialisation.

    Args:
        width, depth: of the hidden layers of the distance.
        skip: the layer that gets the encoded point once more.
        features: channels handed to the radiance.
        frequencies: octaves for the point.
        view_frequencies: octaves for the direction.
        radius: of the sphere that it starts as (Atzmon & Lipman 2020).
        generator: for the initial values.
        beta: scale of the density that it starts with; learnt where a stage does not give one.
        radiance_depth: hidden layers of the radiance, as wide as the distance's.

    Raises:
        ValueError: no layer, or one too narrow for the encoded point.
    """

    def __init__(
        self,
        width: int,
        depth: int,
        skip: int,
        features: int,
        frequencies: int,
        view_frequencies: int,
        radius: float,
        generator: torch.Generator,
        beta: float = 0.1,
        radiance_depth: int = 4,
    ) -> None:
        inputs = 3 * (1 + 2 * frequencies)
        if width <= inputs or min(depth, skip, features, radiance_depth) < 1:
            raise ValueError(
                f"width is more than the {inputs} numbers of an encoded point; depth, skip, features and "
                "radiance_depth are at least 1"
            )
        super().__init__()
        self.frequencies, self.skip = frequencies, skip
        sizes = [inputs] + [width] * depth + [1 + features]
        layers = []
        for i, (a, b) in enumerate(pairwise(sizes)):
            # The layer before the skip is narrower, so that the encoded point fits beside its output.
            layer = nn.Linear(a, b - inputs if i + 1 == skip else b)
            _geometric(layer, i, last=i == depth, skip=i == skip, inputs=inputs, radius=radius, rng=generator)
            layers.append(nn.utils.parametrizations.weight_norm(layer))
        self.layers = nn.ModuleList(layers)
        self.scale = nn.Parameter(torch.tensor(float(beta)))
        self.radiance = RadianceNetwork(features, width, radiance_depth, view_frequencies)

    def values(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n c"]:
        """(distance, features) side by side."""
        encoded = octaves(points, self.frequencies)
        x = encoded
        for i, layer in enumerate(self.layers):
            if i == self.skip:
                x = torch.cat([x, encoded], dim=1) / math.sqrt(2)
            x = layer(x)
            if i + 1 < len(self.layers):
                x = F.softplus(x, beta=100)
        return x

    def beta(self) -> Float[Tensor, ""]:
        """|scale| + LEAST_BETA (sec. B.2)."""
        return self.scale.abs() + LEAST_BETA

    def now(self) -> "MlpSurface":
        return MlpSurface(self)

    def begin_as(self, sdf: Sdf, generator: torch.Generator) -> None:
        # By regression; an error of some distance counts the less the farther from the surface it is.
        steps, rate = BEGINNING["steps"], BEGINNING["rate"]
        optimiser = torch.optim.Adam(self.layers.parameters(), lr=rate)
        device = self.scale.device
        for step in range(steps):
            optimiser.param_groups[0]["lr"] = rate * 0.5 * (1 + math.cos(math.pi * step / steps))
            points = 2 * torch.rand((BEGINNING["points"], 3), generator=generator, device=device) - 1
            wanted = sdf(points)
            error = (self.values(points)[:, 0] - wanted).abs() / (wanted.abs() + NEAR)
            optimiser.zero_grad(set_to_none=True)
            error.mean().backward()
            optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        return {
            "distance": [*self.layers.parameters(), self.scale],
            "features": [],
            "radiance": list(self.radiance.parameters()),
        }


class MlpSurface:
    """One step of an `MlpField`; the gradient is exact, by differentiation."""

    def __init__(self, field: MlpField) -> None:
        self.field = field

    def tensors(self) -> tuple[Tensor, ...]:
        return ()

    def of(self, tensors: Sequence[Tensor]) -> "MlpSurface":
        return self

    @torch.no_grad()
    def sdf(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, " n"]:
        return torch.cat([self.field.values(part)[:, 0] for part in points.split(65536)])

    def query(
        self, points: Float[Tensor, "n 3"]
    ) -> tuple[Float[Tensor, " n"], Float[Tensor, "n 3"], Float[Tensor, "n c"]]:
        keep = torch.is_grad_enabled()
        with torch.enable_grad():
            points = points.detach().requires_grad_()
            values = self.field.values(points)
            (gradient,) = torch.autograd.grad(values[:, 0].sum(), points, create_graph=keep)
        if not keep:
            values = values.detach()
        return values[:, 0], gradient, values[:, 1:]

    def shape(self, points: Float[Tensor, "n 3"]) -> tuple[Float[Tensor, " n"], Float[Tensor, "n 3"]]:
        distance, gradient, _ = self.query(points)
        return distance, gradient

    def eikonal(self, generator: torch.Generator) -> Float[Tensor, ""]:
        _, gradient = self.shape(self._points(generator))
        return (gradient.square().sum(dim=1).add(1e-12).sqrt() - 1).square().mean()

    def smoothness(self, generator: torch.Generator) -> Float[Tensor, ""]:
        # One axis a point, drawn evenly: three times its square is the sum over the axes in the mean.
        points = self._points(generator)
        axis = torch.randint(3, (POINTS, 1), generator=generator, device=points.device)
        step = torch.zeros_like(points).scatter(1, axis, STEP)
        change = self.shape(points + step)[1] - self.shape(points - step)[1]
        return 3 * (change.gather(1, axis) / (2 * STEP)).square().mean()

    def volume(self, generator: torch.Generator) -> Float[Tensor, ""]:
        return torch.sigmoid(self.field.values(self._points(generator))[:, 0] / -SOFT).mean()

    def _points(self, generator: torch.Generator) -> Tensor:
        device = next(self.field.parameters()).device
        return 2 * torch.rand((POINTS, 3), generator=generator, device=device) - 1


@torch.no_grad()
def _geometric(
    layer: nn.Linear, index: int, *, last: bool, skip: bool, inputs: int, radius: float, rng: torch.Generator
) -> None:
    """Initial weights by which the network is close to ‖x‖ − radius; the encoding's sines start at zero."""
    if last:
        mean = math.sqrt(math.pi) / math.sqrt(layer.in_features)
        nn.init.normal_(layer.weight, mean, 1e-4, generator=rng)
        nn.init.constant_(layer.bias, -radius)
        return
    nn.init.normal_(layer.weight, 0, math.sqrt(2) / math.sqrt(layer.out_features), generator=rng)
    nn.init.zeros_(layer.bias)
    if index == 0:
        layer.weight[:, 3:] = 0
    elif skip:
        layer.weight[:, layer.in_features - (inputs - 3) :] = 0
