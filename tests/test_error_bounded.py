"""VolSDF's sampler against brute force and dense quadrature."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analytic import Ball, parallel_rays, random_rays
from sansface.render.density import laplace_density
from sansface.render.error_bounded import Sampler, error_bounded, least_distance, opacity_bound
from sansface.render.sampling import through_cube


@given(
    length=st.floats(0.05, 2.0),
    first=st.floats(0.0, 1.5),
    change=st.floats(-0.99, 0.99),
)
@settings(deadline=None, max_examples=60)
def test_no_surface_can_come_nearer_than_d_star(length, first, change):
    """Of all points of the plane outside both balls, none is nearer to the interval, and one is as near."""
    second = abs(first + change * length)
    found = least_distance(torch.tensor([[first, second]]), torch.tensor([[length]])).item()
    reach = max(first, second) + 0.1
    x = torch.linspace(-reach, length + reach, 1501)
    y = torch.linspace(0, reach, 801)
    px, py = torch.meshgrid(x, y, indexing="ij")
    outside = (px.hypot(py) >= first) & ((px - length).hypot(py) >= second)
    away = (px - px.clamp(0, length)).hypot(py)[outside].min().item()
    assert found <= away + 1e-5
    assert found >= away - 0.02 - 0.01 * reach  # the grid is coarse where two spheres cross flatly


def dense(ball: Ball, origins, directions, ends, beta: float, looks: int = 40_000):
    """The opacity at the places `ends` (n, k) of each ray, by midpoints."""
    near, far = through_cube(origins, directions)
    result = torch.zeros_like(ends)
    for i in range(len(origins)):
        t = near[i] + (far[i] - near[i]) * (torch.arange(looks) + 0.5) / looks
        density = laplace_density(ball.sdf(origins[i] + t[:, None] * directions[i]), beta).double()
        optical = torch.cat([torch.zeros(1), (density * ((far[i] - near[i]) / looks)).cumsum(0)])
        place = ((ends[i] - near[i]) / (far[i] - near[i]) * looks).round().long().clamp(0, looks)
        result[i] = -torch.expm1(-optical[place]).float()
    return result


def test_the_bound_of_two_intervals_by_hand():
    """f = 0.3, −0.1 at the starts and d* = 0.1, 0; lengths 0.4 and 0.2; β = 0.2, so α = 5."""
    bound = opacity_bound(
        torch.tensor([[0.3, -0.1, -0.3]]),
        torch.tensor([[0.1, 0.0]]),
        torch.tensor([[0.4, 0.2]]),
        torch.tensor([[0.2]]),
    )
    first = 5 / 0.8 * 0.4**2 * math.exp(-0.1 / 0.2)
    second = first + 5 / 0.8 * 0.2**2
    opaque = 0.4 * 5 * 0.5 * math.exp(-0.3 / 0.2)  # from outside: Ψ = exp(−f/β) / 2
    expected = torch.tensor([[math.expm1(first), math.exp(-opaque) * math.expm1(second)]])
    torch.testing.assert_close(bound, expected)


@pytest.mark.parametrize("beta", [0.2, 0.05, 0.01])
@pytest.mark.parametrize("ball", [Ball(0.5), Ball(0.6, shell=0.05)])
def test_the_bound_holds_at_every_sample(ball, beta):
    origins, directions = random_rays(24, 3)
    near, far = through_cube(origins, directions)
    t = near[:, None] + (far - near)[:, None] * torch.linspace(0, 1, 97)
    distance = ball.sdf((origins[:, None] + directions[:, None] * t[..., None]).reshape(-1, 3)).view(t.shape)
    lengths = t.diff(dim=1)
    bound = opacity_bound(distance, least_distance(distance, lengths), lengths, torch.full((24, 1), beta))
    approximate = -torch.expm1(-(lengths * laplace_density(distance[:, :-1], beta)).cumsum(dim=1))
    error = (dense(ball, origins, directions, t[:, 1:], beta) - approximate).abs()
    assert (error <= bound + 2e-3).all()
    assert (error > 0.2 * bound.clamp(max=1)).any()  # and it is no empty promise


@pytest.mark.parametrize("beta", [0.1, 0.01, 0.001])
def test_the_opacity_is_right_within_epsilon(beta):
    ball = Ball(0.5)
    origins, directions = random_rays(64, 5)
    generator = torch.Generator().manual_seed(0)
    sampler = Sampler(last=128)
    t, lengths = error_bounded(ball.sdf, origins, directions, beta, sampler, generator)
    assert t.shape == lengths.shape == (64, sampler.last + sampler.extra)
    assert (t.diff(dim=1) >= 0).all()
    assert (lengths >= 0).all()
    distance = ball.sdf((origins[:, None] + directions[:, None] * t[..., None]).reshape(-1, 3)).view(t.shape)
    opacity = -torch.expm1(-(lengths * laplace_density(distance, beta)).sum(dim=1))
    _, far = through_cube(origins, directions)
    right = dense(ball, origins, directions, far[:, None], beta)[:, 0]
    assert (opacity - right).abs().mean() < 0.02
    assert (opacity - right).abs().max() < sampler.epsilon + 0.05


def test_samples_gather_at_the_surface():
    origins, directions = parallel_rays(torch.zeros(8))
    t, _ = error_bounded(
        Ball(0.5).sdf, origins, directions, 0.002, Sampler(), torch.Generator().manual_seed(0)
    )
    assert ((t - 2.5).abs() < 0.02).sum(dim=1).min() > 0.6 * 64
    assert t.min() < 2.2  # and some look everywhere
    assert t.max() > 3.5


def test_far_from_any_surface_one_round_is_enough():
    looks = []

    def counting(points):
        looks.append(len(points))
        return torch.full((len(points),), 2.0)

    origins, directions = parallel_rays(torch.zeros(3))
    error_bounded(counting, origins, directions, 0.1, Sampler(), torch.Generator().manual_seed(0))
    assert looks == [3 * 64]


def test_a_ray_that_is_done_is_looked_along_no_more():
    """Three go through the ball and need more rounds, seven pass it by and need one."""
    looks = []

    def counting(points):
        looks.append(len(points))
        return Ball(0.1).sdf(points)

    origins, directions = parallel_rays(torch.tensor([0.0, 0.01, 0.02, *[0.9] * 7]))
    t, _ = error_bounded(counting, origins, directions, 0.02, Sampler(), torch.Generator().manual_seed(0))
    assert looks[0] == 10 * 64
    assert len(looks) > 1
    assert set(looks[1:]) <= {rays * 128 for rays in (1, 2, 3)}
    assert (t.diff(dim=1) >= 0).all()


def test_the_same_generator_gives_the_same_samples():
    origins, directions = random_rays(10, 1)

    def samples():
        generator = torch.Generator().manual_seed(4)
        return error_bounded(Ball(0.5).sdf, origins, directions, 0.01, Sampler(), generator)[0]

    assert torch.equal(samples(), samples())
