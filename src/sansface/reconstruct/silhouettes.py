"""Pixels of many views whose coverage is compared, in one row: a step draws from it in a few operations."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sansface.reconstruct.rays import ViewRays

NEAR_OUTLINE = 0.8
"""Share of a step's rays that are drawn near the outline."""


@dataclass(frozen=True, eq=False)
class SilhouetteRays:
    """Rays whose coverage is compared, from several views."""

    origins: Float[Tensor, "n 3"]
    directions: Float[Tensor, "n 3"]
    footprint: Float[Tensor, " n"]
    axes: Float[Tensor, "n 2 3"]
    coverage: Float[Tensor, " n"]


@dataclass(frozen=True, eq=False)
class Silhouettes:
    """Views, and of each in turn the pixels near its outline, then all others of known coverage."""

    views: Sequence[ViewRays]

    @cached_property
    def counts(self) -> Int[Tensor, "v 2"]:
        """Pixels near each view's outline, and elsewhere."""
        return self._tensor([[len(view.outline), len(view.elsewhere)] for view in self.views])

    @cached_property
    def first(self) -> Int[Tensor, "v 2"]:
        """Where each view's pixels of both kinds begin in the row."""
        counts = self.counts.view(-1)
        return (counts.cumsum(0) - counts).view(-1, 2)

    @cached_property
    def directions(self) -> Float[Tensor, "p 3"]:
        return self._row([view.directions.view(-1, 3) for view in self.views])

    @cached_property
    def footprint(self) -> Float[Tensor, " p"]:
        return self._row([view.footprint.view(-1) for view in self.views])

    @cached_property
    def coverage(self) -> Float[Tensor, " p"]:
        return self._row([view.coverage.view(-1) for view in self.views])

    @cached_property
    def origins(self) -> Float[Tensor, "v 3"]:
        return torch.stack([view.origin for view in self.views])

    @cached_property
    def axes(self) -> Float[Tensor, "v 2 3"]:
        return torch.stack([view.axes for view in self.views])

    def rays(self, which: Sequence[int], rays: int, generator: torch.Generator) -> SilhouetteRays:
        """Random pixels, the same number of each view, `NEAR_OUTLINE` of them near the outline.

        Args:
            which: views; one without a pixel of known coverage is left out.
            rays: of all together.
            generator: on the views' device.
        """
        known = [k for k in which if len(self.views[k].outline) or len(self.views[k].elsewhere)]
        each = rays // max(1, len(known))
        view = self._tensor(known).long()[:, None].expand(-1, each)
        far = torch.arange(each, device=view.device) >= round(NEAR_OUTLINE * each)
        # A view that has no pixel of one kind gives the other instead.
        kind = torch.where(self.counts[view].amin(dim=2) > 0, far, self.counts[view, 0] == 0).long()
        share = torch.rand(view.shape, generator=generator, device=view.device, dtype=torch.float64)
        pixel = (self.first[view, kind] + (share * self.counts[view, kind]).long()).view(-1)
        view = view.reshape(-1)
        return SilhouetteRays(
            self.origins[view],
            self.directions[pixel],
            self.footprint[pixel],
            self.axes[view],
            self.coverage[pixel],
        )

    def _row(self, pictures: Sequence[Tensor]) -> Tensor:
        parts = zip(pictures, self.views, strict=True)
        return torch.cat([picture[torch.cat([view.outline, view.elsewhere])] for picture, view in parts])

    def _tensor(self, numbers: Sequence) -> Tensor:
        return torch.tensor(numbers, device=self.views[0].origin.device)
