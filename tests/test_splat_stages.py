"""Splats from the hull to a mesh: where they begin, how they move, both stages, fusion, whole runs."""

import json
import math
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from conftest import BALL_CENTER, BALL_RADIUS
from sansface.errors import SansfaceError
from sansface.fields.template import shipped_template
from sansface.reconstruct import pictures
from sansface.reconstruct.config import changed, from_dict, preset
from sansface.reconstruct.method import SPLATS
from sansface.reconstruct.novel_views import read_trained
from sansface.reconstruct.run import Interrupted, Progress, reconstruct
from sansface.splats import stages
from sansface.splats.fusion import TRUNCATION, Depths, around, fuse, signed_distance
from sansface.splats.hull import splats_on, visual_hull
from sansface.splats.losses import coverage_loss, distortion_loss, normal_loss, smoothness_loss
from sansface.splats.projection import pinhole
from sansface.splats.relocate import FADED, relocate
from sansface.splats.render import render
from sansface.splats.splats import Splats
from sansface.splats.stages import make_optimiser, train
from sansface.surface import largest_component, read_mesh
from small import ball_supervision, killed_and_resumed, unit_camera

CPU = torch.device("cpu")
GREY = np.full(3, 0.5)


def small(steps1: int = 3, steps2: int = 3, **changes):
    """Few splats and steps."""
    stages = {"stage1": {"steps": steps1}, "stage2": {"steps": steps2, "relocation": 2}}
    return changed(preset("splats"), {"count": 300, "mesh_resolution": 24} | stages | changes)


def trained(config, seed: int = 0, supervision=None, **options):
    moments = []
    splats = train(supervision or ball_supervision(), config, seed, CPU, moments.append, **options)
    return splats, moments


def same(a, b) -> bool:
    other = b.state_dict()
    return all(torch.equal(value, other[key]) for key, value in a.state_dict().items())


def ball_of_splats(radius: float = 0.6, count: int = 1500) -> Splats:
    """Splats evenly over a sphere, opaque together."""
    directions = np.stack([-camera.cam_from_world[2, :3] for camera in around(count, 8)])
    unit = torch.from_numpy(directions).float()
    generator = torch.Generator().manual_seed(0)
    return Splats(radius * unit, unit, 0.03, 0.9, torch.full((3,), 0.5), 0, generator)


# --- where splats begin ---


def test_the_hull_of_a_ball_is_hardly_more_than_the_ball():
    truth = ball_supervision()
    distance = np.linalg.norm(truth.center + truth.radius * visual_hull(truth).vertices - BALL_CENTER, axis=1)
    assert distance.min() > 0.97 * BALL_RADIUS
    assert np.median(distance) < 1.06 * BALL_RADIUS


def test_without_masks_the_hull_is_what_the_neutral_views_leave_of_the_sphere():
    masked, bare = (visual_hull(ball_supervision(share)) for share in (True, False))
    assert np.linalg.norm(bare.vertices, axis=1).max() < 1.01
    assert 1.2 * np.prod(np.ptp(masked.vertices, axis=0)) < np.prod(np.ptp(bare.vertices, axis=0))


def test_splats_begin_on_the_surface_and_face_its_way():
    mesh = largest_component(visual_hull(ball_supervision()))
    splats = splats_on(mesh, 500, 1, GREY, torch.Generator().manual_seed(0))
    offset = splats.centres.detach().numpy() - mesh.vertices.mean(axis=0)
    assert len(offset) == 500
    assert np.ptp(np.linalg.norm(offset, axis=1)) < 0.2
    outward = offset / np.linalg.norm(offset, axis=1, keepdims=True)
    along = np.abs((splats.axes()[:, :, 2].detach().numpy() * outward).sum(axis=1))
    assert np.median(along) > 0.97
    # Evenly: no eighth of the directions has more than twice its share.
    octant = ((offset > 0) * [1, 2, 4]).sum(axis=1)
    assert np.bincount(octant, minlength=8).max() < 2 * 500 / 8


# --- losses ---


def test_losses_are_small_on_a_good_surface_and_large_on_a_bad_one():
    camera = unit_camera(size=32)
    good, bad = ball_of_splats(), ball_of_splats()
    with torch.no_grad():
        generator = torch.Generator().manual_seed(1)
        bad.centres += 0.05 * torch.randn(bad.centres.shape, generator=generator)
        bad.turns += 0.5 * torch.randn(bad.turns.shape, generator=generator)
        a, b = render(good, camera), render(bad, camera)
    for loss in (normal_loss, distortion_loss, smoothness_loss):
        assert loss(a) < 0.5 * loss(b), loss
    coverage = (a.opacity > 0.5).float()
    assert coverage_loss(a, coverage) < 0.05 < 0.5 < coverage_loss(a, 1 - coverage)
    assert coverage_loss(a, torch.full_like(coverage, torch.nan)) == 0


# --- how they move ---


def test_idle_splats_move_to_where_the_pull_is_and_halve_what_is_there():
    splats, config = ball_of_splats(count=100), small()
    optimiser = make_optimiser(splats, config)
    for parameter in splats.parameters():
        optimiser.state[parameter] = {
            "step": torch.tensor(3.0),
            "exp_avg": torch.ones_like(parameter),
            "exp_avg_sq": torch.ones_like(parameter),
        }
    with torch.no_grad():
        splats.logits[:3] = -6
        splats.need.fill_(0.02)
        splats.need[:3] = 1.0
        splats.need[3:5] = 0.0
        splats.need[40:60] = 1.0
    before = {name: value.clone() for name, value in splats.state_dict().items()}
    assert relocate(splats, optimiser, torch.Generator().manual_seed(0)) == 5
    changed_rows = (splats.centres != before["centres"]).any(dim=1)
    assert changed_rows[:5].all()
    wholes = changed_rows.nonzero()[5:, 0]
    assert len(wholes) == 5
    assert ((wholes >= 40) & (wholes < 60)).sum() >= 4  # the others pull a fiftieth as hard
    assert (splats.opacities() >= FADED - 1e-6).all()
    torch.testing.assert_close((1 - splats.opacities()[wholes]).square(), torch.full((5,), 0.1))
    for i in range(5):  # each lies beside one of those that were halved, as far away as that moved
        offsets = (before["centres"][wholes] - splats.centres[i]).norm(dim=1)
        whole = wholes[offsets.argmin()]
        middle = (splats.centres[i] + splats.centres[whole]) / 2
        torch.testing.assert_close(middle, before["centres"][whole], atol=1e-6, rtol=0)
    touched = torch.cat([torch.arange(5), wholes])
    for parameter in splats.parameters():
        moments = optimiser.state[parameter]["exp_avg"]
        assert (moments[touched] == 0).all()
        assert moments.sum() == moments.numel() * 0.9
    assert (splats.need == 0).all()


def test_where_nothing_pulls_nothing_moves():
    splats = ball_of_splats(count=20)
    with torch.no_grad():
        splats.logits.fill_(-6)
    optimiser = make_optimiser(splats, small())
    assert relocate(splats, optimiser, torch.Generator().manual_seed(0)) == 0


# --- both stages ---


def test_both_stages_learn_and_say_what():
    splats, moments = trained(small(2, 2))
    assert [(m.stage, m.step, m.steps) for m in moments] == [(1, 1, 2), (1, 2, 2), (2, 1, 2), (2, 2, 2)]
    anyway = {"coverage", "normal", "distortion", "smoothness"}
    assert set(moments[0].losses) == anyway | {"colour"}
    assert anyway | {"gradient"} <= set(moments[-1].losses)
    assert all(math.isfinite(v) for m in moments for v in m.losses.values())
    start, _ = trained(small(0, 0))
    before = start.state_dict()
    assert all(not torch.equal(p, before[name]) for name, p in splats.named_parameters())


def test_the_ball_is_learnt():
    splats, moments = trained(small(15, 15, count=400))

    def mean(stage: int, name: str, part: slice) -> float:
        values = [m.losses[name] for m in moments if m.stage == stage and name in m.losses]
        return float(np.mean(values[part]))

    for stage, name, share in ((1, "colour", 0.8), (1, "coverage", 0.9), (2, "gradient", 0.9)):
        assert mean(stage, name, slice(-5, None)) < share * mean(stage, name, slice(5)), (stage, name)
    truth = ball_supervision()
    solid = splats.centres[splats.opacities() > 0.5].detach().numpy()
    distance = np.linalg.norm(truth.center + truth.radius * solid - BALL_CENTER, axis=1) / BALL_RADIUS
    assert np.abs(distance - 1).mean() < 0.05


@pytest.mark.parametrize("cut", [(1, 3), (2, 1)])
def test_a_resumed_training_is_the_undisturbed_one(tmp_path, cut):
    config = small(3, 3)
    whole, _ = trained(config)

    resumed, _ = killed_and_resumed(
        lambda watch: train(ball_supervision(), config, 0, CPU, watch),
        lambda resume: trained(config, resume=resume),
        cut,
        tmp_path,
    )
    assert same(whole, resumed)


def test_the_seed_decides_everything():
    first, _ = trained(small(2, 2), seed=4)
    torch.manual_seed(2)
    second, _ = trained(small(2, 2), seed=4)
    other, _ = trained(small(2, 2), seed=5)
    assert same(first, second)
    assert not same(first, other)


def test_a_loss_that_is_not_finite_is_said(monkeypatch):
    monkeypatch.setattr(stages, "coverage_loss", lambda *_: torch.tensor(math.nan, requires_grad=True))
    with pytest.raises(SansfaceError, match="no longer a finite number in stage 1, step 0; lower"):
        trained(small())


def test_a_bundle_without_neutral_frames_is_refused_for_stage_1_and_served_without_it():
    truth = ball_supervision()
    faces = replace(truth, views=tuple(v for v in truth.views if not v.neutral))
    with pytest.raises(SansfaceError, match="no neutral frame"):
        trained(small(), supervision=faces)
    _, moments = trained(small(0, 2), supervision=faces)
    assert "colour" not in moments[-1].losses


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"count": 0}, "count"),
        ({"degree": 2}, "degree"),
        ({"finer": 2}, "finer"),
        ({"stage2": {"normal": -1.0}}, "normal"),
    ],
)
def test_settings_beyond_their_limits_are_refused(changes, named):
    with pytest.raises(SansfaceError, match=named):
        changed(preset("splats"), changes)


# --- fusion ---


def test_a_plane_is_fused_to_its_distance():
    """Two cameras see a plane at z = 0 from z = 3: exact near it, free before, unknown behind."""
    pictures = []
    for angle in (-0.2, 0.2):
        camera = unit_camera(angle, size=40, height=0.0)
        hole = pinhole(camera, torch.zeros(1))
        normal = hole.rotation[:, 2]
        disparity = (hole.rays @ normal) / (normal @ hole.shift)
        ones = torch.ones_like(disparity)
        pictures.append(Depths(hole, torch.stack([disparity, ones, 0 * ones, 0.9 * ones])))
    along = torch.tensor([0.3, 0.04, 0.01, 0.0, -0.01, -0.04, -0.3])
    points = torch.stack([0.05 + 0 * along, -0.02 + 0 * along, along], dim=1)
    expected = torch.tensor([TRUNCATION, 0.04, 0.01, 0.0, -0.01, -0.04, -TRUNCATION])
    torch.testing.assert_close(signed_distance(pictures, points), expected, atol=2e-3, rtol=0)


def test_a_ball_of_splats_becomes_a_closed_ball():
    splats, truth = ball_of_splats(), ball_supervision()
    mesh = largest_component(fuse(splats, truth, 48))
    radius = np.linalg.norm(mesh.vertices, axis=1)
    assert abs(radius.mean() - 0.6) < 0.01
    assert radius.std() < 0.01
    assert mesh.to_trimesh().is_watertight
    assert mesh.to_trimesh().volume > 0


def test_cameras_around_look_at_the_middle_from_all_sides():
    cameras = around(24, 32)
    centres = np.stack([camera.center for camera in cameras])
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), np.linalg.norm(centres[0]))
    assert np.abs(centres.mean(axis=0)).max() < 0.2
    for camera in cameras:
        pixel, depth = camera.project(np.zeros((1, 3)))
        np.testing.assert_allclose(pixel, [[16, 16]])
        assert depth > 1


# --- whole runs ---


def go(out, at=(), config=None, **options):
    def press(now: Progress) -> None:
        if (now.stage, now.step) in at:
            signal.raise_signal(signal.SIGINT)

    return reconstruct(ball_supervision(), out, config or small(), device="cpu", on_progress=press, **options)


def test_a_run_by_splats_ends_as_any_other_and_resumes_exactly(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "MESH_SIZE", 48)
    whole = go(tmp_path / "whole", config=small(), keep_radiance=True)
    said = json.loads((tmp_path / "whole" / "config.json").read_text())
    assert said["status"] == "done"
    assert from_dict(said["config"]) == small()
    distance = np.linalg.norm(read_mesh(whole).vertices - BALL_CENTER, axis=1)
    assert np.abs(distance / BALL_RADIUS - 1).mean() < 0.1
    with pytest.raises(SansfaceError, match="holds splats, and only fields are rendered"):
        read_trained(tmp_path / "whole", CPU)

    part = tmp_path / "part"
    for number, place in enumerate([(1, 2), (2, 1)]):
        with pytest.raises(Interrupted, match="holds the head so far, and --resume goes on"):
            go(part, at=[place], resume=number > 0)
        assert len(read_mesh(part / "mesh.ply").faces) > 100
    resumed = go(part, resume=True)
    assert resumed.read_bytes() == whole.read_bytes()
    assert not (part / "checkpoint.safetensors").exists()


def test_previews_show_normals_and_no_colour(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "PREVIEW_SIZE", 32)
    splats, _ = trained(small(1, 0))
    before = pictures.preview(splats, ball_supervision(), SPLATS.normals)
    with torch.no_grad():
        splats.waves.add_(3.0)
    np.testing.assert_array_equal(pictures.preview(splats, ball_supervision(), SPLATS.normals), before)
    assert (before == 255).all(axis=2).mean() < 0.8


def test_splats_take_no_template(tmp_path):
    with pytest.raises(SansfaceError, match="visual hull, not from a template"):
        reconstruct(ball_supervision(), tmp_path / "out", small(), template=shipped_template())
    assert not (tmp_path / "out").exists()
