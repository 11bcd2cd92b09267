"""Backups: all comes back in any database, what was deleted since does not, what was changed is refused."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from sansface.errors import SansfaceError
from sansface.serve import backup, deletion
from sansface.serve.backup import DELETIONS, archives, expire, new, note_deletions, restore
from sansface.serve.database import open_database
from sansface.serve.retention import sweep
from sansface.serve.store import Store
from sansface.serve.tables import Account, Bundle, Event, Job
from serve_rows import DAY, KEY, Made, count, make, rows


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"), KEY)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backups"


on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what does not depend on the database."""


class Empty:
    """Deployments without anything, each a new one."""

    def __init__(self, folder: Path):
        self.folder, self.engines = folder, []

    def __call__(self, url: str | None = None, key: bytes = KEY) -> tuple[Engine, Store]:
        place = self.folder / f"empty-{len(self.engines)}"
        place.mkdir()
        self.engines.append(open_database(url or f"sqlite:///{place}/service.db"))
        return self.engines[-1], Store(str(place / "store"), key)


@pytest.fixture
def empty(tmp_path: Path):
    made = Empty(tmp_path)
    yield made
    for engine in made.engines:
        engine.dispose()


def kept(engine: Engine) -> dict[str, list[dict]]:
    """What a backup has: all rows but tokens, and no numbers of events."""
    found = rows(engine)
    del found["tokens"]
    for event in found["events"]:
        del event["id"]
    return found


def in_backup(store: Store) -> dict[str, bytes]:
    return {name: store.get(name) for folder in ("bundles", "results") for name in store.names(folder)}


def delete(engine: Engine, store: Store, made: Made) -> None:
    with Session(engine) as session:
        deletion.delete_account(session, store, made.account)


def older(path: Path, days: float) -> Path:
    """The name that the archive would have, had it been made so long ago."""
    when = datetime.fromtimestamp(time.time() - days * DAY, UTC)
    return path.with_name(f"sansface-{when:%Y%m%dT%H%M%SZ}-{path.name[-15:-7]}.backup")


def made_ago(engine: Engine, store: Store, folder: Path, days: float, monkeypatch) -> Path:
    """An archive made so many days ago."""
    with monkeypatch.context() as patch:
        at = time.time() - days * DAY
        patch.setattr(backup.time, "time", lambda: at)
        return new(engine, store, KEY, folder, 30)[0].path


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_all_comes_back_in_the_same_or_the_other_database(
    engine: Engine,
    store: Store,
    folder: Path,
    empty: Empty,
    target: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backup, "_BATCH", 5)  # rows of a table in several members
    make(engine, store, "one")
    make(engine, store, "two")
    archive, lost = new(engine, store, KEY, folder, 30)
    assert lost == []
    url = request.getfixturevalue("postgres").database() if target == "postgresql" else None
    other, place = empty(url)
    restored = restore(archive.path, other, place, KEY, 30)
    assert kept(other) == kept(engine)
    assert restored.rows == {name: len(each) for name, each in kept(engine).items()}
    assert restored.left_out == 0
    stored = in_backup(store)
    running = [name for name in stored if "attempt-running" in name]  # no row names it yet
    assert len(running) == 4
    assert in_backup(place) == {name: data for name, data in stored.items() if name not in running}
    assert count(other)["tokens"] == 0
    with Session(other) as session, session.begin():  # numbers go on where they were
        session.add_all(Event(at=time.time(), action="x", outcome="y") for _ in range(3))
    assert count(other)["events"] == 5


def test_what_was_deleted_since_does_not_come_back(
    engine: Engine, store: Store, folder: Path, empty: Empty, tmp_path: Path
) -> None:
    """A user who was deleted after the backup cannot be read after a restore."""
    mine, theirs = make(engine, store, "mine"), make(engine, store, "theirs")
    archive, _ = new(engine, store, KEY, folder, 30)
    delete(engine, store, mine)
    with Session(engine) as session:
        job = session.get(Job, theirs.jobs[0])
        assert job is not None
        deletion.delete_job(session, store, job)
    note_deletions(engine, KEY, folder, 30)
    other, place = empty()
    restored = restore(archive.path, other, place, KEY, 30)
    assert restored.left_out == 1 + 2 + 6 + 4 + 1 + 2
    ids = {name.split("/")[1] for name in place.names()}
    assert ids == {*theirs.bundles, theirs.jobs[3]}
    with Session(other) as session:
        assert session.get(Account, mine.account) is None
        assert session.get(Account, theirs.account) is not None
        assert session.get(Job, theirs.jobs[0]) is None
        assert session.get(Job, theirs.jobs[1]) is not None
    assert "mine" not in json.dumps(rows(other), default=str)
    assert {row["object_id"] for row in rows(other)["deletions"]} == {
        *(mine.account, *mine.bundles, *mine.jobs, theirs.jobs[0])
    }
    # and so it stays in backups of the restored service
    again, _ = new(other, place, KEY, tmp_path / "others", 30)
    third, third_store = empty()
    restore(again.path, third, third_store, KEY, 30)
    assert {name.split("/")[1] for name in third_store.names()} == ids


@on_sqlite
def test_expired_archives_are_removed_and_not_restored(
    engine: Engine, store: Store, folder: Path, empty: Empty, monkeypatch
) -> None:
    mine = make(engine, store, "mine")
    old = made_ago(engine, store, folder, 30.1, monkeypatch)
    young = made_ago(engine, store, folder, 29.9, monkeypatch)
    delete(engine, store, mine)
    last = new(engine, store, KEY, folder, 30)[0].path
    assert [archive.path for archive in archives(folder)] == [old, young, last]
    other, place = empty()
    with pytest.raises(SansfaceError, match="is older than 30 days"):
        restore(old, other, place, KEY, 30)
    (folder / "another.file").write_bytes(b"")
    assert [archive.path for archive in expire(folder, 30)] == [old]
    assert [archive.path for archive in archives(folder)] == [young, last]
    assert expire(folder, 29) != []
    assert {path.name for path in folder.iterdir()} == {last.name, DELETIONS, "another.file"}
    restore(last, other, place, KEY, 30)
    assert count(other)["accounts"] == 0
    assert list(place.names()) == []


@on_sqlite
def test_deletions_are_remembered_until_the_last_archive_with_them_is_gone(
    engine: Engine, store: Store, folder: Path, monkeypatch
) -> None:
    """The sweep forgets no deletion while an archive from before it could still be restored."""
    mine = make(engine, store, "mine", bundles=1)
    new(engine, store, KEY, folder, 30)
    delete(engine, store, mine)
    from sansface.serve import retention

    noted = note_deletions(engine, KEY, folder, 30)
    assert set(noted) == {mine.account, *mine.bundles, *mine.jobs}
    for days, remembered in ((30.9, True), (32.1, False)):
        later = time.time() + days * DAY
        monkeypatch.setattr(retention, "now", lambda session, later=later: later)
        sweep(engine, store, 30)
        assert (count(engine)["deletions"] > 0) == remembered
    assert set(note_deletions(engine, KEY, folder, 30)) == set(noted)  # the file remembers by itself
    monkeypatch.setattr(backup, "now", lambda session: time.time() + 32.1 * DAY)
    assert note_deletions(engine, KEY, folder, 30) == {}


@on_sqlite
def test_noting_deletions_in_several_processes_at_once(
    engine: Engine, store: Store, folder: Path, tmp_path: Path
) -> None:
    """The nightly backup and the timer may meet: nobody's half file is taken for a whole one."""
    mine = make(engine, store, "mine", bundles=1)
    delete(engine, store, mine)
    with ThreadPoolExecutor(8) as pool:
        noted = list(pool.map(lambda _: note_deletions(engine, KEY, folder, 30), range(40)))
    assert all(each == noted[0] for each in noted)
    assert len(noted[0]) == 5
    assert [path.name for path in folder.iterdir()] == [DELETIONS]


@on_sqlite
def test_an_empty_database_forgets_no_noted_deletions(
    engine: Engine, store: Store, folder: Path, empty: Empty
) -> None:
    """The timer that runs on after the disaster must not undo what was noted before."""
    mine = make(engine, store, "mine", bundles=1)
    new(engine, store, KEY, folder, 30)
    delete(engine, store, mine)
    noted = note_deletions(engine, KEY, folder, 30)
    other, _ = empty()
    assert note_deletions(other, KEY, folder, 30) == noted


@on_sqlite
def test_restore_refuses_what_is_not_empty_or_not_whole(
    engine: Engine, store: Store, folder: Path, empty: Empty, tmp_path: Path
) -> None:
    make(engine, store, "mine", bundles=1)
    archive = new(engine, store, KEY, folder, 30)[0].path
    with pytest.raises(SansfaceError, match="the database is not empty"):
        restore(archive, engine, store, KEY, 30)
    other, place = empty()
    with pytest.raises(SansfaceError, match="the store is not empty"):
        restore(archive, other, store, KEY, 30)
    with pytest.raises(SansfaceError, match="does not open"):
        restore(archive, other, place, bytes(32), 30)
    renamed = older(archive, -1)
    archive.rename(renamed)
    with pytest.raises(SansfaceError, match="does not open"):
        restore(renamed, other, place, KEY, 30)
    renamed.rename(archive)
    with pytest.raises(SansfaceError, match="is no backup"):
        restore(folder / DELETIONS, other, place, KEY, 30)
    whole = archive.read_bytes()
    for damaged in (whole[:-1], whole[:100], whole[: len(whole) // 2] + b"\0" + whole[len(whole) // 2 + 1 :]):
        archive.write_bytes(damaged)
        with pytest.raises(SansfaceError, match="does not open"):
            restore(archive, other, place, KEY, 30)
    archive.write_bytes(whole)
    (folder / DELETIONS).rename(tmp_path / "elsewhere")
    with pytest.raises(SansfaceError, match=r"there is no sansface\.deletions beside"):
        restore(archive, other, place, KEY, 30)
    (tmp_path / "elsewhere").rename(folder / DELETIONS)
    assert sum(count(other).values()) == 0
    assert list(place.names()) == []
    restore(archive, other, place, KEY, 30)
    assert kept(other) == kept(engine)


@on_sqlite
def test_content_that_does_not_fit_its_rows_is_refused(
    engine: Engine, store: Store, folder: Path, empty: Empty, monkeypatch
) -> None:
    mine = make(engine, store, "mine", bundles=1)
    store.put(f"bundles/{mine.bundles[0]}", b"something else, of the right key")
    wrong = new(engine, store, KEY, folder, 30)[0].path
    other, place = empty()
    with pytest.raises(SansfaceError, match="does not hold what a backup holds"):
        restore(wrong, other, place, KEY, 30)
    monkeypatch.setattr(backup, "FORMAT", 2)
    later = new(engine, store, KEY, folder, 30)[0].path
    monkeypatch.undo()
    with pytest.raises(SansfaceError, match="another version"):
        restore(later, other, place, KEY, 30)
    assert sum(count(other).values()) == 0


@on_sqlite
def test_a_restore_that_fails_leaves_the_place_empty(
    engine: Engine, store: Store, folder: Path, empty: Empty, monkeypatch
) -> None:
    make(engine, store, "mine")
    archive = new(engine, store, KEY, folder, 30)[0].path
    other, place = empty()
    put, left = place.put, [3]

    def full(name: str, data: bytes) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise SansfaceError(f"cannot write in the store {name}: the disk is full.")
        put(name, data)

    monkeypatch.setattr(place, "put", full)
    with pytest.raises(SansfaceError, match="the disk is full"):
        restore(archive, other, place, KEY, 30)
    monkeypatch.undo()
    assert sum(count(other).values()) == 0
    assert list(place.names()) == []
    restore(archive, other, place, KEY, 30)
    assert kept(other) == kept(engine)


def test_deleting_while_a_backup_is_made(engine: Engine, store: Store, folder: Path, empty: Empty) -> None:
    """Its rows are of the instant before; its bytes are gone; and it counts as deleted."""
    mine, theirs = make(engine, store, "mine", bundles=1), make(engine, store, "theirs", bundles=1)
    get, first = store.get, [True]

    def deleting(name: str) -> bytes:
        if first[0]:
            first[0] = False
            delete(engine, store, mine)
            make(engine, store, "late", bundles=1)
        return get(name)

    store.get = deleting  # type: ignore[method-assign]
    archive, lost = new(engine, store, KEY, folder, 30)
    assert not first[0]
    assert lost == []
    other, place = empty()
    restore(archive.path, other, place, KEY, 30)
    assert [row["name"] for row in rows(other)["accounts"]] == ["theirs"]
    assert {name.split("/")[1] for name in place.names()} == {*theirs.bundles, theirs.jobs[0]}


def test_rows_are_of_one_instant(
    engine: Engine, store: Store, folder: Path, empty: Empty, monkeypatch
) -> None:
    """What is written between reading one table and the next is not in it by half."""
    make(engine, store, "first", bundles=1)
    dumps, done = json.dumps, []

    def writing(value, **options) -> str:
        if not done and isinstance(value, dict) and "password" in value:  # a row of accounts is being read
            done.append(make(engine, store, "second", bundles=1))
        return dumps(value, **options)

    monkeypatch.setattr(backup.json, "dumps", writing)
    archive, lost = new(engine, store, KEY, folder, 30)
    monkeypatch.undo()
    assert done
    assert lost == []
    other, place = empty()
    restore(archive.path, other, place, KEY, 30)
    assert {name: number for name, number in count(other).items() if number} == {
        **{"accounts": 1, "bundles": 1, "jobs": 3, "result_files": 2, "events": 1}
    }


@on_sqlite
def test_lost_objects_are_said_and_what_needs_them_is_left_out(
    engine: Engine, store: Store, folder: Path, empty: Empty, tmp_path: Path
) -> None:
    mine = make(engine, store, "mine")
    store.delete(f"bundles/{mine.bundles[0]}")
    damaged = next(name for name in store.names("results") if mine.jobs[3] in name)
    (tmp_path / "store" / damaged).write_bytes(b"damaged")
    archive, lost = new(engine, store, KEY, folder, 30)
    assert lost == [f"bundles/{mine.bundles[0]}", damaged]
    other, place = empty()
    restore(archive.path, other, place, KEY, 30)
    with Session(other) as session:
        assert session.get(Bundle, mine.bundles[0]) is None
        assert session.get(Bundle, mine.bundles[1]) is not None
    assert [row["id"] for row in rows(other)["jobs"]] == sorted(mine.jobs[4:])
    assert list(place.names()) == [f"bundles/{mine.bundles[1]}"]


@on_sqlite
def test_what_has_expired_does_not_come_back(
    engine: Engine, store: Store, folder: Path, empty: Empty, monkeypatch
) -> None:
    make(engine, store, "soon", bundles=1, expires=time.time() + 100)
    theirs = make(engine, store, "theirs", bundles=1)
    archive = new(engine, store, KEY, folder, 30)[0].path
    other, place = empty()
    monkeypatch.setattr(backup, "now", lambda session: time.time() + 200)
    restore(archive, other, place, KEY, 30)
    assert [row["id"] for row in rows(other)["bundles"]] == theirs.bundles
    assert {name.split("/")[1] for name in place.names()} == {*theirs.bundles, theirs.jobs[0]}


@on_sqlite
def test_nothing_readable_and_all_of_it_private(engine: Engine, store: Store, folder: Path) -> None:
    mine = make(engine, store, "canary-of-a-name")
    archive = new(engine, store, KEY, folder, 30)[0].path
    delete(engine, store, mine)
    note_deletions(engine, KEY, folder, 30)
    for path in folder.iterdir():
        content = path.read_bytes()
        for secret in (
            "canary-of-a-name",
            "hash of",
            "password",
            mine.account,
            mine.bundles[0],
            "bundle 0 of",
        ):
            assert secret.encode() not in content
        if os.name == "posix":
            assert path.stat().st_mode & 0o777 == 0o600
    if os.name == "posix":
        assert folder.stat().st_mode & 0o777 == 0o700
    assert archive.exists()


@pytest.mark.skipif(os.name != "posix", reason="needs kill -9")
def test_killed_while_it_writes_there_is_no_archive(tmp_path: Path, folder: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from sansface.serve import backup\n"
        "from sansface.serve.database import open_database; from sansface.serve.store import Store\n"
        "store = Store(sys.argv[2], bytes(range(32)))\n"
        "def get(name):\n    print('half', flush=True)\n    time.sleep(60)\n"
        "store.get = get\n"
        "backup.new(open_database(sys.argv[1]), store, bytes(range(32)), Path(sys.argv[3]), 30)"
    )
    url = f"sqlite:///{tmp_path}/service.db"
    engine, store = open_database(url), Store(str(tmp_path / "store"), KEY)
    make(engine, store, "mine")
    words = [sys.executable, "-c", program, url, str(tmp_path / "store"), str(folder)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "half\n"
        writer.send_signal(signal.SIGKILL)
    assert archives(folder) == []
    (part,) = folder.iterdir()
    assert part.stat().st_mode & 0o777 == 0o600
    expire(folder, 30)
    assert part.exists()
    os.utime(part, (time.time() - 2 * DAY,) * 2)
    expire(folder, 30)
    assert not part.exists()
    engine.dispose()


# --- the command ------------------------------------------------------------------------------------------


def test_the_command(say, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """new, list, deletions, restore under another key, expire: as an operator types them."""
    keys = {"old": bytes(range(32)).hex(), "new": bytes(range(32, 64)).hex()}
    monkeypatch.setenv("SANSFACE_STORE_KEY", keys["old"])
    monkeypatch.chdir(tmp_path)
    code, _, told = say("backup", "new", "--to", folder)
    assert code == 0, told  # an empty deployment, too
    data = tmp_path / "old"
    data.mkdir()
    engine = open_database(f"sqlite:///{data}/service.db")
    store = Store(str(data / "store"), bytes.fromhex(keys["old"]))
    mine, theirs = make(engine, store, "mine", bundles=1), make(engine, store, "theirs", bundles=1)
    code, said, told = say("backup", "new", "--to", folder, "--data", data)
    assert code == 0, told
    path = said.split(": ")[0]
    delete(engine, store, mine)
    code, said, _ = say("backup", "deletions", "--to", folder, "--data", data)
    assert (code, said) == (0, f"5 deletions are noted in {folder}.\n")
    code, said, _ = say("backup", "list", "--to", folder)
    assert code == 0
    assert len(said.splitlines()) == 2
    assert "30.0 days left" in said
    (tmp_path / "old.key").write_text(keys["old"])
    monkeypatch.setenv("SANSFACE_STORE_KEY", keys["new"])
    code, _, told = say("backup", "restore", path, "--data", tmp_path / "restored")
    assert code == 1
    assert "does not open" in told
    code, said, told = say(
        *("backup", "restore", path, "--data", tmp_path / "restored", "--key-file", tmp_path / "old.key")
    )
    assert code == 0, told
    assert "Restored 1 accounts, 2 events, 1 bundles, 3 jobs, 2 result_files, and 3 objects." in said
    restored = Store(str(tmp_path / "restored/store"), bytes.fromhex(keys["new"]))
    assert restored.get(f"bundles/{theirs.bundles[0]}") == store.get(f"bundles/{theirs.bundles[0]}")
    code, _, told = say("backup", "expire", "--to", folder, "--days", "nan")
    assert code == 1
    assert "--days is a number above 0" in told
    code, said, _ = say("backup", "expire", "--to", folder, "--days", "0.0000001")
    assert code == 0
    assert len(said.splitlines()) == 2
    assert archives(folder) == []
    engine.dispose()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["new"], "name the folder"),
        (["restore"], "name the archive"),
        (["list", "FILE", "--to", "FOLDER"], "name the folder, and nothing else"),
        (["expire", "--to", "FOLDER", "--days", "0"], "--days is a number above 0"),
        (["list", "--to", "NOWHERE"], "cannot read the folder NOWHERE"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    say, words: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, told = say("backup", *words)
    assert code == 1
    assert sentence in told
    assert list(tmp_path.iterdir()) == []
