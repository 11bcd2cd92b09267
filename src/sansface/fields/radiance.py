"""Radiance: what colour a point of the surface shows towards a direction, in sRGB values."""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sansface.fields.encoding import octaves
from sansface.fields.lipschitz import LipschitzLinear


class RadianceNetwork(nn.Module):
    """VolSDF's radiance network with Lipschitz-bounded layers: sigmoid(MLP(x, n, γ(v), features)).

    Args:
        features: channels of the field's features.
        width, depth: of the hidden layers.
        frequencies: octaves of sines for the viewing direction.
    """

    def __init__(self, features: int, width: int, depth: int, frequencies: int) -> None:
        super().__init__()
        self.frequencies = frequencies
        inputs = 3 + 3 + 3 * (1 + 2 * frequencies) + features
        sizes = [inputs] + [width] * depth + [3]
        self.layers = nn.ModuleList(LipschitzLinear(a, b) for a, b in pairwise(sizes))

    def forward(
        self,
        points: Float[Tensor, "n 3"],
        normals: Float[Tensor, "n 3"],
        directions: Float[Tensor, "n 3"],
        features: Float[Tensor, "n c"],
    ) -> Float[Tensor, "n 3"]:
        x = torch.cat([points, normals, octaves(directions, self.frequencies), features], dim=1)
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return torch.sigmoid(self.layers[-1](x))


class AlbedoTimesShading(nn.Module):
    """albedo(features) · shading(n, v): sigmoid of a linear map, times a Lipschitz-bounded network.

    What varies over the surface at one and the same normal can only be albedo, so an edge of colour (a brow,
    the hair line) need not be carved into the surface to be explained. A gamma curve keeps products products.

    Args:
        features: channels of the field's features.
        width, depth: of the shading's hidden layers.
    """

    def __init__(self, features: int, width: int, depth: int) -> None:
        super().__init__()
        self.albedo = nn.Linear(features, 3)
        sizes = [6] + [width] * depth + [3]
        self.layers = nn.ModuleList(LipschitzLinear(a, b) for a, b in pairwise(sizes))

    def forward(
        self,
        points: Float[Tensor, "n 3"],
        normals: Float[Tensor, "n 3"],
        directions: Float[Tensor, "n 3"],
        features: Float[Tensor, "n c"],
    ) -> Float[Tensor, "n 3"]:
        x = torch.cat([normals, directions], dim=1)
        for layer in self.layers[:-1]:
            x = F.softplus(layer(x), beta=5)
        # Half a unit of light to begin with: softplus(0.5) is about 1.
        return torch.sigmoid(self.albedo(features)) * F.softplus(self.layers[-1](x) + 0.5)
