"""D_sys against closed forms, and its two ends."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from sansface.audit.unlinkability import linkability


def test_one_distribution_gives_nearly_nothing():
    rng = np.random.default_rng(0)
    assert linkability(rng.normal(size=20_000), rng.normal(size=200_000)) < 0.02
    assert linkability(rng.normal(size=1_000), rng.normal(size=200_000)) < 0.1


def test_separate_distributions_give_one():
    rng = np.random.default_rng(0)
    assert linkability(rng.normal(9, 1, 5_000), rng.normal(-9, 1, 50_000)) == 1
    assert linkability(np.full(50, 1.0), np.zeros(50)) == 1


@pytest.mark.parametrize(("shift", "omega"), [(0.5, 1.0), (1.0, 1.0), (2.0, 1.0), (2.0, 0.1), (1.0, 10.0)])
def test_it_is_the_integral_of_the_definition(shift, omega):
    def density(s: float) -> float:
        ratio = omega * norm.pdf(s, shift) / norm.pdf(s)
        return norm.pdf(s, shift) * (2 * ratio / (1 + ratio) - 1 if ratio > 1 else 0)

    rng = np.random.default_rng(1)
    found = linkability(rng.normal(shift, 1, 400_000), rng.normal(0, 1, 400_000), omega)
    assert found == pytest.approx(quad(density, -8, 10, limit=200)[0], abs=0.01)


def test_distances_do_as_well_as_similarities():
    rng = np.random.default_rng(2)
    mated, others = rng.normal(1, 1, 5_000), rng.normal(0, 1, 50_000)
    assert linkability(-mated, -others) == pytest.approx(linkability(mated, others), abs=0.01)


def test_too_few_are_refused():
    with pytest.raises(ValueError, match="too few"):
        linkability(np.zeros(19), np.zeros(100))
    with pytest.raises(ValueError, match="too few"):
        linkability(np.zeros(20), np.zeros(0))
