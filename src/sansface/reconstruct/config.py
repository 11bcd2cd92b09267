"""Settings of a reconstruction: frozen, named presets, unknown keys refused, every schedule as data."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from typing import Any

from sansface.errors import SansfaceError
from sansface.settings import at_least
from sansface.splats.config import SplatConfig, splats


@dataclass(frozen=True)
class Ramp:
    """A value that falls from `start` to `end` by equal factors over the first `share` of a stage."""

    start: float
    end: float
    share: float = 1.0

    def __post_init__(self) -> None:
        if min(self.start, self.end, self.share) <= 0:
            raise SansfaceError(
                f"start, end and share of a ramp are more than 0, unlike {self}; correct them."
            )

    def at(self, progress: float) -> float:
        """Value at a progress of 0 to 1."""
        return self.start * (self.end / self.start) ** min(1.0, progress / self.share)


@dataclass(frozen=True)
class Stage:
    """One stage's schedule. Weights are the λ of eq. 9."""

    steps: int
    beta: Ramp | None  # scale of VolSDF's density, in units of the sphere's radius; None: the field learns it
    colour: float = 0.0  # λ₁ of L_rgb
    gradient: float = 0.0  # λ₄ of L_grad
    eikonal: float = 0.1  # λ₂ of L_eik
    lipschitz: float = 0.0  # λ₃ of L_lip; more than 0 bounds the radiance's layers from this stage on
    coverage: float = 0.0  # of the silhouette: ours
    smoothness: Ramp | None = None  # of the second differences: ours
    volume: Ramp | None = None  # of the volume: ours, against the visual hull's excess
    targets: str = "all"  # views that are rendered and compared: neutral, sensitive or all
    silhouettes: str = "all"  # views whose coverage is compared
    views: int = 2  # pictures a step

    def __post_init__(self) -> None:
        at_least(self, steps=0, views=1, colour=0, gradient=0, eikonal=0, lipschitz=0, coverage=0)


@dataclass(frozen=True)
class Config:
    """Everything but the seed, the device and the data."""

    preset: str  # the preset that this began as
    field: str  # a name in fields.registry.FIELDS
    field_settings: dict[str, Any]
    stage1: Stage
    stage2: Stage
    patch: int = 64  # side of the pictures' window that a step renders, pixels
    scattered: bool = False  # where colours alone are compared, as many pixels anywhere instead of a window
    background: bool = False  # do colour targets include the background, as white?
    sampler: str = "near-surface"  # or VolSDF's own, "error-bounded", which has its own numbers of samples
    coarse_looks: int = 32  # places along a ray where the surface is looked for
    samples: int = 8  # samples a ray in the slab around the surface
    silhouette_rays: int = 8000  # a step, over ten views
    distance_rate: float = 1e-2  # Adam's rates at a stage's start
    feature_rate: float = 2e-2
    radiance_rate: float = 2e-3
    memory: float = 0.99  # β₂ of Adam, and its ε: those of hash grids (Müller et al. 2022), whose nodes have
    epsilon: float = 1e-15  # gradients seldom
    rate_decay: float = 0.1  # of the rates from a stage's start to its end
    rate_shape: str = "exponential"  # of that decay: by equal factors, or along half a cosine
    mesh_resolution: int = 256  # cells along the cube's edge

    def __post_init__(self) -> None:
        # A look needs neighbours on both sides, and so does a pixel's σ; each of ten views gets its rays.
        at_least(self, coarse_looks=3, patch=3, samples=1, silhouette_rays=10, mesh_resolution=2)
        if self.rate_shape not in ("exponential", "cosine"):
            raise SansfaceError(
                f"the rates' shape is 'exponential' or 'cosine', not {self.rate_shape!r}; correct it."
            )
        if self.sampler not in ("near-surface", "error-bounded"):
            raise SansfaceError(
                f"the sampler is 'near-surface' or 'error-bounded', not {self.sampler!r}; correct it."
            )
        at_least(self, distance_rate=0, feature_rate=0, radiance_rate=0, rate_decay=0, memory=0, epsilon=0)
        if self.memory >= 1:
            raise SansfaceError(f"Adam's memory is less than 1, unlike {self.memory}; correct it.")

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


def _fast(resolution: int, _: tuple[int, int]) -> Config:
    """Larger pictures get larger windows and more silhouette rays.

    By less than the resolution, so that time grows more slowly than the number of pixels; windows by more
    than its root, for what is seldom looked at is learnt worse. From a pixel to its neighbour shading changes
    the less, the smaller the pixels are: so L_grad weighs more.
    """
    detail = max(1.0, resolution / 64)
    return Config(
        preset="fast",
        field="grid",
        field_settings={
            "levels": (6, 12, 24, 48, 96),
            "feature_nodes": 64,
            "feature_channels": 8,
            "width": 32,
            "depth": 2,
            "factored": True,
            "radius": 0.6,
        },
        stage1=Stage(
            steps=80,
            beta=Ramp(0.05, 0.01),
            colour=1.0,
            coverage=1.0,
            smoothness=Ramp(7e-3, 7e-3),
            volume=Ramp(0.5, 0.05),
            targets="neutral",
            silhouettes="neutral",
        ),
        stage2=Stage(
            steps=720,
            beta=Ramp(0.01, 0.002, share=0.7),
            colour=1.0,  # of the neutral views: the paper drops it here, and the back of the head is worse
            gradient=4.0 * detail,
            lipschitz=1e-6,
            coverage=4.0,
            smoothness=Ramp(7e-3, 1.8e-3),
            volume=Ramp(0.5, 0.05),
            views=3,
        ),
        patch=round(64 * detail**0.75),
        silhouette_rays=round(8000 * detail**0.5),
        distance_rate=5e-3,
        rate_decay=0.01,
        rate_shape="cosine",
    )


def _paper(resolution: int, views: tuple[int, int]) -> Config:
    """VolSDF's network, sampler, learnt β, rates and Adam, whatever the resolution.

    1000 and 500 epochs, an epoch being one batch of rays from each view of the stage: scattered over the
    view where colours alone are compared, a window of it where moduli are. The papers compare whole pictures.
    No bundle holds σ across the outline: in stage 2 the masks' silhouettes take its place, without which
    nothing says where the head ends.
    """
    neutral, sensitive = views
    neutral = max(neutral, 1)  # where there are none, a stage is what a template takes the place of
    return Config(
        preset="paper",
        field="mlp",
        field_settings={
            "width": 256,
            "depth": 8,
            "skip": 4,
            "features": 256,
            "frequencies": 6,
            "view_frequencies": 4,
            "radius": 0.6,
        },
        stage1=Stage(steps=1000 * neutral, beta=None, colour=1.0, targets="neutral", views=1),
        stage2=Stage(
            steps=500 * sensitive,
            beta=None,
            gradient=1.0,
            lipschitz=3e-10,
            coverage=1.0,
            targets="sensitive",
            views=1,
        ),
        silhouette_rays=1024,
        patch=32,
        scattered=True,
        background=True,
        sampler="error-bounded",
        distance_rate=5e-4,
        feature_rate=5e-4,
        radiance_rate=5e-4,
        memory=0.999,
        epsilon=1e-8,
        mesh_resolution=512,
    )


def _paper_small(resolution: int, views: tuple[int, int]) -> Config:
    """`paper` with smaller networks, a quarter of the rays and a tenth of the epochs, to compare on a CPU."""
    paper = _paper(resolution, views)
    return replace(
        paper,
        preset="paper-small",
        field_settings=paper.field_settings
        | {"width": 64, "depth": 4, "skip": 2, "features": 64, "radiance_depth": 2},
        stage1=replace(paper.stage1, steps=paper.stage1.steps // 10),
        stage2=replace(paper.stage2, steps=paper.stage2.steps // 10),
        patch=paper.patch // 2,
        silhouette_rays=paper.silhouette_rays // 4,
        mesh_resolution=256,
    )


AnyConfig = Config | SplatConfig
"""Of either renderer. Both have two stages with their steps, and the cells of the mesh."""

PRESETS: dict[str, Callable[[int, tuple[int, int]], AnyConfig]] = {
    "fast": _fast,
    "paper": _paper,
    "paper-small": _paper_small,
    "splats": lambda resolution, views: splats(resolution),
}


def preset(name: str, resolution: int = 64, views: tuple[int, int] = (10, 20)) -> AnyConfig:
    """A preset by name.

    Args:
        resolution: of the pictures' longer side, as a bundle says.
        views: how many there are, neutral and sensitive, for presets that count epochs.

    Raises:
        SansfaceError: there is no such preset.
    """
    if name not in PRESETS:
        raise SansfaceError(f"there is no preset {name!r}; choose one of {', '.join(PRESETS)}.")
    return PRESETS[name](resolution, views)


def changed(config: Any, changes: dict[str, Any]) -> Any:
    """A copy of a settings object with some values changed; nested objects take nested dicts.

    Raises:
        SansfaceError: a key that the settings do not have.
    """
    known = {f.name for f in fields(config)}
    for key in changes:
        if key not in known:
            raise SansfaceError(
                f"the settings have no {key!r}; they have {', '.join(sorted(known))}: correct the name."
            )
    values = {}
    for key, value in changes.items():
        # What a preset may leave out is a ramp.
        old = Ramp(1.0, 1.0) if getattr(config, key) is None else getattr(config, key)
        values[key] = changed(old, value) if is_dataclass(old) and isinstance(value, dict) else value
    return replace(config, **values)


def from_dict(values: dict[str, Any]) -> AnyConfig:
    """A config as its `as_dict` wrote it, after its way through JSON.

    Raises:
        SansfaceError: an unknown key or preset.
    """
    values = dict(values)
    if isinstance(values.get("field_settings"), dict):
        settings = values["field_settings"].items()
        values["field_settings"] = {k: tuple(v) if isinstance(v, list) else v for k, v in settings}
    return changed(preset(str(values.get("preset"))), values)
