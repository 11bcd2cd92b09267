"""The method with splats in the place of a field: first on neutral colour, then on protected gradients."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from sansface.errors import SansfaceError
from sansface.reconstruct.losses import colour_loss, gradient_loss
from sansface.reconstruct.rays import ViewRays, view_rays, window
from sansface.reconstruct.stages import NOT_FINITE, Moment, comparable, drawn, mixed, set_rates
from sansface.reconstruct.supervision import Kind, Supervision
from sansface.splats.config import SplatConfig, SplatStage
from sansface.splats.hull import splats_on, visual_hull
from sansface.splats.losses import coverage_loss, distortion_loss, normal_loss, smoothness_loss
from sansface.splats.relocate import pull, relocate
from sansface.splats.render import render
from sansface.splats.splats import Splats

RELOCATING = 0.7
"""Share of a stage in which idle splats move; the rest lets the last ones settle."""


def train(
    supervision: Supervision,
    config: SplatConfig,
    seed: int,
    device: torch.device,
    watch: Callable[[Moment], None],
    resume: Callable[[Splats, torch.optim.Adam, int], int] | None = None,
) -> Splats:
    """Both stages, from splats on the visual hull.

    Stage 1 compares the neutral views' colour, stage 2 the moduli of the protected views and the colour of
    the neutral ones; both the opacity with the masks. L_n and L_d are those of Huang et al. 2024, sec. 5.1.

    Args, Raises: as `sansface.reconstruct.stages.train`.
    """
    views = [view_rays(view, supervision.operator, False, device) for view in supervision.views]
    generator = torch.Generator().manual_seed(seed)
    hull, colour = visual_hull(supervision), mean_colour(supervision)
    splats = splats_on(hull, config.count, config.degree, colour, generator).to(device)
    generator = torch.Generator(device)

    for number, stage in ((1, config.stage1), (2, config.stage2)):
        if stage.steps == 0:
            continue
        targets = comparable(views, stage)
        optimiser = make_optimiser(splats, config)
        done = resume(splats, optimiser, number) if resume else 0
        for step in range(done, stage.steps):
            generator.manual_seed(mixed(seed, number, step))
            progress = step / stage.steps
            set_rates(optimiser, config, progress)
            optimiser.zero_grad(set_to_none=True)
            losses = differentiate(
                splats, drawn(targets, step, stage.views, seed), stage, config, supervision, generator
            )
            if not math.isfinite(sum(losses.values())):
                raise SansfaceError(
                    f"the loss is no longer a finite number in stage {number}, step {step}; {NOT_FINITE}."
                )
            pull(splats)
            optimiser.step()
            if stage.relocation and (step + 1) % stage.relocation == 0 and progress < RELOCATING:
                losses["moved"] = relocate(splats, optimiser, generator)
            watch(Moment(number, step + 1, stage.steps, losses, splats, optimiser))
    return splats


def differentiate(
    splats: Splats,
    views: list[ViewRays],
    stage: SplatStage,
    config: SplatConfig,
    supervision: Supervision,
    generator: torch.Generator,
) -> dict[str, float]:
    """Add the derivative of a step's weighted losses to the gradients, a view at a time; gives each loss."""
    total: dict[str, float] = {}
    for view in views:
        losses = compared(splats, view, stage, config, supervision, generator)
        weighted = [getattr(stage, name) * loss for name, loss in losses.items()]
        (torch.stack(weighted).sum() / len(views)).backward()
        for name, loss in losses.items():
            total[name] = total.get(name, 0.0) + loss.item() / len(views)
    return total


def compared(
    splats: Splats,
    view: ViewRays,
    stage: SplatStage,
    config: SplatConfig,
    supervision: Supervision,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Render a window of a view and compare all that is known of it."""
    cut = window(view, stage.gradient > 0, config.patch, generator)
    (y, x), (height, width) = cut.corner, cut.size
    picture = render(splats, view.camera.cropped(x, y, width, height), config.finer)
    losses = {
        "coverage": coverage_loss(picture, cut.crop(view.coverage)),
        "normal": normal_loss(picture),
        "distortion": distortion_loss(picture),
        "smoothness": smoothness_loss(picture),
    }
    if stage.colour > 0 and view.colour is not None:
        known = cut.crop(view.colour_known)
        everywhere = torch.ones_like(known[known])
        losses["colour"] = colour_loss(picture.colour[known], cut.crop(view.colour)[known], everywhere)
    if stage.gradient > 0:
        whole = torch.ones_like(cut.rows, dtype=torch.bool)
        known = cut.crop(view.modulus_known) & cut.wholly(whole)
        coded = view.kind is Kind.MODULUS
        tolerance, gain = (supervision.tolerance, supervision.gain) if coded else (0.0, False)
        losses["gradient"] = gradient_loss(
            picture.colour, cut.crop(view.modulus), known, supervision.operator, tolerance, gain
        )
    return losses


def mean_colour(supervision: Supervision) -> np.ndarray:
    """(3,) sRGB, the mean of what is known of the neutral views; grey if there is none."""
    known = [v.target[v.shared] for v in supervision.views if v.kind is Kind.COLOUR]
    return np.concatenate(known).mean(axis=0) if known and sum(map(len, known)) else np.full(3, 0.5)


def make_optimiser(splats: Splats, config: SplatConfig) -> torch.optim.Adam:
    """Adam with a rate for each kind of parameter."""
    groups = [
        {"params": [parameter], "lr": rate, "start": rate}
        for name, parameter in splats.parameter_groups().items()
        for rate in [getattr(config, f"{name}_rate")]
    ]
    return torch.optim.Adam(groups, betas=(0.9, 0.99), eps=1e-15, fused=True)
