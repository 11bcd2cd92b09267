"""One person photographed once, as the attacker sees it who knows where the face lies (a bundle has the
cameras): the pictures, the bundle made of them, and from which side each shows the head.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from sansface.capture import Camera, Capture, Role
from sansface.errors import SansfaceError
from sansface.formats import read_capture
from sansface.protect.contents import Bundle
from sansface.protect.photograph import read_codes
from sansface.protect.pipeline import ProtectSettings, protect
from sansface.surface import Mesh, read_mesh
from sansface.upright import up_direction

TRUTH = "gt.ply"
SECTORS = ("right profile", "right", "front", "left", "left profile")
"""Sides from which a sensitive picture shows the head: the head's own."""
EDGES = (-77.5, -37.5, 37.5, 77.5)
"""Azimuths between them, degrees."""
FRONT = SECTORS.index("front")


@dataclass(frozen=True, eq=False)
class Sitting:
    """A capture with what is known of it.

    Attributes:
        folder: of the capture.
        capture: with its photographs.
        bundle: what the client makes of it, in the capture's frame.
        landmarks: (5, 3) in the world: right eye, left eye, nose tip, right and left corner of the mouth.
    """

    folder: Path
    capture: Capture
    bundle: Bundle
    landmarks: np.ndarray

    @cached_property
    def directions(self) -> np.ndarray:
        """(frames, 2) degrees: see `directions`."""
        cameras = [frame.camera for frame in self.capture.frames]
        return directions(cameras, self.bundle.center, self.landmarks)

    @property
    def sectors(self) -> np.ndarray:
        """(frames,) int64, of `SECTORS`."""
        return np.digitize(self.directions[:, 0], EDGES)

    def frames(self, role: Role, sector: int | None = None) -> list[int]:
        """Numbers of the frames of a role, and of a sector if one is given."""
        return [
            number
            for number, frame in enumerate(self.capture.frames)
            if frame.role is role and sector in (None, self.sectors[number])
        ]

    def face(self, camera: Camera) -> np.ndarray:
        """(5, 2) the landmarks in a camera's picture, whatever its size."""
        return camera.project(self.landmarks)[0]

    def photograph(self, number: int) -> np.ndarray:
        """(h, w, 3) uint8 sRGB, over black."""
        colour, coverage = read_codes(self.capture.frames[number])
        return (colour * (coverage[..., None] / np.iinfo(coverage.dtype).max)).round().astype(np.uint8)

    def truth(self) -> Mesh:
        """The true mesh, in the capture's frame: a scan of the person.

        Raises:
            SansfaceError: there is none.
        """
        return read_mesh(self.folder / TRUTH)


def read_sitting(folder: Path, settings: ProtectSettings, rng: np.random.Generator) -> Sitting:
    """A capture whose meta.json says where the face's landmarks are.

    Args:
        settings: by which the bundle is made.
        rng: draws its noise and gains.

    Raises:
        SansfaceError: no landmarks, or whatever is wrong with the capture.
    """
    capture = read_capture(folder)
    try:
        landmarks = np.array(capture.meta["landmarks"], dtype=np.float64)
        if landmarks.shape != (5, 3) or not np.isfinite(landmarks).all():
            raise ValueError
    except (KeyError, TypeError, ValueError) as error:
        raise SansfaceError(
            f'{folder}/meta.json has no five "landmarks" of the face, three numbers each; add them, in the '
            "capture's frame."
        ) from error
    return Sitting(folder, capture, protect(capture, settings, rng=rng), landmarks)


def directions(cameras: Sequence[Camera], center: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """From where each camera sees the head.

    Args:
        center: of the head.
        landmarks: (5, 3), see `Sitting`.

    Returns:
        (cameras, 2) float64 degrees: azimuth from the face, in (−180, 180], positive to the head's left, and
        height above the horizon.
    """
    up = up_direction(cameras)
    left = landmarks[1] - landmarks[0]
    left = left - (left @ up) * up
    left /= np.linalg.norm(left)
    frame = np.stack([left, up, np.cross(left, up)])
    away = np.stack([camera.center - center for camera in cameras]) @ frame.T
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    azimuth = np.arctan2(away[:, 0], away[:, 2])
    return np.degrees(np.column_stack([azimuth, np.arcsin(away[:, 1].clip(-1, 1))]))
