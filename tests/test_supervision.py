"""Supervision from a bundle: what is known, what is subject, and what nobody said."""

import numpy as np
import pytest
import torch

from sansface.capture import Role
from sansface.errors import SansfaceError
from sansface.protect.operators import operator
from sansface.reconstruct.rays import view_rays
from sansface.reconstruct.stages import chosen, comparable, train
from sansface.reconstruct.supervision import Kind, from_bundle
from small import SPHERE_RADIUS, ball_bundle, ball_supervision, small_config

CPU = torch.device("cpu")


def test_kinds_and_targets_are_the_bundles():
    bundle, supervision = ball_bundle(True), ball_supervision()
    assert len(supervision.views) == len(bundle.frames) == 8
    assert not supervision.unprotected
    for frame, view in zip(bundle.frames, supervision.views, strict=True):
        neutral = frame.role is Role.NEUTRAL
        assert view.neutral == neutral
        assert view.kind is (Kind.COLOUR if neutral else Kind.MODULUS)
        assert view.target.shape == ((24, 24, 3) if neutral else (24, 24))
        assert view.target.dtype == np.float32
        np.testing.assert_array_equal(view.target, frame.values())
        assert view.camera is frame.camera
    assert sum(view.neutral for view in supervision.views) == 3
    assert supervision.radius == SPHERE_RADIUS
    assert supervision.unit == "mm"
    np.testing.assert_array_equal(supervision.center, bundle.center)


def test_with_masks_every_pixel_has_its_coverage():
    for frame, view in zip(ball_bundle(True).frames, ball_supervision().views, strict=True):
        assert frame.mask is not None
        np.testing.assert_allclose(view.coverage, frame.mask / 255, atol=1e-6)
        if view.neutral:
            np.testing.assert_array_equal(view.shared, frame.mask == 255)
        else:
            np.testing.assert_array_equal(view.shared, frame.image != 0)


def test_without_masks_only_what_the_pictures_say_is_known():
    true = [frame.mask for frame in ball_bundle(True).frames]
    for frame, view, mask in zip(ball_bundle(False).frames, ball_supervision(False).views, true, strict=True):
        assert frame.mask is None
        assert mask is not None
        said = ~np.isnan(view.coverage)
        # Nothing wrong is claimed: 1 only where it is wholly subject, 0 only where it is all background.
        assert (mask[view.coverage == 1] == 255).all()
        assert (mask[view.coverage == 0] == 0).all()
        assert set(np.unique(view.coverage[said])) <= {0.0, 1.0}
        if view.neutral:
            assert (view.coverage == 0).any()
            assert (view.coverage == 1).any()
            assert np.isnan(view.coverage).any()  # a dark rim and a half covered one look alike
            np.testing.assert_array_equal(view.shared, view.coverage == 1)
        else:
            # A withheld pixel may be background or outline: unknown.
            assert not (view.coverage == 0).any()
            assert said[view.shared].all()
            np.testing.assert_array_equal(view.shared, frame.image != 0)


def test_without_masks_a_wider_operator_says_as_much_of_the_subject():
    """What is shared is less, by the operator's reach, and what it saw is subject by as much."""
    plain, wide = ball_bundle(False), ball_bundle(False, blur=0.5)
    for one, other in zip(plain.frames, wide.frames, strict=True):
        if one.role is Role.SENSITIVE:
            assert other.shared().sum() < one.shared().sum()
    seen = (from_bundle(plain), from_bundle(wide))
    for view, true in zip(seen[1].views, ball_bundle(True).frames, strict=True):
        assert true.mask is not None
        assert (true.mask[view.coverage == 1] == 255).all()
        if not view.neutral:
            assert (view.coverage == 1).sum() > view.shared.sum() > 0


def test_what_gain_and_bits_mean_for_the_loss():
    assert (ball_supervision().gain, ball_supervision().tolerance) == (False, 0.0)
    strong = ball_bundle(gain=0.5, bits=3)
    supervision = from_bundle(strong)
    assert supervision.gain
    assert supervision.tolerance == pytest.approx(strong.scale / 7 / 2)


@pytest.mark.parametrize(
    "strengths", [{"operator": "log"}, {"operator": "structure"}, {"gain": 0.5, "bits": 2, "noise": 0.01}]
)
def test_strong_bundles_train(strengths):
    seen = []
    supervision = from_bundle(ball_bundle(resolution=48, **strengths))
    train(supervision, small_config(2, 3), 0, CPU, lambda moment: seen.append(moment.losses))
    assert all(np.isfinite(value) for losses in seen for value in losses.values())
    assert seen[-1]["gradient"] > 0


def test_the_outline_is_within_two_pixels_of_an_edge_and_known():
    for masks in (True, False):
        for view in ball_supervision(masks).views:
            known = ~np.isnan(view.coverage)
            assert not view.outline[~known].any()
            for y, x in np.argwhere(view.outline):
                around = view.coverage[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
                assert (around > 0).any()
                assert (around < 1).any()
            assert view.outline.any() == masks  # without masks the rim itself is what nobody knows


@pytest.mark.parametrize("masks", [True, False])
def test_a_bundle_trains_with_and_without_masks(masks):
    seen = []
    train(ball_supervision(masks), small_config(2, 2), 0, CPU, lambda moment: seen.append(moment.losses))
    assert len(seen) == 4
    assert all(np.isfinite(value) for losses in seen for value in losses.values())
    assert {"colour", "coverage", "eikonal", "smoothness"} <= seen[0].keys()
    assert {"gradient", "coverage", "lipschitz"} <= seen[-1].keys()
    assert "gradient" not in seen[0]
    assert "colour" not in seen[-1]


def tensors(supervision):
    return [view_rays(view, operator("sobel"), False, CPU) for view in supervision.views]


def test_a_stage_sees_the_views_that_it_asks_for():
    views = tensors(ball_supervision())
    assert [v.neutral for v in chosen(views, "neutral")] == [True] * 3
    assert [v.neutral for v in chosen(views, "sensitive")] == [False] * 5
    assert chosen(views, "all") == views
    with pytest.raises(SansfaceError, match="not 'rear'"):
        chosen(views, "rear")
    with pytest.raises(SansfaceError, match="no neutral frame"):
        chosen(chosen(views, "sensitive"), "neutral")


def test_a_view_that_has_nothing_to_compare_is_not_drawn():
    views, config = tensors(ball_supervision()), small_config()
    everything = small_config(stage1={"targets": "all"})
    assert comparable(views, config.stage1) == chosen(views, "neutral")
    assert comparable(views, everything.stage1) == chosen(views, "neutral")  # no colour in the others
    assert comparable(views, config.stage2) == chosen(views, "sensitive")
    with pytest.raises(SansfaceError, match="no sensitive frame has a pixel that this stage compares"):
        comparable(views, small_config(stage1={"targets": "sensitive"}).stage1)
