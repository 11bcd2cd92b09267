"""From a bundle's bytes to its row: judged in memory, encrypted into the store, then written down, once.

The bytes are in the store before the row is there, so that no row is without them. If the transaction fails,
they are taken away again; if even that fails, the retention sweep finds an object without a row.
"""

import hashlib
from contextlib import suppress

import anyio.to_thread
from sqlalchemy import select
from sqlalchemy.orm import Session

from sansface.errors import SansfaceError
from sansface.serve import door, log, names, quotas
from sansface.serve.answers import BundleAnswer, of_bundle
from sansface.serve.audit_log import record
from sansface.serve.database import DAY, now
from sansface.serve.problems import Problem, not_found
from sansface.serve.service import Service
from sansface.serve.tables import Bundle, new_id
from sansface.serve.uploads import Upload

REFUSED = "bundle.refused"
"""The action of the audit log."""


def known(session: Session, account_id: str, digest: str) -> Bundle | None:
    """The account's bundle of that SHA-256."""
    return session.scalar(select(Bundle).where(Bundle.account_id == account_id, Bundle.digest == digest))


async def take_in(service: Service, upload: Upload) -> tuple[BundleAnswer, bool]:
    """Let a bundle in, or not.

    Args:
        upload: all of it; if it is dropped meanwhile, nothing is kept.

    Returns:
        The bundle, and whether it is new.

    Raises:
        Problem: 422 refused by the door; 413 the account is full; 401 the account, 404 the upload is gone.
    """
    return await anyio.to_thread.run_sync(_take_in, service, upload, limiter=service.doors)


def refused(service: Service, account_id: str, digest: str, kind: str) -> None:
    """Write down that something was refused: its hash and a word, and nothing else of it.

    In the audit log, which is kept for long, so many a day of an account.
    """
    service.metrics.refused.labels(kind).inc()
    log.get().info("refused", kind=kind, sha256=digest, account=account_id)
    with service.writing() as session:
        if quotas.today(session, account_id, REFUSED) < service.limits.account_refusals:
            record(session, account_id, REFUSED, digest, kind)


def _take_in(service: Service, upload: Upload) -> tuple[BundleAnswer, bool]:
    if not service.uploads.holds(upload):  # dropped while it waited: it need not be copied and verified
        raise not_found()
    account_id, data = upload.account_id, bytes(upload.data)
    digest = hashlib.sha256(data).hexdigest()
    with service.reading() as session:
        if there := known(session, account_id, digest):
            return of_bundle(there), False
        quotas.check_bytes(session, account_id, service.limits, len(data))
    try:
        about = door.about(door.admit(data))
    except door.Refused as error:
        refused(service, account_id, digest, error.kind)
        raise Problem(422, str(error)) from None
    bundle = Bundle(id=new_id(), account_id=account_id, digest=digest, size=len(data), about=about)
    service.store.put(names.of_bundle(bundle.id), data)
    kept_id = None
    try:
        kept = _write_down(service, bundle, upload)
        kept_id = kept.id
    finally:
        if kept_id != bundle.id:
            _take_away(service, bundle.id)
    made = kept_id == bundle.id
    service.metrics.accepted.inc(made)
    return kept, made


def _write_down(service: Service, bundle: Bundle, upload: Upload) -> BundleAnswer:
    """The row; or the one that another request has written meanwhile."""
    with service.writing() as session:
        quotas.one_at_a_time(session, bundle.account_id)
        if not service.uploads.holds(upload):  # the account's data were deleted meanwhile
            raise not_found()
        if there := known(session, bundle.account_id, bundle.digest):
            return of_bundle(there)
        quotas.check_bytes(session, bundle.account_id, service.limits, bundle.size)
        bundle.created = now(session)
        bundle.expires = bundle.created + service.retention.days * DAY
        session.add(bundle)
        record(session, bundle.account_id, "bundle.accept", bundle.id)
        session.flush()
        return of_bundle(bundle)


def _take_away(service: Service, bundle_id: str) -> None:
    """The bytes of a bundle that has no row; a commit whose answer was lost may have made one."""
    with suppress(Exception):  # what stays is an object without a row, which the sweep removes
        with service.reading() as session:
            if session.get(Bundle, bundle_id) is not None:
                return
        with suppress(SansfaceError):
            service.store.delete(names.of_bundle(bundle_id))
