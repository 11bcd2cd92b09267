"""What the radiance of a trained head shows: novel views of it, and of another head that wears it.

A radiance is kept on request only (`--keep-radiance`), because what it renders can be recognised: in the
paper in a third of cases. The audit measures it by these pictures.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sansface.capture import Camera
from sansface.errors import SansfaceError
from sansface.evaluate.align import icp
from sansface.evaluate.distance import Nearest
from sansface.evaluate.viewpoints import from_side
from sansface.fields.field import Field
from sansface.fields.registry import make_field
from sansface.files import read_json
from sansface.reconstruct import checkpoint
from sansface.reconstruct.config import Config, from_dict
from sansface.reconstruct.zero_set import zero_set
from sansface.render.sampling import look
from sansface.render.volume import Radiance, render
from sansface.surface import largest_component

BATCH = 16_384
"""Rays at a time."""
SAMPLES = 24
LOOKS = 96
BETA = 0.002
"""Scale of the density, in radii of the sphere."""
ALIGNING_CELLS = 96
"""Of the marching cubes by which two heads are brought together."""


@dataclass(frozen=True, eq=False)
class TrainedHead:
    """A field that was kept, in its unit-sphere frame.

    Attributes:
        front: (4, 4) cam_from_world of a camera in front of the face.
        radius: of the sphere, in the capture's unit.
    """

    field: Field
    config: Config
    front: np.ndarray
    radius: float


def read_trained(folder: Path, device: torch.device) -> TrainedHead:
    """The head in the folder of a finished reconstruction.

    Raises:
        SansfaceError: its radiance was not kept, or a file there is not as a reconstruction writes it.
    """
    if not (folder / checkpoint.NAME).is_file():
        raise SansfaceError(
            f"{folder} holds no trained radiance; reconstruct again with --keep-radiance, if it must be kept."
        )
    kept, said = checkpoint.load(folder / checkpoint.NAME), read_json(folder / "config.json")
    try:
        config = from_dict(said["config"])
        front, radius = np.array(said["frame"]["front"], dtype=np.float64), float(said["frame"]["radius"])
        if front.shape != (4, 4):
            raise ValueError
    except (KeyError, TypeError, ValueError) as error:
        raise SansfaceError(f"{folder / 'config.json'} is not of this version; reconstruct again.") from error
    if not isinstance(config, Config):
        raise SansfaceError(
            f"{folder} holds splats, and only fields are rendered; reconstruct by another preset."
        )
    field = make_field(config.field, config.field_settings, torch.Generator().manual_seed(0))
    kept.restore(field)
    return TrainedHead(field.to(device), config, front, radius)


def orbit(head: TrainedHead, views: int, size: int) -> dict[int, Camera]:
    """Cameras from one side of the face to the other, by degrees to the head's left."""
    azimuths = np.linspace(-90, 90, views) if views > 1 else np.zeros(1)
    return {round(azimuth): from_side(head.front, float(azimuth), size) for azimuth in azimuths}


@torch.no_grad()
def novel_view(head: TrainedHead, camera: Camera, radiance: Radiance | None = None) -> np.ndarray:
    """(h, w, 3) uint8 sRGB over black.

    Args:
        camera: in the head's unit-sphere frame.
        radiance: another one than the head's own.
    """
    device = next(head.field.parameters()).device
    surface, shown = head.field.now(), radiance or head.field.radiance
    rays = camera.rays(camera.grid())
    origins, directions = (torch.from_numpy(a.astype(np.float32)).to(device) for a in rays)
    generator = torch.Generator(device).manual_seed(0)
    parts = []
    for o, d in zip(origins.split(BATCH), directions.split(BATCH), strict=True):
        sight = look(surface, o, d, LOOKS, generator)
        parts.append(render(surface, shown, o, d, sight, BETA, SAMPLES, generator).colour)
    colour = torch.cat(parts).clamp(0, 1).mul(255).round().to(torch.uint8)
    return colour.view(camera.height, camera.width, 3).cpu().numpy()


def worn(wearer: TrainedHead, source: TrainedHead) -> Radiance:
    """The radiance of `source` on the geometry of `wearer` (appearance transfer, fig. 10 of the paper).

    The two are aligned by a rigid motion, at their true sizes; then each point takes the radiance of the
    source's surface next to it.
    """
    there, here = (largest_component(zero_set(head.field, ALIGNING_CELLS)) for head in (source, wearer))
    scale = wearer.radius / source.radius
    start = source.front[:3, :3].T @ wearer.front[:3, :3] * scale  # face to face
    points = here.vertices @ start.T
    chosen = points[np.linspace(0, len(points) - 1, min(4000, len(points))).astype(int)]
    motion = icp(chosen, Nearest(there), there.face_normals)
    device = next(source.field.parameters()).device
    turn = torch.from_numpy((motion[:3, :3] @ start / scale).astype(np.float32)).to(device)
    shift = torch.from_numpy(motion[:3, 3].astype(np.float32)).to(device)
    surface = source.field.now()

    def radiance(points: Tensor, normals: Tensor, directions: Tensor, features: Tensor) -> Tensor:
        place = scale * points @ turn.T + shift
        for _ in range(3):
            distance, gradient = surface.shape(place)
            place = place - distance[:, None] * gradient / gradient.square().sum(dim=1, keepdim=True).clamp(
                min=1e-3
            )
        _, gradient, theirs = surface.query(place)
        return source.field.radiance(place, normals @ turn.T, directions @ turn.T, theirs)

    return radiance
