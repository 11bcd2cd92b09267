"""Retention: the sweep that removes what is over, and finishes what somebody was interrupted at.

It may run at any time, in any number of servers at once, and as often as one likes: it only removes what
nothing refers to any more.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import islice

from sqlalchemy import Delete, Engine, delete, select
from sqlalchemy.orm import Session

from sansface.errors import SansfaceError
from sansface.serve.database import DAY, now, reading
from sansface.serve.deletion import delete_bundle, delete_job
from sansface.serve.names import BUNDLES, CHECKPOINTS, RESULTS
from sansface.serve.store import PROBES, Store
from sansface.serve.tables import Bundle, Deletion, Event, Job, ResultFile, State, Token

EVENT_DAYS = 90.0
"""How long the audit log is kept."""
GRACE = DAY
"""Seconds that bytes without a row are left alone: theirs may be about to come."""
MARGIN = 2 * DAY
"""Seconds that deletions are remembered longer than backups are kept, for `backup expire` runs once a day."""
MOST_STRAYS = 100
"""So many objects without a row, or a tenth of all, are an accident: a store with another one's database."""
_BATCH = 500


@dataclass
class Swept:
    """How many of each were removed."""

    bundles: int = 0
    jobs: int = 0
    tokens: int = 0
    events: int = 0
    objects: int = 0
    """Without a row."""
    deletions: int = 0
    """Forgotten, for every backup from before has expired."""

    def __str__(self) -> str:
        return ", ".join(f"{getattr(self, field.name)} {field.name}" for field in fields(self))


def sweep(engine: Engine, store: Store, backup_days: float) -> Swept:
    """Remove what has expired, and bytes that no row names.

    Args:
        backup_days: how long backups are kept.

    Raises:
        SansfaceError: something could not be removed from the store; all else was.
    """
    swept = Swept()
    failed: list[SansfaceError] = []
    with Session(reading(engine)) as session:
        at = now(session)
        bundles = list(session.scalars(select(Bundle.id).where(Bundle.expires <= at)))
        jobs = list(session.scalars(select(Job.id).where(Job.expires <= at)))
    for id in bundles:
        with Session(engine) as session, _collected(failed):
            if (bundle := session.get(Bundle, id)) is not None:
                delete_bundle(session, store, bundle)
                swept.bundles += 1
    for id in jobs:
        with Session(engine) as session, _collected(failed):
            if (job := session.get(Job, id)) is not None:
                delete_job(session, store, job)
                swept.jobs += 1
    with Session(engine) as session, session.begin():
        swept.tokens = _removed(session, delete(Token).where(Token.expires <= at))
        swept.events = _removed(session, delete(Event).where(Event.at < at - EVENT_DAYS * DAY))
    with _collected(failed):
        for name in _orphans(engine, store):
            with _collected(failed):
                store.delete(name)
                swept.objects += 1
    with _collected(failed):
        store.tidy(time.time() - GRACE)
    with Session(engine) as session, session.begin():
        before = at - backup_days * DAY - MARGIN
        swept.deletions = _removed(session, delete(Deletion).where(Deletion.at < before))
    if failed:
        raise SansfaceError(
            f"{len(failed)} things could not be removed from the store, the first: {failed[0]}"
        )
    return swept


def _orphans(engine: Engine, store: Store) -> Iterator[str]:
    """Names of bytes that nothing refers to: of deleted ids at once, of others after a while.

    Raises:
        SansfaceError: the others are too many.
    """
    known = (name for folder in (BUNDLES, RESULTS, CHECKPOINTS, PROBES) for name in store.names(folder))
    total, strays = 0, []
    while batch := list(islice(known, _BATCH)):
        total += len(batch)
        wanted, deleted = _referred_to(engine, batch)
        for name in batch:
            if name in wanted:
                continue
            if _id(name) in deleted:
                yield name
            elif _is_old(store, name):
                strays.append(name)
    if len(strays) > max(MOST_STRAYS, total // 10):
        raise SansfaceError(
            f"{len(strays)} of {total} objects in the store belong to nothing in the database, and were left "
            "there; is it the right database? If it is, remove them by hand."
        )
    yield from strays


def _referred_to(engine: Engine, names: list[str]) -> tuple[set[str], set[str]]:
    """Which of these names rows refer to; which of the ids in them were deleted."""
    ids = {_id(name) for name in names}
    with Session(reading(engine)) as session, session.begin():
        deleted = set(session.scalars(select(Deletion.object_id).where(Deletion.object_id.in_(ids))))
        bundles = set(session.scalars(select(Bundle.id).where(Bundle.id.in_(ids))))
        open_still = Job.state.in_((State.QUEUED, State.RUNNING))
        rows = session.execute(select(Job.id, Job.attempt).where(Job.id.in_(ids), open_still))
        attempts = {id: attempt for id, attempt in rows}
        stored = set(session.scalars(select(ResultFile.stored).where(ResultFile.job_id.in_(ids))))

    def is_wanted(name: str) -> bool:
        folder, id, *rest = name.split("/")
        if folder == BUNDLES:
            return id in bundles and not rest
        if folder == CHECKPOINTS:
            return id in attempts
        running = attempts.get(id)  # a result that is committed, or may be yet
        return name in stored or (running is not None and rest[:1] == [running])

    return {name for name in names if is_wanted(name)}, deleted


def _id(name: str) -> str:
    return name.split("/")[1]


def _is_old(store: Store, name: str) -> bool:
    modified = store.modified(name)
    return modified is not None and modified < time.time() - GRACE


def _removed(session: Session, statement: Delete) -> int:
    return session.connection().execute(statement).rowcount


@contextmanager
def _collected(failed: list[SansfaceError]) -> Iterator[None]:
    """What the store refuses now must not keep the rest from being removed."""
    try:
        yield
    except SansfaceError as error:
        failed.append(error)
