"""A ball photographed and protected at few pixels, and settings that learn it in a second or two."""

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conftest import BALL_CENTER, BALL_RADIUS, looking_at, make_tiny_capture
from sansface.capture import Camera
from sansface.formats.transforms_json import read_transforms_json
from sansface.protect.contents import Bundle
from sansface.protect.pipeline import ProtectSettings, protect
from sansface.reconstruct import checkpoint
from sansface.reconstruct.config import Config, changed, preset
from sansface.reconstruct.supervision import Supervision, from_bundle

SPHERE_RADIUS = 1.6 * BALL_RADIUS

GRID = {
    "levels": (4, 8, 16),
    "feature_nodes": 8,
    "feature_channels": 4,
    "width": 8,
    "depth": 1,
    "radius": 0.5,
}
MLP = {
    "width": 24,
    "depth": 2,
    "skip": 1,
    "features": 4,
    "frequencies": 2,
    "view_frequencies": 1,
    "radius": 0.5,
}


@cache
def ball_bundle(share_masks: bool = True, resolution: int = 24, **strengths) -> Bundle:
    """The tiny capture, protected, in a bounding sphere around the ball that is not centred on it."""
    with tempfile.TemporaryDirectory() as folder:
        capture = read_transforms_json(make_tiny_capture(Path(folder) / "capture", size=48))
        center = tuple(float(c) for c in BALL_CENTER + np.array([0.2, 0.1, -0.1]))
        return protect(
            capture,
            ProtectSettings(
                resolution, share_masks=share_masks, center=center, radius=SPHERE_RADIUS, **strengths
            ),
        )


def ball_supervision(share_masks: bool = True) -> Supervision:
    return from_bundle(ball_bundle(share_masks))


STAGE1 = {
    "beta": {"start": 0.05, "end": 0.01, "share": 1.0},
    "colour": 1.0,
    "gradient": 0.0,
    "lipschitz": 0.0,
    "coverage": 1.0,
    "targets": "neutral",
    "silhouettes": "neutral",
    "views": 2,
}
STAGE2 = {
    "beta": {"start": 0.01, "end": 0.002, "share": 0.7},
    "colour": 0.0,
    "gradient": 4.0,
    "lipschitz": 1e-6,
    "coverage": 1.0,
    "targets": "sensitive",
    "silhouettes": "all",
    "views": 2,
}


def small_config(steps1: int = 4, steps2: int = 4, field: str = "grid", **changes) -> Config:
    """Both stages of the paper with our silhouettes, all small, and then with changes.

    What a preset tunes is fixed here, so that tuning it breaks no test. `stage1` and `stage2` are dicts.
    """
    stages = {
        "stage1": STAGE1 | {"steps": steps1} | changes.pop("stage1", {}),
        "stage2": STAGE2 | {"steps": steps2} | changes.pop("stage2", {}),
    }
    settings = {"field": field, "field_settings": GRID if field == "grid" else MLP, "rate_decay": 0.1}
    sizes = {"silhouette_rays": 300, "samples": 4, "coarse_looks": 16, "mesh_resolution": 24}
    return changed(preset("fast"), settings | sizes | stages | changes)


def unit_camera(angle: float = 0.4, size: int = 20, height: float = 0.5) -> Camera:
    """A camera at distance 3 that looks at the origin of the unit-sphere frame, which fills most of it."""
    position = np.array([3 * np.sin(angle), height, 3 * np.cos(angle)])
    return looking_at(position, np.zeros(3), size, 1.7 * size)


def killed_and_resumed(train: Callable, again: Callable, cut: tuple[int, int], folder: Path) -> Any:
    """What `again(resume)` gives after `train(watch)`, of three steps in stage 1, was killed behind a step.

    cut: that stage and step; its checkpoint goes through a file in the folder.
    """

    class Killed(Exception):
        pass

    def watch(moment):
        if (moment.stage, moment.step) == cut:
            run = {"stage": moment.stage, "step": moment.step}
            checkpoint.save(folder / "c", moment.field, moment.optimiser, run)
        elif (moment.stage, moment.step) > cut:
            raise Killed

    with pytest.raises(Killed):
        train(watch)
    kept = checkpoint.load(folder / "c")

    def resume(model, optimiser, stage):
        if stage != cut[0]:
            return 3 if stage < cut[0] else 0
        kept.restore(model, optimiser)
        return cut[1]

    torch.manual_seed(99)  # what was drawn before decides nothing
    return again(resume)
