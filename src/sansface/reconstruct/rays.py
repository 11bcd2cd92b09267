"""Views as tensors: the rays of their pixels, and which of them a step looks at."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from sansface.capture import Camera
from sansface.protect.contents import inside_outline
from sansface.protect.operators import Operator
from sansface.reconstruct.supervision import Kind, View


@dataclass(frozen=True, eq=False)
class ViewRays:
    """One view on the device."""

    kind: Kind
    neutral: bool
    camera: Camera
    origin: Float[Tensor, " 3"]
    directions: Float[Tensor, "h w 3"]  # unit, through pixel centres
    footprint: Float[Tensor, "h w"]  # side of a pixel seen from distance 1 along its ray
    axes: Float[Tensor, "2 3"]  # the picture's x and y in the frame
    colour: Float[Tensor, "h w 3"] | None  # target colours
    colour_known: Bool[Tensor, "h w"]
    modulus: Float[Tensor, "h w"]  # target moduli
    modulus_known: Bool[Tensor, "h w"]
    reach: int  # of σ, in pixels
    coverage: Float[Tensor, "h w"]
    outline: Int[Tensor, " m"]  # flat pixel numbers near the outline
    elsewhere: Int[Tensor, " k"]  # and of all others with known coverage


def view_rays(view: View, operator: Operator, background: bool, device: torch.device) -> ViewRays:
    """A view as tensors.

    Args:
        operator: gives a colour view its moduli, for a stage that compares both.
        background: colour targets include what is around the subject, as white: dark hair before black would
            be nothing to a loss of colours. Where nobody said what is subject, the pixel is left out.
    """
    camera = view.camera
    h, w = camera.height, camera.width
    origins, directions = camera.rays(camera.grid())
    cosine = directions @ camera.cam_from_world[2, :3]
    side = 1 / np.sqrt(camera.K[0, 0] * camera.K[1, 1])
    colour = view.kind is Kind.COLOUR
    known = ~np.isnan(view.coverage)
    shared, target = view.shared, view.target
    if colour and background:
        shared = known
        target = target + (1 - np.nan_to_num(view.coverage, nan=1.0).astype(np.float32))[:, :, None]

    def tensor(array: np.ndarray) -> Tensor:
        kept = array.dtype == bool or array.dtype.kind == "i"
        return torch.from_numpy(np.ascontiguousarray(array if kept else array.astype(np.float32))).to(device)

    return ViewRays(
        kind=view.kind,
        neutral=view.neutral,
        camera=camera,
        origin=tensor(origins[0]),
        directions=tensor(directions.reshape(h, w, 3)),
        footprint=tensor((side * cosine).reshape(h, w)),
        axes=tensor(camera.cam_from_world[:2, :3]),
        colour=tensor(target) if colour else None,
        colour_known=tensor(shared if colour else np.zeros_like(shared)),
        modulus=tensor(operator(target) if colour else target),
        modulus_known=tensor(inside_outline(shared, operator.reach) if colour else shared),
        reach=operator.reach,
        coverage=tensor(view.coverage),
        outline=tensor(np.flatnonzero(view.outline & known)),
        elsewhere=tensor(np.flatnonzero(~view.outline & known)),
    )


@dataclass(frozen=True, eq=False)
class Window:
    """The part of a view that a step renders."""

    view: ViewRays
    rows: Int[Tensor, " n"]  # of the pixels to render
    columns: Int[Tensor, " n"]
    corner: tuple[int, int]  # row and column of the window's first pixel
    size: tuple[int, int]

    def rays(self) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
        """Origins and directions of the pixels to render."""
        directions = self.view.directions[self.rows, self.columns]
        return self.view.origin.expand_as(directions), directions

    def crop(self, picture: Tensor) -> Tensor:
        """The window's part of a picture of the view's size."""
        (y, x), (h, w) = self.corner, self.size
        return picture[y : y + h, x : x + w]

    def spread(self, values: Tensor) -> Tensor:
        """Rendered values (n, ...) put in their places in the window, zero elsewhere."""
        place = (self.rows - self.corner[0], self.columns - self.corner[1])
        return values.new_zeros((*self.size, *values.shape[1:])).index_put(place, values)

    def wholly(self, rendered: Bool[Tensor, " n"]) -> Bool[Tensor, "h w"]:
        """Pixels of the window of which all that σ sees, as far as it lies in the view, is rendered."""
        missing = ~self.spread(rendered)
        (y, x), (h, w) = self.corner, self.size
        height, width = self.view.coverage.shape
        sides = (x > 0, x + w < width, y > 0, y + h < height)  # cut there, not the view's own border
        padded = F.pad(missing.float()[None, None], tuple(int(side) for side in sides), value=1.0)
        grown = _grown(padded[0, 0] > 0, self.view.reach)
        return ~grown[sides[2] : sides[2] + h, sides[0] : sides[0] + w]


def window(view: ViewRays, gradient: bool, patch: int, generator: torch.Generator) -> Window:
    """A window of at most patch × patch around a random pixel with a target.

    Args:
        gradient: the moduli are compared, so what σ sees around them is rendered too; a σ that sees farther
            than its neighbours gets so much more. A view of a thin subject has colours and no modulus.
        patch: pixels; a view that is not larger is taken whole.
    """
    gradient = gradient and bool(view.modulus_known.any())
    wanted = _grown(view.modulus_known, view.reach) if gradient else view.colour_known
    patch += 2 * (view.reach - 1) if gradient else 0
    height, width = wanted.shape
    h, w = min(patch, height), min(patch, width)
    y = x = 0
    if (h, w) != (height, width):
        places = wanted.nonzero()
        chosen = torch.randint(len(places), (1,), generator=generator, device=wanted.device)
        row, column = places[chosen][0].tolist()
        y, x = min(max(row - h // 2, 0), height - h), min(max(column - w // 2, 0), width - w)
    rows, columns = wanted[y : y + h, x : x + w].nonzero(as_tuple=True)
    return Window(view, rows + y, columns + x, (y, x), (h, w))


def scattered(view: ViewRays, count: int, generator: torch.Generator) -> Window:
    """So many random pixels with a colour, anywhere in the view, as VolSDF draws them; one may come twice.

    A window of a subject before black is often black all over, and a few such steps drive a surface away that
    has hardly begun.
    """
    places = view.colour_known.nonzero()
    chosen = torch.randint(len(places), (count,), generator=generator, device=places.device)
    rows, columns = places[chosen].unbind(dim=1)
    height, width = view.colour_known.shape
    return Window(view, rows, columns, (0, 0), (height, width))


def _grown(mask: Tensor, reach: int) -> Tensor:
    """(h, w) bool: pixels with a true pixel at most `reach` rows and columns away."""
    return F.max_pool2d(mask.float()[None, None], 2 * reach + 1, stride=1, padding=reach)[0, 0] > 0
