"""VolSDF's own sampler: samples by which the opacity is wrong by ε at most (Yariv et al. 2021, Algorithm 1).

With densities σ_i = α Ψ_β(−f_i), α = 1/β, and lengths δ_i = t_{i+1} − t_i the opacity is approximated by

    Ô(t_k) = 1 − exp(−R̂(t_k)),   R̂(t_k) = Σ_{i<k} δ_i σ_i,

and its error anywhere between t_k and t_{k+1} is bounded by

    |O − Ô| ≤ B_k = exp(−R̂(t_k)) (exp(Ê(t_{k+1})) − 1),   Ê(t_k) = α/(4β) Σ_{i<k} δ_i² exp(−d*_i / β),

where d*_i is the least distance that the surface can have from the i-th interval: what is opaque so far
counts from the interval's start, the error to its end. A larger β has a smaller bound, so where the wanted β
is out of reach, the least β₊ is taken by which all B ≤ ε.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sansface.fields.field import Sdf
from sansface.render.density import laplace_density
from sansface.render.sampling import through_cube
from sansface.render.volume import weights


@dataclass(frozen=True)
class Sampler:
    """VolSDF's numbers (sec. B.3)."""

    first: int = 64  # evenly over the ray
    each: int = 128  # that a round adds, where the bound is large
    last: int = 64  # drawn from the opacity, to render with
    extra: int = 32  # of all that were looked at, so that the whole ray is rendered
    epsilon: float = 0.1
    rounds: int = 5
    bisections: int = 10


def least_distance(distance: Float[Tensor, "n k"], lengths: Float[Tensor, "n j"]) -> Float[Tensor, "n j"]:
    """d*: how near the surface can come to each interval, if no ball around its ends holds a surface.

    Of radii |f_i| and |f_{i+1}|: 0 where the balls do not meet; the lesser one where one ball holds the
    other's half of the interval; else the height at which the two spheres cross, by Heron's formula.
    """
    a, b = distance[:, :-1].abs(), distance[:, 1:].abs()
    half = 0.5 * (a + b + lengths)
    area2 = (half * (half - a) * (half - b) * (half - lengths)).clamp(min=0)
    height = 2 * area2.sqrt() / lengths.clamp(min=1e-12)
    obtuse = (a * a - b * b).abs() >= lengths * lengths
    height = torch.where(obtuse, torch.minimum(a, b), height)
    return torch.where(a + b <= lengths, torch.zeros_like(height), height)


def opacity_bound(
    distance: Float[Tensor, "n k"],
    least: Float[Tensor, "n j"],
    lengths: Float[Tensor, "n j"],
    beta: Float[Tensor, "n 1"],
) -> Float[Tensor, "n j"]:
    """B of every interval, eq. 11-14 there.

    Args:
        least: d* of the intervals.
        lengths: δ.
        beta: of each ray.
    """
    thickness = lengths * laplace_density(distance[:, :-1], beta)
    before = thickness.cumsum(dim=1) - thickness
    error = (lengths.square() * torch.exp(-least / beta)).cumsum(dim=1) / (4 * beta.square())
    return torch.exp(-before) * torch.expm1(error.clamp(max=15.0))


@torch.no_grad()
def error_bounded(
    sdf: Sdf,
    origins: Float[Tensor, "n 3"],
    directions: Float[Tensor, "n 3"],
    beta: float | Tensor,
    sampler: Sampler,
    generator: torch.Generator,
) -> tuple[Float[Tensor, "n m"], Float[Tensor, "n m"]]:
    """Algorithm 1: places along each ray, and the length that each stands for.

    Args:
        beta: wanted.
        generator: on the rays' device.

    Returns:
        (n, last + extra) sorted distances along the rays, and the lengths to the next one, the last one's to
        the end of the ray's way through the cube.
    """
    n, device = len(origins), origins.device
    near, far = through_cube(origins, directions)

    def at(rays: Tensor | slice, t: Tensor) -> Tensor:
        points = origins[rays, None] + directions[rays, None] * t[..., None]
        return sdf(points.reshape(-1, 3)).view(t.shape)

    def random(rows: int, columns: int) -> Tensor:
        return torch.rand((rows, columns), generator=generator, device=device)

    share = torch.arange(sampler.first, device=device) + random(n, sampler.first)
    t = near[:, None] + (far - near)[:, None] * share / sampler.first
    t[:, 0], t[:, -1] = near, far
    distance = at(slice(None), t)
    lengths = t.diff(dim=1)
    # By d* ≥ 0 and R̂ ≥ 0 the bound is at most exp(Σ δ² / (4 β²)) − 1, which is ε for this β.
    enough = (lengths.square().sum(dim=1, keepdim=True) / (4 * math.log1p(sampler.epsilon))).sqrt()
    wanted = torch.ones((n, 1), device=device) * beta
    reached = torch.maximum(enough, wanted)
    result = t.new_empty((n, sampler.last + sampler.extra))
    rays = torch.arange(n, device=device)  # that are not done: some need many rounds where most need one
    for rounds_left in reversed(range(sampler.rounds + 1)):
        least = least_distance(distance, lengths)
        reached = _least_beta(distance, least, lengths, wanted, reached, sampler)
        done = (reached <= wanted)[:, 0] | (rounds_left == 0)
        result[rays[done]] = _drawn(t[done], distance[done], lengths[done], reached[done], sampler, random)
        if done.all():
            break
        more = ~done
        rays, t, distance, wanted, reached = rays[more], t[more], distance[more], wanted[more], reached[more]
        bound = opacity_bound(distance, least[more], lengths[more], reached).clamp(max=1e6)
        new = _inverse(t, bound + 1e-6, random(len(rays), sampler.each))
        t, order = torch.cat([t, new], dim=1).sort(dim=1)
        distance = torch.cat([distance, at(rays, new)], dim=1).gather(1, order)
        lengths = t.diff(dim=1)
    return result, torch.cat([result.diff(dim=1), (far[:, None] - result[:, -1:]).clamp(min=0)], dim=1)


def _drawn(
    t: Tensor,
    distance: Tensor,
    lengths: Tensor,
    beta: Tensor,
    sampler: Sampler,
    random: Callable[[int, int], Tensor],
) -> Tensor:
    """(n, last + extra) sorted places to render with: from the opacity, and any of those looked at."""
    weight = weights(laplace_density(distance[:, :-1], beta), lengths)
    drawn = _inverse(t, weight + 1e-5 / t.shape[1], random(len(t), sampler.last))
    others = random(*t.shape).topk(sampler.extra, dim=1).indices
    return torch.cat([drawn, t.gather(1, others)], dim=1).sort(dim=1).values


def _least_beta(
    distance: Tensor, least: Tensor, lengths: Tensor, wanted: Tensor, reached: Tensor, sampler: Sampler
) -> Tensor:
    """(n, 1) the wanted β where its bound is below ε, else a β₊ from it to the one reached, by bisection."""

    def worst(beta: Tensor) -> Tensor:
        return opacity_bound(distance, least, lengths, beta).amax(dim=1, keepdim=True)

    good = worst(wanted) <= sampler.epsilon
    low, high = wanted, reached
    for _ in range(sampler.bisections):
        middle = 0.5 * (low + high)
        fine = worst(middle) <= sampler.epsilon
        low, high = torch.where(fine, low, middle), torch.where(fine, middle, high)
    return torch.where(good, wanted, high)


def _inverse(t: Tensor, weight: Tensor, share: Tensor) -> Tensor:
    """(n, s) places by the inverse of the distribution that has `weight` in each interval of t.

    Args:
        t: (n, k) sorted.
        weight: (n, k - 1) positive.
        share: (n, s) in [0, 1).
    """
    total = F.pad(weight.cumsum(dim=1), (1, 0))
    share = share * total[:, -1:]
    above = torch.searchsorted(total, share, right=True).clamp(1, t.shape[1] - 1)
    below = above - 1
    start, end = total.gather(1, below), total.gather(1, above)
    part = ((share - start) / (end - start).clamp(min=1e-12)).clamp(0, 1)
    return t.gather(1, below) + part * (t.gather(1, above) - t.gather(1, below))
