"""Pictures of a run: what was received, previews, the mesh. Geometry and protected images only."""

from pathlib import Path

import numpy as np
from torch import nn

from sansface.evaluate.pictures import render_mesh, stamped
from sansface.evaluate.png import write_png
from sansface.evaluate.raycast import Caster
from sansface.evaluate.viewpoints import SHOWN, viewpoints
from sansface.reconstruct.method import Normals
from sansface.reconstruct.supervision import Kind, Supervision
from sansface.surface.mesh import Mesh

KINDS = ("protected", "preview_", "mesh_", "truth_", "error_")
PREVIEW_SIZE = 200
MESH_SIZE = 400
COLUMNS = 10


def target_pictures(supervision: Supervision) -> list[np.ndarray]:
    """The targets, moduli brightened to fill the range: (h, w, 3) uint8 each."""
    moduli = [view.target.max() for view in supervision.views if view.kind is Kind.MODULUS]
    brightest = max(moduli, default=1.0) or 1.0
    result = []
    for view in supervision.views:
        colour = view.target if view.kind is Kind.COLOUR else view.target[..., None] / brightest
        codes = np.rint(255 * np.clip(colour, 0, 1)).astype(np.uint8)
        result.append(np.broadcast_to(codes, (*view.target.shape[:2], 3)))
    return result


def contact_sheet(supervision: Supervision) -> np.ndarray:
    """All targets side by side: (h, w, 3) uint8."""
    tiles = target_pictures(supervision)
    h, w = (max(tile.shape[axis] for tile in tiles) for axis in (0, 1))
    rows = -(-len(tiles) // COLUMNS)
    sheet = np.full((rows * (h + 2), COLUMNS * (w + 2), 3), 255, dtype=np.uint8)
    for i, tile in enumerate(tiles):
        y, x = (i // COLUMNS) * (h + 2), (i % COLUMNS) * (w + 2)
        sheet[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    return sheet


def preview(model: nn.Module, supervision: Supervision, normals: Normals) -> np.ndarray:
    """Normals of the surface, three quarters from the front: (h, w, 3) uint8.

    Args:
        normals: those that a camera sees of the model.
    """
    camera = viewpoints(_face_cameras(supervision), np.zeros(3), 1.0, PREVIEW_SIZE)["three_quarter"]
    colour = np.nan_to_num(0.5 + 0.5 * normals(model, camera), nan=1.0)
    return _said(np.rint(255 * colour).astype(np.uint8), supervision)


def front(supervision: Supervision) -> np.ndarray:
    """(4, 4) cam_from_world of a camera in front of the face, in the unit-sphere frame."""
    return viewpoints(_face_cameras(supervision), np.zeros(3), 1.0, MESH_SIZE)["front"].cam_from_world


def write_mesh_pictures(folder: Path, mesh: Mesh, supervision: Supervision) -> None:
    """mesh_front.png, mesh_three_quarter.png and mesh_side.png; the mesh is in the user's frame."""
    center, radius, rotation = supervision.center, supervision.radius, supervision.rotation
    normalised = Mesh((mesh.vertices - center) @ rotation / radius, mesh.faces)
    cameras = viewpoints(_face_cameras(supervision), np.zeros(3), 1.0, MESH_SIZE)
    caster = Caster(normalised)
    for name in SHOWN:
        picture = render_mesh(caster, cameras[name])
        write_png(folder / f"mesh_{name}.png", _said(picture, supervision))


def _said(picture: np.ndarray, supervision: Supervision) -> np.ndarray:
    return stamped(picture, supervision.stamp) if supervision.stamp else picture


def _face_cameras(supervision: Supervision):
    return [view.camera for view in supervision.views if not view.neutral]
