"""Bodies within limits: so many bytes, and neither a stop nor a trickle, counted as they come.

A `Content-Length` that is too large is refused before a byte is read, and one that lies is found out while it
does. Applied outside of the routes, so that none can forget it.
"""

import asyncio
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sansface.serve.limits import Limits
from sansface.serve.problems import Problem

API = "/api/v1"
_ROOMY = (("POST", f"{API}/bundles"), ("PATCH", f"{API}/uploads/"))
"""The requests whose body is, or is a part of, a bundle."""


class BoundedBodies:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app, self.limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        roomy = any(scope["method"] == method and scope["path"].startswith(at) for method, at in _ROOMY)
        most = self.limits.bundle_bytes if roomy else self.limits.json_bytes
        declared = Headers(scope=scope).get("content-length", "0")
        if not declared.isascii() or not declared.isdigit() or int(declared[:20]) > most:
            await _too_large(most).response()(scope, receive, send)
            return
        await self.app(scope, self._bounded(receive, most), send)

    def _bounded(self, receive: Receive, most: int) -> Receive:
        limits, begun, received, complete = self.limits, 0.0, 0, False

        async def bounded() -> Message:
            nonlocal begun, received, complete
            if complete:  # what follows a body is only the client's leaving, however late
                return await receive()
            begun = begun or time.monotonic()
            left = begun + limits.body_grace + received / limits.body_rate - time.monotonic()
            try:
                message = await asyncio.wait_for(receive(), min(limits.body_stall, max(left, 0.0)))
            except TimeoutError:
                raise Problem(
                    408, "The request's body came too slowly; try again.", {"Connection": "close"}
                ) from None
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                complete = not message.get("more_body", False)
                if received > most:
                    raise _too_large(most)
            return message

        return bounded


def _too_large(most: int) -> Problem:
    size = f"{most >> 20} MiB" if most >> 20 else f"{most >> 10} KiB"
    return Problem(413, f"The request's body has more than {size}, the most here.", {"Connection": "close"})
