"""The files of a COLMAP model, as text and as binary: what is in them, not what it means.

Layout as in COLMAP's own documentation ("Output Format") and `sensor/models.h`. Binary is little-endian.
A count in a header is believed only as far as the file is long, so a hostile one allocates nothing.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from sansface.errors import SansfaceError
from sansface.files import os_error_sentence, written_beside

MODELS = (
    ("SIMPLE_PINHOLE", 3), ("PINHOLE", 4), ("SIMPLE_RADIAL", 4), ("RADIAL", 5), ("OPENCV", 8),
    ("OPENCV_FISHEYE", 8), ("FULL_OPENCV", 12), ("FOV", 5), ("SIMPLE_RADIAL_FISHEYE", 4),
    ("RADIAL_FISHEYE", 5), ("THIN_PRISM_FISHEYE", 12), ("RAD_TAN_THIN_PRISM_FISHEYE", 16),
    ("SIMPLE_DIVISION", 4), ("DIVISION", 5), ("SIMPLE_FISHEYE", 3), ("FISHEYE", 4), ("EUCM", 6),
    ("EQUIRECTANGULAR", 2),
)  # fmt: skip
"""Camera models by number: name and how many parameters."""

READABLE = 5
"""Models 0 to 4 are read: pinholes with at most k1, k2, p1, p2 of Brown's distortion."""

MAX_FILE = 1 << 30

_COUNT = struct.Struct("<Q")
_CAMERA = struct.Struct("<iiQQ")
_IMAGE = struct.Struct("<i7di")
_POINT = struct.Struct("<Q3d3Bd")
_POINT2D_BYTES, _TRACK = 24, struct.Struct("<ii")


@dataclass(frozen=True)
class ModelCamera:
    """A line of cameras.txt: model's number, size in pixels and parameters in the model's order."""

    model: int
    width: int
    height: int
    params: tuple[float, ...]


@dataclass(frozen=True)
class ModelImage:
    """A line of images.txt: unit quaternion (w, x, y, z) and translation of cam_from_world, and the name."""

    rotation: tuple[float, ...]
    translation: tuple[float, ...]
    camera: int
    name: str


@dataclass(frozen=True)
class Model:
    """Cameras and images by their ids."""

    cameras: dict[int, ModelCamera]
    images: dict[int, ModelImage]


def is_model(folder: Path) -> bool:
    """Whether the folder holds a model's cameras and images, as text or binary."""
    return any(all((folder / f"{part}{kind}").is_file() for part in ("cameras", "images")) for kind in KINDS)


KINDS = (".bin", ".txt")
"""Binary first, as COLMAP does where both are there."""


def read_model(folder: Path) -> Model:
    """Cameras and images of a model's folder.

    Raises:
        SansfaceError: a file is missing, cut short or not as COLMAP writes it; a camera model other than
            0 to 4, by name; an id or a photograph twice; an image of a camera that is not there.
    """
    kind = next((kind for kind in KINDS if (folder / f"cameras{kind}").is_file()), KINDS[-1])
    path = folder / f"cameras{kind}"
    read = _cameras_of_binary if kind == ".bin" else _cameras_of_text
    cameras: dict[int, ModelCamera] = {}
    for number, camera in read(path):
        if number in cameras:
            raise SansfaceError(f"{path} has two cameras with the id {number}; remove one of them.")
        cameras[number] = camera
    path = folder / f"images{kind}"
    read_images = _images_of_binary if kind == ".bin" else _images_of_text
    images: dict[int, ModelImage] = {}
    names = set()
    for number, image in read_images(path):
        if number in images:
            raise SansfaceError(f"{path} has two images with the id {number}; remove one of them.")
        if image.name in names:
            raise SansfaceError(f"{path} names the photograph {image.name} twice; remove one of the images.")
        if image.camera not in cameras:
            raise SansfaceError(f"{path}: the camera {image.camera} of {image.name} is missing; add it.")
        images[number] = image
        names.add(image.name)
    return Model(cameras, images)


def read_points3d(folder: Path) -> Iterator[tuple[tuple[float, ...], list[int]]]:
    """Position and the ids of the images in the track, of each point of a model's folder, one by one.

    Raises:
        SansfaceError: the file is missing, cut short or not as COLMAP writes it.
    """
    if (folder / "points3D.bin").is_file():
        yield from _points_of_binary(folder / "points3D.bin")
    else:
        yield from _points_of_text(folder / "points3D.txt")


def write_model(model: Model, folder: Path, binary: bool) -> None:
    """Write cameras, images without their 2D points, and an empty list of points.

    Raises:
        SansfaceError: the folder already holds a model of the other kind, or the files cannot be written.
    """
    kind, other = KINDS if binary else KINDS[::-1]
    if (folder / f"cameras{other}").exists():
        raise SansfaceError(f"{folder} already holds a model in {other} files; choose another folder.")
    cameras = _binary_cameras(model) if binary else _text_cameras(model)
    images = _binary_images(model) if binary else _text_images(model)
    points = _COUNT.pack(0) if binary else b"# no points\n"
    for part, data in (("points3D", points), ("images", images), ("cameras", cameras)):
        with written_beside(folder / f"{part}{kind}") as beside:
            beside.write_bytes(data)


# --- text ---


def _lines(path: Path) -> list[str]:
    try:
        return _bytes_of(path).decode("utf-8").split("\n")
    except UnicodeDecodeError:
        raise SansfaceError(f"{path} is not UTF-8 text; write it again with COLMAP.") from None


def _is_data(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _cameras_of_text(path: Path) -> Iterator[tuple[int, ModelCamera]]:
    by_name = {name: number for number, (name, _) in enumerate(MODELS)}
    for line in filter(_is_data, _lines(path)):
        words = line.split()
        if len(words) < 5:
            _not_colmaps(path, line)
        if words[1] not in by_name:
            raise SansfaceError(
                f"{path} has the unknown camera model {words[1][:40]}; undistort it in COLMAP."
            )
        model = by_name[words[1]]
        _check_readable(model, path)
        try:
            number, width, height = int(words[0]), int(words[2]), int(words[3])
            params = tuple(float(word) for word in words[4:])
        except ValueError:
            _not_colmaps(path, line)
        if len(params) != MODELS[model][1]:
            _not_colmaps(path, line)
        yield number, ModelCamera(model, width, height, params)


def _images_of_text(path: Path) -> Iterator[tuple[int, ModelImage]]:
    lines = iter(_lines(path))
    for line in filter(_is_data, lines):
        words = line.strip().split(maxsplit=9)
        if len(words) < 10:
            _not_colmaps(path, line)
        try:
            number, camera = int(words[0]), int(words[8])
            pose = tuple(float(word) for word in words[1:8])
        except ValueError:
            _not_colmaps(path, line)
        name = words[9]
        # the very next line holds the image's 2D points: often it is blank, but it is always there
        points = next(lines, "").split()
        try:
            floats = [float(word) for word in points]
        except ValueError:
            floats = [0.0]
        if len(floats) % 3:
            raise SansfaceError(
                f"{path}: after the line of {name} there is no line of its 2D points, which may be blank but "
                "not left out; write the file again with COLMAP."
            )
        yield number, ModelImage(pose[:4], pose[4:], camera, name)


def _points_of_text(path: Path) -> Iterator[tuple[tuple[float, ...], list[int]]]:
    for line in filter(_is_data, _lines(path)):
        words = line.split()
        if len(words) < 8 or len(words) % 2:
            _not_colmaps(path, line)
        try:
            yield tuple(float(word) for word in words[1:4]), [int(word) for word in words[8::2]]
        except ValueError:
            _not_colmaps(path, line)


def _text_cameras(model: Model) -> bytes:
    lines = ["# CAMERA_ID MODEL WIDTH HEIGHT PARAMS[]"]
    for number, camera in model.cameras.items():
        head = f"{number} {MODELS[camera.model][0]} {camera.width} {camera.height}"
        lines.append(f"{head} {' '.join(map(repr, camera.params))}")
    return ("\n".join(lines) + "\n").encode("utf-8")


def _text_images(model: Model) -> bytes:
    lines = ["# IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME", "# X Y POINT3D_ID, ...: none"]
    for number, image in model.images.items():
        pose = " ".join(map(repr, image.rotation + image.translation))
        lines += [f"{number} {pose} {image.camera} {image.name}", ""]
    return ("\n".join(lines) + "\n").encode("utf-8")


# --- binary ---


class _Cursor:
    """A place in a binary file, which never goes beyond its end."""

    def __init__(self, path: Path):
        self.path, self.data, self.at = path, _bytes_of(path), 0

    def take(self, layout: struct.Struct) -> tuple:
        start = self.skip(layout.size)
        return layout.unpack_from(self.data, start)

    def skip(self, size: int) -> int:
        start, self.at = self.at, self.at + size
        if self.at > len(self.data):
            self.fail()
        return start

    def count(self, least: int) -> int:
        """A number of records that are at least so many bytes long each."""
        (number,) = self.take(_COUNT)
        if number * least > len(self.data) - self.at:
            self.fail()
        return number

    def text(self) -> str:
        end = self.data.find(b"\0", self.at)
        if end < 0:
            self.fail()
        start, self.at = self.at, end + 1
        try:
            return self.data[start:end].decode("utf-8")
        except UnicodeDecodeError:
            self.fail()

    def end(self) -> None:
        if self.at != len(self.data):
            self.fail()

    def fail(self) -> NoReturn:
        raise SansfaceError(
            f"{self.path} is cut short or not a COLMAP file; copy it again, or export the model as text."
        )


def _cameras_of_binary(path: Path) -> Iterator[tuple[int, ModelCamera]]:
    file = _Cursor(path)
    for _ in range(file.count(_CAMERA.size)):
        number, model, width, height = file.take(_CAMERA)
        if not 0 <= model < len(MODELS):
            raise SansfaceError(f"{path} has the unknown camera model {model}; undistort it in COLMAP.")
        _check_readable(model, path)
        params = file.take(struct.Struct(f"<{MODELS[model][1]}d"))
        yield number, ModelCamera(model, width, height, params)
    file.end()


def _images_of_binary(path: Path) -> Iterator[tuple[int, ModelImage]]:
    file = _Cursor(path)
    for _ in range(file.count(_IMAGE.size + 1 + _COUNT.size)):
        number, *pose, camera = file.take(_IMAGE)
        name = file.text()
        file.skip(file.count(_POINT2D_BYTES) * _POINT2D_BYTES)
        yield number, ModelImage(tuple(pose[:4]), tuple(pose[4:]), camera, name)
    file.end()


def _points_of_binary(path: Path) -> Iterator[tuple[tuple[float, ...], list[int]]]:
    file = _Cursor(path)
    for _ in range(file.count(_POINT.size + _COUNT.size)):
        position = file.take(_POINT)[1:4]
        track = file.take(struct.Struct(f"<{2 * file.count(_TRACK.size)}i"))
        yield position, list(track[::2])
    file.end()


def _binary_cameras(model: Model) -> bytes:
    parts = [_COUNT.pack(len(model.cameras))]
    for number, camera in model.cameras.items():
        parts.append(_CAMERA.pack(number, camera.model, camera.width, camera.height))
        parts.append(struct.pack(f"<{len(camera.params)}d", *camera.params))
    return b"".join(parts)


def _binary_images(model: Model) -> bytes:
    parts = [_COUNT.pack(len(model.images))]
    for number, image in model.images.items():
        parts.append(_IMAGE.pack(number, *image.rotation, *image.translation, image.camera))
        parts += [image.name.encode("utf-8"), b"\0", _COUNT.pack(0)]
    return b"".join(parts)


# --- both ---


def _bytes_of(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE:
            raise SansfaceError(f"{path} is larger than {MAX_FILE >> 30} GiB; export a smaller model.")
        return path.read_bytes()
    except OSError as error:
        raise SansfaceError(os_error_sentence("read", path, error)) from error


def _check_readable(model: int, path: Path) -> None:
    if model >= READABLE:
        readable = ", ".join(name for name, _ in MODELS[:READABLE])
        raise SansfaceError(
            f"{path} has the camera model {MODELS[model][0]}, not one of {readable}; undistort it in COLMAP."
        )


def _not_colmaps(path: Path, line: str) -> NoReturn:
    raise SansfaceError(
        f"{path} has the line {line.strip()[:60]!a}, which is not as COLMAP writes it; correct it."
    ) from None
