"""A virtual face by numbers: what KFAAR's key draws, on the parametric head.

Of the person's own face nothing is taken but pose, expression and gaze, the colours of skin and hair, and
some of the detail within lids and lips. So two photographs with the same numbers show one virtual person,
whoever was on them.
"""

import numpy as np

from sansface.deidentify.change import Face, StepTwo, appearance_of, change
from sansface.deidentify.faces import Tools, find, refusal
from sansface.deidentify.ideudemon import ALBEDO, MOST
from sansface.deidentify.redraw import Redrawing
from sansface.heads.albedo import CODES as ALBEDO_CODES

IDENTITIES = 100
COUNT = IDENTITIES + len(ALBEDO_CODES)
"""Numbers of a virtual face, each of N(0, 1): its identity, then its albedo code."""
SPREAD = 1.5
"""Standard deviation of its identity in the population's: farther from the mean head than most people."""
LIKE_HAIR = ("skin", "warmth", "brow colour", "beard")
"""Colours that the photograph's own hair, ears and neck show as well: they stay as they are."""
DRAWN = Redrawing(kept=0.0, features=0.0, eyes=0.5, mouth=0.7, grain=0.1)
"""What stays of the photograph's detail."""


class VirtualFaces:
    """Changes the face nearest the middle of a photograph. Not to be shared between threads."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def __call__(self, photograph: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """The photograph with a virtual face.

        Args:
            photograph: (h, w, 3) uint8 sRGB, of which other faces stay as they are.
            numbers: (COUNT,).

        Raises:
            SansfaceError: there is no face, or the one in the middle bears no fit.
        """
        faces = find(photograph, self._tools)
        middle = np.array(photograph.shape[1::-1]) / 2
        away = [float(np.linalg.norm(head.landmarks.mean(axis=0) - middle)) for head in faces.heads]
        others = [
            float(np.linalg.norm(face.box[:2] + face.box[2:] / 2 - middle)) for face, _ in faces.unfitted
        ]
        if not away or min(others, default=np.inf) < min(away):
            raise refusal(faces.unfitted[int(np.argmin(others))])
        head = faces.heads[int(np.argmin(away))]
        seed = np.random.default_rng(0)  # chooses pixels to fit the light to: the same numbers, the same face
        appearance = appearance_of(self._tools.model, head, photograph, faces.hidden, seed)
        own = np.array([name in LIKE_HAIR for name in ALBEDO_CODES])
        spread = np.array([ALBEDO[name] for name in ALBEDO_CODES])
        face = Face(
            (SPREAD * numbers[:IDENTITIES]).clip(-MOST, MOST),
            np.where(own, appearance.albedo, 0) + spread * numbers[IDENTITIES:],
        )
        how = StepTwo(redrawing=DRAWN)
        result, _ = change(self._tools.model, head, photograph, faces.hidden, appearance, face, how)
        return result
