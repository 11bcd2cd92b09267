"""What is looked at of each frame: a small undistorted camera, mask and features. No photograph stays."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sansface.capture import Camera, Capture, Frame
from sansface.check.epipolar import Features, features
from sansface.check.silhouettes import Silhouette, silhouette
from sansface.protect.photograph import read_colour, read_photograph
from sansface.protect.reduce import reduce

SIZE = 640
"""Pixels of the longer side at which everything is compared; a smaller photograph keeps its size."""
_GREY = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, eq=False)
class View:
    """A frame made ready.

    Attributes:
        name: of the photograph, for the user's own screen.
        camera: reduced and without distortion.
        silhouette: None where there is no mask, or one without an outline.
        masked: there is a mask.
        features: of the photograph, inside the mask if there is one.
        scale: pixels of the photograph in one of the reduced ones.
    """

    name: str
    camera: Camera
    silhouette: Silhouette | None
    masked: bool
    features: Features
    scale: float


def read_views(capture: Capture, progress: Callable[[float], None] = lambda done: None) -> list[View]:
    """Decode the photographs and masks, one after the other.

    Raises:
        SansfaceError: naming the file that is missing, unreadable, of another size, or a mask that is empty.
    """
    views = []
    for number, (name, frame) in enumerate(zip(names(capture), capture.frames, strict=True)):
        views.append(_view(name, frame))
        progress((number + 1) / len(capture.frames))
    return views


def _view(name: str, frame: Frame) -> View:
    colour, alpha = read_colour(frame)
    masked = frame.mask is not None or alpha is not None
    coverage = read_photograph(frame)[1] if masked else np.ones(colour.shape[:2], np.float32)
    longer = max(frame.camera.width, frame.camera.height)
    small = reduce(colour, coverage, frame.camera, min(SIZE, longer))
    grey = np.rint(small.colour @ _GREY * 255).astype(np.uint8)
    inside = small.coverage >= 0.5
    return View(
        name,
        small.camera,
        silhouette(small.camera, small.coverage) if masked else None,
        masked,
        features(grey, inside if masked else None),
        frame.camera.width / small.camera.width,
    )


def names(capture: Capture) -> list[str]:
    """A name for each frame: its file's, with the folder's where that is not enough."""
    short = [_numbered(frame, frame.image.name) for frame in capture.frames]
    if len(set(short)) == len(short):
        return short
    return [_numbered(frame, f"{frame.image.parent.name}/{frame.image.name}") for frame in capture.frames]


def _numbered(frame: Frame, name: str) -> str:
    return name if frame.video_frame is None else f"{name}#{frame.video_frame}"
