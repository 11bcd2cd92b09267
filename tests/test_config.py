"""Settings: named presets, nothing unknown, the way through JSON, limits."""

import json
from dataclasses import FrozenInstanceError, replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sansface.errors import SansfaceError
from sansface.fields.registry import FIELDS, make_field
from sansface.reconstruct.config import PRESETS, Config, Ramp, changed, from_dict, preset
from small import small_config

every_preset = pytest.mark.parametrize("name", PRESETS)
positive = st.floats(1e-6, 1e3)


@given(start=positive, end=positive, share=st.floats(0.1, 1), a=st.floats(0, 1), b=st.floats(0, 1))
@settings(deadline=None)
def test_a_ramp_goes_by_equal_factors_and_stays(start, end, share, a, b):
    ramp = Ramp(start, end, share)
    assert ramp.at(0.0) == pytest.approx(start)
    assert ramp.at(share / 2) == pytest.approx((start * end) ** 0.5)
    assert ramp.at(share) == pytest.approx(end)
    assert ramp.at(1.0) == pytest.approx(end)
    low, high = sorted((ramp.at(min(a, b)), ramp.at(max(a, b))), reverse=end < start)
    assert ramp.at(min(a, b)) == low
    assert ramp.at(max(a, b)) == high


@every_preset
def test_presets_are_named_and_frozen(name):
    config = preset(name)
    assert config.preset == name
    with pytest.raises(FrozenInstanceError):
        config.preset = "mine"  # type: ignore[misc]


@pytest.mark.parametrize("name", [name for name in PRESETS if isinstance(preset(name), Config)])
def test_presets_of_a_field_name_one_that_takes_their_settings(name):
    config = preset(name)
    assert config.field in FIELDS
    make_field(config.field, config.field_settings, torch.Generator())  # takes its settings


@every_preset
def test_the_way_through_json_changes_nothing(name):
    config = preset(name)
    assert from_dict(json.loads(json.dumps(config.as_dict()))) == config


def test_so_it_does_for_settings_unlike_their_preset():
    rough = changed(preset("paper"), {"stage1": {"smoothness": {"start": 1e-3, "end": 1e-4}}})
    assert rough.stage1.smoothness == Ramp(1e-3, 1e-4)
    bare = replace(preset("fast"), stage2=replace(preset("fast").stage2, smoothness=None), patch=16)
    for config in (preset("fast", 256), rough, bare, small_config(), small_config(field="mlp")):
        assert from_dict(json.loads(json.dumps(config.as_dict()))) == config


def test_unknown_keys_are_refused_by_name_at_any_depth():
    config = preset("fast")
    for changes, name in (
        ({"sample": 3}, "sample"),
        ({"stage1": {"step": 3}}, "step"),
        ({"stage2": {"beta": {"begin": 0.1}}}, "begin"),
    ):
        with pytest.raises(SansfaceError, match=f"no '{name}'"):
            changed(config, changes)
        with pytest.raises(SansfaceError, match=f"no '{name}'"):
            from_dict({"preset": "fast", **changes})
    with pytest.raises(SansfaceError, match="no preset 'slow'; choose one of fast, paper"):
        preset("slow")
    with pytest.raises(SansfaceError, match="no preset 'None'"):
        from_dict({"samples": 3})


def test_a_change_changes_that_and_nothing_else():
    config = preset("fast")
    other = changed(config, {"samples": 5, "stage2": {"beta": {"end": 0.5}}})
    assert other.samples == 5
    assert other.stage2.beta == replace(config.stage2.beta, end=0.5)
    assert replace(other, samples=config.samples, stage2=config.stage2) == config


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"samples": 0}, "samples"),
        ({"coarse_looks": 2}, "coarse_looks"),
        ({"patch": 1}, "patch"),
        ({"silhouette_rays": 5}, "silhouette_rays"),
        ({"mesh_resolution": 1}, "mesh_resolution"),
        ({"distance_rate": -1.0}, "distance_rate"),
        ({"distance_rate": float("nan")}, "distance_rate"),
        ({"stage1": {"steps": -1}}, "steps"),
        ({"stage2": {"views": 0}}, "views"),
        ({"stage2": {"gradient": -1.0}}, "gradient"),
        ({"stage1": {"beta": {"end": 0.0}}}, "ramp"),
        ({"stage1": {"smoothness": {"share": 0.0}}}, "ramp"),
    ],
)
def test_settings_beyond_their_limits_are_refused(changes, named):
    with pytest.raises(SansfaceError, match=named) as caught:
        changed(preset("fast"), changes)
    assert "correct" in str(caught.value)


def test_an_unknown_shape_of_the_rates_is_refused():
    with pytest.raises(SansfaceError, match="'exponential' or 'cosine', not 'linear'"):
        changed(preset("fast"), {"rate_shape": "linear"})


def test_an_optimiser_that_never_forgets_is_refused():
    with pytest.raises(SansfaceError, match=r"memory is less than 1, unlike 1\.0; correct"):
        changed(preset("fast"), {"memory": 1.0})


def test_larger_pictures_get_larger_windows_and_smaller_ones_no_smaller():
    sizes = (64, 128, 256, 512)
    assert preset("fast", 32) == preset("fast", 64)
    patches = [preset("fast", n).patch for n in sizes]
    rays = [preset("fast", n).silhouette_rays for n in sizes]
    for grown in (patches, rays):
        assert grown == sorted(set(grown))
    # What a step draws grows more slowly than the pixels do.
    assert all((b / a) ** 2 < 4 for a, b in pairwise(patches))
    assert all(b / a < 4 for a, b in pairwise(rays))
    assert preset("paper", 256) == preset("paper")


def test_where_no_view_is_neutral_the_papers_first_stage_still_asks_for_a_template():
    assert preset("paper", 64, (0, 20)).stage1.steps > 0
