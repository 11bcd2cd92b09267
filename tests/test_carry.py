"""The photograph carried along with a change of shape: nothing for none, no folds, still beyond the rings."""

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from painted import fitted, head_model
from sansface.deidentify import carry
from sansface.deidentify.carry import Carried, carried, laid_on
from sansface.deidentify.ideudemon import IDENTITY, MOST
from sansface.heads.fit import FittedHead
from sansface.heads.parametric import HeadModel

POSES = ((0.0, 0.0), (30.0, 0.0), (-45.0, 5.0), (10.0, -20.0))


@pytest.fixture(scope="module")
def model() -> HeadModel:
    return head_model()


@pytest.fixture(scope="module")
def heads(model) -> list[FittedHead]:
    return [fitted(model, seed, turn, nod) for seed, (turn, nod) in enumerate(POSES)]


def other(model: HeadModel, head: FittedHead, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices as they were, and of another identity, as de-identification draws it."""
    old = head.vertices(model)
    noise = IDENTITY * np.random.default_rng(seed).normal(size=100)
    return old, laid_on(head.vertices(model, (head.identity + noise).clip(-MOST, MOST)), old)


def nothing(head: FittedHead) -> np.ndarray:
    return np.zeros((head.camera.height, head.camera.width), dtype=bool)


def centres(way: Carried) -> np.ndarray:
    left, top, width, height = way.box
    x, y = np.arange(width) + left + 0.5, np.arange(height) + top + 0.5
    return np.stack(np.meshgrid(x, y), axis=-1)


def moved_by(head: FittedHead, right: float, down: float) -> FittedHead:
    """The same head elsewhere on a picture of the same size."""
    K = np.array(head.camera.K)
    K[:2, 2] += right, down
    camera = dataclasses.replace(head.camera, K=K)
    return dataclasses.replace(head, camera=camera, landmarks=head.landmarks + np.array([right, down]))


@pytest.mark.parametrize("pose", range(len(POSES)))
def test_no_change_of_shape_moves_nothing(model, heads, pose):
    head = heads[pose]
    way = carried(model, head, head.vertices(model), head.vertices(model), nothing(head))
    assert way is not None
    np.testing.assert_array_equal(way.source, centres(way).astype(np.float32))
    picture = np.random.default_rng(0).integers(0, 256, (head.camera.height, head.camera.width, 3), np.uint8)
    np.testing.assert_array_equal(way.pixels(picture), way.part(picture))


@pytest.mark.parametrize("pose", range(len(POSES)))
def test_the_map_is_still_beyond_the_rings_and_has_no_folds(model, heads, pose):
    for seed in (3, 6, 14, 30):
        way = carried(model, heads[pose], *other(model, heads[pose], seed), nothing(heads[pose]))
        assert way is not None
        still = way.moved == 0
        assert 0.02 < still.mean() < 0.6
        np.testing.assert_array_equal(way.source[still], centres(way)[still].astype(np.float32))
        assert np.abs(way.source - centres(way)).max() > 1
        across, down = (np.diff(way.source, axis=axis) for axis in (1, 0))
        area = across[:-1, :, 0] * down[:, :-1, 1] - across[:-1, :, 1] * down[:, :-1, 0]
        assert area.min() > 0
        assert area.max() < 10


def test_a_large_picture_moves_as_a_small_one(model):
    """So the plate is as stiff, in distances between the eyes, at any size."""
    small, large = (fitted(model, 0, 10, 0, eyes) for eyes in (40, 160))
    ways = [carried(model, head, *other(model, head, 6), nothing(head)) for head in (small, large)]
    shifts = [
        np.abs(way.source - centres(way)).max() / head.eyes
        for way, head in zip(ways, (small, large), strict=True)
    ]
    np.testing.assert_allclose(*shifts, rtol=0.05)


def test_the_face_moves_with_its_shape(model, heads):
    """Where a place of the new face stands, there is about what stood at the same place of the old one.

    About, for the rings are near, and what is between gives way.
    """
    for pose, head in enumerate(heads):
        old, new = other(model, head, 50 + pose)
        way = carried(model, head, old, new, nothing(head))
        assert way is not None
        was, _ = head.camera.project(old[: carry.NARROW])
        now, _ = head.camera.project(new[: carry.NARROW])
        eye = head.camera.center
        seen = (carry._visible(model, old, eye) & carry._visible(model, new, eye))[: carry.NARROW]
        left, top = way.box[:2]
        at = (now[seen] - (left + 0.5, top + 0.5)).astype(np.float32)
        source = cv2.remap(way.source, at[:, None], None, cv2.INTER_LINEAR)[:, 0]  # type: ignore[call-overload]
        off = np.linalg.norm(source - was[seen], axis=1)
        assert np.median(off) < 0.4 * np.median(np.linalg.norm(now - was, axis=1))
        assert np.percentile(off, 95) < 0.1 * head.eyes


@settings(max_examples=15)
@given(st.floats(0.3, 3), st.integers(0, 1000))
def test_laid_on_takes_a_similarity_back(scale, seed):
    model, rng = head_model(), np.random.default_rng(seed)
    head = model.vertices(rng.normal(size=20)).astype(np.float64)
    turn = Rotation.random(random_state=seed).as_matrix()
    elsewhere = scale * head @ turn.T + rng.normal(size=3) * 100
    np.testing.assert_allclose(laid_on(elsewhere, head), head, atol=1e-6)
    mirrored = head * (-1, 1, 1)
    assert np.abs(laid_on(mirrored, head) - head).max() > 1  # turned, never mirrored


def test_a_face_that_is_cut_off_moves_up_to_the_pictures_rim(model, heads):
    head = moved_by(heads[0], heads[0].camera.width / 2, 0)
    way = carried(model, head, *other(model, head, 0), nothing(head))
    assert way is not None
    left, top, width, height = way.box
    assert left >= 0
    assert top >= 0
    assert left + width == head.camera.width
    assert top + height <= head.camera.height
    assert way.moved[:, -1].max() == 1
    assert way.moved[:, 0].max() == 0
    assert np.isfinite(way.source).all()


def test_what_stays_does_not_move_and_what_is_beside_it_moves_little(model, heads):
    head = heads[0]
    shapes, still = other(model, head, 0), nothing(head)
    free = carried(model, head, *shapes, still)
    still[:, : int(head.landmarks[:, 0].mean())] = True
    way = carried(model, head, *shapes, still)
    assert free is not None
    assert way is not None
    left, top, width, height = way.box
    fixed = still[top : top + height, left : left + width]
    moves = np.linalg.norm(way.source - centres(way), axis=2)
    assert (moves[fixed] == 0).all()
    edge = ~fixed & np.roll(fixed, 1, axis=1)
    assert moves[edge].max() < 0.05 * head.eyes  # no tear along it
    far = ~fixed & ~cv2.dilate(fixed.astype(np.uint8), np.ones((1, int(head.eyes)))).astype(bool)
    np.testing.assert_array_equal(way.moved[far], free.moved[far])


def test_a_face_beside_the_picture_is_not_carried(model, heads):
    head = moved_by(heads[0], 3 * heads[0].camera.width, 0)
    assert carried(model, head, *other(model, head, 0), nothing(head)) is None


def test_parts_and_pixels_are_those_of_the_box():
    picture = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)
    x, y = np.meshgrid(np.arange(4) + 3.5, np.arange(5) + 2.5)
    way = Carried((2, 1, 4, 5), np.stack([x, y], axis=-1).astype(np.float32), np.ones((5, 4), np.float32))
    np.testing.assert_array_equal(way.part(picture), picture[1:6, 2:6])
    np.testing.assert_array_equal(way.pixels(picture), picture[2:7, 3:7])
