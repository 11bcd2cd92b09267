"""The written-out adjoints against autograd on plain slices."""

import pytest
import torch
from torch.nn import functional as F

from sansface.fields.differences import CentralDifferences, MeanSquaredSecondDifference, WeightedEikonal


def plain_slopes(f, spacing):
    p = F.pad(f, (1, 1, 1, 1, 1, 1), mode="replicate")
    inner = slice(1, -1)
    x = p[..., inner, inner, 2:] - p[..., inner, inner, :-2]
    y = p[..., inner, 2:, inner] - p[..., inner, :-2, inner]
    z = p[..., 2:, inner, inner] - p[..., :-2, inner, inner]
    return torch.cat([f, x / (2 * spacing), y / (2 * spacing), z / (2 * spacing)], dim=1)


def plain_second_differences(f):
    slices = [f.movedim(axis, 0) for axis in (2, 3, 4)]
    return sum((s[2:] - 2 * s[1:-1] + s[:-2]).square().mean() for s in slices)


def plain_eikonal(packed, weight):
    return (
        weight * (packed[:, 1:].square().sum(dim=1, keepdim=True).sqrt() - 1).square()
    ).sum() / weight.sum()


@pytest.fixture
def values():
    generator = torch.Generator().manual_seed(5)

    def make(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.double, requires_grad=True)

    return make


def assert_same(ours, plain, argument, downstream=None):
    """Values and derivatives agree, also behind a further function."""
    assert torch.allclose(ours, plain)
    factor = 1.0 if downstream is None else downstream
    mine, theirs = (torch.autograd.grad((3.0 * factor * v).sum(), argument)[0] for v in (ours, plain))
    assert torch.allclose(mine, theirs)
    assert mine.abs().max() > 0


def test_central_differences_and_their_adjoint(values):
    f, downstream = values(1, 1, 5, 6, 7), values(1, 4, 5, 6, 7).detach()
    assert_same(CentralDifferences.apply(f, 0.1), plain_slopes(f, 0.1), f, downstream)


def test_squared_second_differences_and_their_derivative(values):
    f = values(1, 1, 5, 6, 7)
    assert_same(MeanSquaredSecondDifference.apply(f), plain_second_differences(f), f)


def test_eikonal_error_and_its_derivative(values):
    packed, weight = values(1, 4, 5, 6, 7), values(1, 1, 5, 6, 7).detach().abs()
    assert_same(WeightedEikonal.apply(packed, weight), plain_eikonal(packed, weight), packed)


def test_eikonal_error_of_a_constant_has_a_finite_derivative():
    packed = torch.zeros((1, 4, 3, 3, 3), requires_grad=True)
    error = WeightedEikonal.apply(packed, torch.ones((1, 1, 3, 3, 3)))
    assert error.item() == pytest.approx(1.0)
    assert torch.autograd.grad(error, packed)[0].isfinite().all()
