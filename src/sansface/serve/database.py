"""The service's database: SQLite for one machine, PostgreSQL for several, the same tables in both.

Transactions are short everywhere. On SQLite each one locks for writing as it begins, so that none that has
read already finds the file locked when it wants to write; those of the engine that `reading` gives do not.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, func, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.orm import Session

from sansface.errors import SansfaceError
from sansface.extras import require

MIGRATIONS = Path(__file__).with_name("migrations")

DAY = 24 * 3600.0
"""In what `now` counts."""
BUSY_SECONDS = 30
"""How long a transaction waits for another one's lock, on SQLite."""

_MIGRATING = 0x5A45FACE
"""PostgreSQL's advisory lock that is held while tables are made or changed."""

_NOTICE_DEATH = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
"""PostgreSQL's own options: that a host vanished without a word is noticed in half a minute."""


def open_database(url: str) -> Engine:
    """Connect, and make or change the tables to this version's, however many processes start at once.

    url: SQLAlchemy's, such as sqlite:////var/lib/sansface/service.db or postgresql://user@host/name.

    Raises:
        SansfaceError: not such a URL, a missing driver, a database that cannot be reached or used.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise SansfaceError(
            "the database's URL makes no sense; write sqlite:///PATH or postgresql://USER@HOST/NAME."
        ) from error
    match parsed.get_backend_name():
        case "sqlite":
            engine = _sqlite(parsed)
        case "postgresql":
            require("psycopg", extra="postgresql")
            engine = create_engine(
                parsed.set(drivername="postgresql+psycopg"),
                pool_pre_ping=True,  # after a restart of the database the pool's connections are dead
                pool_size=10,
                max_overflow=20,
                connect_args=_NOTICE_DEATH,
            )
        case other:
            raise SansfaceError(f"a database of the kind {other} is not supported; use sqlite or postgresql.")
    try:
        migrate(engine)
    except DBAPIError as error:
        engine.dispose()
        # The driver's own words may hold host, user and path; its class says what is wrong.
        raise SansfaceError(
            f"the database cannot be used ({type(error.orig).__name__}); is it there, and is its URL right?"
        ) from error
    return engine


def _sqlite(url: URL) -> Engine:
    if not url.database or url.database == ":memory:":
        raise SansfaceError("SQLite needs a file that all processes share; write sqlite:///PATH.")
    with suppress(OSError):  # connecting says it better
        os.close(os.open(url.database, os.O_CREAT | os.O_RDWR, 0o600))  # holds password hashes
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def connected(connection: Any, record: object) -> None:
        connection.isolation_level = None  # the driver begins no transaction by itself: below we do
        for pragma in (
            f"busy_timeout = {1000 * BUSY_SECONDS}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "secure_delete = ON",  # what is deleted is overwritten
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reads = connection.get_execution_options().get("reading", False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def reading(engine: Engine) -> Engine:
    """The same database for transactions that only read: on SQLite they wait for nobody."""
    return engine.execution_options(reading=True)


def migrate(engine: Engine) -> None:
    """Bring the tables to this version's, in one transaction; one process after another."""
    config = Config()
    config.set_main_option("script_location", MIGRATIONS.as_posix().replace("%", "%%"))
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(_MIGRATING)))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def now(session: Session) -> float:
    """Seconds since 1970 by the database's clock, which all hosts share."""
    if session.get_bind().dialect.name == "sqlite":
        return float(session.scalar(text("SELECT (julianday('now') - 2440587.5) * 86400.0")))  # type: ignore[arg-type]
    return float(session.scalar(text("SELECT extract(epoch FROM clock_timestamp())")))  # type: ignore[arg-type]
