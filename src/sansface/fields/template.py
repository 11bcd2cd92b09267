"""A head template: the signed distances of a mean head on a lattice, and where it stands in a capture.

It is what a field begins as where there are no neutral frames (sec. 3.4 of the paper). The frame of a
template: y up, the face along +z, x to the head's own left, and a length of 1 is `radius` millimetres of the
model that it was learnt from. Distances are negative inside, in the same unit, on the cube [-1, 1]³.
"""

import hashlib
import json
import math
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from sansface.errors import SansfaceError
from sansface.fields.grid import GridSurface
from sansface.files import os_error_sentence, parse_json, written_beside

VERSION = 1
KEY = "sansface_template"
"""Of the JSON in the file's header."""
SHIPPED = "head.safetensors"
NODES = (8, 128)
"""Least and largest number of nodes along an edge of the lattice."""
LEAST_HEADS = 10
"""Of different identities: fewer would leave too much of each."""


@dataclass(frozen=True, eq=False)
class Template:
    """A mean head. It has no place in any capture yet: see `PlacedTemplate`.

    Attributes:
        distance: (n, n, n) float32 signed distances on the nodes of [-1, 1]³, x fastest.
        center, radius: x_model = center + radius · x, in millimetres.
        source: the model whose identities it was learnt from.
        licence: of that model.
        identities: the seeds of those identities, each another one.
        training: settings by which it was learnt, plain JSON.
        sha256: of the file, in hexadecimal; empty before it was written.

    Raises:
        SansfaceError: one of them is not so.
    """

    distance: Float[Tensor, "n n n"]
    center: tuple[float, float, float]
    radius: float
    source: str
    licence: str
    identities: tuple[int, ...]
    training: dict[str, Any]
    sha256: str = ""

    def __post_init__(self) -> None:
        least, most = NODES
        if not least <= len(self.distance) <= most or not self.distance.isfinite().all():
            raise SansfaceError(
                f"a template's distances are finite numbers on a lattice of {least} to {most} nodes a side."
            )
        if not (self.distance.min() < 0 < self.distance.max()):
            raise SansfaceError("a template's distances have both signs, for a head and what is around it.")
        if not all(math.isfinite(c) for c in self.center) or not 0 < self.radius < math.inf:
            raise SansfaceError("a template's center and radius are finite numbers, the radius positive.")
        if len(set(self.identities)) != len(self.identities) or len(self.identities) < LEAST_HEADS:
            raise SansfaceError(f"a template is learnt from {LEAST_HEADS} different identities or more.")

    def surface(self, device: torch.device) -> GridSurface:
        """Its functions, in its own frame."""
        return GridSurface(self.distance.to(device)[None, None], torch.zeros(1, 1, 2, 2, 2, device=device))

    def about(self) -> dict[str, Any]:
        """What stands in its file beside the distances: plain JSON."""
        return {
            "version": VERSION,
            "source": self.source,
            "licence": self.licence,
            "identities": list(self.identities),
            "frame": {"up": "+y", "face": "+z", "center_mm": list(self.center), "radius_mm": self.radius},
            "training": self.training,
        }


def write_template(template: Template, path: str | Path) -> Template:
    """Write a template, its distances rounded to float16, beside and renamed; the same gives the same bytes.

    Returns:
        what `read_template` gives.

    Raises:
        SansfaceError: the file cannot be written.
    """
    tensors = {"distance": template.distance.to(torch.float16).contiguous()}
    about = json.dumps(template.about(), sort_keys=True, allow_nan=False)
    with written_beside(path) as part:
        part.write_bytes(save(tensors, {KEY: about}))
    return read_template(path)


def read_template(path: str | Path) -> Template:
    """Read a template.

    Raises:
        SansfaceError: one sentence, if it is missing, damaged, of another version or no template.
    """
    path = Path(path)
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        with safe_open(path, framework="pt") as file:
            about = parse_json(file.metadata()[KEY].encode())
            if about["version"] != VERSION:
                raise SansfaceError(
                    f"{path} is a template of version {about['version']!r}, and this sansface reads version "
                    f"{VERSION}; train it again, or use the sansface that wrote it."
                )
            distance = file.get_tensor("distance").float()
        frame = about["frame"]
        x, y, z = (float(c) for c in frame["center_mm"])
        return Template(
            distance=distance,
            center=(x, y, z),
            radius=float(frame["radius_mm"]),
            source=str(about["source"]),
            licence=str(about["licence"]),
            identities=tuple(int(seed) for seed in about["identities"]),
            training=dict(about["training"]),
            sha256=digest,
        )
    except OSError as error:
        raise SansfaceError(os_error_sentence("read the template", path, error)) from error
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise SansfaceError(
            f"{path} is damaged or no head template; give one that `sansface template train` wrote."
        ) from error


def shipped_template() -> Template:
    """The template that comes with the package, made by `sansface template train` (docs/template.md)."""
    with resources.as_file(resources.files("sansface.fields").joinpath(SHIPPED)) as path:
        return read_template(path)


@dataclass(frozen=True)
class Placement:
    """x = shift + scale · rotation x_template: a similarity from the template's frame to a field's.

    Attributes:
        how: `silhouettes`, or `sphere` where no outline was shared to place it by.
    """

    scale: float
    rotation: tuple[tuple[float, ...], ...]  # (3, 3)
    shift: tuple[float, ...]  # (3,)
    how: str

    @classmethod
    def of(cls, scale: float, rotation: Any, shift: Any, how: str) -> "Placement":
        """From arrays, or from what `asdict` of one became on its way through JSON."""
        rows = tuple(tuple(float(value) for value in row) for row in rotation)
        return cls(float(scale), rows, tuple(float(value) for value in shift), how)


class PlacedTemplate:
    """A template where a placement puts it: a `Shape` in the field's frame.

    Beyond the lattice the distance goes on as that of its nearest node and the way there.

    Args:
        surface: of the template, in its own frame.
        scale, rotation, shift: tensors () and (3, 3) and (3,) on its device, with a graph where the
            placement is being looked for.
    """

    def __init__(self, surface: GridSurface, scale: Tensor, rotation: Tensor, shift: Tensor) -> None:
        self.surface, self.scale, self.rotation, self.shift = surface, scale, rotation, shift

    @torch.no_grad()
    def sdf(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, " n"]:
        local, inside = self._local(points)
        return self.scale * (self.surface.sdf(inside) + (local - inside).norm(dim=1))

    def shape(self, points: Float[Tensor, "n 3"]) -> tuple[Float[Tensor, " n"], Float[Tensor, "n 3"]]:
        local, inside = self._local(points)
        distance, gradient = self.surface.shape(inside)
        way = local - inside
        beyond = way.norm(dim=1)
        outward = torch.where(local == inside, gradient, way / beyond.clamp(min=1e-9)[:, None])
        return self.scale * (distance + beyond), outward @ self.rotation.T

    def _local(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """The points in the template's frame, and the nearest ones of its lattice."""
        local = (points - self.shift) @ self.rotation / self.scale
        return local, local.clamp(-1, 1)


def placed(template: Template, placement: Placement, device: torch.device) -> PlacedTemplate:
    """The template where the placement puts it."""
    scale, rotation, shift = (
        torch.tensor(value, dtype=torch.float32, device=device)
        for value in (placement.scale, placement.rotation, placement.shift)
    )
    return PlacedTemplate(template.surface(device), scale, rotation, shift)
