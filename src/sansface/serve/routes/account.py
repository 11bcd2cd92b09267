"""The caller's own account: what it uses, its password, and the end of everything."""

import anyio.to_thread
from fastapi import APIRouter
from pydantic import Field

from sansface.serve import accounts, deletion, quotas
from sansface.serve.accounts import LEAST_PASSWORD, MOST_PASSWORD
from sansface.serve.answers import AccountAnswer, Asked
from sansface.serve.audit_log import record
from sansface.serve.body import API
from sansface.serve.callers import Deleter, Keeper, Leaver, Reader, signed_out, spend
from sansface.serve.problems import Problem, documented, said_if_bytes_stay
from sansface.serve.service import Here, Service
from sansface.serve.tables import Account
from sansface.serve.tokens import Caller

router = APIRouter(prefix=f"{API}/account", tags=["account"])


class NewPassword(Asked):
    """The old one, and the one to be."""

    old: str = Field(min_length=1, max_length=MOST_PASSWORD)
    new: str = Field(min_length=LEAST_PASSWORD, max_length=MOST_PASSWORD)


@router.get("", responses=documented(401, 403))
def show_account(service: Here, caller: Reader) -> AccountAnswer:
    """What the account uses and may use, and how long things are kept."""
    with service.reading() as session:
        account = session.get(Account, caller.account_id)
        if account is None:
            raise signed_out()
        return AccountAnswer(
            id=account.id,
            name=account.name,
            bytes=quotas.bytes_used(session, account.id),
            max_bytes=quotas.max_bytes(session, account.id, service.limits),
            jobs_today=quotas.jobs_today(session, account.id),
            max_jobs=quotas.max_jobs(session, account.id, service.limits),
            retention_days=service.retention.days,
            backup_days=service.retention.backup_days,
        )


@router.post("/password", status_code=204, responses=documented(401, 403))
async def change_password(asked: NewPassword, service: Here, caller: Keeper) -> None:
    """Change the password. All other tokens of the account end."""
    spend(service, "login_name", f"id {caller.account_id}")
    await anyio.to_thread.run_sync(_change, service, asked, caller, limiter=service.passwords)


def _change(service: Service, asked: NewPassword, caller: Caller) -> None:
    with service.reading() as session:
        account = session.get(Account, caller.account_id)
    if account is None or not accounts.matches(account, asked.old):
        raise Problem(403, "The old password is wrong.")
    new = accounts.hashed(asked.new)
    with service.writing() as session:
        quotas.one_at_a_time(session, caller.account_id)
        if not accounts.unchanged(session, account):  # another change was quicker
            raise Problem(403, "The old password is wrong.")
        accounts.set_password(session, session.get_one(Account, caller.account_id), new, keep=caller.token_id)
        record(session, caller.account_id, "account.password", None)


@router.delete("/data", status_code=204, responses=documented(401, 403))
async def delete_data(service: Here, caller: Deleter) -> None:
    """Delete everything that was sent or made: bundles, jobs, results. The account and its tokens stay."""
    service.uploads.drop_account(caller.account_id)
    await anyio.to_thread.run_sync(_delete, service, caller.account_id, False)


@router.delete("", status_code=204, responses=documented(401, 403))
async def delete_account(service: Here, caller: Leaver) -> None:
    """Delete the account, with everything that was sent or made."""
    service.uploads.drop_account(caller.account_id)
    await anyio.to_thread.run_sync(_delete, service, caller.account_id, True)


def _delete(service: Service, account_id: str, whole: bool) -> None:
    with service.writing() as session, said_if_bytes_stay():
        quotas.one_at_a_time(session, account_id)
        if whole or quotas.bytes_used(session, account_id):  # what deletes nothing is not written down
            record(session, account_id, "account.delete" if whole else "account.delete-data", account_id)
        if whole:
            deletion.delete_account(session, service.store, account_id)
        else:
            deletion.delete_everything(session, service.store, account_id)
