"""The control and the naive attacker: who is told what, and when the audit refuses to speak."""

import cv2
import numpy as np
import pytest

from sansface.audit.attackers.naive import as_pictures, naive
from sansface.audit.control import control, strangers
from sansface.audit.people import CLEAR, STANDARD
from sansface.audit.protected import protected
from sansface.audit.scores import by_person, chance_interval, identify
from sansface.audit.split import Split, split
from sansface.errors import SansfaceError
from sansface.protect.operators import OPERATORS, operator
from sansface.protect.pipeline import ProtectSettings
from sansface.recognise.gradients import Gradients

EVALUATED, EACH, SINGLES = 12, 10, 90
LABELS = np.concatenate([np.repeat(np.arange(EVALUATED), EACH), EVALUATED + np.arange(SINGLES)])
NUMBERS = np.concatenate([np.tile(np.arange(EACH), EVALUATED), np.zeros(SINGLES, np.int64)])


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def parts() -> Split:
    digests = np.array([f"{index:064x}".encode() for index in range(len(LABELS))])
    return split(LABELS, digests, rng())


def embeddings(noise: float, common: float = 0.0) -> np.ndarray:
    """About a random direction for each person, which all have in part in common."""
    generator = np.random.default_rng(7)
    centres = generator.normal(size=(LABELS.max() + 1, 32)) + common * generator.normal(size=32)
    return centres[LABELS] + noise * generator.normal(size=(len(LABELS), 32))


def test_a_recogniser_that_works():
    found = control(embeddings(0.3), LABELS, NUMBERS, parts(), rng())
    assert [one.threshold.rate for one in found.verification] == [1e-2, 1e-3]
    assert found.verification[1].tar.misses.value > 0.99
    assert found.identification.rank1.misses.value == 1
    assert found.strangers == ()
    assert found.equal_error.value < 0.01
    assert [threshold.too_few for threshold in found.thresholds] == [True, True]  # 30 people, 435 pairs


def test_a_deaf_recogniser_proves_nothing():
    with pytest.raises(SansfaceError, match=r"clear photographs of one person match.*can prove nothing"):
        control(embeddings(20.0), LABELS, NUMBERS, parts(), rng())


def test_a_recogniser_that_always_says_the_same_proves_nothing():
    with pytest.raises(SansfaceError, match="can prove nothing"):
        control(np.ones((len(LABELS), 8)), LABELS, NUMBERS, parts(), rng())


def test_thresholds_of_other_people_than_these_prove_nothing():
    """Those evaluated are all alike, those for the thresholds are not: a calibration that does not hold."""
    found = embeddings(0.3)
    found[LABELS < EVALUATED] += 3 * np.ones(32)
    with pytest.raises(SansfaceError, match="different people match, with a threshold for 1 %"):
        control(found, LABELS, NUMBERS, parts(), rng())


def test_a_mislabelled_folder_is_told_by_number():
    found = embeddings(0.3)
    found[LABELS == 4] = 3 * np.random.default_rng(1).normal(size=(EACH, 32))
    with pytest.raises(SansfaceError, match=r"photographs 1, .* of person 5 .*do not match the others"):
        control(found, LABELS, NUMBERS, parts(), rng())


@pytest.mark.parametrize(("people", "said"), [((1, 2, 7), "first of"), (range(EVALUATED), "mixed up")])
def test_two_folders_half_mixed_up_are_told_by_number(people, said: str):
    """None of the photographs is a stranger to the rest of its folder. Among three people that alone makes
    too many match; among twelve the two must be looked for, with pairs enough to calibrate on."""
    labels = np.concatenate([LABELS[np.isin(LABELS, people)], EVALUATED + np.arange(180)])
    numbers = np.concatenate([NUMBERS[np.isin(LABELS, people)], np.zeros(180, np.int64)])
    generator = np.random.default_rng(7)
    right = generator.normal(size=(labels.max() + 1, 32))[labels]
    right += 0.3 * generator.normal(size=right.shape)
    halves = split(labels, np.array([f"{index:064x}".encode() for index in range(len(labels))]), rng())
    control(right, labels, numbers, halves, rng())
    one, other = (np.flatnonzero(labels == person)[::2] for person in (2, 7))
    right[np.concatenate([one, other])] = right[np.concatenate([other, one])]
    with pytest.raises(SansfaceError, match=r"people 3 and 8 \(in alphabetical") as told:
        control(right, labels, numbers, halves, rng())
    assert said in str(told.value)


def test_a_single_stranger_is_reported_and_no_reason_to_stop():
    found = embeddings(0.3)
    found[3 * EACH + 6] = embeddings(0.3)[-1]
    assert control(found, LABELS, NUMBERS, parts(), rng()).strangers == ((3, 6),)


def test_strangers_by_counting():
    embedded = np.array([[1.0, 0], [1, 0.1], [0, 1], [0, 1]])
    assert strangers(embedded, np.array([0, 0, 0, 1]), 0.9).tolist() == [False, False, True, False]


def faces(generator: np.random.Generator) -> np.ndarray:
    """(n, 64, 64, 3): a smooth pattern of each person's own, in light and noise of each picture's own."""
    side = STANDARD.side
    patterns = np.stack(
        [cv2.GaussianBlur(p, (0, 0), 2) for p in generator.normal(size=(EVALUATED + SINGLES, side, side))]
    )
    values = (
        0.5
        + 0.15 * (patterns / patterns.std())[LABELS]
        + 0.02 * generator.normal(size=(len(LABELS), side, side))
    )
    light = generator.uniform(0.8, 1.2, (len(LABELS), 1, 1))
    return np.repeat(np.clip(values * light, 0, 1)[..., None], 3, axis=3).astype(np.float32)


def test_the_naive_attacker_by_his_controls():
    """Unprotected pictures are recognised, noise is not; the recogniser is the one without weights."""
    crops, gradients, who = faces(rng()), Gradients(), parts()
    clear = gradients.embed(CLEAR.again(crops, STANDARD))
    assert control(clear, LABELS, NUMBERS, who, rng()).identification.rank1.misses.value > 0.9
    noise = np.random.default_rng(3).random((len(who.probe), 64, 64)).astype(np.float32)
    rank1 = {}
    for name, probes in {"clear": crops[who.probe].mean(axis=3), "noise": noise}.items():
        similar = naive(gradients, clear[who.enrolled], probes, STANDARD)
        scores, people = by_person(similar, LABELS[who.enrolled])
        rank1[name] = identify(scores, LABELS[who.probe], people, rng()).rank1.misses.value
    low, high = chance_interval(len(who.probe), EVALUATED, rng())
    assert rank1["clear"] > 0.9
    assert low <= rank1["noise"] <= high


def test_pictures_of_a_modulus():
    modulus = np.zeros((2, 3, 4), np.float32)
    modulus[0, 1, 2], modulus[0, 0, 0] = 0.5, 0.25
    shown = as_pictures(modulus)
    assert shown.shape == (2, 3, 4, 3)
    assert (shown[0, 1, 2].tolist(), shown[0, 0, 0].tolist(), shown[1].max()) == ([1] * 3, [0.5] * 3, 0)
    np.testing.assert_array_equal(as_pictures(modulus, drawing=True), 1 - shown)


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("bits", [3, 8])
def test_protected_is_the_clients_own_modulus(name: str, bits: int):
    crops = faces(rng())[:3]
    sent = protected(crops, ProtectSettings(operator=name, bits=bits), rng())
    for crop, values in zip(crops, sent, strict=True):
        truth = operator(name)(crop)
        assert np.abs(values - truth).max() <= (truth.max() + 1 / 256) / (2**bits - 2) / 2 + 1e-6
        assert len(np.unique(values)) <= 2**bits


def test_noise_and_gain_are_drawn_from_the_generator():
    crops, settings = faces(rng())[:3], ProtectSettings(noise=0.05, gain=0.5)
    one, same = (protected(crops, settings, np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - protected(crops, settings, np.random.default_rng(5))).mean() > 0.01
