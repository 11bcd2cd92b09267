"""Files of results, downloaded by those who read them, who leave in the middle, and who do neither."""

import gc
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import psutil
import pytest

from served import EASY, running, until

MESH = bytes(range(256)) * (1 << 16)  # 16 MiB: more than the system holds of what was sent
LIMITS = replace(EASY, account_downloads=3, downloads=4)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with running(tmp_path_factory.mktemp("site"), LIMITS) as site:
        yield site


def a_mesh(site, person) -> str:
    _, job, name = site.finished_job(person, mesh=MESH)
    return f"/jobs/{job}/files/{name}"


@contextmanager
def asked(site, person, path: str, window: int = 4096) -> Iterator[socket.socket]:
    """A request whose answer has begun, and of which nothing more is read by itself."""
    host, port = site.url.removeprefix("http://").split(":")
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        line.settimeout(20)
        line.connect((host, int(port)))
        line.sendall(
            f"GET /api/v1{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {person.token}\r\n\r\n".encode()
        )
        assert line.recv(12) == b"HTTP/1.1 200"
        yield line


def open_files(site) -> int:
    """Of the store, in this process."""
    store = str(site.folder / "store")
    return sum(file.path.startswith(store) for file in psutil.Process().open_files())


def test_who_leaves_in_the_middle_leaves_nothing_open(site):
    person = site.person()
    path = a_mesh(site, person)
    gc.disable()  # which closes what nobody else has closed, but nobody knows when
    try:
        with ExitStack() as stack:
            for _ in range(3):
                stack.enter_context(asked(site, person, path))
            assert open_files(site) == 3
        until(lambda: open_files(site) == 0)
        until(lambda: len(site.service.downloads) == 0)
    finally:
        gc.enable()


def test_downloads_are_limited_for_each_and_for_all(site):
    person, other, third = (site.person() for _ in range(3))
    path, others, thirds = (a_mesh(site, each) for each in (person, other, third))
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(asked(site, person, path))
        refused = person.client.get(path)
        assert refused.status_code == 429
        assert refused.headers["retry-after"]
        assert "downloads" in refused.json()["detail"]
        assert other.client.get(others).content == MESH
        until(lambda: len(site.service.downloads) == 3)
        stack.enter_context(asked(site, other, others))
        assert third.client.get(thirds).status_code == 429
    until(lambda: len(site.service.downloads) == 0)
    assert person.client.get(path).content == MESH


def test_what_cannot_be_downloaded_takes_no_place(site):
    person = site.person()
    path = a_mesh(site, person)
    (stored,) = (name for name in site.stored() if path.split("/")[2] in name)
    assert {person.client.get(path + "x").status_code for _ in range(5)} == {404}
    (site.folder / "store" / stored).write_bytes(b"damaged")
    assert {person.client.get(path).status_code for _ in range(5)} == {503}
    site.service.store.delete(stored)
    assert {person.client.get(path).status_code for _ in range(5)} == {404}
    assert len(site.service.downloads) == open_files(site) == 0


def test_who_reads_nothing_is_cut_off(tmp_path):
    with running(tmp_path, replace(LIMITS, answer_stall=1.0)) as site:
        person = site.person()
        path = a_mesh(site, person)
        connections = site.app.state.server.server_state.connections
        before = set(connections)
        with asked(site, person, path) as line:
            (mine,) = connections - before
            assert open_files(site) == 1
            until(lambda: open_files(site) == 0)
            until(lambda: len(site.service.downloads) == 0 and mine not in connections)
            assert mine.transport.get_write_buffer_size() == 0  # nor waits what was sent to be read
            assert read(line) < len(MESH)


def test_who_reads_slowly_is_not(tmp_path):
    with running(tmp_path, replace(LIMITS, answer_stall=1.5)) as site:
        person = site.person()
        begun = time.monotonic()
        with asked(site, person, a_mesh(site, person), window=1 << 18) as line:
            received = read(line, len(MESH), pause=0.005)
        assert received >= len(MESH)
        assert time.monotonic() - begun > 1.5


def read(line: socket.socket, most: float = float("inf"), pause: float = 0.0) -> int:
    """How many bytes still come."""
    received = 0
    try:
        while received < most and (piece := line.recv(1 << 15)):
            received += len(piece)
            time.sleep(pause)
    except ConnectionError:
        pass
    return received
