"""What stands around a face: nearer faces hide it, farther ones stay, and nobody hides himself."""

import dataclasses

import numpy as np
import pytest

from painted import fitted, head_model
from sansface.deidentify.around import around
from sansface.heads.fit import FittedHead

SHAPE = (400, 600)


@pytest.fixture(scope="module")
def near() -> FittedHead:
    return fitted(head_model(), 0, 0.0, 0.0)


def smaller(head: FittedHead, factor: float, right: float) -> FittedHead:
    """The same face, smaller, and farther right."""
    middle = head.landmarks.mean(axis=0)
    points = middle + factor * (head.landmarks - middle) + np.array([right, 0.0])
    return dataclasses.replace(head, landmarks=points)


def at(mask: np.ndarray, head: FittedHead) -> bool:
    x, y = head.landmarks.mean(axis=0).astype(int)
    return bool(mask[y, x])


def test_alone_there_is_hair_and_nothing_else(near):
    hair = np.zeros(SHAPE, dtype=bool)
    hair[:20] = True
    found = around([near], near, hair)
    np.testing.assert_array_equal(found.hidden, hair)
    assert not found.still.any()


def test_the_nearer_face_hides_the_farther_one_and_neither_moves_the_other(near):
    far = smaller(near, 0.7, 0.8 * np.ptp(near.landmarks[:, 0]))
    hair = np.zeros(SHAPE, dtype=bool)
    of_far, of_near = (around([near, far], one, hair) for one in (far, near))
    assert at(of_far.hidden, near)
    assert at(of_far.still, near)
    assert not at(of_near.hidden, far)
    assert at(of_near.still, far)
    assert not at(of_near.still, near)
    assert not of_near.hidden.any()


def test_where_faces_overlap_the_nearer_one_moves(near):
    far = smaller(near, 0.7, 0.3 * np.ptp(near.landmarks[:, 0]))
    hair = np.zeros(SHAPE, dtype=bool)
    both = around([near, far], far, hair).hidden & around([near, far], far, hair).still
    assert both.any()
    assert not (around([near, far], near, hair).still & both).any()
