"""Where a deployment of the service keeps what it knows: a database, a store, and the key of the store."""

import os
from dataclasses import dataclass
from pathlib import Path

from sansface.errors import SansfaceError
from sansface.files import os_error_sentence

DATABASE = "SANSFACE_DATABASE"
"""Environment variable: URL of the database. It may hold a password, so it is no option of a command."""
STORE = "SANSFACE_STORE"
"""Environment variable: URL of the store, of any kind that fsspec knows."""
KEY = "SANSFACE_STORE_KEY"
"""Environment variable: the store's key, 64 hexadecimal digits; KEY + _FILE names a file that holds them."""


@dataclass(frozen=True)
class Deployment:
    """What server, workers and maintenance must agree on.

    Attributes:
        database: SQLAlchemy's URL.
        store: fsspec's URL, or a folder.
        key: 32 bytes.
    """

    database: str
    store: str
    key: bytes

    def __repr__(self) -> str:
        return "Deployment(...)"  # a traceback or a log must not show the key or a password


def deployment(data: Path) -> Deployment:
    """As the environment says; database and store lie in the folder `data` where it does not.

    Raises:
        SansfaceError: no key or not 64 hexadecimal digits; the folder cannot be made.
    """
    database, store = os.environ.get(DATABASE), os.environ.get(STORE)
    if database is None or store is None:
        try:
            data.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise SansfaceError(os_error_sentence("make the folder", data, error)) from error
    return Deployment(
        database or f"sqlite:///{(data / 'service.db').absolute().as_posix()}",
        store or (data / "store").absolute().as_posix(),
        _key(),
    )


def read_key(path: Path) -> bytes:
    """32 bytes from a file of 64 hexadecimal digits.

    Raises:
        SansfaceError: it cannot be read, or holds something else.
    """
    try:
        return _parsed(path.read_text(encoding="ascii"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise SansfaceError(f"the store's key cannot be read from {path}; correct the path.") from error


def _key() -> bytes:
    text, path = os.environ.get(KEY), os.environ.get(f"{KEY}_FILE")
    if text is not None:
        return _parsed(text, KEY)
    if path is not None:
        return read_key(Path(path))
    raise SansfaceError(
        f"the store's key is missing: set {KEY} to 64 hexadecimal digits, such as `openssl rand -hex 32` "
        "prints, and keep a copy elsewhere, for without it nothing can be read again."
    )


def _parsed(text: str, source: str) -> bytes:
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != 32:
        raise SansfaceError(f"{source} is not 64 hexadecimal digits; make one with `openssl rand -hex 32`.")
    return key
