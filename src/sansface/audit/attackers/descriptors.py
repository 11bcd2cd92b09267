"""What a linear model is given of protected pictures: values and orientations, made even in contrast.

σ is positive and its noise grows with it, so its square root is taken first. Noise that a client adds does
not grow with it, and to even out contrast then is to make noise larger: so there are also means of σ as it
is. All descriptors see a window of the picture, by default the face at the standard cut (64 pixels a side,
eyes 11 apart).
Pictures: (n, h, w) float32, at least 0. Descriptors: (n, d) float32.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

HALO = 2.5
"""Gaussians are cut off at so many standard deviations."""
FAINT = 1e-3
"""Added to a contrast before dividing by it: what is fainter stays faint."""


@dataclass(frozen=True)
class Descriptors:
    """What is described, and how finely. Lengths in pixels of the protected picture."""

    margin: float = 0.23
    """So much of a side is left out at each border: background, which tells nothing, and most of the hair."""
    contrast: float = 4.0
    """Standard deviation of the Gaussian within which contrast is made even."""
    cells: tuple[int, ...] = (3, 4, 6)
    """Distances between the histograms of orientations, one descriptor each."""
    bins: int = 8
    """Orientations of a histogram, all around: a ridge of σ has two flanks."""
    wavelengths: tuple[float, ...] = (4.0, 8.0)
    """Of the Gabor filters."""
    angles: int = 8
    """Orientations of the Gabor filters, half around."""
    stride: int = 3
    """Distance between the Gabor filters' values."""
    means: tuple[tuple[float, int], ...] = ((1.0, 2), (2.0, 3), (3.0, 4))
    """Standard deviation of a Gaussian over σ, and distance between its values, of one descriptor each."""


def describe(pictures: np.ndarray, settings: Descriptors | None = None) -> dict[str, np.ndarray]:
    """All descriptors of pictures.

    Args:
        pictures: (n, h, w) float32, at least 0.

    Returns:
        Name to (n, d) float32.

    Raises:
        ValueError: the pictures are not (n, h, w), or smaller than 8 pixels.
    """
    settings = settings or Descriptors()
    if pictures.ndim != 3 or min(pictures.shape[1:]) < 8:
        raise ValueError(f"pictures are (n, h, w) of at least 8 pixels a side, not {pictures.shape}")
    margins = [round(settings.margin * side) for side in pictures.shape[1:]]
    window = (slice(None), *(slice(one, -one or None) for one in margins))
    result = {"values": _flat(even(pictures, settings.contrast)[window])}
    for cell in settings.cells:
        result[f"orientations {cell}"] = _flat(
            orientations(pictures, cell, settings.bins)[window][:, ::cell, ::cell]
        )
    for deviation, distance in settings.means:
        result[f"means {deviation:g}"] = _flat(
            _blurred(pictures, deviation)[window][:, ::distance, ::distance]
        )
    waves = gabor(pictures, settings.wavelengths, settings.angles)[window]
    result["waves"] = _flat(waves[:, :: settings.stride, :: settings.stride])
    return result


def even(pictures: np.ndarray, deviation: float) -> np.ndarray:
    """Square roots, less their local mean, over their local deviation: (n, h, w) float32."""
    root = np.sqrt(pictures, dtype=np.float32)
    mean = _blurred(root, deviation)
    variance = np.maximum(_blurred(root * root, deviation) - mean * mean, 0)
    return (root - mean) / (np.sqrt(variance) + FAINT)


def orientations(pictures: np.ndarray, cell: float, bins: int) -> np.ndarray:
    """Histograms of oriented gradients (Dalal and Triggs 2005) of √σ, with Gaussian cells, at every pixel.

    A gradient votes for the two nearest orientations with its length; votes are averaged by a Gaussian of
    half a cell, divided by the length of the histograms nearby, cut off at 0.6, and their roots taken
    (Arandjelović and Zisserman 2012).

    Returns:
        (n, h, w, bins) float32 in [0, 0.8].
    """
    root = _blurred(np.sqrt(pictures, dtype=np.float32), 0.5)
    down, right = np.gradient(root, axis=(1, 2))
    place = np.arctan2(down, right) / (2 * np.pi) % 1 * bins
    low = np.floor(place).astype(int)
    length, share = np.hypot(down, right), place - low
    votes = np.zeros((*pictures.shape, bins), np.float32)
    np.put_along_axis(votes, (low % bins)[..., None], (length * (1 - share))[..., None], axis=3)
    # The other orientation's place is still empty: bins ≥ 2.
    np.put_along_axis(votes, ((low + 1) % bins)[..., None], (length * share)[..., None], axis=3)
    votes = _blurred(votes, cell / 2)
    energy = np.sqrt(_blurred(np.square(votes).sum(axis=3), cell))
    return np.sqrt(np.minimum(votes / (energy + FAINT)[..., None], 0.6))


def gabor(pictures: np.ndarray, wavelengths: tuple[float, ...], angles: int) -> np.ndarray:
    """Magnitudes of Gabor filters on √σ, each over its own mean square, and their roots.

    The filters are Gaussians in the frequency plane, as wide as 0.35 of their frequency; pictures repeat.

    Returns:
        (n, h, w, filters) float32.
    """
    spectrum = np.fft.fft2(np.sqrt(pictures, dtype=np.float32))
    v, u = np.meshgrid(*map(np.fft.fftfreq, pictures.shape[1:]), indexing="ij")
    result = []
    for wavelength in wavelengths:
        for angle in np.pi * np.arange(angles) / angles:
            centre = np.cos(angle) / wavelength, np.sin(angle) / wavelength
            distance = ((u - centre[0]) ** 2 + (v - centre[1]) ** 2) * (wavelength / 0.35) ** 2
            values = np.abs(np.fft.ifft2(spectrum * np.exp(-distance / 2))).astype(np.float32)
            size = np.sqrt(np.square(values).mean(axis=(1, 2), keepdims=True))
            result.append(np.sqrt(values / (size + FAINT)))
    return np.stack(result, axis=3)


def _blurred(values: np.ndarray, deviation: float) -> np.ndarray:
    return gaussian_filter(values, deviation, axes=(1, 2), truncate=HALO, mode="nearest")


def _flat(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values.reshape(len(values), -1), dtype=np.float32)


def mirrored(pictures: np.ndarray) -> np.ndarray:
    """(2n, h, w) or (2n, h, w, c): pictures, and then their mirror images."""
    return np.concatenate([pictures, pictures[:, :, ::-1]])


def with_mirror_images(described: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Name to (n, 2, d), of what `mirrored` pictures gave, (2n, d)."""
    return {name: np.stack(np.split(values, 2), axis=1) for name, values in described.items()}
