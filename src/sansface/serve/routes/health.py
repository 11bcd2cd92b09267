"""Health and metrics, for the machine's own operator: only the machine itself may ask."""

import ipaddress
from typing import Any

import anyio
import anyio.to_thread
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import func, select

from sansface.serve import queue
from sansface.serve.answers import HealthAnswer
from sansface.serve.database import now
from sansface.serve.problems import Problem, documented
from sansface.serve.service import Here, Service
from sansface.serve.tables import Job, State


async def local(request: Request) -> None:
    """Raises Problem 404 for whoever asks from elsewhere."""
    try:
        here = request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        here = False
    if not here:
        raise Problem(404, "There is nothing at this address.")


router = APIRouter(tags=["operation"], dependencies=[Depends(local)])


@router.get(
    "/health",
    responses={503: {"model": HealthAnswer, "description": "Something beneath is down."}} | documented(404),
)
async def health(response: Response, service: Here) -> HealthAnswer:
    """Does everything beneath work? Only the machine itself may ask."""
    answer = HealthAnswer(status="ok", database="down", store="down", queue=None)
    try:
        answer.queue = await anyio.to_thread.run_sync(_counts, service)
        answer.database = "ok"
    except Exception:  # whatever it is: it is down
        pass
    try:
        await anyio.to_thread.run_sync(service.store.check)
        answer.store = "ok"
    except Exception:
        pass
    if answer.database != "ok" or answer.store != "ok":
        answer.status, response.status_code = "trouble", 503
    return answer


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses=documented(404, 503) | {200: {"description": "In Prometheus' text format."}},
)
def metrics(service: Here) -> Response:
    """Counts and durations for Prometheus. Only the machine itself may ask."""
    with service.reading() as session:
        jobs = queue.counts(session)
        oldest = session.scalar(select(func.min(Job.created)).where(Job.state == State.QUEUED))
        age = 0.0 if oldest is None else max(0.0, now(session) - oldest)
    text = service.metrics.text(jobs, age, service.uploads.reserved, len(service.watcher))
    return Response(text, media_type=CONTENT_TYPE_LATEST)


def _counts(service: Service) -> dict[str, Any]:
    with service.reading() as session:
        return queue.counts(session)
