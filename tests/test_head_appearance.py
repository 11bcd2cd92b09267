"""Light and albedo of renderings whose light and albedo are known."""

import numpy as np
import pytest

import model_openness
from landmark_places import view
from painted import drawn, head_model, shape
from sansface.errors import SansfaceError
from sansface.heads import appearance as a
from sansface.heads.albedo import CODES, albedo_seen
from sansface.heads.appearance import fit_appearance, openness, shading
from sansface.heads.light import COUNT, ambient, random_light
from sansface.heads.look import Seen, look
from sansface.heads.parametric import HeadModel


@pytest.fixture(scope="module")
def model() -> HeadModel:
    return head_model()


@pytest.fixture(scope="module")
def seen(model) -> Seen:
    return look(model, shape(model, *drawn(0)), view(15, 0).resized(64, 64))


def lit(model: HeadModel, seen: Seen, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(k, 3) colours of a head by some light, and (k,) bool: its face."""
    rng = np.random.default_rng(seed)
    code = 0.7 * rng.normal(size=len(CODES)) * (a.PRIOR == 1)  # brows and irises as the fit believes them
    grey = random_light(rng).mean(axis=1)
    light = np.outer(grey, np.exp([0.08, 0, -0.08]))
    colours = albedo_seen(model, seen, code) * np.maximum(shading(seen, light), 0)
    return colours, seen.is_part("Face") & (seen.facing > 0.15)


def reproduced(model: HeadModel, seen: Seen, found: a.Appearance) -> np.ndarray:
    return albedo_seen(model, seen, found.albedo) * shading(seen, found.light)


@pytest.mark.parametrize("seed", range(4))
def test_the_fit_shows_the_same_colours(model, seen, seed):
    colours, face = lit(model, seen, seed)
    found = fit_appearance(model, seen, colours, face, np.random.default_rng(0))
    shown = reproduced(model, seen, found)[face]
    off = np.abs(np.log((shown + a.DARK) / (colours[face] + a.DARK)))
    even = np.abs(np.log((np.median(colours[face], axis=0) + a.DARK) / (colours[face] + a.DARK)))
    assert np.median(off) < 0.05
    assert np.median(off) < 0.3 * np.median(even)
    assert found.light.shape == (COUNT, 3)
    assert found.albedo.shape == found.albedo_spread.shape == (len(CODES),)
    assert (np.abs(found.albedo) <= 3).all()
    assert (found.albedo_spread <= a.PRIOR * 1.0001).all()
    assert (found.albedo_spread > 0).all()


def test_what_is_not_trusted_does_not_count(model, seen):
    colours, face = lit(model, seen, 1)
    hidden = np.random.default_rng(0).random(len(face)) < 1 / 3
    other = np.where(hidden[:, None], np.array([0.0, 5.0, 0.0]), colours)
    one, two = (
        fit_appearance(model, seen, shown, face & ~hidden, np.random.default_rng(0))
        for shown in (colours, other)
    )
    np.testing.assert_array_equal(one.light, two.light)
    np.testing.assert_array_equal(one.albedo, two.albedo)


def test_a_tenth_in_the_way_hardly_matters(model, seen):
    """Spectacles' rims and hairs that no mask has: black, and yet trusted."""
    colours, face = lit(model, seen, 2)
    marred = np.where((np.random.default_rng(0).random(len(face)) < 0.1)[:, None], 0.0, colours)
    found = fit_appearance(model, seen, marred, face, np.random.default_rng(0))
    off = np.abs(np.log((reproduced(model, seen, found)[face] + a.DARK) / (colours[face] + a.DARK)))
    assert np.median(off) < 0.1


def test_the_light_comes_from_where_it_came(model, seen):
    for side in (-1.0, 1.0):
        grey = ambient(np.full(3, 0.4))[:, 0]
        grey[3] += side * 0.6  # the harmonic that grows with x
        colours = albedo_seen(model, seen, np.zeros(len(CODES))) * shading(seen, np.outer(grey, np.ones(3)))
        face = seen.is_part("Face") & (seen.facing > 0.15)
        found = fit_appearance(model, seen, colours.clip(0), face, np.random.default_rng(0))
        assert side * found.light[3].mean() > 0.3


def test_too_little_to_go_by_is_an_error(model, seen):
    colours, face = lit(model, seen, 0)
    nothing = np.zeros_like(face)
    nothing[np.flatnonzero(face)[:10]] = True
    with pytest.raises(SansfaceError, match="too little of a face is to be seen"):
        fit_appearance(model, seen, colours, nothing, np.random.default_rng(0))


def test_corners_see_less_of_the_sky(model):
    sky, marks = openness(), model.landmarks
    assert sky.shape == (len(model.neutral),)
    assert sky.min() >= a.BOUNCED
    assert sky.max() <= 1
    tip, inner_corner = sky[marks[30]], sky[marks[39]]
    assert tip > 0.9
    assert inner_corner < tip - 0.15


@pytest.mark.slow
def test_the_openness_is_found_again_with_few_rays(model, monkeypatch, tmp_path):
    from safetensors.numpy import load_file

    monkeypatch.setattr(model_openness, "RAYS", 24)
    monkeypatch.setattr(model_openness, "HOME", tmp_path / "openness.safetensors")
    model_openness.main()
    again = a.BOUNCED + (1 - a.BOUNCED) * load_file(tmp_path / "openness.safetensors")["openness"] / 255.0
    face = slice(*model.parts["Face"])
    assert np.abs(again - openness())[face].mean() < 0.06  # of 24 yes or no: a tenth of the unblocked share
    assert abs((again - openness())[face].mean()) < 0.005
