"""Learn a head template: one smooth shape for all heads, and for each head a deformation onto it.

After Xu et al. 2023 (Deformable model-driven neural rendering, ICCV), which the paper's supplement names: the
signed distance of head i is

    f_i(x) = T(x + D(x, z_i)),

T a template that all share, z_i a code of the head and D a deformation. What is common goes into T, because
deformations are kept small and smooth, and the mean of all heads needs the smallest. T is stored as a lattice
here, so it is the template's file already, and codes and deformation are thrown away: nothing of any one head
is kept. Their displacement on top of T, for detail of a single head, has no use here.

The heads are identities of the parametric model with weights from N(0, 1) cut off at 2, at rest. Everything
is in the template's own frame (see `sansface.fields.template`).
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sansface.errors import SansfaceError
from sansface.fields.encoding import octaves
from sansface.fields.grid import nodes
from sansface.fields.registry import make_field
from sansface.fields.template import LEAST_HEADS, Template
from sansface.heads.parametric import HeadModel
from sansface.heads.solid import Solid

SOURCE, LICENCE = "ICT-FaceKit Light (Li et al. 2020), synthetic identities", "MIT"
FIRST_IDENTITY = 1000
"""Least seed of an identity: those of the benchmark's heads are below it."""
MOST_HEADS = 1000
NECK = -105.0
"""Height at which the solid is cut, mm: below it the model's shoulders begin."""
MARGIN = 1.1
"""The cube is this much larger than the mean head."""
LEVELS = (7, 14, 28, 56)
"""Of the pyramid that T is learnt as; the last one is the file's lattice."""
ON, NEAR, FAR = 12_000, 12_000, 4_000
"""Samples of each head on its surface, around it, and anywhere."""
SPREAD = 0.04
"""Standard deviation of those around the surface, from it."""
EACH = 160
"""Samples of each kind and head in a step."""
OCTAVES = 2
"""Of the place, for the deformation."""
SAMPLING = 0.4
"""About the share of the time that measuring the heads takes."""


@dataclass(frozen=True)
class TrainSettings:
    """How a template is learnt. Distances are in units of the template's frame.

    Raises:
        SansfaceError: too few heads, or a number out of range.
    """

    heads: int = 24
    seed: int = 0  # of the identities, FIRST_IDENTITY + MOST_HEADS · seed on, and of everything random
    steps: int = 2000
    code: int = 8  # numbers of a head's code
    distance: float = 1.0  # weight of |f − d| away from the surface
    surface: float = 3.0  # of |f| on it
    normal: float = 0.05  # of 1 − cos of the angle to the surface's normal
    eikonal: float = 0.1  # of (‖∇T‖ − 1)²
    smoothness: float = 1e-3  # of T's squared second differences
    small: float = 3.0  # of ‖D‖²
    smooth: float = 0.01  # of ‖∂D/∂x‖²
    codes: float = 1e-4  # of ‖z‖²

    def __post_init__(self) -> None:
        if not LEAST_HEADS <= self.heads <= MOST_HEADS:
            raise SansfaceError(
                f"a template is learnt from {LEAST_HEADS} to {MOST_HEADS} heads, not {self.heads}: with "
                "fewer it would resemble them."
            )
        if self.steps < 1 or self.seed < 0:
            raise SansfaceError("the steps are at least 1 and the seed is not negative; correct them.")

    def identities(self) -> tuple[int, ...]:
        """The seeds of the heads."""
        first = FIRST_IDENTITY + MOST_HEADS * self.seed
        return tuple(range(first, first + self.heads))


def identity(model: HeadModel, seed: int) -> np.ndarray:
    """(n, 3) float32 vertices of a head at rest, in millimetres."""
    return model.vertices(np.random.default_rng(seed).normal(size=len(model.identity)).clip(-2, 2))


def train_template(
    model: HeadModel, settings: TrainSettings, progress: Callable[[float, str], None] | None = None
) -> Template:
    """Learn a template.

    Args:
        progress: called with the share that is done, 0 to 1, and what is being done.
    """
    tell = progress or (lambda done, note: None)
    skin = model.neutral[np.unique(model.skin)]
    center, radius = _cube(skin[skin[:, 1] > NECK])
    heads = []
    for number, seed in enumerate(settings.identities()):
        rng = np.random.default_rng([settings.seed, seed])
        heads.append(_samples(Solid(model, identity(model, seed)), center, radius, rng))
        tell(SAMPLING * (number + 1) / settings.heads, "measuring heads")
    distance = _learn(heads, settings, lambda done: tell(SAMPLING + (1 - SAMPLING) * done, "learning"))
    x, y, z = (float(c) for c in center)
    return Template(
        distance=distance,
        center=(x, y, z),
        radius=radius,
        source=SOURCE,
        licence=LICENCE,
        identities=settings.identities(),
        training=asdict(settings),
    )


@dataclass(frozen=True, eq=False)
class _Samples:
    """Of one head: `on` (n, 6) places and normals on the surface, `off` (m, 4) places and distances."""

    on: Tensor
    off: Tensor


def _cube(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Center and half the side of a cube around points."""
    low, high = points.min(axis=0), points.max(axis=0)
    return (low + high) / 2, MARGIN * float((high - low).max()) / 2


def _samples(solid: Solid, center: np.ndarray, radius: float, rng: np.random.Generator) -> _Samples:
    def distance(places: np.ndarray) -> np.ndarray:
        return np.maximum(solid.distance(places), NECK - places[:, 1])

    points, normals = solid.sample(ON, rng)
    # Below the cut, and where an eye ball or the other lip covers the skin, is no surface of the solid.
    free = np.abs(distance(points)) < 1e-6 * radius
    points, normals = points[free], normals[free]
    around = points[rng.integers(len(points), size=NEAR)] + SPREAD * radius * rng.normal(size=(NEAR, 3))
    off = np.concatenate([around, center + radius * rng.uniform(-1, 1, (FAR, 3))])

    def tensor(places: np.ndarray, more: np.ndarray) -> Tensor:
        return torch.from_numpy(np.column_stack([(places - center) / radius, more]).astype(np.float32))

    return _Samples(tensor(points, normals), tensor(off, distance(off) / radius))


def _learn(heads: list[_Samples], settings: TrainSettings, tell: Callable[[float], None]) -> Tensor:
    """(n, n, n) distances of T."""
    generator = torch.Generator().manual_seed(settings.seed)
    # The radiance of the field is of the least size and takes no part.
    nothing = {"feature_nodes": 2, "feature_channels": 1, "width": 1, "depth": 1}
    template = make_field("grid", {"levels": LEVELS, "radius": 0.6, **nothing}, generator)
    deformation = Deformation(settings.heads, settings.code, generator)
    optimiser = torch.optim.Adam(
        [
            {"params": template.parameter_groups()["distance"], "lr": 3e-3},
            {"params": deformation.parameters(), "lr": 2e-3},
        ]
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.steps)
    for step in range(settings.steps):
        on, off = (_drawn([getattr(head, kind) for head in heads], generator) for kind in ("on", "off"))
        surface = template.now()
        places = torch.cat([on[..., :3], off[..., :3]], dim=1).reshape(-1, 3).requires_grad_()
        owner = torch.arange(settings.heads).repeat_interleave(2 * EACH)
        moved = deformation(places, owner)
        f, slope = surface.shape(places + moved)
        # ∇f_i = ∇T + (∂D/∂x)ᵀ ∇T, and E ‖(∂D/∂x)ᵀ v‖² over v ~ N(0, 1) is ‖∂D/∂x‖².
        noise = torch.randn(slope.shape, generator=generator)
        (bend,) = torch.autograd.grad(moved, places, slope, create_graph=True)
        (bent,) = torch.autograd.grad(moved, places, noise, create_graph=True)
        normal = F.normalize((slope + bend).view(settings.heads, 2 * EACH, 3)[:, :EACH], dim=-1)
        f = f.view(settings.heads, 2 * EACH)
        loss = (
            settings.surface * f[:, :EACH].abs().mean()
            + settings.distance * (f[:, EACH:] - off[..., 3]).abs().mean()
            + settings.normal * (1 - (normal * on[..., 3:]).sum(dim=-1)).mean()
            + settings.eikonal * surface.eikonal(generator)
            + settings.smoothness * surface.smoothness(generator)
            + settings.small * moved.square().sum(dim=1).mean()
            + settings.smooth * bent.square().sum(dim=1).mean()
            + settings.codes * deformation.codes.square().sum(dim=1).mean()
        )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        tell((step + 1) / settings.steps)
    n = LEVELS[-1]
    learnt = template.now().sdf(nodes(n)).view(n, n, n)
    return (learnt + learnt.flip(2)) / 2  # a mean head is as much to the left as to the right


class Deformation(nn.Module):
    """D(x, z_i): a small network of the place's octaves and the head's code, zero to begin with."""

    def __init__(self, heads: int, code: int, generator: torch.Generator, width: int = 64) -> None:
        super().__init__()
        self.codes = nn.Parameter(0.1 * torch.randn((heads, code), generator=generator))
        sizes = [3 * (1 + 2 * OCTAVES) + code, width, width, 3]
        layers = [nn.Linear(a, b) for a, b in pairwise(sizes)]
        with torch.no_grad():
            for layer in layers:
                nn.init.kaiming_normal_(layer.weight, generator=generator)
                nn.init.zeros_(layer.bias)
            nn.init.zeros_(layers[-1].weight)
        self.layers = nn.ModuleList(layers)

    def forward(self, places: Tensor, owner: Tensor) -> Tensor:
        """(n, 3) shifts of places (n, 3), each by the code of its owner (n,)."""
        x = torch.cat([octaves(places, OCTAVES), self.codes[owner]], dim=1)
        for layer in self.layers[:-1]:
            x = F.softplus(layer(x), beta=10)
        return self.layers[-1](x)


def _drawn(heads: list[Tensor], generator: torch.Generator) -> Tensor:
    """(heads, EACH, k): rows of each head, drawn with replacement."""
    return torch.stack([head[torch.randint(len(head), (EACH,), generator=generator)] for head in heads])
