"""The compiled loops against torch's own."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from analytic import random_rays
from sansface.fields.differences import CentralDifferences, MeanSquaredSecondDifference, WeightedEikonal
from sansface.fields.grid import GridSurface, interpolate, nodes
from sansface.fields.on_cpu import Eikonal, Interpolation, SquaredSecondDifference, ValueAndSlopes
from sansface.loops.compiled import compiled
from sansface.render import sampling

CLOSE = {"atol": 5e-5, "rtol": 1e-4}


def bumpy(n: int, seed: int) -> GridSurface:
    """A ball with noise, some of it in pieces of its own."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn((1, 1, 5, 5, 5), generator=generator)
    smooth = F.interpolate(noise, size=(n, n, n), mode="trilinear", align_corners=True)
    distance = (nodes(n).norm(dim=1) - 0.5).view(1, 1, n, n, n) + 0.1 * smooth
    return GridSurface(distance, torch.zeros(1, 1, 2, 2, 2))


def drawn(n: int, channels: int, count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A grid, and points of which some lie outside."""
    generator = torch.Generator().manual_seed(seed)
    grid = torch.randn((1, channels, n, n, n), generator=generator, requires_grad=True)
    return grid, 2.6 * torch.rand((count, 3), generator=generator) - 1.3


def assert_same(ours: torch.Tensor, theirs: torch.Tensor, grid: torch.Tensor, seed: int) -> None:
    """Values, and what comes back for the grid."""
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours, theirs, **CLOSE)
    back = torch.randn(ours.shape, generator=torch.Generator().manual_seed(seed + 1))
    mine, other = (torch.autograd.grad((back * v).sum(), grid)[0] for v in (ours, theirs))
    torch.testing.assert_close(mine, other, **CLOSE)


ANY = {"n": st.integers(3, 9), "count": st.integers(0, 40), "seed": st.integers(0, 10**6)}


@given(**ANY, channels=st.integers(1, 5))
@settings(deadline=None, max_examples=40)
def test_values_and_their_derivative_are_torchs(n, channels, count, seed):
    grid, points = drawn(n, channels, count, seed)
    assert_same(Interpolation.apply(grid, points), interpolate(grid, points), grid, seed)


@given(**ANY)
@settings(deadline=None, max_examples=40)
def test_slopes_and_their_derivative_are_torchs(n, count, seed):
    f, points = drawn(n, 1, count, seed)
    plain = interpolate(CentralDifferences.apply(f, 2 / (n - 1)), points)
    assert_same(ValueAndSlopes.apply(f, points), plain, f, seed)


@given(n=st.integers(3, 9), seed=st.integers(0, 10**6))
@settings(deadline=None, max_examples=40)
def test_penalties_and_their_derivatives_are_torchs(n, seed):
    f, _ = drawn(n, 1, 0, seed)
    weight = torch.where(f.detach().abs() < 0.4, 1.0, 0.3)
    plain = WeightedEikonal.apply(CentralDifferences.apply(f, 2 / (n - 1)), weight)
    assert_same(Eikonal.apply(f, 0.4, 0.3), plain, f, seed)
    assert_same(SquaredSecondDifference.apply(f), MeanSquaredSecondDifference.apply(f), f, seed)


def test_the_eikonal_error_of_a_constant_has_a_finite_derivative():
    f = torch.zeros((1, 1, 4, 4, 4), requires_grad=True)
    error = Eikonal.apply(f, 0.1, 0.1)
    assert error.item() == pytest.approx(1.0)
    assert torch.autograd.grad(error, f)[0].isfinite().all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 1e30])
def test_what_is_no_number_reads_nothing_that_is_not_there(bad):
    grid = torch.ones((1, 2, 4, 4, 4), requires_grad=True)
    values = Interpolation.apply(grid, torch.full((5, 3), bad))
    assert values.tolist() == [[1.0, 1.0]] * 5
    assert torch.autograd.grad(values.sum(), grid)[0].sum() == 10
    f = torch.ones((1, 1, 4, 4, 4), requires_grad=True)
    values = ValueAndSlopes.apply(f, torch.full((5, 3), bad))
    assert values.tolist() == [[1.0, 0.0, 0.0, 0.0]] * 5
    assert torch.autograd.grad(values.sum(), f)[0].sum() == 5


@pytest.mark.parametrize("placed", [True, False])
def test_a_surface_is_the_same_compiled_and_not(placed):
    """Points with a graph, of a pose that is looked for, take the plain way."""
    generator = torch.Generator().manual_seed(3)
    points = 2 * torch.rand((50, 3), generator=generator) - 1
    compiled, plainly = bumpy(12, 0), bumpy(12, 0)
    plainly.compiled = False
    points.requires_grad_(placed)
    for mine, theirs in zip(compiled.query(points), plainly.query(points), strict=True):
        torch.testing.assert_close(mine, theirs, **CLOSE)
        assert mine.requires_grad == theirs.requires_grad == placed
    for name in ("eikonal", "smoothness", "volume"):
        mine, theirs = (getattr(surface, name)(generator) for surface in (compiled, plainly))
        torch.testing.assert_close(mine, theirs, **CLOSE)


@given(n=st.integers(8, 40), coarse=st.integers(3, 40), seed=st.integers(0, 10**6))
@settings(deadline=None, max_examples=25)
def test_a_look_is_the_plain_look(n, coarse, seed):
    surface = bumpy(n, seed)
    origins, directions = random_rays(300, seed, aim=1.0)
    ours = sampling.look(surface, origins, directions, coarse, torch.Generator().manual_seed(seed))
    share = torch.rand((300, coarse), generator=torch.Generator().manual_seed(seed))
    near, far = sampling.through_cube(origins, directions)
    theirs = sampling.plain(surface.sdf, origins, directions, near, far, share)
    # A ray that all but touches may go either way, and its zero with it.
    same = ours.hit == theirs.hit
    assert same.float().mean() > 0.99
    assert (ours.at_end == theirs.at_end).float().mean() > 0.99
    assert ((ours.t - theirs.t).abs()[same] < 1e-3).float().mean() > 0.99
    assert ((ours.nearest - theirs.nearest).abs() < 1e-3).float().mean() > 0.99


def test_without_a_folder_for_it_a_loop_is_compiled_anew(monkeypatch):
    import numba

    real = numba.njit

    def njit(*, cache=False, **how):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return real(**how)

    monkeypatch.setattr(numba, "njit", njit)
    assert compiled(lambda x: x + 1)(2) == 3
