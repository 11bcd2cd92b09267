"""A worker's private folder for what is decrypted: checkpoints and results of the job that it is at."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sansface.errors import SansfaceError
from sansface.files import os_error_sentence

_PREFIX, _LOCK = "worker-", ".lock"


@contextmanager
def scratch(root: Path) -> Iterator[Path]:
    """A fresh folder under `root` that only the owner may enter; it is gone afterwards.

    What killed workers left under `root` is removed first: a living one holds a lock on its folder.

    Raises:
        SansfaceError: `root` cannot be used, or others may enter it.
    """
    try:
        import fcntl
    except ImportError as error:
        raise SansfaceError("workers need Linux or macOS; run this one there.") from error
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        about = root.stat()
        if about.st_uid != os.geteuid() or about.st_mode & 0o077:
            raise SansfaceError(
                f"{root} is for decrypted data and open to others; give a folder of its own, mode 700."
            )
        with open(root / _LOCK, "w") as all_of_them:
            fcntl.flock(all_of_them, fcntl.LOCK_EX)
            for left in root.glob(f"{_PREFIX}*"):
                if _is_free(left, fcntl):
                    shutil.rmtree(left, ignore_errors=True)
            own = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
            lock = open(own / _LOCK, "w")  # noqa: SIM115 (held as long as this worker lives)
            fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        raise SansfaceError(os_error_sentence("use the folder", root, error)) from error
    try:
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)
        lock.close()


def _is_free(folder: Path, fcntl: object) -> bool:
    try:
        with open(folder / _LOCK) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # type: ignore[attr-defined]
        return True
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return True
