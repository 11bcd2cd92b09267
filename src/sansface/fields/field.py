"""What a renderer and the losses need of a field, and nothing more.

A `Field` holds parameters. `Field.now()` gives a `Surface`: the functions of this step's parameters, so that
whatever is computed once a step (the grid's pyramid) is computed once. Points live in the unit-sphere frame;
the field is defined on the cube [-1, 1]³ around it. Distances are negative inside.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sansface.errors import SansfaceError

SOFT = 0.02
"""Half width of the inside's edge, in radii of the sphere."""


Sdf = Callable[[Tensor], Tensor]
"""Points (n, 3) to signed distances (n,), without a graph."""


@runtime_checkable
class Shape(Protocol):
    """A surface without a colour: all that a silhouette needs."""

    def sdf(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, " n"]:
        """Signed distance without a graph: for looking where the surface is."""
        ...

    def shape(self, points: Float[Tensor, "n 3"]) -> tuple[Float[Tensor, " n"], Float[Tensor, "n 3"]]:
        """Signed distance and its gradient, differentiable."""
        ...


@runtime_checkable
class Surface(Shape, Protocol):
    """The functions of one step."""

    def tensors(self) -> tuple[Tensor, ...]:
        """What all its functions are made of, each with its graph; none if that is the field's parameters."""
        ...

    def of(self, tensors: Sequence[Tensor]) -> "Surface":
        """The same functions of other `tensors`."""
        ...

    def query(
        self, points: Float[Tensor, "n 3"]
    ) -> tuple[Float[Tensor, " n"], Float[Tensor, "n 3"], Float[Tensor, "n c"]]:
        """What `shape` gives, and the features for the radiance, differentiable."""
        ...

    def eikonal(self, generator: torch.Generator) -> Float[Tensor, ""]:
        """E (‖∇f‖ − 1)², eq. 4, over points of the field's own choice."""
        ...

    def smoothness(self, generator: torch.Generator) -> Float[Tensor, ""]:
        """E Σᵢ (∂²f/∂xᵢ²)², in squared inverse units of the frame: ours, not the paper's."""
        ...

    def volume(self, generator: torch.Generator) -> Float[Tensor, ""]:
        """E sigmoid(−f / SOFT) over the cube, the share of it that is inside: ours, not the paper's."""
        ...


class Field(nn.Module):
    """Parameters of a surface and of its radiance."""

    radiance: nn.Module

    def now(self) -> Surface:
        """The functions of the present parameters."""
        raise NotImplementedError

    def begin_as(self, sdf: Sdf, generator: torch.Generator) -> None:
        """Take other distances than the sphere's before anything is learnt: those of a template.

        Args:
            sdf: of points in the cube, on the field's device.
            generator: on that device, where points have to be drawn.
        """
        raise NotImplementedError

    def beta(self) -> Float[Tensor, ""]:
        """The scale of the density, where the field learns it.

        Raises:
            SansfaceError: it does not.
        """
        raise SansfaceError("this field does not learn β; give the stage's beta a start and an end.")

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Parameters by the learning rate that they take: `distance`, `features`, `radiance`."""
        raise NotImplementedError
