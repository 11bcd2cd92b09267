"""Where along a ray the surface is, and where to sample around it.

Names: o origins and d unit directions of the rays, t distance along them; n rays, k samples a ray.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sansface.fields.field import Sdf, Shape
from sansface.fields.grid import GridSurface
from sansface.loops import grid as loops

FINE = 8
"""Looks between the two coarse looks around the nearest approach: thin parts (an ear) hide between those."""


@dataclass(frozen=True)
class Sight:
    """What a look along rays finds, all without a graph."""

    t: Float[Tensor, " n"]  # first zero of the distance, else where the ray comes nearest to the surface
    hit: Bool[Tensor, " n"]  # is there a zero?
    nearest: Float[Tensor, " n"]  # where the distance is least: how deep inside, or how far past
    at_end: Bool[
        Tensor, " n"
    ]  # least at the end of the ray's way through the cube: the surface may go on there


def through_cube(
    origins: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"]
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Entry and exit of the cube [-1, 1]³; a ray that misses it gets an interval of almost no length."""
    inverse = 1 / torch.where(directions.abs() < 1e-9, torch.full_like(directions, 1e-9), directions)
    a, b = (-1 - origins) * inverse, (1 - origins) * inverse
    near = torch.minimum(a, b).amax(dim=1).clamp(min=0)
    far = torch.maximum(a, b).amin(dim=1)
    return near, torch.maximum(far, near + 1e-3)


@torch.no_grad()
def look(
    surface: Shape,
    origins: Float[Tensor, "n 3"],
    directions: Float[Tensor, "n 3"],
    coarse: int,
    generator: torch.Generator,
) -> Sight:
    """Find the surface along rays: stratified looks, finer ones around the best, two secant steps.

    Args:
        coarse: looks along the way through the cube; a part thinner than the way / coarse that is also not
            the ray's nearest approach can be missed, by another one in the next step.
        generator: on the rays' device.
    """
    near, far = through_cube(origins, directions)
    share = torch.rand((len(origins), coarse), generator=generator, device=origins.device)
    if isinstance(surface, GridSurface) and surface.compiled:
        return _compiled(surface.values, origins, directions, near, far, share)
    return plain(surface.sdf, origins, directions, near, far, share)


def _compiled(
    values: Float[Tensor, "d h w"],
    origins: Float[Tensor, "n 3"],
    directions: Float[Tensor, "n 3"],
    near: Float[Tensor, " n"],
    far: Float[Tensor, " n"],
    share: Float[Tensor, "n k"],
) -> Sight:
    t, nearest = torch.empty(2, len(origins)).unbind()
    hit, at_end = torch.empty(2, len(origins), dtype=torch.bool).unbind()
    given = (values.reshape(-1), origins.contiguous(), directions.contiguous(), near, far, share)
    found = (t, hit, nearest, at_end)
    f, *rays = (x.numpy() for x in given)
    loops.look(f, len(values), *rays, FINE, *(x.numpy() for x in found))
    return Sight(*found)


def plain(
    sdf: Sdf,
    origins: Float[Tensor, "n 3"],
    directions: Float[Tensor, "n 3"],
    near: Float[Tensor, " n"],
    far: Float[Tensor, " n"],
    share: Float[Tensor, "n k"],
) -> Sight:
    """`look` by torch alone, from `near` to `far`.  share: of each look within its stratum."""
    device, coarse = origins.device, share.shape[1]

    def at(t: Tensor) -> Tensor:
        points = origins[:, None] + directions[:, None] * t[..., None]
        return sdf(points.reshape(-1, 3)).view(t.shape)

    t = near[:, None] + (far - near)[:, None] * (torch.arange(coarse, device=device) + share) / coarse
    f = at(t)
    least = f.argmin(dim=1)
    at_end = (least == 0) | (least == coarse - 1)
    first, found = _first_crossing(f)
    # Coarse looks around the crossing, or around the nearest approach where there is none.
    t_first = (_pick(t, first), _pick(t, first + 1))
    centre = least.clamp(1, coarse - 2)
    fine = torch.linspace(0, 1, FINE + 1, device=device)
    low, high = _pick(t, centre - 1), _pick(t, centre + 1)
    t_fine = low[:, None] + (high - low)[:, None] * fine
    f_fine = at(t_fine)
    inner, found_fine = _first_crossing(f_fine)
    nearest = _vertex(t_fine, f_fine)
    new = found_fine & ~found
    a = torch.where(new, _pick(t_fine, inner), t_first[0])
    b = torch.where(new, _pick(t_fine, inner + 1), t_first[1])
    fa = torch.where(new, _pick(f_fine, inner), _pick(f, first))
    fb = torch.where(new, _pick(f_fine, inner + 1), _pick(f, first + 1))
    hit = found | found_fine
    for _ in range(loops.SECANTS):
        middle = a + (b - a) * _share(fa, fb)
        fm = at(middle[:, None])[:, 0]
        outside = fm > 0
        a, fa = torch.where(outside, middle, a), torch.where(outside, fm, fa)
        b, fb = torch.where(outside, b, middle), torch.where(outside, fb, fm)
    zero = a + (b - a) * _share(fa, fb)
    return Sight(torch.where(hit, zero, nearest), hit, nearest, at_end)


def around(
    t: Float[Tensor, " n"], half_width: Float[Tensor, " n"], samples: int, generator: torch.Generator
) -> tuple[Float[Tensor, "n k"], Float[Tensor, "n k"]]:
    """Stratified samples of [t − half_width, t + half_width] and the lengths of their strata."""
    share = torch.rand((len(t), samples), generator=generator, device=t.device)
    share = (torch.arange(samples, device=t.device) + share) / samples
    start = (t - half_width).clamp(min=0)
    length = t + half_width - start
    return start[:, None] + length[:, None] * share, (length / samples)[:, None].expand(-1, samples)


def _first_crossing(f: Tensor) -> tuple[Tensor, Tensor]:
    """Index before the first change from outside to inside, and whether there is one."""
    change = (f[:, :-1] > 0) & (f[:, 1:] <= 0)
    return change.to(torch.uint8).argmax(dim=1), change.any(dim=1)


def _vertex(t: Tensor, f: Tensor) -> Tensor:
    """Least point of the parabola through the least of equidistant values and its neighbours."""
    i = f.argmin(dim=1).clamp(1, f.shape[1] - 2)
    before, least, after = _pick(f, i - 1), _pick(f, i), _pick(f, i + 1)
    offset = 0.5 * (before - after) / (before - 2 * least + after).clamp(min=1e-6)
    return _pick(t, i) + offset.clamp(-1, 1) * (t[:, 1] - t[:, 0])


def _share(fa: Tensor, fb: Tensor) -> Tensor:
    return (fa / (fa - fb + 1e-9)).clamp(0, 1)


def _pick(values: Tensor, index: Tensor) -> Tensor:
    return values.gather(1, index[:, None])[:, 0]
