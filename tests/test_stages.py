"""The two stages: who is drawn, what decides the result, what is learnt, and how a failure is said."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from conftest import BALL_CENTER, BALL_RADIUS
from sansface.errors import SansfaceError
from sansface.fields.lipschitz import LipschitzLinear
from sansface.fields.registry import FIELDS, make_field
from sansface.protect.operators import operator
from sansface.reconstruct import stages
from sansface.reconstruct.config import changed, preset
from sansface.reconstruct.rays import view_rays
from sansface.reconstruct.stages import chosen, drawn, make_optimiser, mixed, set_rates, train
from sansface.render.error_bounded import Sampler, error_bounded
from sansface.render.sampling import look
from sansface.render.volume import composite, render
from small import ball_supervision, killed_and_resumed, small_config

CPU = torch.device("cpu")


def trained(config, seed: int = 0, supervision=None, **options):
    moments = []
    field = train(supervision or ball_supervision(), config, seed, CPU, moments.append, **options)
    return field, moments


def same(a, b) -> bool:
    other = b.state_dict()
    return all(torch.equal(value, other[key]) for key, value in a.state_dict().items())


def sensitive():
    views = [view_rays(v, operator("sobel"), False, CPU) for v in ball_supervision().views]
    return chosen(views, "sensitive")


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_every_view_comes_once_an_epoch(count):
    views = sensitive()
    sequence = [id(v) for step in range(5 * 4) for v in drawn(views, step, count, seed=1)]
    assert len(sequence) == 5 * 4 * count
    for epoch in range(4 * count):
        assert Counter(sequence[5 * epoch : 5 * epoch + 5]) == Counter(id(v) for v in views)


def test_who_is_drawn_depends_on_step_and_seed_alone():
    views = sensitive()
    late = [id(v) for v in drawn(views, 17, 2, seed=1)]
    for step in range(17):
        drawn(views, step, 2, seed=1)
    torch.manual_seed(5)
    assert [id(v) for v in drawn(views, 17, 2, seed=1)] == late
    orders = {tuple(id(v) for step in range(5) for v in drawn(views, step, 2, seed)) for seed in range(5)}
    assert len(orders) == 5
    assert drawn(views, 3, 5, seed=1) == views
    assert drawn(views, 3, 9, seed=1) == views


def test_mixed_is_the_same_everywhere_and_different_for_different_numbers():
    assert mixed(0, 1, 2) == 0xB11ED5414FC5
    numbers = [(a, b, c) for a in range(10) for b in (1, 2) for c in range(50)]
    assert len({mixed(*n) for n in numbers}) == len(numbers)
    assert all(0 <= mixed(*n) < 2**48 for n in numbers)


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_learns_in_both_stages(name):
    field, moments = trained(small_config(2, 2, field=name))
    assert [(m.stage, m.step, m.steps) for m in moments] == [(1, 1, 2), (1, 2, 2), (2, 1, 2), (2, 2, 2)]
    assert all(math.isfinite(v) for m in moments for v in m.losses.values())
    untrained, _ = trained(small_config(0, 0, field=name))
    first = untrained.state_dict()
    groups = field.parameter_groups()
    names = {id(p): n for n, p in field.named_parameters()}
    for group in ("distance", "radiance"):
        assert any(not torch.equal(p, first[names[id(p)]]) for p in groups[group]), group


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("cut", [(1, 2), (1, 3), (2, 1)])
def test_a_resumed_training_is_the_undisturbed_one(tmp_path, name, cut):
    config = small_config(3, 2, field=name)
    whole, _ = trained(config)

    resumed, moments = killed_and_resumed(
        lambda watch: train(ball_supervision(), config, 0, CPU, watch),
        lambda resume: trained(config, resume=resume),
        cut,
        tmp_path,
    )
    assert same(whole, resumed)
    assert len(moments) == 5 - (cut[1] if cut[0] == 1 else 3 + cut[1])


def test_the_seed_decides_everything():
    config = small_config(2, 2)
    torch.manual_seed(1)
    first, _ = trained(config, seed=4)
    torch.manual_seed(2)
    second, _ = trained(config, seed=4)
    other, _ = trained(config, seed=5)
    assert same(first, second)
    assert not same(first, other)


def test_the_ball_is_learnt():
    """From a sphere of 0.5 in the middle to the ball of 0.625 beside it, in 60 steps and a second or two."""
    _, moments = trained(small_config(30, 30))

    def mean(stage: int, name: str, part: slice) -> float:
        return float(np.mean([m.losses[name] for m in moments if m.stage == stage][part]))

    for stage, name, share in ((1, "colour", 1.0), (1, "coverage", 0.25), (2, "gradient", 0.95)):
        assert mean(stage, name, slice(-10, None)) < share * mean(stage, name, slice(10)), (stage, name)
    truth = ball_supervision()
    centre = torch.from_numpy((BALL_CENTER - truth.center) / truth.radius).float()
    generator = torch.Generator().manual_seed(0)
    directions = torch.nn.functional.normalize(torch.randn((300, 3), generator=generator), dim=1)
    distance = moments[-1].field.now().sdf(centre + BALL_RADIUS / truth.radius * directions)
    assert distance.abs().mean() < 0.04  # at first it is 0.12


def test_layers_are_bounded_from_the_stage_that_asks_for_it():
    first, _ = trained(small_config(2, 0))
    both, _ = trained(small_config(2, 2))
    for field, bounded in ((first, False), (both, True)):
        layers = [m for m in field.radiance.modules() if isinstance(m, LipschitzLinear)]
        assert layers
        assert all(layer.bound.item() == bounded for layer in layers)


@pytest.mark.parametrize(("shape", "half_way"), [("exponential", 0.1**0.5), ("cosine", 0.55)])
def test_rates_fall_to_their_share(shape, half_way):
    config = small_config(rate_decay=0.1, rate_shape=shape)
    field, _ = trained(small_config(0, 0))
    optimiser = make_optimiser(field, config)
    starts = {group["lr"] for group in optimiser.param_groups}
    assert starts == {config.distance_rate, config.feature_rate, config.radiance_rate}
    for progress, factor in ((0.0, 1.0), (0.5, half_way), (1.0, 0.1)):
        set_rates(optimiser, config, progress)
        for group in optimiser.param_groups:
            assert group["lr"] == pytest.approx(group["start"] * factor)


def test_a_vanished_surface_is_said():
    settings = small_config().field_settings | {"radius": -0.5}  # positive everywhere
    with pytest.raises(SansfaceError, match="the subject has vanished; take another seed, check the cameras"):
        trained(small_config(field_settings=settings))


def test_a_surface_that_only_its_density_shows_may_come_back():
    """Positive everywhere, but a wide density is seen beside its surface; a narrow one is not."""

    def begun(beta: float):
        settings = small_config().field_settings | {"radius": -0.05}
        stage = {"views": 1, "beta": {"start": beta, "end": beta}}
        words = {"sampler": "error-bounded", "scattered": True, "background": True}
        return trained(small_config(3, 0, field_settings=settings, stage1=stage, **words))

    assert len(begun(0.1)[1]) == 3
    with pytest.raises(SansfaceError, match="vanished"):
        begun(0.004)


def test_a_window_of_nothing_but_background_is_no_vanished_subject():
    """Where the background is a target, too, small windows may well lie beside the subject."""
    config = small_config(40, 0, background=True, patch=3, stage1={"views": 1})
    _, moments = trained(config)
    assert len(moments) == 40
    assert min(moment.losses["colour"] for moment in moments) < 1e-4  # black, and rendered black


def test_a_loss_that_is_not_finite_is_said(monkeypatch):
    monkeypatch.setattr(stages, "silhouette_loss", lambda *a: torch.tensor(math.nan, requires_grad=True))
    with pytest.raises(SansfaceError, match="no longer a finite number in stage 1, step 0; lower"):
        trained(small_config())


@pytest.mark.parametrize("name", FIELDS)
def test_rates_that_are_far_too_large_end_in_a_sentence(name):
    rates = {"distance_rate": 1e38, "feature_rate": 1e38, "radiance_rate": 1e38}
    with pytest.raises(SansfaceError, match=r"finite number|vanished") as caught:
        trained(small_config(5, 5, field=name, **rates))
    assert "another seed" in str(caught.value)


def test_a_bundle_without_neutral_frames_is_refused_for_stage_1():
    truth = ball_supervision()
    faces = replace(truth, views=tuple(v for v in truth.views if not v.neutral))
    with pytest.raises(SansfaceError, match="no neutral frame"):
        trained(small_config(), supervision=faces)


def test_a_stage_may_be_left_out_and_silhouettes_may_stand_alone():
    _, moments = trained(small_config(0, 2))
    assert {m.stage for m in moments} == {2}
    _, moments = trained(small_config(1, 0, stage1={"colour": 0.0}))
    assert moments[0].losses.keys() == {"eikonal", "coverage", "smoothness", "volume", "beta"}


@pytest.mark.parametrize("patch", [8, 24])
def test_patches_and_whole_pictures_train(patch):
    _, moments = trained(small_config(2, 2, patch=patch))
    assert moments[-1].losses["gradient"] > 0


def test_the_paper_preset_trains():
    """Its own stages, with none of our terms but silhouettes, on a smaller network."""
    config = preset("paper")
    settings = config.field_settings | {"width": 64, "features": 16}
    steps = {"stage1": {"steps": 2}, "stage2": {"steps": 2}}
    _, moments = trained(changed(config, {"field_settings": settings, "patch": 12, **steps}))
    assert [set(m.losses) - {"beta"} for m in moments] == [
        *[{"colour", "eikonal"}] * 2,
        *[{"gradient", "coverage", "eikonal", "lipschitz"}] * 2,
    ]
    assert all(math.isfinite(v) for m in moments for v in m.losses.values())
    assert 0.05 < moments[-1].losses["beta"] != moments[0].losses["beta"] < 0.15  # it is learnt


def test_only_a_field_that_learns_beta_does_without_a_ramp():
    config = small_config()
    with pytest.raises(SansfaceError, match="does not learn β; give the stage's beta a start and an end"):
        trained(replace(config, stage1=replace(config.stage1, beta=None)))


@pytest.mark.parametrize("name", FIELDS)
def test_both_samplers_see_the_same_picture(name):
    """A ball, once with a few samples near its surface and once by VolSDF's Algorithm 1."""
    config = small_config(field=name)
    field = make_field(config.field, config.field_settings, torch.Generator().manual_seed(0))
    view = view_rays(ball_supervision().views[0], operator("sobel"), False, CPU)
    origins, directions = view.origin.expand(576, 3), view.directions.reshape(-1, 3)
    surface, generator = field.now(), torch.Generator().manual_seed(0)
    with torch.no_grad():
        sight = look(surface, origins, directions, 32, generator)
        near = render(surface, field.radiance, origins, directions, sight, 0.005, 32, generator)
        t, lengths = error_bounded(surface.sdf, origins, directions, 0.005, Sampler(last=128), generator)
        bounded = composite(surface, field.radiance, origins, directions, t, lengths, 0.005)
    assert (near.colour - bounded.colour).abs().mean() < 0.02
    assert near.colour.mean() > 0.05


def test_pictures_teach_the_shape_without_the_loops_too():
    """As on a GPU: the derivative of what rays see is that of the compiled functions, and not nothing."""
    config = small_config()
    view = view_rays(ball_supervision().views[0], operator("sobel"), False, CPU)
    origins, directions = view.origin.expand(576, 3), view.directions.reshape(-1, 3)
    learnt = []
    for compiled in (True, False):
        field = make_field(config.field, config.field_settings, torch.Generator().manual_seed(0))
        surface, generator = field.now(), torch.Generator().manual_seed(0)
        assert surface.compiled
        surface.compiled = compiled
        sight = look(surface, origins, directions, 32, generator)
        seen = render(surface, field.radiance, origins, directions, sight, 0.02, 8, generator)
        (seen.colour * torch.linspace(0, 1, 576)[:, None]).sum().backward()
        learnt.append([level.grad for level in field.levels])
    for loops, plain in zip(*learnt, strict=True):
        assert loops.abs().max() > 0.1
        torch.testing.assert_close(plain, loops, rtol=1e-3, atol=1e-3 * float(loops.abs().max()))


def test_a_neutral_view_of_a_thin_subject_has_colours_to_compare():
    """No modulus of it is known: σ sees more than its two columns."""
    supervision = ball_supervision()
    thin = np.zeros_like(supervision.views[0].shared)
    thin[:, 11:13] = True
    views = [
        replace(view, shared=view.shared & thin, coverage=view.coverage * thin) if view.neutral else view
        for view in supervision.views
    ]
    for patch in (8, 64):
        config = small_config(2, 4, patch=patch, stage2={"targets": "all", "colour": 1.0, "views": 8})
        _, moments = trained(config, supervision=replace(supervision, views=tuple(views)))
        assert all(math.isfinite(loss) for moment in moments for loss in moment.losses.values())


def test_the_fast_preset_trains():
    """Its own stages on a smaller grid: colour in the first, gradients in the second."""
    config = preset("fast")
    settings = config.field_settings | {"levels": (4, 8, 16), "feature_nodes": 8}
    steps = {"stage1": {"steps": 2}, "stage2": {"steps": 4}}
    _, moments = trained(changed(config, {"field_settings": settings, "silhouette_rays": 300, **steps}))
    assert all("colour" in m.losses for m in moments if m.stage == 1)
    assert any("gradient" in m.losses for m in moments if m.stage == 2)
    assert all("coverage" in m.losses for m in moments)
    assert all(math.isfinite(v) for m in moments for v in m.losses.values())


def test_both_kinds_of_views_can_be_compared_in_one_stage():
    _, moments = trained(small_config(0, 3, stage2={"targets": "all", "colour": 1.0, "views": 8}))
    assert all({"colour", "gradient"} <= m.losses.keys() for m in moments)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", FIELDS)
def test_trains_on_cuda(name):
    """Pictures alone move the shape there as far as here."""
    alone = {"coverage": 0.0, "eikonal": 0.0, "smoothness": None, "volume": None}
    config = small_config(5, 5, field=name, stage1=alone, stage2=alone)
    before = make_field(config.field, config.field_settings, torch.Generator().manual_seed(0))
    moved = []
    for device in (CPU, torch.device("cuda")):
        field = train(ball_supervision(), config, 0, device, lambda moment: None)
        assert all(p.device.type == device.type for p in field.parameters())
        pairs = zip(field.parameter_groups()["distance"], before.parameter_groups()["distance"], strict=True)
        moved.append([float((now.cpu() - was).detach().abs().sum()) for now, was in pairs])
    assert min(moved[0]) > 0
    assert moved[1] == pytest.approx(moved[0], rel=0.2)
