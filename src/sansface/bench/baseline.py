"""The all-RGB baseline: what the same method reaches when nothing is protected.

Same field, sampler, silhouettes and smoothness; every frame's colour at the same resolution, not quantised.
It reads the capture on the machine where it runs and hands arrays to the same `reconstruct`; no bundle is
written.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from sansface.capture import Camera, Capture, Frame, Role
from sansface.protect.photograph import read_codes
from sansface.protect.pipeline import ProtectSettings, protect
from sansface.protect.reduce import WHOLE, reduce
from sansface.reconstruct.config import AnyConfig, Config, changed, preset
from sansface.reconstruct.supervision import Kind, Supervision, View


def baseline_supervision(capture: Capture, settings: ProtectSettings) -> Supervision:
    """Colour of every frame, with the cameras and the frame that a bundle would have.

    Raises:
        SansfaceError: as `protect`.
    """
    bundle = protect(capture, settings)
    views = [
        _view(frame, protected.camera, settings.resolution)
        for frame, protected in zip(capture.frames, bundle.frames, strict=True)
    ]
    return Supervision(
        views=tuple(views),
        operator=settings.sigma(),
        center=bundle.center,
        radius=bundle.radius,
        unit=bundle.unit,
        unprotected=True,
    )


def whole_picture_supervision(capture: Capture, settings: ProtectSettings) -> Supervision:
    """σ of sensitive frames before white, with the outline and what is around it, as the papers have it.

    No bundle holds that, for the outline tells how bright the skin is.

    Raises:
        SansfaceError: as `protect`.
    """
    coloured = baseline_supervision(capture, settings)
    views = []
    for view in coloured.views:
        if not view.neutral:
            picture = view.target + (1 - view.coverage)[:, :, None]
            modulus = settings.sigma()(picture.astype(np.float32))
            whole = np.ones_like(view.shared)
            view = replace(view, kind=Kind.MODULUS, target=modulus, shared=whole)
        views.append(view)
    return replace(coloured, views=tuple(views))


def baseline_config(with_gradient: bool = False, resolution: int = 64, name: str = "fast") -> AnyConfig:
    """A preset on colour: one schedule over all views, no Lipschitz bound, no volume term.

    The first stage's steps show every view at the scales of β and smoothness of our stage 1, the second's at
    those of our stage 2; docs/results.md lists the trials by which weights and steps were chosen.

    Args:
        with_gradient: compare the moduli of the colours too.
        resolution: of the pictures' longer side.
        name: of the preset, `fast` or `splats`.
    """
    protected = preset(name, resolution)
    return _on_all_colours(protected, protected.stage2.gradient if with_gradient else 0.0)


def all_rgb(config: Config) -> Config:
    """The same preset on all colours: `fast` as above, the others as VolSDF, in one stage.

    The paper's counts epochs of one batch a view, 1000 of n neutral ones and 500 of m sensitive ones, and all
    RGB has as many of all views: 1500 (n + m) steps are 3/2 of stage 1's and 3 times stage 2's.
    """
    if config.preset == "fast":
        return _on_all_colours(config)
    return _volsdf(config, 3 * config.stage1.steps // 2 + 3 * config.stage2.steps)


def all_rgb_for_longer(times: int, with_gradient: bool = False) -> Callable[[Config], Config | None]:
    """So many times the steps, with the gradient loss on all views beside the colours, or without it.

    None for other presets than `fast`.
    """

    def change(config: Config) -> Config | None:
        if config.preset != "fast":
            return None
        return longer(_on_all_colours(config, config.stage2.gradient if with_gradient else 0.0), times)

    return change


def longer(config: Any, times: float) -> Any:
    """The settings of either renderer with so many times the steps in both stages, rounded."""
    stages = {"stage1": config.stage1, "stage2": config.stage2}
    return changed(config, {name: {"steps": round(times * stage.steps)} for name, stage in stages.items()})


def all_rgb_in_as_many_steps(config: Config) -> Config | None:
    """That in the protected run's number of steps; None for `fast`, which has it anyway."""
    if config.preset == "fast":
        return None
    return _volsdf(config, config.stage1.steps + config.stage2.steps)


def _on_all_colours(protected: AnyConfig, gradient: float = 0.0) -> Any:
    everything: dict[str, Any] = {"targets": "all", "gradient": gradient}
    if isinstance(protected, Config):
        protected = replace(protected, rate_shape="exponential")
        everything |= {
            "silhouettes": "all",
            "colour": 3.0,
            "coverage": 4.0,
            "lipschitz": 0.0,
            "volume": None,
        }
    return changed(protected, {"stage1": everything, "stage2": everything})


def _volsdf(config: Config, steps: int) -> Config:
    """One stage of colours, with the silhouettes that ours has in stage 2."""
    coverage = config.stage2.coverage
    stage1 = replace(config.stage1, targets="all", silhouettes="all", coverage=coverage, steps=steps)
    return replace(config, stage1=stage1, stage2=replace(config.stage2, steps=0))


def _view(frame: Frame, camera: Camera, resolution: int) -> View:
    colour, coverage = read_codes(frame)
    reduced = reduce(colour, coverage, frame.camera, resolution)
    return View(
        kind=Kind.COLOUR,
        camera=camera,
        target=reduced.colour,
        shared=reduced.coverage >= WHOLE,
        coverage=reduced.coverage,
        neutral=frame.role is Role.NEUTRAL,
    )
