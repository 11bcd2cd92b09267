"""What a run asks of a method, and the two that there are: a field with volume rendering, and splats."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from sansface.capture import Camera
from sansface.reconstruct import stages
from sansface.reconstruct.config import AnyConfig
from sansface.reconstruct.supervision import Supervision
from sansface.reconstruct.zero_set import seen_normals, zero_set
from sansface.splats import stages as splat_stages
from sansface.splats.config import SplatConfig
from sansface.splats.fusion import fuse
from sansface.splats.render import seen_normals as splat_normals
from sansface.surface.mesh import Mesh

Normals = Callable[[Any, Camera], np.ndarray]
"""(h, w, 3) unit normals of a model in the unit-sphere frame, as a camera sees them, NaN where nothing is."""


@dataclass(frozen=True)
class Method:
    """From supervision to a trained model, and from that to its surface.

    Attributes:
        train: as `sansface.reconstruct.stages.train`, with the settings of the method.
        surface: of a model, from the supervision's cameras or not, with so many cells along the cube's edge:
            every component, in the unit-sphere frame.
        normals: geometry alone, never a colour.
    """

    train: Callable[..., nn.Module]
    surface: Callable[[Any, Supervision, int], Mesh]
    normals: Normals


VOLUME = Method(stages.train, lambda field, _, cells: zero_set(field, cells), seen_normals)
SPLATS = Method(splat_stages.train, fuse, splat_normals)


def method_of(settings: AnyConfig) -> Method:
    """The method that settings are for."""
    return SPLATS if isinstance(settings, SplatConfig) else VOLUME
