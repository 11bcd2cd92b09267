"""What stands before a face: sunglasses and masks are told, bare faces of any skin are not."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from painted import astronaut, fitted, head_model, painted
from sansface.deidentify.faces import Tools, find, hidden_by
from sansface.heads.albedo import CODES
from sansface.heads.fit import FittedHead
from sansface.heads.parametric import HeadModel

LENSES = (
    (70, 63, 105, 66, 107, 55, 193, 245, 128, 121, 120, 119, 118, 117, 111, 143),
    (300, 293, 334, 296, 336, 285, 417, 465, 357, 350, 349, 348, 347, 346, 340, 372),
)
"""MediaPipe's landmarks around each eye, brow included."""
JAW = (234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454)
ACROSS = (350, 197, 121)


def face(skin: float, turn: float = 0.0, beard: float = 0.0) -> tuple[HeadModel, FittedHead, np.ndarray]:
    model, code = head_model(), np.zeros(len(CODES))
    head = fitted(model, seed=3, turn=turn)
    code[CODES.index("skin")], code[CODES.index("beard")] = skin, beard
    return model, head, painted(model, head.vertices(model), head.camera, code)


def covered(picture: np.ndarray, outlines: list[np.ndarray], colour: tuple[int, int, int], share: float = 1):
    """The picture with something over these outlines, (k, 2) pixels each."""
    over = np.zeros(picture.shape[:2], np.uint8)
    for outline in outlines:
        cv2.fillPoly(over, [np.rint(outline).astype(np.int32)], 255)
    part = share * cv2.GaussianBlur(over / 255.0, (0, 0), 1)[..., None]
    return (picture * (1 - part) + np.array(colour) * part).astype(np.uint8)


def with_sunglasses(picture: np.ndarray, head: FittedHead, share: float = 0.95) -> np.ndarray:
    return covered(picture, [head.landmarks[list(lens)] for lens in LENSES], (25, 22, 22), share)


def with_mask(picture: np.ndarray, head: FittedHead, colour: tuple[int, int, int]) -> np.ndarray:
    return covered(picture, [head.landmarks[list(JAW + ACROSS)]], colour)


@pytest.mark.parametrize("turn", [0.0, 35.0])
@pytest.mark.parametrize("skin", [-1.5, 0.0, 1.0, 1.5])
def test_a_bare_face_is_hidden_by_nothing(skin, turn):
    model, head, picture = face(skin, turn)
    assert hidden_by(model, head, picture) == ""
    assert hidden_by(model, head, face(skin, turn, beard=2.0)[2]) == ""
    grey = np.repeat(picture.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    assert hidden_by(model, head, grey) == ""


@pytest.mark.parametrize("skin", [-1.5, 0.0, 1.0])
def test_a_covered_face_is_hidden_by_what_covers_it(skin):
    model, head, picture = face(skin)
    assert hidden_by(model, head, with_sunglasses(picture, head)) == "it is hidden by sunglasses"
    assert "a mask" in hidden_by(model, head, with_mask(picture, head, (150, 190, 215)))


@pytest.mark.parametrize(("skin", "colour"), [(0.0, (28, 28, 30)), (0.0, (225, 225, 225)), (1.5, (225,) * 3)])
def test_masks_without_colour(skin, colour):
    model, head, picture = face(skin)
    assert "a mask" in hidden_by(model, head, with_mask(picture, head, colour))


def test_a_photograph_of_sunglasses_is_refused_and_grey_ones_are_none():
    head_model()
    tools, photograph = Tools(), astronaut()
    (head,) = find(photograph, tools).heads
    assert not find(photograph, tools).unfitted
    dark = find(with_sunglasses(photograph, head), tools)
    assert not dark.heads
    ((_, reason),) = dark.unfitted
    assert reason == "it is hidden by sunglasses"
    grey = np.repeat(photograph.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    assert len(find(grey, tools).heads) == 1


def test_of_a_face_of_which_nothing_is_seen_nothing_is_said():
    model, head, picture = face(0.0)
    away = replace(head.camera, K=head.camera.K + np.array([[0, 0, 1e4], [0, 0, 0], [0, 0, 0]]))
    assert hidden_by(model, replace(head, camera=away), picture) == ""
