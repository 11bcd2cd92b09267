"""Tokens: what a client shows instead of a password, for some hours and for some scopes.

A secret has 256 bits from the system's generator, so the plain SHA-256 that the database has cannot be
guessed back.
"""

import hashlib
import secrets
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from sansface.serve.database import now
from sansface.serve.tables import Account, Token


class Scope(StrEnum):
    """What a token may be used for."""

    SUBMIT = "submit"  # send bundles and ask for jobs
    READ = "read"  # look at what there is
    DELETE = "delete"  # bundles, jobs, everything
    ACCOUNT = "account"  # password and tokens


@dataclass(frozen=True)
class Caller:
    """Who asks, by a valid token.

    Attributes:
        account_id, token_id: their ids.
        scopes: what the token may be used for.
    """

    account_id: str
    token_id: str
    scopes: frozenset[Scope]


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def issue(session: Session, account: Account, scopes: frozenset[Scope], seconds: float) -> tuple[Token, str]:
    """A new token, flushed.

    Returns:
        Its row and its secret, which nobody can read again.
    """
    secret = secrets.token_urlsafe(32)
    created = now(session)
    words = " ".join(scope for scope in Scope if scope in scopes)
    token = Token(
        account_id=account.id, secret=_hash(secret), scopes=words, created=created, expires=created + seconds
    )
    session.add(token)
    session.flush()
    return token, secret


def caller(session: Session, secret: str) -> Caller | None:
    """Who shows this secret; None if it is unknown or expired, or the account is disabled."""
    row = session.execute(
        select(Token.account_id, Token.id, Token.scopes)
        .join(Account, Account.id == Token.account_id)
        .where(Token.secret == _hash(secret), Token.expires > now(session), Account.disabled.is_(False))
    ).one_or_none()
    if row is None:
        return None
    return Caller(row.account_id, row.id, frozenset(map(Scope, row.scopes.split())))


def valid(session: Session, ids: set[str]) -> set[str]:
    """Those of some tokens' ids that may still be used."""
    return set(
        session.scalars(
            select(Token.id)
            .join(Account, Account.id == Token.account_id)
            .where(Token.id.in_(ids), Token.expires > now(session), Account.disabled.is_(False))
        )
    )
