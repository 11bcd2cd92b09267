"""The queue on SQLite and PostgreSQL: leases, fences, pauses, dead letters; any order of events."""

import subprocess
import sys
import time
from collections import Counter

import pytest
from hypothesis import settings as profile
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule
from hypothesis.strategies import booleans, integers
from sqlalchemy import Engine, delete, event, select, update
from sqlalchemy.orm import Session

import queue_load
from sansface.errors import SansfaceError
from sansface.serve import queue
from sansface.serve.database import open_database, reading
from sansface.serve.queue import (
    LOSS_SECONDS,
    MAX_FAILURES,
    MAX_LOSSES,
    Settings,
    StoredFile,
    counts,
    fail,
    finish,
    heartbeat,
    release,
    take,
)
from sansface.serve.tables import Account, Job, ResultFile, State
from serve_desk import Desk

FILE = StoredFile("mesh.ply", 3, "0" * 64, "results/x/y/mesh.ply")


@pytest.fixture
def desk(engine):
    return Desk(engine)


def test_the_same_bundle_and_settings_are_one_job(desk):
    first, made = desk.submit()
    assert (desk.submit(), made) == ((first, False), True)
    assert desk.submit(seed=1) != (first, False)


def test_the_oldest_is_taken_first(desk, engine):
    jobs = []
    for seed in range(3):
        jobs.append(desk.submit(seed)[0])
        time.sleep(0.003)  # SQLite's clock has milliseconds
    taken = [take(engine, "w", 60) for _ in range(4)]
    assert [lease and lease.job_id for lease in taken] == [*jobs, None]
    assert [lease.settings.seed for lease in taken if lease] == [0, 1, 2]
    with Session(engine) as session:
        assert counts(session) == {"queued": 0, "running": 3, "done": 0, "dead": 0, "cancelled": 0}


def test_a_finished_job_has_its_files_and_finishing_again_changes_nothing(desk, engine):
    job, _ = desk.submit()
    lease = take(engine, "w", 60)
    assert heartbeat(engine, lease, 60, {"done": 0.5, "note": "", "seconds_left": 3.0})
    assert desk.job(job).progress["done"] == 0.5
    assert finish(engine, lease, [FILE])
    assert finish(engine, lease, [FILE])  # the answer to the first one was not heard
    assert desk.files(job) == ["mesh.ply"]
    assert not heartbeat(engine, lease, 60)
    fail(engine, lease, "too late")
    release(engine, lease)
    found = desk.job(job)
    assert (found.state, found.sentence, found.attempts) == (State.DONE, None, 1)
    assert found.started <= found.finished
    assert desk.submit() == (job, False)


def test_who_lost_the_lease_can_do_nothing_any_more(desk, engine):
    job, _ = desk.submit()
    slow = take(engine, "slow", 60)
    desk.expire(job)
    assert take(engine, "quick", 60) is None  # there is a pause first
    assert 0 < desk.job(job).not_before - desk.job(job).created < 2 * LOSS_SECONDS + 5
    desk.wait()
    quick = take(engine, "quick", 60)
    assert quick.job_id == job
    assert quick.attempts == 2
    assert not heartbeat(engine, slow, 60)
    assert not finish(engine, slow, [FILE])
    fail(engine, slow, "nobody asked")
    release(engine, slow)
    assert desk.files(job) == []
    assert heartbeat(engine, quick, 60)
    assert finish(engine, quick, [FILE])
    assert not finish(engine, slow, [FILE])


def test_a_late_heartbeat_keeps_what_nobody_has_taken(desk, engine):
    job, _ = desk.submit()
    lease = take(engine, "w", 60)
    desk.expire(job)
    assert heartbeat(engine, lease, 60)
    assert take(engine, "other", 60) is None


def test_failures_pause_longer_each_time_and_end_dead_with_their_sentence(desk, engine):
    job, _ = desk.submit()
    pauses = []
    for count in range(MAX_FAILURES):
        desk.wait()
        fail(engine, take(engine, "w", 60), f"It failed {count}.")
        found = desk.job(job)
        pauses.append(found.not_before - found.started)
    assert (found.state, found.sentence) == (State.DEAD, f"It failed {MAX_FAILURES - 1}.")
    assert all(b > a for a, b in zip(pauses[::2], pauses[2::2], strict=False))  # jitter is less than twofold
    desk.wait()
    assert take(engine, "w", 60) is None
    assert desk.submit() == (job, True)  # asked for again, from its start
    assert desk.job(job).failures == 0
    assert take(engine, "w", 60).job_id == job


def test_a_final_failure_is_not_tried_again(desk, engine):
    job, _ = desk.submit()
    fail(engine, take(engine, "w", 60), "No.", final=True)
    assert desk.job(job).state == State.DEAD


def test_losses_are_counted_apart_and_end_dead_too(desk, engine):
    job, _ = desk.submit()
    fail(engine, take(engine, "w", 60), "Once.")
    for _ in range(MAX_LOSSES):
        desk.wait()
        assert take(engine, "w", 60) is not None
        desk.lose(job)
    found = desk.job(job)
    assert found.state == State.DEAD
    assert f"lost {MAX_LOSSES} times" in found.sentence


def test_a_graceful_stop_does_not_count(desk, engine):
    job, _ = desk.submit()
    for _ in range(3 * MAX_FAILURES):
        release(engine, take(engine, "w", 60))
    assert desk.job(job).attempts == 0
    assert take(engine, "w", 60).attempts == 1


def test_a_cancelled_job_is_let_go_by_its_worker_and_can_be_asked_for_again(desk, engine):
    job, _ = desk.submit()
    lease = take(engine, "w", 60)
    desk.cancel(job)
    assert not heartbeat(engine, lease, 60)
    assert not finish(engine, lease, [FILE])
    assert take(engine, "w", 60) is None
    assert desk.submit() == (job, True)
    assert finish(engine, take(engine, "w", 60), [FILE])
    desk.cancel(job)
    assert desk.job(job).state == State.DONE


def test_a_deleted_job_is_let_go(desk, engine):
    job, _ = desk.submit()
    lease = take(engine, "w", 60)
    with engine.begin() as connection:
        connection.execute(delete(Job).where(Job.id == job))
    assert not heartbeat(engine, lease, 60)
    assert not finish(engine, lease, [FILE])


def test_settings_of_another_version_stand_in_nobodys_way(desk, engine):
    old, _ = desk.submit()
    new, _ = desk.submit(seed=1)
    with engine.begin() as connection:
        connection.execute(
            update(Job).where(Job.id == old).values(settings={"preset": "forgotten", "seed": 0})
        )
    assert take(engine, "w", 60).job_id == new
    assert (desk.job(old).state, "no such preset" in desk.job(old).sentence) == (State.DEAD, True)


@pytest.mark.parametrize(
    "values", [{"preset": "best"}, {"seed": -1}, {"seed": True}, {"seed": 1.0}, {"gpu": 1}]
)
def test_other_settings_are_refused(values):
    with pytest.raises(SansfaceError):
        Settings.from_dict(values)


DRAIN = """
import sys
from sansface.serve.database import open_database
from sansface.serve.queue import finish, take
engine = open_database(sys.argv[1])
while (lease := take(engine, sys.argv[2], 60)) is not None:
    assert finish(engine, lease, [])
    print(lease.job_id)
engine.dispose()
"""


def test_several_processes_share_the_jobs_and_none_gets_another_ones(desk, database_url):
    jobs = {desk.submit(seed)[0] for seed in range(60)}
    command = [sys.executable, "-c", DRAIN, database_url]
    workers = [subprocess.Popen([*command, str(n)], stdout=subprocess.PIPE, text=True) for n in range(4)]
    taken = [worker.communicate()[0].split() for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 4
    assert Counter(job for each in taken for job in each) == dict.fromkeys(jobs, 1)


def test_connections_come_back_after_the_database_was_restarted(postgres):
    engine = open_database(postgres.database())
    desk = Desk(engine)
    job, _ = desk.submit()
    lease = take(engine, "w", 60)
    postgres.control("restart", "-m", "immediate")
    assert finish(engine, lease, [FILE])
    assert desk.files(job) == ["mesh.ply"]
    engine.dispose()


class Events(RuleBasedStateMachine):
    """All that can happen, in any order: no job is finished twice, and none is lost."""

    engine: Engine  # of a subclass

    leases = Bundle("leases")

    @initialize()
    def empty(self) -> None:
        with self.engine.begin() as connection:
            connection.execute(delete(Account))
        self.desk = Desk(self.engine)
        self.holder: dict[str, str | None] = {}  # of each job: the attempt that may still commit
        self.committed: dict[str, str] = {}  # of each job: the attempt that did
        self.over: set[str] = set()  # dead or cancelled

    def close(self, job: str) -> None:
        self.holder[job] = None
        if self.desk.job(job).state == State.DEAD:
            self.over.add(job)

    @rule(seed=integers(0, 3))
    def submit(self, seed: int) -> None:
        job, made = self.desk.submit(seed)
        assert made == (job not in self.holder or job in self.over)
        self.over.discard(job)
        self.holder.setdefault(job, None)

    @rule(target=leases, patient=booleans())
    def take(self, patient: bool):
        if patient:
            self.desk.wait()
        lease = take(self.engine, "w", 60)
        if lease is None:
            free = [j for j, h in self.holder.items() if h is None and j not in self.committed | self.done()]
            assert not (patient and free)
            return multiple()
        assert self.holder[lease.job_id] is None
        assert lease.job_id not in self.over
        assert lease.job_id not in self.committed
        self.holder[lease.job_id] = lease.attempt
        return lease

    def done(self) -> dict[str, str]:
        return dict.fromkeys(self.over, "")

    def holds(self, lease) -> bool:
        return self.holder.get(lease.job_id) == lease.attempt

    @rule(lease=leases)
    def heartbeat(self, lease) -> None:
        assert heartbeat(self.engine, lease, 60) == self.holds(lease)

    @rule(lease=leases)
    def expire(self, lease) -> None:
        """The lease runs out, and somebody looks."""
        if self.holds(lease):
            self.desk.lose(lease.job_id)
            self.close(lease.job_id)

    @rule(lease=leases)
    def finish(self, lease) -> None:
        before = self.committed.get(lease.job_id) == lease.attempt
        answer = finish(self.engine, lease, [FILE])
        assert answer == (self.holds(lease) or before)
        if answer and not before:
            assert lease.job_id not in self.committed
            self.committed[lease.job_id] = lease.attempt
            self.holder[lease.job_id] = None

    @rule(lease=leases, final=booleans())
    def fail(self, lease, final: bool) -> None:
        fail(self.engine, lease, "It failed.", final)
        if self.holds(lease):
            self.close(lease.job_id)
            assert not final or lease.job_id in self.over

    @rule(lease=consumes(leases))
    def release(self, lease) -> None:
        release(self.engine, lease)
        if self.holds(lease):
            self.holder[lease.job_id] = None

    @rule(lease=leases)
    def cancel(self, lease) -> None:
        self.desk.cancel(lease.job_id)
        if lease.job_id not in self.committed | self.done():
            self.holder[lease.job_id] = None
            self.over.add(lease.job_id)

    @invariant()
    def the_database_agrees(self) -> None:
        if not hasattr(self, "holder"):
            return
        with Session(reading(self.engine)) as session:
            jobs = list(session.scalars(select(Job)))
            files = Counter(session.scalars(select(ResultFile.job_id)))
        assert {job.id for job in jobs} == self.holder.keys()
        assert files == dict.fromkeys(self.committed, 1)
        for job in jobs:
            if job.id in self.committed:
                assert (job.state, job.attempt) == (State.DONE, self.committed[job.id])
            elif job.id in self.over:
                assert job.state in (State.DEAD, State.CANCELLED)
            elif self.holder[job.id]:
                assert (job.state, job.attempt) == (State.RUNNING, self.holder[job.id])
            else:
                assert (job.state, job.attempt) == (State.QUEUED, None)

    def teardown(self) -> None:
        """Whatever happened, a patient worker finishes all that is not dead, cancelled or held."""
        if hasattr(self, "holder"):
            for job, attempt in self.holder.items():
                if attempt:
                    self.desk.lose(job)
            self.desk.wait()
            while lease := take(self.engine, "w", 60):
                assert finish(self.engine, lease, [FILE])
            with Session(reading(self.engine)) as session:
                assert set(session.scalars(select(Job.state))) <= {State.DONE, State.DEAD, State.CANCELLED}


def test_any_order_of_events(engine, monkeypatch):
    monkeypatch.setattr(queue, "MAX_FAILURES", 2)
    monkeypatch.setattr(queue, "MAX_LOSSES", 2)
    if engine.dialect.name == "sqlite":  # that the disk is waited for at every commit would take minutes
        engine.dispose()
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = OFF"))
    machine = type("EventsHere", (Events,), {"engine": engine})
    few = profile(max_examples=25, stateful_step_count=30, deadline=None)
    machine.TestCase.settings = few
    machine.TestCase().runTest()


def test_nothing_is_lost_while_workers_are_killed_and_the_database_restarts(postgres, capsys):
    """Row e in its short form, on a cluster of its own."""
    assert queue_load.run(queue_load.SHORT) == []
    assert "61 of 61" in capsys.readouterr().out
