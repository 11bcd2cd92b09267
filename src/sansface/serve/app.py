"""The web process: the page, the API behind it, and nothing that reads a photograph or trains anything.

One process, for partial uploads are in its memory alone. Workers are other processes, which share the
database and the store with it.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
import anyio.to_thread
from fastapi import FastAPI

from sansface import __version__
from sansface.serve import answers, log, problems, retention, tokens
from sansface.serve.body import BoundedBodies
from sansface.serve.database import open_database
from sansface.serve.deployment import Deployment
from sansface.serve.downloads import Downloads
from sansface.serve.events import Watcher
from sansface.serve.headers import SecurityHeaders
from sansface.serve.limits import Buckets, Limits
from sansface.serve.log import RequestLog
from sansface.serve.metrics import Metrics
from sansface.serve.problems import documented
from sansface.serve.routes import account, bundles, files, health, jobs, page, uploads
from sansface.serve.routes import tokens as token_routes
from sansface.serve.service import Retention, Service
from sansface.serve.store import Store
from sansface.serve.uploads import Uploads

EXPIRE_SECONDS = 30.0
"""Between two looks for partial uploads that nobody goes on with."""
SWEEP_SECONDS = 300.0
"""Between two sweeps of what has expired in database and store, at least."""
SWEEP_SHARE = 20
"""A sweep of a large store takes long: so many times as long passes before the next."""

_ABOUT = """Send a protected bundle, get a head. All but signing in needs `Authorization: Bearer TOKEN`.
What belongs to another is 404, as if it were not there. Errors are one sentence: `{"detail": "…"}`."""


def create_app(
    deployment: Deployment, limits: Limits | None = None, retention: Retention | None = None
) -> FastAPI:
    """The service as an ASGI application; database and store are opened when it starts."""
    limits, kept, metrics = limits or Limits(), retention or Retention(), Metrics()

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        service = await anyio.to_thread.run_sync(_open, deployment, limits, kept, metrics)
        service.watcher.stopping = lambda: app.state.stopping()
        app.state.service = service
        tidying = [asyncio.create_task(_expire(service)), asyncio.create_task(_sweep(service))]
        yield
        for task in tidying:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await service.watcher.close()
        service.engine.dispose()

    app = FastAPI(
        title="sansface",
        version=__version__,
        description=_ABOUT,
        lifespan=life,
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.stopping = lambda: False
    for part in (token_routes, account, uploads, bundles, jobs, files):
        app.include_router(part.router, responses=documented(422, 429, 503))
    app.include_router(health.router)
    app.include_router(page.routes())
    problems.install(app)
    app.add_middleware(BoundedBodies, limits=limits)  # the last added is the outermost
    app.add_middleware(RequestLog, metrics=metrics)
    app.add_middleware(SecurityHeaders)
    return app


def _open(deployment: Deployment, limits: Limits, kept: Retention, metrics: Metrics) -> Service:
    engine, store = open_database(deployment.database), Store(deployment.store, deployment.key)

    def look(jobs: set[str], shown: set[str]):
        with service.reading() as session:
            return answers.watched(session, jobs), tokens.valid(session, shown)

    service = Service(
        engine=engine,
        store=store,
        limits=limits,
        retention=kept,
        metrics=metrics,
        buckets=Buckets(),
        uploads=Uploads(limits),
        downloads=Downloads(limits),
        watcher=Watcher(look, limits),
        doors=anyio.CapacityLimiter(limits.doors),
        passwords=anyio.CapacityLimiter(2),
    )
    return service


async def _expire(service: Service) -> None:
    while True:
        await asyncio.sleep(EXPIRE_SECONDS)
        service.uploads.expire()


async def _sweep(service: Service) -> None:
    while True:
        began = time.monotonic()
        try:
            await anyio.to_thread.run_sync(
                retention.sweep, service.engine, service.store, service.retention.backup_days
            )
            service.metrics.swept.labels("done").inc()
        except Exception as error:  # the database may be down for a while
            service.metrics.swept.labels("failed").inc()
            log.get().error("sweep", **log.failure(error))
        await asyncio.sleep(max(SWEEP_SECONDS, SWEEP_SHARE * (time.monotonic() - began)))
