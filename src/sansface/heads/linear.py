"""The parametric head model in torch: many heads at once, and differentiable."""

from collections.abc import Sequence

import torch
from torch import Tensor

from sansface.errors import SansfaceError
from sansface.heads.parametric import HeadModel


class LinearHead:
    """vertices = neutral + Σ w_i identity_i + Σ e_j expression_j, in millimetres, as `HeadModel` has it.

    Attributes:
        expressions: the names of the expression's weights, in their order.
        kept: (k,) int64, the model's vertices that are here.
        faces: (m, 3) int64 among them.
        landmarks: (68,) int64, which of them the usual landmarks are; −1 for one that is not here.

    Args:
        device: where the offsets lie, and so the results.
        parts: the regions to keep, by the names in `HeadModel.parts`; none means all.

    Raises:
        SansfaceError: an unknown part.
    """

    def __init__(self, model: HeadModel, device: torch.device, parts: Sequence[str] = ()) -> None:
        self.expressions = tuple(model.expression)
        self._identities = len(model.identity)
        faces = torch.from_numpy(model.part(*(parts or model.parts)))
        kept = faces.unique()
        place = torch.full((len(model.neutral),), -1)
        place[kept] = torch.arange(len(kept))
        offsets = [torch.from_numpy(one)[:, kept] for one in (model.identity, model.expressions)]
        self.kept, self.faces = kept.to(device), place[faces].to(device)
        self.landmarks = place[torch.from_numpy(model.landmarks)].to(device)
        self._neutral = torch.from_numpy(model.neutral)[kept].to(device)
        self._bases = torch.cat(offsets).flatten(1).to(device)  # (157, 3 k)

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
