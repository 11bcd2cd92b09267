"""Who is attacked and who is learnt from: never the same, and a planted mistake is caught."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sansface.audit.split import OverlapError, check_disjoint, split
from sansface.errors import SansfaceError


def people(evaluated: int = 4, each: int = 11, singles: int = 9) -> tuple[np.ndarray, np.ndarray]:
    """Labels in a random order, and contents that are all different."""
    labels = np.concatenate([np.repeat(np.arange(evaluated), each), np.arange(singles) + 100])
    labels = np.random.default_rng(5).permutation(labels)
    return labels, np.array([f"{index:064x}".encode() for index in range(len(labels))])


@given(st.integers(2, 6), st.integers(10, 15), st.integers(3, 20), st.integers(0, 99))
def test_every_photograph_has_one_part(evaluated, each, singles, seed):
    labels, digests = people(evaluated, each, singles)
    parts = split(labels, digests, np.random.default_rng(seed))
    every = np.concatenate([parts.enrolled, parts.probe, parts.training, parts.thresholds])
    assert sorted(every.tolist()) == list(range(len(labels)))
    for person in range(evaluated):
        assert (labels[parts.enrolled] == person).sum() == each // 2
        assert (labels[parts.probe] == person).sum() == each - each // 2
    assert len(parts.training) == round(2 / 3 * singles)
    assert set(labels[parts.training]).isdisjoint(labels[parts.thresholds])


def test_a_person_of_the_background_is_wholly_in_one_part():
    labels, digests = people(singles=20)
    labels = np.where(labels >= 100, 100 + labels % 5, labels)  # four photographs each
    parts = split(labels, digests, np.random.default_rng(0))
    assert len(parts.training) + len(parts.thresholds) == 20
    assert set(labels[parts.training]).isdisjoint(labels[parts.thresholds])


def test_the_generator_decides():
    labels, digests = people()
    one, same, other = (split(labels, digests, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert one.enrolled.tolist() == same.enrolled.tolist()
    assert one.enrolled.tolist() != other.enrolled.tolist()


@pytest.mark.parametrize(("of", "into"), [*permutations(("enrolled", "probe", "training", "thresholds"), 2)])
def test_a_photograph_in_two_parts_is_caught(of: str, into: str):
    """The same content under another number: what a copied file would do."""
    labels, digests = people()
    parts = split(labels, digests, np.random.default_rng(0))
    planted = digests.copy()
    planted[getattr(parts, into)[0]] = digests[getattr(parts, of)[0]]
    with pytest.raises(OverlapError, match="1 photographs are both in"):
        check_disjoint(parts, labels, planted)
    check_disjoint(parts, labels, digests)


@pytest.mark.parametrize("into", ["enrolled", "probe", "training"])
def test_a_person_in_two_parts_is_caught(into: str):
    labels, digests = people()
    parts = split(labels, digests, np.random.default_rng(0))
    planted = labels.copy()
    planted[parts.thresholds[0]] = labels[getattr(parts, into)[0]]
    with pytest.raises(
        OverlapError, match=r"person \d+ is both in (enrolled|probe|training) and in thresholds"
    ):
        check_disjoint(parts, planted, digests)


def test_a_stranger_among_the_probes_is_caught():
    labels, digests = people()
    parts = split(labels, digests, np.random.default_rng(0))
    moved = replace(parts, probe=np.append(parts.probe, parts.thresholds[0]), thresholds=parts.thresholds[1:])
    with pytest.raises(OverlapError, match="other people are enrolled"):
        check_disjoint(moved, labels, digests)


def test_a_copy_in_both_halves_stops_the_split():
    labels, digests = people()
    own = np.flatnonzero(labels == 0)
    digests[own] = digests[own[0]]
    with pytest.raises(OverlapError, match="in enrolled and in probe"):
        split(labels, digests, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (np.arange(40), "one photograph a person"),
        (np.repeat(np.arange(8), 5), "0 people have 10 or more"),
        (np.concatenate([np.zeros(12), np.arange(1, 9)]), "1 people have 10 or more"),
        (np.repeat(np.arange(8), 10), "0 people have fewer than 10"),
    ],
)
def test_too_little_is_one_sentence(labels: np.ndarray, sentence: str):
    digests = np.array([f"{index:064x}".encode() for index in range(len(labels))])
    with pytest.raises(SansfaceError, match=sentence):
        split(labels.astype(np.int64), digests, np.random.default_rng(0))
