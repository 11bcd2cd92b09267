"""σ: its scale, its invariances, and OpenCV's filters as an oracle."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sansface.errors import SansfaceError
from sansface.protect.operators import OPERATORS, operator, operator_from_parameters

every_operator = pytest.mark.parametrize("name", OPERATORS)


def picture(seed: int, shape=(17, 23)) -> np.ndarray:
    return np.random.default_rng(seed).random((*shape, 3)).astype(np.float32)


@every_operator
@pytest.mark.parametrize("axis", [0, 1])
def test_a_unit_ramp_gives_one(name, axis):
    ramp = np.zeros((9, 9, 3), np.float32)
    ramp[:, :, 1] = np.moveaxis(np.broadcast_to(np.arange(9, dtype=np.float32), (9, 9)), 1, axis)
    inner = operator(name)(ramp)[1:-1, 1:-1]
    np.testing.assert_allclose(inner, 1, atol=1e-5)


@every_operator
def test_borders_repeat(name):
    ramp = np.zeros((5, 9, 3), np.float32)
    ramp[:, :, 0] = np.arange(9)
    np.testing.assert_allclose(
        operator(name)(ramp)[:, [0, -1]], 0.5, atol=1e-6
    )  # half the difference is missing


@every_operator
@given(seed=st.integers(0, 10**6), constant=st.floats(-1, 1))
def test_ignores_an_added_constant_and_a_change_of_sign(name, seed, constant):
    sigma, image = operator(name), picture(seed)
    np.testing.assert_allclose(sigma(image + np.float32(constant)), sigma(image), atol=1e-5)
    np.testing.assert_allclose(sigma(1 - image), sigma(image), atol=1e-5)


@every_operator
def test_a_constant_image_gives_zero(name):
    np.testing.assert_allclose(operator(name)(np.full((8, 8, 3), 0.3, np.float32)), 0, atol=1e-7)


@every_operator
def test_agrees_with_opencv(name):
    sigma, image = operator(name), picture(3)
    filtered = [
        cv2.filter2D(image, cv2.CV_32F, kernel, borderType=cv2.BORDER_REPLICATE)
        for kernel in (sigma.kernel_x, sigma.kernel_y)
    ]
    expected = sum(np.sqrt((part**2).sum(axis=2)) for part in filtered)
    np.testing.assert_allclose(sigma(image), expected, atol=1e-5)
    assert sigma(image).max() <= np.sqrt(3)


def test_sobel_is_the_usual_kernel():
    image = picture(4)
    x = cv2.Sobel(image, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8, borderType=cv2.BORDER_REPLICATE)
    y = cv2.Sobel(image, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8, borderType=cv2.BORDER_REPLICATE)
    expected = np.linalg.norm(x, axis=2) + np.linalg.norm(y, axis=2)
    np.testing.assert_allclose(operator("sobel")(image), expected, atol=1e-5)


@every_operator
def test_parameters_declare_the_operator(name):
    parameters = operator(name).parameters()
    assert operator_from_parameters(parameters).name == name
    parameters["kernel_x"][1][2] *= 2
    with pytest.raises(SansfaceError, match="unlike"):
        operator_from_parameters(parameters)


def test_unknown_names_and_parameters_are_refused():
    with pytest.raises(SansfaceError, match="sobel, scharr"):
        operator("laplace")
    with pytest.raises(SansfaceError, match="does not take sigma"):
        operator("sobel", sigma=2)
    with pytest.raises(SansfaceError, match="no operator"):
        operator_from_parameters(["sobel"])


def test_only_colour_pictures():
    with pytest.raises(ValueError, match="h, w, 3"):
        operator("sobel")(np.zeros((4, 4), np.float32))
