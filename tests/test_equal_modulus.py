"""Different pictures with the same σ: all of them made, none of them alike."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sansface.audit.equal_modulus import cored, mirrored, recoloured, regions
from sansface.protect.operators import OPERATORS, operator

every_operator = pytest.mark.parametrize("name", OPERATORS)


def hills(seed: int, size: int = 64) -> np.ndarray:
    """(h, w) float32 in [0.2, 0.8]: smooth hills and hollows about 0.5, which nowhere reach the border."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] + 0.5
    places = [(18, 18, 1), (46, 18, -1), (18, 46, -1), (46, 46, 1)]
    picture = np.full((size, size), 0.5)
    for column, row, sign in places:
        distance = np.hypot(x - column + rng.uniform(-1, 1), y - row + rng.uniform(-1, 1))
        picture += sign * rng.uniform(0.25, 0.35) * np.cos(np.minimum(distance / 10, 1) * np.pi / 2) ** 2
    return picture.astype(np.float32)


def grey(picture: np.ndarray) -> np.ndarray:
    return np.repeat(picture[:, :, None], 3, axis=2)


@every_operator
@given(seed=st.integers(0, 10**6))
@settings(deadline=None, max_examples=5)
def test_turned_colours_have_the_same_modulus(name, seed):
    sigma, picture = operator(name), np.random.default_rng(seed).random((9, 11, 3), dtype=np.float32)
    for other in recoloured(picture):
        np.testing.assert_allclose(sigma(other), sigma(picture), atol=1e-6, rtol=0)


def test_turned_colours_are_48_different_pictures():
    picture = np.random.default_rng(0).random((16, 16, 3), dtype=np.float32)
    others = recoloured(picture)
    assert others.shape == (48, 16, 16, 3)
    assert np.array_equal(others[0], picture)
    assert others.min() >= 0
    assert others.max() <= 1
    apart = [np.abs(a - b).mean() for i, a in enumerate(others) for b in others[:i]]
    assert min(apart) > 0.1


def test_one_of_them_is_the_negative():
    picture = np.random.default_rng(0).random((8, 8, 3), dtype=np.float32)
    assert min(np.abs(other - (1 - picture)).max() for other in recoloured(picture)) == 0


@every_operator
def test_mirrored_regions_have_the_same_modulus_and_border(name):
    sigma = operator(name)
    picture = cored(hills(1), 0.5, 0.06)
    labels = regions(picture, 0.5, sigma.reach)
    assert labels.max() == 4
    seen = []
    for number in range(16):
        chosen = tuple(region for region in range(1, 5) if number >> (region - 1) & 1)
        other = mirrored(picture, 0.5, labels, chosen)
        np.testing.assert_allclose(sigma(grey(other)), sigma(grey(picture)), atol=1e-6, rtol=0)
        for edge in (other[0] - picture[0], other[-1] - picture[-1], other[:, 0] - picture[:, 0]):
            assert not edge.any()
        seen.append(other)
    apart = [np.abs(a - b).max() for i, a in enumerate(seen) for b in seen[:i]]
    assert min(apart) > 0.2


def test_without_a_band_between_them_the_sides_are_one_region():
    """Mirroring one side of a bare level set would change σ, so it is not offered."""
    x = np.linspace(0, 1, 32, dtype=np.float32)
    ramp = np.tile(x, (32, 1))
    assert regions(ramp, 0.5, 1).max() == 1
    folded = np.maximum(ramp, 1 - ramp)
    change = np.abs(operator("sobel")(grey(folded)) - operator("sobel")(grey(ramp)))
    assert change.max() > 0.01


def test_a_band_narrower_than_the_operator_sees_is_not_enough():
    picture = np.full((9, 12), 0.5, np.float32)
    picture[:, :5], picture[:, 6:] = 0.8, 0.3
    assert regions(picture, 0.5, 1).max() == 1
    picture[:, 6:8] = 0.5
    assert regions(picture, 0.5, 1).max() == 2


def test_coring_moves_values_by_the_margin_at_most():
    picture = hills(3)
    result = cored(picture, 0.5, 0.06)
    assert np.abs(result - picture).max() <= 0.06 + 1e-6
    assert (result == 0.5).sum() > (picture == 0.5).sum()
