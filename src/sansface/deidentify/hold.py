"""Pose and expression corrected back to the photograph's: KFAAR's correction, for IDEudemon as well.

Another identity with the same numbers of pose and expression looks turned and moved a little all the same: a
long chin is a head held high, thick lips are a pout. So the changed face is looked at as the photograph was,
and drawn again with what was seen too much taken away, a few times. More is taken away than was seen, for a
fit gives part of any expression to the identity; and weights may leave [0, 1] for that, as no fit's do.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from sansface.deidentify.around import Around
from sansface.deidentify.carry import NARROW, laid_on
from sansface.deidentify.change import FINEST, Face, StepTwo, change, gaze_of
from sansface.deidentify.faces import Tools
from sansface.errors import SansfaceError
from sansface.faces.detectors import followed
from sansface.heads.appearance import Appearance
from sansface.heads.fit import FittedHead, fit_head
from sansface.heads.parametric import HeadModel

ROUNDS = 3
"""So often is the face looked at and corrected."""
DRAFT = 1.0
"""Samples a pixel's side of what is drawn to be looked at only."""
GAIN = 1.5
"""How much more of an expression is taken away than was seen too much."""
WEIGHTS = (-0.2, 1.2)
"""Least and largest weight of an expression that is drawn. With -0.5, 1.5 and a gain of 2.5 a fit sees the
photograph's expression better, and people see crumpled noses."""
MOST = 0.3
"""Radians by which a head is turned back at most: beyond, it was another face that was seen."""


@dataclass(frozen=True, eq=False)
class Held:
    """What is drawn so that the photograph's pose and expression are seen.

    Attributes:
        expression: (57,) within `WEIGHTS`.
        turn: (3, 3) rotation of the head about the middle of its face, in the model's frame.
    """

    expression: np.ndarray
    turn: np.ndarray

    def vertices(self, model: HeadModel, head: FittedHead, identity: np.ndarray) -> np.ndarray:
        """(n, 3) of another identity in the fitted head's place."""
        old = head.vertices(model)
        new = laid_on(replace(head, expression=self.expression).vertices(model, identity), old)
        middle = old[:NARROW].mean(axis=0)
        return (new - middle) @ self.turn.T + middle


def change_held(
    tools: Tools,
    head: FittedHead,
    photograph: np.ndarray,
    around: Around,
    appearance: Appearance,
    face: Face,
    how: StepTwo,
) -> tuple[np.ndarray, np.ndarray]:
    """`change`, with pose and expression held."""
    gaze = gaze_of(tools.model, head, photograph)

    def drawn(held: Held, finest: float) -> tuple[np.ndarray, np.ndarray]:
        new = held.vertices(tools.model, head, face.identity)
        return change(tools.model, head, photograph, around, appearance, face, how, new, gaze, finest)

    best = held = Held(head.expression, np.eye(3))
    least = np.inf
    for _ in range(ROUNDS):
        seen = _seen(tools, head, drawn(held, DRAFT)[0])
        if seen is None or (off := float(np.linalg.norm(seen.expression - head.expression))) > least:
            held = best
            break
        best, least, held = held, off, corrected(head, held, seen)
    return drawn(held, FINEST)


def corrected(head: FittedHead, held: Held, seen: FittedHead) -> Held:
    """What to draw next, by what was seen when this was drawn."""
    own, its = head.camera.cam_from_world[:3, :3], seen.camera.cam_from_world[:3, :3]
    turn = its.T @ own @ held.turn
    expression = held.expression + GAIN * (head.expression - seen.expression)
    return Held(np.clip(expression, *WEIGHTS), turn)


def _seen(tools: Tools, head: FittedHead, picture: np.ndarray) -> FittedHead | None:
    """The head on the picture; None where no face is seen where it must be."""
    found = followed(picture, head.landmarks, tools.detectors)
    if found is None or found.landmarks is None:
        return None
    try:
        seen = fit_head(tools.model, found.landmarks, picture.shape[1::-1])
    except SansfaceError:
        return None
    own, its = head.camera.cam_from_world[:3, :3], seen.camera.cam_from_world[:3, :3]
    return seen if np.linalg.norm(cv2.Rodrigues(own @ its.T)[0]) <= MOST else None
