"""What a client would send that forgot σ: brightness in its place, coded and withheld as the format asks."""

from collections.abc import Callable, Sequence
from math import ceil

import cv2
import numpy as np

from sansface.capture import Camera, Role
from sansface.protect.contents import SCALE_STEPS, Bundle, BundleFrame, Share
from sansface.protect.photograph import ROUNDING
from sansface.protect.pipeline import ProtectSettings
from sansface.protect.reduce import Reduced, disturbed, mask_codes, modulus, reduce, sensitive_codes

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)

Forgery = Callable[[Reduced, np.ndarray, np.random.Generator], np.ndarray]
"""(h, w) float32 in [0, 1] of a reduced photograph, the pixels (h, w) that are shared, and a generator."""


def grey(reduced: Reduced, shared: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Its brightness."""
    return reduced.colour @ LUMA


def _stretched(reduced: Reduced, shared: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    light = reduced.colour @ LUMA
    out = (0, 1, 5)[rng.integers(3)]
    low, high = np.percentile(light[shared], [out, 100 - out])
    return np.clip((light - low) / max(float(high - low), 1e-6), 0, 1)


def _shrunk(light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    height, width = light.shape
    small = cv2.resize(light, (max(1, width // 2), max(1, height // 2)), interpolation=cv2.INTER_AREA)
    back = (cv2.INTER_NEAREST, cv2.INTER_LINEAR)[rng.integers(2)]
    return cv2.resize(small, (width, height), interpolation=back)


def _bytes(light: np.ndarray) -> np.ndarray:
    return np.rint(255 * light).astype(np.uint8)


def _jpeg(light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    data = cv2.imencode(".jpg", _bytes(light), [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 90))])[1]
    decoded = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    assert decoded is not None
    return decoded / np.float32(255)


def _equalised(light: np.ndarray, shared: np.ndarray) -> np.ndarray:
    order = np.sort(light[shared])
    return np.searchsorted(order, light) / len(order)


def _of_grey(change: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Forgery:
    return lambda reduced, shared, rng: change(grey(reduced, shared, rng), rng)


FITTED: dict[str, Forgery] = {
    "grey": grey,
    "inverted": _of_grey(lambda light, rng: 1 - light),
    "blurred": _of_grey(lambda light, rng: cv2.GaussianBlur(light, (0, 0), rng.uniform(0.5, 2))),
    "stretched": _stretched,
    "stretched, inverted": lambda reduced, shared, rng: 1 - _stretched(reduced, shared, rng),
    "contrast": _of_grey(lambda light, rng: (light - 0.5) * rng.uniform(0.3, 2) + 0.5),
    "noisy": _of_grey(lambda light, rng: light + rng.uniform(0.01, 0.05) * rng.standard_normal(light.shape)),
    "downsampled": _of_grey(_shrunk),
    "CLAHE": _of_grey(lambda light, rng: cv2.createCLAHE(2.0, (4, 4)).apply(_bytes(light)) / 255),
}
"""What the rule is fitted to."""
NEW: dict[str, Forgery] = {
    "one channel": lambda reduced, shared, rng: reduced.colour[:, :, rng.integers(3)],
    "gamma 0.45": _of_grey(lambda light, rng: light**0.45),
    "gamma 2.2": _of_grey(lambda light, rng: light**2.2),
    "equalised": lambda reduced, shared, rng: _equalised(grey(reduced, shared, rng), shared),
    "bilateral": _of_grey(lambda light, rng: cv2.bilateralFilter(light, 5, 0.1, 2)),
    "median": _of_grey(lambda light, rng: cv2.medianBlur(_bytes(light), 3) / 255),
    "JPEG": _of_grey(_jpeg),
}
"""What it has never seen."""


def protected(
    pictures: Sequence[tuple[np.ndarray, np.ndarray]],
    settings: ProtectSettings,
    rng: np.random.Generator,
    forged: dict[int, Forgery] | None = None,
) -> Bundle | None:
    """A bundle of sensitive pictures, in the steps of `sansface.protect.pipeline`.

    Args:
        pictures: (h, w, 3) uint8 sRGB and (h, w) uint8 coverage each. One of which nothing could be shared
            is left out.
        forged: by number, the pictures of which σ is not taken.

    Returns:
        None if no picture is left, or none of the forged ones.
    """
    sigma, values, kept = settings.sigma(), [], []
    for number, (colour, coverage) in enumerate(pictures):
        reduced = reduce(colour, _rounded(coverage), _camera(coverage), settings.resolution)
        light, shared = modulus(reduced, sigma)
        if not shared.any():
            continue
        if forged and number in forged:
            light = np.clip(forged[number](reduced, shared, rng), 0, 1).astype(np.float32)
        light = np.where(shared, disturbed(light, settings.noise, settings.gain, rng), np.float32(0))
        values.append((reduced, light, shared))
        kept.append(number)
    if not values or (forged and not set(forged) & set(kept)):
        return None
    plain = settings.share is Share.MODULUS
    most = max(float(light.max()) for _, light, _ in values)
    scale = max(1, ceil(most * SCALE_STEPS)) / SCALE_STEPS if plain else 1.0
    frames = []
    for reduced, light, shared in values:
        codes = sensitive_codes(light, shared & plain, scale, settings.bits)
        mask = None if settings.share is Share.CAMERA else mask_codes(reduced)
        frames.append(
            BundleFrame(reduced.camera, Role.SENSITIVE, codes, mask, scale, settings.bits, sigma.reach)
        )
    if settings.share is Share.CAMERA:  # must hold a neutral picture
        colour = np.zeros((*frames[0].image.shape, 3), dtype=frames[0].image.dtype)
        bare = np.zeros(colour.shape[:2], dtype=np.uint8)
        frames.append(BundleFrame(frames[0].camera, Role.NEUTRAL, colour, bare, bits=settings.bits))
    return Bundle(
        tuple(frames), settings.resolution, sigma, settings.bits, scale, np.zeros(3), 1.0,
        noise=settings.noise, gain=settings.gain < 1, share=settings.share,
    )  # fmt: skip


def _rounded(coverage: np.ndarray) -> np.ndarray:
    ends = np.where(coverage <= 255 * ROUNDING, 0, coverage)
    return np.where(ends >= 255 * (1 - ROUNDING), 255, ends).astype(np.uint8)


def _camera(coverage: np.ndarray) -> Camera:
    height, width = coverage.shape
    pose = np.eye(4)
    pose[2, 3] = 3.0
    return Camera(
        np.array([[2 * width, 0, width / 2], [0, 2 * width, height / 2], [0, 0, 1]]), width, height, pose
    )
