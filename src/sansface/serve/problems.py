"""What a client is told when something cannot be done: a status and `{"detail": "One sentence."}`.

Nothing else leaves: no traceback, no path, no sentence of another layer, for it may name a file of the host.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from starlette.exceptions import HTTPException

from sansface.errors import SansfaceError
from sansface.files import causes, is_full


class Trouble(BaseModel):
    """Why not."""

    detail: str = Field(description="One sentence.", examples=["There is no such object."])


class Problem(HTTPException):
    """An answer that is not the one that was asked for.

    Args:
        status: of HTTP.
        sentence: for the person who asked.
        headers: of the answer.
        extra: keys beside `detail`.
    """

    def __init__(
        self, status: int, sentence: str, headers: Mapping[str, str] | None = None, **extra: Any
    ) -> None:
        super().__init__(status, sentence, dict(headers or {}))
        self.extra = extra

    def response(self) -> JSONResponse:
        return JSONResponse({"detail": self.detail, **self.extra}, self.status_code, self.headers)


def not_found() -> Problem:
    """The same for what is not there and for what is another's."""
    return Problem(404, "There is no such object.")


def wait(sentence: str, seconds: float, status: int = 429) -> Problem:
    """Too much for now: may be tried again after so many seconds."""
    return Problem(status, sentence, {"Retry-After": str(max(1, round(seconds + 0.5)))})


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For OpenAPI: these statuses come with a sentence."""
    return {status: {"model": Trouble, "description": _MEANINGS[status]} for status in statuses}


_MEANINGS = {
    401: "No token, or an unknown or expired one, or a wrong password.",
    403: "The token does not have the scope.",
    404: "There is no such object, or it is another's.",
    408: "The body came too slowly.",
    409: "Another state than asked for.",
    413: "Too large, or the account is full.",
    422: "Something in the request is not as it must be.",
    429: "Too much in a short time; `Retry-After` says when to try again.",
    503: "The database or the store is down; try again later.",
    507: "The disk is full.",
}
_PLAIN = {
    400: (422, "The request's body cannot be read; send JSON in UTF-8."),
    404: (404, "There is nothing at this address."),
    405: (405, "This method does nothing at this address."),
}


def of_exception(error: BaseException) -> Problem | None:
    """The problem that an exception of database or store is; None for a fault of our own."""
    if isinstance(error, Problem):
        return error
    if is_full(error) or any(map(_database_full, causes(error))):
        return Problem(507, "The service's disk is full, so this was not done; try again later.")
    if isinstance(error, SQLAlchemyError):
        return wait("The database does not answer; try again later.", 5, 503)
    if isinstance(error, SansfaceError | OSError):
        return wait("The store does not answer; try again later.", 5, 503)
    return None


def _database_full(error: BaseException) -> bool:
    if isinstance(error, DBAPIError):
        code = getattr(error.orig, "sqlite_errorcode", None), getattr(error.orig, "sqlstate", None)
        return code[0] == sqlite3.SQLITE_FULL or code[1] == "53100"
    return False


@contextmanager
def said_if_bytes_stay() -> Iterator[None]:
    """Around a deletion, whose rows go first: say so if the store then fails, for the next sweep ends it."""
    try:
        yield
    except SansfaceError as error:
        raise Problem(
            503, "It is deleted, but the store does not answer; its bytes are removed as soon as it does."
        ) from error


def install(app: FastAPI) -> None:
    """Let every exception that has an answer give it; the others are `log`'s."""

    async def answer(request: Request, error: Exception) -> JSONResponse:
        problem = of_exception(error)
        if problem is None:
            raise error
        request.state.error = error  # for the log
        return problem.response()

    async def plain(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        if isinstance(error, Problem):
            return error.response()
        status, sentence = _PLAIN.get(
            error.status_code, (error.status_code, "The request cannot be answered.")
        )
        headers = dict(error.headers or {})
        if (
            status == 405
        ):  # the framework names the methods of one route, and others may have the same address
            known = request.app.openapi()["paths"].get(getattr(request.scope.get("route"), "path", ""), {})
            headers["Allow"] = ", ".join(sorted(map(str.upper, known))) or headers.get("Allow", "")
        return Problem(status, sentence, headers).response()

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return Problem(422, _why_invalid(error)).response()

    app.add_exception_handler(HTTPException, plain)
    app.add_exception_handler(RequestValidationError, invalid)
    for kind in (SQLAlchemyError, SansfaceError, OSError):
        app.add_exception_handler(kind, answer)


def _why_invalid(error: RequestValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"][1:])[:80]
    message = str(first["msg"]).rstrip(".").replace("\n", " ")[:200]
    where = f"{first['loc'][0]} {place}".strip()
    return f"The request's {where} is not as it must be: {message[:1].lower()}{message[1:]}."
