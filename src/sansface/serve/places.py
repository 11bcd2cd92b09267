"""Where the store's objects lie: a folder of this machine, or anything else that fsspec knows.

Both take names that were validated (`store.py`), write an object as a whole or not at all, and forget it with
all its versions.
"""

import errno
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import fsspec
from fsspec.implementations.local import LocalFileSystem

PART = ".part-"
"""Begins the file name of what is being written; no object's name may begin so."""
RESERVE = 64 << 20
"""Bytes of a folder's disk that nothing is written into: a database beside it needs some to delete."""


class Place(Protocol):
    """What the store needs of it. Every method may raise OSError, and whatever else a remote store raises."""

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        """Put all of it there, or nothing; an object of that name is replaced at one instant."""
        ...

    def read(self, name: str) -> BinaryIO:
        """Open it; FileNotFoundError if there is none."""
        ...

    def names(self, prefix: str) -> Iterator[str]:
        """All names under a prefix that is empty or ends with a slash."""
        ...

    def modified(self, name: str) -> float:
        """When it was written, in seconds since 1970; FileNotFoundError if there is none."""
        ...

    def remove(self, name: str) -> None:
        """Every version of it; nothing if there is none."""
        ...

    def remove_under(self, prefix: str) -> None:
        """Every version of all that is under a prefix that ends with a slash."""
        ...

    def tidy(self, before: float) -> None:
        """Remove what interrupted writing left before that time."""
        ...


def place(url: str) -> Place:
    """The place of that URL; a path without a scheme is a folder.

    Raises:
        ValueError, ImportError: fsspec does not know the scheme, or its package is not installed.
    """
    system, root = fsspec.url_to_fs(url, use_listings_cache=False, skip_instance_cache=True)
    return Folder(Path(root)) if isinstance(system, LocalFileSystem) else Remote(system, root)


class Folder:
    """Files 0600 in folders 0700; written beside, flushed to the disk and renamed."""

    def __init__(self, root: Path):
        self.root = root

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        path = self.root / name
        part = path.with_name(PART + secrets.token_hex(8))
        try:
            with os.fdopen(self._open(part), "wb") as stream:
                if shutil.disk_usage(path.parent).free < RESERVE:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                for piece in pieces:
                    stream.write(piece)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(part, path)
        except BaseException:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)

    def read(self, name: str) -> BinaryIO:
        return open(self.root / name, "rb")

    def names(self, prefix: str) -> Iterator[str]:
        for folder, files in _walk(self.root / prefix):
            for file in files:
                if not file.startswith(PART):
                    yield (folder / file).relative_to(self.root).as_posix()

    def modified(self, name: str) -> float:
        return (self.root / name).stat().st_mtime

    def remove(self, name: str) -> None:
        path = self.root / name
        with suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()
            _sync_folder(path.parent)
        self._remove_empty(path.parent)

    def remove_under(self, prefix: str) -> None:
        for folder, files in _walk(self.root / prefix, topdown=False):
            for file in files:
                with suppress(FileNotFoundError):
                    (folder / file).unlink()
            with suppress(FileNotFoundError):
                _sync_folder(folder)
            self._remove_empty(folder)

    def tidy(self, before: float) -> None:
        for folder, files in _walk(self.root):
            for file in files:
                with suppress(FileNotFoundError):
                    if file.startswith(PART) and (folder / file).stat().st_mtime < before:
                        (folder / file).unlink()

    def _open(self, part: Path) -> int:
        """A new private file; its folder is made, again if somebody removed it, empty, in between."""
        for _ in range(100):
            with suppress(FileNotFoundError):
                _private_folder(part.parent)
                return os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        raise FileNotFoundError("its folder is removed again and again")

    def _remove_empty(self, folder: Path) -> None:
        """This folder and those above it, as long as they are empty."""
        while folder != self.root and self.root in folder.parents:
            try:
                folder.rmdir()
            except FileNotFoundError:
                pass
            except OSError:
                return
            folder = folder.parent


class Remote:
    """Any other kind. S3's are told apart, for they may keep versions of what is deleted."""

    def __init__(self, system: Any, root: str):
        self.system = system
        self.root = root.rstrip("/")
        protocol = system.protocol
        self._is_s3 = "s3" in ((protocol,) if isinstance(protocol, str) else protocol)

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        # One request, or an upload in parts that counts only when it is completed: never half an object.
        self.system.pipe_file(self._path(name), b"".join(pieces))

    def read(self, name: str) -> BinaryIO:
        return self.system.open(self._path(name), "rb", cache_type="readahead", block_size=1 << 22)

    def names(self, prefix: str) -> Iterator[str]:
        for path in sorted(self.system.find(self._path(prefix))):
            yield path.removeprefix(self.root).lstrip("/")

    def modified(self, name: str) -> float:
        return self.system.modified(self._path(name)).timestamp()

    def remove(self, name: str) -> None:
        if self._is_s3:
            self._remove_versions(name, exactly=True)
        else:
            self._remove_file(self._path(name))

    def remove_under(self, prefix: str) -> None:
        if self._is_s3:
            self._remove_versions(prefix, exactly=False)
        else:
            for name in list(self.names(prefix)):
                self._remove_file(self._path(name))

    def tidy(self, before: float) -> None:
        pass  # an upload in parts that broke off is not listed; a rule of the bucket ends it (docs/deploy.md)

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}" if name else self.root

    def _remove_file(self, path: str) -> None:
        with suppress(FileNotFoundError):
            self.system.rm_file(path)

    def _remove_versions(self, name: str, exactly: bool) -> None:
        """Each by its version. Marks of deletion go first: while a version is left, it can be found."""
        bucket, _, key = self._path(name).partition("/")
        marks, versions, more = [], [], {}
        while True:
            page = self.system.call_s3("list_object_versions", Bucket=bucket, Prefix=key, **more)
            marks += page.get("DeleteMarkers", [])
            versions += page.get("Versions", [])
            if not page.get("IsTruncated"):
                break
            more = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
        for version in [*marks, *versions]:
            if version["Key"] == key or not exactly:
                self.system.call_s3(
                    "delete_object", Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"]
                )


def _walk(folder: Path, topdown: bool = True) -> Iterator[tuple[Path, list[str]]]:
    """Folders and their files, in order. One that vanished is passed over, one that cannot be read is not."""

    def failed(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            raise error

    for name, folders, files in os.walk(folder, topdown=topdown, onerror=failed):
        folders.sort()
        yield Path(name), sorted(files)


def _private_folder(folder: Path) -> None:
    """Make it and those above it, 0700, so that they outlast a power cut."""
    if folder.is_dir():
        return
    _private_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows opens no folders
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
