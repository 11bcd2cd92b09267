"""What faces are usually hidden by: blur, pixelation, a black oval. To compare with, not to rely on.

Each hides the ovals of all faces that the detector finds and leaves every other pixel as it is. The strength
is in units of the face, so that it means the same at every resolution.
"""

from collections.abc import Callable
from math import ceil, isfinite

import cv2
import numpy as np

from sansface.deidentify.oval import oval
from sansface.errors import SansfaceError
from sansface.recognise.detect import Face, Yunet

Hider = Callable[[np.ndarray, Face], np.ndarray]
"""From a photograph and one of its faces to a picture of the same size, of which the face's oval is taken."""


def blur(strength: float) -> "Baseline":
    """Gaussian blur; strength: its standard deviation, in distances between the eyes."""

    def blurred(photograph: np.ndarray, face: Face) -> np.ndarray:
        return cv2.GaussianBlur(photograph, (0, 0), strength * face.eyes, borderType=cv2.BORDER_REPLICATE)

    return Baseline(blurred, strength)


def pixelation(strength: float) -> "Baseline":
    """Square blocks of one colour, their mean; strength: a block's side, in distances between the eyes."""

    def pixelated(photograph: np.ndarray, face: Face) -> np.ndarray:
        side = max(2, round(strength * face.eyes))
        height, width = photograph.shape[:2]
        rows, columns = ceil(height / side), ceil(width / side)
        whole = cv2.copyMakeBorder(
            photograph, 0, rows * side - height, 0, columns * side - width, cv2.BORDER_REPLICATE
        )
        means = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)
        return means.repeat(side, axis=0).repeat(side, axis=1)[:height, :width]

    return Baseline(pixelated, strength)


def black_box(strength: float) -> "Baseline":
    """Black; strength: of the oval's diameters, 1 for the whole face."""
    return Baseline(lambda photograph, face: np.zeros_like(photograph), strength, scale=strength)


class Baseline:
    """One of them, with its strength. Not to be shared between threads.

    Args:
        hidden: what is seen in a face's place.
        strength: above 0.
        scale: of the oval.

    Raises:
        SansfaceError: the strength is not above 0, or the detector's model is not on this device.
    """

    def __init__(self, hidden: Hider, strength: float, scale: float = 1.0) -> None:
        if not (isfinite(strength) and strength > 0):
            raise SansfaceError(f"the strength {strength:g} is not above 0; give a number like 0.5.")
        self._hidden, self._scale, self._yunet = hidden, scale, Yunet()

    def __call__(self, photograph: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Hide all faces.

        Args:
            photograph: (h, w, 3) uint8 sRGB.
            rng: not used; nothing here is random.

        Returns:
            (h, w, 3) uint8.

        Raises:
            SansfaceError: no face is found.
        """
        faces = self._yunet.every(photograph)
        if not faces:
            raise SansfaceError(
                "no face is found in the photograph, so nothing would be hidden; give another one."
            )
        result, (height, width) = photograph.copy(), photograph.shape[:2]
        for face in faces:
            inside = oval(face.landmarks, height, width, self._scale)
            result[inside] = self._hidden(photograph, face)[inside]
        return result
