"""Tokens: sign in, look at what is signed in, sign out."""

from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Request
from pydantic import Field
from sqlalchemy import select

from sansface.serve import accounts, tokens
from sansface.serve.accounts import MOST_PASSWORD
from sansface.serve.answers import MOST, PLAIN, WHOLE, Asked, Id, NewTokenAnswer, TokenAnswer, of_token
from sansface.serve.audit_log import record
from sansface.serve.body import API
from sansface.serve.callers import AnyCaller, Keeper, address, owned, spend
from sansface.serve.limits import Limits
from sansface.serve.problems import Problem, documented
from sansface.serve.service import Here, Service
from sansface.serve.tables import Token
from sansface.serve.tokens import Scope

router = APIRouter(prefix=f"{API}/tokens", tags=["tokens"])

Word = Annotated[Scope, Field(strict=False)]  # JSON has no enumerations


class SignIn(Asked):
    """Who, and for what."""

    name: str = Field(min_length=1, max_length=64, pattern=PLAIN)
    password: str = Field(min_length=1, max_length=MOST_PASSWORD)
    scopes: list[Word] | None = Field(default=None, min_length=1, max_length=8, description="All, if null.")
    seconds: Annotated[int, Field(ge=60, le=Limits.max_token_seconds), WHOLE] | None = Field(
        default=None, description="Until it expires; 12 hours, if null."
    )


@router.post("", status_code=201, responses=documented(401))
async def sign_in(asked: SignIn, request: Request, service: Here) -> NewTokenAnswer:
    """Sign in: a token for some scopes and some time. Its secret is shown this once."""
    spend(service, "login_address", address(request))
    spend(service, "login_name", asked.name)
    return await anyio.to_thread.run_sync(_sign_in, service, asked, limiter=service.passwords)


def _sign_in(service: Service, asked: SignIn) -> NewTokenAnswer:
    with service.reading() as session:
        account = accounts.named(session, asked.name)
    right = accounts.matches(account, asked.password)
    with service.writing() as session:
        # Hashing takes a while, in which the password may have been changed: that ends all tokens but one.
        if account is not None and right and accounts.unchanged(session, account):
            token, secret = tokens.issue(
                session,
                account,
                frozenset(Scope if asked.scopes is None else asked.scopes),
                min(asked.seconds or service.limits.token_seconds, service.limits.max_token_seconds),
            )
            record(session, account.id, "token.new", token.id)
            return NewTokenAnswer(**of_token(token).model_dump(), token=secret)
        record(session, account and account.id, "token.new", None, "refused")
    raise Problem(401, "The name or the password is wrong.", {"WWW-Authenticate": "Bearer"})


@router.get("", responses=documented(401, 403))
def list_tokens(service: Here, caller: Keeper) -> list[TokenAnswer]:
    """All tokens of the account, without their secrets, the newest first."""
    with service.reading() as session:
        own = select(Token).where(Token.account_id == caller.account_id)
        return [of_token(token) for token in session.scalars(own.order_by(Token.created.desc()).limit(MOST))]


@router.delete("/{token_id}", status_code=204, responses=documented(401, 403, 404))
def delete_token(token_id: Id, service: Here, caller: AnyCaller) -> None:
    """Sign out: the token can be used no more.

    Any token may delete itself; another one only one with the scope `account`.
    """
    if token_id != caller.token_id and Scope.ACCOUNT not in caller.scopes:
        raise Problem(403, "This token does not have the scope account; sign in for one that does.")
    with service.writing() as session:
        session.delete(owned(session, Token, token_id, caller.account_id))
        record(session, caller.account_id, "token.delete", token_id)
