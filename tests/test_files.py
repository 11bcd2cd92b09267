"""Outputs are whole or absent, and every failure of the disk is one sentence that names the file."""

import errno
import json
import os

import pytest

from sansface.errors import SansfaceError
from sansface.files import fresh_folder, read_json, write_json, write_text, written_beside


def test_a_failed_write_leaves_the_older_file_and_nothing_else(tmp_path):
    path = tmp_path / "result.txt"
    write_text(path, "old")

    def fail():
        with written_beside(path) as part:
            part.write_text("half")
            raise KeyError("stop")

    with pytest.raises(KeyError):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["result.txt"]


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EACCES, "no permission"),
        (errno.EROFS, "read-only"),
        (errno.EIO, "system says"),
    ],
)
def test_disk_full_and_no_permission_are_sentences(tmp_path, monkeypatch, number, says):
    def refuse(source, target):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(SansfaceError, match=says) as caught:
        write_text(tmp_path / "result.txt", "text")
    assert "result.txt" in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_a_folder_in_the_way_and_a_missing_folder_are_sentences(tmp_path):
    with pytest.raises(SansfaceError, match="it is a folder"):
        write_text(tmp_path, "text")
    with pytest.raises(SansfaceError, match="does not exist"):
        write_text(tmp_path / "no" / "result.txt", "text")


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write anywhere"
)
def test_no_write_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(SansfaceError, match="no permission"):
        write_text(tmp_path / "result.txt", "text")


def test_json_round_trip_and_no_nan(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"x": [1, 2.5, None]})
    assert read_json(path) == {"x": [1, 2.5, None]}
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"x": float("nan")})
    assert json.loads(path.read_text()) == {"x": [1, 2.5, None]}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a": NaN}', "non-finite"),
        ('{"a": -Infinity}', "non-finite"),
        ('{"a": 1e999}', "non-finite"),
        ('{"a": 1, "a": 2}', "twice"),
        ('{"a": ', "line 1"),
        ("[" * 100_000, "deeply"),
    ],
)
def test_json_that_is_refused(tmp_path, text, says):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(SansfaceError, match=says) as caught:
        read_json(path)
    assert "a.json" in str(caught.value)


def test_json_that_cannot_be_read(tmp_path):
    with pytest.raises(SansfaceError, match="no such file"):
        read_json(tmp_path / "none.json")
    (tmp_path / "latin.json").write_bytes(b'"\xff"')
    with pytest.raises(SansfaceError, match="UTF-8"):
        read_json(tmp_path / "latin.json")


def test_a_fresh_folder(tmp_path):
    folder = fresh_folder(tmp_path / "a" / "b")
    assert folder.is_dir()
    (folder / "result.txt").write_text("kept")
    with pytest.raises(SansfaceError, match="--overwrite"):
        fresh_folder(folder)
    assert fresh_folder(folder, overwrite=True) == folder
    assert (folder / "result.txt").read_text() == "kept"
    with pytest.raises(SansfaceError, match="is a file"):
        fresh_folder(folder / "result.txt")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_what_is_no_file_stays_what_it_is(tmp_path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(SansfaceError, match="pipe: it is a device or a pipe; give the name of a file"):
        write_text(pipe, "x")
    assert pipe.is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_a_file_that_ends_like_ours_stays_and_no_link_leads_elsewhere(tmp_path) -> None:
    """Browsers name downloads so; and in a shared folder somebody may put a link in the way."""
    mine, victim = tmp_path / "a.json.part", tmp_path / "victim"
    mine.write_text("mine")
    victim.write_text("untouched")
    (tmp_path / "b.json.part").symlink_to(victim)
    write_json(tmp_path / "a.json", 1)
    write_json(tmp_path / "b.json", 2)
    with pytest.raises(RuntimeError), written_beside(tmp_path / "a.json"):
        raise RuntimeError
    assert mine.read_text() == "mine"
    assert victim.read_text() == "untouched"
    assert not (tmp_path / "b.json").is_symlink()
    assert (read_json(tmp_path / "a.json"), read_json(tmp_path / "b.json")) == (1, 2)
