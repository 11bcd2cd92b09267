"""What can be found again from one photograph in another: SIFT, and matches between two photographs.

SIFT: Lowe 2004; square roots of its L1-normalised descriptors: Arandjelović and Zisserman 2012. Descriptors
are kept in memory alone, for pictures can be recovered from them (Weinzaepfel, Jégou and Pérez 2011).
"""

from dataclasses import dataclass

import cv2
import numpy as np

MOST = 4096
"""Features of a photograph, the strongest ones."""
CONTRAST = 0.005
"""Least contrast of a feature, an eighth of Lowe's: skin, bone and dark rooms have little."""
LARGEST = 1000
"""So many features, of the largest scales, tell whether two photographs may show the same."""
RATIO = 0.8
"""A match is this much nearer than the second nearest; Lowe's test and value."""
RATIO_ALONG_LINES = 0.7
"""The same among what lies near the epipolar line: fewer rivals, so chance passes more easily."""


@dataclass(frozen=True, eq=False)
class Features:
    """The features of one photograph.

    Attributes:
        points: (n, 2) float64 pixels, the first pixel's centre at (0.5, 0.5); of the largest scale first.
        descriptors: (n, 128) float32 unit vectors.
    """

    points: np.ndarray
    descriptors: np.ndarray


def find_features(grey: np.ndarray, mask: np.ndarray | None = None) -> Features:
    """Find features.

    Args:
        grey: (h, w) uint8.
        mask: (h, w) uint8, 0 where nothing is to be found; None to look everywhere.
    """
    sift = cv2.SIFT_create(MOST, contrastThreshold=CONTRAST, enable_precise_upscale=True)  # type: ignore[call-arg]
    keypoints, descriptors = sift.detectAndCompute(grey, mask)  # type: ignore[arg-type]
    if descriptors is None or len(keypoints) == 0:
        return Features(np.zeros((0, 2)), np.zeros((0, 128), np.float32))
    order = np.argsort([-keypoint.size for keypoint in keypoints], kind="stable")
    points = np.array([keypoint.pt for keypoint in keypoints], np.float64) + 0.5
    total = np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-9)
    return Features(points[order], np.sqrt(descriptors / total)[order])


def likeness(one: Features, other: Features) -> int:
    """How many of the largest features match: whether it is worth to compare all."""
    return len(_matches(one.descriptors[:LARGEST], other.descriptors[:LARGEST], RATIO))


def match(one: Features, other: Features) -> np.ndarray:
    """(m, 2) intp indices of features that are each other's nearest, and much nearer than the second one."""
    return _matches(one.descriptors, other.descriptors, RATIO)


def match_along_lines(one: Features, other: Features, F: np.ndarray, error: float) -> np.ndarray:
    """The same among pairs that obey x_otherᵀ F x_one = 0, where those alike elsewhere are no rivals.

    Args:
        F: (3, 3) fundamental matrix.
        error: largest distance from the epipolar line in the other photograph, pixels.
    """
    lines = np.column_stack([one.points, np.ones(len(one.points))]) @ F.T
    lines /= np.maximum(np.linalg.norm(lines[:, :2], axis=1, keepdims=True), 1e-12)
    distance = lines[:, :2].astype(np.float32) @ other.points.T.astype(np.float32)
    distance += lines[:, 2:].astype(np.float32)
    return _matches(one.descriptors, other.descriptors, RATIO_ALONG_LINES, np.abs(distance) > error)


def _matches(
    one: np.ndarray, other: np.ndarray, ratio: float, forbidden: np.ndarray | None = None
) -> np.ndarray:
    """Mutual nearest neighbours, by the cosine, that pass the ratio test: |a − b|² = 2 − 2 a·b."""
    if len(one) < 2 or len(other) < 2:
        return np.zeros((0, 2), np.intp)
    cosine = one @ other.T
    if forbidden is not None:
        cosine[forbidden] = -1
    rows = np.arange(len(one))
    nearest, back = cosine.argmax(axis=1), cosine.argmax(axis=0)
    best = cosine[rows, nearest]
    cosine[rows, nearest] = -1
    second = cosine.max(axis=1)
    good = (back[nearest] == rows) & (best > -1) & (1 - best < ratio**2 * (1 - second))
    return np.column_stack([rows[good], nearest[good]])
