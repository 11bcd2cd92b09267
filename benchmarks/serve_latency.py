"""Row f: what the API itself takes, at 50 requests a second for a minute, from a real server.

Requests begin by the clock, whether or not earlier ones are answered, over kept connections. Most look at a
job, the account, the bundles or the jobs; one in eight begins an upload, sends a piece and breaks it off.
Times are from when a request should have begun to the last byte of its answer, as the client sees it, who
shares the cores; and those that the server writes into its log.

    python benchmarks/serve_latency.py [--rate 50] [--seconds 60] [--warm-up 5]
"""

import argparse
import asyncio
import hashlib
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import numpy as np
import psutil

from serve_process import Process, bundles, process

PEOPLE = 10
CHUNK = 4096
"""Bytes of a piece that is uploaded here."""


async def load(server: Process, rate: float, seconds: float, warm_up: float) -> tuple[list[float], list[str]]:
    """Ask by the clock.

    Returns:
        Seconds of each request after the warm-up, and what went wrong.
    """
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    taken: list[float] = []
    wrong: list[str] = []
    async with httpx.AsyncClient(base_url=f"{server.url}/api/v1", limits=limits, verify=False) as client:
        people = [await person(client, token, data) for token, data in ready(server)]
        start = time.perf_counter()

        async def one(at: float, ask: Callable[[], Awaitable[httpx.Response]]) -> None:
            await asyncio.sleep(max(0.0, start + at - time.perf_counter()))
            answer = await ask()
            if at >= warm_up:
                taken.append(time.perf_counter() - start - at)
            if answer.status_code not in (200, 201):
                wrong.append(f"{answer.status_code} {answer.text[:100]}")

        asked = itertools.chain.from_iterable(zip(*(itertools.cycle(each) for each in people), strict=True))
        count = int(rate * (seconds + warm_up))
        await asyncio.gather(
            *(one(number / rate, ask) for number, ask in enumerate(itertools.islice(asked, count)))
        )
    return taken, wrong


def ready(server: Process) -> list[tuple[str, bytes]]:
    return list(zip(server.tokens(PEOPLE), bundles(PEOPLE), strict=True))


async def person(client: httpx.AsyncClient, token: str, data: bytes) -> list:
    """Requests of somebody with a bundle and three jobs, in the order in which they are asked."""
    headers = {"Authorization": f"Bearer {token}"}
    bundle = (await client.post("/bundles", content=data, headers=headers)).raise_for_status().json()["id"]
    jobs = []
    for seed in range(3):
        answer = await client.post("/jobs", json={"bundle": bundle, "seed": seed}, headers=headers)
        jobs.append(answer.raise_for_status().json()["id"])
    part, number = data[:CHUNK], itertools.count()

    async def begin() -> httpx.Response:
        digest = hashlib.sha256(f"{token}{next(number)}".encode()).hexdigest()
        return await client.post("/uploads", json={"size": CHUNK + 1, "sha256": digest}, headers=headers)

    async def upload() -> httpx.Response:
        answer = await begin()
        if answer.status_code != 201:
            return answer
        way = f"/uploads/{answer.json()['id']}"
        sent = await client.patch(way, content=part, headers=headers | {"Upload-Offset": "0"})
        await client.delete(way, headers=headers)
        return sent

    def look(way: str) -> Callable[[], Awaitable[httpx.Response]]:
        return lambda: client.get(way, headers=headers)

    return [look(f"/jobs/{jobs[0]}"), look("/account"), look("/bundles"), look(f"/jobs/{jobs[1]}"),
            look("/jobs"), upload, look(f"/jobs/{jobs[2]}"), look(f"/bundles/{bundle}")]  # fmt: skip


def quantiles(seconds: list[float]) -> str:
    half, most, nearly_all = np.quantile(seconds, [0.5, 0.95, 0.99]) * 1000
    return f"median {half:.1f}, 95 % {most:.1f}, 99 % {nearly_all:.1f}, most {1000 * max(seconds):.1f} ms"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--warm-up", type=float, default=5.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, process(Path(name) / "data", ()) as server:
        before = sum(psutil.Process(server.pid).cpu_times()[:2])
        taken, wrong = asyncio.run(load(server, options.rate, options.seconds, options.warm_up))
        busy = sum(psutil.Process(server.pid).cpu_times()[:2]) - before
        lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    inside = [line["ms"] / 1000 for line in lines if line["event"] == "request"]
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {len(taken)} requests, {len(wrong)} wrong")
    print(f"client: {quantiles(taken)}")
    print(f"server: {quantiles(inside)}; {1000 * busy / len(inside):.1f} ms of processor time a request")
    for line in sorted(set(wrong))[:5]:
        print(line)
    return 1 if wrong or np.quantile(taken, 0.99) > 0.1 else 0


if __name__ == "__main__":
    sys.exit(main())
