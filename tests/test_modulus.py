"""The server's differentiable σ against the client's, which is its definition."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sansface.protect.operators import OPERATORS, operator
from sansface.reconstruct.losses import gradient_loss
from sansface.reconstruct.modulus import FLOOR, modulus

SIGMAS = [operator(name, blur) for name in OPERATORS for blur in (None, 0.6, 1.5)]
every_sigma = pytest.mark.parametrize("sigma", SIGMAS, ids=lambda s: f"{s.name}-{s.blur:g}")


def picture(seed: int, height: int = 19, width: int = 23) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width, 3)).astype(np.float32)


@every_sigma
@given(seed=st.integers(0, 10**6), height=st.integers(1, 20), width=st.integers(1, 20))
@settings(deadline=None, max_examples=15)
def test_both_implementations_agree(sigma, seed, height, width):
    image = picture(seed, height, width)
    ours = modulus(torch.from_numpy(image), sigma, floor=0.0)
    np.testing.assert_allclose(ours.numpy(), sigma(image), atol=1e-5, rtol=0)


@every_sigma
@given(
    seed=st.integers(0, 10**6),
    y=st.integers(0, 12),
    x=st.integers(0, 12),
    h=st.integers(1, 6),
    w=st.integers(1, 6),
)
@settings(deadline=None, max_examples=10)
def test_a_patch_with_its_halo_agrees_with_the_whole_picture(sigma, seed, y, x, h, w):
    reach = sigma.reach
    whole = torch.from_numpy(picture(seed, 24 + 2 * reach, 24 + 2 * reach))
    patch = modulus(whole[y : y + h + 2 * reach, x : x + w + 2 * reach], sigma, floor=0.0)
    expected = sigma(whole.numpy())[y + reach : y + h + reach, x + reach : x + w + reach]
    inner = patch[reach:-reach, reach:-reach].numpy()
    np.testing.assert_allclose(inner, expected, atol=1e-5, rtol=0)


@every_sigma
def test_the_floor_changes_a_value_by_what_is_documented(sigma):
    image = torch.from_numpy(picture(1))
    image[5:12, 5:12] = 0.4
    exact, floored = modulus(image, sigma, floor=0.0), modulus(image, sigma)
    change = floored - exact
    assert (change >= -1e-6).all()
    assert change.max() <= 2 * FLOOR**0.5 + 1e-6  # 1e-4 under each of two roots


@every_sigma
def test_a_constant_picture_gives_zero(sigma):
    flat = torch.full((9, 7, 3), 0.7)
    torch.testing.assert_close(modulus(flat, sigma, floor=0.0), torch.zeros(9, 7), atol=5e-6, rtol=0)


@given(seed=st.integers(0, 10**6), constant=st.floats(-1, 1, width=32))
@settings(deadline=None, max_examples=30)
def test_ignores_an_added_constant(seed, constant):
    image, sobel = torch.from_numpy(picture(seed)), operator("sobel")
    torch.testing.assert_close(
        modulus(image + constant, sobel, 0.0), modulus(image, sobel, 0.0), atol=1e-5, rtol=0
    )


@every_sigma
def test_its_derivative_is_finite_where_the_picture_is_flat(sigma):
    flat = torch.full((6, 6, 3), 0.5, requires_grad=True)
    modulus(flat, sigma).sum().backward()
    assert flat.grad is not None
    assert torch.isfinite(flat.grad).all()


@pytest.mark.parametrize("name", ["scharr", "roberts", "log", "structure"])
def test_its_derivative_is_that_of_finite_differences(name):
    image = torch.from_numpy(picture(3, 5, 6)).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda p: modulus(p, operator(name, 0.5)), image)


@every_sigma
def test_no_loss_for_the_right_picture_and_some_for_a_blurred_one(sigma):
    image = picture(4)
    target = torch.from_numpy(sigma(image))
    known = torch.ones(target.shape, dtype=torch.bool)
    assert gradient_loss(torch.from_numpy(image), target, known, sigma) < 2 * FLOOR**0.5
    assert gradient_loss(torch.from_numpy(image) * 0.5, target, known, sigma) > 0.2 * target.mean()


def test_unknown_pixels_do_not_count():
    image, sigma = picture(5), operator("sobel")
    target = torch.from_numpy(sigma(image))
    target[3, 4] += 10
    known = torch.ones(target.shape, dtype=torch.bool)
    known[3, 4] = False
    assert gradient_loss(torch.from_numpy(image), target, known, sigma) < 2 * FLOOR**0.5
    assert gradient_loss(torch.from_numpy(image), target, torch.zeros_like(known), sigma) == 0


@every_sigma
def test_with_unknown_gains_any_multiple_of_the_right_picture_is_right(sigma):
    image = picture(6)
    known = torch.ones(image.shape[:2], dtype=torch.bool)
    known[:4] = False
    target = 0.37 * torch.from_numpy(sigma(image))
    target[:4] = 9.0
    for factor in (0.2, 1.0, 3.0):
        loss = gradient_loss(torch.from_numpy(image) * factor, target, known, sigma, gain=True)
        assert loss < 1e-3 * target.mean() + 2e-4 / factor
    wrong = gradient_loss(torch.from_numpy(picture(7)), target, known, sigma, gain=True)
    assert wrong > 0.05 * target[4:].mean()


def test_the_gain_is_the_least_squares_one_and_pulls_towards_no_multiple():
    sigma, target = operator("sobel"), torch.from_numpy(operator("sobel")(picture(8))).double()
    known = torch.from_numpy(np.random.default_rng(0).random(target.shape) < 0.7)
    factor = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    image = torch.from_numpy(picture(9)).double()
    loss = gradient_loss(image * factor, target, known, sigma, gain=True)
    loss.backward()
    assert factor.grad is not None
    assert factor.grad.abs() < 1e-6
    ours, theirs = modulus(image, sigma)[known].numpy(), target[known].numpy()
    best = np.linalg.lstsq(ours[:, None], theirs, rcond=None)[0][0]
    assert loss.item() == pytest.approx(np.abs(best * ours - theirs).mean())


def test_a_coarse_code_stands_for_an_interval():
    image, sigma = picture(10), operator("sobel")
    exact = sigma(image)
    step = 0.1
    target = torch.from_numpy(np.rint(exact / step) * step).float()
    known = torch.ones(target.shape, dtype=torch.bool)
    assert gradient_loss(torch.from_numpy(image), target, known, sigma) > 0.01
    assert gradient_loss(torch.from_numpy(image), target, known, sigma, tolerance=step / 2) < 2e-4
    assert gradient_loss(0 * torch.from_numpy(image), target, known, sigma, tolerance=step / 2) > 0.01
