"""The parametric head model in torch: many heads at once, and differentiable."""

import torch
from torch import Tensor

from sansface.errors import SansfaceError
from sansface.heads.parametric import HeadModel


class LinearHead:
    """vertices = neutral + Σ w_i identity_i + Σ e_j expression_j, in millimetres, as `HeadModel` has it.

    Attributes:
        expressions: the names of the expression's weights, in their order.
        faces: (m, 3) int64.

    Args:
        device: where the offsets lie, and so the results.
        part: the vertices to keep, (k,) int64; None keeps all. Faces then are those among them.
    """

    def __init__(self, model: HeadModel, device: torch.device, part: Tensor | None = None) -> None:
        offsets = [torch.from_numpy(model.identity), *map(torch.from_numpy, model.expression.values())]
        self.expressions = tuple(model.expression)
        self._identities = len(model.identity)
        neutral, faces = torch.from_numpy(model.neutral), torch.from_numpy(model.faces)
        bases = torch.cat([one.view(-1, *neutral.shape) for one in offsets])
        if part is not None:
            place = torch.full((len(neutral),), -1)
            place[part] = torch.arange(len(part))
            faces = place[faces]
            faces = faces[(faces >= 0).all(dim=1)]
            neutral, bases = neutral[part], bases[:, part]
        self.faces = faces.to(device)
        self._neutral = neutral.to(device)
        self._bases = bases.reshape(len(bases), -1).to(device)  # (157, 3 k)

    def vertices(self, identity: Tensor, expression: Tensor) -> Tensor:
        """(b, k, 3) of a batch of heads.

        Args:
            identity: (b, 100) weights in standard deviations.
            expression: (b, 57) weights in the order of `expressions`. They are not held to [0, 1] here: a fit
                may pass beyond on its way.

        Raises:
            SansfaceError: another number of weights.
        """
        if identity.shape[-1] != self._identities or expression.shape[-1] != len(self.expressions):
            raise SansfaceError(
                f"a head takes {self._identities} weights of identity and {len(self.expressions)} of "
                f"expression, not {identity.shape[-1]} and {expression.shape[-1]}."
            )
        codes = torch.cat([identity, expression], dim=-1)
        return self._neutral + (codes @ self._bases).view(*codes.shape[:-1], -1, 3)
