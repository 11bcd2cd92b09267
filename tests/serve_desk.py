"""What the queue's tests submit jobs with, look at them, and let time pass."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from sansface.protect.bundle import bundle_bytes
from sansface.serve.database import now, open_database, reading
from sansface.serve.queue import Settings, cancel, submit, take
from sansface.serve.store import Store
from sansface.serve.tables import Account, Bundle, Job, ResultFile, new_id
from small import ball_bundle


def account_with_bundle(engine: Engine) -> tuple[str, str]:
    """Ids of a new account and its bundle."""
    with Session(engine) as session, session.begin():
        at = now(session)
        account = Account(id=new_id(), name=new_id(), password="", created=at)
        bundle = Bundle(
            id=new_id(),
            account_id=account.id,
            digest="",
            size=1,
            about={},
            created=at,
            expires=at + 1e6,
        )
        session.add(account)
        session.flush()
        session.add(bundle)
        return account.id, bundle.id


class Desk:
    """Submits jobs of one bundle, looks at them, and lets time pass."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.account, self.bundle = account_with_bundle(engine)

    def submit(self, seed: int = 0) -> tuple[str, bool]:
        with Session(self.engine) as session, session.begin():
            settings = Settings(seed=seed)
            job, made = submit(session, self.account, self.bundle, settings, now(session) + 1e6)
            return job.id, made

    def cancel(self, job_id: str) -> None:
        with Session(self.engine) as session, session.begin():
            cancel(session, session.get_one(Job, job_id))

    def job(self, job_id: str) -> Job:
        with Session(reading(self.engine)) as session:
            return session.get_one(Job, job_id)

    def files(self, job_id: str) -> list[str]:
        with Session(reading(self.engine)) as session:
            return list(session.scalars(select(ResultFile.name).where(ResultFile.job_id == job_id)))

    def expire(self, job_id: str) -> None:
        """As if no heartbeat had come for long."""
        with self.engine.begin() as connection:
            connection.execute(update(Job).where(Job.id == job_id).values(lease_until=0.0))

    def lose(self, job_id: str) -> None:
        """No heartbeat for long, and somebody saw it."""
        self.expire(job_id)
        with self.engine.begin() as connection:  # the others are not ready, so that none of them is taken
            connection.execute(update(Job).values(not_before=1e12))
        assert take(self.engine, "w", 60) is None

    def wait(self) -> None:
        """As if all pauses were over."""
        with self.engine.begin() as connection:
            connection.execute(update(Job).values(not_before=0.0))


KEY = "5a" * 32


class Service:
    """A database and a store with one bundle."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.engine = open_database(url)
        self.store = Store(str(folder / "store"), bytes.fromhex(KEY))
        self.desk = Desk(self.engine)
        self.store.put(f"bundles/{self.desk.bundle}", bundle_bytes(ball_bundle()))
        self.started: list[subprocess.Popen] = []
        self.environment = {  # of its workers
            "SANSFACE_DATABASE": url,
            "SANSFACE_STORE": str(folder / "store"),
            "SANSFACE_STORE_KEY": KEY,
        }

    def until(self, what: Callable[[], object], seconds: float = 240) -> None:
        end = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < end, f"not within {seconds:g} s"
            time.sleep(0.05)

    def objects(self, folder: str) -> list[str]:
        return list(self.store.names(folder))

    def result(self, job_id: str) -> dict[str, bytes]:
        with Session(reading(self.engine)) as session:
            rows = session.query(ResultFile).filter_by(job_id=job_id).all()
        return {row.name: self.store.get(row.stored) for row in rows}
