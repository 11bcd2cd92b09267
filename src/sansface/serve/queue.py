"""The queue of jobs, durable in the database: any number of workers, each result committed exactly once.

A worker takes a job by a lease and says by heartbeats that it is alive. Whoever takes a job draws a fresh
`attempt`, the fence: what comes from an older one is refused. An attempt ends in one of four ways: finished;
failed with a sentence; released by a worker that was asked to stop; or lost, when no heartbeat came in time.
Failures and losses are counted apart, for a loss is seldom the bundle's fault; both are tried again after a
pause, and after too many the job is dead and keeps its sentence.
"""

import hashlib
import json
import random
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, Engine, and_, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from sansface.errors import SansfaceError
from sansface.reconstruct.config import PRESETS
from sansface.serve.database import now
from sansface.serve.tables import Job, ResultFile, State, new_id

MAX_FAILURES = 5
"""Attempts that may end with a sentence before a job is dead."""
MAX_LOSSES = 20
"""Attempts that may lose their worker before a job is dead: it may be the bundle that kills it."""
FAILURE_SECONDS = 10.0
"""Pause after the first failure; each further one doubles it."""
LOSS_SECONDS = 1.0
"""Pause after the first loss; each further one doubles it."""
LONGEST_PAUSE = 600.0


@dataclass(frozen=True)
class Settings:
    """What a client may choose of a reconstruction."""

    preset: str = "fast"  # a name in reconstruct.config.PRESETS
    seed: int = 0  # decides everything random; below 2³²

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise SansfaceError(f"there is no such preset; choose one of {', '.join(PRESETS)}.")
        if type(self.seed) is not int or not 0 <= self.seed < 2**32:
            raise SansfaceError("the seed is a whole number from 0 to 4294967295; correct it.")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Settings":
        """Raises SansfaceError for an unknown key or a value that cannot be."""
        if unknown := values.keys() - {"preset", "seed"}:
            raise SansfaceError(f"a job has preset and seed, and {len(unknown)} other keys; leave them out.")
        return cls(**values)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)

    def digest(self) -> str:
        """SHA-256 of the settings: jobs of the same bundle and digest are one job."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Lease:
    """The right to work on a job until the lease runs out."""

    job_id: str
    bundle_id: str
    attempt: str
    settings: Settings
    attempts: int  # begun so far, this one included


@dataclass(frozen=True)
class StoredFile:
    """A file of a result that lies in the store already."""

    name: str
    size: int
    sha256: str
    stored: str  # its name in the store


def submit(
    session: Session, account_id: str, bundle_id: str, settings: Settings, expires: float
) -> tuple[Job, bool]:
    """The job of this bundle with these settings, and whether there is something new to do.

    A dead or cancelled one is queued again, from its start.
    """
    at, digest = now(session), settings.digest()
    known = select(Job).where(Job.bundle_id == bundle_id, Job.settings_digest == digest).with_for_update()
    job = session.scalars(known).one_or_none()
    if job is None:
        job = Job(
            id=new_id(),
            account_id=account_id,
            bundle_id=bundle_id,
            settings=settings.as_dict(),
            settings_digest=digest,
            created=at,
            not_before=at,
            expires=expires,
        )
        try:
            with session.begin_nested():
                session.add(job)
            return job, True
        except IntegrityError:  # another request was quicker
            job = session.scalars(known).one()
    if job.state not in (State.DEAD, State.CANCELLED):
        return job, False
    job.state, job.created, job.not_before, job.expires = State.QUEUED, at, at, expires
    job.attempts = job.failures = 0
    job.sentence = job.started = job.finished = None
    session.flush()
    return job, True


def take(engine: Engine, worker: str, seconds: float) -> Lease | None:
    """Lease the oldest job that is ready, after all whose lease has run out are back in the queue.

    worker: who asks; a name without any meaning.
    """
    with Session(engine) as session, session.begin():
        at = now(session)
        overdue = select(Job).where(Job.state == State.RUNNING, Job.lease_until < at)
        for job in session.scalars(overdue.with_for_update(skip_locked=True)):
            _lost(job, at)
        session.flush()
        ready = select(Job).where(Job.state == State.QUEUED, Job.not_before <= at)
        oldest = ready.order_by(Job.created, Job.id).limit(1)
        job = session.scalars(oldest.with_for_update(skip_locked=True)).one_or_none()
        if job is None:
            return None
        job.state, job.worker, job.lease_until = State.RUNNING, worker, at + seconds
        job.attempt = attempt = new_id()
        job.attempts += 1
        job.started = job.started or at
        try:
            settings = Settings.from_dict(job.settings)
            return Lease(job.id, job.bundle_id, attempt, settings, job.attempts)
        except SansfaceError as error:  # of an older version: it must not stand in the way of the others
            _again(job, at, 0.0)
            job.state, job.finished, job.sentence = State.DEAD, at, str(error)
    return take(engine, worker, seconds)


def heartbeat(engine: Engine, lease: Lease, seconds: float, progress: dict[str, Any] | None = None) -> bool:
    """Say that the worker lives, and how far it is; the lease begins anew.

    progress: done (0 to 1), note, seconds_left.
    Returns False where there is nothing to hold any more (lost, cancelled, deleted): stop.
    """
    with Session(engine) as session, session.begin():
        values: dict[str, Any] = {"lease_until": now(session) + seconds}
        if progress is not None:
            values["progress"] = progress
        return session.connection().execute(update(Job).where(_held(lease)).values(values)).rowcount == 1


def finish(engine: Engine, lease: Lease, files: Iterable[StoredFile]) -> bool:
    """Commit a result, once. True again if this very attempt has committed before and did not hear of it.

    Returns False where the lease is not held any more: the files in the store are then nobody's.
    """
    with Session(engine) as session, session.begin():
        job = _locked(session, lease)
        if job is None:
            return session.scalar(select(Job.id).where(_committed(lease))) is not None
        # The attempt stays: it is the one that all files are of.
        job.state, job.finished = State.DONE, now(session)
        job.worker = job.lease_until = job.progress = job.sentence = None
        session.add_all(
            ResultFile(job_id=job.id, name=f.name, size=f.size, sha256=f.sha256, stored=f.stored)
            for f in files
        )
        return True


def fail(engine: Engine, lease: Lease, sentence: str, final: bool = False) -> None:
    """An attempt ended with a sentence: try again after a pause, unless it is `final` or was tried too often.

    sentence: for the owner of the job; it names no path.
    """
    with Session(engine) as session, session.begin():
        job = _locked(session, lease)
        if job is None:
            return
        job.failures += 1
        _again(job, now(session), _pause(FAILURE_SECONDS, job.failures))
        job.sentence = sentence[:1000]
        if final or job.failures >= MAX_FAILURES:
            job.state, job.finished = State.DEAD, now(session)


def release(engine: Engine, lease: Lease) -> None:
    """A worker that was asked to stop gives its job back; the attempt does not count."""
    with Session(engine) as session, session.begin():
        job = _locked(session, lease)
        if job is not None:
            job.attempts -= 1
            _again(job, now(session), 0.0)


def cancel(session: Session, job: Job) -> bool:
    """End a job that is not over; its worker's next heartbeat tells it.

    Returns False where it was over already.
    """
    open_still = Job.state.in_((State.QUEUED, State.RUNNING))
    ended = {"state": State.CANCELLED, "finished": now(session), "attempt": None, "worker": None}
    ended |= {"lease_until": None, "progress": None}
    done = session.connection().execute(update(Job).where(Job.id == job.id, open_still).values(ended))
    session.refresh(job)
    return done.rowcount == 1


def counts(session: Session) -> dict[str, int]:
    """How many jobs are in each state."""
    found = {state: n for state, n in session.execute(select(Job.state, func.count()).group_by(Job.state))}
    return {state.value: found.get(state.value, 0) for state in State}


def _held(lease: Lease) -> ColumnElement[bool]:
    return and_(Job.id == lease.job_id, Job.attempt == lease.attempt, Job.state == State.RUNNING)


def _committed(lease: Lease) -> ColumnElement[bool]:
    return and_(Job.id == lease.job_id, Job.attempt == lease.attempt, Job.state == State.DONE)


def _locked(session: Session, lease: Lease) -> Job | None:
    return session.scalars(select(Job).where(_held(lease)).with_for_update()).one_or_none()


def _lost(job: Job, at: float) -> None:
    losses = job.attempts - job.failures
    _again(job, at, _pause(LOSS_SECONDS, losses))
    if losses >= MAX_LOSSES:
        job.state, job.finished = State.DEAD, at
        job.sentence = (
            f"its worker was lost {losses} times; protect at a lower resolution, or ask the operator."
        )


def _again(job: Job, at: float, pause: float) -> None:
    job.state, job.not_before = State.QUEUED, at + pause
    job.attempt = job.worker = job.lease_until = job.progress = None


def _pause(first: float, count: int) -> float:
    """Doubled each time, and shortened by chance so that jobs that fell together do not rise together."""
    return min(LONGEST_PAUSE, first * 2 ** (count - 1)) * random.uniform(0.5, 1.0)
