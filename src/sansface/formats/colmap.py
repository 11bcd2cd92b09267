"""COLMAP: a folder with `images/` and a sparse model, as text or binary, with masks in `masks/` if any.

Poses are cam_from_world in OpenCV's axes, as a Hamilton quaternion (w, x, y, z) and a translation; pixel
centres are at +0.5, as here. Of several sub-models the one with the most images counts. There are no roles,
so every frame is sensitive.
"""

from pathlib import Path

import numpy as np

from sansface.capture import Camera, Capture, Frame, Role
from sansface.errors import SansfaceError
from sansface.files import fresh_folder
from sansface.formats.colmap_model import (
    MODELS,
    Model,
    ModelCamera,
    ModelImage,
    is_model,
    read_model,
    read_points3d,
    write_model,
)
from sansface.formats.meta import with_meta, write_meta
from sansface.formats.pictures import inside, mask_of

WHAT = "a COLMAP model in sparse/"

_PICTURES = ("images", "image", "input")
_SPARSE = ("sparse", "colmap/sparse", "dense/sparse", ".")


def is_colmap(folder: Path) -> bool:
    """Whether the folder holds a sparse model."""
    return bool(_models(folder))


def read_colmap(folder: str | Path) -> Capture:
    """Read the largest sub-model. Opens no picture.

    Raises:
        SansfaceError: no model, or an empty one; a camera model other than COLMAP's 0 to 4, by name; a file
            that is not as COLMAP writes it; no folder of pictures.
    """
    folder = Path(folder)
    path, model = _largest(folder)
    # Beside an undistorted model, in dense/, lie pictures of its own.
    homes = [place / name for place in (path.parent, path.parent.parent, folder) for name in _PICTURES]
    home = next((home for home in homes if home.is_relative_to(folder) and home.is_dir()), None)
    if home is None:
        raise SansfaceError(f"{folder} has no folder images with the photographs of its model; put it there.")
    frames = []
    for image in sorted(model.images.values(), key=lambda image: image.name):
        picture = inside(home, image.name, path)
        try:
            camera = _camera(model.cameras[image.camera], image)
        except SansfaceError as error:
            raise SansfaceError(f"{path}, image {image.name}: {error}") from error
        frames.append(Frame(camera, Role.SENSITIVE, picture, mask_of(folder, image.name)))
    return with_meta(tuple(frames), folder)


def read_points(folder: str | Path) -> tuple[np.ndarray, list[tuple[str, ...]]]:
    """The sparse points of the largest sub-model.

    Returns:
        (n, 3) float64 positions in the world, and for each point the sorted names of the photographs in its
        track, as they stand in the model; none where the model keeps no tracks.

    Raises:
        SansfaceError: no model or no points in it, or a file that is not as COLMAP writes it.
    """
    path, model = _largest(Path(folder))
    positions, tracks = [], []
    for position, track in read_points3d(path):
        unknown = set(track) - model.images.keys()
        if unknown:
            raise SansfaceError(
                f"{path}: a point is seen by the unknown image {min(unknown)}; export it again."
            )
        positions.append(position)
        tracks.append(tuple(sorted({model.images[number].name for number in track})))
    xyz = np.array(positions, dtype=np.float64).reshape(-1, 3)
    if not np.isfinite(xyz).all():
        raise SansfaceError(f"{path}: a point is not finite; export the model again.")
    return xyz, tracks


def write_colmap(capture: Capture, folder: str | Path, binary: bool = True) -> None:
    """Write `sparse/0` and `meta.json`; photographs must already lie in `images/`, masks in `masks/`.

    Cameras that are equal are written once, as PINHOLE or OPENCV. Roles cannot be said.

    Raises:
        SansfaceError: k3 or skewed pixels, which models 0 to 4 cannot say; a photograph, a mask or a frame of
            a video that does not lie where COLMAP looks for it; the files cannot be written.
    """
    folder = Path(folder)
    numbers: dict[ModelCamera, int] = {}
    images = {}
    for number, frame in enumerate(capture.frames, start=1):
        name = _name(frame, folder)
        camera = numbers.setdefault(_model_camera(frame), len(numbers) + 1)
        pose = frame.camera.cam_from_world
        rotation = tuple(_quaternion(pose[:3, :3]).tolist())
        images[number] = ModelImage(rotation, tuple(pose[:3, 3].tolist()), camera, name)
    model = Model({number: camera for camera, number in numbers.items()}, images)
    write_model(model, fresh_folder(folder / "sparse" / "0", overwrite=True), binary)
    write_meta(capture, folder)


def write_colmap_text(capture: Capture, folder: str | Path) -> None:
    """`write_colmap` as text."""
    write_colmap(capture, folder, binary=False)


# --- reading ---


def _models(folder: Path) -> list[Path]:
    """Folders of sub-models, of the first place that has any."""
    for place in _SPARSE:
        base = folder / place
        found = [base, *sorted(base.iterdir())] if base.is_dir() and place != "." else [base]
        found = [path for path in found if path.is_dir() and is_model(path)]
        if found:
            return found
    return []


def _largest(folder: Path) -> tuple[Path, Model]:
    models = [(path, read_model(path)) for path in _models(folder)]
    if not models:
        raise SansfaceError(f"{folder} holds no COLMAP model; export one to {folder / 'sparse'}.")
    path, model = max(models, key=lambda pair: len(pair[1].images))
    if not model.images:
        raise SansfaceError(
            f"the COLMAP model {path} is empty: no photograph was registered; take more photographs that "
            "overlap, and run COLMAP again."
        )
    return path, model


def _camera(camera: ModelCamera, image: ModelImage) -> Camera:
    p = camera.params
    kind = MODELS[camera.model][0]
    (fx, fy, cx, cy), rest = (p[:4], p[4:]) if kind in ("PINHOLE", "OPENCV") else ((p[0], *p[:3]), p[3:])
    pose = np.eye(4)
    pose[:3, :3] = _rotation(np.array(image.rotation))
    pose[:3, 3] = image.translation
    distortion = np.zeros(5)
    distortion[: len(rest)] = rest
    K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    return Camera(K, camera.width, camera.height, pose, distortion)


def _rotation(q: np.ndarray) -> np.ndarray:
    """(3, 3) rotation of a unit quaternion (w, x, y, z)."""
    with np.errstate(over="ignore", invalid="ignore"):
        length = np.linalg.norm(q)
    if not abs(length - 1) < 1e-2:
        raise SansfaceError("its quaternion does not have length 1; export the model again.")
    w, x, y, z = q / length
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + 2 * w * cross + 2 * cross @ cross


# --- writing ---


def _name(frame: Frame, folder: Path) -> str:
    picture, home = frame.image.absolute(), (folder / _PICTURES[0]).absolute()
    if frame.video_frame is not None or not picture.is_relative_to(home):
        raise SansfaceError(
            f"{frame.image} is no photograph in {home}, where COLMAP looks; convert the capture."
        )
    name = picture.relative_to(home).as_posix()
    if frame.mask is not None and frame.mask.absolute() != folder.absolute() / "masks" / f"{name}.png":
        raise SansfaceError(f"the mask {frame.mask} is not masks/{name}.png, where COLMAP looks; convert it.")
    if name != name.strip() or "\n" in name:
        raise SansfaceError(f"COLMAP cannot say the name {name!a} of a photograph; rename it.")
    return name


def _model_camera(frame: Frame) -> ModelCamera:
    camera, K = frame.camera, frame.camera.K
    if K[0, 1] or camera.distortion[4]:
        raise SansfaceError(
            "COLMAP's OPENCV model cannot say skewed pixels or k3; undistort the photographs first, or "
            "choose transforms."
        )
    params = (K[0, 0], K[1, 1], K[0, 2], K[1, 2])
    kind = 1
    if camera.distortion.any():
        params, kind = (*params, *camera.distortion[:4]), 4
    return ModelCamera(kind, camera.width, camera.height, tuple(float(value) for value in params))


def _quaternion(R: np.ndarray) -> np.ndarray:
    """(4,) unit quaternion (w, x, y, z), w ≥ 0, of a rotation.

    It is the eigenvector of the largest eigenvalue of K(R), which is exact for every angle: Bar-Itzhack, "New
    method for extracting the quaternion from a rotation matrix", 2000.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = R
    K = np.array([
        [xx + yy + zz, zy - yz, xz - zx, yx - xy],
        [zy - yz, xx - yy - zz, xy + yx, xz + zx],
        [xz - zx, xy + yx, yy - xx - zz, yz + zy],
        [yx - xy, xz + zx, yz + zy, zz - xx - yy],
    ])  # fmt: skip
    q = np.linalg.eigh(K)[1][:, -1]
    return q if q[0] >= 0 else -q
