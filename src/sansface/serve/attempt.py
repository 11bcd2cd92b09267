"""One attempt at a job: from its lease to a result that is committed once, a failure, or giving it back.

While the work goes on, a thread says so by heartbeats. Where the database or the store is away the work goes
on, too, and what is to be said or kept is tried again until they are back.
"""

import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from sansface.errors import SansfaceError
from sansface.files import is_full
from sansface.protect.contents import BundleError
from sansface.serve import job, log, names, queue
from sansface.serve.database import reading
from sansface.serve.job import Stopped
from sansface.serve.queue import Lease, Settings, StoredFile
from sansface.serve.store import MARK, Lost, Store
from sansface.serve.tables import Job, State

HEARTBEAT_SECONDS = 3.0
KEEP_SECONDS = 20.0
"""The least between two checkpoints that go into the store."""
STORE_SECONDS = 300.0
"""How long a store that fails is tried again before the attempt has failed."""
STOP_SECONDS = 20.0
"""How long a worker that was asked to stop waits for a database that is away; then its lease runs out."""
AWAY = (OperationalError, InterfaceError)
"""What SQLAlchemy raises where the database cannot be reached, or is just being restarted."""

T = TypeVar("T")


class Attempt:
    """One lease while it is worked on: what the work and the heart tell each other."""

    def __init__(self, engine: Engine, store: Store, lease: Lease, seconds: float, stopping: threading.Event):
        self.engine, self.store, self.lease, self.seconds = engine, store, lease, seconds
        self.stopping = stopping  # the worker was asked to stop
        self.lost = threading.Event()  # the lease is not held any more
        self.progress: dict[str, Any] | None = None
        self.stepped = False  # was a step of the training done?
        self.log = log.get().bind(job=lease.job_id, attempt=lease.attempts)

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

        Raises SansfaceError when it still failed then, the work is to stop anyway, or an object is lost from
        a store that is there: one whose disk is not mounted seems to have lost everything.
        """
        until, pause = time.monotonic() + STORE_SECONDS, 0.5
        while True:
            try:
                return do()
            except SansfaceError as error:
                lost = isinstance(error, Lost) and self._store_is_there()
                if lost or self.wanted or time.monotonic() > until:
                    raise
                self.log.warning("store failed", sentence=job.sentence(error))
            self.lost.wait(pause)
            pause = min(20.0, 2 * pause)

    def _store_is_there(self) -> bool:
        try:
            return self.store.modified(MARK) is not None
        except SansfaceError:
            return False

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
        return f"{names.of_checkpoints(self.lease.job_id)}/run"

    def kept(self) -> bytes | None:
        """What an earlier worker has laid down."""
        there = self.stored(lambda: list(self.store.names(names.of_checkpoints(self.lease.job_id))))
        return self.stored(lambda: self.store.get(self.checkpoint)) if self.checkpoint in there else None

    def forget(self, prefix: str) -> None:
        """Remove objects now rather than at the next sweep."""
        with suppress(SansfaceError):
            self.store.delete_under(prefix)

    def forget_checkpoint(self) -> None:
        """None is needed any more, or the one there is of no use."""
        self.forget(names.of_checkpoints(self.lease.job_id))


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


def carry_out(this: Attempt, execute: Execute) -> bool:
    """Do one leased job, and say how it ended.

    Returns False after an error that nobody foresaw: what comes next in this process may fail by it, too.
    """
    lease, began = this.lease, time.monotonic()
    this.log.info("taken")
    kept = None
    with this.beating():
        try:
            bundle = this.stored(lambda: this.store.get(names.of_bundle(lease.bundle_id)))
            with suppress(SansfaceError):  # damaged, say: then from the start
                kept = this.kept()
            files = execute(bundle, lease.settings, kept, this)
            if this.lost.is_set():
                raise Stopped
            stored = [_stored(this, name, data) for name, data in files.items()]
            if not this.database(lambda: queue.finish(this.engine, lease, stored)):
                this.lost.set()
                raise Stopped
        except AWAY:
            raise  # whether the result was committed is not known: nothing may be removed
        except Exception as error:
            outcome = _ended(this, error, kept is not None)
        else:
            this.forget_checkpoint()
            outcome = "done"
    this.log.info(outcome, seconds=round(time.monotonic() - began, 1))
    return outcome != "broken"


def _stored(this: Attempt, name: str, data: bytes) -> StoredFile:
    place = f"{names.of_result(this.lease.job_id, this.lease.attempt)}/{name}"
    this.stored(lambda: this.store.put(place, data))
    return StoredFile(name, len(data), hashlib.sha256(data).hexdigest(), place)


def _ended(this: Attempt, error: Exception, resumed: bool) -> str:
    """Say to the queue how an attempt ended that gave no result; a word for the log."""
    lease = this.lease
    this.forget(names.of_result(lease.job_id, lease.attempt))
    if this.lost.is_set():
        if this.database(lambda: _is_over(this.engine, lease)):
            this.forget_checkpoint()
        return "lost"
    if isinstance(error, Stopped) or (this.stopping.is_set() and isinstance(error, SansfaceError)):
        this.database(lambda: queue.release(this.engine, lease))
        return "released"
    said, final = job.sentence(error), isinstance(error, BundleError)
    this.log.warning("ended", sentence=said, **log.failure(error))
    if is_full(error):  # the log has the worker's own sentence, for those who can do something
        said = "The service's disk was full; try again later."
    this.database(lambda: queue.fail(this.engine, lease, said, final))
    if (resumed and not this.stepped) or this.database(lambda: _is_over(this.engine, lease)):
        this.forget_checkpoint()  # it may be what fails
    return "failed" if isinstance(error, SansfaceError) else "broken"


def _is_over(engine: Engine, lease: Lease) -> bool:
    """Was the job finished, cancelled, deleted, or tried too often?"""
    with Session(reading(engine)) as session:
        found = session.get(Job, lease.job_id)
    return found is None or found.state not in (State.QUEUED, State.RUNNING)


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
        except AWAY as error:
            if stopping.is_set():
                asked = asked or time.monotonic()
                if time.monotonic() - asked > STOP_SECONDS:
                    raise
            log.get().warning("database away", error=type(error.orig).__name__)
        time.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(5.0, 2 * pause)
