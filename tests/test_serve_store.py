"""The store: what is put comes back, what was changed does not, and nothing readable lies on the disk."""

import io
import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sansface.errors import SansfaceError
from sansface.files import is_full
from sansface.serve import encryption, places
from sansface.serve.encryption import CHUNK, Damaged, seal, unseal
from sansface.serve.store import Store

KEY = bytes(range(32))
NAME = "bundles/0123456789abcdef"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"), KEY)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(encryption, "CHUNK", 16)
    return 16


def opened(sealed: bytes, key: bytes = KEY, purpose: str = "store", name: str = NAME) -> bytes:
    return b"".join(unseal(io.BytesIO(sealed), key, purpose, name))


def sealed(data: bytes, name: str = NAME) -> bytes:
    return b"".join(seal([data], KEY, "store", name))


# --- encryption -------------------------------------------------------------------------------------------


@given(
    size=st.integers(0, 3), offset=st.integers(-2, 2), cuts=st.lists(st.integers(0, CHUNK * 3), max_size=3)
)
@settings(max_examples=25, deadline=None)
def test_sizes_around_the_borders_of_chunks_come_back(size: int, offset: int, cuts: list[int]) -> None:
    length = max(0, size * CHUNK + offset)
    data = os.urandom(1024) * (length // 1024 + 1)
    data = data[:length]
    places = [0, *sorted(min(cut, length) for cut in cuts), length]
    parts = [data[a:b] for a, b in itertools.pairwise(places)]
    pieces = b"".join(seal(parts, KEY, "store", NAME))
    assert opened(pieces) == data
    chunks = max(1, -(-length // CHUNK))
    assert len(pieces) == 4 + 32 + length + 16 * chunks


@given(data=st.binary(max_size=80), name=st.text(max_size=30))
def test_any_bytes_come_back(data: bytes, name: str) -> None:
    assert opened(sealed(data, name), name=name) == data


@given(data=st.data(), content=st.binary(max_size=70))
@settings(suppress_health_check=[], max_examples=200)
def test_any_changed_byte_is_refused(data: st.DataObject, content: bytes) -> None:
    whole = bytearray(sealed(content))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Damaged):
        opened(bytes(whole))


def test_cut_short_at_any_byte_or_longer_is_refused(small_chunks: int) -> None:
    whole = sealed(bytes(range(64)))
    assert opened(whole) == bytes(range(64))
    for length in range(len(whole)):
        with pytest.raises(Damaged):
            opened(whole[:length])
    for more in (b"\0", bytes(16), bytes(32), whole[-32:]):
        with pytest.raises(Damaged):
            opened(whole + more)


def test_chunks_in_another_order_repeated_or_of_another_object_are_refused(small_chunks: int) -> None:
    def pieces(whole: bytes) -> tuple[bytes, list[bytes]]:
        return whole[:36], [whole[at : at + 32] for at in range(36, len(whole), 32)]

    head, chunks = pieces(sealed(bytes(64)))
    _, others = pieces(sealed(bytes(64)))
    assert len(chunks) == 4
    for order in ([1, 0, 2, 3], [0, 1, 2, 2], [0, 2, 3], [0, 1, 3], [0, 0, 1, 2, 3], [3], [0, 1, 2]):
        with pytest.raises(Damaged):
            opened(head + b"".join(chunks[place] for place in order))
    with pytest.raises(Damaged):
        opened(head + b"".join([*chunks[:3], others[3]]))


def test_another_key_purpose_or_name_is_refused() -> None:
    whole = sealed(b"what is inside")
    for key, purpose, name in (
        (bytes(32), "store", NAME),
        (KEY, "backup", NAME),
        (KEY, "store", NAME + "0"),
        (KEY, "store", ""),
    ):
        with pytest.raises(Damaged):
            opened(whole, key, purpose, name)


def test_the_same_content_is_never_written_the_same_way() -> None:
    assert sealed(b"same")[4:] != sealed(b"same")[4:]


def test_the_format_is_the_documented_one() -> None:
    """Opened by hand, from the docstring's words alone."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    data = os.urandom(CHUNK + 5)
    whole = sealed(data)
    assert whole[:4] == b"sfe1"
    aes = AESGCM(HKDF(SHA256(), 32, whole[4:36], b"sansface store 1").derive(KEY))
    first, last = whole[36 : 36 + CHUNK + 16], whole[36 + CHUNK + 16 :]
    found = aes.decrypt(bytes(12), first, b"sfe1\x000\0more\0" + NAME.encode())
    found += aes.decrypt(bytes(11) + b"\1", last, b"sfe1\x001\0last\0" + NAME.encode())
    assert found == data


# --- the store in a folder --------------------------------------------------------------------------------


def test_put_get_names_and_delete(store: Store, tmp_path: Path) -> None:
    assert list(store.names()) == []
    store.put("results/a/b/mesh.ply", b"ply" * 1000)
    store.put("results/ab/b/mesh.ply", b"")
    store.put("bundles/x", b"bundle")
    assert store.get("results/a/b/mesh.ply") == b"ply" * 1000
    assert store.get("results/ab/b/mesh.ply") == b""
    store.put("bundles/x", b"another")
    assert store.get("bundles/x") == b"another"
    assert list(store.names()) == ["bundles/x", "results/a/b/mesh.ply", "results/ab/b/mesh.ply"]
    assert list(store.names("results/a")) == ["results/a/b/mesh.ply"] == list(store.names("results/a/"))
    assert list(store.names("nothing")) == []
    store.delete_under("results/a")
    assert list(store.names()) == ["bundles/x", "results/ab/b/mesh.ply"]
    store.delete("bundles/x")
    store.delete("bundles/x")
    store.delete_under("results/ab/")
    store.delete_under("results/ab")
    assert list(store.names()) == []
    assert list((tmp_path / "store").iterdir()) == []
    with pytest.raises(SansfaceError, match="bundles/x is not in the store"):
        store.get("bundles/x")


def test_chunks_are_streamed(store: Store) -> None:
    data = os.urandom(2 * CHUNK + 1)
    store.put(NAME, data)
    assert [len(chunk) for chunk in store.chunks(NAME)] == [CHUNK, CHUNK, 1]
    assert b"".join(store.chunks(NAME)) == data


@pytest.mark.parametrize(
    "name",
    [
        *("", "/etc/x", "..", "a/..", "../a", "a/../b", "a//b", "a/", ".hidden", "a/.part-1", "~root", "C:x"),
        *("a\\b", "a\n", "ä", "a\0b", "a" * 201, "a?versionId=1", "%2e%2e/a"),
    ],
)
def test_names_that_lead_elsewhere_are_refused(store: Store, name: str) -> None:
    for act in (
        lambda: store.put(name, b""),
        lambda: store.get(name),
        lambda: store.delete(name),
        lambda: store.modified(name),
    ):
        with pytest.raises(SansfaceError, match="takes no name"):
            act()
    if name != "a/":
        with pytest.raises(SansfaceError, match="takes no name"):
            store.delete_under(name)


def test_nothing_readable_on_the_disk_and_all_of_it_private(store: Store, tmp_path: Path) -> None:
    canary = b"canary-" + os.urandom(16).hex().encode()
    store.put(NAME, canary * 5000)
    store.put("results/j/a/mesh.ply", canary)
    files = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert len(files) == 2
    for path in files:
        content = path.read_bytes()
        assert canary not in content
        assert canary[7:23] not in content
    if os.name == "posix":
        modes = {path.is_dir(): path.stat().st_mode & 0o777 for path in (tmp_path / "store").rglob("*")}
        assert modes == {True: 0o700, False: 0o600}
        assert (tmp_path / "store").stat().st_mode & 0o777 == 0o700


def test_swapped_objects_another_key_and_damage_are_refused(store: Store, tmp_path: Path) -> None:
    store.put("bundles/a", b"of a")
    store.put("bundles/b", b"of b")
    a, b = tmp_path / "store/bundles/a", tmp_path / "store/bundles/b"
    whole = a.read_bytes()
    shutil.copy(b, a)
    with pytest.raises(SansfaceError, match="bundles/a in the store is damaged, or was written with another"):
        store.get("bundles/a")
    with pytest.raises(SansfaceError, match="damaged"):
        Store(str(tmp_path / "store"), bytes(32)).get("bundles/b")
    a.write_bytes(whole[:-1])
    with pytest.raises(SansfaceError, match="damaged"):
        store.get("bundles/a")
    a.write_bytes(whole)
    assert store.get("bundles/a") == b"of a"


def test_a_full_disk_leaves_the_older_object(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put(NAME, b"older")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SansfaceError, match="the disk is full"):
        store.put(NAME, b"newer")
    monkeypatch.undo()
    assert store.get(NAME) == b"older"
    assert [path.name for path in (tmp_path / "store/bundles").iterdir()] == [NAME.split("/")[1]]


def test_a_disk_that_is_nearly_full_has_room_left_to_delete(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put(NAME, b"older")
    free = shutil.disk_usage(tmp_path)._replace(free=places.RESERVE - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    with pytest.raises(SansfaceError, match="the disk is full") as told:
        store.put(NAME, b"newer")
    assert is_full(told.value)
    assert store.get(NAME) == b"older"
    store.delete(NAME)
    assert list((tmp_path / "store").rglob("*")) == []


def test_another_key_is_noticed(store: Store, tmp_path: Path) -> None:
    """By the mark; in a store from before there was one, by any object."""
    place = str(tmp_path / "store")
    store.put(NAME, b"of the first key")
    with pytest.raises(SansfaceError, match=f"{NAME} in the store was written with another key"):
        Store(place, bytes(32)).check_key()
    store.check_key()
    store.check_key()
    with pytest.raises(SansfaceError, match="key/mark in the store was written with another key"):
        Store(place, bytes(32)).check_key()
    store.delete(NAME)
    with pytest.raises(SansfaceError, match="set the key that belongs to this store"):
        Store(place, bytes(32)).check_key()
    Store(str(tmp_path / "new"), bytes(32)).check_key()
    with pytest.raises(SansfaceError, match="another key"):
        Store(str(tmp_path / "new"), KEY).check_key()


def test_a_writer_that_is_killed_leaves_no_half_object(store: Store, tmp_path: Path) -> None:
    store.put(NAME, b"older")
    program = (
        "import sys, time; from sansface.serve import places\n"
        "def pieces():\n    yield b'x' * 100000\n    print('half', flush=True)\n    time.sleep(60)\n"
        f"places.place({str(tmp_path / 'store')!r}).write({NAME!r}, pieces())"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "half\n"
        writer.send_signal(signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
    assert store.get(NAME) == b"older"
    assert list(store.names()) == [NAME]
    folder = tmp_path / "store/bundles"
    assert len(list(folder.iterdir())) == 2
    store.tidy(time.time() - 3600)
    assert len(list(folder.iterdir())) == 2
    store.tidy(time.time() + 1)
    assert len(list(folder.iterdir())) == 1
    assert store.get(NAME) == b"older"


def test_check_leaves_nothing_and_says_what_fails(store: Store, tmp_path: Path) -> None:
    store.check()
    assert list((tmp_path / "store").iterdir()) == []
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SansfaceError, match="write in the store"):
        Store(str(tmp_path / "file"), KEY).check()


def test_unknown_urls_are_one_sentence() -> None:
    with pytest.raises(SansfaceError, match="the store's URL cannot be used") as told:
        Store("nonsense://user:secret@host/x", KEY)
    assert "secret" not in str(told.value)


def test_modified_is_the_time_of_writing(store: Store) -> None:
    assert store.modified(NAME) is None
    store.put(NAME, b"")
    modified = store.modified(NAME)
    assert modified is not None
    assert abs(modified - time.time()) < 60


# --- other places -----------------------------------------------------------------------------------------


def test_any_kind_that_fsspec_knows() -> None:
    url = f"memory://{os.urandom(8).hex()}/deep"
    store = Store(url, KEY)
    store.check()
    store.put("results/a/x", b"1" * (CHUNK + 1))
    store.put("results/ab/x", b"2")
    assert Store(url, KEY).get("results/a/x") == b"1" * (CHUNK + 1)
    store.delete_under("results/a")
    assert list(store.names()) == ["results/ab/x"]
    assert abs((store.modified("results/ab/x") or 0) - time.time()) < 60
    store.delete("results/ab/x")
    store.delete("results/ab/x")
    with pytest.raises(SansfaceError, match="not in the store"):
        store.get("results/ab/x")


def test_a_store_whose_package_is_missing_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    # What was imported before; the package has an attribute of its module's name.
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    with pytest.raises(SansfaceError, match=r"pip install 'sansface\[s3\]'"):
        Store("s3://bucket/folder", KEY)


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory):
    """A real S3-like server (moto) on 127.0.0.1; gives a client of its own, to look behind the store."""
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    pytest.importorskip("moto", reason="moto is not installed")
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (tmp_path_factory.mktemp("moto") / "log").open("wb")
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(words, stdout=log, stderr=log)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        try:
            for _ in range(300):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                assert server.poll() is None, "moto's server ended"
                time.sleep(0.1)
            yield boto3.client("s3")
        finally:
            server.terminate()
            server.wait(120)
            log.close()


@pytest.mark.filterwarnings("default")
def test_s3_with_versions(s3) -> None:
    """Deleting forgets every version; a listing is never stale; what lies there cannot be read."""
    s3.create_bucket(Bucket="versioned")
    s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    store = Store("s3://versioned/deployment", KEY)

    def left(prefix: str = "") -> list[str]:
        page = s3.list_object_versions(Bucket="versioned", Prefix=prefix)
        return [one["Key"] for one in page.get("Versions", []) + page.get("DeleteMarkers", [])]

    store.check()
    assert left() == []
    canary = b"canary" * 100
    for turn in range(3):
        store.put("bundles/a", canary + bytes([turn]))
    store.put("bundles/ab", b"stays")
    assert len(left("deployment/bundles/a")) == 4
    assert b"canary" not in s3.get_object(Bucket="versioned", Key="deployment/bundles/a")["Body"].read()
    assert Store("s3://versioned/deployment", KEY).get("bundles/a") == canary + b"\2"
    s3.delete_object(Bucket="versioned", Key="deployment/bundles/a")  # somebody else's: it only marks
    assert list(store.names()) == ["bundles/ab"]
    store.delete("bundles/a")
    assert left() == ["deployment/bundles/ab"]
    for turn in range(2):
        store.put("results/j/a/x", bytes([turn]))
        store.put("results/j/b/x", bytes([turn]))
    store.put("results/jj/b/x", b"stays")
    store.delete_under("results/j")
    assert sorted(left()) == ["deployment/bundles/ab", "deployment/results/jj/b/x"]
    assert list(store.names()) == ["bundles/ab", "results/jj/b/x"]
    assert list(store.names("results")) == ["results/jj/b/x"]
    assert abs((store.modified("bundles/ab") or 0) - time.time()) < 60
    large = os.urandom(6 * CHUNK + 3)
    store.put("results/jj/b/large", large)
    assert store.get("results/jj/b/large") == large
    with pytest.raises(SansfaceError, match="bundles/a is not in the store"):
        store.get("bundles/a")
    assert store.modified("bundles/a") is None


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_s3_more_versions_than_a_page(s3) -> None:
    s3.create_bucket(Bucket="many")
    s3.put_bucket_versioning(Bucket="many", VersioningConfiguration={"Status": "Enabled"})
    for turn in range(1010):
        s3.put_object(Bucket="many", Key="bundles/a", Body=bytes([turn % 256]))
    Store("s3://many", KEY).delete("bundles/a")
    page = s3.list_object_versions(Bucket="many")
    assert not page.get("Versions")
    assert not page.get("DeleteMarkers")


@pytest.mark.filterwarnings("default")
def test_s3_that_cannot_be_reached_is_one_sentence(s3) -> None:
    with pytest.raises(SansfaceError) as told:
        Store("s3://no-such-bucket", KEY).check()
    assert re.search(r"health/\w+", str(told.value))
