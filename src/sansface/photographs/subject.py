"""Who is in the photographs: faces, masks and roles, where the extra `faces` and its models are installed.

Without them a capture has the masks of the photographs' own alpha, and every role is sensitive.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from sansface.capture import Camera, Capture, Frame
from sansface.errors import SansfaceError
from sansface.photographs.decode import decode
from sansface.photographs.read import write_picture

if TYPE_CHECKING:
    from sansface.faces.detectors import Finding

SAME = 0.1
"""Two boxes that share less of the smaller one are two faces."""
BESIDE = 0.25
"""A face of less than this part of the largest one's area is in the background."""


def look(frames: Sequence[Frame], progress: Callable[[float], None]) -> "list[list[Finding]]":
    """What the detectors find in each photograph.

    Raises:
        SansfaceError: no detector is on this device, or two photographs or more show two people.
    """
    from sansface.faces import roles

    looked = roles.look(Capture(tuple(frames)), lambda done, count: progress(done / count))
    crowded = [frame.image.name for frame, found in zip(frames, looked, strict=True) if people(found) > 1]
    if len(crowded) > 1:
        raise TwoPeople(
            f"{crowded[0]} and {len(crowded) - 1} more photographs show two people, and only one head can be "
            "reconstructed; leave them out, or cut the other person off."
        )
    return looked


class TwoPeople(SansfaceError):
    """Which head?"""


def people(found: "Sequence[Finding]") -> int:
    """Whole faces of about one size that do not overlap."""
    from sansface.faces.detectors import SURE

    apart: list[np.ndarray] = []
    boxes = [one.box for one in found if one.kind == "face" and one.score >= SURE]
    for box in sorted(boxes, key=lambda box: -box[2] * box[3]):
        near = not apart or box[2] * box[3] > BESIDE * apart[0][2] * apart[0][3]
        if near and all(_shared(box, other) < SAME for other in apart):
            apart.append(box)
    return len(apart)


def _shared(one: np.ndarray, other: np.ndarray) -> float:
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[:2] + one[2:], other[:2] + other[2:])
    return float(np.prod(np.maximum(high - low, 0)) / max(min(one[2] * one[3], other[2] * other[3]), 1e-9))


def eyes(frames: Sequence[Frame], looked: "Sequence[Sequence[Finding]]") -> list[tuple[Camera, np.ndarray]]:
    """Of each photograph that shows a whole face the right way up: its camera, (2, 2) pixels of both eyes."""
    from sansface.faces.detectors import SURE

    seen = []
    for frame, found in zip(frames, looked, strict=True):
        sure = [one for one in found if one.kind == "face" and one.score >= SURE and not one.mirrored]
        marks = max(sure, key=lambda one: one.score).landmarks if sure else None
        if marks is not None:
            seen.append((frame.camera, marks[:2]))
    return seen


def with_masks(frames: Sequence[Frame], folder: Path, progress: Callable[[float], None]) -> list[Frame]:
    """Frames with a mask of the person in them, except those that have one and those in which nobody is seen.

    Raises:
        SansfaceError: the model is not on this device.
    """
    from sansface.faces.segment import person_mask

    masked = []
    for done, frame in enumerate(frames, start=1):
        if frame.mask is None:
            pixels = decode(frame.image, "photograph", upright=False)
            pixels = pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
            way = cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_GRAY2RGB
            mask = person_mask(cv2.cvtColor(pixels, way))
            if mask.min() != mask.max():
                path = folder / f"{frame.image.stem}.png"
                folder.mkdir(exist_ok=True)
                write_picture(path, mask)
                frame = replace(frame, mask=path)
        masked.append(frame)
        progress(done / len(frames))
    return masked


def with_roles(capture: Capture, front: str | None, looked: "Sequence[Sequence[Finding]]") -> Capture:
    """The capture with the roles that the rules give."""
    from sansface.faces.roles import decide

    decisions = decide(capture, front, seen=looked)
    frames = [replace(frame, role=one.role) for frame, one in zip(capture.frames, decisions, strict=True)]
    return replace(capture, frames=tuple(frames))
