"""The store: bundles, results and checkpoints as encrypted objects in a folder or any S3-like place.

Objects have names such as `bundles/ID` and `results/JOB/ATTEMPT/NAME`. Each is encrypted by a key derived
from the deployment's own and bound to its name (`encryption.py` has the format): who can read the disk or
the bucket has names, lengths and times; who can write it can remove an object, or put an older one of the
same name in its place, and nothing else goes unnoticed.
"""

import re
import secrets
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from sansface.errors import SansfaceError
from sansface.files import os_error_sentence
from sansface.serve.encryption import Damaged, seal, unseal
from sansface.serve.places import place

PURPOSE = "store"
PROBES = "health"
"""Folder of the names that `check` tries."""
MARK = "key/mark"
"""An object that only the store's own key opens."""
_PART = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_NAME = re.compile(rf"{_PART}(/{_PART})*")
_LONGEST = 200


class Lost(SansfaceError):
    """An object is not in the store, or not what was written."""


class Store:
    """Encrypted objects by name. Threads and processes may share it; the last of two writers stays.

    Args:
        url: a folder, or a URL of any kind that fsspec knows, such as `s3://bucket/folder`.
        key: 32 bytes, the deployment's.

    Raises:
        SansfaceError: an unknown kind of URL, or its package is not installed.
    """

    def __init__(self, url: str, key: bytes):
        try:
            self._place = place(url)
        except (ValueError, ImportError) as error:
            raise SansfaceError(
                f"the store's URL cannot be used ({type(error).__name__}): correct it, "
                "or install the package that fsspec needs for it (s3://: pip install 'sansface[s3]')."
            ) from error
        self._key = key

    def put(self, name: str, data: bytes) -> None:
        """Write an object, whole or not at all.

        Raises:
            SansfaceError: the place cannot be used.
        """
        _check(name)
        with _said("write", name):
            self._place.write(name, seal([data], self._key, PURPOSE, name))

    def get(self, name: str) -> bytes:
        """The whole object.

        Raises:
            Lost: missing, damaged, or of another key.
            SansfaceError: the place cannot be used.
        """
        return b"".join(self.chunks(name))

    def chunks(self, name: str) -> Generator[bytes, None, None]:
        """The object in pieces of at most 1 MiB, each verified; whole only if the last came without an error.

        Close what is not read to its end, or it stays open.

        Raises:
            Lost: missing, damaged, or of another key.
            SansfaceError: the place cannot be used.
        """
        _check(name)
        with _said("read", name), self._place.read(name) as stream:
            yield from unseal(stream, self._key, PURPOSE, name)

    def delete(self, name: str) -> None:
        """Forget an object and every version that the place kept of it; nothing if there is none.

        Raises:
            SansfaceError: the place cannot be used.
        """
        _check(name)
        with _said("delete", name):
            self._place.remove(name)

    def delete_under(self, prefix: str) -> None:
        """Forget all objects `prefix/…`, with every version; those of `prefix-and-more` stay.

        Raises:
            SansfaceError: the place cannot be used.
        """
        prefix = prefix.rstrip("/")
        _check(prefix)
        with _said("delete", prefix):
            self._place.remove_under(f"{prefix}/")

    def names(self, prefix: str = "") -> Iterator[str]:
        """Names of all objects, or of those under `prefix/`, in order; no file of an invalid name.

        Raises:
            SansfaceError: the place cannot be used.
        """
        prefix = prefix.rstrip("/")
        if prefix:
            _check(prefix)
        with _said("list", prefix or "objects"):
            for name in self._place.names(f"{prefix}/" if prefix else ""):
                if _NAME.fullmatch(name) and len(name) <= _LONGEST:
                    yield name

    def modified(self, name: str) -> float | None:
        """When an object was written, in seconds since 1970 by the place's clock; None if there is none.

        Raises:
            SansfaceError: the place cannot be used.
        """
        _check(name)
        with _said("read", name):
            try:
                return self._place.modified(name)
            except FileNotFoundError:
                return None

    def tidy(self, before: float) -> None:
        """Remove what interrupted writing left before that time, in seconds since 1970."""
        with _said("tidy", "objects"):
            self._place.tidy(before)

    def check_key(self) -> None:
        """See that this is the key under which all else was written; the first one is remembered, by a mark.

        A store from before there was a mark is judged by the first of its objects that is there.

        Raises:
            SansfaceError: it is another key, or the place cannot be used.
        """
        marked = self.modified(MARK) is not None
        name = MARK if marked else next(self.names(), None)
        try:
            if name is not None:
                self.get(name)
        except Lost as error:
            raise SansfaceError(
                f"{name} in the store was written with another key, or is damaged; set the key that belongs "
                "to this store, or name another store."
            ) from error
        if not marked:
            self.put(MARK, b"")

    def check(self) -> None:
        """Write an object, read it and delete it.

        Raises:
            SansfaceError: one of these failed.
        """
        name, data = f"{PROBES}/{secrets.token_hex(16)}", secrets.token_bytes(16)
        self.put(name, data)
        try:
            if self.get(name) != data:
                raise SansfaceError("the store gives back something else than was written; look at its disk.")
        finally:
            self.delete(name)


def _check(name: str) -> None:
    if len(name) > _LONGEST or not _NAME.fullmatch(name):
        raise SansfaceError(
            f"the store takes no name like {name[:60]!r}; "
            f"use letters, digits, . _ - and / between, {_LONGEST} characters at most."
        )


@contextmanager
def _said(action: str, name: str) -> Iterator[None]:
    """Any failure as one sentence, which names the object and not the place: that may hold a password."""
    try:
        yield
    except SansfaceError:
        raise
    except Damaged:
        raise Lost(
            f"{name} in the store is damaged, or was written with another key; "
            "set the key of this deployment, or restore a backup."
        ) from None
    except FileNotFoundError as error:
        raise Lost(f"{name} is not in the store; it was deleted, or never arrived.") from error
    except OSError as error:
        raise SansfaceError(os_error_sentence(f"{action} in the store", Path(name), error)) from error
    except Exception as error:  # every kind of place has its own: only the class is told
        raise SansfaceError(
            f"the store did not {action} {name} ({type(error).__name__}); check that it can be reached."
        ) from error
