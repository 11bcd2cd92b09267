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
    """Accounts of the service: new, list, disable, enable, remove.

    A name needs to say nothing: a number will do. Removing deletes everything that was sent or made.
    """

    what: Positional[Literal["new", "list", "disable", "enable", "remove"]]
    """What to do."""
    name: Positional[str] = ""
    """Whose."""
    data: Path = Path("sansface-data")
    """Folder for the database and the store, as for `sansface serve`."""
    password_stdin: Flag = False
    """Read the new password from the first line of standard input, instead of asking for it."""
    max_bytes: int | None = None
    """new: of bundles and results; the service's limit if not said."""
    max_jobs: int | None = None
    """new: a day; the service's limit if not said."""

    def run(self) -> None:
        if (self.what == "list") == bool(self.name):
            raise SansfaceError(f"`sansface account {self.what}` needs {'no' if self.name else 'a'} name.")
        require("sansface.serve.accounts", extra="serve")
        from sqlalchemy.orm import Session

        from sansface.serve.database import open_database
        from sansface.serve.deployment import deployment

        where = deployment(self.data)
        password = self._password() if self.what == "new" else ""
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
        if self.what == "new":
            account = accounts.create(session, self.name, password, self.max_bytes, self.max_jobs)
            told = "may sign in now"
        else:
            account = accounts.existing(session, self.name)
            told = f"is {self.what}d"
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
