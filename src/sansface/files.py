"""Writing results so that a half-written file is never mistaken for a whole one.

Every output is written beside its place and renamed once it is complete, as `name.1f0c93ab.part` until then:
drawn anew each time, so that it is nobody's file and no link that leads elsewhere. An error of the operating
system becomes one sentence that names the file and what to do.
"""

import errno
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sansface.errors import SansfaceError

PART = re.compile(r"\.[0-9a-f]{8}\.part$")
"""How the name of a file ends that is being written, or was when its process was killed."""
_REMEDIES = {
    errno.ENOSPC: "the disk is full; free some space or choose another place",
    errno.EDQUOT: "the disk quota is used up; free some space or choose another place",
    errno.EACCES: "there is no permission; choose a folder that you may write to",
    errno.EPERM: "there is no permission; choose a folder that you may write to",
    errno.EROFS: "the file system is read-only; choose another place",
    errno.EISDIR: "it is a folder; give the name of a file",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another place",
    errno.EEXIST: "a file of that name is in the way; choose another place",
    errno.ENOENT: "its folder does not exist; make the folder first",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}


_REMEDIES_OF_READING = {
    errno.EACCES: "there is no permission; ask for the right to read it",
    errno.EPERM: "there is no permission; ask for the right to read it",
    errno.ENOENT: "there is no such file; check the path",
}


def os_error_sentence(action: str, path: Path, error: OSError) -> str:
    """One sentence for an error of the operating system: what failed, for which file, and the remedy.

    action: what was tried, such as "write"; one that begins with "read" has other remedies.
    """
    remedies = _REMEDIES | (_REMEDIES_OF_READING if action.startswith("read") else {})
    remedy = remedies.get(error.errno or 0, f"the system says {error.strerror or type(error).__name__}")
    return f"cannot {action} {path}: {remedy}."


def causes(error: BaseException) -> Iterator[BaseException]:
    """The exception, and those from which it was raised."""
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        yield cause
        seen.append(cause)
        cause = cause.__cause__


def is_full(error: BaseException) -> bool:
    """Was it raised, in the end, because a disk or a quota of it is full?"""
    full = (errno.ENOSPC, errno.EDQUOT)
    return any(isinstance(cause, OSError) and cause.errno in full for cause in causes(error))


@contextmanager
def written_beside(path: str | Path) -> Iterator[Path]:
    """Give a path beside it, see `PART`, to write to; rename it to `path` if the body succeeds.

    If the body fails, whatever the reason, the partial file is removed and an older `path` stays as it was.

    Raises:
        SansfaceError: disk full, no permission, a folder or a device in the way, no such folder.
    """
    path = Path(path)
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a directory")
        if path.exists() and not path.is_file():  # renaming would put a file in the place of /dev/null
            raise SansfaceError(f"cannot write {path}: it is a device or a pipe; give the name of a file.")
        try:
            yield part
            os.replace(part, path)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
    except OSError as error:
        raise SansfaceError(os_error_sentence("write", path, error)) from error


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text with `\\n` line ends, beside and renamed."""
    with written_beside(path) as part:
        part.write_bytes(text.encode("utf-8"))


def write_private(path: str | Path, data: bytes) -> None:
    """Write bytes that only the owner may read, beside and renamed; at no time may others read them."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with written_beside(path) as part, open(os.open(part, flags, 0o600), "wb") as stream:
        stream.write(data)


def write_json(path: str | Path, value: Any) -> None:
    """Write indented JSON, beside and renamed; NaN and Infinity raise ValueError."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        SansfaceError: the file is missing, unreadable or not JSON, names a key twice,
            or holds NaN or Infinity.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SansfaceError(os_error_sentence("read", path, error)) from error
    try:
        return parse_json(data)
    except ValueError as error:
        raise SansfaceError(f"{path} is not usable JSON: {error}; correct the file.") from error


def parse_json(data: bytes) -> Any:
    """Parse UTF-8 JSON strictly: finite numbers only, each key once.

    Raises:
        ValueError: with a short reason, on one line.
    """
    try:
        return json.loads(
            data.decode("utf-8"),
            parse_float=_finite,
            parse_constant=_finite,
            object_pairs_hook=_each_key_once,
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} in line {error.lineno}") from error
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8 text") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _finite(text: str) -> float:
    value = float(text)
    if value - value != 0.0:  # NaN and both infinities
        raise ValueError(f"it holds the non-finite number {text[:20]}")
    return value


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("it names a key twice")
    return result


def fresh_folder(path: str | Path, overwrite: bool | None = False) -> Path:
    """Create a folder for results; a folder that already holds something is refused unless `overwrite`.

    With `overwrite` nothing is deleted here: files of the same names are replaced as they are written. None
    is for those who offer no such thing.

    Raises:
        SansfaceError: the folder is not empty, a file is in the way, or it cannot be made.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_dir():
            raise SansfaceError(f"{path} is a file; give the name of a folder for the results.")
        path.mkdir(parents=True, exist_ok=True)
        if not overwrite and any(path.iterdir()):
            or_else = "" if overwrite is None else ", or say --overwrite"
            raise SansfaceError(f"{path} already holds files; choose another folder{or_else}.")
    except OSError as error:
        raise SansfaceError(os_error_sentence("make the folder", path, error)) from error
    return path


@contextmanager
def folder_beside(path: str | Path) -> Iterator[Path]:
    """Give a new folder `name.part` to fill; it becomes `path` if the body succeeds, and is removed if not.

    Args:
        path: new or empty; if the body fails it is as it was.

    Raises:
        SansfaceError: `path` holds something, `name.part` is in the way, disk full, no permission.
    """
    path = Path(path).resolve()
    new = not path.exists()
    part = fresh_folder(path, overwrite=None).with_name(path.name + ".part")
    mode = path.stat().st_mode
    try:
        try:
            part.mkdir(mode=0o700)  # until it is whole nobody else looks into it
        except FileExistsError:
            # Never removed: it may be the user's own, and only he can tell.
            raise SansfaceError(
                f"{part} is in the way, perhaps of an interrupted run; remove or rename it."
            ) from None
        try:
            yield part
            part.chmod(mode)
            path.rmdir()  # it is empty, and in the way on some systems
            part.rename(path)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise SansfaceError(os_error_sentence("write", path, error)) from error
    finally:
        with suppress(OSError):
            if new:
                path.rmdir()  # succeeds only while it is empty: nothing was written
