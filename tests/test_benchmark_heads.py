"""The benchmark's heads: painted where they should be, photographed from where nothing of the face shows."""

import sys
from pathlib import Path

import numpy as np
import pytest

from sansface.capture import Role
from sansface.heads.parametric import load_head_model

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import benchmark_heads as heads
import make_captures
import path_tracing


def test_the_ten_are_as_different_as_the_benchmark_wants():
    assert len(heads.SITTERS) == 10
    assert len({sitter.seed for sitter in heads.SITTERS}) == 10
    assert [sitter.tone for sitter in heads.SITTERS] == list(range(10))
    assert sum(sitter.hair is not None for sitter in heads.SITTERS) == 3
    assert sum(bool(sitter.expression) for sitter in heads.SITTERS) == 3
    assert sum(sitter.hard_light for sitter in heads.SITTERS) == 2


def test_colours_lie_where_they_should(shared_assets):
    model = load_head_model()
    sitter = heads.SITTERS[0]
    skin, left, right, teeth, flesh = heads.sit(model, sitter)
    assert {left.material, right.material} == {"eye"}
    marks = heads.shape(model, sitter)[model.landmarks]

    def near(place: np.ndarray) -> np.ndarray:
        away = np.linalg.norm(skin.mesh.vertices - place, axis=1)
        return skin.colour[away < away.min() + 2.0].mean(axis=0)

    cheek = near(marks[30] + (45, -20, -40))
    lip, brow = near(marks[[57, 66]].mean(axis=0)), near(marks[19])
    assert lip[0] / lip[1] > 1.3 * cheek[0] / cheek[1]
    assert brow.mean() < cheek.mean() - 0.25
    crown = skin.colour[skin.mesh.vertices[:, 1].argmax()]
    assert crown.mean() < cheek.mean() - 0.25
    assert left.colour.min() < 0.02 < 0.5 < left.colour.max()
    for one in (skin, left, right, teeth, flesh):
        assert one.colour.shape == one.mesh.vertices.shape
        assert ((one.colour > 0) & (one.colour < 1)).all()


@pytest.mark.slow  # hair grows one lock at a time
@pytest.mark.parametrize("style", [1, 4, 8])
def test_hair_is_geometry(shared_assets, style):
    model = load_head_model()
    bare, haired = heads.sit(model, heads.SITTERS[style])[0], heads.sit(model, heads.SITTERS[style])[-1]
    assert haired.material == "hair"
    thick, _ = heads.HAIR[heads.SITTERS[style].hair or ""]
    top, bare_top = (np.percentile(one.mesh.vertices[:, 1], 99.9) for one in (haired, bare))
    if heads.SITTERS[style].hair != "bun":
        assert top > bare_top + 0.5 * thick


def test_a_neutral_view_of_the_nose_is_refused(shared_assets):
    model = load_head_model()
    sitter = heads.SITTERS[3]
    mesh = path_tracing.joined(heads.sit(model, sitter))
    cameras, sphere = path_tracing.cameras_of(mesh, 30, 64, 0, make_captures.BEHIND)
    assert np.linalg.norm(mesh.vertices - sphere.center, axis=1).max() < sphere.radius
    assert sum(role is Role.NEUTRAL for _, role in cameras) == 10
    places = heads.features(model, heads.shape(model, sitter))
    make_captures.check_neutral(mesh, places, cameras)
    more, _ = path_tracing.cameras_of(mesh, 35, 64, 0, make_captures.BEHIND, 15)
    assert [sum(role is kind for _, role in more) for kind in (Role.SENSITIVE, Role.NEUTRAL)] == [20, 15]
    make_captures.check_neutral(mesh, places, more)
    turned = [(camera, Role.NEUTRAL) for camera, role in cameras if role is Role.SENSITIVE]
    with pytest.raises(AssertionError, match="the neutral view 0 sees"):
        make_captures.check_neutral(mesh, places, turned)
