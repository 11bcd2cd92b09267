"""One head from the cameras of its photographs: photographed, protected, as a mesh, as a radiance shows it.

All four show the face at the same place, which is known: YuNet finds it in the photograph, and whoever
attacks what was made of the photograph has its camera. A head stands before black, as in a bundle; a mesh
before white, as in a report.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from sansface.capture import Camera, Capture, Role
from sansface.errors import SansfaceError
from sansface.evaluate.pictures import render_mesh
from sansface.evaluate.raycast import Caster
from sansface.files import read_json
from sansface.protect.contents import Bundle
from sansface.protect.frame import UserFrame
from sansface.protect.photograph import read_codes
from sansface.protect.reduce import reduce
from sansface.recognise.align import Placing, similarity
from sansface.recognise.detect import Face
from sansface.reconstruct.novel_views import TrainedHead, novel_view
from sansface.render.volume import Radiance
from sansface.surface import Mesh

LONGER = 256
"""Pixels of a photograph's longer side, undistorted and without its background; fewer if it has fewer."""
FRONTAL = 40.0
"""Degrees from the middle of the sensitive cameras up to which a recogniser is shown a view."""


@dataclass(frozen=True, eq=False)
class Portrait:
    """One view of the face.

    Attributes:
        number: of the frame in its capture.
        camera: of the picture, in the world, without distortion.
        picture: (h, w, 3) float32 sRGB over black.
        landmarks: (5, 2) pixels; see `sansface.recognise.align`.
    """

    number: int
    camera: Camera
    picture: np.ndarray
    landmarks: np.ndarray


def portraits(
    capture: Capture, find: Callable[[np.ndarray], Face | None], frontal: float = FRONTAL
) -> list[Portrait]:
    """The photographs of the face from before it, as far as it is found.

    Args:
        find: gives the face of a (h, w, 3) uint8 photograph, as `Yunet.nearest`.
        frontal: degrees from the middle of the sensitive cameras.

    Raises:
        SansfaceError: a photograph cannot be read, or the capture has no sphere around the head.
    """
    if capture.sphere is None:
        raise SansfaceError("the capture does not say where the head is; add center and radius to meta.json.")
    sensitive = [number for number, frame in enumerate(capture.frames) if frame.role is Role.SENSITIVE]
    rays = np.stack([capture.frames[number].camera.center - capture.sphere.center for number in sensitive])
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    middle = rays.mean(axis=0)
    near = rays @ (middle / np.linalg.norm(middle)) >= np.cos(np.radians(frontal))
    result = []
    for number in np.array(sensitive)[near].tolist():
        frame = capture.frames[number]
        longer = min(LONGER, max(frame.camera.width, frame.camera.height))
        reduced = reduce(*read_codes(frame), frame.camera, longer)
        face = find(np.rint(255 * reduced.colour).astype(np.uint8))
        if face is not None:
            result.append(Portrait(number, reduced.camera, reduced.colour, face.landmarks))
    return result


def photographed(of: Sequence[Portrait], placing: Placing, pixels: int | None = None) -> np.ndarray:
    """The photographs themselves.

    Args:
        placing: how the face is to lie.
        pixels: of the longer side, to which they are reduced before; None for no less.

    Returns:
        (n, side, side, 3) float32 sRGB in [0, 1].
    """
    return _stacked([_reduced(one, pixels, placing) for one in of], placing)


def protected_views(of: Sequence[Portrait], bundle: Bundle, placing: Placing) -> np.ndarray:
    """σ as the bundle of the same capture has it: (n, side, side) float32, 0 where withheld."""
    result = np.empty((len(of), placing.side, placing.side), dtype=np.float32)
    for index, one in enumerate(of):
        values = bundle.frames[one.number].values()
        height, width = values.shape
        axes = np.array([width / one.camera.width, height / one.camera.height])  # both were rounded
        result[index] = placing.cut(values, one.landmarks * axes)
    return result


def mesh_views(of: Sequence[Portrait], mesh: Mesh, placing: Placing) -> np.ndarray:
    """A mesh in the capture's frame as a grey plaster cast: (n, side, side, 3) float32."""
    cut, caster = [], Caster(mesh)
    for one in of:
        camera, landmarks = window(one, placing)
        cut.append(placing.cut(render_mesh(caster, camera), landmarks))
    return _stacked(cut, placing)


def radiance_views(
    of: Sequence[Portrait],
    head: TrainedHead,
    frame: UserFrame,
    placing: Placing,
    radiance: Radiance | None = None,
) -> np.ndarray:
    """What a trained head looks like, or in another one's radiance: (n, side, side, 3) float32.

    Args:
        head: trained on a bundle of the same capture.
        frame: the way from its frame to the capture's, as `frame_of` gives it.
        radiance: another than its own.
    """
    cut = []
    for one in of:
        camera, landmarks = window(one, placing)
        cut.append(placing.cut(novel_view(head, _within(frame, camera), radiance), landmarks))
    return _stacked(cut, placing)


def frame_of(folder: Path) -> UserFrame:
    """The way from a reconstruction's unit sphere to the frame of its mesh.

    Raises:
        SansfaceError: the folder's config.json is not of this version.
    """
    try:
        said = read_json(folder / "config.json")["frame"]
        return UserFrame(said["center"], said["radius"], said["rotation"], said["unit"])
    except (KeyError, TypeError) as error:
        raise SansfaceError(f"{folder / 'config.json'} is not of this version; reconstruct again.") from error


def window(of: Portrait, placing: Placing) -> tuple[Camera, np.ndarray]:
    """The part of a picture that is cut out, and a margin: its camera, and (5, 2) landmarks in it."""
    fit = similarity(placing.landmarks, of.landmarks)
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]) * placing.side @ fit[:, :2].T + fit[:, 2]
    low, high = np.floor(corners.min(axis=0)) - 1, np.ceil(corners.max(axis=0)) + 1
    K = np.array(of.camera.K)
    K[:2, 2] -= low
    width, height = (int(size) for size in high - low)
    return Camera(K, width, height, of.camera.cam_from_world), of.landmarks - low


def _within(frame: UserFrame, camera: Camera) -> Camera:
    """A camera of the world, in the unit sphere: x_world = center + radius · rotation x_norm."""
    moved = camera.normalized(frame.center, frame.radius)
    turn = np.eye(4)
    turn[:3, :3] = frame.rotation
    return Camera(moved.K, moved.width, moved.height, moved.cam_from_world @ turn)


def _reduced(of: Portrait, pixels: int | None, placing: Placing) -> np.ndarray:
    height, width = of.picture.shape[:2]
    scale = 1.0 if pixels is None else pixels / max(height, width)
    if scale >= 1:
        return placing.cut(of.picture, of.landmarks)
    size = max(1, round(scale * width)), max(1, round(scale * height))
    small = cv2.resize(of.picture, size, interpolation=cv2.INTER_AREA)
    return placing.cut(small, of.landmarks * (size[0] / width, size[1] / height))


def _stacked(cut: list[np.ndarray], placing: Placing) -> np.ndarray:
    return np.stack(cut) if cut else np.zeros((0, placing.side, placing.side, 3), dtype=np.float32)
