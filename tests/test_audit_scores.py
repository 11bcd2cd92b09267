"""Scores of the audit against closed forms, counting by hand, and attackers who know all or nothing."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import norm

from sansface.audit import scores as s

SCORES = st.lists(st.integers(-4, 4), min_size=1, max_size=12)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def faces(people: int, each: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings (n, 16) about a random direction for each person, and labels (n,)."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(people), each)
    centres = generator.normal(size=(people, 16))
    return centres[labels] + noise * generator.normal(size=(people * each, 16)), labels


def test_similarities_are_cosines():
    a, b = np.array([[3.0, 0], [0, 0]]), np.array([[1.0, 1], [-2, 0]])
    np.testing.assert_allclose(s.similarities(a, b), [[np.sqrt(0.5), -1], [0, 0]])


def test_impostors_are_pairs_of_different_people_once():
    labels = np.array([5, 5, 7, 9])
    similar = np.arange(16.0).reshape(4, 4)
    assert s.impostors(similar, labels).tolist() == [2, 3, 6, 7, 11]


@given(SCORES, st.floats(0.01, 0.9))
def test_a_threshold_is_the_least_that_keeps_the_rate(values, rate):
    pairs = np.array(values, dtype=np.float64)
    threshold = s.calibrated(pairs, rate).value
    assert (pairs >= threshold).mean() <= rate + 1e-9
    lower = pairs[pairs < threshold].max()  # there is one: some pair must not match
    assert (pairs >= lower).mean() > rate


def test_a_threshold_of_normal_scores_is_their_quantile():
    pairs = rng().normal(size=400_000)
    assert s.calibrated(pairs, 1e-2).value == pytest.approx(ndtri(0.99), abs=0.02)


def test_too_few_pairs_are_told():
    assert s.calibrated(np.zeros(999), 1e-2).too_few
    assert not s.calibrated(np.zeros(1000), 1e-2).too_few
    assert s.calibrated(np.zeros(1000), 1e-3).too_few


def equal_error_by_counting(genuine: np.ndarray, different: np.ndarray) -> float:
    """Each threshold's two rates by counting; the line from one to the next meets the diagonal once."""
    thresholds = [*np.unique(np.concatenate([genuine, different])), np.inf]
    points = [((different >= t).mean(), (genuine < t).mean()) for t in thresholds]
    for (x, y), (to_x, to_y) in pairwise(points):
        if y <= x and to_y >= to_x:
            return x + (to_x - x) * (x - y) / ((x - y) + (to_y - to_x))
    raise AssertionError("the rates never meet")


@given(SCORES, SCORES)
def test_equal_error_by_counting(one, other):
    genuine, different = np.array(one, np.float64), np.array(other, np.float64)
    assert s.equal_error_rate(genuine, different) == pytest.approx(
        equal_error_by_counting(genuine, different)
    )


@given(SCORES, SCORES, st.sampled_from([np.exp, np.arctan, lambda x: 3 * x - 7]))
def test_equal_error_is_of_the_order_alone(one, other, rising):
    genuine, different = np.array(one, np.float64), np.array(other, np.float64)
    assert s.equal_error_rate(rising(genuine), rising(different)) == s.equal_error_rate(genuine, different)


def test_equal_error_of_two_normals():
    """Genuine N(2, 1) against N(0, 1): both rates are Φ(−1) at 1."""
    genuine, different = rng().normal(2, 1, 50_000), rng().normal(0, 1, 50_000)
    assert s.equal_error_rate(genuine, different) == pytest.approx(norm.cdf(-1), abs=3e-3)


def test_equal_error_of_the_perfect_and_of_the_deaf():
    assert s.equal_error_rate(np.array([2.0, 3]), np.array([0.0, 1])) == 0
    assert s.equal_error_rate(np.zeros(5), np.zeros(9)) == 0.5
    assert s.equal_error_rate(np.full(4, -np.inf), np.arange(6.0)) == 1


def test_equal_error_of_all_pairs_has_an_interval_around_it():
    embeddings, labels = faces(20, 6, 1.0)
    similar = s.similarities(embeddings[::2], embeddings[1::2])
    found = s.equal_error(similar, labels[::2], labels[1::2], rng())
    same = labels[::2, None] == labels[1::2]
    assert found.value == s.equal_error_rate(similar[same], similar[~same])
    assert 0 < found.low < found.value < found.high < 0.5


def test_verification_by_counting():
    similar = np.array([[0.9, 0.2], [0.8, 0.4], [0.1, 0.6]])
    probes, enrolled = np.array([3, 3, 8]), np.array([3, 8])
    found = s.verify(similar, probes, enrolled, s.Threshold(0.5, 0.01, 5000), rng())
    assert (found.tar.misses.value, found.fmr) == (1.0, 0.0)
    found = s.verify(
        similar, probes, enrolled, s.Threshold(0.3, 0.01, 5000), rng(), np.array([1, 0, 1], bool)
    )
    assert found.tar.misses.value == pytest.approx(2 / 3)
    assert found.tar.guesses.value == pytest.approx((2 + 0.01) / 3)
    assert found.tar.left_out is not None
    assert found.tar.left_out.value == 1.0
    assert (found.tar.undetected, found.fmr) == (1, 0.0)


def test_means_by_person():
    means, people = s.by_person(np.array([[1.0, 2, 5], [3, 4, 0]]), np.array([9, 2, 9]))
    assert people.tolist() == [2, 9]
    np.testing.assert_allclose(means, [[2, 3], [4, 1.5]])


def test_identification_by_counting():
    scores = np.array([[3.0, 1, 2], [1, 1, 0], [0, 0, 0], [0, 5, 0]])
    found = s.identify(scores, np.array([4, 4, 6, 9]), np.array([4, 6, 9]), rng())
    assert found.rank1.misses.value == pytest.approx((1 + 1 / 2 + 1 / 3 + 0) / 4)
    assert found.chance == pytest.approx(1 / 3)
    assert found.worst == ((4, 0.75), (6, pytest.approx(1 / 3)), (9, 0.0))


def test_undetected_faces_are_counted_each_way():
    scores = np.eye(4)
    found = s.identify(scores, np.arange(4), np.arange(4), rng(), np.array([1, 1, 0, 0], bool)).rank1
    assert (found.misses.value, found.guesses.value) == (0.5, 0.5 + 0.5 / 4)
    assert found.left_out is not None
    assert (found.left_out.value, found.left_out.tries, found.undetected) == (1.0, 2, 2)
    nothing = s.identify(scores, np.arange(4), np.arange(4), rng(), np.zeros(4, bool)).rank1
    assert (nothing.misses.value, nothing.guesses.value, nothing.left_out) == (0.0, 0.25, None)


@given(st.integers(0, 99), st.integers(2, 9), st.integers(1, 30))
def test_whatever_the_scores_the_ways_are_in_order(seed, people, probes):
    generator = np.random.default_rng(seed)
    scores, labels = generator.integers(0, 4, (probes, people)), generator.integers(0, people, probes)
    seen = generator.random(probes) < 0.6
    found = s.identify(scores, labels, np.arange(people), generator, seen)
    for rate in (found.rank1.misses, found.rank1.guesses):
        assert 0 <= rate.low <= rate.high <= 1
        assert 0 <= rate.value <= 1
    assert found.rank1.misses.value <= found.rank1.guesses.value
    assert sum(share for _, share in found.worst) >= 0
    assert [share for _, share in found.worst] == sorted((share for _, share in found.worst), reverse=True)


def test_who_knows_all_names_all_and_noise_names_by_chance():
    """The positive and the negative control of rank-1, TAR and equal error."""
    for noise, check in ((0.05, np.ones), (1e6, None)):
        embeddings, labels = faces(40, 8, noise)
        similar = s.similarities(embeddings[::2], embeddings[1::2])
        probes, enrolled = labels[::2], labels[1::2]
        background, others = faces(60, 1, noise, seed=1)
        pairs = s.impostors(s.similarities(background, background), others)
        verified = s.verify(similar, probes, enrolled, s.calibrated(pairs, 1e-2), rng())
        scores, people = s.by_person(similar, enrolled)
        named, error = (
            s.identify(scores, probes, people, rng()),
            s.equal_error(similar, probes, enrolled, rng()),
        )
        if check:
            assert named.rank1.misses.value == verified.tar.misses.value == 1
            assert error.value == 0
        else:
            low, high = s.chance_interval(len(probes), len(people), rng())
            assert low <= named.rank1.misses.value <= high
            assert named.rank1.misses.low <= 1 / 40 <= named.rank1.misses.high
            assert verified.tar.misses.value == pytest.approx(0.01, abs=0.01)
            assert error.value == pytest.approx(0.5, abs=0.03)


def test_chance_of_a_fair_coin():
    low, high = s.chance_interval(100, 2, rng())
    assert (low, high) == (pytest.approx(0.40, abs=0.011), pytest.approx(0.60, abs=0.011))


def test_an_interval_holds_the_truth_as_often_as_it_says():
    """People differ in how well they are known, Beta(2, 3); their tries do not stand for one another's."""
    generator, held = np.random.default_rng(1), 0
    for _ in range(200):
        hits = generator.random((60, 6)) < generator.beta(2, 3, (60, 1))
        found = s.bootstrapped(hits.ravel().astype(float), np.repeat(np.arange(60), 6), generator, draws=400)
        held += found.low <= 0.4 <= found.high
    assert 0.90 <= held / 200 <= 0.99


def test_tries_of_one_person_are_not_many_people():
    hits, labels = np.repeat([0.0, 1.0], 50), np.repeat(np.arange(10), 10)
    few = s.bootstrapped(hits, labels, rng())
    many = s.bootstrapped(hits, np.arange(100), rng())
    assert few.high - few.low > 2 * (many.high - many.low)


@pytest.mark.parametrize("people", [1, 79])
def test_none_of_none_is_not_never(people: int):
    none = s.bootstrapped(np.zeros(2 * people), np.repeat(np.arange(people), 2), rng())
    every = s.bootstrapped(np.ones(2 * people), np.repeat(np.arange(people), 2), rng())
    assert (1 - none.high) ** people == pytest.approx(0.025)
    assert (none.value, none.low, every.value, every.high) == (0, 0, 1, 1)
    assert every.low == pytest.approx(1 - none.high)


def test_two_people_are_enough_for_an_equal_error():
    """Half of the bootstrap's draws are of one of them alone, and have no pair of different people."""
    labels = np.repeat([0, 1], 5)
    similar = np.where(labels[:, None] == labels, 0.9, 0.1)
    found = s.equal_error(similar, labels, labels, np.random.default_rng(0))
    assert (found.value, found.low) == (0, 0)
    assert 0 < found.high < 1


def test_no_error_of_few_people_is_not_never():
    """Of eleven who try, and of nine more with whom they are compared alone."""
    probes, enrolled = np.repeat(np.arange(11), 3), np.arange(20)
    same = probes[:, None] == enrolled
    never, always = (s.equal_error(similar, probes, enrolled, rng()) for similar in (1.0 * same, 1.0 * ~same))
    assert (never.value, never.low, always.value, always.high) == (0, 0, 1, 1)
    assert (1 - never.high) ** 11 == pytest.approx(0.025)
    assert always.low == pytest.approx(1 - never.high)
