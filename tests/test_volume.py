"""Volume rendering: closed forms, and a few near samples against dense quadrature on analytic surfaces."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from analytic import Ball, everywhere, first_meeting, parallel_rays, random_rays
from sansface.render.sampling import look
from sansface.render.volume import composite, render, weights


@given(
    thickness=arrays("float32", (3, 7), elements=st.floats(0, 1e4, width=32)),
    lengths=arrays("float32", (3, 7), elements=st.floats(0, 1, width=32)),
)
@settings(deadline=None)
def test_weights_are_not_negative_and_sum_to_at_most_one(thickness, lengths):
    w = weights(torch.from_numpy(thickness), torch.from_numpy(lengths))
    assert torch.isfinite(w).all()
    assert (w >= 0).all()
    assert (w.sum(dim=1) <= 1 + 1e-6).all()


@given(density=st.floats(0, 50), length=st.floats(0.01, 3), parts=st.integers(1, 40))
@settings(deadline=None)
def test_an_even_slab_has_its_closed_form_however_it_is_cut(density, length, parts):
    cuts = torch.rand(parts, generator=torch.Generator().manual_seed(parts)) + 0.1
    lengths = length * (cuts.double() / cuts.double().sum())[None]
    w = weights(torch.full_like(lengths, density), lengths)
    opacity = -torch.expm1(torch.tensor(-density * length, dtype=torch.float64))
    assert w.sum().item() == pytest.approx(opacity.item(), abs=1e-9)
    before = torch.exp(-density * (torch.cumsum(lengths, dim=1) - lengths))
    torch.testing.assert_close(w, before * -torch.expm1(-density * lengths))  # what arrives, times what stops


def shaded(points, normals, directions, features):
    """A smooth colour of normal, place and direction."""
    return torch.sigmoid(normals + 0.5 * points - 0.5 * directions + 0.2 * features)


def both(beta: float, samples: int = 64, radius: float = 0.6):
    """Rays that meet a ball not too flatly: rendered from near samples, and by dense quadrature."""
    ball = Ball(radius, (0.1, -0.05, 0.0))
    origins, directions = random_rays(400, seed=1, aim=0.9)
    first, _, miss = first_meeting(origins, directions, radius, (0.1, -0.05, 0.0))
    hits = miss < 0.95 * radius
    origins, directions, first = origins[hits], directions[hits], first[hits]
    generator = torch.Generator().manual_seed(2)
    sight = look(ball, origins, directions, 32, generator)
    near = render(ball, shaded, origins, directions, sight, beta, samples, generator)
    t, lengths = everywhere(origins, directions, 4000)
    return near, composite(ball, shaded, origins, directions, t, lengths, beta), first


@pytest.mark.parametrize("beta", [0.02, 0.01, 0.002])
def test_near_samples_agree_with_dense_quadrature(beta):
    near, dense, _ = both(beta)
    torch.testing.assert_close(near.opacity, dense.opacity, atol=0.01, rtol=0)
    torch.testing.assert_close(near.colour, dense.colour, atol=0.012, rtol=0)
    torch.testing.assert_close(near.normal, dense.normal, atol=0.03, rtol=0)
    torch.testing.assert_close(near.depth, dense.depth, atol=0.5 * beta, rtol=0)


@pytest.mark.parametrize("beta", [0.01, 0.002])
def test_few_samples_are_noisy_but_not_biased(beta):
    few, dense, _ = both(beta, samples=8)
    assert (few.colour - dense.colour).abs().mean() < 0.01
    assert (few.colour - dense.colour).mean().abs() < 0.004


@pytest.mark.parametrize("beta", [0.01, 0.002])
def test_depth_is_the_analytic_intersection_to_some_beta(beta):
    near, dense, first = both(beta)
    for rendering in (near, dense):
        assert (rendering.depth - first).abs().max() < 5 * beta
        assert (rendering.depth - first).abs().mean() < 2 * beta


def test_normal_points_back_along_the_ray_in_the_middle():
    ball = Ball(0.5)
    origins, directions = parallel_rays(torch.zeros(1))
    generator = torch.Generator().manual_seed(0)
    sight = look(ball, origins, directions, 32, generator)
    normal = render(ball, shaded, origins, directions, sight, 0.001, 16, generator).normal
    torch.testing.assert_close(normal, -directions, atol=0.01, rtol=0)


def test_a_ray_that_misses_is_black():
    ball = Ball(0.4)
    origins, directions = parallel_rays(torch.tensor([0.7, 0.9]))
    generator = torch.Generator().manual_seed(0)
    sight = look(ball, origins, directions, 32, generator)
    near = render(ball, shaded, origins, directions, sight, 0.01, 8, generator)
    assert not sight.hit.any()
    assert near.opacity.max() < 1e-6
    assert near.colour.abs().max() < 1e-6


def test_colours_teach_the_surface():
    """The rendered colour has a derivative with respect to where the surface is."""
    origins, directions = parallel_rays(torch.tensor([0.2]))
    radius = torch.tensor(0.5, requires_grad=True)
    ball = Ball(0.5)
    generator = torch.Generator().manual_seed(0)
    sight = look(ball, origins, directions, 32, generator)
    ball.radius = radius  # type: ignore[assignment]
    seen = render(ball, lambda p, n, d, f: p.abs(), origins, directions, sight, 0.01, 32, generator)
    (slope,) = torch.autograd.grad(seen.depth.sum(), radius)
    # t = 3 − sqrt(r² − x²): dt/dr = −r / sqrt(r² − x²)
    assert slope.item() == pytest.approx(-0.5 / (0.5**2 - 0.2**2) ** 0.5, rel=0.1)
