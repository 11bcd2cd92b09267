"""What an account uses and may use: bytes kept, and jobs of the last day."""

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from sansface.serve.callers import signed_out
from sansface.serve.database import DAY, now
from sansface.serve.limits import Limits
from sansface.serve.problems import Problem, wait
from sansface.serve.tables import Account, Bundle, Event, Job, ResultFile

NEW_JOB = "job.submit"
"""The action of the audit log that the day's jobs are counted by: deleting a job gives none back."""


def one_at_a_time(session: Session, account_id: str) -> None:
    """Until this transaction ends no other one of the account passes here, so that quotas hold.

    Raises:
        Problem: 401, the account is gone or disabled.
    """
    same = update(Account).where(Account.id == account_id, Account.disabled.is_(False)).values(disabled=False)
    if session.connection().execute(same).rowcount != 1:
        raise signed_out()


def bytes_used(session: Session, account_id: str) -> int:
    """Of bundles and results."""
    bundles = select(func.coalesce(func.sum(Bundle.size), 0)).where(Bundle.account_id == account_id)
    files = (
        select(func.coalesce(func.sum(ResultFile.size), 0))
        .join(Job, Job.id == ResultFile.job_id)
        .where(Job.account_id == account_id)
    )
    return int(session.scalars(bundles).one()) + int(session.scalars(files).one())


def max_bytes(session: Session, account_id: str, limits: Limits) -> int:
    own = session.scalar(select(Account.max_bytes).where(Account.id == account_id))
    return limits.account_bytes if own is None else own


def today(session: Session, account_id: str, action: str) -> int:
    """Lines of the audit log of the last 24 hours."""
    since = now(session) - DAY
    return session.scalars(
        select(func.count()).where(Event.account_id == account_id, Event.action == action, Event.at > since)
    ).one()


def jobs_today(session: Session, account_id: str) -> int:
    """In the last 24 hours."""
    return today(session, account_id, NEW_JOB)


def max_jobs(session: Session, account_id: str, limits: Limits) -> int:
    own = session.scalar(select(Account.max_jobs).where(Account.id == account_id))
    return limits.account_jobs if own is None else own


def check_bytes(session: Session, account_id: str, limits: Limits, more: int) -> None:
    """Raises Problem 413 where so many bytes more are too many."""
    most = max_bytes(session, account_id, limits)
    if bytes_used(session, account_id) + more > most:
        raise Problem(413, f"The account's {most} bytes are used up; delete bundles or jobs first.")


def check_jobs(session: Session, account_id: str, limits: Limits) -> None:
    """Raises Problem 429 where the day's jobs are used up."""
    most = max_jobs(session, account_id, limits)
    if jobs_today(session, account_id) >= most:
        raise wait(f"The account's {most} jobs of this day are used up; try again tomorrow.", 3600)
