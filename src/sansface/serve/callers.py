"""Who asks, what they may do, and which objects are theirs: decided here and nowhere else."""

from typing import Annotated, Any, TypeVar

import anyio.to_thread
from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.orm import Session

from sansface.serve import tokens
from sansface.serve.limits import network
from sansface.serve.problems import Problem, not_found, wait
from sansface.serve.service import Here, Service
from sansface.serve.tables import Bundle, Job, Token
from sansface.serve.tokens import Caller, Scope

Owned = TypeVar("Owned", Bundle, Job, Token)

_bearer = HTTPBearer(auto_error=False, description="A token from `POST /api/v1/tokens`.")


def owned(session: Session, model: type[Owned], object_id: str, account_id: str) -> Owned:
    """The object, if it is this account's.

    Raises:
        Problem: 404, the same whether it does not exist or is another's.
    """
    found = session.get(model, object_id)
    if found is None or found.account_id != account_id:
        raise not_found()
    return found


def _caller(*scopes: Scope) -> Any:
    """A dependency: the caller, whose token has all of these scopes.

    Raises:
        Problem: 401, 403, or 429 where the address or the account asks too often.
    """

    async def caller(
        request: Request,
        service: Here,
        shown: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    ) -> Caller:
        spend(service, "address", address(request))
        who = None
        if shown is not None and len(shown.credentials) <= 200:
            who = await anyio.to_thread.run_sync(_look_up, service, shown.credentials)
        if who is None:
            raise signed_out()
        request.state.account = who.account_id  # for the log
        spend(service, "account", who.account_id)
        if lacking := [scope for scope in scopes if scope not in who.scopes]:
            raise Problem(403, f"This token does not have the scope {lacking[0]}; sign in for one that does.")
        return who

    return Depends(caller)


AnyCaller = Annotated[Caller, _caller()]
Reader = Annotated[Caller, _caller(Scope.READ)]
Sender = Annotated[Caller, _caller(Scope.SUBMIT)]
Deleter = Annotated[Caller, _caller(Scope.DELETE)]
Keeper = Annotated[Caller, _caller(Scope.ACCOUNT)]
Leaver = Annotated[Caller, _caller(Scope.DELETE, Scope.ACCOUNT)]


def _look_up(service: Service, secret: str) -> Caller | None:
    with service.reading() as session:
        return tokens.caller(session, secret)


def signed_out() -> Problem:
    """No token, or none that may still be used."""
    return Problem(401, "Sign in: there is no valid token.", {"WWW-Authenticate": "Bearer"})


def address(request: Request) -> str:
    """What counts as one client; goes nowhere but into a keyed hash."""
    return network(request.client.host if request.client else "")


def spend(service: Service, kind: str, who: str) -> None:
    """Take one of what somebody may ask for in a time.

    Args:
        kind: a rate of `Limits`.

    Raises:
        Problem: 429, with the seconds to wait.
    """
    seconds = service.buckets.wait(kind, who, getattr(service.limits, kind))
    if seconds:
        raise wait("Too many requests; wait a moment.", seconds)
