"""Key files: 256 secret bits for one purpose, and the bytes that are derived from them.

A key file is four lines of text,

    sansface key 1
    purpose recognition
    secret <base64 of 32 bytes>
    check <SHA-256 of the three lines above, in hexadecimal>

which only its owner may read. The check finds damage; it keeps no secret, for it lies beside it. What is used
is never the secret itself but HKDF-SHA256 (RFC 5869) of it, with the purpose and the use in `info`: so the
bytes of one use say nothing of those of another.
"""

import base64
import binascii
import hashlib
import os
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sansface.errors import SansfaceError
from sansface.files import os_error_sentence

BYTES = 32
"""Of the secret."""
FIRST = "sansface key "
"""What a key file begins with, before its version."""
VERSION = "1"
LONGEST = 1024
"""Bytes of a file that is looked at; a key file has about 180."""
OTHERS = stat.S_IRWXG | stat.S_IRWXO
"""What group and others must not be allowed."""


class Purpose(StrEnum):
    """What a key is for: one for the one is refused for the other."""

    RECOGNITION = "recognition"  # draws virtual faces and recognises people by them
    SEALING = "sealing"  # opens the originals inside pictures


@dataclass(frozen=True, eq=False, repr=False)
class Key:
    """A secret and what it is for. Shown, it shows the purpose alone.

    Attributes:
        purpose: what it may be used for.
        secret: (32,) bytes.
    """

    purpose: Purpose
    secret: bytes

    def __repr__(self) -> str:
        return f"Key({self.purpose})"

    def check(self, purpose: Purpose, name: str = "") -> None:
        """Raises SansfaceError where the key is not for this purpose; name: of its file."""
        if self.purpose is not purpose:
            key = f"the key {name}".rstrip()
            raise SansfaceError(f"{key} is for {self.purpose}, and this needs one for {purpose}; give that.")

    def derive(self, *use: str | int) -> bytes:
        """32 bytes for one use: HKDF-SHA256 without salt, `info` = the purpose and the words of the use.

        use: words and numbers without the character NUL, which stands between them. None is a name.
        """
        info = "\0".join(("sansface", VERSION, self.purpose, *map(str, use))).encode()
        return HKDF(algorithm=SHA256(), length=BYTES, salt=None, info=info).derive(self.secret)


def new_key(purpose: Purpose) -> Key:
    """A key nobody has: 256 bits from the operating system."""
    return Key(purpose, secrets.token_bytes(BYTES))


def write_key(key: Key, path: str | Path) -> None:
    """Write a key file for its owner's eyes alone. One that is there is never replaced.

    Raises:
        SansfaceError: there is a file of that name, or it cannot be written.
    """
    path = Path(path)
    try:
        # Made with its permissions in one step: at no time may others read it.
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise SansfaceError(
            f"{path} exists, and a key is never written over; choose another name."
        ) from error
    except OSError as error:
        raise SansfaceError(os_error_sentence("write the key", path, error)) from error
    try:
        with open(file, "wb") as stream:
            stream.write(_text(key).encode())
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        with suppress(OSError):
            path.unlink()
        raise SansfaceError(os_error_sentence("write the key", path, error)) from error


def read_key(path: str | Path, purpose: Purpose) -> Key:
    """Read a key file; nothing of its content is ever in an error.

    Args:
        path: the file, or a link to it.
        purpose: what the key must be for.

    Raises:
        SansfaceError: it is missing, no ordinary file, open to group or others (where the system knows such
            permissions), cut short, changed, of another version or for another purpose.
    """
    path = Path(path)
    try:
        # Opened first and looked at then, so that it is one and the same file; a pipe must not block.
        file = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(file, "rb") as stream:
            about = os.fstat(file)
            if not stat.S_ISREG(about.st_mode):
                raise SansfaceError(f"{path} is no ordinary file; give a key file of `sansface key new`.")
            if os.name == "posix" and about.st_mode & OTHERS:
                raise SansfaceError(
                    f"the key {path} is open to others than its owner, who may know it; make a new one, "
                    "or say `chmod 600` if you are sure of everybody on this machine."
                )
            data = stream.read(LONGEST + 1)
    except IsADirectoryError as error:
        raise SansfaceError(f"{path} is a folder; give a key file of `sansface key new`.") from error
    except OSError as error:
        raise SansfaceError(os_error_sentence("read the key", path, error)) from error
    key = _parsed(data, path)
    key.check(purpose, str(path))
    return key


def _text(key: Key) -> str:
    lines = f"{FIRST}{VERSION}\npurpose {key.purpose}\nsecret {base64.b64encode(key.secret).decode()}\n"
    return f"{lines}check {_check(lines)}\n"


def _check(lines: str) -> str:
    return hashlib.sha256(lines.encode()).hexdigest()


def _parsed(data: bytes, path: Path) -> Key:
    """Errors are raised `from None`: the ones beneath would show what they could not read."""
    try:
        text = data.decode("ascii").replace("\r\n", "\n")
    except UnicodeDecodeError:
        text = ""
    if not text.startswith(FIRST):
        raise SansfaceError(f"{path} is no key; give a key file of `sansface key new`.")
    lines = text.split("\n")
    if lines[0] != f"{FIRST}{VERSION}" and len(lines) > 1:
        raise SansfaceError(
            f"the key {path} is of another version, and this sansface reads version {VERSION}; use the "
            "sansface that wrote it."
        )
    if len(lines) < 5:
        raise SansfaceError(f"the key {path} is cut short; copy it again from your backup.")
    words = [line.partition(" ") for line in lines[1:4]]
    damaged = SansfaceError(f"the key {path} is damaged; copy it again from your backup.")
    told = [word for word, _, _ in words]
    if told != ["purpose", "secret", "check"] or "".join(lines[4:]) or len(data) > LONGEST:
        raise damaged
    purpose, coded, check = (value for _, _, value in words)
    try:
        secret = base64.b64decode(coded, validate=True)
    except (binascii.Error, ValueError):
        raise damaged from None
    if len(secret) != BYTES:
        raise SansfaceError(
            f"the key {path} has {8 * len(secret)} bits, not {8 * BYTES}; give one of `sansface key new`."
        )
    above = "".join(f"{line}\n" for line in lines[:3])
    if not secrets.compare_digest(check, _check(above)) or purpose not in list(Purpose):
        raise damaged
    return Key(Purpose(purpose), secret)
