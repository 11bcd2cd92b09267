"""Rows and bytes of the service's tests: accounts with bundles and jobs in every state."""

import hashlib
import time
from dataclasses import dataclass

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from sansface.serve import deletion
from sansface.serve.store import Store
from sansface.serve.tables import Account, Base, Bundle, Event, Job, ResultFile, State, Token

KEY = bytes(range(32))
DAY = 24 * 3600.0


@dataclass(frozen=True)
class Made:
    """What one account has, by ids."""

    account: str
    bundles: list[str]
    jobs: list[str]
    """Of each bundle: done with two files, running, queued."""


def make(engine: Engine, store: Store, name: str, bundles: int = 2, expires: float | None = None) -> Made:
    """An account with bundles, each with a job that is done, one that runs and one that waits."""
    at = time.time()
    until = at + 30 * DAY if expires is None else expires
    made = Made("", [], [])
    with Session(engine) as session, session.begin():
        account = Account(name=name, password="hash of " + name, created=at)
        session.add(account)
        session.flush()
        session.add(Token(account_id=account.id, secret=name, scopes="read", created=at, expires=until))
        session.add(Event(at=at, account_id=account.id, action="account.new", outcome="done"))
        for number in range(bundles):
            data = f"bundle {number} of {name}".encode() * 100
            bundle = Bundle(
                account_id=account.id,
                digest=_digest(data),
                size=len(data),
                about={"frames": 30, "share": 0.1 + number},
                created=at,
                expires=until,
            )
            session.add(bundle)
            session.flush()
            store.put(f"bundles/{bundle.id}", data)
            made.bundles.append(bundle.id)
            for state in (State.DONE, State.RUNNING, State.QUEUED):
                attempt = None if state == State.QUEUED else f"attempt-{state}"
                job = Job(
                    account_id=account.id,
                    bundle_id=bundle.id,
                    settings={"preset": "fast", "seed": 0},
                    settings_digest=state,
                    state=state,
                    attempt=attempt,
                    not_before=at,
                    created=at,
                    expires=until,
                )
                session.add(job)
                session.flush()
                made.jobs.append(job.id)
                if state == State.DONE:
                    for file in ("mesh.ply", "report.html"):
                        content = f"{file} of {name} {number}".encode()
                        stored = f"results/{job.id}/{attempt}/{file}"
                        store.put(stored, content)
                        result = ResultFile(
                            job_id=job.id,
                            name=file,
                            size=len(content),
                            sha256=_digest(content),
                            stored=stored,
                        )
                        session.add(result)
                else:
                    store.put(f"checkpoints/{job.id}/stage1.safetensors", b"checkpoint of " + name.encode())
                if state == State.RUNNING:
                    store.put(f"results/{job.id}/{attempt}/mesh.ply", b"not committed yet")
        return Made(account.id, made.bundles, made.jobs)


def delete_bundle(engine: Engine, store: Store, id: str) -> None:
    """As its owner does."""
    with Session(engine) as session, session.begin():
        bundle = session.get(Bundle, id)
        assert bundle is not None
        deletion.delete_bundle(session, store, bundle)


def rows(engine: Engine) -> dict[str, list[dict]]:
    """All rows of all tables but the deletions, in order."""
    found = {}
    with engine.connect() as connection:
        for table in Base.metadata.sorted_tables:
            order = list(table.primary_key)
            found[table.name] = [
                dict(row) for row in connection.execute(select(table).order_by(*order)).mappings()
            ]
    return found


def count(engine: Engine) -> dict[str, int]:
    """How many rows each table has."""
    return {name: len(each) for name, each in rows(engine).items()}


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
