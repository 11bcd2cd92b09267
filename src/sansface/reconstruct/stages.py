"""The method: two stages of VolSDF, first on neutral colour, then on protected gradients."""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from sansface.errors import SansfaceError
from sansface.fields.field import Field, Shape, Surface
from sansface.fields.grid import nodes
from sansface.fields.lipschitz import bind_all, lipschitz_product
from sansface.fields.registry import make_field
from sansface.reconstruct.config import AnyConfig, Config, Stage
from sansface.reconstruct.losses import colour_loss, coverage_loss, gradient_loss
from sansface.reconstruct.rays import ViewRays, scattered, view_rays, window
from sansface.reconstruct.side_by_side import differentiate, threads
from sansface.reconstruct.silhouettes import SilhouetteRays, Silhouettes
from sansface.reconstruct.supervision import Kind, Supervision
from sansface.render.error_bounded import Sampler, error_bounded
from sansface.render.sampling import look
from sansface.render.volume import composite, render
from sansface.splats.config import SplatStage

T = TypeVar("T")

SILHOUETTE_VIEWS = 10
"""Views whose silhouettes are compared in one step."""

NODES = 64
"""Along each edge of the cube, where a surface is looked for that no ray has met."""

FAINT = 0.01
"""Opacity from which a ray still says something, by a density that reaches beyond its surface."""

NOT_FINITE = "lower the learning rates, take another seed, or check the cameras"


@dataclass(frozen=True, eq=False)
class Moment:
    """The state after a step."""

    stage: int  # 1 or 2
    step: int  # steps done of this stage
    steps: int  # of this stage
    losses: dict[str, float]  # each without its weight, and `beta`
    field: nn.Module  # a `Field`, or the splats in its place
    optimiser: torch.optim.Adam


def train(
    supervision: Supervision,
    config: Config,
    seed: int,
    device: torch.device,
    watch: Callable[[Moment], None],
    resume: Callable[[Field, torch.optim.Adam, int], int] | None = None,
    start: Shape | None = None,
) -> Field:
    """Both stages (sec. 3.1-3.2).

    Stage 1: L = λ₁ L_rgb + λ₂ L_eik on the neutral views, eq. 10.
    Stage 2: L = λ₂ L_eik + λ₃ L_lip + λ₄ L_grad on the protected views, eq. 11.
    To both our own terms are added: the silhouettes of shared masks, a smoothness, and the volume. Between
    the outlines nothing but shading draws the surface inwards from the visual hull, and where that is faint
    a slight pressure helps, the more so the earlier. In the preset `paper` there are of these the silhouettes
    alone, in place of the outline that its pictures lack.

    Args:
        seed: decides everything random, together with the stage and the step alone, so that a resumed run
            goes on exactly.
        watch: called after every step; what it raises ends the training.
        resume: puts a checkpoint's values into the field and its stage's optimiser, and says how many steps
            of the given stage are done.
        start: the field begins as this surface, such as a template (sec. 3.4), instead of a sphere.

    Raises:
        SansfaceError: the loss is not finite, the surface vanished, or no view suits a stage.
    """
    generators = torch.Generator(device), torch.Generator(device)
    views = [view_rays(view, supervision.operator, config.background, device) for view in supervision.views]
    field = make_field(config.field, config.field_settings, torch.Generator().manual_seed(seed)).to(device)
    if start is not None:
        field.begin_as(start.sdf, torch.Generator(device).manual_seed(seed))

    with threads(device, len(generators)) as pool:
        for number, stage in ((1, config.stage1), (2, config.stage2)):
            if stage.steps == 0:
                continue
            targets = comparable(views, stage)
            silhouettes = Silhouettes(with_outline(chosen(views, stage.silhouettes)))
            if stage.lipschitz > 0:
                bind_all(field.radiance)
            optimiser = make_optimiser(field, config)
            done = resume(field, optimiser, number) if resume else 0
            for step in range(done, stage.steps):
                for half, generator in enumerate(generators):
                    generator.manual_seed(mixed(seed, number, step, half))
                progress = step / stage.steps
                set_rates(optimiser, config, progress)
                beta = stage.beta.at(progress) if stage.beta else field.beta()

                seen = drawn(targets, step, stage.views, seed)
                outlined = drawn(range(len(silhouettes.views)), step, SILHOUETTE_VIEWS, seed)
                first, second = generators
                pictures = partial(
                    picture_half,
                    field=field,
                    views=seen,
                    stage=stage,
                    config=config,
                    supervision=supervision,
                    beta=beta,
                    generator=first,
                )
                rays = partial(silhouettes.rays, outlined, config.silhouette_rays, second)
                shape = partial(shape_half, rays=rays, stage=stage, config=config, generator=second)
                optimiser.zero_grad(set_to_none=True)
                weights = loss_weights(stage, progress)
                losses = differentiate(field.now(), (pictures, shape), weights, pool)
                if not math.isfinite(sum(weights[name] * loss for name, loss in losses.items())):
                    raise SansfaceError(
                        f"the loss is no longer a finite number in stage {number}, step {step}; {NOT_FINITE}."
                    )
                optimiser.step()
                losses["beta"] = float(torch.as_tensor(beta).detach())
                watch(Moment(number, step + 1, stage.steps, losses, field, optimiser))
    return field


def loss_weights(stage: Stage, progress: float) -> dict[str, float]:
    """The λ of every loss at a progress of 0 to 1."""
    return {
        "colour": stage.colour,
        "gradient": stage.gradient,
        "lipschitz": stage.lipschitz,
        "eikonal": stage.eikonal,
        "coverage": stage.coverage,
        "smoothness": stage.smoothness.at(progress) if stage.smoothness else 0.0,
        "volume": stage.volume.at(progress) if stage.volume else 0.0,
    }


def shape_half(
    surface: Surface,
    rays: Callable[[], SilhouetteRays],
    stage: Stage,
    config: Config,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """What silhouettes say, and what the surface should be like anyway."""
    losses = {"eikonal": surface.eikonal(generator)}
    if stage.coverage > 0:
        losses["coverage"] = silhouette_loss(surface, rays(), config, generator)
    if stage.smoothness is not None:
        losses["smoothness"] = surface.smoothness(generator)
    if stage.volume is not None:
        losses["volume"] = surface.volume(generator)
    return losses


def picture_half(
    surface: Surface,
    field: Field,
    views: list[ViewRays],
    stage: Stage,
    config: Config,
    supervision: Supervision,
    beta: float | Tensor,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Render a window of each view and compare: L_rgb where there is colour, L_grad where the stage asks.

    And the bound of the radiance, so that all that uses the radiance's parameters is in one half.
    """
    bound = {"lipschitz": lipschitz_product(field.radiance)} if stage.lipschitz > 0 else {}
    if stage.colour == 0 and stage.gradient == 0:
        return bound
    if config.scattered and stage.gradient == 0:
        windows = [scattered(view, config.patch**2, generator) for view in views]
    else:
        windows = [window(view, stage.gradient > 0, config.patch, generator) for view in views]
    rays = [w.rays() for w in windows]
    origins, directions = torch.cat([o for o, _ in rays]), torch.cat([d for _, d in rays])
    if config.sampler == "error-bounded":
        t, lengths = error_bounded(surface.sdf, origins, directions, beta, Sampler(), generator)
        seen = composite(surface, field.radiance, origins, directions, t, lengths, beta)
        hit = seen.opacity > 0.5
        there = seen.opacity > FAINT
    else:
        sight = look(surface, origins, directions, config.coarse_looks, generator)
        seen = render(surface, field.radiance, origins, directions, sight, beta, config.samples, generator)
        hit = there = sight.hit
    if not seen.depth.isfinite().all():
        raise SansfaceError(f"the surface's distances are no longer finite numbers; {NOT_FINITE}.")
    # A small window may lie beside the subject; that is no reason to stop.
    if not there.any() and not has_inside(surface, hit.device):
        raise SansfaceError(
            "no ray meets a surface any more: the subject has vanished; take another seed, check the cameras "
            "and masks, or give a smaller bounding sphere."
        )
    colours = seen.colour + (1 - seen.opacity)[:, None] if config.background else seen.colour
    # Where nothing is met there is no normal and no colour to learn: silhouettes decide about those rays.
    met = torch.ones_like(hit) if config.background else hit
    counts = [len(w.rows) for w in windows]
    losses: dict[str, Tensor] = {}

    def add(name: str, loss: Tensor) -> None:
        losses[name] = losses.get(name, torch.zeros_like(loss)) + loss / len(windows)

    for w, colour, hit in zip(windows, colours.split(counts), met.split(counts), strict=True):
        if stage.colour > 0 and w.view.colour is not None:
            place = (w.rows, w.columns)
            known = w.view.colour_known[place] & hit
            add("colour", colour_loss(colour, w.view.colour[place], known))
        if stage.gradient > 0:
            known = w.crop(w.view.modulus_known) & w.wholly(hit)
            # Moduli of colour targets are our own: neither rounded nor scaled.
            coded = w.view.kind is Kind.MODULUS
            tolerance, gain = (supervision.tolerance, supervision.gain) if coded else (0.0, False)
            target = w.crop(w.view.modulus)
            loss = gradient_loss(w.spread(colour), target, known, supervision.operator, tolerance, gain)
            add("gradient", loss)
    return losses | bound


@torch.no_grad()
def has_inside(surface: Shape, device: torch.device) -> bool:
    """Is the distance negative somewhere, of the nodes of a coarse grid?"""
    return bool((surface.sdf(nodes(NODES, device)) < 0).any())


def silhouette_loss(
    surface: Shape, rays: SilhouetteRays, config: Config, generator: torch.Generator
) -> Tensor:
    """Compare the outline that the surface has in some views with their masks' coverage."""
    sight = look(surface, rays.origins, rays.directions, config.coarse_looks, generator)
    points = rays.origins + rays.directions * sight.nearest[:, None]
    distance, gradient = surface.shape(points)
    with torch.no_grad():
        slope = gradient.square().sum(dim=1).sqrt().clamp(min=0.1)
        across = gradient - (gradient * rays.directions).sum(dim=1, keepdim=True) * rays.directions
        normal = torch.einsum("nij,nj->ni", rays.axes, across)
        normal = normal / normal.square().sum(dim=1, keepdim=True).sqrt().clamp(min=1e-6)
        # A subject that goes on beyond the cube covers pixels that the field cannot.
        counts = ~(sight.at_end & (rays.coverage > 0))
    pixels = distance / (slope * rays.footprint * sight.nearest)
    return (coverage_loss(pixels, normal, rays.coverage) * counts).mean()


def chosen(views: list[ViewRays], which: str) -> list[ViewRays]:
    """The views of a stage: `neutral`, `sensitive` or `all`."""
    if which not in ("neutral", "sensitive", "all"):
        raise SansfaceError(
            f"a stage's views are 'neutral', 'sensitive' or 'all', not {which!r}; correct it."
        )
    result = [v for v in views if which == "all" or v.neutral == (which == "neutral")]
    if not result:
        raise SansfaceError(f"the bundle has no {which} frame, and a stage needs them; protect again.")
    return result


def with_outline(views: list[ViewRays]) -> list[ViewRays]:
    """The views with a pixel of known coverage; all of them if there is none."""
    return [view for view in views if len(view.outline) or len(view.elsewhere)] or views


def comparable(views: list[ViewRays], stage: Stage | SplatStage) -> list[ViewRays]:
    """The views of a stage in which it has a pixel to compare; all of them if it compares no picture."""
    if stage.colour == 0 and stage.gradient == 0:
        return views
    result = [
        view
        for view in chosen(views, stage.targets)
        if (stage.colour > 0 and view.colour_known.any()) or (stage.gradient > 0 and view.modulus_known.any())
    ]
    if not result:
        raise SansfaceError(
            f"no {stage.targets} frame has a pixel that this stage compares; protect at a higher resolution, "
            "or correct the stage's targets."
        )
    return result


def drawn(views: Sequence[T], step: int, count: int, seed: int) -> list[T]:
    """`count` views, all of them once before any comes again; a function of step and seed alone.

    Where all were drawn in the middle of a draw, its rest may hold a view of its beginning again.
    """
    if count >= len(views):
        return list(views)
    return [views[i] for i in _order(len(views), step * count, count, seed)]


def _order(n: int, first: int, count: int, seed: int) -> Iterator[int]:
    for k in range(first, first + count):
        epoch = torch.Generator().manual_seed(mixed(seed, n, k // n))
        yield int(torch.randperm(n, generator=epoch)[k % n])


def mixed(*numbers: int) -> int:
    """A seed from several numbers, the same on every machine and Python."""
    return int.from_bytes(hashlib.blake2b(repr(numbers).encode(), digest_size=6).digest(), "big")


def make_optimiser(field: Field, config: Config) -> torch.optim.Adam:
    """Adam with a rate for the distance, the features and the radiance."""
    rates = {
        "distance": config.distance_rate,
        "features": config.feature_rate,
        "radiance": config.radiance_rate,
    }
    groups = [
        {"params": parameters, "lr": rates[name], "start": rates[name]}
        for name, parameters in field.parameter_groups().items()
        if parameters
    ]
    return torch.optim.Adam(groups, betas=(0.9, config.memory), eps=config.epsilon, fused=True)


def set_rates(optimiser: torch.optim.Adam, config: AnyConfig, progress: float) -> None:
    """Let all rates fall to `rate_decay` of their start over a stage.

    Half a cosine keeps them high for longer than an exponential, and then lets the noise of the last steps
    die out: slow drifts (a surface that hangs outside a shallow dent) end, and the skin comes out smooth.
    """
    if config.rate_shape == "cosine":
        factor = config.rate_decay + (1 - config.rate_decay) * 0.5 * (1 + math.cos(math.pi * progress))
    else:
        factor = config.rate_decay**progress
    for group in optimiser.param_groups:
        group["lr"] = group["start"] * factor
