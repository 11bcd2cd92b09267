"""Captures on disk, one file a format. Other conventions than `sansface.capture`'s live only here."""

from collections.abc import Callable
from pathlib import Path

from sansface.capture import Capture
from sansface.errors import SansfaceError
from sansface.formats import transforms_json

FORMATS: dict[str, Callable[[Path], Capture]] = {
    transforms_json.NAME: transforms_json.read_transforms_json,
}
"""The file by which a capture's folder is recognised, and its reader."""


def read_capture(folder: str | Path) -> Capture:
    """Read a capture in whichever format its folder holds.

    Raises:
        SansfaceError: no folder, or none of the known formats in it; or whatever the format's reader finds.
    """
    folder = Path(folder)
    if folder.is_file():
        raise SansfaceError(f"{folder} is a file; give the folder that holds {' or '.join(FORMATS)}.")
    if not folder.is_dir():
        raise SansfaceError(f"there is no folder {folder}; give the folder of a capture.")
    for name, read in FORMATS.items():
        if (folder / name).exists():
            return read(folder)
    raise SansfaceError(f"{folder} holds no {' or '.join(FORMATS)}; give the folder of a capture.")
