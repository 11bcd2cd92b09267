"""The zero set of a field as a mesh, in its unit-sphere frame."""

import numpy as np
import torch

from sansface.fields.field import Field
from sansface.surface.extract import extract
from sansface.surface.mesh import Mesh


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
