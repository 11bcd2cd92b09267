"""Deletion: rows and bytes go together, of one account only, and being killed in between changes nothing."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from sansface.errors import SansfaceError
from sansface.serve import deletion
from sansface.serve.database import open_database
from sansface.serve.retention import sweep
from sansface.serve.store import Store
from sansface.serve.tables import Account, Base, Bundle, Deletion, Job
from serve_rows import KEY, Made, count, delete_bundle, make


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"), KEY)


def noted(engine: Engine) -> dict[str, str]:
    with Session(engine) as session:
        return {row.object_id: row.kind for row in session.scalars(select(Deletion))}


def owners(store: Store) -> set[str]:
    """Ids that occur in the store's names."""
    return {name.split("/")[1] for name in store.names()}


def test_a_bundle_goes_with_its_jobs_and_nothing_else(engine: Engine, store: Store) -> None:
    mine, theirs = make(engine, store, "mine"), make(engine, store, "theirs")
    assert owners(store) == {*mine.bundles, *mine.jobs, *theirs.bundles, *theirs.jobs}
    delete_bundle(engine, store, mine.bundles[0])
    assert owners(store) == {mine.bundles[1], *mine.jobs[3:], *theirs.bundles, *theirs.jobs}
    assert noted(engine) == {mine.bundles[0]: "bundle"} | dict.fromkeys(mine.jobs[:3], "job")
    assert count(engine) == {
        **{"accounts": 2, "tokens": 2, "bundles": 3, "jobs": 9, "result_files": 6, "events": 2},
        "deletions": 4,
    }


def test_a_job_goes_and_its_bundle_stays(engine: Engine, store: Store) -> None:
    mine = make(engine, store, "mine")
    for id in mine.jobs[:2]:
        with Session(engine) as session, session.begin():
            job = session.get(Job, id)
            assert job is not None
            deletion.delete_job(session, store, job)
    assert owners(store) == {*mine.bundles, *mine.jobs[2:]}
    assert noted(engine) == dict.fromkeys(mine.jobs[:2], "job")
    assert count(engine)["result_files"] == 2


@pytest.mark.parametrize("whole", [False, True])
def test_everything_of_an_account(engine: Engine, store: Store, whole: bool) -> None:
    mine, theirs = make(engine, store, "mine"), make(engine, store, "theirs")
    with Session(engine) as session, session.begin():
        (deletion.delete_account if whole else deletion.delete_everything)(session, store, mine.account)
    assert owners(store) == {*theirs.bundles, *theirs.jobs}
    ids = dict.fromkeys(mine.bundles, "bundle") | dict.fromkeys(mine.jobs, "job")
    assert noted(engine) == ids | ({mine.account: "account"} if whole else {})
    with Session(engine) as session:
        assert (session.get(Account, mine.account) is None) == whole
    left = count(engine)
    assert (left["bundles"], left["jobs"], left["result_files"]) == (2, 6, 4)
    assert left["tokens"] == left["accounts"] == (1 if whole else 2)


def test_twice_at_once_is_once(engine: Engine, store: Store) -> None:
    mine = make(engine, store, "mine")
    failed: list[BaseException] = []
    barrier = threading.Barrier(4)

    def run() -> None:
        try:
            with Session(engine) as session:
                bundle = session.get(Bundle, mine.bundles[0])
                assert bundle is not None
                session.expunge(bundle)
                session.rollback()
                barrier.wait(120)
                deletion.delete_bundle(session, store, bundle)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert owners(store) == {mine.bundles[1], *mine.jobs[3:]}
    assert len(noted(engine)) == 4


KILLED = """
import os, sys
from sqlalchemy.orm import Session
from sansface.serve import deletion
from sansface.serve.database import open_database
from sansface.serve.store import Store

def run(folder, account, steps):
    engine = open_database(f"sqlite:///{folder}/service.db")
    store = Store(f"{folder}/store", bytes(range(32)))
    left = [steps]

    def counted(function):
        def step(*words, **more):
            if left[0] == 0:
                os.kill(os.getpid(), 9)
            left[0] -= 1
            return function(*words, **more)
        return step

    session = Session(engine)
    session.commit, session.execute = counted(session.commit), counted(session.execute)
    store.delete, store.delete_under = counted(store.delete), counted(store.delete_under)
    deletion.delete_account(session, store, account)

account, *folders = sys.argv[1:]
for steps, folder in enumerate(folders):
    if (child := os.fork()) == 0:
        run(folder, account, steps)
        os._exit(0)
    print(os.waitpid(child, 0)[1])
"""
STEPS = 15
"""More than a deletion has."""


@pytest.mark.skipif(os.name != "posix", reason="needs kill -9")
def test_killed_at_any_step_it_is_all_or_is_finished_by_the_sweep(tmp_path: Path) -> None:
    """Before the commit all is there, after it nothing is found, and the next sweep removes every byte."""
    (tmp_path / "made").mkdir()
    engine, store = opened(tmp_path / "made")
    mine, theirs = make(engine, store, "mine", bundles=1), make(engine, store, "theirs", bundles=1)
    before, whole = count(engine), set(store.names())
    engine.dispose()
    folders = [tmp_path / f"{steps}" for steps in range(STEPS)]
    for folder in folders:
        shutil.copytree(tmp_path / "made", folder)
    words = [sys.executable, "-c", KILLED, mine.account, *folders]
    ran = subprocess.run(words, capture_output=True, text=True, check=True)
    ends = [int(line) for line in ran.stdout.split()]
    assert set(ends) == {0, 9}, ran.stderr
    outcomes = []
    for folder, end in zip(folders, ends, strict=True):
        engine, store = opened(folder)
        gone = mine.account in noted(engine)
        if gone:
            assert count(engine) == count_of(theirs, before)
        else:
            assert count(engine) == before
            assert set(store.names()) == whole
        outcomes.append((gone, owners(store) == {*theirs.bundles, *theirs.jobs}, end))
        sweep(engine, store, 30)
        assert owners(store) == {*theirs.bundles, *theirs.jobs} | (
            set() if gone else {*mine.bundles, *mine.jobs}
        )
        engine.dispose()
    assert outcomes[0] == (False, False, 9)
    assert (True, False, 9) in outcomes  # killed between rows and bytes
    assert outcomes[-1] == (True, True, 0)


def opened(folder: Path) -> tuple[Engine, Store]:
    return open_database(f"sqlite:///{folder}/service.db"), Store(str(folder / "store"), KEY)


def count_of(theirs: Made, before: dict[str, int]) -> dict[str, int]:
    half = {name: number // 2 for name, number in before.items()}
    return half | {"events": before["events"], "deletions": 1 + len(theirs.bundles) + len(theirs.jobs)}


def test_a_store_that_fails_is_said_and_finished_by_the_sweep(
    engine: Engine, store: Store, monkeypatch
) -> None:
    mine = make(engine, store, "mine")

    def refuses(name: str) -> None:
        raise SansfaceError(f"the store did not delete {name}; check that it can be reached.")

    monkeypatch.setattr(store, "delete", refuses)
    with pytest.raises(SansfaceError, match="did not delete bundles/"):
        delete_bundle(engine, store, mine.bundles[0])
    assert noted(engine)[mine.bundles[0]] == "bundle"
    assert f"bundles/{mine.bundles[0]}" in set(store.names())
    assert not owners(store) & set(mine.jobs[:3])  # the rest was tried
    with pytest.raises(SansfaceError, match="1 things could not be removed"):
        sweep(engine, store, 30)
    monkeypatch.undo()
    assert sweep(engine, store, 30).objects == 1
    assert owners(store) == {mine.bundles[1], *mine.jobs[3:]}


def test_no_table_with_an_owner_is_forgotten() -> None:
    """A new table that refers to accounts, bundles or jobs must be thought of in deletion and backup."""
    owned = {key.parent.table.name for table in Base.metadata.sorted_tables for key in table.foreign_keys}
    assert owned == {"tokens", "bundles", "jobs", "result_files"}
