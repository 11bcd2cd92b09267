"""POSE and EXP: is the head still turned the same way, with the same expression?

Both pictures are fitted with a parametric head again, and the two fits compared. A fit differs a little from
a fit of nearly the same photograph, so the change is set beside that of the photograph with jitter: moved by
a pixel or two, a little noise, compressed. The papers take networks of their own for both, so that numbers do
not compare with theirs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from sansface.errors import SansfaceError
from sansface.faces.detectors import Detectors, find_faces
from sansface.heads.fit import fit_head
from sansface.heads.parametric import load_head_model

SHIFT, NOISE, QUALITY = 0.05, 2.0, 90
"""Of the jitter: at most so many eye distances, standard deviation in bytes, and of the JPEG."""


class FittedHead(Protocol):
    """A fit, as `heads.fit` gives it.  rotation: (3, 3) of the head.  expression: (k,) coefficients."""

    @property
    def rotation(self) -> np.ndarray: ...

    @property
    def expression(self) -> np.ndarray: ...


Fitter = Callable[[np.ndarray, np.ndarray], FittedHead]
"""Of a (h, w, 3) uint8 photograph and the (5, 2) landmarks of the face that is meant; raises SansfaceError
where no head is found there."""


AROUND, BESIDE = 3.0, 1.0
"""Half the side of the square in which the face is looked for, and how far from its place it may be found, in
distances between the eyes."""


def head_fitter() -> Fitter:
    """The parametric head, fitted to MediaPipe's landmarks of the face.

    Raises:
        SansfaceError: a model is not on this device, or the extra `faces` is not installed.
    """
    model, detectors = load_head_model(), Detectors()

    def fit(picture: np.ndarray, landmarks: np.ndarray) -> FittedHead:
        middle, eyes = landmarks.mean(axis=0), float(np.linalg.norm(landmarks[1] - landmarks[0]))
        corner = np.maximum(np.floor(middle - AROUND * eyes).astype(int), 0)
        end = np.ceil(middle + AROUND * eyes).astype(int)
        part = np.ascontiguousarray(picture[corner[1] : end[1], corner[0] : end[0]])
        found = [one.landmarks for one in find_faces(part, detectors) if one.kind == "landmarks"]
        meshes = [points + corner for points in found if points is not None]
        off = [float(np.linalg.norm(points.mean(axis=0) - middle)) for points in meshes]
        if not off or min(off) > BESIDE * eyes:
            raise SansfaceError("no head is found where the face was; its pose cannot be measured.")
        return fit_head(model, meshes[int(np.argmin(off))], picture.shape[1::-1])

    return fit


@dataclass(frozen=True)
class Change:
    """Between two fits.  pose: degrees.  expression: ‖e − e′‖₂."""

    pose: float
    expression: float


def change(one: FittedHead, other: FittedHead) -> Change:
    """The angle of the rotation between two poses, and the distance of two expressions."""
    return Change(
        angle(one.rotation, other.rotation), float(np.linalg.norm(one.expression - other.expression))
    )


def angle(one: np.ndarray, other: np.ndarray) -> float:
    """Degrees, 0 to 180, of R₁ᵀ R₂, both (3, 3) rotations; exact for small ones, too: ‖R₁ − R₂‖_F = √8
    sin(θ/2).
    """
    return float(np.degrees(2 * np.arcsin(np.clip(np.linalg.norm(one - other) / np.sqrt(8), 0, 1))))


def jittered(photograph: np.ndarray, eyes: float, rng: np.random.Generator) -> np.ndarray:
    """Nearly the same photograph: (h, w, 3) uint8, moved, with noise, compressed.

    Args:
        photograph: (h, w, 3) uint8.
        eyes: pixels between the eyes.
        rng: draws.
    """
    move = np.column_stack([np.eye(2), rng.uniform(-SHIFT, SHIFT, 2) * eyes])
    moved = cv2.warpAffine(photograph, move, photograph.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    noisy = np.clip(moved + rng.normal(0, NOISE, moved.shape), 0, 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", noisy[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.ascontiguousarray(decoded[:, :, ::-1])


class Refits:
    """Fits of photographs and of the same with jitter, made once for all methods.

    Args:
        fit: see `Fitter`.
        rng: draws the jitter.
    """

    def __init__(self, fit: Fitter, rng: np.random.Generator) -> None:
        self._fit, self._rng = fit, rng
        self._known: dict[int, tuple[FittedHead, Change] | None] = {}

    def changes(
        self, index: int, photograph: np.ndarray, hidden: np.ndarray, landmarks: np.ndarray
    ) -> tuple[Change, Change] | None:
        """The change by the method, and that by jitter; None where one of the pictures cannot be fitted.

        Args:
            index: of the photograph, by which its own fits are known.
            photograph, hidden: (h, w, 3) uint8.
            landmarks: (5, 2) of the face in the photograph.
        """
        if index not in self._known:
            self._known[index] = self._own(photograph, landmarks)
        known = self._known[index]
        if known is None:
            return None
        try:
            return change(known[0], self._fit(hidden, landmarks)), known[1]
        except SansfaceError:
            return None

    def _own(self, photograph: np.ndarray, landmarks: np.ndarray) -> tuple[FittedHead, Change] | None:
        eyes = float(np.linalg.norm(landmarks[1] - landmarks[0]))
        try:
            first = self._fit(photograph, landmarks)
            return first, change(first, self._fit(jittered(photograph, eyes, self._rng), landmarks))
        except SansfaceError:
            return None
