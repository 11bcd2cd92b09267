"""H3DS: one scene's folder with `cameras.npz`, `image/img_%04d.jpg`, `mask/mask_%04d.png`, `full_head.obj`.

Matrices are IDR's (see `idr_npz`), numbered as the pictures are; the world is in millimetres. There are no
roles, so every frame is sensitive.
"""

import re
from pathlib import Path

from sansface.capture import Capture, Frame, Role
from sansface.errors import SansfaceError
from sansface.formats.idr_npz import camera_of, read_matrices, sphere_of
from sansface.formats.meta import with_meta
from sansface.formats.pictures import pictures_in

WHAT = "H3DS's cameras.npz with image/img_0000.jpg"
CAMERAS = "cameras.npz"


def is_h3ds(folder: Path) -> bool:
    """Whether the folder holds cameras, and pictures under these names."""
    return (folder / CAMERAS).is_file() and any((folder / "image").glob("img_*"))


def read_h3ds(folder: str | Path) -> Capture:
    """Read one scene. Of pictures, their headers.

    Raises:
        SansfaceError: no pictures, one without a matrix, or whatever is wrong with `cameras.npz`.
    """
    folder = Path(folder)
    path = folder / CAMERAS
    matrices = read_matrices(path)
    frames = []
    for picture in pictures_in(folder / "image"):
        number = re.fullmatch(r"img_(\d+)", picture.stem, re.ASCII)
        if number is None:
            raise SansfaceError(f"{picture} is not named img_0000 or so, as in H3DS; rename or remove it.")
        key = f"world_mat_{int(number[1])}"
        if key not in matrices:
            raise SansfaceError(f"{path} has no {key} for {picture.name}; add it or remove the picture.")
        mask = folder / "mask" / f"mask_{number[1]}.png"
        camera = camera_of(matrices[key], picture, f"{path}, {key}")
        frames.append(Frame(camera, Role.SENSITIVE, picture, mask if mask.is_file() else None))
    if not frames:
        raise SansfaceError(f"{folder / 'image'} holds no pictures; unpack the scene again.")
    return with_meta(tuple(frames), folder, "mm", sphere_of(matrices, frames, path))
