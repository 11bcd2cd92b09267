"""FaceScape multi-view: one expression's folder with `params.json` and `<view>.jpg`.

`params.json` is flat: `0_K` (3 × 3 or 4 × 4), `0_Rt` (cam_from_world in OpenCV's axes, 3 × 4 or 4 × 4),
`0_distortion` (k1, k2, p1, p2, k3, or fewer), `0_width`, `0_height`, `0_valid`, and so on for each view.
Pictures are undistorted with OpenCV, so the first pixel's centre is at (0, 0), and half a pixel is added here
to cx and cy. The world is structure-from-motion's, of another scale for every expression. No masks come with
it; those in `masks/` are taken. There are no roles, so every frame is sensitive.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np

from sansface.capture import Camera, Capture, Frame, Role
from sansface.errors import SansfaceError
from sansface.files import read_json
from sansface.formats.meta import with_meta
from sansface.formats.numbers import HALF_PIXEL, numbers, pose_of
from sansface.formats.pictures import mask_of

WHAT = "FaceScape's params.json"
PARAMS = "params.json"


def is_facescape(folder: Path) -> bool:
    """Whether the folder holds the parameters."""
    return (folder / PARAMS).is_file()


def read_facescape(folder: str | Path) -> Capture:
    """Read the valid views of one expression. Opens no picture.

    Raises:
        SansfaceError: no valid view, or parameters that are missing or make no camera.
    """
    folder = Path(folder)
    path = folder / PARAMS
    params = read_json(path)
    if not isinstance(params, dict):
        raise SansfaceError(f"{path} is not a JSON object; copy it again from where it came.")
    matches = (re.fullmatch(r"(\d{1,6})_K", key, re.ASCII) for key in params)
    frames = []
    for view in sorted({match[1] for match in matches if match}, key=int):
        valid = params.get(f"{view}_valid", True)
        if not isinstance(valid, bool | int):
            raise SansfaceError(f"{path}: {view}_valid is neither true nor false; correct it.")
        if not valid:
            continue
        try:
            camera = _camera(params, view)
        except SansfaceError as error:
            raise SansfaceError(f"{path}, view {view}: {error}") from error
        name = f"{view}.jpg"
        frames.append(Frame(camera, Role.SENSITIVE, folder / name, mask_of(folder, name)))
    if not frames:
        raise SansfaceError(f"{path} has no valid view; take another expression.")
    return with_meta(tuple(sorted(frames, key=lambda frame: frame.image.name)), folder, "arbitrary")


def _camera(params: dict[str, Any], view: str) -> Camera:
    K = numbers(params.get(f"{view}_K"), f"{view}_K", (3, 3), (4, 4))[:3, :3]
    pose = pose_of(params.get(f"{view}_Rt"), f"{view}_Rt")
    shapes = [(count,) for count in range(6)]
    given = numbers(params.get(f"{view}_distortion", []), f"{view}_distortion", *shapes)
    distortion = np.pad(given, (0, 5 - len(given)))
    width, height = (params.get(f"{view}_{side}") for side in ("width", "height"))
    return Camera(HALF_PIXEL @ K, width, height, pose, distortion)  # type: ignore[arg-type]
