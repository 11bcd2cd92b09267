"""A worker: takes jobs from the queue, one at a time, and does them in this process.

While a job runs, a thread lays its checkpoint into the store, from which any other worker goes on after this
one was killed. A worker that was asked to stop does so itself, and gives the job back.
"""

import random
import secrets
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from sansface.errors import SansfaceError
from sansface.serve import job, log, queue
from sansface.serve.attempt import (
    AWAY,
    KEEP_SECONDS,
    Attempt,
    Execute,
    carry_out,
    every,
    persistently,
)
from sansface.serve.database import reading
from sansface.serve.job import Stopped
from sansface.serve.queue import Settings
from sansface.serve.store import Store
from sansface.serve.tables import State

LEASE_SECONDS = 60.0
"""A worker that was not heard of for so long has lost its job."""
SCRATCH_BYTES = 256 << 20
"""Free for a job's checkpoint and results, or none is taken: it would fail here, and need not elsewhere."""
POLL_SECONDS = 1.0
"""Between two looks into an empty queue."""


def work(
    engine: Engine,
    store: Store,
    execute: Execute,
    stopping: threading.Event,
    lease_seconds: float = LEASE_SECONDS,
    until_empty: bool = False,
    scratch: Path | None = None,
) -> None:
    """Take jobs and do them, one after the other, until `stopping` is set.

    until_empty: or until no job is queued or running.
    scratch: folder of the jobs, if it is on this machine.

    Raises:
        SansfaceError: the scratch folder's disk is full; or an error that nobody foresaw ended a job.
            Whatever it was, such as a GPU that no longer answers, a new process does better.
    """
    name = secrets.token_hex(4)
    lines = log.get().bind(worker=name)
    lines.info("worker started")
    try:
        while not stopping.is_set():
            if scratch is not None and shutil.disk_usage(scratch).free < SCRATCH_BYTES:
                raise SansfaceError(
                    f"less than {SCRATCH_BYTES >> 20} MiB are free in {scratch}, too little for a job; free "
                    "some space, or name another folder with --scratch, and start the worker again."
                )
            lease = persistently(lambda: queue.take(engine, name, lease_seconds), stopping)
            if lease is not None:
                if not carry_out(Attempt(engine, store, lease, lease_seconds, stopping), execute):
                    raise SansfaceError(
                        "an unexpected error ended a job; the log has it. Start another worker."
                    )
            elif until_empty and persistently(lambda: _is_empty(engine), stopping):
                break
            else:
                stopping.wait(POLL_SECONDS * random.uniform(0.5, 1.5))
    except AWAY:
        lines.warning("stopped without the database")
    lines.info("worker stopped")


def _is_empty(engine: Engine) -> bool:
    with Session(reading(engine)) as session:
        found = queue.counts(session)
    return found[State.QUEUED] + found[State.RUNNING] == 0


def local(scratch: Path, device: str = "auto") -> Execute:
    """Jobs done by this process, in a folder under `scratch`; in the main thread, for Ctrl-C's sake."""
    folder = scratch / "job"

    def execute(bundle: bytes, settings: Settings, kept: bytes | None, attempt: Attempt) -> dict[str, bytes]:
        with _emptied(folder):
            if kept is not None:
                job.restore(kept, folder)
            last = job.changed(folder)

            def keep() -> None:
                nonlocal last
                changed = job.changed(folder)
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
