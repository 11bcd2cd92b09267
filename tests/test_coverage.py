"""The covered area of a pixel against counting, and the loss that follows from it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sansface.reconstruct.losses import coverage_loss, plain_coverage_loss
from sansface.render.coverage import covered_area

angles = st.floats(0, 2 * np.pi)


def area(distance, angle) -> tuple[torch.Tensor, torch.Tensor]:
    distance = torch.as_tensor(distance, dtype=torch.float64).reshape(-1)
    angle = torch.as_tensor(angle, dtype=torch.float64).expand_as(distance)
    return covered_area(distance, torch.stack([angle.cos(), angle.sin()], dim=1))


@given(distance=st.floats(-1.5, 1.5), angle=angles)
@settings(deadline=None)
def test_agrees_with_counting(distance, angle):
    side = (np.arange(200) + 0.5) / 200 - 0.5
    x, y = np.meshgrid(side, side)
    counted = np.mean(x * np.cos(angle) + y * np.sin(angle) + distance < 0)
    # A normal along an axis is taken a little aslant (LEAST_SIDE): 1/160 at most; counting errs by 1/200.
    assert area(distance, angle)[0].item() == pytest.approx(counted, abs=0.012)


@given(distance=st.floats(-0.6, 0.6), angle=st.floats(0.1, np.pi / 2 - 0.1))
@settings(deadline=None, max_examples=40)
def test_is_exact_where_the_edge_is_not_along_an_axis(distance, angle):
    side = (np.arange(1000) + 0.5) / 1000 - 0.5
    # Along each row the covered part is an interval: exact in x, midpoints in y.
    reach = (-distance - side * np.sin(angle)) / np.cos(angle)
    exact = np.clip(reach + 0.5, 0, 1).mean()
    assert area(distance, angle)[0].item() == pytest.approx(exact, abs=1e-5)


@given(angle=angles)
@settings(deadline=None)
def test_half_at_the_centre_falling_outwards_full_and_empty_at_the_reach(angle):
    distance = torch.linspace(-1, 1, 201, dtype=torch.float64)
    covered, reach = area(distance, angle)
    assert covered[100].item() == pytest.approx(0.5, abs=1e-9)
    assert (covered.diff() <= 1e-12).all()
    torch.testing.assert_close(covered + covered.flip(0), torch.ones_like(covered))
    assert (covered[distance > reach] < 1e-12).all()
    assert (covered[distance < -reach] > 1 - 1e-12).all()


@given(distance=st.floats(-2, 2), angle=angles)
@settings(deadline=None)
def test_no_loss_at_the_truth(distance, angle):
    covered, _ = area(distance, angle)
    normal = torch.tensor([[np.cos(angle), np.sin(angle)]])
    loss = coverage_loss(torch.tensor([distance], dtype=torch.float64), normal, covered)
    assert 0 <= loss.item() < 4e-3  # a coverage within a thousandth of full counts as full


@pytest.mark.parametrize(
    ("distance", "coverage", "sign"),
    [
        (-0.2, 0.5, -1),  # too much covered: the distance must grow
        (0.2, 0.5, 1),
        (5.0, 1.0, 1),  # far outside, though wholly covered: the saturated area itself has no slope
        (-5.0, 0.0, -1),
        (3.0, 0.5, 1),
        (-3.0, 0.5, -1),
        (2.0, 0.0, 0),  # right already
        (-2.0, 1.0, 0),
    ],
)
def test_pulls_the_right_way(distance, coverage, sign):
    d = torch.tensor([distance], requires_grad=True)
    coverage_loss(d, torch.tensor([[0.6, 0.8]]), torch.tensor([coverage])).sum().backward()
    assert d.grad is not None
    assert np.sign(round(d.grad.item(), 5)) == sign


def test_descent_finds_the_outline():
    target, _ = area([0.1], 0.7)
    d = torch.tensor([4.0], dtype=torch.float64, requires_grad=True)
    normal = torch.tensor([[np.cos(0.7), np.sin(0.7)]])
    adam = torch.optim.Adam([d], lr=0.1)
    for step in range(300):
        adam.param_groups[0]["lr"] = 0.1 * 0.98**step
        adam.zero_grad()
        coverage_loss(d, normal, target).sum().backward()
        adam.step()
    assert d.item() == pytest.approx(0.1, abs=0.02)


def test_the_compiled_loss_is_the_plain_one_with_its_derivative():
    rng = np.random.default_rng(0)
    angle = torch.from_numpy(rng.uniform(0, 2 * np.pi, 4000).astype(np.float32))
    normal = torch.stack([angle.cos(), angle.sin()], dim=1)
    coverage = torch.from_numpy(rng.choice([0, 1, 0.0005, 0.9995, *rng.random(8)], 4000).astype(np.float32))
    distance = torch.from_numpy(rng.normal(0, 4, 4000).astype(np.float32))
    d, exact = distance.clone().requires_grad_(), distance.double().requires_grad_()
    ours = coverage_loss(d, normal, coverage)
    plain = plain_coverage_loss(exact, normal.double(), coverage.double())
    assert type(ours.grad_fn).__name__ == "_CoverageLossBackward"
    torch.testing.assert_close(ours.double(), plain, atol=2e-5, rtol=1e-5)
    for loss in (ours, plain):
        (loss * torch.linspace(0, 1, 4000)).sum().backward()
    assert d.grad is not None
    assert exact.grad is not None
    unlike = (d.grad - exact.grad).abs() > 1e-4
    assert unlike.float().mean() < 2e-3  # where the error is rounding, so is its sign
    assert (plain > 0.5).any()
    assert (exact.grad.abs() > 0.3).any()


def test_what_is_no_number_stays_none():
    d = torch.tensor([float("nan"), 0.2])
    loss = coverage_loss(d, torch.tensor([[0.6, 0.8]] * 2), torch.tensor([0.5, 0.5]))
    assert loss.isnan().tolist() == [True, False]
