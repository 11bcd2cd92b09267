"""The service as a process of its own, with accounts, for whoever loads or attacks it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mutated_bundles import sample_bundle
from sansface.protect.bundle import bundle_bytes, decode
from sansface.serve import tokens
from sansface.serve.database import now, open_database
from sansface.serve.tables import Account
from sansface.serve.tokens import Scope

KEY = "11" * 32
NO_RATES = tuple(
    f"{who}.{what}=1000000.0" for who in ("address", "account") for what in ("burst", "per_second")
)
"""Settings of a server that does not count how often somebody asks."""


@dataclass(frozen=True)
class Process:
    """A running server.

    Attributes:
        url: where it answers, without a slash at its end.
        folder: with its database and store.
        database: SQLAlchemy's URL.
        log: file with its lines of JSON.
        pid: of the process.
    """

    url: str
    folder: Path
    database: str
    log: Path
    pid: int

    def tokens(self, count: int, *scopes: Scope, hours: float = 1.0) -> list[str]:
        """Tokens of so many new accounts."""
        from sqlalchemy.orm import Session

        engine, made = open_database(self.database), []
        with Session(engine) as session, session.begin():
            for _ in range(count):
                account = Account(name=os.urandom(8).hex(), password="", created=now(session))
                session.add(account)
                session.flush()
                made.append(tokens.issue(session, account, frozenset(scopes or Scope), 3600 * hours)[1])
        engine.dispose()
        return made


@contextmanager
def process(
    folder: Path, settings: tuple[str, ...] = NO_RATES, database: str | None = None
) -> Iterator[Process]:
    """Run `sansface serve` until the block ends, by Ctrl-C then."""
    words = [word for setting in settings for word in ("--set", setting)]
    command = [sys.executable, "-m", "sansface", "serve", "--data", str(folder), "--port", "0", *words]
    environment = os.environ | {"SANSFACE_STORE_KEY": KEY}
    if database:
        environment["SANSFACE_DATABASE"] = database
    log = folder.with_name(f"{folder.name}.log")
    with log.open("w") as lines:
        server = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=lines, text=True, env=environment, start_new_session=True
        )
        assert server.stdout is not None
        with server.stdout:
            said = server.stdout.readline().split()
            if not said:
                raise RuntimeError(f"the server did not start: {log.read_text()[-500:]}")
            url = database or f"sqlite:///{(folder / 'service.db').absolute().as_posix()}"
            try:
                yield Process(said[0].rstrip("/"), folder, url, log, server.pid)
            finally:
                server.send_signal(signal.SIGINT)
                try:
                    server.wait(30)
                finally:
                    server.kill()
                    server.wait()


def bundles(count: int) -> list[bytes]:
    """So many different valid bundles."""
    first = decode(sample_bundle())
    return [bundle_bytes(replace(first, radius=1.0 + number / 1024)) for number in range(count)]
