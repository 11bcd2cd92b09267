"""Files of others: known by their checksum, taken from a mirror or from a pinned address, never guessed."""

import hashlib
import os
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sansface import assets
from sansface.assets import ASSETS, Asset
from sansface.errors import SansfaceError
from sansface.serve.models import RUNTIME

CONTENT = b"a network"


@pytest.fixture
def one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The only asset is `net`, whose address is served on this machine; the cache is empty. Its folder."""
    pytest.importorskip("pooch")
    served = tmp_path / "served"
    served.mkdir()
    (served / "net.bin").write_bytes(CONTENT)
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=str(served)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}/net.bin"
    net = Asset("weights/net.bin", hashlib.sha256(CONTENT).hexdigest(), "MIT", "", address, "somewhere")
    monkeypatch.setattr(assets, "ASSETS", {"net": net})
    monkeypatch.delenv(assets.MIRROR, raising=False)
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / "cache" / name)
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


def test_pulling_downloads_once_and_finds_it_again(one: Path):
    with pytest.raises(SansfaceError, match="sansface assets pull net"):
        assets.find("net")
    path = assets.pull("net")
    assert path.read_bytes() == CONTENT
    assert path.parts[-3:] == ("sansface", "weights", "net.bin")
    (one / "net.bin").unlink()
    assert assets.pull("net") == assets.find("net") == path


def test_another_file_at_the_address_is_refused_and_not_kept(one: Path):
    (one / "net.bin").write_bytes(b"something else")
    with pytest.raises(SansfaceError, match="another file than expected"):
        assets.pull("net")
    assert assets.state("net") == "missing"


def test_a_failed_download_is_one_sentence(one: Path):
    (one / "net.bin").unlink()
    with pytest.raises(SansfaceError, match=r"net cannot be downloaded from http.*try again"):
        assets.pull("net")


def test_a_mirror_is_never_added_to(one: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    mirror = tmp_path / "mirror"
    monkeypatch.setenv(assets.MIRROR, str(mirror))
    with pytest.raises(SansfaceError, match=r"the mirror .* does not hold it.*http"):
        assets.pull("net")
    assert not mirror.exists()
    (mirror / "weights").mkdir(parents=True)
    (mirror / "weights/net.bin").write_bytes(CONTENT)
    assert assets.pull("net") == mirror / "weights/net.bin"
    (mirror / "weights/net.bin").write_bytes(b"changed")
    with pytest.raises(SansfaceError, match="another SHA-256"):
        assets.find("net")


def test_without_a_known_address_pull_says_where_to_look(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv(assets.MIRROR, str(tmp_path))
    unknown = [name for name, asset in ASSETS.items() if asset.address is None]
    assert unknown
    for name in unknown:
        with pytest.raises(SansfaceError, match=rf"{ASSETS[name].sha256} at .* yourself \(.*github.com"):
            assets.pull(name)


def test_every_address_is_pinned_and_every_path_its_own():
    assert len({asset.path for asset in ASSETS.values()}) == len(ASSETS)
    for asset in ASSETS.values():
        assert len(asset.sha256) == 64
        assert asset.address or asset.by_hand
        if asset.address:
            pinned = "generation=" in asset.address or asset.address.startswith("https://registry.npmjs.org/")
            assert pinned or any(len(part) == 40 for part in asset.address.split("/"))
            assert not {"main", "master", "latest"} & set(asset.address.split("/"))


def test_the_shared_files_are_the_ones_listed(shared_assets: Path):
    there = [name for name in ASSETS if name != RUNTIME]  # the page's runtime is pulled by whoever serves it
    assert {name: assets.state(name) for name in there} == dict.fromkeys(there, "here")
    assert assets.state(RUNTIME) != "changed"


def test_a_name_that_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv(assets.MIRROR, os.fspath(tmp_path))
    with pytest.raises(SansfaceError, match="there is no asset 'yolo'"):
        assets.pull("yolo")
