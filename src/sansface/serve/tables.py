"""What the service remembers, as tables.

Ids are random, 128 bits in hexadecimal, so that none can be guessed and none says anything. Times are seconds
since 1970 by the database's own clock (`database.now`), so that hosts whose clocks differ agree. Bytes lie in
the store, encrypted, under the names that stand here.
"""

import secrets
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, Float, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


def new_id() -> str:
    """32 hexadecimal digits from the system's generator."""
    return secrets.token_hex(16)


class Base(DeclarativeBase):
    """All tables of the service."""


class Account(Base):
    """Who may use the service."""

    __tablename__ = "accounts"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    password: Mapped[str] = mapped_column(String(256))  # Argon2's encoded hash
    created: Mapped[float] = mapped_column(Float)
    disabled: Mapped[bool] = mapped_column(default=False)
    max_bytes: Mapped[int | None] = mapped_column(BigInteger)  # of bundles and results; None = the service's
    max_jobs: Mapped[int | None] = mapped_column(Integer)  # a day; None = the service's


class Token(Base):
    """What a client shows instead of a password; the database has its SHA-256 only."""

    __tablename__ = "tokens"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    secret: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[str] = mapped_column(String(200))  # words with spaces between them
    created: Mapped[float] = mapped_column(Float)
    expires: Mapped[float] = mapped_column(Float)


class Bundle(Base):
    """An upload that the door let in: `bundles/ID` in the store."""

    __tablename__ = "bundles"
    __table_args__ = (UniqueConstraint("account_id", "digest"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    digest: Mapped[str] = mapped_column(String(64))  # SHA-256 of the file
    size: Mapped[int] = mapped_column(BigInteger)
    about: Mapped[dict[str, Any]] = mapped_column(JSON)  # what may be shown: frames, resolution, operator …
    created: Mapped[float] = mapped_column(Float)
    expires: Mapped[float] = mapped_column(Float, index=True)


class State(StrEnum):
    """Of a job: queued → running → done; back to queued after a failure, and dead after too many."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    DEAD = "dead"
    CANCELLED = "cancelled"


class Job(Base):
    """A reconstruction to be done; one bundle with the same settings is one job, however often asked for.

    A lease is `worker` until `lease_until`; `attempt` is its fence: whoever holds an older one can neither
    report nor finish.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("bundle_id", "settings_digest"),
        Index("jobs_to_take", "state", "created"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    bundle_id: Mapped[str] = mapped_column(ForeignKey("bundles.id", ondelete="CASCADE"), index=True)
    settings: Mapped[dict[str, Any]] = mapped_column(JSON)  # preset, seed
    settings_digest: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16), default=State.QUEUED)
    attempts: Mapped[int] = mapped_column(Integer, default=0)  # begun so far
    failures: Mapped[int] = mapped_column(Integer, default=0)  # of them, that ended with a sentence
    attempt: Mapped[str | None] = mapped_column(String(32))
    worker: Mapped[str | None] = mapped_column(String(100))
    lease_until: Mapped[float | None] = mapped_column(Float)
    not_before: Mapped[float] = mapped_column(Float)  # of the next attempt: back-off
    progress: Mapped[dict[str, Any] | None] = mapped_column(JSON)  # done, note, seconds_left
    sentence: Mapped[str | None] = mapped_column(String(1000))  # why it failed
    created: Mapped[float] = mapped_column(Float)
    started: Mapped[float | None] = mapped_column(Float)
    finished: Mapped[float | None] = mapped_column(Float)
    expires: Mapped[float] = mapped_column(Float, index=True)


class ResultFile(Base):
    """A file of a finished job: `results/JOB/ATTEMPT/NAME` in the store."""

    __tablename__ = "result_files"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    stored: Mapped[str] = mapped_column(String(200))


class Event(Base):
    """The audit log: who did what to which object, by ids alone."""

    __tablename__ = "events"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    at: Mapped[float] = mapped_column(Float, index=True)
    account_id: Mapped[str | None] = mapped_column(String(32), index=True)
    action: Mapped[str] = mapped_column(String(40))
    object_id: Mapped[str | None] = mapped_column(String(64))
    outcome: Mapped[str] = mapped_column(String(40))


class Deletion(Base):
    """What was deleted, so that restoring a backup deletes it again; forgotten when all backups of it are."""

    __tablename__ = "deletions"

    object_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))  # account, bundle or job
    at: Mapped[float] = mapped_column(Float, index=True)
