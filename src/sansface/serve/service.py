"""What all requests share: the database, the store, the limits and what is held in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import anyio
from fastapi import Depends, Request
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from sansface.serve.database import reading
from sansface.serve.downloads import Downloads
from sansface.serve.events import Watcher
from sansface.serve.limits import Buckets, Limits
from sansface.serve.metrics import Metrics
from sansface.serve.store import Store
from sansface.serve.uploads import Uploads


@dataclass(frozen=True)
class Retention:
    """How long things are kept, in days."""

    days: float = 30.0  # bundles, jobs and results, from the upload on
    backup_days: float = 30.0  # the longest that a backup is kept, which is how long deletions are remembered


@dataclass(frozen=True, eq=False)
class Service:
    """One running server."""

    engine: Engine
    store: Store
    limits: Limits
    retention: Retention
    metrics: Metrics
    buckets: Buckets
    uploads: Uploads
    downloads: Downloads
    watcher: Watcher
    doors: anyio.CapacityLimiter  # threads that verify bundles
    passwords: anyio.CapacityLimiter  # threads that hash passwords: 64 MiB each

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction, committed at the end of the block."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that changes nothing."""
        with Session(reading(self.engine), expire_on_commit=False) as session, session.begin():
            yield session


async def of(request: Request) -> Service:  # async, or it would cost each request a thread
    return request.app.state.service


Here = Annotated[Service, Depends(of)]
