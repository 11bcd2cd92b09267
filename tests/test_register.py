"""The enrolment register: what it holds and what not, and a file that is whole, private or refused."""

import json
import os
import stat
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from sansface.deidentify.keys import Key, Purpose
from sansface.deidentify.register import (
    FACE,
    KEY,
    VIRTUAL,
    Entry,
    Register,
    enrol,
    opened,
    read_register,
    register_for,
    write_register,
)
from sansface.deidentify.virtual import unit
from sansface.errors import SansfaceError
from tiles import Tiles

DIMENSION = 16
ONE, OTHER = (Key(Purpose.RECOGNITION, bytes([number] * 32)) for number in (1, 2))


def embeddings(count: int, seed: int = 0) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(count, DIMENSION)))


def enrolled(count: int = 3, key: Key = ONE) -> Register:
    register = register_for(Tiles())
    for face, virtual in zip(embeddings(count), embeddings(count, seed=1), strict=True):
        register = register.enrolled(enrol(key, face, virtual, counter=4))
    return register


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_register(enrolled(), tmp_path / "people.register")
    return tmp_path / "people.register"


def test_what_was_written_is_read(file):
    register = enrolled()
    write_register(register, file)
    again = read_register(file, Tiles())
    assert (again.recogniser, again.digest) == ("tiles", Tiles().digest)
    for entry, read in zip(register.entries, again.entries, strict=True):
        assert (entry.id, entry.counter) == (read.id, read.counter)
        np.testing.assert_array_equal(entry.face, read.face)
        np.testing.assert_array_equal(entry.virtual, read.virtual)
    write_register(register_for(Tiles()), file)
    assert read_register(file, Tiles()).entries == ()


def test_who_was_revoked_meanwhile_does_not_come_back(tmp_path):
    """Two commands that read the same register: the second to write is refused."""
    file = tmp_path / "people.register"
    write_register(enrolled(), file)
    mine, theirs = read_register(file, Tiles()), read_register(file, Tiles())
    write_register(theirs.revoked(theirs.entries[0].id), file, theirs)
    with pytest.raises(SansfaceError, match="changed meanwhile"):
        write_register(mine.enrolled(replace(mine.entries[0], id="f" * 16)), file, mine)
    left = [entry.id for entry in read_register(file, Tiles()).entries]
    assert left == [entry.id for entry in mine.entries[1:]]


def test_the_key_finds_the_embeddings_and_no_other_does():
    register = Register("tiles", "", (enrol(ONE, embeddings(1)[0], embeddings(1, seed=1)[0], 4, "0" * 16),))
    np.testing.assert_allclose(opened(register, ONE, FACE), embeddings(1), atol=1e-6)
    np.testing.assert_allclose(opened(register, ONE, VIRTUAL), embeddings(1, seed=1), atol=1e-6)
    for key, kind in ((OTHER, FACE), (OTHER, VIRTUAL)):
        assert np.linalg.norm(opened(register, key, kind) - embeddings(1)) > 1
    assert opened(register_for(Tiles()), ONE, FACE).shape == (0, 0)


def test_templates_of_one_face_under_one_key_are_unrelated():
    """Each entry, each counter and each of an entry's two templates has an isometry of its own."""
    face = embeddings(1)[0]
    entries = [enrol(ONE, face, face, counter) for counter in (0, 0, 0, 1, 2)]
    templates = np.stack([part for entry in entries for part in (entry.face, entry.virtual)])
    apart = np.linalg.norm(templates[:, None] - templates, axis=2)
    assert apart[~np.eye(len(templates), dtype=bool)].min() > 0.8
    again = enrol(ONE, face, face, 0, entries[0].id)
    np.testing.assert_array_equal(again.face, entries[0].face)


def test_it_holds_no_embedding_no_name_and_no_order(file):
    """All that stands in the file: two arrays, ids that are random, counters, the recogniser."""
    data = file.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    about = json.loads(header["__metadata__"][KEY])
    assert set(header) == {"__metadata__", "faces", "virtuals"}
    assert set(header["__metadata__"]) == {KEY}
    assert set(about) == {"version", "recogniser", "digest", "ids", "counters", "sha256"}
    assert about["ids"] == sorted(about["ids"])
    arrays = load_file(file)
    for kept in arrays.values():
        for clear in (embeddings(3), embeddings(3, seed=1)):
            cosines = unit(kept) @ clear.T
            assert np.abs(cosines).max() < 0.95


def test_ids_are_random():
    ids = {enrol(ONE, embeddings(1)[0], embeddings(1)[0], 0).id for _ in range(50)}
    assert len(ids) == 50
    assert all(len(name) == 16 for name in ids)


def test_revocation_leaves_the_others():
    register = enrolled()
    gone = register.entries[1]
    left = register.revoked(gone.id)
    assert [entry.id for entry in left.entries] == [register.entries[0].id, register.entries[2].id]
    with pytest.raises(SansfaceError, match=f"has no entry {gone.id}"):
        left.entry(gone.id)
    with pytest.raises(SansfaceError, match="has no entry"):
        left.revoked(gone.id)


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_only_the_owner_may_read_it(file):
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o666)
    write_register(enrolled(), file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(file.parent) == [file.name]


def test_every_cut_and_many_changed_bits_are_refused(file):
    whole = file.read_bytes()
    rng = np.random.default_rng(0)
    for length in {*range(0, 40), *rng.integers(0, len(whole), 60).tolist(), len(whole) - 1}:
        file.write_bytes(whole[:length])
        with pytest.raises(SansfaceError, match=r"people\.register is damaged or no register"):
            read_register(file, Tiles())
    for at in rng.integers(0, len(whole), 150).tolist():
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << int(rng.integers(8))]) + whole[at + 1 :])
        with pytest.raises(SansfaceError, match=r"people\.register"):
            read_register(file, Tiles())


def test_missing_files_and_folders_are_sentences(tmp_path):
    with pytest.raises(SansfaceError, match="no such file"):
        read_register(tmp_path / "none")
    with pytest.raises(SansfaceError, match="it is a folder"):
        read_register(tmp_path)


def test_another_recognisers_register_is_refused(file):
    assert read_register(file).recogniser == "tiles"
    for other in (Tiles(name="stripes"), Tiles(digest="1" * 64)):
        with pytest.raises(SansfaceError, match="is of the recogniser tiles, not of this"):
            read_register(file, other)


def test_another_version_is_refused(file, monkeypatch):
    monkeypatch.setattr("sansface.deidentify.register.VERSION", 2)
    with pytest.raises(SansfaceError, match="of version 1, and this sansface reads version 2"):
        read_register(file)


def test_entries_that_make_no_sense_are_no_register():
    entry = enrolled(1).entries[0]
    for wrong in (
        {"id": "../secret"},
        {"counter": -1},
        {"face": entry.face[1:]},
        {"face": np.nan * entry.face},
    ):
        with pytest.raises(ValueError, match="an entry"):
            replace(entry, **wrong)
    short = Entry("f" * 16, 0, entry.face[1:], entry.virtual[1:])
    for wrong in ((entry, entry), (entry, short)):
        with pytest.raises(ValueError, match="a register"):
            Register("tiles", "", wrong)
