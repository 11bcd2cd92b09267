"""Uploads in pieces, which can be resumed: in memory until the door has judged the whole."""

from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Header, Path, Request, Response
from pydantic import Field
from starlette.requests import ClientDisconnect

from sansface.protect.bundle import MAX_BYTES
from sansface.serve.answers import WHOLE, Asked, BegunAnswer, Digest, Elsewhere, Id, SentAnswer, UploadAnswer
from sansface.serve.body import API
from sansface.serve.callers import Sender
from sansface.serve.intake import known, refused, take_in
from sansface.serve.problems import Problem, documented
from sansface.serve.service import Here, Service
from sansface.serve.uploads import Upload

router = APIRouter(prefix=f"{API}/uploads", tags=["uploads"])

UploadId = Annotated[Id, Path()]


class Declared(Asked):
    """What will be sent."""

    size: Annotated[int, Field(ge=1, le=MAX_BYTES, description="Bytes."), WHOLE]
    sha256: Digest
    key: Annotated[
        Id | None,
        Field(description="Of your choosing, drawn at random: begun again by it, it is the same upload."),
    ] = None


@router.post(
    "",
    status_code=201,
    responses={200: {"model": BegunAnswer, "description": "The account has that very bundle already."}}
    | documented(401, 403, 413),
)
async def begin_upload(asked: Declared, response: Response, service: Here, caller: Sender) -> BegunAnswer:
    """Begin an upload, unless the account has the very bundle already.

    Where the answer was lost, ask again by the same key, and go on from the offset. Fifteen minutes without a
    byte end it.
    """
    there = await anyio.to_thread.run_sync(_known, service, caller.account_id, asked.sha256)
    if there is not None:
        response.status_code = 200
        return BegunAnswer(id=None, offset=asked.size, bundle=there)
    upload = service.uploads.begin(caller.account_id, asked.size, asked.sha256, asked.key)
    return BegunAnswer(id=upload.id, offset=len(upload.data), bundle=None)


def _known(service: Service, account_id: str, digest: str) -> str | None:
    with service.reading() as session:
        bundle = known(session, account_id, digest)
        return None if bundle is None else bundle.id


@router.patch(
    "/{upload_id}",
    openapi_extra={
        "requestBody": {
            "required": False,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
    responses=documented(401, 403, 404, 408, 413, 507)
    | {409: {"model": Elsewhere, "description": "The upload goes on at another offset."}},
)
async def send_piece(
    upload_id: UploadId,
    request: Request,
    service: Here,
    caller: Sender,
    upload_offset: Annotated[int, Header(ge=0, le=1 << 40, description="Where these bytes belong.")],
) -> SentAnswer:
    """Send the next bytes, as many as you like.

    The last ones' answer has the bundle, or says why it is refused.
    """
    upload = service.uploads.get(upload_id, caller.account_id)
    turn = service.uploads.take_turn(upload, upload_offset)
    try:
        async for piece in request.stream():
            service.uploads.append(upload, turn, piece)
    except ClientDisconnect:  # what has come stays, to go on from
        return SentAnswer(offset=len(upload.data), bundle=None)
    except Problem as problem:
        if problem.status_code == 413:
            await _refuse(service, upload, "size")
        raise
    if not upload.whole or upload.judged:
        return SentAnswer(offset=len(upload.data), bundle=None)
    return await _judge(service, upload)


async def _judge(service: Service, upload: Upload) -> SentAnswer:
    """Let the whole of it in. It is forgotten, unless the service failed: then its end can be sent again."""
    with service.uploads.judging(upload):
        try:
            if not await anyio.to_thread.run_sync(service.uploads.matches, upload):
                await _refuse(service, upload, "sha256")
                raise Problem(
                    422, "The bytes do not have the SHA-256 that was declared; send the file again."
                )
            bundle, _ = await take_in(service, upload)
        except Problem as problem:
            if problem.status_code < 500:
                service.uploads.drop(upload)
            raise
    service.uploads.drop(upload)
    return SentAnswer(offset=upload.size, bundle=bundle)


async def _refuse(service: Service, upload: Upload, kind: str) -> None:
    service.uploads.drop(upload)
    await anyio.to_thread.run_sync(refused, service, upload.account_id, upload.sha256, kind)


@router.get("/{upload_id}", responses=documented(401, 403, 404))
async def show_upload(upload_id: UploadId, service: Here, caller: Sender) -> UploadAnswer:
    """How far an upload is: where to go on after a closed lid."""
    upload = service.uploads.get(upload_id, caller.account_id)
    return UploadAnswer(offset=len(upload.data), size=upload.size)


@router.delete("/{upload_id}", status_code=204, responses=documented(401, 403, 404))
async def delete_upload(upload_id: UploadId, service: Here, caller: Sender) -> None:
    """Break off an upload; what was sent is forgotten."""
    service.uploads.drop(service.uploads.get(upload_id, caller.account_id))
