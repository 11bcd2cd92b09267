"""The parametric neural head: one canonical shape, moved by codes, coloured by a code, lit by harmonics.

    f(x; z) = min( T(p), |x − c(z_id)| − r(z_id) for both eyes ),      x = p + Σ_i (z_i − rest_i) B_i(p)

T is a template: a lattice of signed distances in the frame and the form of `sansface.fields.template`, here
of the mean head with the mouth a little open (`rest`), so that the lips are two surfaces. B are smooth
shifts, one for each of the 100 numbers of identity and 57 of expression; linear in the codes, as the linear
model is, but for all of space. p is found from x by fixed-point iteration, as in Chen et al. 2021 (SNARF) by
Broyden's method. Eye balls move rigidly, so they need no shifts. Radiance is albedo(p, z_alb) · E(n) / π,
with E of `sansface.heads.light` and n the normal of f.

Everything is in the template's frame: a length of 1 is `radius` millimetres of the model.
"""

from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sansface.fields.encoding import octaves
from sansface.fields.grid import GridSurface
from sansface.fields.template import PlacedTemplate
from sansface.heads.albedo import CODES
from sansface.heads.light import irradiance
from sansface.heads.neural.codes import HeadCodes
from sansface.heads.template import NECK

OCTAVES = 5
"""Of the place, for colours; multiples of π, so the coarsest wave is as long as the cube."""
WAVES = (3.0, 8.0, 16.0)
"""Widths of the waves' normal distributions, radians to a unit; at 8 a usual wave is 10 cm long."""
CUT = NECK + 4.0
"""Height in the mean head below which nothing is shown, mm: above the plane that closes T at the neck."""
STEPS = 8
"""Of the fixed-point iteration from nothing; the shifts' slope is mostly far below 1."""


class Shifts(nn.Module):
    """B, linear in random Fourier features of the place (Rahimi and Recht 2007): sines of WAVES in all
    directions, and the place itself.
    """

    way: Tensor
    phase: Tensor

    def __init__(self, codes: int, features: int) -> None:
        super().__init__()
        self.register_buffer("way", torch.zeros(3, features))
        self.register_buffer("phase", torch.zeros(features))
        self.last = nn.Linear(features + 3, 3 * codes)

    def draw(self, generator: torch.Generator) -> None:
        """Draw the waves: directions and lengths from normal distributions of WAVES' widths, evenly mixed."""
        count = len(self.phase)
        width = torch.tensor(WAVES)[torch.randint(len(WAVES), (count,), generator=generator)]
        self.way.copy_(width * torch.randn((3, count), generator=generator))
        self.phase.copy_(2 * torch.pi * torch.rand(count, generator=generator))

    def features(self, places: Tensor) -> Tensor:
        """(n, features + 3) of places (n, 3)."""
        return torch.cat([torch.sin(places @ self.way + self.phase), places], dim=1)

    def forward(self, places: Tensor) -> Tensor:
        """(n, codes, 3)."""
        return self.last(self.features(places)).view(len(places), -1, 3)

    def combined(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """The last layer for one head: (3, features + 3) and (3,). So a place costs little more than its
        sines, whatever the number of codes.
        """
        weight = self.last.weight.view(len(codes), 3, -1)
        bias = self.last.bias.view(len(codes), 3)
        return torch.einsum("k,kcw->cw", codes, weight), codes @ bias


class Colours(nn.Module):
    """Albedo of a canonical place and a code."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.hidden = _layers(3 * (1 + 2 * OCTAVES) + 1 + len(CODES), *[width] * depth)
        self.last = nn.Linear(width, 3)

    def forward(self, places: Tensor, eye: Tensor, codes: Tensor) -> Tensor:
        """(n, 3) linear RGB in [0, 1].

        Args:
            places: (n, 3) canonical.
            eye: (n,) bool, whether the place is on an eye ball and not on the lid that touches it.
            codes: (n, 12), or (12,) for all.
        """
        known = [octaves(torch.pi * places, OCTAVES), eye[:, None].to(places), codes.expand(len(places), -1)]
        return torch.sigmoid(self.last(_through(self.hidden, torch.cat(known, dim=1))))


@dataclass(eq=False)
class NeuralHead:
    """All that is learnt.

    Attributes:
        distance: (n, n, n) float32, T on the nodes of [-1, 1]³, x fastest.
        center, radius: x_model = center + radius · x, in millimetres.
        shifts, colours: the networks.
        eyes: (2, 4, 1 + 100) center and radius of the left and the right ball: constant, then per number of
            the identity.
        rest: (157,) the codes at which T stands.
        about: where it comes from and how it was trained, plain JSON.
    """

    distance: Tensor
    center: tuple[float, float, float]
    radius: float
    shifts: Shifts
    colours: Colours
    eyes: Tensor
    rest: Tensor
    about: dict[str, Any]

    def to(self, device: torch.device) -> "NeuralHead":
        """A copy on a device."""
        networks = {name: deepcopy(getattr(self, name)).to(device) for name in ("shifts", "colours")}
        tensors = {name: getattr(self, name).to(device) for name in ("distance", "eyes", "rest")}
        return replace(self, **networks, **tensors)

    def posed(self, codes: HeadCodes) -> "PosedHead":
        """One head, on the device of the tensors here."""
        return PosedHead(self, codes)


class PosedHead:
    """f and its parts for one head; points are (n, 3) in the template's frame. None of it is for training."""

    def __init__(self, head: NeuralHead, codes: HeadCodes) -> None:
        device = head.rest.device
        identity, expression, self.albedo, self.light = (
            torch.as_tensor(value, dtype=torch.float32, device=device)
            for value in (codes.identity, codes.expression, codes.albedo, codes.light)
        )
        surface = GridSurface(head.distance[None, None], torch.zeros(1, 1, 2, 2, 2, device=device))
        one, still = torch.ones((), device=device), torch.zeros(3, device=device)
        self.head, self._template = head, PlacedTemplate(surface, one, torch.eye(3, device=device), still)
        with torch.no_grad():
            self._weight, self._bias = head.shifts.combined(torch.cat([identity, expression]) - head.rest)
        balls = head.eyes[..., 0] + head.eyes[..., 1:] @ identity
        self._center, self._radius = balls[:, :3], balls[:, 3]
        self._floor = (CUT - head.center[1]) / head.radius

    def shift(self, places: Tensor) -> Tensor:
        """(n, 3) of canonical places."""
        return self.head.shifts.features(places) @ self._weight.T + self._bias

    @torch.no_grad()
    def canonical(self, points: Tensor, start: Tensor | None = None, steps: int = STEPS) -> Tensor:
        """(n, 3) places p with p + shift(p) = x, from a guess if there is one."""
        places = points - self.shift(points) if start is None else start
        for _ in range(steps):
            places = points - self.shift(places)
        return places

    @torch.no_grad()
    def skin(self, places: Tensor) -> Tensor:
        """(n,) T of canonical places: f where no eye ball is nearer."""
        return self._template.sdf(places)

    @torch.no_grad()
    def distance(self, points: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """(n,) f, and (n,) int64 which surface is nearest: 0 skin, 1 the left eye, 2 the right one.

        Args:
            places: of the points, as `canonical` gives them.
        """
        balls = torch.cdist(points, self._center) - self._radius
        nearest = torch.cat([self.skin(places)[:, None], balls], dim=1).min(dim=1)
        return nearest.values, nearest.indices

    @torch.no_grad()
    def sdf(self, points: Tensor) -> Tensor:
        """(n,) f from nothing."""
        return self.distance(points, self.canonical(points))[0]

    def normal(self, points: Tensor, places: Tensor, which: Tensor) -> Tensor:
        """(n, 3) outward unit normals of f: on the skin ∇f = (∂x/∂p)⁻ᵀ ∇T."""
        with torch.enable_grad():
            places = places.detach().requires_grad_()
            moved = places + self.shift(places)
            rows = [torch.autograd.grad(moved[:, k].sum(), places, retain_graph=k < 2)[0] for k in range(3)]
        jacobian = torch.stack(rows, dim=1)  # (n, 3, 3): ∂x_k / ∂p
        # The adjugate's transpose is the inverse's but for the determinant, and never fails: its rows are
        # cross products of the others.
        a, b, c = jacobian.unbind(dim=1)
        cofactors = torch.stack(
            [torch.linalg.cross(b, c), torch.linalg.cross(c, a), torch.linalg.cross(a, b)], dim=1
        )
        with torch.no_grad():
            _, slope = self._template.shape(places.detach())
            skin = F.normalize((cofactors @ slope[:, :, None])[:, :, 0], dim=1)
            ball = F.normalize(points - self._center[(which - 1).clamp(min=0)], dim=1)
            return torch.where((which == 0)[:, None], skin, ball)

    @torch.no_grad()
    def on_ball(self, points: Tensor, places: Tensor, which: Tensor) -> Tensor:
        """Canonical places (n, 3): of skin as they are, of an eye where it is on the mean head's ball."""
        eye = (which - 1).clamp(min=0)
        mean = self.head.eyes[eye, :, 0]
        there = mean[:, :3] + (points - self._center[eye]) * (mean[:, 3] / self._radius[eye])[:, None]
        return torch.where((which == 0)[:, None], places, there)

    @torch.no_grad()
    def belongs(self, places: Tensor) -> Tensor:
        """(n,) bool: above the cut through the neck, which is open."""
        return places[:, 1] > self._floor

    @torch.no_grad()
    def radiance(self, points: Tensor, places: Tensor, which: Tensor) -> Tensor:
        """(n, 3) linear RGB of places on the surface."""
        normals = self.normal(points, places, which)
        albedo = self.head.colours(self.on_ball(points, places, which), which > 0, self.albedo)
        return albedo * irradiance(normals, self.light)


def _layers(*sizes: int) -> nn.ModuleList:
    return nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))


def _through(layers: nn.ModuleList, x: Tensor) -> Tensor:
    for layer in layers:
        x = F.silu(layer(x))
    return x
