"""Looking along rays against closed forms of spheres and shells; strata."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analytic import Ball, everywhere, first_meeting, parallel_rays, random_rays
from sansface.render.sampling import around, look, through_cube


def seen(ball: Ball, origins, directions, coarse: int = 32, seed: int = 0):
    return look(ball, origins, directions, coarse, torch.Generator().manual_seed(seed))


@given(
    seed=st.integers(0, 10**6),
    radius=st.floats(0.35, 0.65),
    centre=st.tuples(*[st.floats(-0.15, 0.15)] * 3),
)
@settings(deadline=None, max_examples=25)
def test_a_sphere_is_seen_where_it_is(seed, radius, centre):
    origins, directions = random_rays(200, seed, aim=1.0)
    sight = seen(Ball(radius, centre), origins, directions, seed=seed)
    first, closest, miss = first_meeting(origins, directions, radius, centre)
    clear = (miss - radius).abs() > 5e-4  # a ray that all but touches may go either way
    assert (sight.hit == (miss < radius))[clear].all()
    hit = sight.hit & (miss < 0.95 * radius)
    torch.testing.assert_close(sight.t[hit], first[hit], atol=2e-3, rtol=0)
    assert (sight.nearest - closest).abs().max() < 5e-3


def test_a_miss_gets_its_closest_approach_for_t():
    origins, directions = parallel_rays(torch.tensor([0.55, 0.7, 0.9]))
    sight = seen(Ball(0.5), origins, directions)
    assert not sight.hit.any()
    assert torch.equal(sight.t, sight.nearest)
    torch.testing.assert_close(sight.t, torch.full((3,), 3.0), atol=0.01, rtol=0)


def test_flat_rays_too_end_on_the_surface():
    ball = Ball(0.5)
    origins, directions = parallel_rays(torch.linspace(0.475, 0.4999, 60))
    sight = seen(ball, origins, directions)
    assert sight.hit.all()
    assert ball.sdf(origins + directions * sight.t[:, None]).abs().max() < 2e-3


@pytest.mark.parametrize("seed", range(5))
def test_a_thin_part_is_found_where_the_ray_comes_nearest_to_it(seed):
    """An ear of 0.03 and 32 looks over a way of 2: half of them step over it."""
    ear = Ball(0.03 / 2, (0.0, 0.0, 0.2))
    origins, directions = parallel_rays(torch.linspace(-0.008, 0.008, 200))
    sight = seen(ear, origins, directions, seed=seed)
    first, _, _ = first_meeting(origins, directions, 0.03 / 2, (0.0, 0.0, 0.2))
    assert sight.hit.all()
    # Where a coarse look fell into it, three secants from 0.06 away stop within its thickness.
    assert (sight.t - first).abs().median() < 1e-3
    assert (sight.t - first).abs().max() < 0.03


def test_a_shell_is_entered_on_its_outside():
    origins, directions = parallel_rays(torch.linspace(-0.2, 0.2, 40))
    sight = seen(Ball(0.6, shell=0.2), origins, directions)
    first, _, _ = first_meeting(origins, directions, 0.7)
    assert sight.hit.all()
    torch.testing.assert_close(sight.t, first, atol=1e-3, rtol=0)


def test_from_inside_there_is_nothing_to_enter():
    origins = torch.zeros(4, 3)
    directions = torch.nn.functional.normalize(
        torch.randn((4, 3), generator=torch.Generator().manual_seed(1))
    )
    sight = seen(Ball(0.5), origins, directions)
    assert not sight.hit.any()
    assert sight.nearest.max() < 0.1


def test_least_at_the_end_of_the_way_is_marked():
    origins = torch.tensor([[0.9, -3.0, 0.0], [0.3, -3.0, 0.0]])
    directions = torch.tensor([[0.0, 1.0, 0.0]]).expand(2, 3).contiguous()
    below = Ball(0.5, (0.0, 1.4, 0.0))  # goes on beyond the cube's side y = 1
    assert seen(below, origins, directions).at_end.all()
    inner = Ball(0.5, (0.0, 0.2, 0.0))
    assert not seen(inner, origins, directions).at_end.any()


def test_no_graph_and_reproducible():
    ball = Ball(0.5)
    origins, directions = random_rays(20, 0)
    a, b = (seen(ball, origins.requires_grad_(), directions, seed=3) for _ in range(2))
    assert not a.t.requires_grad
    assert torch.equal(a.t, b.t)


@given(seed=st.integers(0, 10**6))
@settings(deadline=None, max_examples=30)
def test_the_way_through_the_cube(seed):
    origins, directions = random_rays(50, seed, aim=1.7)
    near, far = through_cube(origins, directions)
    t = torch.linspace(0, 6, 3001)
    points = origins[:, None] + directions[:, None] * t[None, :, None]
    inside = (points.abs() <= 1).all(dim=2)
    for i in range(len(origins)):
        if inside[i].any():
            within = t[inside[i]]
            assert near[i].item() == pytest.approx(within.min().item(), abs=3e-3)
            assert far[i].item() == pytest.approx(within.max().item(), abs=3e-3)
        else:
            assert far[i] - near[i] < 5e-3


def test_rays_along_an_axis_and_rays_from_inside():
    origins = torch.tensor([[0.2, 0.3, -4.0], [0.0, 0.0, 0.0]])
    directions = torch.tensor([[0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
    near, far = through_cube(origins, directions)
    torch.testing.assert_close(near, torch.tensor([3.0, 0.0]))
    torch.testing.assert_close(far, torch.tensor([5.0, 1.0]))


@given(seed=st.integers(0, 10**6), samples=st.integers(1, 20))
@settings(deadline=None, max_examples=30)
def test_every_stratum_has_one_sample(seed, samples):
    generator = torch.Generator().manual_seed(seed)
    middle = 0.05 + 2 * torch.rand(6, generator=generator, dtype=torch.float64)
    half = 0.01 + 0.2 * torch.rand(6, generator=generator, dtype=torch.float64)
    t, lengths = around(middle, half, samples, generator)
    start = (middle - half).clamp(min=0)
    index = ((t - start[:, None]) / lengths).floor()
    assert torch.equal(index, torch.arange(samples).double().expand(6, -1))
    torch.testing.assert_close(lengths.sum(dim=1), middle + half - start)


def test_everywhere_covers_the_way():
    origins, directions = random_rays(10, 0)
    near, far = through_cube(origins, directions)
    t, lengths = everywhere(origins, directions, 50)
    torch.testing.assert_close(lengths.sum(dim=1), far - near)
    torch.testing.assert_close(t[:, 0] - lengths[:, 0] / 2, near)
    torch.testing.assert_close(t[:, -1] + lengths[:, -1] / 2, far)
