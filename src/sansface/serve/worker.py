"""A worker: takes jobs from the queue, one at a time, and commits each result exactly once.

While a job runs, one thread says so by heartbeats and another lays its checkpoint into the store, from which
any other worker goes on after this one was killed. When the database or the store is away the job goes on,
and what is to be said or kept is tried again until it is back.
"""

import hashlib
import random
import secrets
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from sansface.errors import SansfaceError
from sansface.protect.contents import BundleError
from sansface.serve import job, queue
from sansface.serve.database import reading
from sansface.serve.job import Stopped
from sansface.serve.queue import Lease, Settings, StoredFile
from sansface.serve.store import Store
from sansface.serve.tables import Job, State

LEASE_SECONDS = 60.0
"""A worker that was not heard of for so long has lost its job."""
HEARTBEAT_SECONDS = 3.0
POLL_SECONDS = 1.0
"""Between two looks into an empty queue."""
KEEP_SECONDS = 20.0
"""The least between two checkpoints that go into the store."""
STORE_SECONDS = 300.0
"""How long a store that fails is tried again before the attempt has failed."""
STOP_SECONDS = 20.0
"""How long a worker that was asked to stop waits for a database that is away; then its lease runs out."""

T = TypeVar("T")


class Attempt:
    """One lease while it is worked on: what the work and the heart tell each other."""

    def __init__(self, engine: Engine, store: Store, lease: Lease, seconds: float, stopping: threading.Event):
        self.engine, self.store, self.lease, self.seconds = engine, store, lease, seconds
        self.stopping = stopping  # the worker was asked to stop
        self.lost = threading.Event()  # the lease is not held any more
        self.progress: dict[str, Any] | None = None
        self.stepped = False  # was a step of the training done?
        self.log = structlog.get_logger().bind(job=lease.job_id, attempt=lease.attempts)

    def tell(self, progress: dict[str, Any]) -> bool:
        """For the next heartbeat. Returns False when the work is to stop, for one reason or the other."""
        self.stepped |= progress.get("step", 0) > 0
        self.progress = {key: progress[key] for key in ("done", "note", "seconds_left")}
        return not self.wanted

    @property
    def wanted(self) -> str | None:
        """Why the work is to stop, if it is."""
        return "lost" if self.lost.is_set() else "stopping" if self.stopping.is_set() else None

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Heartbeats for as long as the body runs."""
        with every(min(HEARTBEAT_SECONDS, self.seconds / 4), self._beat):
            yield

    def _beat(self) -> None:
        try:
            if not queue.heartbeat(self.engine, self.lease, self.seconds, self.progress):
                self.lost.set()
        except SQLAlchemyError as error:
            self.log.warning("no heartbeat", error=type(error).__name__)

    def database(self, do: Callable[[], T]) -> T:
        """Do something with the database, as soon as it is there."""
        return persistently(do, self.stopping)

    def stored(self, do: Callable[[], T]) -> T:
        """Do something with the store, again and again for a while.

        Raises SansfaceError when it still failed then, or the work is to stop anyway.
        """
        until, pause = time.monotonic() + STORE_SECONDS, 0.5
        while True:
            try:
                return do()
            except SansfaceError as error:
                if self.wanted or time.monotonic() > until:
                    raise
                self.log.warning("store failed", sentence=job.sentence(error))
            self.lost.wait(pause)
            pause = min(20.0, 2 * pause)

    def keep(self, snapshot: bytes) -> None:
        """Lay down what another worker can go on from. A store that is away now may be there next time."""
        if self.lost.is_set():
            return
        try:
            self.store.put(self.checkpoint, snapshot)
        except SansfaceError as error:
            self.log.warning("checkpoint not kept", sentence=job.sentence(error))

    @property
    def checkpoint(self) -> str:
        """Its name in the store. One object, so that it is always of one moment."""
        return f"checkpoints/{self.lease.job_id}/run"

    def kept(self) -> bytes | None:
        """What an earlier worker has laid down."""
        names = self.stored(lambda: list(self.store.names(f"checkpoints/{self.lease.job_id}")))
        return self.stored(lambda: self.store.get(self.checkpoint)) if self.checkpoint in names else None

    def forget(self, prefix: str) -> None:
        """Remove objects now rather than at the next sweep."""
        with suppress(SansfaceError):
            self.store.delete_under(prefix)

    def forget_checkpoint(self) -> None:
        """None is needed any more, or the one there is of no use."""
        self.forget(f"checkpoints/{self.lease.job_id}")


class Execute(Protocol):
    """Does a job's work, here or elsewhere."""

    def __call__(
        self, bundle: bytes, settings: Settings, kept: bytes | None, attempt: Attempt
    ) -> dict[str, bytes]:
        """The files to keep by name.

        kept: snapshot of an earlier attempt, to go on from.
        Raises Stopped after `attempt` wanted it, a snapshot of that moment kept; SansfaceError.
        """
        ...


def work(
    engine: Engine,
    store: Store,
    execute: Execute,
    stopping: threading.Event,
    lease_seconds: float = LEASE_SECONDS,
    until_empty: bool = False,
) -> None:
    """Take jobs and do them, one after the other, until `stopping` is set.

    until_empty: or until no job is queued or running.
    """
    name = secrets.token_hex(4)
    log = structlog.get_logger().bind(worker=name)
    log.info("worker started")
    try:
        while not stopping.is_set():
            lease = persistently(lambda: queue.take(engine, name, lease_seconds), stopping)
            if lease is not None:
                attempt(Attempt(engine, store, lease, lease_seconds, stopping), execute)
            elif until_empty and persistently(lambda: _is_empty(engine), stopping):
                break
            else:
                stopping.wait(POLL_SECONDS * random.uniform(0.5, 1.5))
    except (OperationalError, InterfaceError):
        log.warning("stopped without the database")
    log.info("worker stopped")


def _is_empty(engine: Engine) -> bool:
    with Session(reading(engine)) as session:
        found = queue.counts(session)
    return found[State.QUEUED] + found[State.RUNNING] == 0


def attempt(this: Attempt, execute: Execute) -> None:
    """Do one leased job, and say how it ended."""
    lease, began, stopping = this.lease, time.monotonic(), this.stopping
    this.log.info("taken")
    kept = None
    with this.beating():
        try:
            bundle = this.stored(lambda: this.store.get(f"bundles/{lease.bundle_id}"))
            with suppress(SansfaceError):  # damaged, say: then from the start
                kept = this.kept()
            files = execute(bundle, lease.settings, kept, this)
            if this.lost.is_set():
                raise Stopped
            stored = [_stored(this, name, data) for name, data in files.items()]
            if not this.database(lambda: queue.finish(this.engine, lease, stored)):
                this.lost.set()
                raise Stopped
        except Exception as error:
            outcome = _ended(this, error, kept is not None)
        else:
            this.forget_checkpoint()
            outcome = "done"
    this.log.info(outcome, seconds=round(time.monotonic() - began, 1), stopping=stopping.is_set())


def _stored(this: Attempt, name: str, data: bytes) -> StoredFile:
    place = f"results/{this.lease.job_id}/{this.lease.attempt}/{name}"
    this.stored(lambda: this.store.put(place, data))
    return StoredFile(name, len(data), hashlib.sha256(data).hexdigest(), place)


def _ended(this: Attempt, error: Exception, resumed: bool) -> str:
    """Say to the queue how an attempt ended that gave no result; a word for the log."""
    lease = this.lease
    this.forget(f"results/{lease.job_id}/{lease.attempt}")
    if this.lost.is_set():
        if this.database(lambda: _is_over(this.engine, lease)):
            this.forget_checkpoint()
        return "lost"
    if isinstance(error, Stopped) or (this.stopping.is_set() and isinstance(error, SansfaceError)):
        this.database(lambda: queue.release(this.engine, lease))
        return "released"
    said = job.sentence(error)
    final = isinstance(error, BundleError)
    this.log.warning("failed", sentence=said, error=type(error).__name__)
    this.database(lambda: queue.fail(this.engine, lease, said, final))
    if (resumed and not this.stepped) or this.database(lambda: _is_over(this.engine, lease)):
        this.forget_checkpoint()  # it may be what fails
    return "failed"


def _is_over(engine: Engine, lease: Lease) -> bool:
    """Was the job finished, cancelled, deleted, or tried too often?"""
    with Session(reading(engine)) as session:
        found = session.get(Job, lease.job_id)
    return found is None or found.state not in (State.QUEUED, State.RUNNING)


def local(scratch: Path, device: str = "auto") -> Execute:
    """Jobs done by this process, in a folder under `scratch`; in the main thread, for Ctrl-C's sake."""
    folder = scratch / "job"

    def execute(bundle: bytes, settings: Settings, kept: bytes | None, attempt: Attempt) -> dict[str, bytes]:
        with _emptied(folder):
            if kept is not None:
                job.restore(kept, folder)
            last = _changed(folder)

            def keep() -> None:
                nonlocal last
                changed = _changed(folder)
                if changed != last and (now := job.snapshot(folder)) is not None:
                    attempt.keep(now)
                    last = changed

            try:
                with every(KEEP_SECONDS, keep):
                    job.run_job(bundle, settings, folder, attempt.tell, device)
            except Stopped:
                if attempt.wanted is None:
                    attempt.stopping.set()  # it was Ctrl-C
                keep()
                raise
            except SansfaceError as error:
                raise type(error)(job.sentence(error, folder)) from error
            return job.files(folder)

    return execute


def _changed(folder: Path) -> int | None:
    """When the checkpoint was written last."""
    with suppress(OSError):
        return (folder / job.CHECKPOINT).stat().st_mtime_ns
    return None


@contextmanager
def _emptied(folder: Path) -> Iterator[None]:
    """An empty folder for the body; nothing of it stays."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def every(seconds: float, do: Callable[[], None]) -> Iterator[None]:
    """Do something in a thread, again and again while the body runs."""
    over = threading.Event()

    def loop() -> None:
        while not over.wait(seconds):
            do()

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def persistently(do: Callable[[], T], stopping: threading.Event) -> T:
    """Do something with a database that may be away, such as while it is restarted, until it is back.

    Raises SQLAlchemy's error only when the worker was asked to stop and it has been away for long since.
    """
    pause, asked = 0.1, None
    while True:
        try:
            return do()
        except (OperationalError, InterfaceError) as error:
            if stopping.is_set():
                asked = asked or time.monotonic()
                if time.monotonic() - asked > STOP_SECONDS:
                    raise
            structlog.get_logger().warning("database away", error=type(error.orig).__name__)
        time.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(5.0, 2 * pause)


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and Ctrl-C set while the body runs; nor is memory dumped, whatever happens."""
    import resource  # not on every system

    stopping = threading.Event()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda *_: stopping.set()) for number in numbers]
    try:
        yield stopping
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
