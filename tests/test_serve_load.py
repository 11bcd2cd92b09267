"""A part of row e in short: many clients at once, some of which break off and some of which send twice."""

import asyncio

import serve_load
from serve_process import process


def test_forty_clients_at_once(tmp_path):
    with process(tmp_path / "data") as server:
        told, made, jobs, _ = asyncio.run(serve_load.load(server, 40))
        rows, count, objects = serve_load.kept(server)
    assert len(made) == len(jobs) == count == 40
    assert rows == made
    assert objects == {f"bundles/{bundle}" for bundle in made}
    assert not [status for status in told.statuses if status >= 500 and status != 503]
