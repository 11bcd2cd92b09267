"""From full-size pixels to what may leave: undistorted, no background, small, σ away from the outline."""

from dataclasses import dataclass

import cv2
import numpy as np

from sansface.capture import Camera
from sansface.errors import SansfaceError
from sansface.protect.contents import inside_outline
from sansface.protect.operators import Operator

WHOLE = 1 - 1e-6
"""Reduced coverage from which a pixel counts as wholly subject; float32 sums of ones reach it."""


@dataclass(frozen=True, eq=False)
class Reduced:
    """A photograph without background at the bundle's resolution; never leaves the client in this form.

    Attributes:
        camera: for the reduced size, without distortion, still in the world.
        colour: (h, w, 3) float32 premultiplied sRGB: the mean over the pixel's area of coverage · colour.
        coverage: (h, w) float32, the mean coverage over the pixel's area.
    """

    camera: Camera
    colour: np.ndarray
    coverage: np.ndarray


def reduce(colour: np.ndarray, coverage: np.ndarray, camera: Camera, resolution: int) -> Reduced:
    """Remove the background, undistort, and average over the area of each reduced pixel.

    Colour is premultiplied before anything is interpolated, so that no background bleeds in. The longer side
    becomes `resolution`, the shorter one is rounded, and K is scaled by the two exact factors.
    Reduced pixels are exact area averages, also for factors that are not whole.

    Args:
        colour: (h, w, 3) float32 sRGB in [0, 1], not premultiplied.
        coverage: (h, w) float32 in [0, 1].
        camera: of that picture.
        resolution: pixels of the longer side.

    Raises:
        SansfaceError: the picture is smaller than `resolution`, or distorted with skewed pixels.
    """
    longer = max(camera.width, camera.height)
    if longer < resolution:
        raise SansfaceError(
            f"it has {longer} pixels, fewer than the resolution {resolution}; lower the resolution"
        )
    layers = np.dstack([colour * coverage[:, :, None], coverage]).astype(np.float32, copy=False)
    if camera.distortion.any():
        layers = _undistort(layers, camera)
        camera = Camera(camera.K, camera.width, camera.height, camera.cam_from_world)
    width = max(1, round(camera.width * resolution / longer))
    height = max(1, round(camera.height * resolution / longer))
    small = cv2.resize(layers, (width, height), interpolation=cv2.INTER_AREA)
    small = np.clip(small, 0, 1)
    coverage = small[:, :, 3]
    return Reduced(camera.resized(width, height), np.minimum(small[:, :, :3], coverage[:, :, None]), coverage)


def _undistort(layers: np.ndarray, camera: Camera) -> np.ndarray:
    """The same picture by the same K without distortion; what the photograph did not see is not subject."""
    if camera.K[0, 1]:
        raise SansfaceError("its pixels are skewed and distorted at once; undistort the capture first")
    K = np.array(camera.K)
    K[:2, 2] -= 0.5  # OpenCV puts the centre of the first pixel at (0, 0)
    size = (camera.width, camera.height)
    map_x, map_y = cv2.initUndistortRectifyMap(K, camera.distortion, np.eye(3), K, size, cv2.CV_32FC1)
    return cv2.remap(layers, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)


def modulus(reduced: Reduced, operator: Operator) -> tuple[np.ndarray, np.ndarray]:
    """σ of a reduced photograph, and where it may be shared.

    At the outline ‖g‖ / ‖∇α‖ gives back the skin's absolute brightness, a boundary condition for whoever
    wants to invert the picture. So a value is shared only where the whole 3 × 3 stencil is subject.

    Returns:
        (h, w) float32 σ, 0 where withheld, and (h, w) bool, True where shared.
    """
    shared = inside_outline(reduced.coverage >= WHOLE)
    return np.where(shared, operator(reduced.colour), np.float32(0)), shared


def neutral_codes(reduced: Reduced, bits: int) -> np.ndarray:
    """(h, w, 3) uint8 or uint16: premultiplied colour, code = round(c · max)."""
    return _quantised(reduced.colour, bits)


def mask_codes(reduced: Reduced) -> np.ndarray:
    """(h, w) uint8: coverage, 255 = wholly subject."""
    return _quantised(reduced.coverage, 8)


def sensitive_codes(modulus: np.ndarray, shared: np.ndarray, scale: float, bits: int) -> np.ndarray:
    """(h, w) uint8 or uint16: 0 = withheld, else code = 1 + round(σ / scale · (max − 1)).

    Args:
        modulus: (h, w) float32, at most `scale`.
        shared: (h, w) bool.
    """
    top = 2**bits - 1
    codes = 1 + np.rint(np.clip(modulus.astype(np.float64) / scale, 0, 1) * (top - 1))
    return np.where(shared, codes, 0).astype(np.uint8 if bits == 8 else np.uint16)


def _quantised(values: np.ndarray, bits: int) -> np.ndarray:
    dtype = np.uint8 if bits == 8 else np.uint16
    return np.rint(values.astype(np.float64) * np.iinfo(dtype).max).astype(dtype)
