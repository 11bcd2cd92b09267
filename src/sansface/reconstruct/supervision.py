"""What the reconstruction learns from: arrays, cameras and their kinds. Never a path, never a photograph."""

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

import numpy as np

from sansface.capture import Camera, Role
from sansface.protect.contents import Bundle, BundleFrame, Share, inside_outline, levels
from sansface.protect.frame import UserFrame
from sansface.protect.operators import Operator

COARSE_BITS = 7
"""Up to here half a step between two codes of σ is more than rounding, and the loss does not count it."""


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
        neutral: does it show nothing that is hidden, as the rear of a head? Stage 1 sees neutral views only.
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
        center, radius, rotation, unit: of the mesh's frame, x_world = center + radius · rotation x.
        unprotected: colour of sensitive frames is among the targets: a baseline, never from a bundle.
        tolerance: how far a modulus may be from its code, which stands for an interval.
        gain: is each view's modulus times an unknown factor of its own?
        share: what there is of the sensitive views.
    """

    views: tuple[View, ...]
    operator: Operator
    center: np.ndarray
    radius: float
    unit: str
    unprotected: bool = False
    tolerance: float = 0.0
    gain: bool = False
    share: Share = Share.MODULUS
    rotation: np.ndarray = field(default_factory=lambda: np.eye(3))

    @property
    def stamp(self) -> str | None:
        """The word that stands on everything made of it, if photographs themselves went in."""
        return "UNPROTECTED" if self.unprotected else None


def from_bundle(bundle: Bundle, frame: UserFrame | None = None) -> Supervision:
    """The supervision in a verified bundle; its mesh comes in the bundle's frame, or in the one given."""
    coarse = bundle.bits <= COARSE_BITS
    return Supervision(
        views=tuple(_view(frame) for frame in bundle.frames),
        operator=bundle.operator,
        center=bundle.center if frame is None else frame.center,
        radius=bundle.radius if frame is None else frame.radius,
        unit=bundle.unit if frame is None else frame.unit,
        tolerance=bundle.scale / (levels(bundle.bits) - 1) / 2 if coarse else 0.0,
        gain=bundle.gain,
        share=bundle.share,
        rotation=np.eye(3) if frame is None else frame.rotation,
    )


def _view(frame: BundleFrame) -> View:
    neutral = frame.role is Role.NEUTRAL
    values, shared = frame.values(), frame.shared()
    if frame.mask is not None:
        coverage = frame.mask.astype(np.float32) / 255
    elif neutral:
        coverage = _coverage_of_picture(values)
    else:
        # What is shared lies wholly inside the subject, and so does all that σ saw there.
        coverage = np.where(_grown(shared, frame.reach), 1.0, np.nan).astype(np.float32)
    kind = Kind.COLOUR if neutral else Kind.MODULUS
    if neutral:
        shared = coverage >= 1 - 1e-3
    return View(kind, frame.camera, values, shared, coverage, neutral)


def _coverage_of_picture(values: np.ndarray) -> np.ndarray:
    """Coverage of a neutral picture without a mask: black is background, what no black touches is subject."""
    seen = values.max(axis=2) > 0
    inside = ~_grown(_grown(~seen))
    return np.where(inside, 1.0, np.where(seen, np.nan, 0.0)).astype(np.float32)


def _grown(mask: np.ndarray, reach: int = 1) -> np.ndarray:
    """(h, w) bool: pixels with a true pixel at most `reach` rows and columns away."""
    return ~inside_outline(~mask, reach)
