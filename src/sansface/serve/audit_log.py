"""The audit log: who did what to which object, by ids and fixed words alone."""

from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from sansface.serve.database import now
from sansface.serve.tables import Event


def record(
    session: Session, account_id: str | None, action: str, object_id: str | None, outcome: str = "done"
) -> None:
    """Add a line, in the caller's transaction, so that what is undone is not told either.

    Args:
        action: a fixed word such as `bundle.refused`.
        object_id: an id, or a SHA-256; never a name.
        outcome: a fixed word.
    """
    session.add(
        Event(at=now(session), account_id=account_id, action=action, object_id=object_id, outcome=outcome)
    )


def lines(session: Session, account_id: str | None) -> Iterator[str]:
    """Time in UTC, account, action, object and outcome, the oldest first; of one account or of all."""
    chosen = select(Event).order_by(Event.at, Event.id)
    if account_id is not None:
        chosen = chosen.where(Event.account_id == account_id)
    for event in session.scalars(chosen):
        when = datetime.fromtimestamp(event.at, UTC).isoformat(timespec="seconds")
        yield f"{when} {event.account_id or '-'} {event.action} {event.object_id or '-'} {event.outcome}"
