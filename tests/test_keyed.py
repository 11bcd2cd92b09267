"""Virtual faces by a key, of drawn people: one virtual person each, known with the key alone, no copy."""

import json
from dataclasses import replace

import numpy as np
import pytest

import tiles
from sansface.deidentify.faces import Tools
from sansface.deidentify.keyed import (
    DRAWS,
    Anonymized,
    Answer,
    Limits,
    Recognition,
    anonymize,
    authenticate,
)
from sansface.deidentify.keyed import LIMITS as LIMITS_OF_WEIGHTS
from sansface.deidentify.keys import Key, Purpose
from sansface.deidentify.kfaar import subjects
from sansface.deidentify.register import FACE, Register, opened, register_for
from sansface.deidentify.virtual import codes
from sansface.errors import SansfaceError
from sansface.photographs.decode import decode_rgb
from sansface.recognise.detect import Yunet
from sansface.recognise.onnx import edgeface
from tiles import COUNT, LIMITS, photograph, recognition

ONE, OTHER = (Key(Purpose.RECOGNITION, bytes([number] * 32)) for number in (1, 2))
NOBODY = register_for(tiles.Tiles())


def made(picture, key=ONE, register=None, change=tiles.changed, **how):
    return anonymize(picture, tiles.subjects(picture, change), key, recognition(), register, **how)


def embedded(picture: np.ndarray) -> np.ndarray:
    seeing = recognition()
    return seeing.embed(picture, seeing.faces(picture))


def distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(embedded(one)[0] - embedded(other)[0]))


def test_the_virtual_face_is_not_the_original_and_depends_on_key_and_person():
    original = photograph(0)
    virtual = made(original).picture
    assert distance(virtual, original) > LIMITS.apart
    np.testing.assert_array_equal(virtual, made(original).picture)
    assert distance(virtual, made(photograph(0, take=1)).picture) < LIMITS.accepted
    assert distance(virtual, made(original, OTHER).picture) > LIMITS.apart
    assert distance(virtual, made(photograph(1)).picture) > LIMITS.apart


def test_beside_the_face_nothing_changes():
    original = photograph(3)
    virtual = made(original).picture
    ((x, y),) = tiles.corners(original)
    outside = np.ones(original.shape[:2], dtype=bool)
    outside[y : y + 112, x : x + 112] = False
    np.testing.assert_array_equal(virtual[outside], original[outside])
    assert (virtual != original).any()


def test_no_face_is_an_error_and_no_picture():
    with pytest.raises(SansfaceError, match="no face is found"):
        made(photograph())
    with pytest.raises(SansfaceError, match="no face is found"):
        authenticate(photograph(), ONE, recognition(), NOBODY)


def test_with_a_register_all_photographs_of_a_person_show_one_virtual_person():
    first = made(photograph(0), register=NOBODY)
    again = made(photograph(0, take=1), register=first.register)
    assert not first.faces[0].known
    assert again.faces[0].known
    assert again.faces[0].entry == first.faces[0].entry
    assert again.register is first.register
    without = distance(first.picture, made(photograph(0, take=1)).picture)
    assert distance(first.picture, again.picture) < 1e-3 < without


@pytest.fixture(scope="module")
def enrolled():
    """Five people under one key, and their virtual pictures."""
    register, pictures = NOBODY, []
    for who in range(5):
        done = made(photograph(who), register=register)
        register = done.register
        pictures.append((done.picture, done.faces[0].entry))
    return register, pictures


@pytest.mark.parametrize("who", range(5))
def test_the_person_and_the_key_are_accepted(enrolled, who):
    register, pictures = enrolled
    virtual, entry = pictures[who]
    assert authenticate(photograph(who, take=9), ONE, recognition(), register).entry == entry
    assert authenticate(photograph(who, take=9), ONE, recognition(), register, entry=entry).entry == entry
    assert authenticate(virtual, ONE, recognition(), register, virtual=True).entry == entry


@pytest.mark.parametrize("who", range(5))
def test_nobody_else_and_no_other_key_is_accepted(enrolled, who):
    register, pictures = enrolled
    virtual, entry = pictures[who]
    tries = {
        "wrong key": (photograph(who, take=9), OTHER, False),
        "wrong person": (photograph(who + 50), ONE, False),
        "both wrong": (photograph(who + 50), OTHER, False),
        "virtual, wrong key": (virtual, OTHER, True),
        "virtual for a photograph": (virtual, ONE, False),
        "photograph for a virtual one": (photograph(who), ONE, True),
    }
    for what, (picture, key, as_virtual) in tries.items():
        answer = authenticate(picture, key, recognition(), register, as_virtual)
        assert answer.entry is None, what
        assert answer.distance > LIMITS.accepted, what
    other = next(name for _, name in pictures if name != entry)
    assert authenticate(photograph(who, take=9), ONE, recognition(), register, entry=other).entry is None


def test_a_distance_is_that_of_the_embeddings(enrolled):
    register, pictures = enrolled
    answer = authenticate(photograph(0, take=4), ONE, recognition(), register, entry=pictures[0][1])
    assert answer.distance == pytest.approx(distance(photograph(0, take=4), photograph(0)), abs=1e-5)


def test_an_empty_register_knows_nobody():
    assert authenticate(photograph(0), ONE, recognition(), NOBODY) == Answer(None, float("inf"))


def test_a_revoked_person_is_not_accepted(enrolled):
    register, pictures = enrolled
    left = register.revoked(pictures[2][1])
    assert authenticate(photograph(2, take=9), ONE, recognition(), left).entry is None
    assert authenticate(photograph(3, take=9), ONE, recognition(), left).entry == pictures[3][1]


@pytest.mark.parametrize("key", [ONE, OTHER])
def test_renewal_gives_another_virtual_face_and_template(enrolled, key):
    register, pictures = enrolled
    virtual, entry = pictures[1]
    done = made(photograph(1, take=2), key, register, renew=entry)
    old, new = register.entry(entry), done.register.entry(entry)
    assert new.counter == old.counter + 1
    assert len(done.register.entries) == len(register.entries)
    assert distance(done.picture, virtual) > LIMITS.apart
    assert np.linalg.norm(new.face - old.face) > LIMITS.accepted
    assert authenticate(photograph(1, take=9), key, recognition(), done.register).entry == entry
    assert authenticate(virtual, ONE, recognition(), done.register, virtual=True).entry is None
    assert authenticate(done.picture, key, recognition(), done.register, virtual=True).entry == entry
    if key is OTHER:
        assert authenticate(photograph(1, take=9), ONE, recognition(), done.register).entry is None


def test_what_cannot_be_renewed(enrolled):
    register, pictures = enrolled
    with pytest.raises(SansfaceError, match="2 faces are found"):
        made(photograph(1, 2), register=register, renew=pictures[1][1])
    with pytest.raises(SansfaceError, match="has no entry"):
        made(photograph(1), register=register, renew="0" * 16)


def test_several_faces_are_each_changed_by_their_own_embedding():
    group = photograph(0, 1, 2)
    done = made(group, register=NOBODY)
    assert len(done.register.entries) == len(done.faces) == 3
    for place, who in enumerate((0, 1, 2)):
        clear, virtual = embedded(group)[place], embedded(done.picture)[place]
        alone = embedded(made(photograph(who)).picture)[0]
        assert np.linalg.norm(clear - virtual) > LIMITS.apart
        assert np.linalg.norm(alone - virtual) < LIMITS.accepted  # as from a photograph of its own
    again = made(photograph(2, 0, take=5), register=done.register)
    assert [one.known for one in again.faces] == [True, True]
    assert [one.entry for one in again.faces] == [done.faces[2].entry, done.faces[0].entry]


def test_two_faces_of_one_picture_are_two_people():
    """However alike: the second one is drawn by another counter, and both are known afterwards."""
    done = made(photograph(0, 0), register=NOBODY)
    assert [one.counter for one in done.faces] == [0, 1]
    one, other = embedded(done.picture)
    assert np.linalg.norm(one - other) > LIMITS.accepted


def test_who_is_said_to_be_new_gets_another_virtual_face(enrolled):
    register, pictures = enrolled
    done = made(photograph(4, take=3), register=register, new=True)
    assert len(done.register.entries) == 6
    assert done.faces[0].counter == register.entry(pictures[4][1]).counter + 1
    assert distance(done.picture, pictures[4][0]) > LIMITS.accepted


class Counting:
    """A changer that does something else the first times."""

    def __init__(self, times: int, instead) -> None:
        self.left, self.instead, self.called = times, instead, 0

    def __call__(self, picture: np.ndarray, numbers: np.ndarray, corner: tuple[int, int]) -> np.ndarray:
        self.called += 1
        if self.called <= self.left:
            return self.instead(picture)
        return tiles.changed(picture, numbers, corner)


def someone(seed: int):
    """Whatever the codes, this person's face."""
    return lambda picture: tiles.put(picture, tiles.person(seed), tiles.corners(picture)[0])


BAD = {
    "a copy of the original": np.copy,
    "no face any more": lambda picture: np.full_like(picture, 128),
    "somebody enrolled": someone(3),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_virtual_face_is_drawn_anew(enrolled, bad):
    register, _ = enrolled
    changer = Counting(2, BAD[bad])
    done = made(photograph(20), register=register, change=changer)
    assert (changer.called, done.faces[0].counter) == (3, 2)
    assert distance(done.picture, photograph(20)) > LIMITS.apart
    with pytest.raises(SansfaceError, match=f"none of {DRAWS} virtual faces"):
        made(photograph(20), register=register, change=Counting(DRAWS, BAD[bad]))


def test_a_virtual_face_that_is_somebodys_virtual_face_is_drawn_anew(enrolled):
    register, pictures = enrolled
    theirs = pictures[0][0]
    done = made(photograph(20), register=register, change=Counting(1, lambda _: theirs))
    assert done.faces[0].counter == 1


def test_one_who_is_known_is_never_left_like_the_original(enrolled):
    register, pictures = enrolled
    with pytest.raises(SansfaceError, match=f"{pictures[0][1]} is like its original"):
        made(photograph(0, take=1), register=register, change=Counting(1, np.copy))


def test_the_numbers_of_one_who_is_known_are_those_of_the_enrolment(enrolled):
    register, pictures = enrolled
    told = []

    def listening(picture, numbers, corner):
        told.append(numbers)
        return tiles.changed(picture, numbers, corner)

    made(photograph(1, take=8), register=register, change=listening)
    known = opened(replace(register, entries=(register.entry(pictures[1][1]),)), ONE, FACE)[0]
    np.testing.assert_allclose(told[0], codes(ONE, known, COUNT, 0), atol=1e-4)
    np.testing.assert_allclose(told[0], codes(ONE, embedded(photograph(1))[0], COUNT, 0), atol=1e-4)


def test_a_changer_of_another_size_is_a_fault():
    with pytest.raises(ValueError, match="a changed picture is uint8"):
        made(photograph(0), change=lambda picture, _, corner: picture[1:])


def test_a_face_that_the_detector_misses_is_changed_all_the_same(monkeypatch):
    """By the landmarks of its fit, before and afterwards."""
    original = photograph(0)
    found = tiles.subjects(original)
    monkeypatch.setattr(tiles.Frames, "every", lambda *_: [])
    done = anonymize(original, found, ONE, recognition())
    monkeypatch.undo()
    np.testing.assert_array_equal(done.picture, made(original).picture)


@pytest.mark.parametrize(
    "limits", [(0, 1, 0), (1.2, 1.1, 1), (2, 2, 1), (1, 1.1, 1.05), (-1, 1, -2), (float("nan"), 1, 0.5)]
)
def test_limits_that_make_no_sense(limits):
    with pytest.raises(SansfaceError, match="is no distance of faces"):
        Limits(*limits)


def test_real_photographs_with_edgeface(shared_assets):
    """Two people of LFW: who is known, and who is not, and how alike two virtual pictures are."""
    folder = shared_assets / "photos" / "lfw"
    labels = json.loads((folder / "labels.json").read_text())["labels"]
    by_person: dict[str, list[str]] = {}
    for path, name in sorted(labels.items()):
        by_person.setdefault(name, []).append(path)
    many = [paths for paths in by_person.values() if len(paths) >= 10][:2]
    stranger = next(paths[0] for paths in by_person.values() if len(paths) == 1)
    tools, recogniser = Tools(), edgeface()
    seeing = Recognition(recogniser, Yunet(), LIMITS_OF_WEIGHTS[recogniser.digest])

    def read(path: str) -> np.ndarray:
        return decode_rgb(folder / path, "photograph")

    def virtual(path: str, register: Register) -> Anonymized:
        ready, found = subjects(read(path), tools, np.random.default_rng(0), cover=True)
        return anonymize(ready, found, ONE, seeing, register)

    register, done = register_for(recogniser), []
    for paths in many:
        done.append(virtual(paths[0], register))
        register = done[-1].register
    for paths, one in zip(many, done, strict=True):
        entry = one.faces[0].entry
        assert authenticate(read(paths[1]), ONE, seeing, register).entry == entry
        assert authenticate(one.picture, ONE, seeing, register, virtual=True).entry == entry
        for picture, key in ((read(paths[1]), OTHER), (one.picture, ONE), (read(stranger), ONE)):
            assert authenticate(picture, key, seeing, register).entry is None
        assert virtual(paths[1], register).faces[0].known
