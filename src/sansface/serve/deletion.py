"""Deletion: rows and bytes together, so that nothing that a person deleted can be read again.

First one transaction removes the rows and notes each id in `deletions`: from then on no route finds
anything. Then the bytes go, with every version that the store kept. Who is killed in between leaves bytes
that no row names, and the next sweep removes whatever belongs to an id in `deletions`, at once
(`retention.py`); so do what a worker still writes that has not heard of it yet. A backup keeps what was
deleted until it expires, and when one is restored the ids in `deletions` are left out (`backup.py`). The
audit log keeps ids, which by then name nothing.

Each function here **commits the session's transaction**: call it last.
"""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session

from sansface.errors import SansfaceError
from sansface.serve import names
from sansface.serve.database import now
from sansface.serve.store import Store
from sansface.serve.tables import Account, Bundle, Deletion, Job, ResultFile, Token


def delete_bundle(session: Session, store: Store, bundle: Bundle) -> None:
    """Delete a bundle, its jobs and their results.

    Raises:
        SansfaceError: the rows are gone, but the store failed; the next sweep removes the bytes.
    """
    _delete(session, store, bundle.account_id, Bundle.id == bundle.id, Job.bundle_id == bundle.id)


def delete_job(session: Session, store: Store, job: Job) -> None:
    """Delete a job, its result and its checkpoints; the bundle stays.

    Raises:
        SansfaceError: the rows are gone, but the store failed; the next sweep removes the bytes.
    """
    _delete(session, store, job.account_id, None, Job.id == job.id)


def delete_everything(session: Session, store: Store, account_id: str) -> None:
    """Delete all that an account sent or had made; the account stays.

    Raises:
        SansfaceError: the rows are gone, but the store failed; the next sweep removes the bytes.
    """
    _delete(session, store, account_id, Bundle.account_id == account_id, Job.account_id == account_id)


def delete_account(session: Session, store: Store, account_id: str) -> None:
    """Delete an account with all that it sent or had made.

    Raises:
        SansfaceError: the rows are gone, but the store failed; the next sweep removes the bytes.
    """
    own = Bundle.account_id == account_id, Job.account_id == account_id
    _delete(session, store, account_id, *own, account=True)


def forget(store: Store, bundles: Iterable[str], jobs: Iterable[str]) -> None:
    """Remove the bytes of these ids; all of them are tried.

    Raises:
        SansfaceError: some could not be removed.
    """
    failed = None
    for remove, name in [
        *((store.delete, names.of_bundle(bundle)) for bundle in bundles),
        *((store.delete_under, of(job)) for job in jobs for of in (names.of_results, names.of_checkpoints)),
    ]:
        try:
            remove(name)
        except SansfaceError as error:
            failed = failed or error
    if failed is not None:
        raise failed


def _delete(
    session: Session,
    store: Store,
    account_id: str,
    which_bundles: ColumnElement[bool] | None,
    which_jobs: ColumnElement[bool],
    account: bool = False,
) -> None:
    # One deletion of an account at a time: two of the same would note the same id twice.
    accounts = list(session.scalars(select(Account.id).where(Account.id == account_id).with_for_update()))
    bundles: list[str] = []
    if which_bundles is not None:
        bundles = list(session.scalars(select(Bundle.id).where(which_bundles).with_for_update()))
    jobs = list(session.scalars(select(Job.id).where(which_jobs).with_for_update()))
    at = now(session)
    noted = [("account", accounts if account else []), ("bundle", bundles), ("job", jobs)]
    session.add_all(Deletion(object_id=id, kind=kind, at=at) for kind, ids in noted for id in ids)
    session.execute(delete(ResultFile).where(ResultFile.job_id.in_(select(Job.id).where(which_jobs))))
    session.execute(delete(Job).where(which_jobs))
    if which_bundles is not None:
        session.execute(delete(Bundle).where(which_bundles))
    if account:
        session.execute(delete(Token).where(Token.account_id == account_id))
        session.execute(delete(Account).where(Account.id == account_id))
    session.commit()
    forget(store, bundles, jobs)
