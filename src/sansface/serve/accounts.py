"""Accounts: made by the operator, opened by a password of which only Argon2id's hash is kept."""

import re
import secrets
from collections.abc import Iterator

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from sansface.errors import SansfaceError
from sansface.serve.database import now
from sansface.serve.tables import Account, Token

LEAST_PASSWORD = 12
"""Characters."""
MOST_PASSWORD = 1000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HASHER = PasswordHasher()  # Argon2id with RFC 9106's second recommendation: 64 MiB, 3 passes, 4 lanes
_NOBODYS = _HASHER.hash(secrets.token_hex(32))


def hashed(password: str) -> str:
    """Argon2id's encoded hash.

    Raises:
        SansfaceError: too short or too long.
    """
    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        raise SansfaceError(
            f"a password has {LEAST_PASSWORD} to {MOST_PASSWORD} characters; choose another, say five words."
        )
    return _HASHER.hash(password)


def matches(account: Account | None, password: str) -> bool:
    """Is it the account's password, and may it sign in?

    Takes as long where there is no account, so that names cannot be guessed.
    """
    try:
        right = _HASHER.verify(
            _NOBODYS if account is None else account.password, password[: MOST_PASSWORD + 1]
        )
    except (VerificationError, InvalidHashError):
        return False
    return right and account is not None and not account.disabled


def unchanged(session: Session, account: Account) -> bool:
    """Has it the password that was read, and may it sign in? It stays so until the transaction ends."""
    same = Account.id == account.id, Account.password == account.password, Account.disabled.is_(False)
    return session.scalar(select(Account.id).where(*same).with_for_update()) is not None


def named(session: Session, name: str) -> Account | None:
    return session.scalar(select(Account).where(Account.name == name))


def existing(session: Session, name: str) -> Account:
    """Raises SansfaceError where there is none of that name."""
    account = named(session, name)
    if account is None:
        raise SansfaceError(f"there is no account {name!r}; see `sansface account list`.")
    return account


def create(
    session: Session,
    name: str,
    password: str,
    max_bytes: int | None = None,
    max_jobs: int | None = None,
) -> Account:
    """A new account, flushed.

    Args:
        max_bytes: of bundles and results; None = the service's.
        max_jobs: a day; None = the service's.

    Raises:
        SansfaceError: the name is taken or has other characters, or the password is too short.
    """
    if not _NAME.fullmatch(name):
        raise SansfaceError(
            f"{name!r} is no name of an account; use up to 64 letters, digits, dots, dashes and underscores."
        )
    if named(session, name) is not None:
        raise SansfaceError(f"there is an account {name!r} already; choose another name.")
    account = Account(
        name=name, password=hashed(password), created=now(session), max_bytes=max_bytes, max_jobs=max_jobs
    )
    session.add(account)
    session.flush()
    return account


def set_password(session: Session, account: Account, encoded: str, keep: str | None = None) -> None:
    """Another password; whoever is signed in is not any more.

    Args:
        encoded: of `hashed`, which takes a moment.
        keep: id of the one token that stays.
    """
    account.password = encoded
    session.execute(delete(Token).where(Token.account_id == account.id, Token.id.is_distinct_from(keep)))


def listed(session: Session) -> Iterator[Account]:
    yield from session.scalars(select(Account).order_by(Account.name))
