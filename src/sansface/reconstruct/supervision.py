"""What the reconstruction learns from: arrays, cameras and their kinds. Never a path, never a photograph."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np

from sansface.capture import Camera, Role
from sansface.protect.contents import Bundle, BundleFrame, inside_outline
from sansface.protect.operators import Operator


class Kind(StrEnum):
    """What a view's target is."""

    COLOUR = "colour"  # (h, w, 3) sRGB over black
    MODULUS = "modulus"  # (h, w) ‖g‖ of eq. 6


@dataclass(frozen=True, eq=False)
class View:
    """One picture to be explained.

    Attributes:
        kind: of the target.
        camera: in the unit-sphere frame, at the target's size, without distortion.
        target: (h, w, 3) or (h, w) float32.
        shared: (h, w) bool, pixels whose target is known: for a modulus the inside of the outline.
        coverage: (h, w) float32, share of each pixel that is subject; NaN where nobody said.
        neutral: does it show the rear of the head? Stage 1 sees neutral views only.
    """

    kind: Kind
    camera: Camera
    target: np.ndarray
    shared: np.ndarray
    coverage: np.ndarray
    neutral: bool

    @cached_property
    def outline(self) -> np.ndarray:
        """(h, w) bool: pixels within two of the outline, where a silhouette tells something."""
        inside, outside = self.coverage > 0, self.coverage < 1 - 1e-3
        return _grown(_grown(inside)) & _grown(_grown(outside)) & ~np.isnan(self.coverage)


@dataclass(frozen=True, eq=False)
class Supervision:
    """All views of one head.

    Attributes:
        views: in the bundle's order.
        operator: σ of the moduli.
        center, radius, unit: of the user's frame, x_world = center + radius · x.
        unprotected: colour of sensitive frames is among the targets: a baseline, never from a bundle.
    """

    views: tuple[View, ...]
    operator: Operator
    center: np.ndarray
    radius: float
    unit: str
    unprotected: bool = False


def from_bundle(bundle: Bundle) -> Supervision:
    """The supervision in a verified bundle."""
    return Supervision(
        views=tuple(_view(frame) for frame in bundle.frames),
        operator=bundle.operator,
        center=bundle.center,
        radius=bundle.radius,
        unit=bundle.unit,
    )


def _view(frame: BundleFrame) -> View:
    neutral = frame.role is Role.NEUTRAL
    values, shared = frame.values(), frame.shared()
    if frame.mask is not None:
        coverage = frame.mask.astype(np.float32) / 255
    elif neutral:
        coverage = _coverage_of_picture(values)
    else:
        # What is shared lies wholly inside the subject, and so do the neighbours that σ saw there.
        coverage = np.where(_grown(shared), 1.0, np.nan).astype(np.float32)
    kind = Kind.COLOUR if neutral else Kind.MODULUS
    if neutral:
        shared = coverage >= 1 - 1e-3
    return View(kind, frame.camera, values, shared, coverage, neutral)


def _coverage_of_picture(values: np.ndarray) -> np.ndarray:
    """Coverage of a neutral picture without a mask: black is background, what no black touches is subject."""
    seen = values.max(axis=2) > 0
    inside = ~_grown(_grown(~seen))
    return np.where(inside, 1.0, np.where(seen, np.nan, 0.0)).astype(np.float32)


def _grown(mask: np.ndarray) -> np.ndarray:
    """(h, w) bool: pixels with a true pixel in their 3 × 3 neighbourhood."""
    return ~inside_outline(~mask)
