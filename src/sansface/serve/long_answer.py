"""Answers that go on for a while: each is closed however it ends, and broken off if nobody reads it."""

import asyncio
from collections.abc import AsyncIterable, Callable, Iterable
from typing import Any

from fastapi.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from sansface.serve.connection import ABORT


class LongAnswer(StreamingResponse):
    """A streamed answer.

    Args:
        pieces: what is sent.
        stall: seconds that the client may take to read a piece, or the connection is broken off.
        close: called at the end, whatever that is; waits for nothing.
        words: of any streamed answer.
    """

    def __init__(
        self,
        pieces: AsyncIterable[str] | Iterable[bytes],
        stall: float,
        close: Callable[[], None],
        **words: Any,
    ) -> None:
        super().__init__(pieces, **words)
        self._stall, self._close = stall, close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def timely(message: Message) -> None:
            # Sending then ends as if the client had left.
            timer = asyncio.get_running_loop().call_later(self._stall, scope["state"][ABORT])
            try:
                await send(message)
            finally:
                timer.cancel()

        try:
            await super().__call__(scope, receive, timely)
        finally:
            self._close()
