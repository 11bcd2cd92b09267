"""The verb account."""

import getpass
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

from sansface.cli.words import Flag
from sansface.errors import SansfaceError
from sansface.extras import require

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from sansface.serve.deployment import Deployment


@dataclass(frozen=True)
class Account:
    """Accounts of the service: new, list, password, quota, disable, enable, remove, log.

    A name needs to say nothing: a number will do. password sets a new one and ends all sessions; quota sets
    both limits anew; remove deletes everything that was sent or made; log prints who did what, of one account
    or of all, as long as it is kept.
    """

    what: Positional[Literal["new", "list", "password", "quota", "disable", "enable", "remove", "log"]]
    """What to do."""
    name: Positional[str] = ""
    """Whose."""
    data: Path = Path("sansface-data")
    """Folder for the database and the store, as for `sansface serve`."""
    password_stdin: Flag = False
    """Read the new password from the first line of standard input, instead of asking for it."""
    max_bytes: int | None = None
    """new, quota: of bundles and results; the service's limit if not said."""
    max_jobs: int | None = None
    """new, quota: a day; the service's limit if not said."""

    def run(self) -> None:
        if self.what != "log" and (self.what == "list") == bool(self.name):
            raise SansfaceError(f"`sansface account {self.what}` needs {'no' if self.name else 'a'} name.")
        if min(self.max_bytes or 0, self.max_jobs or 0) < 0:
            raise SansfaceError("--max-bytes and --max-jobs are 0 or more; correct them.")
        require("sansface.serve.accounts", extra="serve")
        from sqlalchemy.orm import Session

        from sansface.serve.database import open_database
        from sansface.serve.deployment import deployment

        where = deployment(self.data)
        password = self._password() if self.what in ("new", "password") else ""
        engine = open_database(where.database)
        with Session(engine) as session, session.begin():
            print(self._done(session, where, password))
        engine.dispose()

    def _done(self, session: "Session", where: "Deployment", password: str) -> str:
        """Do it; returns what to tell."""
        from sansface.serve import accounts, audit_log, deletion
        from sansface.serve.store import Store

        if self.what == "list":
            lines = [
                f"{account.name}{'  disabled' if account.disabled else ''}"
                for account in accounts.listed(session)
            ]
            return "\n".join(lines) or "There is no account; make one: sansface account new NAME"
        if self.what == "log":
            whose = accounts.existing(session, self.name).id if self.name else None
            return "\n".join(audit_log.lines(session, whose)) or "Nothing was done yet."
        if self.what == "new":
            account = accounts.create(session, self.name, password, self.max_bytes, self.max_jobs)
            told = "may sign in now"
        else:
            account = accounts.existing(session, self.name)
            told = {"password": "has another password", "quota": "has other limits"}.get(
                self.what, f"is {self.what}d"
            )
        if self.what == "password":
            accounts.set_password(session, account, accounts.hashed(password))
        if self.what == "quota":
            account.max_bytes, account.max_jobs = self.max_bytes, self.max_jobs
        if self.what in ("disable", "enable"):
            account.disabled = self.what == "disable"
        audit_log.record(session, account.id, f"account.{self.what}", account.id)
        if self.what == "remove":
            deletion.delete_account(session, Store(where.store, where.key), account.id)
            told = "and everything of it is deleted"
        return f"The account {self.name} {told}."

    def _password(self) -> str:
        if self.password_stdin:
            return sys.stdin.readline().rstrip("\r\n")
        first = getpass.getpass("Password, 12 characters or more: ")
        if getpass.getpass("Once more: ") != first:
            raise SansfaceError("the two passwords differ; try again.")
        return first
