"""Table 2's accuracy: who works and who guesses, and thresholds that nobody's own pictures decide."""

import numpy as np

from sansface.audit.accuracy import accuracy, nearest, thresholds_of_others
from sansface.audit.scores import Threshold, similarities

PEOPLE, EACH, SIZE = 30, 4, 64


def embedded(rng, spread):
    """Clear probes and pictures enrolled, (people · each, size), and whose they are."""
    labels = np.repeat(np.arange(PEOPLE), EACH)
    centres = rng.normal(size=(PEOPLE, SIZE))[labels]
    return *(centres + spread * rng.normal(size=centres.shape) for _ in range(2)), labels


def test_the_nearest_picture_of_each_person_by_a_loop():
    rng = np.random.default_rng(0)
    similar, owners = rng.normal(size=(5, 9)), np.array([4, 1, 4, 7, 1, 1, 7, 4, 4])
    near, people = nearest(similar, owners)
    assert people.tolist() == [1, 4, 7]
    for row in range(5):
        for column, person in enumerate(people):
            assert near[row, column] == max(similar[row, k] for k in range(9) if owners[k] == person)


def test_a_recogniser_that_works_is_said_to():
    rng = np.random.default_rng(1)
    probes, enrolled, labels = embedded(rng, 0.3)
    known = thresholds_of_others(probes, labels, enrolled, labels, 1e-2)
    found = accuracy(probes, labels, enrolled, labels, known, rng)
    assert found.proves
    assert found.names
    assert found.verification.tar.misses.value == 1
    assert found.identification.rank1.misses.value == 1
    assert found.verification.fmr < 0.02
    assert found.same.mean() < 0.2 < found.limit < 0.8 < found.other.mean()
    assert len(found.same) == PEOPLE * EACH
    assert len(found.other) == PEOPLE * EACH * (PEOPLE - 1)


def test_noise_matches_nobody_and_is_no_proof():
    rng = np.random.default_rng(2)
    probes, enrolled, labels = embedded(rng, 0.3)
    known = thresholds_of_others(probes, labels, enrolled, labels, 1e-2)
    found = accuracy(rng.normal(size=probes.shape), labels, enrolled, labels, known, rng)
    assert not found.proves
    assert not found.names
    assert found.verification.tar.misses.value < 0.1
    assert found.identification.rank1.misses.value < 0.15


def test_a_threshold_that_lets_everybody_pass_is_no_proof():
    rng = np.random.default_rng(3)
    probes, enrolled, labels = embedded(rng, 0.3)
    found = accuracy(probes, labels, enrolled, labels, Threshold(-1.0, 1e-2, 1000), rng)
    assert found.verification.tar.misses.value == 1
    assert not found.proves


def test_ones_own_pictures_decide_nothing_of_ones_threshold():
    rng = np.random.default_rng(4)
    probes, enrolled, labels = embedded(rng, 0.5)
    before = thresholds_of_others(probes, labels, enrolled, labels, 1e-2)
    for one in (probes, enrolled):
        one[labels == 3] = rng.normal(size=(EACH, SIZE))
    after = thresholds_of_others(probes, labels, enrolled, labels, 1e-2)
    assert before[3] == after[3]
    assert any(before[person] != after[person] for person in before)


def test_thresholds_let_the_share_pass_that_was_asked_for():
    rng = np.random.default_rng(5)
    probes, enrolled, labels = embedded(rng, 0.5)
    near, people = nearest(similarities(probes, enrolled), labels)
    for person, threshold in thresholds_of_others(probes, labels, enrolled, labels, 0.05).items():
        others = near[labels != person][:, people != person]
        pairs = others[labels[labels != person][:, None] != people[people != person]]
        assert abs((pairs >= threshold.value).mean() - 0.05) < 1 / len(pairs)
