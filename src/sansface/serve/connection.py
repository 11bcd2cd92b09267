"""A client's connection, which the answer to a request on it may break off."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

ABORT = "abort"
"""In the state of a request: ends its connection at once.

To close it would not do: that waits until the client has read what was sent, and one who reads nothing would
keep it open, with the bytes in memory, for good.
"""


class Connection(H11Protocol):
    """uvicorn's own, with `ABORT`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, ABORT: transport.abort}
