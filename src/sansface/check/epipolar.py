"""Do the photographs agree? Matches between neighbouring views against the epipolar lines of the given poses.

SIFT features (Lowe 2004) inside the masks, mutual matches by the ratio test; of these only the ones that
agree with one another on *some* epipolar geometry (RANSAC) are asked how far they are from the given one:

    Sampson distance  x₂ᵀ F x₁ / √((F x₁)₁² + (F x₁)₂² + (Fᵀ x₂)₁² + (Fᵀ x₂)₂²),   F = K₂⁻ᵀ [t]ₓ R K₁⁻¹

(Hartley and Zisserman, *Multiple View Geometry*, 11.4.3). Wrong matches so count for nothing, and a pair of
views that has too few matches is not judged.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from sansface.capture import Camera

FEATURES = 1500
"""At most so many features of a picture."""
RATIO = 0.8
"""The best match must be nearer than this part of the second best."""
NEIGHBOURS = 4
"""Views that each view is compared with, the nearest by direction."""
WIDEST = 50.0
"""Degrees between the directions of two views that are still compared."""
FEWEST = 16
"""Matches that agree with one another; with fewer a pair is not judged."""
CLOSE = 1.5
"""Pixels from an epipolar line at which a match counts as agreeing in RANSAC."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Matches of two views that agree with one another.

    Attributes:
        first, second: the views' numbers.
        points: (2, n, 2) float64 pixels.
    """

    first: int
    second: int
    points: np.ndarray


@dataclass(frozen=True, eq=False)
class Features:
    """(n, 2) float64 pixels, first centre at (0.5, 0.5), and (n, 128) float32 SIFT descriptors."""

    points: np.ndarray
    descriptors: np.ndarray


def features(grey: np.ndarray, inside: np.ndarray | None) -> Features:
    """SIFT features of a picture, away from the subject's outline.

    grey: (h, w) uint8.  inside: (h, w) bool, or None to use the whole picture.
    """
    mask = None
    if inside is not None:
        mask = cv2.erode(inside.astype(np.uint8) * 255, np.ones((9, 9), np.uint8))
    sift = cv2.SIFT.create(nfeatures=FEATURES, contrastThreshold=0.01, enable_precise_upscale=True)
    keypoints, descriptors = sift.detectAndCompute(grey, mask)
    points = np.array([keypoint.pt for keypoint in keypoints], dtype=np.float64).reshape(-1, 2) + 0.5
    return Features(points, np.zeros((0, 128), np.float32) if descriptors is None else descriptors)


def neighbours(directions: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of views whose directions are near each other: `NEIGHBOURS` each, at most `WIDEST` degrees apart.

    directions: (n, 3) unit vectors from the subject to the cameras.
    """
    cosine = directions @ directions.T
    np.fill_diagonal(cosine, -2)
    nearest = np.argsort(-cosine, axis=1, kind="stable")[:, :NEIGHBOURS]
    limit = np.cos(np.deg2rad(WIDEST))
    return sorted(
        {(min(i, j), max(i, j)) for i, row in enumerate(nearest) for j in row if cosine[i, j] > limit}
    )


def match(first: int, second: int, one: Features, other: Features) -> Pair | None:
    """The matches of two views that agree with one another; None if there are too few to judge."""
    if min(len(one.points), len(other.points)) < FEWEST:
        return None
    there, back = _nearest(one.descriptors, other.descriptors), _nearest(other.descriptors, one.descriptors)
    mutual = np.flatnonzero((there >= 0) & (back[there] == np.arange(len(there))))
    if len(mutual) < FEWEST:
        return None
    points = np.stack([one.points[mutual], other.points[there[mutual]]])
    _, agree = cv2.findFundamentalMat(points[0], points[1], cv2.FM_RANSAC, CLOSE, 0.999, 2000)
    if agree is None or agree.sum() < max(FEWEST, len(mutual) / 3):
        return None
    return Pair(first, second, points[:, agree.ravel() > 0])


def _nearest(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(n,) number of the nearest descriptor, -1 where the second nearest is about as near."""
    squared = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * one @ other.T
    two = np.argpartition(squared, 1, axis=1)[:, :2]
    distances = np.take_along_axis(squared, two, axis=1)
    best = distances.argmin(axis=1)
    rows = np.arange(len(one))
    clear = distances[rows, best] < RATIO**2 * distances[rows, 1 - best]
    return np.where(clear, two[rows, best], -1)


def sampson(pair: Pair, cameras: Sequence[Camera]) -> np.ndarray:
    """(n,) signed Sampson distances of a pair's matches in pixels."""
    one, other = cameras[pair.first], cameras[pair.second]
    motion = other.cam_from_world @ np.linalg.inv(one.cam_from_world)
    x, y, z = motion[:3, 3]
    across = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    F = np.linalg.inv(other.K).T @ across @ motion[:3, :3] @ np.linalg.inv(one.K)
    a, b = (np.column_stack([points, np.ones(len(points))]) for points in pair.points)
    line_b, line_a = a @ F.T, b @ F
    slope = np.sqrt((line_b[:, :2] ** 2).sum(axis=1) + (line_a[:, :2] ** 2).sum(axis=1))
    return (b * line_b).sum(axis=1) / np.maximum(slope, 1e-300)
