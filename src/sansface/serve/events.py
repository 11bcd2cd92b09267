"""Changes of jobs, told to many clients by one poller: a query a moment for all of them together.

A stream ends when its job does, when the job is deleted, or when the token that opened it is no longer valid.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import anyio.to_thread

from sansface.serve import log
from sansface.serve.limits import Limits
from sansface.serve.problems import wait
from sansface.serve.tables import State

ENDED = (State.DONE, State.DEAD, State.CANCELLED)
COMMENT = ": still here\n\n"

Look = Callable[[set[str], set[str]], tuple[Mapping[str, dict[str, Any]], set[str]]]
"""(jobs' ids, tokens' ids) → (those jobs that there are, as they are shown; those tokens that are valid)."""


@dataclass(eq=False)
class Stream:
    """One that is open, and what is to be told."""

    account_id: str
    token_id: str
    job_id: str
    latest: str | None = None  # the job as it was last seen
    end: str | None = None  # an event that ends the stream, or "" for no more events
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Watcher:
    """The poller and those who listen.

    Args:
        look: reads the database; called in a thread.
        every: seconds between two looks.
        quiet: seconds without news after which a comment keeps the connection open.
    """

    def __init__(self, look: Look, limits: Limits, every: float = 0.5, quiet: float = 15.0) -> None:
        self._look, self._limits, self._every, self._quiet = look, limits, every, quiet
        self._streams: set[Stream] = set()
        self._poller: asyncio.Task[None] | None = None
        self.stopping: Callable[[], bool] = lambda: False  # is the server about to end?

    def __len__(self) -> int:
        return len(self._streams)

    def open(self, account_id: str, token_id: str, job_id: str) -> Stream:
        """A stream of events about one job, which belongs to the account; it counts until `leave`.

        Raises:
            Problem: too many are open.
        """
        own = sum(stream.account_id == account_id for stream in self._streams)
        if own >= self._limits.account_streams or len(self._streams) >= self._limits.streams:
            raise wait("Too many streams of events are open; close another page first.", 10)
        stream = Stream(account_id, token_id, job_id)
        self._streams.add(stream)
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        return stream

    def leave(self, stream: Stream) -> None:
        """Nobody listens any more."""
        self._streams.discard(stream)

    async def close(self) -> None:
        """End all streams and the poller."""
        for stream in self._streams:
            _end(stream, "")
        if self._poller is not None:
            self._poller.cancel()
            with suppress(asyncio.CancelledError):
                await self._poller

    async def told(self, stream: Stream) -> AsyncIterator[str]:
        """Its events, as they are sent."""
        told = None
        while True:
            try:
                await asyncio.wait_for(stream.news.wait(), self._quiet)
            except TimeoutError:
                yield COMMENT
                continue
            stream.news.clear()
            if stream.latest != told:
                told = stream.latest
                yield f"event: job\ndata: {told}\n\n"
            if stream.end is not None:
                if stream.end:
                    yield f"event: {stream.end}\ndata: {{}}\n\n"
                return

    async def _poll(self) -> None:
        while self._streams:
            if self.stopping():
                for stream in self._streams:
                    _end(stream, "")
                return
            try:
                await self._once()
            except Exception as error:  # the database may be down for a while; the streams go on afterwards
                log.get().warning("events", **log.failure(error))
            await asyncio.sleep(self._every)

    async def _once(self) -> None:
        streams = list(self._streams)
        jobs, tokens = await anyio.to_thread.run_sync(
            self._look, {stream.job_id for stream in streams}, {stream.token_id for stream in streams}
        )
        for stream in streams:
            job = jobs.get(stream.job_id)
            if stream.token_id not in tokens:
                _end(stream, "expired")
            elif job is None:
                _end(stream, "gone")
            else:
                text = json.dumps(job, separators=(",", ":"))
                if text != stream.latest:
                    stream.latest = text
                    stream.news.set()
                if job["state"] in ENDED:
                    _end(stream, "")


def _end(stream: Stream, event: str) -> None:
    stream.end = event
    stream.news.set()
