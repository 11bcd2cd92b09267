"""σ: its scale, its invariances, and OpenCV's filters as an oracle."""

from math import ceil

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sansface.errors import SansfaceError
from sansface.protect.operators import OPERATORS, gaussian, operator, operator_from_parameters
from sansface.protect.pipeline import ProtectSettings

every_operator = pytest.mark.parametrize("name", OPERATORS)
SIGMAS = [operator(name, blur) for name in OPERATORS for blur in (None, 0.6, 1.5)]
every_sigma = pytest.mark.parametrize("sigma", SIGMAS, ids=lambda s: f"{s.name}-{s.blur:g}")
differences = pytest.mark.parametrize(
    "sigma", [s for s in SIGMAS if s.name != "log"], ids=lambda s: f"{s.name}-{s.blur:g}"
)
BLURS = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0]


def picture(seed: int, shape=(17, 23)) -> np.ndarray:
    return np.random.default_rng(seed).random((*shape, 3)).astype(np.float32)


@differences
@pytest.mark.parametrize("axis", [0, 1])
def test_a_unit_ramp_gives_one(sigma, axis):
    size = 2 * sigma.reach + 7
    ramp = np.zeros((size, size, 3), np.float32)
    ramp[:, :, 1] = np.moveaxis(np.broadcast_to(np.arange(size, dtype=np.float32), (size, size)), 1, axis)
    inner = sigma(ramp)[sigma.reach : -sigma.reach, sigma.reach : -sigma.reach]
    np.testing.assert_allclose(inner, 1, atol=1e-5)


@pytest.mark.parametrize("blur", BLURS)
def test_the_laplacian_of_gaussian_is_scale_normalised(blur):
    """Zero on a ramp, s² on x² / 2, and at most 1 / √(2πe), the largest value of s² G', on an edge."""
    sigma = operator("log", blur)
    size = 2 * sigma.reach + 41
    x = np.broadcast_to(np.arange(size, dtype=np.float32) - size // 2, (size, size))
    middle = (size // 2, size // 2)
    grey = [np.dstack([layer / size**2, np.zeros_like(x), np.zeros_like(x)]) for layer in (x, x * x / 2)]
    assert sigma(grey[0])[middle] == pytest.approx(0, abs=1e-5)
    assert sigma(grey[1])[middle] * size**2 == pytest.approx(blur**2, rel=1e-2)
    edge = np.dstack([x >= 0, np.zeros_like(x), np.zeros_like(x)]).astype(np.float32)
    largest = (2 * np.pi * np.e) ** -0.5
    assert sigma(edge).max() <= 1.05 * largest
    if blur >= 2:  # below, pixels are too far apart to meet it
        assert sigma(edge).max() >= 0.9 * largest


@pytest.mark.parametrize("name", ["sobel", "scharr", "prewitt", "central"])
def test_borders_repeat(name):
    ramp = np.zeros((5, 9, 3), np.float32)
    ramp[:, :, 0] = np.arange(9)
    np.testing.assert_allclose(
        operator(name)(ramp)[:, [0, -1]], 0.5, atol=1e-6
    )  # half the difference is missing


@every_sigma
@given(seed=st.integers(0, 10**6), constant=st.floats(-1, 1))
@settings(max_examples=20, deadline=None)
def test_ignores_an_added_constant_and_a_change_of_sign(sigma, seed, constant):
    image = picture(seed)
    np.testing.assert_allclose(sigma(image + np.float32(constant)), sigma(image), atol=1e-5)
    np.testing.assert_allclose(sigma(1 - image), sigma(image), atol=1e-5)


@every_sigma
@given(seed=st.integers(0, 10**6), factor=st.floats(0.1, 4))
@settings(max_examples=10, deadline=None)
def test_a_multiple_of_the_image_has_that_multiple_of_sigma(sigma, seed, factor):
    """So a gain of a view, whatever the operator, is one factor of all its values."""
    image = picture(seed)
    np.testing.assert_allclose(sigma(np.float32(factor) * image), factor * sigma(image), rtol=1e-4, atol=1e-5)


@every_sigma
def test_a_constant_image_gives_zero(sigma):
    np.testing.assert_allclose(sigma(np.full((8, 8, 3), 0.3, np.float32)), 0, atol=2e-6)


@every_sigma
def test_agrees_with_opencv(sigma):
    image, reach = picture(3), sigma.reach
    padded = cv2.copyMakeBorder(image, reach, reach, reach, reach, cv2.BORDER_REPLICATE)

    def smoothed(layers, deviation):
        if deviation == 0:
            return layers
        weights = cv2.getGaussianKernel(2 * ceil(3 * deviation) + 1, deviation)
        return cv2.sepFilter2D(layers, cv2.CV_32F, weights, weights, borderType=cv2.BORDER_REPLICATE)

    blurred = smoothed(padded, sigma.blur)
    x, y = (
        cv2.filter2D(blurred, cv2.CV_32F, kernel, borderType=cv2.BORDER_REPLICATE)
        for kernel in (sigma.kernel_x, sigma.kernel_y)
    )
    if sigma.name == "log":
        expected = np.linalg.norm(x + y, axis=2)
    elif sigma.name == "structure":
        xx, xy, yy = (smoothed((a * b).sum(axis=2), sigma.window) for a, b in ((x, x), (x, y), (y, y)))
        tensors = np.moveaxis(np.array([[xx, xy], [xy, yy]]), (0, 1), (2, 3))
        expected = np.sqrt(np.linalg.norm(tensors, axis=(2, 3)))  # Frobenius
    else:
        expected = np.linalg.norm(x, axis=2) + np.linalg.norm(y, axis=2)
    np.testing.assert_allclose(sigma(image), expected[reach:-reach, reach:-reach], atol=1e-5)


@pytest.mark.parametrize("blur", [None, *BLURS])
@every_operator
def test_no_value_exceeds_the_root_of_three(name, blur):
    """On noise, and for the Laplacian on the worst image there is: white where its kernel is positive."""
    sigma = operator(name, blur)
    for seed in range(3):
        noise = (np.random.default_rng(seed).random((12, 12, 1)) < 0.5).repeat(3, axis=2)
        assert sigma(noise.astype(np.float32)).max() <= np.sqrt(3) + 1e-5
    if name == "log":
        weights = gaussian(sigma.blur).astype(np.float64)
        padded = np.pad(np.outer(weights, weights), 2)
        kernel = sigma.blur**2 * (sum(np.roll(padded, n, a) for n in (-1, 1) for a in (0, 1)) - 4 * padded)
        worst = np.repeat((kernel > 0)[:, :, None], 3, axis=2).astype(np.float32)
        centre = len(kernel) // 2
        assert 0.2 < sigma(np.pad(worst, ((1, 1), (1, 1), (0, 0))))[centre + 1, centre + 1] <= np.sqrt(3)


@every_sigma
def test_it_sees_no_farther_than_its_reach_and_as_far(sigma):
    image = picture(5, (40, 40))
    changed = image.copy()
    changed[20, 20] += 1
    rows, columns = np.nonzero(sigma(changed) != sigma(image))
    farthest = max(abs(rows - 20).max(), abs(columns - 20).max())
    assert farthest == sigma.reach


def test_sobel_is_the_usual_kernel():
    image = picture(4)
    x = cv2.Sobel(image, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8, borderType=cv2.BORDER_REPLICATE)
    y = cv2.Sobel(image, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8, borderType=cv2.BORDER_REPLICATE)
    expected = np.linalg.norm(x, axis=2) + np.linalg.norm(y, axis=2)
    np.testing.assert_allclose(operator("sobel")(image), expected, atol=1e-5)


@every_sigma
def test_parameters_declare_the_operator(sigma):
    again = operator_from_parameters(sigma.parameters())
    assert (again.name, again.blur, again.reach) == (sigma.name, sigma.blur, sigma.reach)
    np.testing.assert_array_equal(again(picture(1)), sigma(picture(1)))
    for change in ({"modulus": "norm"}, {"window": 2.0}, {"blur": sigma.blur + 0.5}, {"border": "wrap"}):
        if change == {"blur": sigma.blur + 0.5} and sigma.name != "log":
            continue  # another blur is another operator of ours; of the Laplacian it changes the kernel, too
        with pytest.raises(SansfaceError, match="unlike"):
            operator_from_parameters(sigma.parameters() | change)
    parameters = sigma.parameters()
    parameters["kernel_x"][1][1] += 1
    with pytest.raises(SansfaceError, match="unlike"):
        operator_from_parameters(parameters)


def test_unknown_names_and_blurs_are_refused():
    with pytest.raises(SansfaceError, match="sobel, scharr"):
        operator("laplace")
    with pytest.raises(SansfaceError, match="no operator"):
        operator_from_parameters(["sobel"])
    for blur in (0.1, 8.5, -1, float("nan"), float("inf"), "1", True, 10**400):
        with pytest.raises(SansfaceError, match=r"neither 0 nor 0\.25 to 8"):
            operator("sobel", blur)
    with pytest.raises(SansfaceError, match="blur above 0"):
        operator("log", 0)
    assert operator("log").blur == 1


def test_fine_pictures_are_blurred_first_if_nothing_is_said():
    """By 1/256 of the longer side; texture finer than that drowns shading."""
    assert [operator("sobel", None, side).blur for side in (16, 64, 255, 256, 300, 512)] == [
        *(0, 0, 0, 1, 300 / 256, 2)
    ]
    assert operator("log", None, 512).blur == 2
    assert operator("sobel", 0, 512).blur == 0
    assert ProtectSettings(resolution=256).sigma().blur == 1
    assert ProtectSettings(resolution=256, blur=0).sigma().blur == 0


def test_only_colour_pictures():
    with pytest.raises(ValueError, match="h, w, 3"):
        operator("sobel")(np.zeros((4, 4), np.float32))
