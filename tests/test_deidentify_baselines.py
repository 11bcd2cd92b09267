"""Blur, pixelation and black oval: they hide the face, change nothing else, and fail closed."""

import numpy as np
import pytest
from skimage.data import astronaut

from sansface.deidentify.baselines import black_box, blur, pixelation
from sansface.deidentify.methods import KINDS, Chosen, chosen
from sansface.deidentify.oval import RADII, box, oval
from sansface.errors import SansfaceError
from sansface.recognise.align import Placing
from sansface.recognise.detect import Yunet

LARGE = Placing(224)
RNG = np.random.default_rng(0)


@pytest.fixture
def photograph(shared_assets) -> np.ndarray:
    """Eileen Collins, by NASA: public domain."""
    return astronaut()


def test_an_oval_is_an_ellipse():
    for scale in (0.5, 1.0, 1.3):
        inside = oval(LARGE.landmarks, 224, 224, scale)
        assert inside.sum() == pytest.approx(np.pi * RADII.prod() * scale**2, rel=0.01)
    rows, columns = box(oval(LARGE.landmarks, 224, 224))
    assert (rows.stop - rows.start, columns.stop - columns.start) == pytest.approx(2 * RADII[::-1], abs=2)


def test_an_oval_follows_the_face():
    """Moved, twice as large and turned by 90°: the same share, at the place where the face went."""
    turned = 2 * (LARGE.landmarks - 112) @ np.array([[0, 1], [-1, 0]]) + (300, 200)
    inside = oval(turned, 500, 600)
    assert inside.sum() == pytest.approx(4 * np.pi * RADII.prod(), rel=0.01)
    rows, columns = box(inside)
    assert columns.stop - columns.start == pytest.approx(4 * RADII[1], abs=2)
    assert inside[:, columns].any(axis=0).all()
    assert rows.start <= turned[:, 1].min() <= turned[:, 1].max() <= rows.stop


@pytest.mark.parametrize("name", ["blur", "pixelation", "black box"])
def test_a_baseline_changes_the_face_alone(photograph: np.ndarray, name: str):
    before = photograph.copy()
    hidden = Chosen(name, KINDS[name].strength).make()(photograph, RNG)
    np.testing.assert_array_equal(photograph, before)
    yunet = Yunet()
    face = yunet.nearest(photograph)
    assert face is not None
    assert (hidden.shape, hidden.dtype) == (photograph.shape, np.uint8)
    # The detector may take another thing for a face besides; all ovals together are what may change.
    ovals = np.any([oval(one.landmarks, 512, 512) for one in yunet.every(photograph)], axis=0)
    np.testing.assert_array_equal(hidden[~ovals], photograph[~ovals])
    inside = oval(face.landmarks, 512, 512)
    assert (hidden[inside] != photograph[inside]).any(axis=1).mean() > 0.9


def test_black_is_black_and_pixels_are_their_means(photograph: np.ndarray):
    face = Yunet().nearest(photograph)
    assert face is not None
    inside = oval(face.landmarks, 512, 512)
    assert not black_box(1.0)(photograph, RNG)[inside].any()
    side = round(0.5 * face.eyes)
    hidden = pixelation(0.5)(photograph, RNG)
    row, column = (int(place // side) for place in face.landmarks[2][::-1])  # the block of the nose's tip
    block = np.s_[row * side : (row + 1) * side, column * side : (column + 1) * side]
    assert inside[block].all()
    mean = photograph[block].mean(axis=(0, 1))
    np.testing.assert_allclose(hidden[block].reshape(-1, 3), np.tile(mean, (side**2, 1)), atol=0.51)


def test_more_strength_hides_more(photograph: np.ndarray):
    for make in (blur, pixelation, black_box):
        weak, strong = (make(strength)(photograph, RNG).astype(float) for strength in (0.2, 0.8))
        assert np.square(weak - photograph).sum() < np.square(strong - photograph).sum()


def test_where_there_is_no_face_there_is_no_picture(shared_assets):
    grey = np.full((200, 200, 3), 128, np.uint8)
    for make in (blur, pixelation, black_box):
        with pytest.raises(SansfaceError, match="no face is found"):
            make(0.5)(grey, RNG)


@pytest.mark.parametrize("strength", [0.0, -1.0, float("nan"), float("inf")])
def test_a_strength_is_above_zero(shared_assets, strength: float):
    for make in (blur, pixelation, black_box):
        with pytest.raises(SansfaceError, match="not above 0"):
            make(strength)


def test_methods_by_name():
    assert chosen("blur@0.25") == Chosen("blur", 0.25)
    assert chosen("black box") == Chosen("black box", 1.0)
    assert str(chosen("pixelation@0.30")) == "pixelation 0.3"
    with pytest.raises(SansfaceError, match=r"no method 'mask'; choose of .*blur, "):
        chosen("mask")
    with pytest.raises(SansfaceError, match=r"is no number; say it like blur@0\.5"):
        chosen("blur@much")
    for kind in KINDS.values():
        assert list(kind.strengths) == sorted(kind.strengths)
