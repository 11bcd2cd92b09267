"""KFAAR's virtual face (Wang et al. 2024) on the parametric head: the numbers of a key say who is seen.

The identity is the numbers' alone, so that all photographs of an enrolled person show one virtual person;
pose, expression, gaze and light are the photograph's, and so are the colours of skin and hair.
"""

from functools import partial

import numpy as np

from sansface.deidentify.around import Around, around
from sansface.deidentify.change import Face, StepTwo, appearance_of
from sansface.deidentify.faces import Tools, covered, find, refusal
from sansface.deidentify.hold import change_held
from sansface.deidentify.ideudemon import ALBEDO_SPREAD, MOST
from sansface.deidentify.keyed import Subject
from sansface.deidentify.redraw import Redrawing
from sansface.heads.albedo import CODES
from sansface.heads.appearance import Appearance
from sansface.heads.fit import FittedHead
from sansface.heads.landmarks import five_landmarks

IDENTITY = 1.5
"""Standard deviation of a virtual identity in the population's: farther from the mean head than most people
are, and so from each other."""
LIKE_HAIR = ("skin", "warmth", "brow colour", "beard")
"""Colours that hair, ears and neck show as well: they are the photograph's."""
DRAWN = Redrawing(kept=0.0, features=0.0, eyes=0.5, mouth=0.7, grain=0.1)
"""What stays of the photograph's detail: within lids and lips alone, for gaze and speech."""


def subjects(
    photograph: np.ndarray, tools: Tools, rng: np.random.Generator, cover: bool = False
) -> tuple[np.ndarray, list[Subject]]:
    """The faces of a photograph, each to be changed by the numbers of an identity and of an albedo.

    Args:
        photograph: (h, w, 3) uint8 sRGB.
        rng: chooses the pixels by which light is fitted; no secret.
        cover: black out a face that bears no fit, instead of refusing the photograph.

    Returns:
        the photograph with such faces covered, and all the others.

    Raises:
        SansfaceError: no face, or one that bears no fit (without `cover`).
    """
    faces = find(photograph, tools)
    if faces.unfitted and not cover:
        raise refusal(faces.unfitted[0])
    ready = photograph
    for finding, _ in faces.unfitted:
        ready, _ = covered(ready, finding.extent)
    made = []
    for head in faces.heads:
        beside = around(faces.heads, head, faces.hidden)
        appearance = appearance_of(tools.model, head, photograph, beside.hidden, rng)
        way = partial(_changed, tools, head, beside, appearance)
        made.append(Subject(five_landmarks(head.landmarks), len(head.identity) + len(CODES), way))
    return ready, made


def _changed(
    tools: Tools,
    head: FittedHead,
    beside: Around,
    appearance: Appearance,
    picture: np.ndarray,
    numbers: np.ndarray,
) -> np.ndarray:
    identity, albedo = np.split(numbers.astype(np.float64), [len(head.identity)])
    own = np.where([name in LIKE_HAIR for name in CODES], appearance.albedo, 0)
    moved = own + ALBEDO_SPREAD * albedo
    face = Face((IDENTITY * identity).clip(-MOST, MOST), moved)
    return change_held(tools, head, picture, beside, appearance, face, StepTwo(DRAWN))[0]
