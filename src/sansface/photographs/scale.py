"""How long a millimetre is: from the distance of the pupils, or from a printed marker."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from sansface.capture import Camera
from sansface.errors import SansfaceError

LEAST_VIEWS = 3
STEPS = 20
SQUARE = 0.05
"""A marker whose sides differ by more, as a share of their mean, was not found where it is."""
_FAMILIES = ("DICT_4X4_50", "DICT_5X5_50", "DICT_6X6_50", "DICT_7X7_50", "DICT_ARUCO_ORIGINAL")


@dataclass(frozen=True)
class Scale:
    """How long the unit of the cameras' frame is.

    Attributes:
        millimetres: in one such unit.
        views: in which it was measured.
        spread: how far these are from agreement, as a share of the measured length.
    """

    millimetres: float
    views: int
    spread: float


def scale_from_pupils(eyes: Iterable[tuple[Camera, np.ndarray]], distance: float) -> Scale:
    """The scale at which the pupils are `distance` millimetres apart.

    Args:
        eyes: for each photograph that shows both eyes, its camera and (2, 2) pixels of the two, of one face.

    Raises:
        SansfaceError: fewer than three photographs show both eyes.
    """
    eyes = list(eyes)
    if len(eyes) < LEAST_VIEWS:
        raise SansfaceError(
            f"both eyes are seen in {len(eyes)} photographs, and --pupil-distance-mm needs {LEAST_VIEWS}; "
            "take more from the front, use --marker-mm, or leave the unit unknown."
        )
    return _scale(
        [camera for camera, _ in eyes], np.stack([pixels for _, pixels in eyes]), [(0, 1)], distance
    )


def find_markers(grey: np.ndarray) -> dict[tuple[str, int], np.ndarray]:
    """ArUco markers of OpenCV's small dictionaries in a picture: (4, 2) pixels of their corners.

    ArUco: Garrido-Jurado et al. 2014.
    """
    found = {}
    parameters = cv2.aruco.DetectorParameters()
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    for family in _FAMILIES:
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, family))
        corners, numbers, _ = cv2.aruco.ArucoDetector(dictionary, parameters).detectMarkers(grey)
        for corner, number in zip(corners, [] if numbers is None else numbers.ravel(), strict=True):
            found[family, int(number)] = corner.reshape(4, 2).astype(np.float64) + 0.5
    return found


def scale_from_markers(
    seen: Sequence[tuple[Camera, dict[tuple[str, int], np.ndarray]]], side: float
) -> Scale:
    """The scale at which the marker that most photographs show has sides of `side` millimetres.

    Args:
        seen: for each photograph its camera and what `find_markers` found.

    Raises:
        SansfaceError: no marker is in three photographs, or what was found is no square.
    """
    views: dict[tuple[str, int], list[tuple[Camera, np.ndarray]]] = defaultdict(list)
    for camera, markers in seen:
        for marker, corners in markers.items():
            views[marker].append((camera, corners))
    best = max(views.values(), key=len, default=[])
    if len(best) < LEAST_VIEWS:
        raise SansfaceError(
            f"no ArUco marker is found in {LEAST_VIEWS} photographs; print one of DICT_4X4_50 large and "
            "flat, with a white rim, or leave out --marker-mm."
        )
    sides = [(0, 1), (1, 2), (2, 3), (3, 0)]
    scale = _scale([camera for camera, _ in best], np.stack([corners for _, corners in best]), sides, side)
    if scale.spread > SQUARE:
        raise SansfaceError(
            "the marker that was found is no square in space, so it moved or is bent; fix it flat beside the "
            "head, or leave out --marker-mm."
        )
    return scale


def _scale(
    cameras: Sequence[Camera], pixels: np.ndarray, pairs: Sequence[tuple[int, int]], length: float
) -> Scale:
    """From pixels (views, points, 2) of an object, and the pairs of its points that are `length` apart."""
    if not length > 0:
        raise SansfaceError(f"a length of {length} mm is not above zero; measure it.")
    origins, rays = [], []
    for camera, places in zip(cameras, pixels, strict=True):
        K = np.array(camera.K)
        straight = cv2.undistortPoints(places[:, None], K, camera.distortion, P=K)[:, 0]
        origin, ray = camera.rays(straight)
        origins.append(origin[0])
        rays.append(ray)
    points, off = nearest_points(np.stack(origins), np.stack(rays))
    sides = np.array([np.linalg.norm(points[one] - points[other]) for one, other in pairs])
    if not sides.mean() > 0:
        raise SansfaceError("the measured points coincide; take photographs from more sides.")
    spread = max(float(np.median(off)), float(np.ptp(sides)) / 2) / float(sides.mean())
    return Scale(length / float(sides.mean()), len(cameras), spread)


def nearest_points(origins: np.ndarray, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The points nearest to rays from several places: min Σ w ‖(I − d dᵀ)(x − o)‖².

    w is reweighted against outliers (Holland and Welsch 1977, Cauchy's weights at the median distance).

    Args:
        origins: (views, 3).
        rays: (views, points, 3) unit directions.

    Returns:
        (points, 3), and (views,) mean distance of each view's rays from them.
    """
    across = np.eye(3) - rays[..., :, None] * rays[..., None, :]
    weights = np.ones(len(origins))
    points, off = np.zeros((rays.shape[1], 3)), np.zeros(len(origins))
    for _ in range(STEPS):
        total = weights[:, None, None, None] * across
        right = (total @ origins[:, None, :, None]).sum(axis=0)
        points = np.linalg.solve(total.sum(axis=0), right)[..., 0]
        offset = (across @ (points - origins[:, None])[..., None])[..., 0]
        off = np.linalg.norm(offset, axis=-1).mean(axis=1)
        weights = 1 / (1 + (off / max(float(np.median(off)), 1e-300)) ** 2)
    return points, off
