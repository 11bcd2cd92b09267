"""Words that several verbs share: types of options, and what they check before any work."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import FlagCreatePairsOff, UseAppendAction, arg

from sansface.errors import SansfaceError

CaptureFormat = (
    Literal["transforms", "sdfstudio", "facescape", "nersemble", "h3ds", "npz", "colmap"] | None
)  # the names of sansface.formats.FORMATS
FieldPreset = Literal["fast", "paper", "paper-small"]
PresetName = Literal["fast", "paper", "paper-small", "splats"]  # the names of reconstruct.config.PRESETS
Out = Annotated[Path, arg(aliases=("-o",))]
Flag = FlagCreatePairsOff[bool]
Settings = UseAppendAction[tuple[str, ...]]

FRAME_SUFFIX = ".frame.json"
"""Of the file with the way back to the user's frame, in place of the bundle's own suffix."""


def numbered_pngs(out: Path, photographs: Sequence[Path], overwrite: bool) -> list[Path]:
    """Where the results of photographs go: NAME.png for one, else numbers in a folder of their own.

    Numbers, for names may tell who it is.

    Raises:
        SansfaceError: one file for many, a file of another kind, something is there already, or a result
            would take the place of a photograph.
    """
    from sansface.files import fresh_folder
    from sansface.formats.pictures import SUFFIXES

    if out.suffix.lower() == ".png":
        if len(photographs) > 1:
            raise SansfaceError(f"{out} is one file for {len(photographs)}; name a folder.")
        check_free(out, overwrite)
        check_no_original([out], photographs)
        return [out]
    if out.suffix.lower() in SUFFIXES:
        raise SansfaceError(f"{out} would be a folder; name a file .png, or a folder without that.")
    folder = fresh_folder(out, overwrite)
    places = [folder / f"{number:03d}.png" for number in range(len(photographs))]
    check_no_original(places, photographs)
    return places


def check_no_original(places: Sequence[Path], photographs: Sequence[Path]) -> None:
    """Before any work: does no result take the place of a photograph, whatever --overwrite says?

    Raises:
        SansfaceError: one does.
    """
    for place in places:
        if place.exists() and any(path.exists() and place.samefile(path) for path in photographs):
            raise SansfaceError(
                f"{place} is one of the photographs and would be lost; give another name or folder."
            )


def leave_out(path: Path, place: Path, error: SansfaceError, only: bool) -> None:
    """Say on the screen why one photograph of several has no result, and that no older one stands for it.

    Raises:
        SansfaceError: it is the only one.
    """
    said = str(error) if str(path) in str(error) else f"{path}: {error}"
    if only:
        raise SansfaceError(said) from error
    print(f"error: {said}", file=sys.stderr)
    place.unlink(missing_ok=True)


def say_left_out(refused: int, count: int) -> None:
    """At the end, so that the exit code is not 0.

    Raises:
        SansfaceError: some were left out.
    """
    if refused:
        raise SansfaceError(f"{refused} of {count} photographs have no result; above stands why, for each.")


def check_two(one: Path, other: Path) -> None:
    """Before any work: are two results two files?"""
    if one.resolve() == other.resolve():
        raise SansfaceError(f"{one} and {other} are one file for two results; give one of them another name.")


def check_free(path: Path, overwrite: bool) -> None:
    """Before any work: may this file be written?"""
    if path.is_dir():
        raise SansfaceError(f"{path} is a folder; give the name of a file.")
    if path.exists() and not overwrite:
        raise SansfaceError(f"{path} exists; choose another name, or say --overwrite.")
    if not path.parent.is_dir():
        raise SansfaceError(f"there is no folder {path.parent} for {path.name}; make the folder first.")
