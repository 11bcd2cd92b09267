"""Files of a result: to be saved, never to be run on our page's behalf."""

from itertools import chain
from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import StreamingResponse

from sansface.errors import SansfaceError
from sansface.serve.answers import Id
from sansface.serve.body import API
from sansface.serve.callers import Reader, owned
from sansface.serve.problems import documented, not_found
from sansface.serve.service import Here
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
def download_file(
    job_id: Id,
    name: Annotated[str, Path(max_length=100)],
    service: Here,
    caller: Reader,
) -> StreamingResponse:
    """Download a file of a result."""
    with service.reading() as session:
        owned(session, Job, job_id, caller.account_id)
        file = session.get(ResultFile, (job_id, name))
    if file is None:
        raise not_found()
    chunks = service.store.chunks(file.stored)
    try:
        first = next(chunks, b"")  # so that what is missing or damaged is told before the answer begins
    except SansfaceError as error:
        if isinstance(error.__cause__, FileNotFoundError):  # deleted since
            raise not_found() from error
        raise
    suffix = f".{file.name.rpartition('.')[2]}"
    return StreamingResponse(
        chain((first,), chunks),
        media_type=_TYPES.get(suffix, "application/octet-stream"),
        headers={
            "Content-Length": str(file.size),
            "Content-Disposition": f'attachment; filename="{file.name}"',
            "Content-Security-Policy": POLICY,
            "ETag": f'"{file.sha256}"',
        },
    )
