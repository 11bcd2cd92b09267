"""Files of a result: to be saved, never to be run on our page's behalf."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Path
from fastapi.responses import StreamingResponse

from sansface.errors import SansfaceError
from sansface.serve.answers import PLAIN, Id
from sansface.serve.body import API
from sansface.serve.callers import Reader, owned
from sansface.serve.long_answer import LongAnswer
from sansface.serve.problems import documented, not_found
from sansface.serve.service import Here, Service
from sansface.serve.tables import Job, ResultFile

router = APIRouter(prefix=f"{API}/jobs", tags=["jobs"])

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; sandbox"
"""Whatever a file holds, it can do nothing, and has no origin, where a browser shows it after all."""
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".png": "image/png",
    ".ply": "application/octet-stream",
}


@router.get(
    "/{job_id}/files/{name:path}",
    response_class=StreamingResponse,
    responses=documented(401, 403, 404)
    | {
        200: {
            "description": "The file.",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def download_file(
    job_id: Id,
    name: Annotated[str, Path(max_length=100, pattern=PLAIN)],
    service: Here,
    caller: Reader,
) -> StreamingResponse:
    """Download a file of a result."""
    with ExitStack() as stack:
        stack.enter_context(service.downloads.one(caller.account_id))
        file = await anyio.to_thread.run_sync(_file, service, job_id, name, caller.account_id)
        chunks = service.store.chunks(file.stored)
        stack.callback(chunks.close)
        first = await anyio.to_thread.run_sync(_first, chunks)
        suffix = f".{file.name.rpartition('.')[2]}"
        return LongAnswer(
            chain((first,), chunks),
            service.limits.answer_stall,
            stack.pop_all().close,
            media_type=_TYPES.get(suffix, "application/octet-stream"),
            headers={
                "Content-Length": str(file.size),
                "Content-Disposition": f'attachment; filename="{file.name}"',
                "Content-Security-Policy": POLICY,
                "ETag": f'"{file.sha256}"',
            },
        )


def _file(service: Service, job_id: str, name: str, account_id: str) -> ResultFile:
    with service.reading() as session:
        owned(session, Job, job_id, account_id)
        file = session.get(ResultFile, (job_id, name))
    if file is None:
        raise not_found()
    return file


def _first(chunks: Iterator[bytes]) -> bytes:
    """Read before the answer begins, so that what is missing or damaged is told."""
    try:
        return next(chunks, b"")
    except SansfaceError as error:
        if isinstance(error.__cause__, FileNotFoundError):  # deleted since
            raise not_found() from error
        raise
