"""The server's differentiable σ against the client's, which is its definition."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sansface.protect.operators import OPERATORS, operator
from sansface.reconstruct.losses import gradient_loss
from sansface.reconstruct.modulus import FLOOR, modulus

every_operator = pytest.mark.parametrize("name", OPERATORS)


def picture(seed: int, height: int = 19, width: int = 23) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width, 3)).astype(np.float32)


@every_operator
@given(seed=st.integers(0, 10**6), height=st.integers(1, 20), width=st.integers(1, 20))
@settings(deadline=None, max_examples=30)
def test_both_implementations_agree(name, seed, height, width):
    image = picture(seed, height, width)
    ours = modulus(torch.from_numpy(image), operator(name), floor=0.0)
    np.testing.assert_allclose(ours.numpy(), operator(name)(image), atol=1e-5, rtol=0)


@every_operator
@given(
    seed=st.integers(0, 10**6),
    y=st.integers(0, 12),
    x=st.integers(0, 12),
    h=st.integers(3, 10),
    w=st.integers(3, 10),
)
@settings(deadline=None, max_examples=30)
def test_a_patch_with_its_halo_agrees_with_the_whole_picture(name, seed, y, x, h, w):
    whole = torch.from_numpy(picture(seed, 24, 24))
    patch = modulus(whole[y : y + h, x : x + w], operator(name), floor=0.0)
    expected = operator(name)(whole.numpy())[y : y + h, x : x + w]
    np.testing.assert_allclose(patch[1:-1, 1:-1].numpy(), expected[1:-1, 1:-1], atol=1e-5, rtol=0)


@every_operator
def test_the_floor_changes_a_value_by_what_is_documented(name):
    image = torch.from_numpy(picture(1))
    image[5:12, 5:12] = 0.4
    exact, floored = modulus(image, operator(name), floor=0.0), modulus(image, operator(name))
    change = floored - exact
    assert (change >= -1e-6).all()
    assert change.max() <= 2 * FLOOR**0.5 + 1e-6  # 1e-4 under each of two roots


@every_operator
def test_a_constant_picture_gives_zero(name):
    flat = torch.full((9, 7, 3), 0.7)
    torch.testing.assert_close(modulus(flat, operator(name), floor=0.0), torch.zeros(9, 7), atol=1e-6, rtol=0)


@given(seed=st.integers(0, 10**6), constant=st.floats(-1, 1, width=32))
@settings(deadline=None, max_examples=30)
def test_ignores_an_added_constant(seed, constant):
    image, sobel = torch.from_numpy(picture(seed)), operator("sobel")
    torch.testing.assert_close(
        modulus(image + constant, sobel, 0.0), modulus(image, sobel, 0.0), atol=1e-5, rtol=0
    )


def test_its_derivative_is_finite_where_the_picture_is_flat():
    flat = torch.full((6, 6, 3), 0.5, requires_grad=True)
    modulus(flat, operator("sobel")).sum().backward()
    assert flat.grad is not None
    assert torch.isfinite(flat.grad).all()


def test_its_derivative_is_that_of_finite_differences():
    image = torch.from_numpy(picture(3, 5, 6)).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda p: modulus(p, operator("scharr")), image)


@every_operator
def test_no_loss_for_the_right_picture_and_some_for_a_blurred_one(name):
    image, sigma = picture(4), operator(name)
    target = torch.from_numpy(sigma(image))
    known = torch.ones(target.shape, dtype=torch.bool)
    assert gradient_loss(torch.from_numpy(image), target, known, sigma) < 2 * FLOOR**0.5
    assert gradient_loss(torch.from_numpy(image) * 0.5, target, known, sigma) > 0.05


def test_unknown_pixels_do_not_count():
    image, sigma = picture(5), operator("sobel")
    target = torch.from_numpy(sigma(image))
    target[3, 4] += 10
    known = torch.ones(target.shape, dtype=torch.bool)
    known[3, 4] = False
    assert gradient_loss(torch.from_numpy(image), target, known, sigma) < 2 * FLOOR**0.5
    assert gradient_loss(torch.from_numpy(image), target, torch.zeros_like(known), sigma) == 0
