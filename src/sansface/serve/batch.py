"""Many bundles without the server: a folder of results each, what is finished is not done again."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sansface.errors import SansfaceError
from sansface.files import fresh_folder, os_error_sentence
from sansface.serve import job
from sansface.serve.job import Stopped, Tell
from sansface.serve.queue import Settings
from sansface.serve.ray import Resources, run_on_node

Do = Callable[[bytes, Path, Tell], None]
"""Does the job of a bundle's bytes in a folder, going on from what the folder holds of it."""


def folders(bundles: Sequence[Path], out: Path) -> list[Path]:
    """Where each bundle's results go: a folder of its name under `out`.

    Raises:
        SansfaceError: two of the same name.
    """
    names = [bundle.stem for bundle in bundles]
    for name in names:
        if names.count(name) > 1:
            raise SansfaceError(f"two bundles are called {name}; rename one of them.")
    return [out / name for name in names]


def run_batch(bundles: Sequence[Path], out: Path, do: Do, tell: Tell, at_once: int = 1) -> dict[Path, str]:
    """Do all of them, and say of each that failed why.

    Args:
        tell: is told of all together; `done` is the share that is over.
        at_once: how many run side by side; one runs in this very thread.

    Raises:
        Stopped: by `tell` or Ctrl-C; the same call goes on.
    """
    failed: dict[Path, str] = {}
    over = 0

    def told(progress: dict[str, Any]) -> bool:
        done = (over + (progress["done"] if at_once == 1 else 0.0)) / len(bundles)
        return tell({"done": min(1.0, done), "note": f"{over} of {len(bundles)} over", "seconds_left": None})

    def one(bundle: Path, folder: Path) -> None:
        nonlocal over
        if not told({"done": 0.0}):
            raise Stopped
        try:
            data = bundle.read_bytes()
        except OSError as error:
            failed[bundle] = os_error_sentence("read", bundle, error)
        else:
            try:
                do(data, folder, told)
            except SansfaceError as error:
                failed[bundle] = str(error)
        over += 1
        told({"done": 0.0})

    work = list(zip(bundles, folders(bundles, out), strict=True))
    if at_once == 1:
        for bundle, folder in work:
            one(bundle, folder)
    else:
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(lambda pair: one(*pair), work))
    return {bundle: failed[bundle] for bundle in bundles if bundle in failed}


def here(settings: Settings, device: str) -> Do:
    """In this process."""

    def do(bundle: bytes, folder: Path, tell: Tell) -> None:
        job.run_job(bundle, settings, folder, tell, device)

    return do


def on_nodes(settings: Settings, resources: Resources) -> Do:
    """On a Ray cluster."""

    def do(bundle: bytes, folder: Path, tell: Tell) -> None:
        kept = job.snapshot(folder)
        if kept is None:
            fresh_folder(folder)

        def keep(snapshot: bytes) -> None:
            job.restore(snapshot, folder)

        job.lay_down(run_on_node(bundle, settings, kept, tell, keep, resources), folder)
        (folder / job.CHECKPOINT).unlink(missing_ok=True)

    return do
