"""Converting a capture: its pictures copied as they are, its cameras written in another format."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from sansface.capture import Capture, Frame, Role
from sansface.errors import SansfaceError
from sansface.files import folder_beside, os_error_sentence
from sansface.formats.colmap import write_colmap, write_colmap_text
from sansface.formats.idr_npz import write_idr_npz
from sansface.formats.transforms_json import write_transforms_json


@dataclass(frozen=True)
class Writer:
    """A format that can be written.

    Attributes:
        write: cameras of a capture whose pictures lie where the format wants them, into its folder.
        pictures, masks: those places.
        mask_name: of a picture's mask, from the picture's name.
        numbered: pictures are numbered, because the format finds them by their order.
        roles: it can say which frames are neutral.
    """

    write: Callable[[Capture, Path], None]
    pictures: str = "images"
    masks: str = "masks"
    mask_name: str = "{stem}.png"
    numbered: bool = False
    roles: bool = False


WRITERS = {
    "transforms": Writer(write_transforms_json, roles=True),
    "npz": Writer(write_idr_npz, "image", "mask", numbered=True),
    "colmap": Writer(write_colmap, mask_name="{name}.png"),
    "colmap-text": Writer(write_colmap_text, mask_name="{name}.png"),
}
"""Formats by the name that `sansface convert --format` takes."""


def convert(
    capture: Capture, folder: str | Path, name: str, progress: Callable[[int, int], None] | None = None
) -> bool:
    """Write a capture in another format, pictures included. It is made beside and renamed when it is whole.

    Args:
        capture: of which no picture is decoded: files are copied with everything that they hold.
        folder: new or empty.
        name: of `WRITERS`.
        progress: called with (frames copied, frames in all).

    Returns:
        Whether all frames keep their roles; where not, those that were neutral will be read as sensitive.

    Raises:
        SansfaceError: unknown format, the folder in use or not writable, a camera that the format cannot say,
            frames of a video, or a picture or mask that cannot be copied.
    """
    if name not in WRITERS:
        raise SansfaceError(f"{name!r} cannot be written; choose one of {', '.join(WRITERS)}.")
    if any(frame.video_frame is not None for frame in capture.frames):
        raise SansfaceError(
            "frames of a video are not unpacked to disk, so they cannot be converted; protect them."
        )
    writer = WRITERS[name]
    with folder_beside(folder) as part:
        placed = _placed(capture, part, writer)
        for place in (writer.pictures, writer.masks):
            (part / place).mkdir(parents=True)
        writer.write(placed, part)
        for done, (old, new) in enumerate(zip(capture.frames, placed.frames, strict=True), start=1):
            _copy(old.image, new.image)
            if old.mask is not None and new.mask is not None:
                _copy(old.mask, new.mask)
            if progress is not None:
                progress(done, len(capture.frames))
        if not any((part / writer.masks).iterdir()):
            (part / writer.masks).rmdir()
    return writer.roles or all(frame.role is Role.SENSITIVE for frame in capture.frames)


def _placed(capture: Capture, folder: Path, writer: Writer) -> Capture:
    """The capture with its pictures where they will lie."""
    names = [frame.image.name for frame in capture.frames]
    # A mask is named by the picture's name, perhaps without its suffix.
    masks = {writer.mask_name.format(stem=Path(name).stem, name=name).lower() for name in names}
    numbered = writer.numbered or len(masks) < len(names)
    digits = max(3, len(str(len(names) - 1)))

    def placed(index: int, frame: Frame) -> Frame:
        name = f"{index:0{digits}d}{frame.image.suffix}" if numbered else frame.image.name
        mask = writer.mask_name.format(stem=Path(name).stem, name=name)
        if frame.mask is not None and frame.mask.suffix.lower() != ".png":
            raise SansfaceError(f"the mask {frame.mask} is no PNG; save it as one grey channel in a PNG.")
        masked = None if frame.mask is None else folder / writer.masks / mask
        return replace(frame, image=folder / writer.pictures / name, mask=masked)

    return replace(capture, frames=tuple(placed(index, frame) for index, frame in enumerate(capture.frames)))


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copyfile(source, target)
    except FileNotFoundError as error:
        raise SansfaceError(f"{source} is missing; correct the path in the capture.") from error
    except PermissionError as error:
        if os.access(source, os.R_OK):
            raise
        raise SansfaceError(os_error_sentence("read", source, error)) from error
