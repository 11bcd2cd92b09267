"""NeRSemble: one moment of one sequence of a participant, versions 1 and 2.

    v1  <p>/camera_params.json              <p>/sequences/<seq>/frame_00042/images-2x/cam_<serial>.png
                                            <p>/sequences/<seq>/frame_00042/alpha_map/cam_<serial>.png
    v2  <p>/calibration/camera_params.json  <p>/sequences/<seq>/images/cam_<serial>.mp4

A moment is named alike for both, `<p>/sequences/<seq>/frame_00042`; in version 2 there is no such folder, and
the number counts the videos' frames from 0. A folder above it will do where it holds only one. Videos are not
unpacked: a frame says which one of the video it is.

`world_2_cam` holds cam_from_world in OpenCV's axes by serial, `intrinsics` one K for full-size pictures. Its
tools scale that by plain multiplication, so pixel centres are taken to be at +0.5. All cameras stand in
front: there is no rear view. There are no roles, so every frame is sensitive.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np

from sansface.capture import Camera, Capture, Frame, Role
from sansface.errors import SansfaceError
from sansface.files import read_json
from sansface.formats.meta import with_meta
from sansface.formats.numbers import numbers, pose_of
from sansface.formats.pictures import mask_of, picture_size, pictures_in

WHAT = "a NeRSemble participant's camera_params.json"
LONGER, SHORTER = 3208, 2200
"""Sides in pixels of the full-size pictures, for which the intrinsics are."""

_PARAMS = ("camera_params.json", "calibration/camera_params.json")
_MOMENT = re.compile(r"frame_(\d{5})", re.ASCII)
_SERIAL = re.compile(r"cam_(\d+)", re.ASCII)


def is_nersemble(folder: Path) -> bool:
    """Whether the folder is a participant's, or a sequence or moment of one."""
    return _participant(folder) is not None


def read_nersemble(folder: str | Path) -> Capture:
    """Read one moment. Of pictures, their headers; no video is opened.

    Raises:
        SansfaceError: several sequences or moments to choose from, by name; no pictures; a camera without
            calibration; or calibration that makes no camera.
    """
    folder = Path(folder)
    path = _participant(folder)
    if path is None:
        raise SansfaceError(f"{folder} is not in a participant's folder with {_PARAMS[1]}; give such a one.")
    moment = _moment(folder)
    document = read_json(path)
    poses = document.get("world_2_cam") if isinstance(document, dict) else None
    if not isinstance(poses, dict):
        raise SansfaceError(f"{path} has no world_2_cam; copy it again from where it came.")
    frames = []
    for picture, mask, number in _views(moment):
        serial = _SERIAL.fullmatch(picture.stem)
        if serial is None or serial[1] not in poses:
            raise SansfaceError(f"{path} has no camera for {picture}; remove the picture, or add the camera.")
        size = None if number is not None else picture_size(picture)
        try:
            camera = _camera(document, serial[1], size)
        except SansfaceError as error:
            raise SansfaceError(f"{path}, camera {serial[1]}: {error}") from error
        frames.append(Frame(camera, Role.SENSITIVE, picture, mask, number))
    if not frames:
        raise SansfaceError(f"{moment} has no pictures cam_<serial>; download them.")
    return with_meta(tuple(frames), folder)


def _participant(folder: Path) -> Path | None:
    """The calibration, of this folder or of the participant above this sequence or moment."""
    homes = [folder]
    for up, parent in enumerate(folder.absolute().parents[:3]):
        if parent.name == "sequences" and up < 2:
            homes.append(parent.parent)
    return next((home / name for home in homes for name in _PARAMS if (home / name).is_file()), None)


def _moment(folder: Path) -> Path:
    """The folder of the moment, which in version 2 need not be there."""
    if (folder / "sequences").is_dir():
        named = sorted(path for path in (folder / "sequences").iterdir() if path.name != "BACKGROUND")
        folder = _only([path for path in named if path.is_dir()], folder / "sequences")
    if _MOMENT.fullmatch(folder.name):
        return folder
    if (folder / "images").is_dir():
        return folder / "frame_00000"
    return _only(sorted(path for path in folder.glob("frame_*") if path.is_dir()), folder)


def _only(found: list[Path], where: Path) -> Path:
    if len(found) != 1:
        names = ", ".join(path.name for path in found[:5]) + (", ..." if len(found) > 5 else "")
        raise SansfaceError(f"{where} holds {len(found)} to choose from ({names}); give the path of one.")
    return found[0]


def _views(moment: Path) -> list[tuple[Path, Path | None, int | None]]:
    """Picture or video, mask, and which frame of the video."""
    videos = sorted(moment.parent.glob("images/cam_*.mp4"))
    number = _MOMENT.fullmatch(moment.name)
    if videos and number:
        return [(video, mask_of(moment, f"{video.stem}.png"), int(number[1])) for video in videos]
    masks = {path.stem: path for home in sorted(moment.glob("alpha_map*")) for path in pictures_in(home)}
    homes = [home for home in sorted(moment.glob("images*")) if home.is_dir()]
    pictures = pictures_in(_only(homes, moment)) if homes else []
    return [(one, masks.get(one.stem) or mask_of(moment, one.name), None) for one in pictures]


def _camera(document: dict[str, Any], serial: str, size: tuple[int, int] | None) -> Camera:
    intrinsics = document.get("intrinsics")
    if isinstance(intrinsics, dict):
        intrinsics = intrinsics.get(serial)
    K = numbers(intrinsics, "intrinsics", (3, 3))
    # portrait or landscape, as the principal point says
    full = (SHORTER, LONGER) if K[0, 2] < K[1, 2] else (LONGER, SHORTER)
    camera = Camera(np.array(K), *full, pose_of(document["world_2_cam"][serial], "world_2_cam"))
    if size is None:
        return camera
    if min(size) < 1 or abs(size[0] / size[1] / (full[0] / full[1]) - 1) > 0.01:
        raise SansfaceError(
            f"its picture of {size[0]} x {size[1]} is no reduced {full[0]} x {full[1]}; do not crop."
        )
    return camera.resized(*size)
