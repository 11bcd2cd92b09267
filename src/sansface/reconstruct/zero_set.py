"""The zero set of a field, in its unit-sphere frame: as a mesh, and as the normals that a camera sees."""

import numpy as np
import torch

from sansface.capture import Camera
from sansface.fields.field import Field
from sansface.render.sampling import look
from sansface.surface.extract import extract
from sansface.surface.mesh import Mesh

LOOKS = 64
"""Along a ray, for a picture of the normals."""


@torch.no_grad()
def zero_set(field: Field, cells: int) -> Mesh:
    """Marching cubes over the field's cube, every component.

    Args:
        cells: along the cube's edge.

    Raises:
        SansfaceError: there is no surface.
    """
    device = next(field.parameters()).device
    surface = field.now()

    def sdf(points: np.ndarray) -> np.ndarray:
        return surface.sdf(torch.from_numpy(points).to(device)).cpu().numpy()

    return extract(sdf, cells)


@torch.no_grad()
def seen_normals(field: Field, camera: Camera) -> np.ndarray:
    """(h, w, 3) float32 unit normals in the frame, NaN where a pixel's ray meets no surface."""
    device = next(field.parameters()).device
    rays = camera.rays(camera.grid())
    origins, directions = (torch.from_numpy(a.astype(np.float32)).to(device) for a in rays)
    surface = field.now()
    generator = torch.Generator(device).manual_seed(0)
    sight = look(surface, origins, directions, LOOKS, generator)
    _, gradient = surface.shape(origins + directions * sight.t[:, None])
    normal = gradient / gradient.square().sum(dim=1, keepdim=True).sqrt().clamp(min=1e-6)
    normal[~sight.hit] = torch.nan
    return normal.view(camera.height, camera.width, 3).cpu().numpy()
