"""Faces by YuNet (Wu, Peng and Yu 2023), gated by position: the one that lies where a face must lie.

The detector fires elsewhere, too; what it finds beside the right place is nobody, not another person.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from sansface import assets
from sansface.faces.tflite import without_chatter

SCORE = 0.6
"""From which on a finding counts."""
SIZES = (256, 640, 1600)
"""Longer sides in pixels at which a picture is looked at until a face is found: the first, whatever its own
size, and the others if it has so many. YuNet finds faces of 10 to 300."""
BESIDE = 0.5
"""So many eye distances may a finding lie beside the known face, in the mean over the landmarks."""


@dataclass(frozen=True, eq=False)
class Face:
    """What the detector takes for a face.

    Attributes:
        score: its confidence, 0 to 1.
        landmarks: (5, 2) float64 pixels; see `sansface.recognise.align`.
    """

    score: float
    landmarks: np.ndarray

    @property
    def eyes(self) -> float:
        """Pixels between the eyes."""
        return float(np.linalg.norm(self.landmarks[1] - self.landmarks[0]))


class Yunet:
    """The detector, loaded once. Not to be shared between threads.

    Raises:
        SansfaceError: the model is not on this device.
    """

    def __init__(self) -> None:
        yunet = str(assets.find("yunet"))
        with without_chatter():
            self._network = cv2.FaceDetectorYN.create(yunet, "", (320, 320), SCORE)

    def faces(self, picture: np.ndarray) -> list[Face]:
        """All that is found at the first size at which anything is.

        picture: (h, w, 3) uint8 sRGB.
        """
        longer = max(picture.shape[:2])
        for size in _sizes(longer):
            found = self._at(picture, size / longer)
            if found:
                return found
        return []

    def every(self, picture: np.ndarray) -> list[Face]:
        """All that is found at any of the sizes, each face once, the surest first: for who must miss nobody.

        picture: (h, w, 3) uint8 sRGB.
        """
        longer = max(picture.shape[:2])
        found = [face for size in _sizes(longer) for face in self._at(picture, size / longer)]
        kept: list[Face] = []
        for face in sorted(found, key=lambda one: -one.score):
            if all(_offset(face, other.landmarks) > BESIDE * other.eyes for other in kept):
                kept.append(face)
        return kept

    def nearest(self, picture: np.ndarray) -> Face | None:
        """The face nearest the middle of a photograph."""
        middle = np.array(picture.shape[1::-1]) / 2

        def distance(face: Face) -> float:
            return float(np.linalg.norm(face.landmarks.mean(axis=0) - middle))

        return min(self.faces(picture), key=distance, default=None)

    def sees(self, picture: np.ndarray, landmarks: np.ndarray) -> bool:
        """Is a face found where it is known to lie?

        Args:
            picture: (h, w, 3) uint8.
            landmarks: (5, 2) of the known face.
        """
        return self.found_at(picture, landmarks) is not None

    def found_at(self, picture: np.ndarray, landmarks: np.ndarray) -> Face | None:
        """The face that is found where one is known to lie; see `sees`."""
        eyes = np.linalg.norm(landmarks[1] - landmarks[0])
        best = min(self.faces(picture), key=lambda face: _offset(face, landmarks), default=None)
        return best if best is not None and _offset(best, landmarks) <= BESIDE * eyes else None

    def _at(self, picture: np.ndarray, scale: float) -> list[Face]:
        height, width = picture.shape[:2]
        size = max(1, round(width * scale)), max(1, round(height * scale))
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        small = cv2.resize(picture[:, :, ::-1], size, interpolation=way)
        self._network.setInputSize(size)
        _, rows = self._network.detect(np.ascontiguousarray(small))
        back = np.array([width, height]) / size
        points = np.zeros((0, 15)) if rows is None else rows.astype(np.float64)
        return [Face(float(row[14]), row[4:14].reshape(5, 2) * back) for row in points]


def _sizes(longer: int) -> list[int]:
    return [size for size in SIZES if size in (SIZES[0], min(size, longer))]


def _offset(face: Face, landmarks: np.ndarray) -> float:
    """Pixels between a face's landmarks and others, in the mean."""
    return float(np.linalg.norm(face.landmarks - landmarks, axis=1).mean())
