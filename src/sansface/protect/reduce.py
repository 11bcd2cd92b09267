"""From full-size pixels to what may leave: undistorted, no background, small, σ away from the outline."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from sansface.capture import Camera
from sansface.errors import SansfaceError
from sansface.protect.contents import MAX_SCALE, inside_outline, levels, word
from sansface.protect.operators import Operator
from sansface.protect.photograph import fractions

STRIP = 128
"""Rows of a photograph that are worked on at a time."""
WHOLE = 1 - 1e-6
"""Reduced coverage from which a pixel counts as wholly subject; float32 sums of ones reach it."""
TIE = 1e-3
"""Of a code: what is nearer to a half is rounded up. Means of whole codes often end in a half, and on which
side a sum's last bit lies is another thing on another machine and in a browser."""


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
    Reduced pixels are exact area averages, also for factors that are not whole: along rows, some rows at a
    time, and then along columns, so that no more than a strip of the picture is ever there in float32.

    Args:
        colour: (h, w, 3) sRGB, not premultiplied: uint8 or uint16 codes, or float32 in [0, 1].
        coverage: (h, w) of uint8, uint16 or float32.
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
    width = max(1, round(camera.width * resolution / longer))
    height = max(1, round(camera.height * resolution / longer))
    narrow = np.concatenate([_averaged(strip, 1, width) for strip in _strips(colour, coverage, camera)])
    small = np.clip(_averaged(narrow, 0, height), 0, 1)
    camera = Camera(camera.K, camera.width, camera.height, camera.cam_from_world).resized(width, height)
    coverage = small[:, :, 3]
    return Reduced(camera, np.minimum(small[:, :, :3], coverage[:, :, None]), coverage)


def _averaged(layers: np.ndarray, axis: int, count: int) -> np.ndarray:
    """The means of `count` equal parts of the rows (axis 0) or columns (axis 1): of ones exactly 1.

    OpenCV's float32 weights add up to 1 to a millionth only, so their sum, rounded alike, is divided by.
    """

    def mean(values: np.ndarray) -> np.ndarray:
        size = (count, values.shape[0]) if axis else (values.shape[1], count)
        return cv2.resize(values, size, interpolation=cv2.INTER_AREA)

    one = np.ones((1, layers.shape[1]) if axis else (layers.shape[0], 1), np.float32)
    return mean(layers) / mean(one)[:, :, None]


def _strips(colour: np.ndarray, coverage: np.ndarray, camera: Camera) -> Iterator[np.ndarray]:
    """(rows, w, 4) float32, from the top: premultiplied colour and coverage, undistorted.

    What the photograph did not see is not subject.
    """
    if camera.distortion.any() and camera.K[0, 1]:
        raise SansfaceError("its pixels are skewed and distorted at once; undistort the capture first")
    for top in range(0, camera.height, STRIP):
        rows = min(STRIP, camera.height - top)
        if not camera.distortion.any():
            yield _premultiplied(colour[top : top + rows], coverage[top : top + rows])
            continue
        K = np.array(camera.K)
        K[:2, 2] -= 0.5  # OpenCV puts the centre of the first pixel at (0, 0)
        shifted = K - [[0, 0, 0], [0, 0, top], [0, 0, 0]]
        size = (camera.width, rows)
        map_x, map_y = cv2.initUndistortRectifyMap(
            K, camera.distortion, np.eye(3), shifted, size, cv2.CV_32FC1
        )
        if not (np.isfinite(map_x).all() and np.isfinite(map_y).all()):
            raise SansfaceError("its distortion leads nowhere; correct the intrinsics")
        # Only the rows that this strip needs, and one around them, which counts when it is interpolated.
        first = int(np.clip(np.floor(map_y.min()) - 1, 0, camera.height - 1))
        last = int(np.clip(np.ceil(map_y.max()) + 2, first + 1, camera.height))
        yield cv2.remap(
            _premultiplied(colour[first:last], coverage[first:last]), map_x, map_y - np.float32(first),
            cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0,
        )  # fmt: skip


def _premultiplied(colour: np.ndarray, coverage: np.ndarray) -> np.ndarray:
    alpha = fractions(coverage)
    return np.dstack([fractions(colour) * alpha[:, :, None], alpha])


def modulus(reduced: Reduced, operator: Operator) -> tuple[np.ndarray, np.ndarray]:
    """σ of a reduced photograph, and where it may be shared.

    At the outline ‖g‖ / ‖∇α‖ gives back the skin's absolute brightness, a boundary condition for whoever
    wants to invert the picture. So a value is shared only where all that σ sees there is subject.

    Returns:
        (h, w) float32 σ, 0 where withheld, and (h, w) bool, True where shared.
    """
    shared = inside_outline(reduced.coverage >= WHOLE, operator.reach)
    return np.where(shared, operator(reduced.colour), np.float32(0)), shared


def disturbed(modulus: np.ndarray, noise: float, gain: float, rng: np.random.Generator) -> np.ndarray:
    """σ of one view times a random gain, plus random noise: what nobody is told.

    The gain comes first, so that the noise, whose size is told, does not give it away.

    Args:
        modulus: (h, w) float32.
        noise: standard deviation of the Gaussian noise a pixel, in units of σ.
        gain: the least factor; it is drawn between this and 1, evenly in its logarithm.

    Returns:
        (h, w) float32, cut off at 0 and `MAX_SCALE`. With neither noise nor gain it is `modulus`, and `rng`
        stays as it was.
    """
    if gain < 1:
        modulus = modulus * np.float32(gain ** rng.random())
    if noise > 0:
        modulus = modulus + noise * rng.standard_normal(modulus.shape, dtype=np.float32)
    return np.clip(modulus, 0, MAX_SCALE).astype(np.float32, copy=False)


def neutral_codes(reduced: Reduced, bits: int) -> np.ndarray:
    """(h, w, 3) uint8 or uint16, whatever holds `bits`: premultiplied colour, code = round(c · max)."""
    return _quantised(reduced.colour, word(bits))


def mask_codes(reduced: Reduced) -> np.ndarray:
    """(h, w) uint8: coverage, 255 = wholly subject."""
    return _quantised(reduced.coverage, np.uint8)


def sensitive_codes(modulus: np.ndarray, shared: np.ndarray, scale: float, bits: int) -> np.ndarray:
    """(h, w) uint8 or uint16: 0 = withheld, else code = 1 + round(σ / scale · (levels − 1)).

    Args:
        modulus: (h, w) float32, at most `scale`.
        shared: (h, w) bool.
    """
    codes = 1 + np.rint(np.clip(modulus.astype(np.float64) / scale, 0, 1) * (levels(bits) - 1))
    return np.where(shared, codes, 0).astype(word(bits))


def _quantised(values: np.ndarray, dtype: type[np.uint8] | type[np.uint16]) -> np.ndarray:
    return np.rint(values.astype(np.float64) * np.iinfo(dtype).max + TIE).astype(dtype)
