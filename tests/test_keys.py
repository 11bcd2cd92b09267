"""Key files: made for their owner alone, refused in every state but the right one, never shown."""

import base64
import hashlib
import os
import stat
import traceback
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hmac
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st

from sansface.deidentify.keys import BYTES, LONGEST, Key, Purpose, new_key, read_key, write_key
from sansface.errors import SansfaceError

posix = pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my.key"
    write_key(new_key(Purpose.RECOGNITION), path)
    return path


def refused(path: Path, purpose: Purpose = Purpose.RECOGNITION) -> str:
    with pytest.raises(SansfaceError) as caught:
        read_key(path, purpose)
    said = "".join(traceback.format_exception(caught.value))
    if path.is_file():  # whatever stands in it, nothing of it is shown, nor in the errors beneath
        lines = [line.partition(b" ")[2] for line in path.read_bytes().split(b"\n")[2:4]]
        assert not [line for line in lines if len(line) > 8 and line.decode("latin-1") in said]
    assert path.name in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("purpose", list(Purpose))
def test_what_was_written_is_read(tmp_path, purpose):
    key = new_key(purpose)
    write_key(key, tmp_path / "a.key")
    again = read_key(tmp_path / "a.key", purpose)
    assert (again.secret, again.purpose) == (key.secret, purpose)
    assert len(key.secret) == BYTES == 32


def test_keys_differ_and_use_all_their_bits():
    secrets = [int.from_bytes(new_key(Purpose.SEALING).secret) for _ in range(64)]
    assert len(set(secrets)) == 64
    ever, always = 0, ~0
    for secret in secrets:
        ever, always = ever | secret, always & secret
    assert ever.bit_count() == 256  # fails with a probability of 256 / 2^64
    assert always == 0


@posix
def test_only_the_owner_may_read_it_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        write_key(new_key(Purpose.RECOGNITION), tmp_path / "my.key")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "my.key").stat().st_mode) == 0o600


def test_a_key_is_never_written_over(file):
    before = file.read_bytes()
    with pytest.raises(SansfaceError, match="never written over"):
        write_key(new_key(Purpose.RECOGNITION), file)
    assert file.read_bytes() == before


def test_a_disk_that_fails_leaves_no_half_a_key(tmp_path, monkeypatch):
    def full(file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SansfaceError, match="disk is full"):
        write_key(new_key(Purpose.RECOGNITION), tmp_path / "my.key")
    assert not list(tmp_path.iterdir())
    with pytest.raises(SansfaceError, match="folder does not exist"):
        write_key(new_key(Purpose.RECOGNITION), tmp_path / "none" / "my.key")


@posix
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666, 0o644, 0o610])
def test_one_that_others_may_read_or_write_is_refused(file, mode):
    file.chmod(mode)
    assert "chmod 600" in refused(file)


@posix
def test_owners_of_read_only_keys_and_links_to_keys_are_fine(file, tmp_path):
    file.chmod(0o400)
    (tmp_path / "link.key").symlink_to(file)
    assert (
        read_key(tmp_path / "link.key", Purpose.RECOGNITION).secret
        == read_key(file, Purpose.RECOGNITION).secret
    )
    file.chmod(0o644)
    assert "chmod 600" in refused(tmp_path / "link.key")  # the file's own permissions count


def test_what_is_no_file(tmp_path):
    assert "no ordinary file" in refused(tmp_path) or "folder" in refused(tmp_path)
    assert "no such file" in refused(tmp_path / "none.key")


@posix
def test_a_pipe_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert "no ordinary file" in refused(tmp_path / "pipe")


@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_key_of_the_other_purpose_is_refused(tmp_path, purpose):
    write_key(new_key(purpose), tmp_path / "my.key")
    (other,) = set(Purpose) - {purpose}
    assert f"is for {purpose}, and this needs one for {other}" in refused(tmp_path / "my.key", other)


def test_every_cut_is_refused(file):
    """But that of the last line end, which says nothing."""
    whole = file.read_bytes()
    for length in range(len(whole) - 1):
        file.write_bytes(whole[:length])
        assert refused(file)
    file.write_bytes(whole[: len(whole) // 2])
    assert "cut short" in refused(file)


def test_every_changed_byte_is_refused(file):
    whole = file.read_bytes()
    for at in range(len(whole) - 1):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert refused(file)


def test_more_than_a_key_is_refused(file):
    whole = file.read_bytes()
    for more in (b"x", whole, b" " * LONGEST + b"x"):
        file.write_bytes(whole + more)
        assert "damaged" in refused(file)


def written(path: Path, secret: bytes, version: str = "1", purpose: str = "recognition") -> None:
    """By hand, after the module's docstring."""
    text = f"sansface key {version}\npurpose {purpose}\nsecret {base64.b64encode(secret).decode()}\n"
    path.write_text(f"{text}check {hashlib.sha256(text.encode()).hexdigest()}\n", newline="\n")


def test_the_format_is_the_one_that_is_described(file):
    written(file, bytes(range(32)))
    assert read_key(file, Purpose.RECOGNITION).secret == bytes(range(32))
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))  # copied by way of Windows
    assert read_key(file, Purpose.RECOGNITION).secret == bytes(range(32))


@pytest.mark.parametrize("length", [0, 1, 16, 31, 33, 64])
def test_a_wrong_length_is_refused(file, length):
    written(file, bytes(length))
    assert f"has {8 * length} bits, not 256" in refused(file)


def test_other_versions_purposes_and_files_are_refused(file):
    written(file, bytes(32), version="2")
    assert "another version" in refused(file)
    written(file, bytes(32), purpose="everything")
    assert "damaged" in refused(file)
    for data in (b"", b"\x89PNG\r\n\x1a\n", b"-----BEGIN PRIVATE KEY-----\n", bytes(300)):
        file.write_bytes(data)
        assert "is no key" in refused(file)


@given(st.binary(max_size=400))
def test_any_bytes_are_one_sentence(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("keys") / "any.key"
    path.write_bytes(data)
    path.chmod(0o600)
    assert refused(path).count("\n") == 0


def test_nothing_shows_the_secret():
    key = new_key(Purpose.RECOGNITION)
    shown = f"{key!r} {key} {[key]}"
    assert key.secret.hex() not in shown
    assert repr(key.secret) not in shown
    assert base64.b64encode(key.secret).decode() not in shown
    assert repr(key) == "Key(recognition)"


def hkdf(secret: bytes, info: bytes) -> bytes:
    """RFC 5869 by hand: no salt, one block of SHA-256."""

    def mac(key: bytes, data: bytes) -> bytes:
        made = hmac.HMAC(key, SHA256())
        made.update(data)
        return made.finalize()

    return mac(mac(bytes(32), secret), info + b"\x01")


def test_derived_bytes_are_those_of_rfc_5869():
    key = Key(Purpose.SEALING, bytes(range(32)))
    assert key.derive("codes", 3) == hkdf(key.secret, b"sansface\x001\x00sealing\x00codes\x003")


def test_each_key_purpose_use_and_counter_gives_other_bytes():
    one, other = (Key(Purpose.RECOGNITION, bytes([number] * 32)) for number in (1, 2))
    sealing = Key(Purpose.SEALING, one.secret)
    uses = [("codes", 0), ("codes", 1), ("codes", 10), ("codes", 1, 0), ("face", 0), ("codes",), ()]
    derived = [key.derive(*use) for key in (one, other, sealing) for use in uses]
    assert len(set(derived)) == len(derived)
    assert one.derive("codes", 1) == Key(Purpose.RECOGNITION, one.secret).derive("codes", 1)
