"""Pose and expression corrected back to the photograph's: KFAAR's correction, for IDEudemon as well.

Another identity with the same numbers of pose and expression looks turned and moved a little all the same: a
long chin is a head held high, thick lips are a pout. So the changed face is looked at as the photograph was,
and drawn again with what was seen too much taken away.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from sansface.deidentify.around import Around
from sansface.deidentify.carry import NARROW, laid_on
from sansface.deidentify.change import Face, StepTwo, change, gaze_of
from sansface.deidentify.faces import Tools
from sansface.errors import SansfaceError
from sansface.faces.detectors import followed
from sansface.heads.appearance import Appearance
from sansface.heads.fit import FittedHead, fit_head
from sansface.heads.parametric import HeadModel

MOST = 0.3
"""Radians by which a head is turned back at most: beyond, it was another face that was seen."""


@dataclass(frozen=True, eq=False)
class Held:
    """What is drawn so that the photograph's pose and expression are seen.

    Attributes:
        expression: (57,) in [0, 1].
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

    def drawn(held: Held) -> tuple[np.ndarray, np.ndarray]:
        new = held.vertices(tools.model, head, face.identity)
        return change(tools.model, head, photograph, around, appearance, face, how, new, gaze)

    first = Held(head.expression, np.eye(3))
    result = drawn(first)
    better = corrected(tools, head, first, result[0])  # a second correction gains little
    return result if better is None else drawn(better)


def corrected(tools: Tools, head: FittedHead, held: Held, picture: np.ndarray) -> Held | None:
    """What to draw next, by what is seen on the picture; None where no face is seen where it must be."""
    found = followed(picture, head.landmarks, tools.detectors)
    if found is None or found.landmarks is None:
        return None
    try:
        seen = fit_head(tools.model, found.landmarks, picture.shape[1::-1])
    except SansfaceError:
        return None
    own, its = head.camera.cam_from_world[:3, :3], seen.camera.cam_from_world[:3, :3]
    back = cv2.Rodrigues(own @ its.T)[0]
    if np.linalg.norm(back) > MOST:
        return None
    turn = own.T @ cv2.Rodrigues(back)[0] @ own @ held.turn
    return Held(np.clip(held.expression + head.expression - seen.expression, 0, 1), turn)
