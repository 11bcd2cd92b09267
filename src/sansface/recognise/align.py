"""Faces in one place: the similarity from five landmarks to a template, and pictures cut out by it.

Whoever attacks a bundle has its cameras, and so knows where the face lies. An attack is therefore given the
alignment of the original photograph, also where no detector would find the face in the protected one.

Landmarks are those of YuNet in its order: the subject's right eye, left eye, nose tip, right and left corner
of the mouth; (5, 2) float64 pixels, the first pixel's centre at (0.5, 0.5).
"""

from dataclasses import dataclass

import cv2
import numpy as np

TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""Where recognisers of 112 × 112 pixels expect the landmarks (InsightFace's `arcface_dst`)."""
SIDE = 112
"""Pixels of the template's square."""
EYES = float(np.linalg.norm(TEMPLATE[1] - TEMPLATE[0]))
"""Pixels between its eyes."""
FINER = 4
"""A picture is cut out with so many pixels a side of each one, which are then averaged."""


def similarity(points: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """The similarity that brings points nearest to others in the mean square (Umeyama 1991), no reflection.

    Args:
        points, onto: (n, 2), of n ≥ 2 places that are not all the same.

    Returns:
        (2, 3) float64: scaled rotation and shift.
    """
    a, b = points - points.mean(axis=0), onto - onto.mean(axis=0)
    # As complex numbers: the factor c with the least Σ |c a − b|² is Σ ā b / Σ |a|².
    za, zb = a @ (1, 1j), b @ (1, 1j)
    factor = np.vdot(za, zb) / np.vdot(za, za).real
    turn = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    return np.column_stack([turn, onto.mean(axis=0) - turn @ points.mean(axis=0)])


def by_centres(fit: np.ndarray) -> np.ndarray:
    """A map (2, 3) of pixels as OpenCV takes it, whose pixel centres are whole numbers."""
    return np.column_stack([fit[:, :2], fit[:, 2] + (fit[:, :2] @ (0.5, 0.5) - 0.5)])


@dataclass(frozen=True)
class Placing:
    """Where the face lies in a square picture: how a recogniser wants it, or how one was cut out."""

    side: int = SIDE  # of the picture, pixels
    eyes: float = EYES  # pixels between the eyes
    shift: tuple[float, float] = (0.0, 0.0)  # by which the face lies right of and below the middle, pixels

    @property
    def landmarks(self) -> np.ndarray:
        """(5, 2): the template so placed."""
        return (TEMPLATE - SIDE / 2) * (self.eyes / EYES) + self.side / 2 + self.shift

    def cut(self, picture: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """The face upright in a picture of its own.

        Args:
            picture: (h, w), (h, w, 3), uint8 or float32.
            landmarks: (5, 2) of the face.

        Returns:
            (side, side) or (side, side, 3) float32, of uint8 in [0, 1]: the mean over each pixel's area.
            Beyond the picture its border is repeated.
        """
        values = picture.astype(np.float32) / (255 if picture.dtype == np.uint8 else 1)
        fit = by_centres(FINER * similarity(landmarks, self.landmarks))
        size = (FINER * self.side, FINER * self.side)
        fine = cv2.warpAffine(values, fit, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return cv2.resize(fine, (self.side, self.side), interpolation=cv2.INTER_AREA)

    def again(self, pictures: np.ndarray, placed: "Placing") -> np.ndarray:
        """Pictures that were cut out with another placing, brought to this one.

        Args:
            pictures: (n, h, w) or (n, h, w, 3) float32.
            placed: how.

        Returns:
            (n, side, side) or (n, side, side, 3) float32; the very same if nothing changes.
        """
        if placed == self:
            return pictures
        shape = (len(pictures), self.side, self.side, *pictures.shape[3:])
        result = np.empty(shape, dtype=np.float32)
        for index, picture in enumerate(pictures):
            result[index] = self.cut(picture, placed.landmarks)
        return result


def placed_template(side: int, eyes: float) -> np.ndarray:
    """(5, 2): the template with its eyes so many pixels apart, its square in the middle of a picture.

    Args:
        side: of the square picture, pixels.
        eyes: pixels between the eyes.
    """
    return Placing(side, eyes).landmarks


def cut(picture: np.ndarray, landmarks: np.ndarray, side: int, eyes: float = EYES) -> np.ndarray:
    """`Placing.cut` with the face in the middle."""
    return Placing(side, eyes).cut(picture, landmarks)
