"""The neural head seen by a camera, by sphere tracing, and its surface as a mesh."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sansface.capture import Camera
from sansface.heads.neural.codes import HeadCodes
from sansface.heads.neural.head import NeuralHead, PosedHead
from sansface.surface.extract import extract
from sansface.surface.mesh import Mesh

BOUND = 1.4
"""Radius of the ball in which there may be a surface, in the template's frame; the mean head's is 1.1."""
EDGE = 1.15
"""Half the edge of the cube in which the surface is looked for."""
STEPS = 80
CAREFUL = 0.8
"""Share of the distance that a step takes: shifts stretch space, so f is no exact distance."""
FAR = 3
"""Iterations for canonical places that need not be exact yet."""
NEAR = 1e-3
"""f up to which a ray has arrived, about a tenth of a millimetre."""
BATCH = 1 << 16
"""Rays at a time."""


@dataclass(frozen=True, eq=False)
class Traced:
    """Where rays meet the head: ray (h,) int64; point, place (h, 3); which (h,) as `distance` says."""

    ray: Tensor
    point: Tensor
    place: Tensor
    which: Tensor


def render(
    head: NeuralHead, codes: HeadCodes, camera: Camera, device: torch.device | None = None, samples: int = 2
) -> np.ndarray:
    """Picture a head.

    Args:
        camera: in the model's frame, in millimetres (`cam_from_world` is the head's pose); no distortion.
        device: None takes the head's.
        samples: samples² rays a pixel.

    Returns:
        (h, w, 4) float32: linear RGB times alpha, and alpha: the share of rays that meet the head.
    """
    head = head if device is None else head.to(device)
    device = head.rest.device
    posed = head.posed(codes)
    rays = rays_of(camera.resized(samples * camera.width, samples * camera.height), head)
    rgba = torch.zeros((len(rays[0]), 4), device=device)
    for start in range(0, len(rgba), BATCH):
        origins, directions = (part[start : start + BATCH].to(device) for part in rays)
        hits = trace(posed, origins, directions)
        rgba[start + hits.ray, :3] = posed.radiance(hits.point, hits.place, hits.which)
        rgba[start + hits.ray, 3] = 1
    blocks = rgba.view(camera.height, samples, camera.width, samples, 4)
    return blocks.mean(dim=(1, 3)).cpu().numpy()


def rays_of(camera: Camera, head: NeuralHead) -> tuple[Tensor, Tensor]:
    """(n, 3) origins and unit directions through the centres of all pixels, in the template's frame."""
    origins, directions = camera.rays(camera.grid())
    origins = (origins - np.array(head.center)) / head.radius
    return torch.from_numpy(origins.astype(np.float32)), torch.from_numpy(directions.astype(np.float32))


@torch.no_grad()
def trace(posed: PosedHead, origins: Tensor, directions: Tensor) -> Traced:
    """First surfaces along rays (n, 3), (n, 3).

    A ray goes on by CAREFUL · f, and its canonical place with it, from where one iteration brings it up to
    date; so the whole costs little more than a network evaluation a step.
    """
    along = -(origins * directions).sum(dim=1)
    nearest = (origins.square().sum(dim=1) - along.square()).clamp(min=0)
    reach = (BOUND**2 - nearest).clamp(min=0).sqrt()
    ray = torch.nonzero((nearest < BOUND**2) & (along + reach > 0))[:, 0]
    t, last = (along - reach).clamp(min=0)[ray], (along + reach)[ray]
    o, d = origins[ray], directions[ray]
    point = o + t[:, None] * d
    place = posed.canonical(point, steps=FAR)
    found: list[tuple[Tensor, ...]] = []
    for _ in range(STEPS):
        f, which = posed.distance(point, place)
        there, gone = f < NEAR, t > last
        if there.any():
            found.append((ray[there], point[there], place[there], which[there], d[there]))
        on = ~(there | gone)
        if not on.any():
            break
        ray, t, last, o, d, place, f = (value[on] for value in (ray, t, last, o, d, place, f))
        step = CAREFUL * f
        t = t + step
        point = o + t[:, None] * d
        place = posed.canonical(point, place + step[:, None] * d, steps=1)
    if not found:
        none = torch.zeros(0, dtype=torch.int64, device=origins.device)
        return Traced(none, origins[:0], origins[:0], none)
    ray, point, place, which, d = (torch.cat(parts) for parts in zip(*found, strict=True))
    for _ in range(2):  # what a step's one iteration left undone
        place = posed.canonical(point, place, steps=FAR)
        f, which = posed.distance(point, place)
        point, place = point + f[:, None] * d, place + f[:, None] * d
    place = posed.canonical(point, place, steps=FAR)
    keep = (which > 0) | posed.belongs(place)
    return Traced(ray[keep], point[keep], place[keep], which[keep])


def surface(head: NeuralHead, codes: HeadCodes, resolution: int = 128) -> Mesh:
    """The head's surface as a mesh in the model's frame, in millimetres, closed at the neck.

    Args:
        resolution: cells of marching cubes along an edge; 128 are 2.5 mm each.
    """
    posed = head.posed(codes)
    device = head.rest.device

    def distance(points: np.ndarray) -> np.ndarray:
        parts = torch.from_numpy(points.astype(np.float32)).to(device).split(BATCH)
        return torch.cat([posed.sdf(part) for part in parts]).cpu().numpy()

    mesh = extract(distance, resolution, bound=EDGE, coarse=32)
    return Mesh(mesh.vertices * head.radius + np.array(head.center), mesh.faces)
