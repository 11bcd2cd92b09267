"""Linear layers with a learnt Lipschitz bound (eq. 7-8; Liu et al. 2022, Rosu & Behnke 2023)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class LipschitzLinear(nn.Linear):
    """y = Ŵ x + b, with the rows of Ŵ scaled down, never up, so that Σ|ŵ| ≤ softplus(k) in each row.

    In the maximum norm the layer is then softplus(k)-Lipschitz. Until `bind` is called it is a plain layer,
    as in stage 1.
    """

    bound: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.k = nn.Parameter(torch.zeros(()))
        self.register_buffer("bound", torch.zeros((), dtype=torch.bool))

    @torch.no_grad()
    def bind(self) -> None:
        """Bound the layer from now on, with k from its largest row: the output does not change.

        What is bound already keeps its k.
        """
        if self.bound:
            return
        largest = self.weight.abs().sum(dim=1).max().clamp(min=1e-6)
        # softplus⁻¹(y) = log(eʸ − 1), written so that a large y does not overflow.
        self.k.copy_(largest + torch.log(-torch.expm1(-largest)))
        self.bound.fill_(True)

    def limit(self) -> Float[Tensor, ""]:
        """softplus(k), eq. 7."""
        return F.softplus(self.k)

    def forward(self, input: Tensor) -> Tensor:
        if not self.bound:
            return F.linear(input, self.weight, self.bias)
        rows = self.weight.abs().sum(dim=1, keepdim=True).clamp(min=1e-12)
        return F.linear(input, self.weight * (self.limit() / rows).clamp(max=1.0), self.bias)


def lipschitz_product(module: nn.Module) -> Float[Tensor, ""]:
    """L_lip = Π softplus(kᵢ) over the bounded layers of a network, eq. 8."""
    product = torch.ones(())
    for layer in module.modules():
        if isinstance(layer, LipschitzLinear):
            product = product.to(layer.k) * layer.limit()
    return product


def bind_all(module: nn.Module) -> None:
    """Bound every layer of a network from now on, without changing what it computes."""
    for layer in module.modules():
        if isinstance(layer, LipschitzLinear):
            layer.bind()
