"""Captures on disk, one file a format. Other conventions than `sansface.capture`'s live only here."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sansface.capture import Capture
from sansface.errors import SansfaceError
from sansface.formats import colmap, facescape, h3ds, idr_npz, nersemble, sdfstudio, transforms_json
from sansface.formats.convert import WRITERS, convert

__all__ = ["FORMATS", "WRITERS", "Format", "convert", "read_capture", "recognise"]


@dataclass(frozen=True)
class Format:
    """A format that can be read: how its folder is recognised, its reader, its mark in words, and whether
    masks in `masks/` are found.
    """

    recognised: Callable[[Path], bool]
    read: Callable[[Path], Capture]
    what: str
    masks: bool = True


FORMATS = {
    "transforms": Format(
        transforms_json.is_transforms_json, transforms_json.read_transforms_json, transforms_json.WHAT
    ),
    "sdfstudio": Format(sdfstudio.is_sdfstudio, sdfstudio.read_sdfstudio, sdfstudio.WHAT, masks=False),
    "facescape": Format(facescape.is_facescape, facescape.read_facescape, facescape.WHAT),
    "nersemble": Format(nersemble.is_nersemble, nersemble.read_nersemble, nersemble.WHAT),
    "h3ds": Format(h3ds.is_h3ds, h3ds.read_h3ds, h3ds.WHAT, masks=False),
    "npz": Format(idr_npz.is_idr_npz, idr_npz.read_idr_npz, idr_npz.WHAT, masks=False),
    "colmap": Format(colmap.is_colmap, colmap.read_colmap, colmap.WHAT),
}
"""Formats by the name that `--format` takes. The first that recognises a folder reads it: the one with roles,
then those with marks of their own, and COLMAP last, for its models lie beside many others."""


def recognise(folder: str | Path) -> str:
    """The name of the format of a capture's folder.

    Raises:
        SansfaceError: no folder, or none of the known formats in it.
    """
    folder = Path(folder)
    try:
        for name, format in FORMATS.items():
            if format.recognised(folder):
                return name
    except OSError as error:
        raise SansfaceError(f"{folder} cannot be looked into; check its permissions.") from error
    known = ", ".join(format.what for format in FORMATS.values())
    if folder.is_file():
        raise SansfaceError(f"{folder} is a file; give the folder that holds it, with {known}.")
    if not folder.is_dir():
        raise SansfaceError(f"there is no folder {folder}; give the folder of a capture.")
    raise SansfaceError(f"{folder} holds no {known}; give the folder of a capture.")


def read_capture(folder: str | Path, format: str | None = None) -> Capture:
    """Read a capture in whichever format its folder holds, or in the one that is named.

    Args:
        folder: the capture's.
        format: a name of `FORMATS`; recognised if None.

    Raises:
        SansfaceError: unknown format; no folder, or none of the known formats in it; or whatever the
            format's reader finds.
    """
    if format is None:
        format = recognise(folder)
    if format not in FORMATS:
        raise SansfaceError(f"{format!r} is no format that can be read; choose one of {', '.join(FORMATS)}.")
    return FORMATS[format].read(Path(folder))
