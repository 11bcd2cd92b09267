"""σ, the only way by which a sensitive photograph leaves the client.

Of sRGB values c in [0, 1]: a Gaussian blur if asked for, then correlations x and y with two 3 × 3 kernels,
then one modulus of them over the three colour channels,

    sum-of-norms      ‖x‖₂ + ‖y‖₂                        eq. 6 of the paper
    norm-of-sum       ‖x + y‖₂                           for the Laplacian, x and y being second differences
    structure-tensor  ‖J‖_F^½,  J = G * Σ_c (x, y)ᵀ(x, y)    Bigün and Granlund 1987; G a Gaussian

Pixels beyond the border repeat the border's. Sign and direction are gone, and no value exceeds √3.
This is the one definition; the server's differentiable twin is tested against it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from typing import Any

import numpy as np

from sansface.errors import SansfaceError

BLURS = (0.25, 8.0)
"""Least and largest standard deviation of a blur, in pixels; 0 is none."""
FINE = 256
"""Pixels of the longer side from which on texture is blurred first, by 1 pixel here. Finer than that it
drowns shading, whose differences from pixel to pixel shrink while those of pores and stubble stay: and a
magnitude, once taken, cannot be averaged any more, for it has lost its sign."""
SUM_OF_NORMS, NORM_OF_SUM, STRUCTURE_TENSOR = "sum-of-norms", "norm-of-sum", "structure-tensor"


@dataclass(frozen=True, eq=False)
class Operator:
    """A modulus of what changes from pixel to pixel.

    Attributes:
        name: its name in `OPERATORS`.
        kernel_x: (3, 3) float32, correlated (not flipped) with the image, rows are y.
        kernel_y: (3, 3) float32.
        modulus: `sum-of-norms`, `norm-of-sum` or `structure-tensor`.
        blur: standard deviation of the Gaussian before the kernels, pixels; 0 = none.
        window: standard deviation of the Gaussian that averages the structure tensor, pixels; 0 = none.
    """

    name: str
    kernel_x: np.ndarray
    kernel_y: np.ndarray
    modulus: str = SUM_OF_NORMS
    blur: float = 0.0
    window: float = 0.0

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """σ of an image.

        Args:
            image: (h, w, 3) float32, sRGB values in [0, 1].

        Returns:
            (h, w) float32, per pixel; at most √3 for the operators here.

        Raises:
            ValueError: the image is not (h, w, 3).
        """
        if image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"sigma is defined on (h, w, 3) images, not on {image.shape}")
        halo = (self.reach, self.reach)
        image = np.pad(np.asarray(image, dtype=np.float32), (halo, halo, (0, 0)), mode="edge")
        image = _smoothed(image, self.blur)
        x = _correlate(image, self.kernel_x)
        y = _correlate(image, self.kernel_y)
        if self.modulus == NORM_OF_SUM:
            return np.sqrt(np.square(x + y).sum(axis=2))
        if self.modulus == STRUCTURE_TENSOR:
            tensor = np.stack([(x * x).sum(axis=2), (x * y).sum(axis=2), (y * y).sum(axis=2)], axis=2)
            xx, xy, yy = np.moveaxis(_smoothed(tensor, self.window), 2, 0)
            return np.sqrt(np.sqrt(xx * xx + 2 * xy * xy + yy * yy))
        return np.sqrt(np.square(x).sum(axis=2)) + np.sqrt(np.square(y).sum(axis=2))

    @cached_property
    def reach(self) -> int:
        """How far σ sees: its value depends on pixels up to so many rows and columns away."""
        return 1 + len(gaussian(self.blur)) // 2 + len(gaussian(self.window)) // 2

    def parameters(self) -> dict[str, Any]:
        """Everything that defines σ, as JSON for a bundle's manifest; a blur or window of 0 is not named."""
        widths = {"blur": float(self.blur), "window": float(self.window)}
        return {
            "name": self.name,
            "kernel_x": self.kernel_x.tolist(),
            "kernel_y": self.kernel_y.tolist(),
            "colour": "srgb",
            "border": "replicate",
            "modulus": self.modulus,
            **{key: width for key, width in widths.items() if width},
        }


def gaussian(deviation: float) -> np.ndarray:
    """Weights of a Gaussian at whole pixels, cut off at three standard deviations.

    Returns:
        (2n + 1,) float32 that sums to 1, n = ⌈3 · deviation⌉; (1,) for a deviation of 0.
    """
    if deviation == 0:
        return np.ones(1, dtype=np.float32)
    places = np.arange(-ceil(3 * deviation), ceil(3 * deviation) + 1)
    weights = np.exp(-0.5 * (places / deviation) ** 2)
    return (weights / weights.sum()).astype(np.float32)


def _smoothed(image: np.ndarray, deviation: float) -> np.ndarray:
    """The inside of an image (h, w, c), as far as the Gaussian's weights have pixels all around."""
    if deviation == 0:
        return image
    weights = gaussian(deviation)
    return _correlate(_correlate(image, weights[None, :]), weights[:, None])


def _correlate(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    rows, columns = kernel.shape
    height, width = image.shape[0] - rows + 1, image.shape[1] - columns + 1
    result = np.zeros((height, width, image.shape[2]), dtype=image.dtype)
    for row in range(rows):
        for column in range(columns):
            if kernel[row, column]:
                result += kernel[row, column] * image[row : row + height, column : column + width]
    return result


def _separable(rows: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Central difference along x, smoothed over three rows with these weights; y is its transpose."""
    smooth = np.array(rows, dtype=np.float64) / sum(rows)
    kernel = np.outer(smooth, [-0.5, 0.0, 0.5]).astype(np.float32)
    return kernel, np.ascontiguousarray(kernel.T)


def sobel(blur: float = 0.0) -> Operator:
    """Sobel's kernel / 8."""
    return Operator("sobel", *_separable((1, 2, 1)), blur=blur)


def scharr(blur: float = 0.0) -> Operator:
    """Scharr's kernel / 32."""
    return Operator("scharr", *_separable((3, 10, 3)), blur=blur)


def prewitt(blur: float = 0.0) -> Operator:
    """Prewitt's kernel / 6."""
    return Operator("prewitt", *_separable((1, 1, 1)), blur=blur)


def central(blur: float = 0.0) -> Operator:
    """Central differences / 2, without smoothing."""
    return Operator("central", *_separable((0, 1, 0)), blur=blur)


def roberts(blur: float = 0.0) -> Operator:
    """Roberts's cross / 2: differences along both diagonals of the 2 × 2 pixels to the right and below."""
    falling = np.array([[0, 0, 0], [0, -0.5, 0], [0, 0, 0.5]], dtype=np.float32)
    rising = np.array([[0, 0, 0], [0, 0, -0.5], [0, 0.5, 0]], dtype=np.float32)
    return Operator("roberts", falling, rising, blur=blur)


def log(blur: float = 1.0) -> Operator:
    """Laplacian of Gaussian, ‖s² ∇²(G_s * c)‖₂, the blur being its scale s; the second differences are added.

    s² makes the answer to an edge the same at every scale (Lindeberg 1998); s = 0 is none.
    """
    if blur == 0:
        raise SansfaceError(
            "the operator log is a Laplacian of a Gaussian; give it a blur above 0, such as 1."
        )
    second = np.array([[0, 0, 0], [1, -2, 1], [0, 0, 0]]) * blur**2
    kernel = second.astype(np.float32)
    return Operator("log", kernel, np.ascontiguousarray(kernel.T), modulus=NORM_OF_SUM, blur=blur)


def structure(blur: float = 0.0) -> Operator:
    """Root of the structure tensor's norm, of Sobel's differences, averaged with a Gaussian of 1 pixel."""
    return Operator("structure", *_separable((1, 2, 1)), modulus=STRUCTURE_TENSOR, blur=blur, window=1.0)


OPERATORS: dict[str, Callable[..., Operator]] = {
    "sobel": sobel,
    "scharr": scharr,
    "prewitt": prewitt,
    "central": central,
    "roberts": roberts,
    "log": log,
    "structure": structure,
}


def operator(name: str, blur: float | None = None, resolution: int = 64) -> Operator:
    """Make an operator by name.

    Args:
        blur: standard deviation, pixels, 0 or in `BLURS`; None for the operator's own: at `FINE` pixels and
            more `resolution` / `FINE`, at fewer 1 for `log`, else 0.
        resolution: of the pictures' longer side, pixels.

    Raises:
        SansfaceError: an unknown name, or a blur out of range.
    """
    if name not in OPERATORS:
        raise SansfaceError(f"there is no operator {str(name)[:40]!r}; choose one of {', '.join(OPERATORS)}.")
    if blur is None:
        return OPERATORS[name](blur=resolution / FINE) if resolution >= FINE else OPERATORS[name]()
    number = isinstance(blur, int | float) and not isinstance(blur, bool)
    if not number or not (blur == 0 or BLURS[0] <= blur <= BLURS[1]):
        raise SansfaceError(
            f"the blur {str(blur)[:40]} is neither 0 nor {BLURS[0]} to {BLURS[1]:g} pixels; choose another."
        )
    return OPERATORS[name](blur=float(blur))


def operator_from_parameters(parameters: Any) -> Operator:
    """The operator that a manifest declares, only if it is exactly one of the registry.

    Raises:
        SansfaceError: an unknown name, or parameters unlike the registry's.
    """
    declared = parameters if isinstance(parameters, dict) else {}
    name = declared.get("name")
    result = operator(name if isinstance(name, str) else "?", declared.get("blur", 0.0))
    if parameters != result.parameters():
        raise SansfaceError(f"the declared operator {name} is unlike ours of that name; protect again.")
    return result
