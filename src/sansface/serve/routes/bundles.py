"""Bundles: send one in one go, look at them, delete them with all that was made of them."""

from typing import Any

from fastapi import APIRouter, Request, Response
from sqlalchemy import select

from sansface.serve import deletion
from sansface.serve.answers import MOST, BundleAnswer, Id, of_bundle
from sansface.serve.audit_log import record
from sansface.serve.body import API
from sansface.serve.callers import Deleter, Reader, Sender, owned
from sansface.serve.intake import take_in
from sansface.serve.problems import Problem, documented, said_if_bytes_stay
from sansface.serve.service import Here
from sansface.serve.tables import Bundle

router = APIRouter(prefix=f"{API}/bundles", tags=["bundles"])

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post(
    "",
    status_code=201,
    openapi_extra=_BODY,
    responses={200: {"model": BundleAnswer, "description": "The account had that very bundle already."}}
    | documented(401, 403, 408, 413, 507),
)
async def send_bundle(request: Request, response: Response, service: Here, caller: Sender) -> BundleAnswer:
    """Send a bundle in one go."""
    declared = request.headers.get("content-length")
    room = service.uploads.begin(
        caller.account_id, int(declared) if declared else service.limits.bundle_bytes, ""
    )
    turn = service.uploads.take_turn(room, 0)
    try:
        async for piece in request.stream():
            service.uploads.append(room, turn, piece)
        if not room.data:
            raise Problem(422, "The request has no body; send a bundle, a file .sfb.")
        with service.uploads.judging(room):
            bundle, made = await take_in(service, room)
    finally:
        service.uploads.drop(room)
    response.status_code = 201 if made else 200
    return bundle


@router.get("", responses=documented(401, 403))
def list_bundles(service: Here, caller: Reader) -> list[BundleAnswer]:
    """The account's bundles, the newest first, at most 1000."""
    with service.reading() as session:
        own = select(Bundle).where(Bundle.account_id == caller.account_id)
        return [
            of_bundle(bundle) for bundle in session.scalars(own.order_by(Bundle.created.desc()).limit(MOST))
        ]


@router.get("/{bundle_id}", responses=documented(401, 403, 404))
def show_bundle(bundle_id: Id, service: Here, caller: Reader) -> BundleAnswer:
    """A bundle."""
    with service.reading() as session:
        return of_bundle(owned(session, Bundle, bundle_id, caller.account_id))


@router.delete("/{bundle_id}", status_code=204, responses=documented(401, 403, 404))
def delete_bundle(bundle_id: Id, service: Here, caller: Deleter) -> None:
    """Delete a bundle, its jobs and their results."""
    with service.writing() as session, said_if_bytes_stay():
        bundle = owned(session, Bundle, bundle_id, caller.account_id)
        record(session, caller.account_id, "bundle.delete", bundle_id)
        deletion.delete_bundle(session, service.store, bundle)
