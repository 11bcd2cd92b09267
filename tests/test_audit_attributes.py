"""Average precision against its definition; attributes that are there are found, and others not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sansface.audit.attributes import (
    average_precision,
    find_attributes,
    given_to_others,
    gram_of,
    worth_looking_for,
)
from sansface.errors import SansfaceError

PEOPLE, EACH = 40, 3
LABELS = np.repeat(np.arange(PEOPLE), EACH)


def by_definition(scores, truth):
    """Every threshold in turn, from the highest score down."""
    total, recalled = 0.0, 0.0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        shown = scores >= threshold
        recall = truth[shown].sum() / truth.sum()
        total += (recall - recalled) * truth[shown].mean()
        recalled = recall
    return total


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30))
def test_average_precision_is_its_definition(rows):
    scores, truth = np.array([row[0] for row in rows], float), np.array([row[1] for row in rows])
    found = average_precision(scores, truth)
    if not truth.any():
        assert np.isnan(found)
    else:
        assert found == pytest.approx(by_definition(scores, truth))
        often = np.arange(len(rows)) % 3
        again = average_precision(scores, truth, often)
        repeated = np.repeat(np.arange(len(rows)), often)
        if truth[repeated].any():
            assert again == pytest.approx(average_precision(scores[repeated], truth[repeated]))


def test_the_ends_of_average_precision():
    truth = np.array([True, False, True, False, False])
    assert average_precision(truth.astype(float), truth) == 1
    assert average_precision(np.zeros(5), truth) == pytest.approx(0.4)


def planted(rng, strength):
    """Features of which a direction tells each of two attributes, and what is true."""
    truth = (rng.random((PEOPLE, 2)) < 0.4)[LABELS]
    features = rng.normal(size=(len(LABELS), 50))
    features[:, :2] += strength * truth
    return features, truth


def test_what_is_told_is_found_and_what_others_have_is_not():
    rng = np.random.default_rng(0)
    features, truth = planted(rng, 6.0)
    gram = gram_of({"features": features})
    found = find_attributes(gram, truth, LABELS, rng)
    assert found.mean.value > 0.95
    assert found.mean.low <= found.mean.value <= found.mean.high
    others = find_attributes(gram, given_to_others(truth, LABELS, rng), LABELS, rng)
    assert abs(others.mean.value - truth.mean()) < 0.15


def test_who_is_known_tells_nothing_of_somebody_else():
    """Features that name the person alone: whoever is looked at was not learnt from."""
    rng = np.random.default_rng(1)
    _, truth = planted(rng, 0.0)
    found = find_attributes(gram_of({"who": 9 * np.eye(PEOPLE)[LABELS]}), truth, LABELS, rng)
    assert found.mean.value < truth.mean() + 0.15


def test_descriptors_count_alike_whatever_their_size():
    rng = np.random.default_rng(2)
    one, other = rng.normal(size=(6, 3)), rng.normal(size=(6, 4))
    gram = gram_of({"one": one, "other": other})
    np.testing.assert_allclose(gram, gram_of({"one": 100 * one, "other": other + 7}))
    assert np.trace(gram) == pytest.approx(12)


def test_an_attribute_of_too_few_is_left_out():
    people = np.repeat(np.arange(8), 2)
    truth = np.stack([people < 2, people < 4, people < 7, np.arange(16) % 2 == 0], axis=1)
    assert worth_looking_for(truth, people).tolist() == [False, True, False, True]


def test_given_to_others_keeps_sittings_together():
    rng = np.random.default_rng(3)
    truth = rng.random((PEOPLE, 4)) < 0.5
    moved = given_to_others(truth[LABELS], LABELS, rng)
    assert (moved.reshape(PEOPLE, EACH, 4) == moved[::EACH, None]).all()
    assert sorted(map(tuple, moved[::EACH].tolist())) == sorted(map(tuple, truth.tolist()))
    assert (moved != truth[LABELS]).any()


def test_too_few_people_are_refused():
    with pytest.raises(SansfaceError, match="tell nothing"):
        find_attributes(np.eye(9), np.ones((9, 1), bool), np.arange(9), np.random.default_rng(0))
    with pytest.raises(SansfaceError, match="no descriptors"):
        gram_of({})
