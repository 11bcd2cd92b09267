"""A real server on a free port in a thread of the test's own process, so that tests can look inside."""

import hashlib
import secrets
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import httpx
import uvicorn
from fastapi import FastAPI

from conftest import BALL_CENTER, BALL_RADIUS, make_tiny_capture
from sansface.formats.transforms_json import read_transforms_json
from sansface.protect.bundle import bundle_bytes
from sansface.protect.contents import Bundle
from sansface.protect.pipeline import ProtectSettings, protect
from sansface.serve import tokens
from sansface.serve.accounts import hashed
from sansface.serve.app import create_app
from sansface.serve.connection import Connection
from sansface.serve.database import now
from sansface.serve.deployment import Deployment
from sansface.serve.limits import Limits, Rate
from sansface.serve.queue import Settings, StoredFile, finish, submit, take
from sansface.serve.service import Service
from sansface.serve.tables import Account
from sansface.serve.tables import Bundle as BundleRow
from sansface.serve.tokens import Scope

PASSWORD = "correct horse battery staple"
FAST = Rate(1e6, 1e6)
EASY = Limits(address=FAST, account=FAST, login_address=FAST, login_name=FAST, account_jobs=100_000)
"""Limits that tests of other things do not meet."""


@cache
def password_hash() -> str:
    return hashed(PASSWORD)  # takes a tenth of a second


@dataclass(frozen=True)
class Person:
    """An account with a token and a client that shows it."""

    id: str
    name: str
    token: str
    client: httpx.Client


@dataclass(frozen=True)
class Site:
    """A running server."""

    url: str
    folder: Path
    service: Service
    app: FastAPI
    _clients: list[httpx.Client] = field(default_factory=list)

    def person(self, *scopes: Scope, seconds: float = 3600.0, of: Person | None = None) -> Person:
        """A new account, or another token of one that there is; all scopes if none are said."""
        with self.service.writing() as session:
            if of is None:
                name = f"person-{secrets.token_hex(4)}"
                account = Account(name=name, password=password_hash(), created=now(session))
                session.add(account)
                session.flush()
            else:
                account = session.get_one(Account, of.id)
            _, secret = tokens.issue(session, account, frozenset(scopes or Scope), seconds)
            return Person(account.id, account.name, secret, self.client(secret))

    def client(self, token: str | None = None) -> httpx.Client:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        # There is no TLS here; reading the list of authorities takes longer than a request.
        client = httpx.Client(base_url=f"{self.url}/api/v1", headers=headers, timeout=120, verify=False)
        self._clients.append(client)
        return client

    def close(self) -> None:
        """End all clients' connections."""
        for client in self._clients:
            client.close()

    def stored(self) -> list[str]:
        """Names of all objects in the store."""
        return [name for name in self.service.store.names() if not name.startswith("health/")]

    def finished_job(
        self, person: Person, data: bytes | None = None, mesh: bytes | None = None
    ) -> tuple[str, str, str]:
        """A bundle and a job of it that a worker has finished: ids of both, and the name of its file."""
        answer = person.client.post("/bundles", content=a_bundle() if data is None else data)
        assert answer.status_code in (200, 201), answer.text
        bundle = answer.json()["id"]
        with self.service.writing() as session:
            expires = session.get_one(BundleRow, bundle).expires
            job, _ = submit(session, person.id, bundle, Settings(), expires)
            job.created = 0.0  # so that it is the next one
            job_id = job.id
        lease = take(self.service.engine, "test", 60)
        assert lease is not None
        assert lease.job_id == job_id
        mesh = mesh or b"ply\n" + secrets.token_bytes(100)
        stored = f"results/{job_id}/{lease.attempt}/mesh.ply"
        self.service.store.put(stored, mesh)
        file = StoredFile("mesh.ply", len(mesh), hashlib.sha256(mesh).hexdigest(), stored)
        assert finish(self.service.engine, lease, [file])
        return bundle, job_id, "mesh.ply"


@cache
def a_bundle(number: int = 0) -> bytes:
    """A valid bundle of a protected ball; each number gives another one."""
    return bundle_bytes(replace(_ball(), radius=1.0 + number / 1024))


@cache
def _ball() -> Bundle:
    with tempfile.TemporaryDirectory() as folder:
        capture = read_transforms_json(make_tiny_capture(Path(folder) / "capture", size=48))
        settings = ProtectSettings(resolution=24, center=tuple(BALL_CENTER), radius=1.6 * BALL_RADIUS)
        return protect(capture, settings)


@contextmanager
def running(folder: Path, limits: Limits = EASY, database: str | None = None) -> Iterator[Site]:
    """Serve from a folder until the block ends."""
    url = database or f"sqlite:///{(folder / 'service.db').as_posix()}"
    app = create_app(Deployment(url, str(folder / "store"), bytes(32)), limits)
    with serving(app) as url:
        site = Site(url, folder, app.state.service, app)
        yield site
        site.close()


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Serve an application until the block ends; gives its URL. `app.state.server` is the server."""
    config = uvicorn.Config(
        app,
        http=Connection,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)
    app.state.server, app.state.stopping = server, lambda: server.should_exit
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        until(lambda: server.started or not thread.is_alive())
        assert server.started
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(120)
    assert not thread.is_alive()


def until(is_so: Callable[[], object], seconds: float = 120.0) -> None:
    """Wait for something that happens soon."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
