"""The one thing that is done for a job, whoever does it: the service's worker, a Ray cluster, a batch.

Its input and output are bytes and plain dicts, its state a folder. A snapshot of that folder as bytes is what
another machine goes on from.
"""

import io
import re
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from sansface.capture import counted
from sansface.errors import SansfaceError
from sansface.extras import require
from sansface.files import os_error_sentence, written_beside
from sansface.protect.bundle import decode
from sansface.serve.queue import Settings

Tell = Callable[[dict[str, Any]], bool]
"""Is told how far a job is: `done` (0 to 1), `note`, `seconds_left`, `step` (of this stage). False: stop."""

RESULTS = ("mesh.ply", "config.json", "metrics.jsonl", "report.html", "pictures/*.png")
"""What is kept of a job, as patterns; the checkpoint is not."""
CHECKPOINT = "checkpoint.safetensors"


class Stopped(Exception):
    """`tell` answered that it is enough; the folder holds what the job goes on from."""


def run_job(bundle: bytes, settings: Settings, folder: Path, tell: Tell, device: str = "auto") -> list[Path]:
    """Reconstruct a head from a bundle, in the bundle's own frame; go on with what the folder holds of it.

    In the main thread Ctrl-C stops it, too.

    Args:
        bundle: the file's bytes.
        folder: for the results; made if need be.

    Returns:
        the files to keep.

    Raises:
        Stopped: by `tell` or Ctrl-C.
        SansfaceError: not a bundle, or one of `sansface.reconstruct`.
    """
    run = require("sansface.reconstruct.run", extra="reconstruct")
    from sansface.reconstruct.config import preset
    from sansface.reconstruct.supervision import from_bundle

    contents = decode(bundle)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SansfaceError(os_error_sentence("make the folder", folder, error)) from error

    def on_progress(now: Any) -> None:
        where = f"stage {now.stage}, step {now.step}/{now.steps}: " if now.steps else ""
        left = round(now.seconds_left, 1)
        said = {"done": now.done, "note": where + now.note, "seconds_left": left, "step": now.step}
        if not tell(said):
            raise run.Halt

    views = counted(frame.role for frame in contents.frames)
    config = preset(settings.preset, contents.resolution, views)
    options = {"seed": settings.seed, "device": device, "resume": True, "on_progress": on_progress}
    try:
        run.reconstruct(from_bundle(contents), folder, config, **options)
    except (run.Halt, run.Interrupted) as stop:
        raise Stopped from stop
    return results(folder)


def results(folder: Path) -> list[Path]:
    """The files to keep that the folder holds, in a fixed order."""
    return [path for pattern in RESULTS for path in sorted(folder.glob(pattern))]


def files(folder: Path) -> dict[str, bytes]:
    """The files to keep by their names, such as `pictures/mesh_front.png`."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in results(folder)}


def changed(folder: Path) -> int | None:
    """When the folder's checkpoint was written last, ns; None if there is none."""
    with suppress(OSError):
        return (folder / CHECKPOINT).stat().st_mtime_ns
    return None


def snapshot(folder: Path) -> bytes | None:
    """All that a run goes on from; None if it has not come so far. Another thread may take it meanwhile.

    The checkpoint is read first: the metrics may know of more steps than it, and never of fewer.
    """
    try:
        checkpoint = {path.name: path.read_bytes() for path in folder.glob(CHECKPOINT)}
        state = checkpoint | files(folder)
    except FileNotFoundError:  # the run has just ended, and removed its checkpoint
        return None
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in state.items():
            archive.writestr(name, data)
    return packed.getvalue() if state else None


def restore(data: bytes, folder: Path) -> None:
    """Lay a snapshot down in a folder: the checkpoint last, after what it is to find there."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        lay_down({name: archive.read(name) for name in reversed(archive.namelist())}, folder)


def lay_down(files: dict[str, bytes], folder: Path) -> None:
    """Write files by their names, each beside and renamed."""
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        with written_beside(folder / name) as part:
            part.write_bytes(data)


_PATH = re.compile(r"(?<![\w/.])(?:[A-Za-z]:)?(?:[/\\][^\s/\\:;,'\"]+)*[/\\]([^\s/\\:;,'\"]+)")


def sentence(error: Exception, folder: Path | None = None) -> str:
    """What the owner of a job may read of a failure: its sentence without any folder.

    folder: where the job was run; its name may hold spaces.
    """
    if not isinstance(error, SansfaceError):
        return f"it ended with an unexpected {type(error).__name__}; tell the operator of the service."
    text = " ".join(str(error).split())
    if folder is not None:
        text = text.replace(f"{folder}/", "").replace(str(folder), "the job's folder")
    return _PATH.sub(r"\1", text)
