"""Structured logs, a line of JSON each, on stderr: what happened and how long it took, not to whom.

A request's line has the route's template and not its path, the account's id and not its name; no address, no
query, no body, no header. An exception is told by its type and the lines of code that it went through: its
message may quote anything.
"""

import logging
import secrets
import sys
import time
import traceback
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sansface.serve.metrics import Metrics
from sansface.serve.problems import Problem

NO_ROUTE = "none"


def configure() -> None:
    """JSON on stderr for our own lines and for those of the libraries beneath. Call it once a process."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Others()]
    root.setLevel(logging.WARNING)


def get() -> Any:
    return structlog.get_logger()


def failure(error: BaseException) -> dict[str, Any]:
    """What may be told of an exception: its type and where it came through, never its message."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    return {
        "error": type(error).__name__,
        "at": [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames],
    }


class _Others(logging.Handler):
    """Lines of libraries: the template of their message, not what they put into it."""

    def emit(self, record: logging.LogRecord) -> None:
        told = failure(record.exc_info[1]) if record.exc_info and record.exc_info[1] else {}
        template = str(record.msg).splitlines()[0] if record.args or not told else "exception"
        get().warning("library", logger=record.name, template=template[:200], **told)


class RequestLog:
    """ASGI middleware: one line a request, its count and its duration.

    What nothing else has caught is answered here, too.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id, begun, status = secrets.token_hex(8), time.perf_counter(), 0
        error: BaseException | None = None
        scope.setdefault("state", {})

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as fault:
            error = fault
            if status == 0:
                problem = Problem(500, "Something failed in the service; its log has the request's id.")
                await problem.response()(scope, receive, watched)
        finally:
            seconds = time.perf_counter() - begun
            route = getattr(scope.get("route"), "path", NO_ROUTE)
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self.metrics.request(route, method, status, seconds)
            line = {
                "method": method,
                "route": route,
                "status": status,
                "ms": round(seconds * 1000, 1),
                "request": request_id,
                "account": scope["state"].get("account"),
            }
            error = error or scope["state"].get("error")
            if error is None:
                get().info("request", **line)
            else:
                get().error("request", **line, **failure(error))


_METHODS = ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS")
