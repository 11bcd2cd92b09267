"""PSNR and SSIM against their formulae; whom the bootstrap calls better, and whom not."""

import numpy as np
import pytest

from sansface.audit.likeness import advantage, likeness


def pictures(n: int = 6) -> np.ndarray:
    return np.random.default_rng(0).random((n, 24, 24, 3), dtype=np.float32)


def test_equal_pictures_are_as_like_as_can_be():
    found = likeness(pictures(), pictures())
    assert np.isinf(found.psnr).all()
    np.testing.assert_allclose(found.ssim, 1)


def test_psnr_is_that_of_the_formula():
    clear = 0.5 * pictures()
    np.testing.assert_allclose(likeness(clear + 0.1, clear).psnr, 20, atol=1e-3)


def test_noise_is_unlike():
    found = likeness(pictures()[::-1], pictures())
    assert found.ssim.max() < 0.2
    np.testing.assert_allclose(found.psnr, -10 * np.log10(1 / 6), atol=0.6)  # of independent uniform numbers


def test_ssim_is_that_of_the_formula_on_flat_pictures():
    """Without variance it is (2 a b + C₁) / (a² + b² + C₁), C₁ = 0.01²."""
    a, b = np.full((1, 24, 24, 3), 0.4, np.float32), np.full((1, 24, 24, 3), 0.6, np.float32)
    expected = (2 * 0.4 * 0.6 + 1e-4) / (0.4**2 + 0.6**2 + 1e-4)
    np.testing.assert_allclose(likeness(a, b).ssim, expected, rtol=1e-4)


def test_one_picture_answers_for_all():
    clear = pictures()
    mean = clear.mean(axis=0)
    found = likeness(mean, clear)
    for number, other in enumerate(clear):
        assert found.psnr[number] == likeness(mean[None], other[None]).psnr[0]


def test_the_better_attacker_is_called_better():
    rng = np.random.default_rng(1)
    people = np.repeat(np.arange(30), 5)
    trivial = rng.normal(12, 2, 150)
    found = advantage(trivial + rng.normal(1, 0.5, 150), trivial, people, rng)
    assert found.low > 0.8
    assert found.low < found.mean < found.high < 1.2


def test_an_equal_attacker_is_not():
    rng = np.random.default_rng(2)
    people = np.repeat(np.arange(30), 5)
    trivial = rng.normal(12, 2, 150)
    found = advantage(trivial + rng.normal(0, 0.5, 150), trivial, people, rng)
    assert found.low < 0 < found.high


def test_pictures_of_one_person_are_no_independent_trials():
    """All of a person's pictures being alike, five of each leave the interval as wide as one of each."""
    rng = np.random.default_rng(3)
    gain = rng.normal(0, 1, 40)
    one = advantage(gain, np.zeros(40), np.arange(40), np.random.default_rng(0))
    many = advantage(np.repeat(gain, 5), np.zeros(200), np.repeat(np.arange(40), 5), np.random.default_rng(0))
    assert many.high - many.low == pytest.approx(one.high - one.low)


def test_people_count_by_their_pictures():
    found = advantage(np.array([1.0, 1, 1, 5]), np.zeros(4), np.array([7, 7, 7, 9]), np.random.default_rng(0))
    assert found.mean == 2
