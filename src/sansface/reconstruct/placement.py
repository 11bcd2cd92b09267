"""Where a template stands in a capture: a similarity, by the silhouettes of the masks that were shared.

The cost of a placement is the silhouette loss of stage 2, on a few rays, so no outline has to be traced and a
subject that goes on beyond the pictures (a neck, shoulders) costs little. It has many local minima, so it is
looked at for turns all around up and a range of scales, each shifted so that the crown lies where the visual
hull has it; the best are then refined by Adam. Up is where the cameras' pictures have it. A head looks much
alike from opposite sides: of two that cost the same, the one that faces the sensitive cameras wins.

Where no outline was shared, the template just fills the bundle's sphere, and faces the sensitive cameras.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sansface.fields.grid import GridSurface, nodes
from sansface.fields.template import PlacedTemplate, Placement, Template
from sansface.reconstruct.config import Config
from sansface.reconstruct.rays import view_rays
from sansface.reconstruct.silhouettes import Silhouettes
from sansface.reconstruct.stages import mixed, silhouette_loss
from sansface.reconstruct.supervision import Supervision, View
from sansface.upright import up_direction, upright

TURNS = 24
"""Directions of the face that are tried, all around up."""
SCALES = np.geomspace(0.3, 1.0, 8)
"""Lengths of the template's unit that are tried, in radii of the bundle's sphere."""
VIEWS = 10
"""Views whose silhouettes are compared."""
FEW, MANY = 500, 1500
"""Rays a placement, while looking and while refining."""
REFINED = 4
"""The best placements of the first look, which are refined..."""
STEPS = (30, 80)
"""...by so many steps each, and then the best of those by so many more."""
RATE = 0.02
TILT = 0.1
"""Weight of the squared angle, in radians, by which the head is not upright."""
FACING = 0.02
"""Weight of the cosine between the face's direction and that of the sensitive cameras."""
FILLED = 0.95
"""Part of the bundle's sphere that the template fills where nothing says its size."""
VOXELS = 40
"""Of the visual hull, along an edge of the cube."""


@dataclass(frozen=True, eq=False)
class _Outlines:
    """What placements are compared with."""

    silhouettes: Silhouettes
    config: Config
    towards: Tensor  # (3,): mean direction of the sensitive cameras less that of the neutral ones
    seed: int

    def cost(self, pose: "_Pose", surface: GridSurface, rays: int) -> Tensor:
        """Silhouettes on the same rays for every placement, tilt, and facing away."""
        generator = torch.Generator(self.towards.device).manual_seed(mixed(self.seed, rays))
        rotation = pose.rotation()
        placed = PlacedTemplate(surface, pose.log_scale.exp(), rotation, pose.shift)
        drawn = self.silhouettes.rays(range(len(self.silhouettes.views)), rays, generator)
        outlines = silhouette_loss(placed, drawn, self.config, generator)
        return outlines + TILT * pose.tilt() - FACING * (rotation[:, 2] @ self.towards)


@dataclass(frozen=True, eq=False)
class _Pose:
    """A placement to be refined: upright (3, 3), then turned by a small rotation vector (3,)."""

    log_scale: Tensor
    upright: Tensor
    turn: Tensor
    shift: Tensor

    def rotation(self) -> Tensor:
        x, y, z = self.turn
        none = torch.zeros_like(x)
        cross = torch.stack([none, -z, y, z, none, -x, -y, x, none]).view(3, 3)
        return self.upright @ torch.linalg.matrix_exp(cross)

    def tilt(self) -> Tensor:
        return self.turn[0].square() + self.turn[2].square()

    def leaves(self) -> "_Pose":
        """A copy whose scale, turn and shift can be learnt."""
        learnt = (
            value.detach().clone().requires_grad_() for value in (self.log_scale, self.turn, self.shift)
        )
        log_scale, turn, shift = learnt
        return _Pose(log_scale, self.upright, turn, shift)


def place(
    template: Template, supervision: Supervision, config: Config, seed: int, device: torch.device
) -> Placement:
    """Find where the template stands.

    Args:
        config: of the run; how silhouettes are looked at.
        seed: of the rays.
    """
    views = supervision.views
    cameras = [view.camera for view in views]
    up, towards = up_direction(cameras), facing(views)
    outlined = [view for view in views if view.outline.any()]
    hull = visual_hull(outlined)
    if not len(hull):
        scale = FILLED / float(_head(template).norm(dim=1).max())
        return Placement.of(scale, upright(up, towards), np.zeros(3), "sphere")
    spread = [outlined[i] for i in np.linspace(0, len(outlined) - 1, min(VIEWS, len(outlined))).astype(int)]
    rays = [view_rays(view, supervision.operator, config.background, device) for view in spread]
    outlines = _Outlines(Silhouettes(rays), config, _tensor(towards, device), seed)
    surface = template.surface(device)

    begun = _beginnings(template, hull, up, device)
    with torch.no_grad():
        costs = torch.stack([outlines.cost(pose, surface, FEW) for pose in begun])
    best = [begun[i] for i in costs.argsort()[:REFINED].tolist()]
    refined = [_refined(pose, outlines, surface, STEPS[0]) for pose in best]
    pose, _ = min(refined, key=lambda found: found[1])
    pose, _ = _refined(pose, outlines, surface, STEPS[1])
    rotation, shift = (value.detach().cpu().double().numpy() for value in (pose.rotation(), pose.shift))
    return Placement.of(float(pose.log_scale.detach().exp()), rotation, shift, "silhouettes")


def facing(views: Sequence[View]) -> np.ndarray:
    """(3,) mean direction of the sensitive cameras less that of the neutral ones: where the face looks.

    Its length, at most 2, says how sure that is: sensitive cameras all around say nothing.
    """
    ways = np.array([view.camera.center / np.linalg.norm(view.camera.center) for view in views])
    neutral = np.array([view.neutral for view in views])
    sides = ways[~neutral], ways[neutral]
    front, rear = (side.mean(axis=0) if len(side) else np.zeros(3) for side in sides)
    return front - rear


def visual_hull(views: Sequence[View]) -> np.ndarray:
    """(n, 3) voxel centres in the unit sphere that no view calls background and half of the views see."""
    points = nodes(VOXELS).double().numpy()
    points = points[np.linalg.norm(points, axis=1) <= 1]
    seen, kept = np.zeros(len(points), dtype=int), np.ones(len(points), dtype=bool)
    for view in views:
        pixels, depth = view.camera.project(points)
        column, row = np.floor(pixels).astype(int).T
        height, width = view.coverage.shape
        within = (depth > 0) & (column >= 0) & (row >= 0) & (column < width) & (row < height)
        seen += within
        kept[within] &= view.coverage[row[within], column[within]] != 0
    return points[kept & (2 * seen >= max(1, len(views)))] if len(views) else points[:0]


def _beginnings(template: Template, hull: np.ndarray, up: np.ndarray, device: torch.device) -> list[_Pose]:
    """Every turn and scale, the crown where the hull is highest and the head's middle in that of the hull."""
    head = _head(template).double().numpy()
    crown = head[:, 1].max()
    head = head[head[:, 1] > 0]  # without the neck
    middle = (head.min(axis=0) + head.max(axis=0)) / 2
    height = hull @ up
    poses = []
    for scale in SCALES:
        upper = hull[height > height.max() - scale * crown]
        flat = upper - (upper @ up)[:, None] * up
        place = (flat.min(axis=0) + flat.max(axis=0)) / 2 + (height.max() - scale * crown) * up
        for turn in np.arange(TURNS) * 2 * np.pi / TURNS:
            rotation = upright(up, np.eye(3)[2]) @ _about_y(turn)
            shift = place - scale * rotation @ (middle * (1, 0, 1))
            values = (np.log(scale), rotation, np.zeros(3), shift)
            poses.append(_Pose(*(_tensor(value, device) for value in values)))
    return poses


def _head(template: Template) -> Tensor:
    """(n, 3) nodes of the lattice inside the head."""
    return nodes(len(template.distance))[template.distance.flatten() < 0]


def _refined(pose: _Pose, outlines: _Outlines, surface: GridSurface, steps: int) -> tuple[_Pose, float]:
    """The placement after some steps of Adam, and its cost."""
    pose = pose.leaves()
    optimiser = torch.optim.Adam([pose.log_scale, pose.turn, pose.shift], lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, eta_min=RATE / 20)
    for _ in range(steps):
        optimiser.zero_grad(set_to_none=True)
        outlines.cost(pose, surface, MANY).backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        return pose, float(outlines.cost(pose, surface, MANY))


def _about_y(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def _tensor(value: float | np.ndarray, device: torch.device) -> Tensor:
    return torch.tensor(value, dtype=torch.float32, device=device)
