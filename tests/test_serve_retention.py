"""The sweep: what is over goes, what is used or may be about to be used stays, however often it runs."""

import os
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from sansface.errors import SansfaceError
from sansface.serve.retention import EVENT_DAYS, GRACE, MARGIN, MOST_STRAYS, Swept, sweep
from sansface.serve.store import Store
from sansface.serve.tables import Deletion, Event, Job, State, Token
from serve_rows import DAY, KEY, count, delete_bundle, make


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"), KEY)


def age(tmp_path: Path, name: str, seconds: float) -> None:
    os.utime(tmp_path / "store" / name, (time.time() - seconds,) * 2)


def test_what_is_not_over_stays_even_when_old(engine: Engine, store: Store, tmp_path: Path) -> None:
    make(engine, store, "mine")
    names, rows = list(store.names()), count(engine)
    assert len(names) == 2 + 2 * (2 + 2 + 1)
    for name in names:
        age(tmp_path, name, 20 * GRACE)
    assert sweep(engine, store, 30) == Swept()
    assert list(store.names()) == names
    assert count(engine) == rows


def test_expired_bundles_jobs_tokens_and_old_events_go(engine: Engine, store: Store) -> None:
    at = time.time()
    old, new = make(engine, store, "old", expires=at - 60), make(engine, store, "new")
    with Session(engine) as session, session.begin():
        for days in (EVENT_DAYS - 1, EVENT_DAYS + 1):
            session.add(Event(at=at - days * DAY, action=f"{days}", outcome="done"))
        for job in session.scalars(select(Job).where(Job.id == new.jobs[0])):
            job.expires = at - 1
    swept = sweep(engine, store, 30)
    assert (swept.bundles, swept.jobs, swept.tokens, swept.events, swept.objects) == (2, 1, 1, 1, 0)
    assert {name.split("/")[1] for name in store.names()} == {*new.bundles, *new.jobs[1:]}
    with Session(engine) as session:
        gone = set(session.scalars(select(Deletion.object_id)))
        assert gone == {*old.bundles, *old.jobs, new.jobs[0]}
        assert session.scalars(select(Token.account_id)).all() == [new.account]
    assert sweep(engine, store, 30) == Swept()


def test_bytes_without_a_row_go_after_a_while_and_uploads_in_progress_stay(
    engine: Engine, store: Store, tmp_path: Path
) -> None:
    mine = make(engine, store, "mine", bundles=1)
    done, running, queued = mine.jobs
    kept = set(store.names())
    orphans = {
        "bundles/0000",
        f"bundles/{mine.bundles[0]}-more/x",
        f"results/{done}/lost-attempt/mesh.ply",
        f"results/{done}/attempt-done/never-committed.ply",
        f"results/{running}/lost-attempt/mesh.ply",
        f"results/{queued}/lost-attempt/mesh.ply",
        "results/0000/a/mesh.ply",
        f"checkpoints/{done}/stage2.safetensors",
        "checkpoints/0000/stage1.safetensors",
        "health/0000",
    }
    for name in orphans:
        store.put(name, b"of nobody")
    store.put("another/programs/file", b"is none of ours")
    age(tmp_path, "another/programs/file", 2 * GRACE)
    part = tmp_path / "store/bundles/.part-0000"
    part.write_bytes(b"half")
    assert sweep(engine, store, 30) == Swept()
    for name in orphans:
        age(tmp_path, name, GRACE - 60)
    assert sweep(engine, store, 30) == Swept()
    for name in orphans:
        age(tmp_path, name, GRACE + 60)
    os.utime(part, (time.time() - GRACE - 60,) * 2)
    assert sweep(engine, store, 30).objects == len(orphans)
    assert set(store.names()) == kept | {"another/programs/file"}
    assert not part.exists()


def test_what_a_worker_writes_after_the_deletion_goes_at_once(engine: Engine, store: Store) -> None:
    mine = make(engine, store, "mine", bundles=1)
    delete_bundle(engine, store, mine.bundles[0])
    store.put(f"checkpoints/{mine.jobs[1]}/stage1.safetensors", b"a worker that has not heard of it")
    store.put(f"results/{mine.jobs[1]}/attempt-running/mesh.ply", b"the same")
    store.put(f"bundles/{mine.bundles[0]}", b"again")
    assert sweep(engine, store, 30).objects == 3
    assert list(store.names()) == []


def test_a_store_with_another_ones_database_is_left_alone(
    engine: Engine, store: Store, tmp_path: Path
) -> None:
    mine = make(engine, store, "mine", bundles=1)
    for number in range(MOST_STRAYS + 1):
        store.put(f"bundles/{number}", b"of another deployment")
        age(tmp_path, f"bundles/{number}", GRACE + 60)
    delete_bundle(engine, store, mine.bundles[0])
    store.put(f"bundles/{mine.bundles[0]}", b"what was deleted goes all the same")
    with pytest.raises(SansfaceError, match="101 of 102 objects in the store belong to nothing"):
        sweep(engine, store, 30)
    assert len(list(store.names())) == MOST_STRAYS + 1
    store.delete("bundles/0")
    assert sweep(engine, store, 30).objects == MOST_STRAYS


@pytest.mark.parametrize("state", [State.CANCELLED, State.DEAD, State.DONE])
def test_checkpoints_of_jobs_that_are_over_go_after_a_while(
    engine: Engine, store: Store, tmp_path: Path, state: State
) -> None:
    mine = make(engine, store, "mine", bundles=1)
    with Session(engine) as session, session.begin():
        job = session.get(Job, mine.jobs[1])
        assert job is not None
        job.state = state
    assert sweep(engine, store, 30).objects == 0
    name = f"checkpoints/{mine.jobs[1]}/stage1.safetensors"
    age(tmp_path, name, GRACE + 60)
    assert sweep(engine, store, 30).objects == 1
    assert name not in set(store.names())


def test_deletions_are_remembered_as_long_as_backups_are_kept(engine: Engine, store: Store) -> None:
    at = time.time()
    with Session(engine) as session, session.begin():
        for id, days in (("a", 29.0), ("b", 31.9), ("c", 32.1)):
            session.add(Deletion(object_id=id, kind="job", at=at - days * DAY))
    assert MARGIN == 2 * DAY
    assert sweep(engine, store, 40).deletions == 0
    assert sweep(engine, store, 30).deletions == 1
    with Session(engine) as session:
        assert set(session.scalars(select(Deletion.object_id))) == {"a", "b"}


def test_servers_that_sweep_at_once(engine: Engine, store: Store, tmp_path: Path) -> None:
    make(engine, store, "old", bundles=6, expires=time.time() - 60)
    new = make(engine, store, "new", bundles=1)
    for number in range(20):
        store.put(f"bundles/orphan{number}", b"")
        age(tmp_path, f"bundles/orphan{number}", GRACE + 60)
    failed: list[BaseException] = []
    barrier = threading.Barrier(3)

    def run() -> None:
        try:
            barrier.wait(120)
            sweep(engine, store, 30)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert {name.split("/")[1] for name in store.names()} == {*new.bundles, *new.jobs}
    with Session(engine) as session:
        assert len(session.scalars(select(Deletion)).all()) == 6 * 4
    assert sweep(engine, store, 30) == Swept()
