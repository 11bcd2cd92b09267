"""Painted albedo: what each number of the code moves, and what it leaves alone."""

import numpy as np
import pytest

from sansface.errors import SansfaceError
from sansface.heads.albedo import CODES, albedo, eye_colour, inside, off_line
from sansface.heads.parametric import HeadModel, load_head_model

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


@pytest.fixture(scope="module")
def model() -> HeadModel:
    try:
        return load_head_model()
    except SansfaceError as missing:
        pytest.skip(f"needs the asset ict: {missing}")


def code(**numbers: float) -> np.ndarray:
    return np.array([numbers.get(name.replace(" ", "_"), 0.0) for name in CODES])


def places(model: HeadModel) -> dict[str, np.ndarray]:
    """Vertices that surely lie in a region, by landmarks."""
    marks, mean = model.landmarks, model.neutral
    skin = np.arange(model.parts["Head and Neck"][1])
    nose = skin[np.linalg.norm(mean[skin] - mean[marks[28]], axis=1) < 6]
    lips = np.array([marks[k] for k in (57, 51)])  # the middles of both lips' outlines lie on their edge
    lips = skin[np.linalg.norm(mean[skin] - mean[lips].mean(axis=0) - (0, -2, 2), axis=1) < 4]
    brow = skin[np.linalg.norm(mean[skin] - mean[marks[24]] - (0, 2, 0), axis=1) < 2.5]
    iris = np.arange(*model.parts["Sclera left"])
    off = np.linalg.norm(mean[iris, :2] - mean[iris, :2].mean(axis=0), axis=1)
    ahead = mean[iris, 2] > mean[iris, 2].mean()
    return {"nose": nose, "lips": lips, "brow": brow, "iris": iris[ahead & (off > 3) & (off < 5)]}


MOVES = {
    "skin": "nose",
    "warmth": "nose",
    "lip colour": "lips",
    "lip darkness": "lips",
    "brow colour": "brow",
    "brow density": "brow",
    "iris": "iris",
}


def test_colours_are_reflectances_of_every_vertex(model):
    rng = np.random.default_rng(0)
    for _ in range(5):
        colours = albedo(model, rng.normal(scale=1.5, size=len(CODES)))
        assert colours.shape == model.neutral.shape
        assert colours.dtype == np.float32
        assert colours.min() > 0
        assert colours.max() < 0.95
    np.testing.assert_array_equal(albedo(model, np.zeros(0)), albedo(model, np.zeros(len(CODES))))


@pytest.mark.parametrize("name", CODES)
def test_each_number_moves_its_own_region_and_leaves_the_others(model, name):
    one = np.eye(len(CODES))[CODES.index(name)]
    change = np.abs(albedo(model, 1.5 * one) - albedo(model, -1.5 * one)).max(axis=1)
    assert change.max() > 0.02
    regions = places(model)
    for region in ("nose", "lips", "brow", "iris"):
        if MOVES.get(name) == region:
            assert change[regions[region]].mean() > 0.02, region
        elif name not in ("skin", "warmth") and (name, region) != ("brow thickness", "brow"):
            assert change[regions[region]].mean() < 0.01, region


def test_the_words_say_which_way(model):
    regions = places(model)

    def light(region: str, **numbers: float) -> float:
        return float((albedo(model, code(**numbers))[regions[region]] @ LUMINANCE).mean())

    assert light("nose", skin=1) < 0.6 * light("nose", skin=-1)
    assert light("brow", brow_colour=1) < light("brow", brow_colour=-1)
    assert light("brow", brow_density=1) < light("brow", brow_density=-1)
    assert light("lips", lip_darkness=1) < light("lips", lip_darkness=-1)
    assert light("iris", iris=1) < light("iris", iris=-1)
    thin, thick = (albedo(model, code(brow_thickness=t, brow_colour=1)) @ LUMINANCE for t in (-1.5, 1.5))
    head = np.arange(model.parts["Face"][1])
    assert (thick[head] < 0.5 * thick[regions["nose"]].mean()).sum() > 1.3 * (
        thin[head] < 0.5 * thin[regions["nose"]].mean()
    ).sum()


def test_a_code_that_is_too_long_or_not_finite_is_refused(model):
    for wrong in (np.zeros(len(CODES) + 1), np.array([np.nan])):
        with pytest.raises(SansfaceError, match="albedo code"):
            albedo(model, wrong)


def test_inside_and_off_line_against_a_square():
    square = np.array([[0, 0], [2, 0], [2, 2], [0, 2]], dtype=float)
    points = np.array([[1, 1], [3, 1], [-1, 1], [1, 2.5], [0.1, 1.9]])
    np.testing.assert_array_equal(inside(points, square), [True, False, False, False, True])
    away, along = off_line(points, square[:2])
    np.testing.assert_allclose(away, [1, np.hypot(1, 1), np.hypot(1, 1), 2.5, 1.9])
    np.testing.assert_allclose(along, [0.5, 1, 0, 0.5, 0.05])


def test_an_eye_is_a_pupil_in_an_iris_in_white():
    colours = eye_colour(np.array([0.0, 4.0, 9.0, np.inf]), np.array([0.1, 0.2, 0.3]))
    assert colours[0].max() < 0.01
    np.testing.assert_allclose(colours[1], [0.1, 0.2, 0.3])
    np.testing.assert_allclose(colours[2:], colours[3, 0])
    assert colours[3, 0] > 0.4
