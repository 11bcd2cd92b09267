"""Leakage by skin tone: known tones are ordered rightly, and who is named more often is said to be."""

from itertools import pairwise

import numpy as np
import pytest

from sansface.audit.scores import identify
from sansface.audit.skin_tone import LEAST, THIRDS, by_tone, typology_angle
from sansface.recognise.align import Placing

MONK = {  # the scale's own sRGB codes, lightest to darkest: skintone.google
    1: (246, 237, 228),
    4: (234, 218, 186),
    6: (160, 126, 86),
    8: (96, 65, 52),
    10: (41, 36, 32),
}


def plain(codes: tuple[int, int, int], placed: Placing, n: int = 1) -> np.ndarray:
    faces = np.zeros((n, placed.side, placed.side, 3), np.float32)
    faces[:] = np.array(codes, np.float32) / 255
    return faces


@pytest.mark.parametrize("placed", [Placing(), Placing(64, 11.0)])
def test_tones_are_in_the_scale_s_order(placed):
    angles = [typology_angle(plain(codes, placed), placed)[0] for codes in MONK.values()]
    assert all(lighter > darker + 5 for lighter, darker in pairwise(angles))
    assert angles[0] > 55  # very light, as Chardon et al. have it
    assert angles[-1] < -30  # dark


def test_the_angle_is_that_of_the_definition():
    """sRGB (160, 126, 86) is L* 55.2, b* 27.5 (Lindbloom's calculator, D65): arctan(5.2 / 27.5)."""
    assert typology_angle(plain(MONK[6], Placing()), Placing())[0] == pytest.approx(10.7, abs=0.8)


def test_only_cheeks_count():
    placed = Placing()
    faces = plain((20, 200, 20), placed)
    for eye in (0, 1):
        x, y = placed.landmarks[[eye, eye + 3]].mean(axis=0).astype(int)
        faces[:, y - 6 : y + 7, x - 6 : x + 7] = np.array(MONK[6], np.float32) / 255
    assert typology_angle(faces, placed)[0] == typology_angle(plain(MONK[6], placed), placed)[0]


def test_a_grey_photograph_says_no_tone():
    assert np.isnan(typology_angle(plain((128, 128, 128), Placing()), Placing())[0])


def known(people: int, each: int, right: np.ndarray):
    """Probes of which the first `right[p]` of person p are named rightly."""
    labels = np.repeat(np.arange(people), each)
    scores = np.zeros((len(labels), people))
    for k, person in enumerate(labels):
        hit = k % each < right[person]
        scores[k, person if hit else (person + 1) % people] = 1
    return identify(scores, labels, np.arange(people), np.random.default_rng(0))


def test_who_is_named_more_often_is_said_to_be():
    people, each = 18, 4
    angles = np.repeat(np.linspace(-40.0, 60.0, people)[::-1], each)  # person 0 is the lightest
    labels = np.repeat(np.arange(people), each)
    right = np.where(np.arange(people) < 6, 4, np.where(np.arange(people) < 12, 2, 1))
    thirds = by_tone(known(people, each, right), angles, labels, np.random.default_rng(0))
    assert [third.name for third in thirds] == list(THIRDS)
    assert [third.people for third in thirds] == [6, 6, 6]
    assert [third.named.value for third in thirds] == [0.25, 0.5, 1.0]
    assert thirds[0].low == -40
    assert thirds[-1].high == 60
    assert thirds[0].high < thirds[1].low


def test_tone_that_has_nothing_to_do_with_it_shows_no_difference():
    """The control: the same people with tones drawn at random, over many draws, differ by nothing."""
    people, each, rng = 60, 4, np.random.default_rng(1)
    named = known(people, each, rng.integers(0, 5, people))
    labels = np.repeat(np.arange(people), each)
    apart = []
    for _ in range(40):
        thirds = by_tone(named, np.repeat(rng.normal(size=people), each), labels, rng)
        apart.append(thirds[0].named.value - thirds[-1].named.value)
    assert abs(np.mean(apart)) < 0.06


def test_too_few_people_make_no_table_and_grey_ones_are_left_out():
    few = LEAST * len(THIRDS) - 1
    labels = np.repeat(np.arange(few + 1), 2)
    angles = np.repeat(np.linspace(0.0, 50.0, few + 1), 2)
    named = known(few + 1, 2, np.full(few + 1, 1))
    assert len(by_tone(named, angles, labels, np.random.default_rng(0))) == 3
    angles[:2] = np.nan
    assert by_tone(named, angles, labels, np.random.default_rng(0)) == ()
