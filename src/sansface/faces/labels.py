"""Roles and masks written into a capture's own transforms.json, which otherwise stays as it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sansface.errors import SansfaceError
from sansface.files import read_json, write_json
from sansface.formats import transforms_json


def has_transforms(folder: Path) -> bool:
    """Whether the capture has a file to write labels into; other formats know no roles."""
    return transforms_json.is_transforms_json(folder)


def labelled(folder: Path, key: str) -> int:
    """How many frames have a value of that key, such as `role`."""
    return sum(key in entry for entry in _read(folder)[1]["frames"])


def annotate(folder: Path, key: str, values: Mapping[Path, str]) -> None:
    """Set a key of each frame, such as `role` or `mask_path`.

    Args:
        folder: the capture's.
        key: of a frame's entry.
        values: for each photograph of the capture, as `Frame.image` names it.

    Raises:
        SansfaceError: the capture has no transforms.json, or one that lists other photographs.
    """
    path, document = _read(folder)
    by_name = {image.absolute(): value for image, value in values.items()}
    for entry in document["frames"]:
        image = transforms_json.picture_of(folder, entry["file_path"]).absolute()
        if image not in by_name:
            raise SansfaceError(f"{path} has changed since it was read; run the command again.")
        entry[key] = by_name[image]
    write_json(path, document)


def _read(folder: Path) -> tuple[Path, dict[str, Any]]:
    names = (transforms_json.NAME, transforms_json.BLENDER)
    path = next((folder / name for name in names if (folder / name).exists()), None)
    if path is None:
        raise SansfaceError(
            f"{folder} has no {transforms_json.NAME} to write into; make one by `sansface convert` first."
        )
    return path, read_json(path)
