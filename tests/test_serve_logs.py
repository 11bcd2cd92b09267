"""Canaries: what may be in no log and, but for the account's name in its own row, in no database."""

import io
import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import structlog
from fastapi import FastAPI

from sansface.serve import log, problems
from sansface.serve.log import RequestLog
from sansface.serve.metrics import Metrics
from served import PASSWORD, a_bundle, serving, until

NAME, ADDRESS, FILE = "canary-name", "203.0.113.77", "canary-file.jpg"
QUERY, AGENT, BODY, WRONG = "canary-query", "canary-agent", "canary-body", "canary-wrong-password"


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What a real server wrote while all was done that has canaries in it: its log, its folder, tokens."""
    folder = tmp_path_factory.mktemp("data")
    environment = os.environ | {"SANSFACE_STORE_KEY": "11" * 32}
    command = [sys.executable, "-m", "sansface"]
    subprocess.run(
        [*command, "account", "new", NAME, "--password-stdin", "--data", folder],
        input=PASSWORD + "\n", text=True, env=environment, check=True, capture_output=True,
    )  # fmt: skip
    with (folder.parent / "log").open("w+") as errors:
        server = subprocess.Popen(
            [*command, "serve", "--data", folder, "--port", "0"],
            stdout=subprocess.PIPE, stderr=errors, text=True, env=environment,
        )  # fmt: skip
        try:
            assert server.stdout is not None
            url = server.stdout.readline().split()[0].rstrip("/")
            token = _use(url)
            server.send_signal(signal.SIGINT)
            assert server.wait(20) == 0
            rest = server.stdout.read()
        finally:
            server.kill()
            server.wait()
            assert server.stdout is not None
            server.stdout.close()
        errors.seek(0)
        return errors.read() + rest, folder, token


def _use(url: str) -> str:
    headers = {"X-Forwarded-For": ADDRESS, "User-Agent": AGENT, "X-File": FILE}
    with httpx.Client(base_url=url, headers=headers, verify=False) as client:
        api = f"{url}/api/v1"
        assert client.post(f"{api}/tokens", json={"name": NAME, "password": WRONG}).status_code == 401
        token = client.post(f"{api}/tokens?{QUERY}", json={"name": NAME, "password": PASSWORD}).json()[
            "token"
        ]
        client.headers["Authorization"] = f"Bearer {token}"
        named = {"Content-Disposition": f'attachment; filename="{FILE}"'}
        bundle = client.post(f"{api}/bundles?{QUERY}", content=a_bundle(), headers=named).json()["id"]
        assert client.post(f"{api}/bundles", content=a_bundle() + BODY.encode()).status_code == 422
        assert client.post(f"{api}/jobs", json={"bundle": bundle}).status_code == 201
        assert client.post(f"{api}/jobs", json={"bundle": BODY, BODY: FILE}).status_code == 422
        assert client.post(f"{api}/jobs", content=BODY.encode()).status_code == 422
        assert client.get(f"{api}/jobs/{FILE}").status_code == 422
        assert client.get(f"{url}/page/{FILE}?{QUERY}").status_code == 404
        assert client.get(f"{url}/{FILE}").status_code == 404
        assert client.request("CANARY", f"{api}/jobs").status_code == 405
        assert client.get(f"{api}/account", headers={"Authorization": f"Bearer {BODY}"}).status_code == 401
        assert client.delete(f"{api}/bundles/{bundle}").status_code == 204
    return token


def test_every_line_is_json_and_says_what_happened(told):
    text, _, _ = told
    lines = [json.loads(line) for line in text.splitlines()]
    requests = [line for line in lines if line["event"] == "request"]
    assert len(requests) == 13
    for line in requests:
        assert {"method", "route", "status", "ms", "request", "account"} <= set(line)
    assert {line["route"] for line in requests} >= {"/api/v1/jobs/{job_id}", "/page/{path:path}", "none"}
    assert {line["method"] for line in requests} == {"GET", "POST", "DELETE", "other"}
    assert len({line["account"] for line in requests} - {None}) == 1
    refused = [line for line in lines if line["event"] == "refused"]
    assert [set(line) for line in refused] == [{"event", "kind", "sha256", "account", "level", "timestamp"}]


def test_no_canary_is_in_a_log(told):
    text, _, token = told
    for canary in (NAME, ADDRESS, FILE, QUERY, AGENT, BODY, WRONG, PASSWORD, token, "canary", "203.0"):
        assert canary.lower() not in text.lower()
    assert "127.0.0.1" not in text


def test_no_canary_is_in_the_database_or_the_store(told):
    _, folder, token = told
    with sqlite3.connect(folder / "service.db") as database:
        dump = "\n".join(database.iterdump())
    database.close()
    assert [line.split()[2] for line in dump.splitlines() if NAME in line] == ['"accounts"']
    raw = b"".join(path.read_bytes() for path in Path(folder).rglob("*") if path.is_file())
    for canary in (ADDRESS, FILE, QUERY, AGENT, BODY, WRONG, PASSWORD, token, "127.0.0.1"):
        assert canary not in dump
        assert canary.encode() not in raw


@pytest.fixture
def lines(monkeypatch):
    """What is logged in this process."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    log.configure()
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)
    structlog.reset_defaults()


def test_an_exception_s_own_words_stay_inside(lines):
    app = FastAPI()
    problems.install(app)

    @app.get("/broken/{what}")
    def broken(what: str) -> None:
        raise ValueError(f"canary {what}")

    app.add_middleware(RequestLog, metrics=Metrics())
    with serving(app) as url:
        answer = httpx.get(f"{url}/broken/canary-path", verify=False)
    assert answer.status_code == 500
    assert answer.json() == {"detail": "Something failed in the service; its log has the request's id."}
    until(lines)
    (line,) = lines()
    assert line["error"] == "ValueError"
    assert line["route"] == "/broken/{what}"
    assert line["request"] == answer.headers["x-request-id"]
    assert any(place.startswith("test_serve_logs.py:") for place in line["at"])
    assert "canary" not in json.dumps(line)


def test_libraries_lines_have_no_arguments(lines):
    try:
        raise ValueError("canary")
    except ValueError:
        logging.getLogger("some.library").exception("failed for %s", "canary")
    logging.getLogger("some.library").warning("from %s:%d", "canary", 80)
    logging.getLogger("some.library").info("not told")
    first, second = lines()
    assert (first["template"], first["error"]) == ("failed for %s", "ValueError")
    assert second["template"] == "from %s:%d"
    assert "canary" not in json.dumps([first, second])
