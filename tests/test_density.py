"""VolSDF's density: closed form, limits, and the distribution function that it is made of."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sansface.render.density import laplace_density

betas = st.floats(1e-3, 0.5)


def test_closed_form():
    beta = 0.1
    distance = torch.tensor([-0.2, 0.0, 0.2])
    # 10 (1 − e⁻² / 2), 10 / 2, 10 e⁻² / 2
    expected = torch.tensor([9.32332358, 5.0, 0.67667642])
    torch.testing.assert_close(laplace_density(distance, beta), expected)


@given(beta=betas)
@settings(deadline=None, max_examples=30)
def test_alpha_inside_half_of_it_on_the_surface_nothing_outside(beta):
    ends = laplace_density(torch.tensor([-30 * beta, 0.0, 30 * beta], dtype=torch.float64), beta) * beta
    torch.testing.assert_close(ends, torch.tensor([1.0, 0.5, 0.0], dtype=torch.float64), atol=1e-9, rtol=0)


@given(beta=betas)
@settings(deadline=None, max_examples=30)
def test_it_falls_and_is_symmetric_about_the_surface(beta):
    f = torch.linspace(-8 * beta, 8 * beta, 201, dtype=torch.float64)
    share = laplace_density(f, beta) * beta
    assert (share.diff() < 0).all()
    torch.testing.assert_close(share + share.flip(0), torch.ones_like(f))  # Ψ(s) + Ψ(−s) = 1


@given(beta=betas)
@settings(deadline=None, max_examples=30)
def test_its_slope_is_a_normalised_laplace_law(beta):
    # An even number of places: on the surface itself the law has its peak, and torch's |f| no slope.
    f = torch.linspace(-20 * beta, 20 * beta, 4000, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(laplace_density(f, beta).sum() * beta, f)
    law = torch.exp(-f.detach().abs() / beta) / (2 * beta)
    torch.testing.assert_close(-slope, law)
    assert torch.trapezoid(law, f.detach()).item() == pytest.approx(1, abs=1e-4)


@given(distance=st.floats(-5, 5), beta=betas)
@settings(deadline=None)
def test_it_is_finite_with_a_finite_slope(distance, beta):
    f = torch.tensor([distance], requires_grad=True)
    density = laplace_density(f, beta)
    density.sum().backward()
    assert f.grad is not None
    assert torch.isfinite(torch.stack([density[0], f.grad[0]])).all()
    assert 0 <= density.item() <= 1 / beta * (1 + 1e-6)
