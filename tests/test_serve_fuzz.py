"""Row g in short, and ten minutes of it: requests that nobody would send, mutated bundles at the door."""

import json
from pathlib import Path

import pytest

import serve_fuzz
from serve_process import process


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with process(tmp_path_factory.mktemp("site") / "data") as server:
        yield server


@pytest.mark.parametrize("with_objects", [False, True])
def test_the_document_and_the_server_agree(server, tmp_path, with_objects):
    report = serve_fuzz.schemathesis(server, 5, 0, tmp_path / "run", with_objects)
    assert report == ""
    assert serve_fuzz.server_errors(server) == []
    lines = [json.loads(line) for line in Path(server.log).read_text().splitlines()]
    codes = {line["status"] // 100 for line in lines if line["event"] == "request"}
    assert codes >= {2, 4}  # some requests were right, and some wrong


def test_mutated_bundles_through_the_door(server):
    codes, failures = serve_fuzz.through_the_door(server, 60, 0)
    assert failures == []
    assert serve_fuzz.server_errors(server) == []
    assert sum(number for name, number in codes.items() if name.startswith("accepted")) > 2
    assert codes["refused by the verifier: 422"] > 30


@pytest.mark.slow
def test_ten_minutes_of_it(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["serve_fuzz", "--seconds", "600", "--bundles", "1000"])
    assert serve_fuzz.main() == 0, capsys.readouterr().out
