"""The student of hidden pictures sees through what can be learnt, and finds nothing where nothing is left."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import onnx_files
import patterns
from sansface.audit.attackers.distillation import DistillationSettings, Student
from sansface.audit.attackers.linear import directions
from sansface.audit.attackers.teachable import Teachable
from sansface.bench.deidentify.attackers import Attack, search
from sansface.bench.deidentify.keyed import hidden_by_keys, keyless
from sansface.bench.deidentify.measure import Instruments
from sansface.bench.deidentify.scorers import Scorer
from sansface.bench.deidentify.student import described, teach
from sansface.recognise.onnx import OnnxRecogniser

SETTINGS = DistillationSettings(
    steps=120, batch=8, rate=5e-3, turn=0.0, size=0.0, shift=0.0, bend=0.0, tone=0.0, blend=0.5
)
CHANCE = 1 / patterns.EVALUATED


@pytest.fixture(scope="module")
def recogniser(tmp_path_factory) -> OnnxRecogniser:
    return onnx_files.pupil(tmp_path_factory.mktemp("weights"), embedding=24)


@pytest.fixture(scope="module")
def by(recogniser) -> Instruments:
    """Of a recogniser that can be taught; its network was never trained, so no control is asked of it."""
    made = patterns.instruments(photographs=36, gallery=3)
    cohort, crops = made.cohort, made.cohort.people.crops[recogniser.placing]
    clear = recogniser.embed(crops)
    one: Scorer = replace(
        made.scorers[0],
        recogniser=recogniser,
        probes=clear[cohort.probes],
        enrolled=clear[cohort.enrolled],
    )
    return replace(made, scorers=(one,), cohort=replace(cohort, lessons=cohort.clear))


def inverted(photograph: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return 255 - photograph


def taught(
    recogniser: OnnxRecogniser,
    clear: np.ndarray,
    hidden: np.ndarray,
    settings: DistillationSettings = SETTINGS,
    seed: int = 0,
) -> Student:
    return teach(clear, hidden, Teachable(recogniser), settings, torch.Generator().manual_seed(seed))


def faces(by: Instruments) -> tuple[np.ndarray, np.ndarray]:
    """Of strangers, to learn from, and of others."""
    crops, cohort = by.cohort.people.crops[by.scorers[0].recogniser.placing], by.cohort
    return crops[cohort.strangers], crops[cohort.probes]


@pytest.fixture(scope="module")
def student(by, recogniser) -> Student:
    shown = faces(by)[0]
    return taught(recogniser, shown, 1 - shown)


def test_a_student_says_of_hidden_faces_of_others_what_the_recogniser_says_of_the_clear(
    by, recogniser, student
):
    others = faces(by)[1]
    expected = student.about(recogniser.embed(others))
    before = directions(recogniser.embed(1 - others) - student.centre.numpy())
    said = described(student, 1 - others)["embedding"][:, 0]
    assert (said * expected).sum(axis=1).mean() > 0.5
    assert (before * expected).sum(axis=1).mean() < 0.1
    assert (said * expected[::-1]).sum(axis=1).mean() < 0.2  # of other people


def test_one_seed_one_student(by, recogniser):
    shown, few = faces(by)[0], replace(SETTINGS, steps=3)
    one, same, other = (taught(recogniser, shown, 1 - shown, few, seed) for seed in (0, 0, 1))
    states = [student.network.state_dict() for student in (one, same, other)]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert not all(torch.equal(value, states[2][name]) for name, value in states[0].items())


def test_mirror_images_are_seen_besides(by, student):
    others = faces(by)[1][:3]
    said, turned = described(student, others), described(student, others[:, :, ::-1])
    assert list(said) == ["embedding", "sum 14", "sum 7"]
    for name, values in said.items():
        np.testing.assert_allclose(values[:, ::-1], turned[name], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(said["embedding"], axis=2), 1, rtol=1e-5)


def by_name(attacks: list[Attack]) -> dict[str, Attack]:
    return {one.attacker: one for one in attacks}


def test_the_attack_names_who_hides_behind_what_can_be_learnt(by):
    found = by_name(search(inverted, by, 1, SETTINGS))
    assert found["student, clear gallery"].rank1.value > 0.4
    assert found["searcher, parrot and student"].rank1.value > 0.8


def test_the_attack_finds_nothing_where_nothing_is_left(by):
    found = by_name(search(patterns.another, by, 1, SETTINGS))
    for name in ("student, clear gallery", "searcher, parrot and student"):
        assert found[name].rank1.low <= 2 * CHANCE


def test_whoever_has_no_key_names_by_what_does_not_depend_on_it(by):
    """Of one and the same virtual face for everybody there is nothing to say; of an inverted one there is."""
    faces, _, _ = hidden_by_keys(lambda photograph, key: 255 - photograph, by, np.random.default_rng(0))
    found = keyless(lambda photograph, key: 255 - photograph, faces["common"], by, SETTINGS)
    assert found["pupil"].value > 0.4
    nobody = by.cohort.portraits[0].picture
    faces, _, _ = hidden_by_keys(lambda photograph, key: nobody, by, np.random.default_rng(0))
    few = replace(SETTINGS, steps=5)
    found = keyless(lambda photograph, key: nobody, faces["common"], by, few)
    assert found["pupil"].value == pytest.approx(CHANCE)


def test_without_lessons_or_a_recogniser_that_can_be_taught_there_is_no_student(by):
    without = replace(by, cohort=replace(by.cohort, lessons=()))
    eyes = patterns.instruments(photographs=36, gallery=3)
    untaught = replace(eyes, cohort=replace(eyes.cohort, lessons=eyes.cohort.clear))
    for one in (without, untaught):
        assert set(by_name(search(patterns.clear, one, 1))) == {
            "searcher, mean",
            "searcher, likest",
            "searcher, parrot",
        }
        faces, _, _ = hidden_by_keys(lambda photograph, key: photograph, one, np.random.default_rng(0))
        assert keyless(lambda photograph, key: photograph, faces["common"], one) == {}
