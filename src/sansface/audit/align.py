"""Faces in one place: the similarity from five landmarks to a template, and pictures cut out by it.

Whoever attacks a bundle has its cameras, and so knows where the face lies. An attack is therefore given the
alignment of the original photograph, also where no detector would find the face in the protected one.

Landmarks are those of YuNet in its order: the subject's right eye, left eye, nose tip, right and left corner
of the mouth; (5, 2) float64 pixels, the first pixel's centre at (0.5, 0.5).
"""

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


def placed_template(side: int, eyes: float) -> np.ndarray:
    """(5, 2): the template with its eyes so many pixels apart, its square in the middle of a picture.

    Args:
        side: of the square picture, pixels.
        eyes: pixels between the eyes.
    """
    return (TEMPLATE - SIDE / 2) * (eyes / EYES) + side / 2


def cut(picture: np.ndarray, landmarks: np.ndarray, side: int, eyes: float = EYES) -> np.ndarray:
    """The face upright in a square picture of its own.

    Args:
        picture: (h, w), (h, w, 3), uint8 or float32.
        landmarks: (5, 2) of the face.
        side: of the result; 112 with the default `eyes` is what recognisers take.
        eyes: pixels between the eyes in it.

    Returns:
        (side, side) or (side, side, 3) float32, of uint8 in [0, 1]: the mean over each pixel's area. Beyond
        the picture its border is repeated.
    """
    values = picture.astype(np.float32) / (255 if picture.dtype == np.uint8 else 1)
    fit = FINER * similarity(landmarks, placed_template(side, eyes))
    # OpenCV's pixel centres are whole numbers.
    fit[:, 2] += fit[:, :2] @ (0.5, 0.5) - 0.5
    size = (FINER * side, FINER * side)
    fine = cv2.warpAffine(values, fit, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return cv2.resize(fine, (side, side), interpolation=cv2.INTER_AREA)
