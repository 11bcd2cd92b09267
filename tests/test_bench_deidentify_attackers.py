"""Attackers on hidden pictures, and keys: each succeeds where it must, and finds nothing where nothing is."""

from dataclasses import replace

import numpy as np
import pytest

import patterns
from sansface.bench.deidentify.attackers import Attack, average, search
from sansface.bench.deidentify.keyed import following, hidden_by_keys, keyed, virtual
from sansface.errors import SansfaceError

CHANCE = 1 / patterns.EVALUATED


@pytest.fixture(scope="module")
def by():
    return patterns.instruments(photographs=36, gallery=3)


def named(attacks: list[Attack]) -> dict[str, Attack]:
    assert len({one.attacker for one in attacks}) == len(attacks)
    assert all(one.chance == pytest.approx(CHANCE) for one in attacks)
    return {one.attacker: one for one in attacks}


def test_the_averager_takes_noise_away(by):
    found = named(average(patterns.noisy, by, 8))
    assert found["one run"].rank1.value < 0.6
    for way in ("averager, picture", "averager, embedding"):
        assert found[way].rank1.value > found["one run"].rank1.value + 0.2
        assert found[way].tar is not None
        assert found[way].tar.value > found["one run"].tar.value


def test_the_averager_finds_nothing_where_nothing_is_left(by):
    found = named(average(patterns.another, by, 4))
    for one in found.values():
        assert one.rank1.low <= 2 * CHANCE
        assert one.tar.value < 0.05


def test_runs_that_are_all_alike_are_one_run(by):
    found = named(average(patterns.clear, by, 2))
    assert found["one run"].rank1 == found["averager, picture"].rank1
    assert found["averager, embedding"].tar == found["one run"].tar


def test_the_searcher_finds_codes_that_can_be_searched(by):
    alone = named(average(patterns.one_of_three, by, 1))
    assert alone["one run"].rank1.value < 0.4
    found = named(search(patterns.one_of_three, by, 6))
    assert found["searcher, likest"].rank1.value > 0.9
    assert found["searcher, likest"].rank1.value > alone["one run"].rank1.value


def test_the_searcher_finds_nothing_where_nothing_is_left(by):
    for one in search(patterns.another, by, 2):
        assert one.rank1.low <= 2 * CHANCE
        assert one.tar is None or one.tar.value < 0.05


def test_the_parrot_learns_a_method_that_keeps_something(by):
    """The same shuffle for everybody: nothing looks like a clear face, and everything can be learnt."""

    def secret(photograph, rng):
        return patterns.shuffled(photograph, 7)

    assert named(average(secret, by, 1))["one run"].rank1.value < 0.3
    found = named(search(secret, by, 1))
    assert found["searcher, parrot"].rank1.value > 0.8


def test_a_searcher_without_two_photographs_is_told_so():
    with pytest.raises(SansfaceError, match="two photographs of a candidate"):
        search(patterns.clear, patterns.instruments(gallery=1), 1)


# --- keys ---


def by_key(method, by):
    faces, gallery, refused = hidden_by_keys(method, by, np.random.default_rng(0))
    one = by.scorers[0]
    assert refused == 0
    return keyed(virtual(one, faces, gallery, by.cohort), one, np.random.default_rng(1))


def test_the_next_person():
    assert following(np.array([3, 3, 5, 9])).tolist() == [5, 5, 9, 3]


def test_a_key_that_decides_everything(by):
    found = by_key(lambda photograph, key: patterns.shuffled(photograph, list(key)), by)
    assert found.right.value > 0.9
    for wrong in (found.wrong_key, found.wrong_person, found.both_wrong, found.two_keys):
        assert wrong.value < 0.05
    assert found.equal_error.value < 0.05
    assert found.distance == pytest.approx(np.sqrt(2), abs=0.15)
    assert found.linkable < 0.4  # what chance gives of so few pairs
    assert found.original.value < 0.05 < found.clear_original.value
    assert found.holder.value > 0.9  # who has the key has the person
    assert found.holder_rank1.value == 1


def test_a_key_that_decides_nothing_is_found_out(by):
    found = by_key(lambda photograph, key: photograph, by)
    assert found.wrong_key.value == found.right.value > 0.9
    assert found.two_keys.value == 1
    assert found.distance == pytest.approx(0, abs=1e-6)
    assert found.linkable > 0.9
    assert found.original.value > 0.9


def test_a_key_without_a_person_lets_everybody_in(by):
    """A virtual face that the key alone decides: whoever has the key is the person."""
    found = by_key(
        lambda photograph, key: patterns.photographed(patterns.pattern(np.random.default_rng(list(key)))), by
    )
    assert found.wrong_person.value == found.right.value == 1
    assert found.wrong_key.value < 0.05
    assert found.equal_error.value == pytest.approx(0.5, abs=0.05)


def test_the_wrong_person_is_whose_key_was_used_also_where_somebody_is_refused(by):
    """Of who comes before them the wrong key is of somebody who is not enrolled: that is nobody's try."""
    lost = [one.picture for one in by.cohort.portraits if one.person == 3]

    def method(photograph, key):
        if any(np.array_equal(photograph, one) for one in lost):
            raise SansfaceError("not this one.")
        return patterns.photographed(patterns.pattern(np.random.default_rng(list(key))))

    faces, gallery, refused = hidden_by_keys(method, by, np.random.default_rng(0))
    assert refused == len(lost) == 3
    one = by.scorers[0]
    hidden = virtual(one, faces, gallery, by.cohort)
    found = keyed(hidden, one, np.random.default_rng(1))
    assert found.wrong_person.value == found.right.value == 1
    assert (found.right.tries, found.wrong_person.tries) == (22, 20)
    alone = replace(hidden, following=np.full(len(hidden.labels), 3))
    with pytest.raises(SansfaceError, match="nobody is enrolled whose key"):
        keyed(alone, one, np.random.default_rng(1))


def test_one_photograph_each_is_too_few_for_keys():
    with pytest.raises(SansfaceError, match="second photograph"):
        by_key(lambda photograph, key: photograph, patterns.instruments(photographs=patterns.EVALUATED))


def test_a_photograph_refused_by_a_key_is_left_out_of_all(by):
    seen = []

    def choosy(photograph, key):
        seen.append(1)
        if len(seen) == 3:
            raise SansfaceError("not this one.")
        return photograph

    faces, gallery, refused = hidden_by_keys(choosy, by, np.random.default_rng(0))
    assert refused == 1
    assert [len(of.which) for of in faces.values()] == [35] * 4
    assert len(gallery.which) == len(by.cohort.gallery)
