"""What the paper compares, as data: every trial is the method with a few things changed.

Numbers of tables and figures are those of Kong et al., Identity-Obscured Neural Radiance Fields.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sansface.bench.baseline import (
    all_rgb,
    all_rgb_for_longer,
    all_rgb_in_as_many_steps,
    baseline_supervision,
    whole_picture_supervision,
)
from sansface.capture import Capture, Frame, Role
from sansface.protect.operators import OPERATORS
from sansface.protect.pipeline import ProtectSettings
from sansface.reconstruct.config import Config, changed
from sansface.reconstruct.supervision import Supervision


@dataclass(frozen=True)
class Trial:
    """One way to reconstruct a capture.

    Attributes:
        name: in tables and folders.
        config: of the preset's settings; None where the preset makes no difference of it.
        frames: of the capture; None where the capture has too few of a kind.
        protect: what differs from the default settings of `protect`.
        given: what the method learns from, in place of a bundle: more than one may hold.
        template: stage 2 begins from the package's own, in place of stage 1.
    """

    name: str
    config: Callable[[Config], Config | None] = lambda config: config
    frames: Callable[[Capture], Capture | None] = lambda capture: capture
    protect: dict[str, Any] = field(default_factory=dict)
    given: Callable[[Capture, ProtectSettings], Supervision] | None = None
    template: bool = False


@dataclass(frozen=True)
class Table:
    """Trials side by side.

    Attributes:
        title: what is compared, and where the paper shows it.
        over: what the trials' numbers mean, if they make a curve.
        only: captures that have something to say of it.
    """

    title: str
    trials: tuple[Trial, ...]
    over: str | None = None
    only: Callable[[Capture], bool] = lambda capture: True


def without_stage(number: int) -> Callable[[Config], Config]:
    """The other stage alone, with its own steps."""

    def change(config: Config) -> Config:
        stage = getattr(config, f"stage{number}")
        return replace(config, **{f"stage{number}": replace(stage, steps=0)})

    return change


def one_stage(colour: bool) -> Callable[[Config], Config]:
    """All steps in one stage, from a sphere: gradients alone, or colours of neutral views beside them."""

    def change(config: Config) -> Config:
        steps = config.stage1.steps + config.stage2.steps
        stage = replace(
            config.stage2,
            steps=steps,
            colour=config.stage1.colour if colour else 0.0,
            targets="all" if colour else "sensitive",
        )
        return replace(config, stage1=replace(config.stage1, steps=0), stage2=stage)

    return change


def without_silhouettes(
    of: Callable[[Config], Config | None] = lambda config: config,
) -> Callable[[Config], Config | None]:
    """No silhouettes beside the pictures; None for presets that do not see the background in their stead."""

    def change(config: Config) -> Config | None:
        found = of(config) if config.background else None
        return found and changed(found, {"stage1": {"coverage": 0.0}, "stage2": {"coverage": 0.0}})

    return change


def lipschitz(weight: float) -> Callable[[Config], Config]:
    """Another λ₃; 0 leaves the radiance's layers unbounded."""
    return lambda config: replace(config, stage2=replace(config.stage2, lipschitz=weight))


def neutral_colour(weight: float) -> Callable[[Config], Config]:
    """Colour of neutral views in stage 2, or none."""

    def change(config: Config) -> Config:
        targets = "all" if weight > 0 else "sensitive"
        return replace(config, stage2=replace(config.stage2, colour=weight, targets=targets))

    return change


def one_radiance(config: Config) -> Config | None:
    """Colour by one network of twice the width, not albedo times shading; None where it is so anyway."""
    settings = config.field_settings
    if "factored" not in settings:
        return None
    return replace(config, field_settings=settings | {"factored": False, "width": 2 * settings["width"]})


def stricter(count: int, choice: int = 0) -> Callable[[Capture], Capture | None]:
    """Only `count` neutral views stay so, by choice 0 evenly spread, else drawn; the rest are protected."""

    def change(capture: Capture) -> Capture | None:
        neutral = [k for k, frame in enumerate(capture.frames) if frame.role is Role.NEUTRAL]
        if len(neutral) < count or (choice and len(neutral) == count):  # no choice is another then
            return None
        if choice:
            kept = np.random.default_rng(choice).choice(neutral, count, replace=False)
        else:
            kept = np.array(neutral)[np.linspace(0, len(neutral) - 1, count).round().astype(int)]
        frames = [
            replace(frame, role=Role.NEUTRAL if k in kept else Role.SENSITIVE)
            for k, frame in enumerate(capture.frames)
        ]
        return replace(capture, frames=tuple(frames))

    return change


def without_neutral(capture: Capture) -> Capture:
    """The sensitive frames alone."""
    return replace(capture, frames=tuple(f for f in capture.frames if f.role is Role.SENSITIVE))


def all_sensitive(capture: Capture) -> Capture:
    """Every frame, each of them protected."""
    return replace(capture, frames=tuple(replace(f, role=Role.SENSITIVE) for f in capture.frames))


def spread_out(frames: Sequence[Frame], count: int) -> list[Frame]:
    """So many of them, from all sides: the first, then always the one farthest from those that are taken."""
    places = np.stack([frame.camera.center for frame in frames])
    ways = places - places.mean(axis=0)
    ways /= np.maximum(np.linalg.norm(ways, axis=1, keepdims=True), 1e-12)
    kept, away = [0], np.linalg.norm(ways - ways[0], axis=1)
    while len(kept) < count:
        kept.append(int(away.argmax()))
        away = np.minimum(away, np.linalg.norm(ways - ways[kept[-1]], axis=1))
    return [frames[k] for k in sorted(kept)]


def share_of_views(share: float) -> Callable[[Capture], Capture]:
    """That part of the views of each role, from all sides; of each one at least."""

    def change(capture: Capture) -> Capture:
        kept = []
        for role in (Role.SENSITIVE, Role.NEUTRAL):
            own = [frame for frame in capture.frames if frame.role is role]
            if own:
                kept += spread_out(own, max(round(share * len(own)), 1))
        return replace(capture, frames=tuple(kept))

    return change


def share_of_neutral(share: float) -> Callable[[Capture], Capture | None]:
    """That part of the neutral views stays so; the rest are protected."""

    def change(capture: Capture) -> Capture | None:
        count = sum(frame.role is Role.NEUTRAL for frame in capture.frames)
        return stricter(round(share * count))(capture)

    return change


def with_expression(capture: Capture) -> bool:
    """Does its `meta.json` say that the face is not at rest?"""
    sitter = capture.meta.get("sitter")
    return bool(capture.meta.get("expression") or (isinstance(sitter, dict) and sitter.get("expression")))


TWO_STAGES = Trial("two stages")
TWO_STAGES_ON_TEMPLATE = Trial("a template in place of stage 1", template=True)
STAGE_1 = Trial("stage 1 alone", without_stage(2))
FULL = Trial("full RGB", all_rgb, given=baseline_supervision)
FULL_EQUAL = Trial("full RGB, equal steps", all_rgb_in_as_many_steps, given=baseline_supervision)
SHARES = (25, 50, 75, 100)
OPERATOR_TRIALS = tuple(
    Trial(f"operator {name}", protect={"operator": name}) for name in OPERATORS if name != "sobel"
)

TABLES = {
    "stages": Table("Stage 1, stage 2 and full RGB (table 2)", (STAGE_1, TWO_STAGES, FULL, FULL_EQUAL)),
    "all-rgb": Table(
        "Full RGB for longer, with the gradient loss beside its colours, on a template",
        (
            TWO_STAGES,
            FULL,
            Trial("full RGB, four times the steps", all_rgb_for_longer(4), given=baseline_supervision),
            Trial(
                "full RGB and gradients, four times", all_rgb_for_longer(4, True), given=baseline_supervision
            ),
            TWO_STAGES_ON_TEMPLATE,
            Trial("full RGB on a template", all_rgb, given=baseline_supervision, template=True),
        ),
    ),
    "whole": Table(
        "As the papers share it: σ with the outline, and no silhouettes (table 2 and fig. 12)",
        (
            STAGE_1,
            Trial("two stages, whole pictures", without_silhouettes(), given=whole_picture_supervision),
            Trial(
                "gradients alone, whole pictures",
                without_silhouettes(one_stage(False)),
                given=whole_picture_supervision,
            ),
            Trial(
                "colour and gradients, whole pictures",
                without_silhouettes(one_stage(True)),
                given=whole_picture_supervision,
            ),
            Trial(
                "full RGB, whole pictures, equal steps",
                without_silhouettes(all_rgb_in_as_many_steps),
                given=baseline_supervision,
            ),
        ),
    ),
    "radiance": Table(
        "Albedo times shading, or one network", (TWO_STAGES, Trial("one network", one_radiance))
    ),
    "lipschitz": Table(
        "Lipschitz bound of the radiance (fig. 9); λ₃ reads 3·10⁻¹⁰ or 3·exp(−10)",
        (
            Trial("Lipschitz off", lipschitz(0.0)),
            Trial("Lipschitz 3e-10", lipschitz(3e-10)),
            Trial("Lipschitz 3 exp(-10)", lipschitz(3 * float(np.exp(-10)))),
        ),
    ),
    "one-stage": Table(
        "Without the first stage (fig. 12)",
        (
            TWO_STAGES,
            Trial("one stage, gradients alone", one_stage(colour=False)),
            Trial("one stage, colour and gradients", one_stage(colour=True)),
            Trial("the same on a template", one_stage(colour=True), template=True),
        ),
    ),
    "template": Table(
        "A template instead of stage 1, and instead of the neutral views (figs. 11 and 16)",
        (
            TWO_STAGES,
            TWO_STAGES_ON_TEMPLATE,
            Trial("template", frames=without_neutral, template=True),
            Trial("template, neutral views protected", frames=all_sensitive, template=True),
            Trial("a sphere instead", without_stage(1), without_neutral),
        ),
    ),
    "neutral-colour": Table(
        "Colour of the neutral views in stage 2, which the paper drops",
        (
            Trial("dropped in stage 2", neutral_colour(0.0)),
            Trial("kept in stage 2", neutral_colour(1.0)),
        ),
    ),
    "neutral-views": Table(
        "Fewer neutral views (fig. 10); the others are protected",
        (
            Trial("5 neutral", frames=stricter(5)),
            Trial("10 neutral", frames=stricter(10)),
            Trial("10 neutral, one choice", frames=stricter(10, 1)),
            Trial("10 neutral, another", frames=stricter(10, 2)),
            Trial("15 neutral", frames=stricter(15)),
        ),
        over="neutral views",
    ),
    "views": Table(
        "Fewer views of either kind",
        tuple(Trial(f"{share} % of the views", frames=share_of_views(share / 100)) for share in SHARES),
        over="views, %",
    ),
    "half": Table(
        "Fewer neutral views, as a share; the others are protected",
        tuple(Trial(f"{share} % of the neutral", frames=share_of_neutral(share / 100)) for share in SHARES),
        over="neutral views, %",
    ),
    "expressions": Table(
        "Faces that are not at rest (fig. 8)", (STAGE_1, TWO_STAGES, FULL, FULL_EQUAL), only=with_expression
    ),
    "resolution": Table(
        "Pixels of the longer side (fig. 17)",
        tuple(Trial(f"{size} px", protect={"resolution": size}) for size in (32, 64, 128, 256, 512)),
        over="pixels",
    ),
    "operators": Table("Another σ (the paper has Sobel's)", (TWO_STAGES, *OPERATOR_TRIALS)),
}
