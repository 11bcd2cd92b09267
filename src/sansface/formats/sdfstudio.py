"""sdfstudio's `meta_data.json`, for pinholes.

`camtoworld` is the inverse of cam_from_world, in OpenCV's axes; `intrinsics` is 4 × 4, pixel centres are at
+0.5. The world is sdfstudio's normalised one, in which its mesh comes out. There are no roles, so every frame
is sensitive.
"""

from pathlib import Path
from typing import Any

from sansface.capture import Camera, Capture, Frame, Role
from sansface.errors import SansfaceError
from sansface.files import read_json
from sansface.formats.meta import with_meta
from sansface.formats.numbers import inverse, numbers, pose_of
from sansface.formats.pictures import inside

WHAT = "sdfstudio's meta_data.json"
NAME = "meta_data.json"


def is_sdfstudio(folder: Path) -> bool:
    """Whether the folder holds the file."""
    return (folder / NAME).is_file()


def read_sdfstudio(folder: str | Path) -> Capture:
    """Read poses, intrinsics and masks. Opens no picture.

    Raises:
        SansfaceError: a camera model other than OPENCV or PINHOLE, a photograph twice, numbers that make no
            camera.
    """
    folder = Path(folder)
    path = folder / NAME
    document = read_json(path)
    entries = document.get("frames") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not entries or not all(isinstance(one, dict) for one in entries):
        raise SansfaceError(f"{path} has no list of frames; write it as sdfstudio does.")
    if document.get("camera_model", "OPENCV") not in ("OPENCV", "PINHOLE"):
        raise SansfaceError(f"{path} has another camera model than OPENCV; undistort the capture first.")
    frames: dict[str, Frame] = {}
    for index, entry in enumerate(entries):
        where = f"{path}, frame {index}"
        name, mask = entry.get("rgb_path"), entry.get("foreground_mask")
        if not isinstance(name, str) or not isinstance(mask, str | None):
            raise SansfaceError(
                f"{where}: rgb_path or foreground_mask is not the name of a file; correct it."
            )
        if name in frames:
            raise SansfaceError(f"{path} names the photograph {name} twice; remove one of the two frames.")
        try:
            camera = _camera(document, entry)
        except SansfaceError as error:
            raise SansfaceError(f"{where}: {error}") from error
        picture = inside(folder, name, path)
        frames[name] = Frame(camera, Role.SENSITIVE, picture, inside(folder, mask, path) if mask else None)
    return with_meta(tuple(frames[name] for name in sorted(frames)), folder)


def _camera(document: dict[str, Any], entry: dict[str, Any]) -> Camera:
    K = numbers(entry.get("intrinsics"), "intrinsics", (4, 4), (3, 3))[:3, :3]
    pose = inverse(pose_of(entry.get("camtoworld"), "camtoworld"), "camtoworld")
    width, height = (document.get(side) for side in ("width", "height"))
    return Camera(K, width, height, pose)  # type: ignore[arg-type]
