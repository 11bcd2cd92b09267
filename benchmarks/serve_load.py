"""A part of row e: 200 clients send a bundle each at once, ask for a job of it and follow it.

Each client does as the page does: pieces, offsets, `Retry-After`; every tenth breaks its connection in the
middle and resumes, every fifth sends twice at the same time, as two tabs do. Afterwards there must be one row
and one object for each client and nothing else.

    python benchmarks/serve_load.py [--clients 200] [--database URL]
"""

import argparse
import asyncio
import hashlib
import json
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sansface.serve.database import open_database
from sansface.serve.store import Store
from sansface.serve.tables import Bundle, Job
from serve_process import KEY, Process, bundles, process

CHUNK = 4096


@dataclass
class Told:
    """What the clients saw."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)


class Client:
    """One person at one page."""

    def __init__(self, server: Process, token: str, data: bytes, number: int, told: Told) -> None:
        self.data, self.number, self.told = data, number, told
        self.digest = hashlib.sha256(data).hexdigest()
        self.client = httpx.AsyncClient(
            base_url=f"{server.url}/api/v1",
            headers={"Authorization": f"Bearer {token}"},
            timeout=120,
            verify=False,
        )

    async def ask(self, method: str, way: str, **words) -> httpx.Response:
        """A request, and again when the server says so."""
        while True:
            begun = time.perf_counter()
            answer = await self.client.request(method, way, **words)
            self.told.statuses[answer.status_code] += 1
            if answer.status_code not in (429, 503):
                self.told.seconds.append(time.perf_counter() - begun)
                return answer
            await asyncio.sleep(float(answer.headers.get("Retry-After", 1)))

    async def send(self) -> str:
        """The bundle in pieces; its id."""
        while True:
            wanted = {"size": len(self.data), "sha256": self.digest}
            begun = (await self.ask("POST", "/uploads", json=wanted)).json()
            if begun["bundle"]:
                return begun["bundle"]
            offset, breaks = 0, self.number % 10 == 0
            while True:
                way = f"/uploads/{begun['id']}"
                if breaks and offset >= CHUNK:
                    breaks = False
                    await self._break_off(way, offset)
                    offset = (await self.ask("GET", way)).json()["offset"]
                answer = await self.ask(
                    "PATCH",
                    way,
                    content=self.data[offset : offset + CHUNK],
                    headers={"Upload-Offset": str(offset)},
                )
                if answer.status_code == 404:
                    break  # begin again
                assert answer.status_code in (200, 409), answer.text
                if answer.json().get("bundle"):
                    return answer.json()["bundle"]["id"]
                offset = answer.json()["offset"]

    async def _break_off(self, way: str, offset: int) -> None:
        async def half():
            yield self.data[offset : offset + 1000]
            raise ConnectionError

        with suppress(ConnectionError, httpx.TransportError):
            await self.client.patch(way, content=half(), headers={"Upload-Offset": str(offset)})

    async def all(self) -> tuple[str, str]:
        """Send, submit and see the job in the queue; ids of bundle and job."""
        async with self.client:
            tabs = 2 if self.number % 5 == 0 else 1
            ids = set(await asyncio.gather(*(self.send() for _ in range(tabs))))
            assert len(ids) == 1, ids
            bundle = ids.pop()
            job = (await self.ask("POST", "/jobs", json={"bundle": bundle})).json()["id"]
            async with self.client.stream("GET", f"/jobs/{job}/events") as stream:
                async for line in stream.aiter_lines():
                    if line.startswith("data: "):
                        assert json.loads(line.removeprefix("data: "))["state"] == "queued"
                        return bundle, job
            raise AssertionError("the stream ended without the job")


async def load(server: Process, count: int) -> tuple[Told, set[str], set[str], float]:
    """All clients at once.

    Returns:
        What they saw, the ids of bundles and of jobs, and the seconds until the last was done.
    """
    told, begun = Told(), time.perf_counter()
    people = zip(server.tokens(count), bundles(count), strict=True)
    clients = [Client(server, token, data, n, told) for n, (token, data) in enumerate(people)]
    found = await asyncio.gather(*(client.all() for client in clients))
    made, jobs = zip(*found, strict=True)
    return told, set(made), set(jobs), time.perf_counter() - begun


def kept(server: Process) -> tuple[set[str], int, set[str]]:
    """Ids of the rows of bundles, how many jobs there are, and names of objects."""
    engine, store = open_database(server.database), Store(str(server.folder / "store"), bytes.fromhex(KEY))
    with Session(engine) as session:
        rows, jobs = set(session.scalars(select(Bundle.id))), session.scalar(select(func.count(Job.id))) or 0
    engine.dispose()
    return rows, jobs, set(store.names("bundles"))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--database")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        process(Path(name) / "data", (), options.database) as server,
    ):
        told, made, jobs, seconds = asyncio.run(load(server, options.clients))
        rows, count, objects = kept(server)
    right = (
        len(made) == len(jobs) == count == options.clients
        and rows == made
        and objects == {f"bundles/{bundle}" for bundle in made}
        and not any(status >= 500 and status != 503 for status in told.statuses)
    )
    half, nearly_all = np.quantile(told.seconds, [0.5, 0.99])
    print(
        f"{options.clients} clients done in {seconds:.1f} s: {len(rows)} bundles, {count} jobs, "
        f"{len(objects)} objects"
    )
    print(f"answers: {dict(sorted(told.statuses.items()))}; median {half:.2f} s, 99 % {nearly_all:.2f} s")
    print("each exactly once" if right else "WRONG: not each exactly once")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
