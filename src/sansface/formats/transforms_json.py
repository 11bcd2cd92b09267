"""nerfstudio's `transforms.json`, with our key `role` on each frame, and its dialects.

Poses there are c2w in OpenGL's axes (+x right, +y up, +z backward): c2w_GL = c2w_CV · diag(1, −1, −1, 1).
Pixel centres are at +0.5, as here. A field of the intrinsics is given for all frames at once or on each
frame, never mixed. `meta.json` beside it may give `center` and `radius` of the bounding sphere, and `unit`.

Dialects: neuralangelo gives `sphere_center` and `sphere_radius`; NeuS2, after instant-ngp, `from_na`, where
poses are in OpenCV's axes, and `intrinsic_matrix` on each frame; Blender's synthetic captures
`camera_angle_x`, the horizontal field of view, in `transforms_train.json`, and pictures without their suffix.
"""

from collections.abc import Iterable
from math import pi, tan
from os.path import isfile  # a name that cannot be one is no file, and no error
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from sansface.capture import Camera, Capture, Frame, Role, Sphere
from sansface.errors import SansfaceError
from sansface.files import read_json, write_json
from sansface.formats.meta import with_meta, write_meta
from sansface.formats.numbers import inverse, numbers
from sansface.formats.pictures import SUFFIXES, picture_size

NAME = "transforms.json"
BLENDER = "transforms_train.json"
WHAT = NAME

_INTRINSICS = ("fl_x", "fl_y", "cx", "cy", "w", "h")
_DISTORTION = ("k1", "k2", "p1", "p2", "k3", "k4")
_PER_FRAME = (*_INTRINSICS, *_DISTORTION, "distortion_params", "intrinsic_matrix", "camera_angle_x")
_MODELS = {  # the distortion that each camera model may have
    "OPENCV": {"k1", "k2", "p1", "p2", "k3"},
    "PINHOLE": set(),
    "SIMPLE_PINHOLE": set(),
    "SIMPLE_RADIAL": {"k1"},
    "RADIAL": {"k1", "k2"},
}
# Known keys that change nothing here: nerfstudio's own, then neuralangelo's and instant-ngp's.
_IGNORED_TOP = {
    "fisheye_crop_radius", "orientation_override", "applied_transform", "applied_scale", "ply_file_path",
    "train_filenames", "val_filenames", "test_filenames", "auto_scale_poses_override",
    "camera_angle_y", "aabb_scale", "aabb_range", "scale", "offset", "aabb", "white_transparent",
    "black_transparent", "enable_depth_loading", "integer_depth_scale", "n_extra_learnable_dims", "up",
}  # fmt: skip
_MUST_BE_OFF = ("is_fisheye", "from_mitsuba", "rolling_shutter", "sk_x", "sk_y")
_TOP = {
    *_PER_FRAME, *_IGNORED_TOP, *_MUST_BE_OFF, "camera_model", "frames", "from_na", "sphere_center",
    "sphere_radius",
}  # fmt: skip
_FRAME = {
    *_PER_FRAME, "file_path", "transform_matrix", "mask_path", "role", "depth_file_path", "depth_path",
    "colmap_im_id", "sharpness", "rotation", "camera_angle_y",
}  # fmt: skip
_FLIP = np.diag([1.0, -1.0, -1.0, 1.0])


def is_transforms_json(folder: Path) -> bool:
    """Whether the folder holds the file, or Blender's."""
    return any((folder / name).exists() for name in (NAME, BLENDER))


def read_transforms_json(folder: str | Path) -> Capture:
    """Read a capture's poses, intrinsics, masks and roles. A missing role is `sensitive`. Opens no picture.

    Raises:
        SansfaceError: one sentence that names the file: unknown keys, roles or camera models, mixed or
            missing intrinsics, numbers that are not finite, poses that are not rigid, a photograph twice.
    """
    folder = Path(folder)
    path = folder / (NAME if (folder / NAME).exists() or not (folder / BLENDER).exists() else BLENDER)
    document = read_json(path)
    if (
        not isinstance(document, dict)
        or not isinstance(document.get("frames"), list)
        or not document["frames"]
    ):
        raise SansfaceError(f"{path} has no list of frames; write it as nerfstudio does.")
    _check_keys(document, _TOP, str(path))
    for key in _MUST_BE_OFF:
        if document.get(key):
            raise SansfaceError(f"{path} sets {key}, which is not supported; undistort the capture first.")
    model = document.get("camera_model", "OPENCV")
    if model not in tuple(_MODELS):
        raise SansfaceError(
            f"{path} has the camera model {str(model)[:40]!r}, not one of {', '.join(_MODELS)}; "
            "undistort the capture first."
        )
    entries = document["frames"]
    for index, entry in enumerate(entries):
        if (
            not isinstance(entry, dict)
            or not isinstance(entry.get("file_path"), str)
            or not entry["file_path"]
        ):
            raise SansfaceError(f"{path}: frame {index} has no file_path; name its photograph.")
    entries = sorted(entries, key=lambda entry: entry["file_path"])
    _check_each_once(entries, path)
    _check_not_mixed(document, entries, path)
    frames = tuple(_read_frame(document, entry, model, path) for entry in entries)
    return with_meta(frames, folder, sphere=_sphere(document, frames, path))


def write_transforms_json(capture: Capture, folder: str | Path) -> None:
    """Write poses, intrinsics, masks and roles, and `meta.json` with meta, sphere and unit.

    Fields of the intrinsics that all frames share are written once; paths inside `folder` become relative.

    Raises:
        SansfaceError: skewed pixels, which the format cannot say, or the files cannot be written.
    """
    folder = Path(folder)
    intrinsics = [_intrinsics_of(frame.camera) for frame in capture.frames]
    common = {
        key: value for key, value in intrinsics[0].items() if all(one[key] == value for one in intrinsics)
    }
    frames = []
    for frame, own in zip(capture.frames, intrinsics, strict=True):
        entry: dict[str, Any] = {"file_path": _relative(frame.image, folder)}
        if frame.mask is not None:
            entry["mask_path"] = _relative(frame.mask, folder)
        entry |= {key: value for key, value in own.items() if key not in common}
        entry["transform_matrix"] = (np.linalg.inv(frame.camera.cam_from_world) @ _FLIP).tolist()
        entry["transform_matrix"][3] = [0.0, 0.0, 0.0, 1.0]
        entry["role"] = frame.role.value
        frames.append(entry)
    write_json(folder / NAME, {"camera_model": "OPENCV", **common, "frames": frames})
    write_meta(capture, folder)


# --- reading ---


def _read_frame(document: dict[str, Any], entry: dict[str, Any], model: str, path: Path) -> Frame:
    name = entry["file_path"]
    where = f"{path}, frame {name}"
    _check_keys(entry, _FRAME, where)
    role = entry.get("role", Role.SENSITIVE.value)
    if role not in tuple(Role):
        raise SansfaceError(
            f"{where}: the role {str(role)[:40]!r} is neither neutral nor sensitive; correct it."
        )
    mask = entry.get("mask_path")
    if mask is not None and (not isinstance(mask, str) or not mask):
        raise SansfaceError(f"{where}: mask_path is not the name of a file; correct or remove it.")
    folder = path.parent
    picture = picture_of(folder, name)
    fields = {key: entry.get(key, document.get(key)) for key in _PER_FRAME}
    try:
        flip = np.eye(4) if document.get("from_na") else _FLIP
        camera = _camera(_told(fields, picture), entry.get("transform_matrix"), model, flip)
    except SansfaceError as error:
        raise SansfaceError(f"{where}: {error}") from error
    return Frame(camera, Role(role), picture, None if mask is None else folder / mask)


def picture_of(folder: Path, name: str) -> Path:
    """The photograph that an entry's `file_path` means; Blender's captures leave the suffix out."""
    picture = folder / name
    if picture.suffix.lower() in SUFFIXES or isfile(picture):
        return picture
    found = (picture.with_name(picture.name + suffix) for suffix in SUFFIXES)
    return next((path for path in found if isfile(path)), picture)


def _told(fields: dict[str, Any], picture: Path) -> dict[str, Any]:
    """The fields with fl_x, fl_y, cx and cy, if they were said in a dialect."""
    matrix, angle = fields["intrinsic_matrix"], fields["camera_angle_x"]
    if matrix is not None:
        if any(fields[key] is not None for key in ("fl_x", "fl_y", "cx", "cy")):
            raise SansfaceError("intrinsic_matrix and fl_x, cx, ... are both given; remove one of them.")
        K = numbers(matrix, "intrinsic_matrix", (3, 3), (4, 4))
        if abs(K[0, 1]) > 1e-5 * abs(K[0, 0]):
            raise SansfaceError("intrinsic_matrix has skewed pixels; undistort the capture first.")
        return fields | {"fl_x": K[0, 0], "fl_y": K[1, 1], "cx": K[0, 2], "cy": K[1, 2]}
    if angle is None or fields["fl_x"] is not None:
        return fields
    angle = _number(angle, "camera_angle_x")
    if not 0 < angle < pi:
        raise SansfaceError("camera_angle_x is not between 0 and pi; correct it.")
    if fields["w"] is None and fields["h"] is None:
        fields = fields | dict(zip(("w", "h"), picture_size(picture), strict=True))
    width, height = _number(fields["w"], "w"), _number(fields["h"], "h")
    focal = width / 2 / tan(angle / 2)
    center = {"cx": width / 2, "cy": height / 2}
    own = {key: value for key, value in fields.items() if value is not None}
    return fields | {"fl_x": focal, "fl_y": focal} | center | own


def _camera(fields: dict[str, Any], matrix: Any, model: str, flip: np.ndarray) -> Camera:
    if fields["fl_y"] is None and model.startswith("SIMPLE_"):
        fields["fl_y"] = fields["fl_x"]
    fx, fy, cx, cy, w, h = (_number(fields[key], key) for key in _INTRINSICS)
    if w != int(w) or h != int(h):
        raise SansfaceError("w and h are not whole numbers of pixels; correct them.")
    distortion = _distortion(fields)
    if distortion.pop("k4"):
        raise SansfaceError("k4 is not supported; undistort the capture first.")
    for key, value in distortion.items():
        if value and key not in _MODELS[model]:
            raise SansfaceError(f"the camera model {model} has no {key}; set it to 0 or use OPENCV.")
    if matrix is None:
        raise SansfaceError("transform_matrix is missing; give the camera's pose.")
    try:
        c2w = numbers(matrix, "transform_matrix", (4, 4))
    except SansfaceError as error:
        raise SansfaceError("transform_matrix is not 4 rows of 4 finite numbers; correct it.") from error
    K = [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]
    pose = inverse(c2w @ flip, "the pose")
    return Camera(np.array(K), int(w), int(h), pose, np.array(list(distortion.values())))


def _distortion(fields: dict[str, Any]) -> dict[str, float]:
    params = fields["distortion_params"]
    if params is None:
        return {key: 0.0 if fields[key] is None else _number(fields[key], key) for key in _DISTORTION}
    if any(fields[key] is not None for key in _DISTORTION):
        raise SansfaceError("distortion_params and k1, k2, ... are both given; remove one of them.")
    if not isinstance(params, list) or len(params) != 6:
        raise SansfaceError("distortion_params is not [k1, k2, k3, k4, p1, p2]; correct it.")
    k1, k2, k3, k4, p1, p2 = (_number(value, "distortion_params") for value in params)
    return {"k1": k1, "k2": k2, "p1": p1, "p2": p2, "k3": k3, "k4": k4}


def _number(value: Any, key: str) -> float:
    if value is None:
        raise SansfaceError(f"{key} is missing; give it for all frames or on each of them.")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= 1e12:
        raise SansfaceError(f"{key} is {str(value)[:40]!r}, not a sensible number; correct it.")
    return float(value)


def _check_keys(value: dict[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(value) - known)
    if unknown:
        raise SansfaceError(f"{where} has the unknown key {unknown[0][:60]!r}; correct or remove it.")


def _check_each_once(entries: Iterable[dict[str, Any]], path: Path) -> None:
    seen = set()
    for entry in entries:
        name = PurePosixPath(entry["file_path"])
        if name in seen:
            raise SansfaceError(f"{path} names the photograph {name} twice; remove one of the two frames.")
        seen.add(name)


def _check_not_mixed(document: dict[str, Any], entries: list[dict[str, Any]], path: Path) -> None:
    for key in _PER_FRAME:
        count = sum(key in entry for entry in entries)
        if (count and key in document) or 0 < count < len(entries):
            raise SansfaceError(f"{path} gives {key} for some frames only; give it on top or on every frame.")


def _sphere(document: dict[str, Any], frames: Iterable[Frame], path: Path) -> Sphere | None:
    """neuralangelo's sphere, where all cameras stand outside it, as they do around a subject."""
    if document.get("sphere_center") is None or document.get("sphere_radius") is None:
        return None
    try:
        center = numbers(document["sphere_center"], "sphere_center", (3,))
        sphere = Sphere(center, document["sphere_radius"], "given")
    except SansfaceError as error:
        raise SansfaceError(f"{path}: {error}") from error
    outside = all(np.linalg.norm(frame.camera.center - center) > sphere.radius for frame in frames)
    return sphere if outside else None


# --- writing ---


def _intrinsics_of(camera: Camera) -> dict[str, float]:
    K = camera.K
    if K[0, 1]:
        raise SansfaceError(f"{NAME} cannot say that pixels are skewed; undistort the capture first.")
    k1, k2, p1, p2, k3 = camera.distortion.tolist()
    return {
        "fl_x": float(K[0, 0]), "fl_y": float(K[1, 1]), "cx": float(K[0, 2]), "cy": float(K[1, 2]),
        "w": camera.width, "h": camera.height, "k1": k1, "k2": k2, "p1": p1, "p2": p2, "k3": k3,
    }  # fmt: skip


def _relative(path: Path, folder: Path) -> str:
    path, folder = path.absolute(), folder.absolute()
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()
