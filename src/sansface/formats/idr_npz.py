"""IDR's, NeuS's and VolSDF's `cameras*.npz` beside `image/` and `mask/`.

`world_mat_i` is the projection K [R | t] of the i-th picture by name, with the first pixel's centre at
(0, 0); so half a pixel is added here to cx and cy. `scale_mat_i` takes normalised points to the world. IDR
and NeuS put the subject inside its unit sphere; VolSDF scales until all cameras lie within 3 / 1.1, which
says nothing of the subject. There is no distortion, and no role: every frame is sensitive.
"""

import io
import re
import zipfile
from pathlib import Path

import numpy as np

from sansface.capture import Camera, Capture, Frame, Role, Sphere
from sansface.errors import SansfaceError
from sansface.files import os_error_sentence, written_beside
from sansface.formats.meta import with_meta, write_meta
from sansface.formats.numbers import HALF_PIXEL
from sansface.formats.pictures import picture_size, pictures_in

WHAT = "cameras_sphere.npz or cameras.npz with image/"
NAMES = ("cameras_sphere.npz", "cameras.npz", "cameras_large.npz")

VOLSDF = 3 / 1.1
"""Distance of the farthest camera from the origin after VolSDF's normalize_cameras.py."""

MAX_MATRICES = 10000
_MEMBER = 1 << 16
_WANTED = re.compile(r"world_mat_\d{1,6}|scale_mat_0", re.ASCII)
_BAD_ZIP = (zipfile.BadZipFile, ValueError, EOFError, RuntimeError, NotImplementedError, SyntaxError)


def is_idr_npz(folder: Path) -> bool:
    """Whether the folder holds cameras and pictures under these names."""
    return (folder / "image").is_dir() and _npz(folder) is not None


def read_idr_npz(folder: str | Path) -> Capture:
    """Read poses, intrinsics, masks and, where IDR or NeuS set it, the sphere. Of pictures, their headers.

    Raises:
        SansfaceError: pickled objects, a matrix that is missing, unusual or no projection; not as many
            pictures, or masks, as matrices; names whose order is unclear.
    """
    folder = Path(folder)
    path = _npz(folder)
    if path is None:
        raise SansfaceError(f"{folder} holds no {' or '.join(NAMES)}; give the folder that does.")
    matrices = read_matrices(path)
    pictures, masks = pictures_in(folder / "image"), pictures_in(folder / "mask")
    worlds = _worlds(matrices, path)
    for what, found in (("image", pictures), ("mask", masks)):
        _check_order(folder / what, found)
        if len(found) != len(worlds) and (found or what == "image"):
            raise SansfaceError(
                f"{path} has {len(worlds)} cameras, but the folder {what} beside it {len(found)} files; "
                "give one for each camera."
            )
    frames = []
    for index, (world, picture) in enumerate(zip(worlds, pictures, strict=True)):
        camera = camera_of(world, picture, f"{path}, world_mat_{index}")
        frames.append(Frame(camera, Role.SENSITIVE, picture, masks[index] if masks else None))
    return with_meta(tuple(frames), folder, sphere=sphere_of(matrices, frames, path))


def write_idr_npz(capture: Capture, folder: str | Path) -> None:
    """Write `cameras_sphere.npz` and `meta.json`; photographs must already lie in `image/`, masks in `mask/`.

    Without a sphere scale_mat is the identity. Roles cannot be said.

    Raises:
        SansfaceError: distortion, which a projection cannot say; photographs or masks that do not lie where
            the format looks for them, in this order; the files cannot be written.
    """
    folder = Path(folder)
    for what, paths in (
        ("image", [frame.image for frame in capture.frames]),
        ("mask", [frame.mask for frame in capture.frames if frame.mask is not None]),
    ):
        names = [path.name for path in paths]
        if names != sorted(set(names)) or any(
            p.parent.absolute() != (folder / what).absolute() for p in paths
        ):
            raise SansfaceError(f"not all files lie in {folder / what}, sorted by name; convert the capture.")
        if what == "mask" and 0 < len(paths) < len(capture.frames):
            raise SansfaceError(
                f"only {len(paths)} of {len(capture.frames)} frames have a mask; draw the others."
            )
    center, radius = np.zeros(3), 1.0
    if capture.sphere is not None:
        center, radius = capture.sphere.center, capture.sphere.radius
    scale = np.diag([radius, radius, radius, 1.0])
    scale[:3, 3] = center
    matrices = {}
    for index, frame in enumerate(capture.frames):
        camera = frame.camera
        if camera.distortion.any() or frame.video_frame is not None:
            raise SansfaceError(
                f"{folder / NAMES[0]} cannot say lens distortion; undistort the photographs first, or choose "
                "transforms or colmap."
            )
        world = np.eye(4)
        world[:3] = np.linalg.inv(HALF_PIXEL) @ camera.K @ camera.cam_from_world[:3]
        matrices |= {f"world_mat_{index}": world, f"scale_mat_{index}": scale}
    data = io.BytesIO()
    np.savez(data, **matrices)
    with written_beside(folder / NAMES[0]) as part:
        part.write_bytes(data.getvalue())
    write_meta(capture, folder)


def read_matrices(path: Path) -> dict[str, np.ndarray]:
    """The matrices `world_mat_*` and `scale_mat_0` of an npz, as (4, 4) float64; nothing else is opened.

    NumPy's own reader allocates what a header declares before it looks; here the shape must be (4, 4) first.

    Raises:
        SansfaceError: not an npz, a matrix twice, pickled objects, another shape or another kind of numbers.
    """
    matrices: dict[str, np.ndarray] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                name = info.filename.removesuffix(".npy")
                if not _WANTED.fullmatch(name):
                    continue
                if name in matrices or len(matrices) > MAX_MATRICES:
                    raise SansfaceError(f"{path} holds {name[:40]!a} twice, or far too many; write it again.")
                with archive.open(info) as member:
                    matrices[name] = _matrix(member.read(_MEMBER), f"{path}, {name[:40]!a}")
    except OSError as error:
        raise SansfaceError(os_error_sentence("read", path, error)) from error
    except _BAD_ZIP as error:
        raise SansfaceError(f"{path} is damaged or not an npz; copy it again from where it came.") from error
    except Exception as error:  # zlib, lzma and bz2 have errors of their own
        if isinstance(error, SansfaceError):
            raise
        raise SansfaceError(f"{path} cannot be unpacked; copy it again from where it came.") from error
    return matrices


def camera_of(world: np.ndarray, picture: Path, where: str) -> Camera:
    """The camera of a projection and a picture.

    Args:
        world: (4, 4) float64 [K [R | t]; 0 0 0 1], pixels from (0, 0).
        picture: whose header says the size.
        where: names file and matrix in errors.

    Raises:
        SansfaceError: no projection of a pinhole, or the picture's size cannot be read.
    """
    width, height = picture_size(picture)
    try:
        K, pose = decomposed(world[:3])
        return Camera(HALF_PIXEL @ K, width, height, pose)
    except (SansfaceError, np.linalg.LinAlgError) as error:
        reason = str(error) if isinstance(error, SansfaceError) else "it is singular; correct it."
        raise SansfaceError(f"{where} is no projection K [R | t] of a camera: {reason}") from error


def decomposed(P: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """K with K[2, 2] = 1 and the pose of a (3, 4) projection of any scale and sign: M = K R by RQ.

    Hartley and Zisserman, Multiple View Geometry, 2nd edition, 6.2.4. A skew that rounding explains is 0.

    Returns:
        (3, 3) and (4, 4) float64.

    Raises:
        numpy.linalg.LinAlgError: M is singular.
    """
    length = np.linalg.norm(P[2, :3])
    if not length > 0:
        raise np.linalg.LinAlgError("the last row is zero")
    single = np.array_equal(P.astype(np.float32), P)
    P = P / length  # the third row of M is then of length 1, as that of R
    P = P if np.linalg.det(P[:, :3]) > 0 else -P
    # the inverse of M = K R is Rᵀ K⁻¹, an orthogonal times an upper triangular matrix
    Q, U = np.linalg.qr(np.linalg.inv(P[:, :3]))
    signs = np.sign(np.diag(U))
    K = np.triu(np.linalg.inv(signs[:, None] * U))
    pose = np.eye(4)
    pose[:3, :3] = (Q * signs).T
    pose[:3, 3] = np.linalg.solve(K, P[:, 3])
    K = K / K[2, 2]
    if abs(K[0, 1]) <= (1e-5 if single else 1e-9) * K[0, 0]:
        K[0, 1] = 0
    return K, pose


def sphere_of(matrices: dict[str, np.ndarray], frames: list[Frame], path: Path) -> Sphere | None:
    """The unit sphere of scale_mat_0 in the world, where it is the subject's.

    It is not where a camera lies inside it, nor where all cameras were scaled to VolSDF's distance.

    Raises:
        SansfaceError: scale_mat_0 is no uniform scale and translation.
    """
    scale = matrices.get("scale_mat_0")
    if scale is None or np.array_equal(scale, np.eye(4)):
        return None
    radius = float(scale[0, 0])
    rest = scale - np.diag([radius, radius, radius, 1.0])
    rest[:3, 3] = 0
    if not radius > 0 or np.abs(rest).max() > 1e-4 * radius:
        raise SansfaceError(f"{path}: scale_mat_0 is no uniform scale and translation; correct it.")
    center = scale[:3, 3]
    distances = [np.linalg.norm(frame.camera.center - center) / radius for frame in frames]
    if min(distances) <= 1 or abs(max(distances) - VOLSDF) < 1e-4:
        return None
    return Sphere(center, radius, "given")


def _npz(folder: Path) -> Path | None:
    return next((folder / name for name in NAMES if (folder / name).is_file()), None)


def _worlds(matrices: dict[str, np.ndarray], path: Path) -> list[np.ndarray]:
    keys = [f"world_mat_{index}" for index in range(max(1, len(matrices.keys() - {"scale_mat_0"})))]
    missing = next((key for key in keys if key not in matrices), None)
    if missing is not None:
        raise SansfaceError(f"{path} has no {missing}; number the matrices from 0 on.")
    return [matrices[key] for key in keys]


def _matrix(data: bytes, where: str) -> np.ndarray:
    file = io.BytesIO(data)
    major, _ = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
    shape, by_columns, dtype = read(file)
    if dtype.hasobject:
        raise SansfaceError(f"{where} holds pickled objects, which can run code; write it again as numbers.")
    if shape not in ((4, 4), (3, 4)) or dtype.kind not in "fiu":
        raise SansfaceError(
            f"{where} is {dtype} of shape {shape}, not numbers of shape (4, 4); write it again."
        )
    raw = file.read(dtype.itemsize * shape[0] * shape[1])
    matrix = np.frombuffer(raw, dtype).reshape(shape, order="F" if by_columns else "C").astype(np.float64)
    if not np.isfinite(matrix).all() or np.abs(matrix).max() > 1e12:
        raise SansfaceError(f"{where} holds a number that is not sensible; write it again.")
    return matrix if len(matrix) == 4 else np.vstack([matrix, [0.0, 0.0, 0.0, 1.0]])


def _check_order(folder: Path, files: list[Path]) -> None:
    """Sorted by name must not differ from sorted by number, or poses would go to the wrong pictures."""
    if all(file.stem.isdecimal() for file in files):
        numbers = [int(file.stem) for file in files]
        if numbers != sorted(numbers):
            raise SansfaceError(f"the names in {folder} are numbers of unequal length; pad them with zeros.")
