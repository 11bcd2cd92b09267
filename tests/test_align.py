"""Faces cut out by their landmarks: exact for known motions, the same from any place and size."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sansface.recognise.align import EYES, SIDE, TEMPLATE, cut, placed_template, similarity


@given(st.floats(-3.1, 3.1), st.floats(0.1, 10), st.floats(-50, 50), st.floats(-50, 50))
def test_a_similarity_is_found_exactly(angle, scale, x, y):
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = similarity(TEMPLATE, TEMPLATE @ turn.T + (x, y))
    np.testing.assert_allclose(found, np.column_stack([turn, (x, y)]), atol=1e-8)


def test_it_is_the_best_one():
    rng = np.random.default_rng(0)
    onto = TEMPLATE + rng.normal(0, 3, TEMPLATE.shape)

    def error(fit):
        return np.square(TEMPLATE @ fit[:, :2].T + fit[:, 2] - onto).sum()

    best = similarity(TEMPLATE, onto)
    for _ in range(50):
        change = rng.normal(0, 1e-3, 4)
        other = best + np.array([[change[0], -change[1], change[2]], [change[1], change[0], change[3]]])
        assert error(best) < error(other)


def test_a_mirrored_face_is_not_mirrored_back():
    fit = similarity(TEMPLATE * (-1, 1), TEMPLATE)
    assert np.linalg.det(fit[:, :2]) > 0


def test_the_template_itself_is_left_where_it_is():
    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.random((SIDE, SIDE, 3)).astype(np.float32), (0, 0), 3)
    assert np.abs(cut(picture, TEMPLATE, SIDE) - picture).max() < 0.01


@pytest.mark.parametrize("eyes", [11.0, 22.0])
def test_a_dot_at_a_landmark_comes_to_its_place(eyes):
    """Of the photograph's own size, place and turn nothing is left."""
    angle, scale, shift = 0.4, 1.7, (60.0, 20.0)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    landmarks = TEMPLATE @ turn.T + shift
    y, x = np.mgrid[:320, :320] + 0.5
    for number in range(5):
        dot = np.exp(-((x - landmarks[number, 0]) ** 2 + (y - landmarks[number, 1]) ** 2) / (2 * 4.0**2))
        small = cut(dot.astype(np.float32), landmarks, 64, eyes)
        v, u = np.mgrid[:64, :64] + 0.5
        centre = np.array([(u * small).sum(), (v * small).sum()]) / small.sum()
        np.testing.assert_allclose(centre, placed_template(64, eyes)[number], atol=0.03)


def test_pixels_are_averaged_over_their_area():
    """A chessboard finer than the pixels comes out grey, not as a pattern of its own."""
    board = (np.indices((224, 224)).sum(axis=0) % 2).astype(np.float32)
    small = cut(board, 2 * TEMPLATE, 28, EYES / 4)
    assert np.abs(small[4:-4, 4:-4] - 0.5).max() < 0.02


def test_codes_become_fractions():
    white = np.full((SIDE, SIDE, 3), 255, np.uint8)
    assert cut(white, TEMPLATE, SIDE).dtype == np.float32
    assert cut(white, TEMPLATE, SIDE).max() == pytest.approx(1)
