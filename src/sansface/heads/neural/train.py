"""Train the neural head on the linear model, in three parts.

1. T: the signed distances of the mean head at rest, measured on the template's lattice.
2. Shifts: the linear model's 157 offsets, by least squares at its vertices and around them, where a place
   takes the offsets of the vertex nearest to it.
3. Colours: pictures of heads of random codes in random light, from random cameras; each ray is traced on the
   neural head itself, and the albedo there times the light's irradiance is to be the pixel.

Identities are drawn from seeds of their own, see `PEOPLE`.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor
from torch.nn import functional as F

from sansface.errors import SansfaceError
from sansface.fields.grid import nodes
from sansface.fields.template import shipped_template
from sansface.heads.albedo import albedo
from sansface.heads.light import irradiance
from sansface.heads.neural.codes import random_codes
from sansface.heads.neural.head import Colours, NeuralHead, Shifts
from sansface.heads.neural.pictures import Surfaces, random_camera
from sansface.heads.neural.render import rays_of, trace
from sansface.heads.parametric import HeadModel
from sansface.heads.solid import Solid, ball
from sansface.heads.template import LICENCE, NECK, SOURCE

PEOPLE = 10_000
"""Least seed of a head to train on; those that it is tested on are below."""
MOST = 100_000
"""Largest number of heads, and the distance between the seeds' ranges."""
REST = {"jawOpen": 0.25}
"""The expression at which T stands: the lips are some ten millimetres apart."""
AROUND = ((0.0, 1, 1.0), (0.015, 2, 0.3), (0.06, 2, 0.1), (0.5, 1, 0.03))
"""Where shifts are fitted: standard deviation from a vertex, places a vertex, and their weight."""

MARGIN = 25.0
"""Shifts are fitted so far below the cut, mm."""
BATCH = 16_384
"""Places at a time."""
HOLD = 1e7
"""Weight of the second term in `fit_shifts`, in squares of the template's length."""
FIT_NOISE, FIT_EXPRESSION = 1.0, 0.25
"""Standard deviations in `expression_of`: mm, and of a weight."""
EYES = 16
"""One ray of so many is one that meets an eye, beside those that chance brings."""
RIDGE = 1e-7
"""Of the last layer's least squares, in mean squares of its features."""


@dataclass(frozen=True)
class NeuralSettings:
    """How a neural head is trained.

    Raises:
        SansfaceError: a number out of range.
    """

    seed: int = 0  # of everything random, identities included
    nodes: int = 88  # of T's lattice along an edge
    waves: int = 512  # of the shifts
    colour_width: int = 128
    colour_depth: int = 3
    heads: int = 96  # that colours are learnt from
    repaints: int = 16  # pictures of each, in other colours and lights
    size: int = 96  # of a picture's side, pixels
    colour_steps: int = 2500
    colour_rays: int = 8192  # of a step
    rate: float = 3e-3  # of their optimiser, falling to zero by a cosine

    def __post_init__(self) -> None:
        if not 1 <= self.heads <= MOST or self.seed < 0 or self.colour_steps < 1:
            raise SansfaceError(
                f"a neural head is trained on 1 to {MOST} heads, in a step or more; correct the settings."
            )

    def people(self) -> range:
        """Seeds of the heads."""
        first = PEOPLE + MOST * self.seed
        return range(first, first + self.heads)


def train_neural_head(
    model: HeadModel, settings: NeuralSettings, progress: Callable[[float, str], None] | None = None
) -> NeuralHead:
    """Train a neural head, in the frame of the shipped template.

    Args:
        progress: called with the share that is done, 0 to 1, and what is being done.
    """
    tell = progress or (lambda done, note: None)
    generator = torch.Generator().manual_seed(settings.seed)
    frame = shipped_template()
    names = tuple(model.expression)
    rest = torch.zeros(len(model.identity) + len(names))
    for name, weight in REST.items():
        rest[len(model.identity) + names.index(name)] = weight
    mean = model.vertices(expression=REST)
    tell(0.0, "measuring the mean head")
    head = NeuralHead(
        distance=_distances(model, mean, np.array(frame.center), frame.radius, settings.nodes),
        center=frame.center,
        radius=frame.radius,
        shifts=Shifts(len(rest), settings.waves),
        colours=Colours(settings.colour_width, settings.colour_depth),
        eyes=_eyes(model, np.array(frame.center), frame.radius),
        rest=rest,
        about={"source": SOURCE, "licence": LICENCE, "training": asdict(settings)},
    )
    head.shifts.draw(generator)
    fit_shifts(head, model, mean, np.random.default_rng(settings.seed))
    rays = traced_pictures(head, model, settings, lambda done: tell(0.1 + 0.5 * done, "tracing pictures"))
    _begin(head.colours, generator)
    learn_colours(head, rays, settings, generator, lambda done: tell(0.6 + 0.4 * done, "learning colours"))
    return head


@torch.no_grad()
def fit_shifts(head: NeuralHead, model: HeadModel, mean: np.ndarray, rng: np.random.Generator) -> None:
    """The last layer of the shifts by least squares, on the linear model's offsets o:

        Σ_places w ‖B(p) − o‖²  +  HOLD ‖G (B − o)‖²

    G gives the expression of a fit of the linear model to displacements of the skin's vertices, and of the
    face's alone (see `expression_of`): what B lacks of o must not look like an expression, or moving an
    identity would move it.

    Args:
        mean: (n, 3) the model's vertices where T stands, mm.
    """
    skin = np.unique(model.skin)
    skin = skin[mean[skin, 1] > NECK - MARGIN]
    vertices = (mean[skin] - np.array(head.center)) / head.radius
    offsets = np.concatenate([model.identity[:, skin], np.stack(list(model.expression.values()))[:, skin]])
    target = torch.from_numpy(offsets.transpose(1, 0, 2) / head.radius).double()  # (n, 157, 3)
    tree = KDTree(vertices)
    size, codes = head.shifts.last.in_features + 1, target.shape[1]
    square, product = torch.zeros(size, size, dtype=torch.float64), torch.zeros(size, 3 * codes).double()
    for spread, each, weight in AROUND:
        places = np.repeat(vertices, each, axis=0)
        places = places + spread * rng.normal(size=places.shape)
        owner = torch.from_numpy(tree.query(places)[1])
        for some in torch.arange(len(places)).split(BATCH):
            features = _with_one(head.shifts, places[some])
            square += weight * features.T @ features
            product += weight * features.T @ target[owner[some]].flatten(1)
    square.diagonal().add_(RIDGE * square.diagonal().mean())

    system = torch.block_diag(square, square, square)
    right = product.view(size, codes, 3).permute(2, 0, 1).reshape(3 * size, codes)
    above = mean[skin, 1] > NECK
    for part in (above, above & (skin < model.parts["Face"][1])):
        fit = torch.from_numpy(expression_of(offsets[:, part], len(model.identity)))  # (57, 3 n)
        features = _with_one(head.shifts, vertices[part])
        seen = torch.cat([fit[:, axis::3] @ features for axis in range(3)], dim=1)  # (57, 3 size)
        due = fit @ target[torch.from_numpy(part)].transpose(1, 2).flatten(0, 1)
        system += HOLD * seen.T @ seen
        right += HOLD * seen.T @ due
    answer = torch.linalg.solve(system, right).view(3, size, codes).permute(2, 0, 1).flatten(0, 1).float()
    head.shifts.last.weight.copy_(answer[:, :-1])
    head.shifts.last.bias.copy_(answer[:, -1])


def expression_of(offsets: np.ndarray, identities: int) -> np.ndarray:
    """(57, 3 n) float64: takes displacements of vertices, mm, to the expression of the model fitted to them.

    Least squares with an error of FIT_NOISE at each vertex and priors: an identity's weights of N(0, 1),
    expression's of FIT_EXPRESSION.

    Args:
        offsets: (157, n, 3) of those vertices, mm.
    """
    system = offsets.reshape(len(offsets), -1).astype(np.float64)
    prior = np.ones(len(offsets))
    prior[identities:] = FIT_EXPRESSION
    square = system @ system.T / FIT_NOISE**2 + np.diag(prior**-2)
    return np.linalg.solve(square, system / FIT_NOISE**2)[identities:]


def _with_one(shifts: Shifts, places: np.ndarray) -> Tensor:
    """(n, features + 1) float64: the last column is what the bias is for."""
    return F.pad(shifts.features(torch.from_numpy(places.astype(np.float32))), (0, 1), value=1.0).double()


@dataclass(frozen=True, eq=False)
class Rays:
    """Pixels of pictures where the neural head has a surface, too.

    place: (n, 3) canonical; eye: (n,) bool; light: (n, 3) E / π; code: (n,) int64 into codes (k, 12);
    pixel: (n, 3) linear RGB.
    """

    place: Tensor
    eye: Tensor
    light: Tensor
    code: Tensor
    pixel: Tensor
    codes: Tensor


def traced_pictures(
    head: NeuralHead,
    model: HeadModel,
    settings: NeuralSettings,
    tell: Callable[[float], None] = lambda done: None,
) -> Rays:
    """Pictures of the linear model in random codes, and where their rays meet the neural head.

    Each view is pictured several times, in other colours and another light.
    """
    surfaces, parts, codes = Surfaces(model), [], []
    for number, seed in enumerate(settings.people()):
        rng = np.random.default_rng(seed)
        somebody, camera = random_codes(model, rng), random_camera(rng, settings.size)
        view, posed = surfaces.view(somebody, camera), head.posed(somebody)
        hits = trace(posed, *rays_of(camera, head))
        _, ours, theirs = np.intersect1d(hits.ray.numpy(), view.ray, return_indices=True)
        # A lid that the shapes do not have at the same pixel would teach the eye its colour.
        agree = (hits.which[ours] > 0).numpy() == surfaces.on_eye[view.corners[theirs, 0]]
        ours, theirs = ours[agree], theirs[agree]
        point, place, which = hits.point[ours], hits.place[ours], hits.which[ours]
        normal, where, eye = posed.normal(point, place, which), posed.on_ball(point, place, which), which > 0
        for _ in range(settings.repaints):
            other = random_codes(model, rng)
            pixel = view.colours(albedo(model, other.albedo), other.light)[theirs]
            parts.append(
                (
                    where,
                    eye,
                    irradiance(normal, torch.from_numpy(other.light)),
                    torch.full((len(ours),), len(codes)),
                    torch.from_numpy(pixel.astype(np.float32)),
                )
            )
            codes.append(torch.from_numpy(other.albedo))
        tell((number + 1) / settings.heads)
    return Rays(*(torch.cat(part) for part in zip(*parts, strict=True)), codes=torch.stack(codes))


def learn_colours(
    head: NeuralHead,
    rays: Rays,
    settings: NeuralSettings,
    generator: torch.Generator,
    tell: Callable[[float], None] = lambda done: None,
) -> list[float]:
    """Fit the colours to pixels, with their values to the power of 1 / 2.2; returns every step's loss."""
    optimiser = torch.optim.Adam(head.colours.parameters(), lr=settings.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.colour_steps)
    losses = []
    eyes, most = torch.nonzero(rays.eye)[:, 0], settings.colour_rays
    for step in range(settings.colour_steps):
        some = torch.randint(len(rays.place), (most,), generator=generator)
        if len(eyes):
            some[: most // EYES] = eyes[torch.randint(len(eyes), (most // EYES,), generator=generator)]
        shown = head.colours(rays.place[some], rays.eye[some], rays.codes[rays.code[some]]) * rays.light[some]
        loss = (_encoded(shown) - _encoded(rays.pixel[some])).square().mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
        tell((step + 1) / settings.colour_steps)
    return losses


def _encoded(light: Tensor) -> Tensor:
    return light.clamp(min=1e-4) ** (1 / 2.2)


def _begin(network: torch.nn.Module, generator: torch.Generator) -> None:
    """He's initial values from the generator, the last layer a hundredth of them."""
    with torch.no_grad():
        layers = [layer for layer in network.modules() if isinstance(layer, torch.nn.Linear)]
        for layer in layers:
            torch.nn.init.kaiming_normal_(layer.weight, generator=generator)
            torch.nn.init.zeros_(layer.bias)
        layers[-1].weight *= 0.01


def _distances(model: HeadModel, mean: np.ndarray, center: np.ndarray, radius: float, n: int) -> Tensor:
    """(n, n, n): of the closed skin cut at the neck, in the template's frame."""
    solid = Solid(model, mean)
    places = center + radius * nodes(n).double().numpy()
    distance = np.maximum(solid.skin_distance(places), NECK - places[:, 1]) / radius
    return torch.from_numpy(distance.astype(np.float32)).view(n, n, n)


def _eyes(model: HeadModel, center: np.ndarray, radius: float) -> Tensor:
    """(2, 4, 1 + 100): each ball's center and radius, and how they change with the identity."""
    result = []
    for side in ("left", "right"):
        part = slice(*model.parts[f"Sclera {side}"])
        heads = np.concatenate([np.zeros_like(model.identity[:1, part]), model.identity[:, part]])
        balls = [ball(model.neutral[part].astype(np.float64) + offsets) for offsets in heads]
        middle = np.array([[*(c - center), r] for c, r in balls]) / radius
        middle[1:] -= middle[0]
        result.append(middle.T)
    return torch.from_numpy(np.array(result).astype(np.float32))
