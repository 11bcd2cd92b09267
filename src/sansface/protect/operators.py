"""σ, the only way by which a sensitive photograph leaves the client.

Eq. 6: ‖g‖ = ‖∂c/∂x‖₂ + ‖∂c/∂y‖₂, each norm over the three colour channels, of sRGB values in [0, 1].
The derivatives are correlations with 3 × 3 kernels that are scaled so that a unit ramp (1 per pixel) gives 1;
pixels beyond the border repeat the border's. Sign and direction are gone.
This is the one definition; the server's differentiable twin is tested against it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sansface.errors import SansfaceError


@dataclass(frozen=True, eq=False)
class Operator:
    """A gradient modulus.

    Attributes:
        name: its name in `OPERATORS`.
        kernel_x: (3, 3) float32, correlated (not flipped) with the image, rows are y.
        kernel_y: (3, 3) float32.
    """

    name: str
    kernel_x: np.ndarray
    kernel_y: np.ndarray

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """‖∂c/∂x‖₂ + ‖∂c/∂y‖₂ of an image.

        Args:
            image: (h, w, 3) float32, sRGB values in [0, 1].

        Returns:
            (h, w) float32, per pixel; at most √3 for the operators here.

        Raises:
            ValueError: the image is not (h, w, 3).
        """
        if image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"sigma is defined on (h, w, 3) images, not on {image.shape}")
        image = np.asarray(image, dtype=np.float32)
        x = _correlate(image, self.kernel_x)
        y = _correlate(image, self.kernel_y)
        return np.sqrt(np.square(x).sum(axis=2)) + np.sqrt(np.square(y).sum(axis=2))

    def parameters(self) -> dict[str, Any]:
        """Everything that defines σ, as JSON for a bundle's manifest."""
        return {
            "name": self.name,
            "kernel_x": self.kernel_x.tolist(),
            "kernel_y": self.kernel_y.tolist(),
            "colour": "srgb",
            "border": "replicate",
            "modulus": "sum-of-norms",
        }


def _correlate(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    height, width, _ = image.shape
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="edge")
    result = np.zeros_like(image)
    for row in range(3):
        for column in range(3):
            if kernel[row, column]:
                result += kernel[row, column] * padded[row : row + height, column : column + width]
    return result


def _separable(name: str, rows: tuple[int, int, int]) -> Operator:
    """Central difference along x, smoothed over three rows with these weights; y is its transpose."""
    smooth = np.array(rows, dtype=np.float64) / sum(rows)
    kernel = np.outer(smooth, [-0.5, 0.0, 0.5]).astype(np.float32)
    return Operator(name, kernel, np.ascontiguousarray(kernel.T))


def sobel() -> Operator:
    """Sobel's kernel / 8."""
    return _separable("sobel", (1, 2, 1))


def scharr() -> Operator:
    """Scharr's kernel / 32."""
    return _separable("scharr", (3, 10, 3))


def prewitt() -> Operator:
    """Prewitt's kernel / 6."""
    return _separable("prewitt", (1, 1, 1))


def central() -> Operator:
    """Central differences / 2, without smoothing."""
    return _separable("central", (0, 1, 0))


OPERATORS: dict[str, Callable[..., Operator]] = {
    "sobel": sobel,
    "scharr": scharr,
    "prewitt": prewitt,
    "central": central,
}


def operator(name: str, **parameters: Any) -> Operator:
    """Make an operator by name.

    Raises:
        SansfaceError: an unknown name or parameter.
    """
    if name not in OPERATORS:
        raise SansfaceError(f"there is no operator {str(name)[:40]!r}; choose one of {', '.join(OPERATORS)}.")
    try:
        return OPERATORS[name](**parameters)
    except TypeError as error:
        given = ", ".join(parameters)
        raise SansfaceError(f"the operator {name} does not take {given}; leave it out.") from error


def operator_from_parameters(parameters: Any) -> Operator:
    """The operator that a manifest declares, only if it is exactly one of the registry.

    Raises:
        SansfaceError: an unknown name, or parameters unlike the registry's.
    """
    name = parameters.get("name") if isinstance(parameters, dict) else None
    result = operator(name if isinstance(name, str) else "?")
    if parameters != result.parameters():
        raise SansfaceError(f"the declared operator {name} is unlike ours of that name; protect again.")
    return result
