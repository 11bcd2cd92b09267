"""What a server renders of a reconstructed head, as a recogniser takes it: the face cut out upright.

All pictures are taken with the cameras of the sitting, pointed at the face: an attacker renders from wherever
he likes.
"""

from collections.abc import Callable, Sequence

import numpy as np

from sansface.audit.artefacts.sitting import FRONT, Sitting
from sansface.audit.people import CLEAR
from sansface.capture import Camera, Role
from sansface.evaluate.pictures import render_depth_normals, render_mesh
from sansface.evaluate.raycast import Caster
from sansface.recognise.align import SIDE, similarity
from sansface.reconstruct.novel_views import TrainedHead, novel_view

ROOM = 1.15
"""A picture is so much larger than what is cut out of it."""
DEEP = 120.0
"""What lies so much farther than the nearest point is white in a picture of depth, mm."""
PLASTER = 0.9
"""sRGB of the brightest of a plaster cast, which wears the skin."""


def face_camera(sitting: Sitting, camera: Camera) -> Camera:
    """The same camera, its picture a square around the face, as large as a recogniser wants it."""
    fit = similarity(sitting.face(camera), CLEAR.landmarks)
    zoom = float(np.sqrt(abs(np.linalg.det(fit[:, :2]))))
    middle = np.linalg.solve(fit[:, :2], np.full(2, SIDE / 2) - fit[:, 2])
    side = round(ROOM * SIDE)
    K = zoom * np.array(camera.K)
    K[:2, 2] += side / 2 - zoom * middle
    K[2] = 0, 0, 1
    return Camera(K, side, side, camera.cam_from_world)


def rendered(
    sitting: Sitting, draw: Callable[[Camera], np.ndarray], sector: int = FRONT, most: int | None = None
) -> np.ndarray:
    """(n, 112, 112, 3) float32 in [0, 1]: faces as seen by the sitting's sensitive cameras of a sector.

    Args:
        draw: gives (h, w, 3) uint8 or float32 of a camera in the capture's frame.
        most: so many of the cameras at most.
    """
    faces = []
    for number in sitting.frames(Role.SENSITIVE, sector)[:most]:
        camera = face_camera(sitting, sitting.capture.frames[number].camera)
        faces.append(CLEAR.cut(draw(camera), sitting.face(camera)))
    return np.stack(faces)


def plaster(caster: Caster) -> Callable[[Camera], np.ndarray]:
    """A mesh as a plaster cast before black."""

    def draw(camera: Camera) -> np.ndarray:
        seen = render_depth_normals(caster, camera).face >= 0
        return np.where(seen[..., None], render_mesh(caster, camera), 0).astype(np.uint8)

    return draw


def skinned(caster: Caster, colours: np.ndarray) -> Callable[[Camera], np.ndarray]:
    """A mesh with a skin, (n, 3) sRGB of its vertices, before black."""

    def draw(camera: Camera) -> np.ndarray:
        buffers = render_depth_normals(caster, camera)
        seen = buffers.face >= 0
        picture = np.zeros((*seen.shape, 3), np.float32)
        corners = colours[caster.mesh.faces[buffers.face[seen]]]
        skin = np.einsum("hk,hkc->hc", buffers.weights[seen], corners)
        picture[seen] = skin * (render_mesh(caster, camera)[seen] / (255 * PLASTER))
        return picture.clip(0, 1)

    return draw


def depth(caster: Caster) -> Callable[[Camera], np.ndarray]:
    """A mesh's depth, black where it is nearest, white from `DEEP` on and beyond."""

    def draw(camera: Camera) -> np.ndarray:
        away = render_depth_normals(caster, camera).depth
        grey = np.nan_to_num((away - np.nanmin(away)) / DEEP, nan=1.0).clip(0, 1)
        return np.repeat(grey[..., None], 3, axis=2).astype(np.float32)

    return draw


def radiance(head: TrainedHead, sitting: Sitting) -> Callable[[Camera], np.ndarray]:
    """The radiance that was learnt, on its own surface."""
    center, radius = sitting.bundle.center, sitting.bundle.radius
    return lambda camera: novel_view(head, camera.normalized(center, radius))


def labels_of(faces: Sequence[np.ndarray]) -> np.ndarray:
    """(n,) int64 of the faces of each person."""
    return np.repeat(np.arange(len(faces)), [len(one) for one in faces])
