"""The faces of a photograph, each with a head fitted to it, and those to which none can be fitted."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from sansface.deidentify.change import sampled
from sansface.deidentify.occlusion import occluder
from sansface.errors import SansfaceError
from sansface.faces.detectors import Detectors, Finding, all_faces
from sansface.faces.hair import hair_probability
from sansface.faces.tflite import Network
from sansface.heads.fit import FittedHead, fit_head
from sansface.heads.landmarks import five_landmarks, load_places
from sansface.heads.parametric import HeadModel, load_head_model

MOST_TURNED = 50.0
"""Degrees between face and camera up to which a fit is believed."""
LEAST_EYES = 8.0
"""Pixels between the eyes below which landmarks say little."""
WORST = 0.05
"""Mean distance of the fitted landmarks, in distances between the eyes, from which on it is no fit."""
CERTAIN = 0.85
"""The landmark network's word from which on a face is drawn: the main faces of 1,098 photographs all have it,
a ball that looks like one has less."""
SEEN = 0.75
"""The detector's word from which on a face is drawn: of 388 faces all have it, a hand that looks like one has
less, of which the landmark network is sure."""
WITHIN = 0.5
"""Share of the landmarks within the picture from which on a face is drawn."""
APART = 0.12
"""Mean distance of the detector's five landmarks from the network's, in sides of the detector's box: 0.04 at
the median. Of a profile the network makes up the other half, or spreads over a face beside it."""
AROUND = 2.2
"""Side of the square in which hair is looked for, in sides of the face."""
GROWN = 0.35
"""How far around brows, eyes, nose and mouth nothing counts as hair, in distances between the eyes."""
COVER = 0.3
"""How far a box that covers a face reaches beyond it, in its sides."""
FEATURES = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300, 33, 263, 61, 291, 17, 0, 1, 98, 327)
"""Landmarks whose hull holds brows, eyes, nose and mouth."""


class Tools:
    """The model and the networks, loaded once. Not to be shared between threads.

    Raises:
        SansfaceError: one is not on this device, or the extra `deidentify` is not installed.
    """

    def __init__(self) -> None:
        self.model: HeadModel = load_head_model()
        self.detectors = Detectors()
        self.hair = Network("hair")


@dataclass(frozen=True, eq=False)
class Faces:
    """Of one photograph.

    Attributes:
        heads: fitted ones.
        hidden: (h, w) bool: hair before a face, where nothing is to be drawn. Never on the features: what is
            taken for hair there would stay as it is.
        unfitted: what looks like a face and bears no fit, each with the reason.
    """

    heads: tuple[FittedHead, ...]
    hidden: np.ndarray
    unfitted: tuple[tuple[Finding, str], ...]


def find(photograph: np.ndarray, tools: Tools) -> Faces:
    """Find all faces and fit a head to each.

    Args:
        photograph: (h, w, 3) uint8 sRGB.

    Raises:
        SansfaceError: there is no face.
    """
    found = all_faces(photograph, tools.detectors)
    if not found:
        raise SansfaceError(
            "no face is found on the photograph, so nothing was written; show a face of 20 pixels or more, "
            "upright and not in profile."
        )
    heads, unfitted = [], []
    for face in found:
        head, reason = fitted(face, photograph, tools.model)
        if head is not None:
            reason = doubt(face, head) or hidden_by(tools.model, head, photograph)
        if head is None or reason:
            unfitted.append((face, reason))
        else:
            heads.append(head)
    return Faces(tuple(heads), hair_before(photograph, heads, tools.hair), tuple(unfitted))


def fitted(face: Finding, photograph: np.ndarray, model: HeadModel) -> tuple[FittedHead | None, str]:
    """The head of a face, or None and the reason why there is none."""
    if face.kind != "landmarks" or face.landmarks is None:
        return None, "it shows no landmarks: a profile, something before it, or no face"
    try:
        head = fit_head(model, face.landmarks, photograph.shape[1::-1])
    except SansfaceError as error:
        return None, str(error)
    if head.eyes < LEAST_EYES:
        return None, f"its eyes are {head.eyes:.0f} pixels apart, less than {LEAST_EYES:.0f}"
    if head.turned > MOST_TURNED:
        return None, f"it is turned by {head.turned:.0f} degrees, more than {MOST_TURNED:.0f}"
    shown, _ = head.camera.project(load_places().of(head.vertices(model)))
    off = float(np.linalg.norm(shown - head.landmarks, axis=1).mean()) / head.eyes
    if off > WORST:
        return None, f"the head fits it badly, {100 * off:.0f} % of the distance between its eyes"
    return head, ""


def doubt(face: Finding, head: FittedHead) -> str:
    """Why a face that bears a fit is not to be drawn on, if so: on a ball it would float."""
    seen = face.seen
    if face.score < CERTAIN or (seen is not None and seen.score < SEEN):
        said = face.score if seen is None else min(face.score, seen.score)
        return f"it is not certain that it is a face, {100 * said:.0f} %"
    if seen is not None:
        assert seen.landmarks is not None
        apart = np.linalg.norm(five_landmarks(head.landmarks) - seen.landmarks, axis=1).mean()
        if apart > APART * np.sqrt(np.prod(face.box[2:])):
            return "its landmarks lie elsewhere than the detector saw them: a profile, or nearly one"
    if head.within < WITHIN:
        return f"the picture's rim leaves {100 * head.within:.0f} % of it"
    return ""


def hidden_by(model: HeadModel, head: FittedHead, photograph: np.ndarray) -> str:
    """What stands before a face and is no hair, if so: a drawing over it would be torn."""
    seen, colours, _ = sampled(model, head, photograph, np.zeros(photograph.shape[:2], dtype=bool))
    hidden = occluder(model, seen, colours)
    return f"it is hidden by {hidden}" if hidden else ""


def hair_before(photograph: np.ndarray, heads: Sequence[FittedHead], network: Network) -> np.ndarray:
    """(h, w) bool: see `Faces.hidden`."""
    hidden = np.zeros(photograph.shape[:2], dtype=bool)
    for head in heads:
        _mark_hair(photograph, head, network, hidden)
    return hidden


def _mark_hair(photograph: np.ndarray, head: FittedHead, network: Network, hidden: np.ndarray) -> None:
    low, size = np.split(head.box, 2)
    middle, half = low + size / 2, AROUND / 2 * float(size.max())
    left, top = np.maximum(np.floor(middle - half).astype(int), 0)
    right, bottom = np.minimum(np.ceil(middle + half).astype(int), hidden.shape[::-1])
    part = np.ascontiguousarray(photograph[top:bottom, left:right])
    if part.size == 0:  # of a face that is cut off, only a rim is on the picture
        return
    hair = hair_probability(part, network) > 0.5
    hull = cv2.convexHull((head.landmarks[list(FEATURES)] - (left, top)).astype(np.float32))
    face = np.zeros(hair.shape, dtype=np.uint8)
    cv2.fillConvexPoly(face, np.rint(hull).astype(np.int32), 1)
    away = cv2.distanceTransform(1 - face, cv2.DIST_L2, 5)  # a dilation takes a minute on a large face
    hidden[top:bottom, left:right] |= hair & (away > GROWN * head.eyes)


def refusal(
    unfitted: tuple[Finding, str], remedy: str = "; say --cover to black out such faces"
) -> SansfaceError:
    """What to tell of a face that would otherwise stay as it is."""
    finding, reason = unfitted
    x, y = np.rint(finding.box[:2] + finding.box[2:] / 2).astype(int)
    return SansfaceError(
        f"what looks like a face at ({x}, {y}) cannot be changed, for {reason}, so nothing was "
        f"written{remedy}."
    )


def covered(photograph: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The photograph with a box, enlarged, blacked out, and (h, w) bool where.

    box: (4,) left, top, width, height, such as a face's `Finding.extent`.
    """
    half = (1 + 2 * COVER) * box[2:] / 2
    middle, end = box[:2] + box[2:] / 2, photograph.shape[1::-1]
    left, top = np.clip(np.floor(middle - half), 0, end).astype(int)
    right, bottom = np.clip(np.ceil(middle + half), 0, end).astype(int)
    touched = np.zeros(photograph.shape[:2], dtype=bool)
    touched[top:bottom, left:right] = True
    return np.where(touched[..., None], np.uint8(0), photograph), touched
