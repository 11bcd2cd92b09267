"""Jobs: ask for a reconstruction, follow it, cancel it, delete it."""

from functools import partial
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse
from pydantic import Field
from sqlalchemy import select

from sansface.errors import SansfaceError
from sansface.reconstruct.config import PRESETS
from sansface.serve import deletion, queue, quotas
from sansface.serve.answers import MOST, WHOLE, Asked, Id, JobAnswer, of_job, of_jobs
from sansface.serve.audit_log import record
from sansface.serve.body import API
from sansface.serve.callers import Deleter, Reader, Sender, owned
from sansface.serve.long_answer import LongAnswer
from sansface.serve.problems import Problem, documented, said_if_bytes_stay
from sansface.serve.queue import Settings
from sansface.serve.service import Here, Service
from sansface.serve.tables import Bundle, Job

router = APIRouter(prefix=f"{API}/jobs", tags=["jobs"])


_EVENT = {
    "type": "object",
    "properties": {"event": {"enum": ["job", "gone", "expired"]}, "data": {"type": "string"}},
}


class Wanted(Asked):
    """Of which bundle, and how."""

    bundle: Id
    preset: str = Field(default=Settings.preset, json_schema_extra={"enum": [*PRESETS]})
    seed: Annotated[int, Field(ge=0, lt=2**32), WHOLE] = Settings.seed


@router.post(
    "",
    status_code=201,
    responses={200: {"model": JobAnswer, "description": "That very job was there already."}}
    | documented(401, 403, 404, 413),
)
def submit_job(asked: Wanted, response: Response, service: Here, caller: Sender) -> JobAnswer:
    """Ask for a reconstruction.

    The same bundle with the same settings is the same job; one that failed or was cancelled is tried again.
    """
    try:
        settings = Settings(asked.preset, asked.seed)
    except SansfaceError as error:
        raise Problem(422, f"{str(error)[:1].upper()}{str(error)[1:]}") from None
    with service.writing() as session:
        quotas.one_at_a_time(session, caller.account_id)
        bundle = owned(session, Bundle, asked.bundle, caller.account_id)
        job, made = queue.submit(session, caller.account_id, bundle.id, settings, bundle.expires)
        if made:
            quotas.check_jobs(session, caller.account_id, service.limits)
            quotas.check_bytes(session, caller.account_id, service.limits, 1)  # of a result nobody knows yet
            record(session, caller.account_id, quotas.NEW_JOB, job.id)
        response.status_code = 201 if made else 200
        session.flush()
        return of_job(session, job)


@router.get("", responses=documented(401, 403))
def list_jobs(service: Here, caller: Reader) -> list[JobAnswer]:
    """The account's jobs, the newest first, at most 1000."""
    with service.reading() as session:
        own = select(Job).where(Job.account_id == caller.account_id)
        return of_jobs(session, session.scalars(own.order_by(Job.created.desc()).limit(MOST)))


@router.get("/{job_id}", responses=documented(401, 403, 404))
def show_job(job_id: Id, service: Here, caller: Reader) -> JobAnswer:
    """A job, how far it is, and the files of its result."""
    with service.reading() as session:
        return of_job(session, owned(session, Job, job_id, caller.account_id))


@router.post("/{job_id}/cancel", responses=documented(401, 403, 404))
def cancel_job(job_id: Id, service: Here, caller: Sender) -> JobAnswer:
    """Cancel a job that waits or runs; one that is over stays as it is."""
    with service.writing() as session:
        job = owned(session, Job, job_id, caller.account_id)
        if queue.cancel(session, job):
            record(session, caller.account_id, "job.cancel", job_id)
        return of_job(session, job)


@router.delete("/{job_id}", status_code=204, responses=documented(401, 403, 404))
def delete_job(job_id: Id, service: Here, caller: Deleter) -> None:
    """Delete a job and its result. The bundle stays."""
    with service.writing() as session, said_if_bytes_stay():
        job = owned(session, Job, job_id, caller.account_id)
        record(session, caller.account_id, "job.delete", job_id)
        deletion.delete_job(session, service.store, job)


@router.get(
    "/{job_id}/events",
    response_class=StreamingResponse,
    responses=documented(401, 403, 404)
    | {
        200: {
            "description": "Server-sent events: `job`, whose data is the job, whenever it changes; "
            "`gone` when it is deleted; `expired` when the token is no longer valid. "
            "It ends when the job is over.",
            "content": {"text/event-stream": {"schema": _EVENT}},
        }
    },
)
async def follow_job(job_id: Id, service: Here, caller: Reader) -> StreamingResponse:
    """Follow a job until it is over."""
    await anyio.to_thread.run_sync(_check, service, job_id, caller.account_id)
    stream = service.watcher.open(caller.account_id, caller.token_id, job_id)
    return LongAnswer(
        service.watcher.told(stream),
        service.limits.answer_stall,
        partial(service.watcher.leave, stream),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},
    )


def _check(service: Service, job_id: str, account_id: str) -> None:
    with service.reading() as session:
        owned(session, Job, job_id, account_id)
