"""What an evaluation adds to a reconstruction's folder: score.json, pictures of the truth, a new report."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sansface.capture import Camera
from sansface.evaluate.geometry import Score, error_per_vertex
from sansface.evaluate.pictures import heat_map, render_mesh
from sansface.evaluate.png import write_png
from sansface.evaluate.raycast import Caster
from sansface.evaluate.viewpoints import SHOWN, viewpoints
from sansface.files import write_json
from sansface.report import write_report
from sansface.surface.mesh import Mesh

SIZE = 400
WORST = 20.0
"""Distance at the bright end of the heat map, in 1e-3 R: always the same, so that reports compare."""


def is_reconstruction(folder: Path) -> bool:
    """Does the folder hold what a reconstruction leaves?"""
    return (folder / "config.json").is_file() and (folder / "mesh.ply").is_file()


def tell(
    folder: Path, mesh: Mesh, truth: Mesh, score: Score, face: Sequence[Camera], center: np.ndarray
) -> Path:
    """Write score.json and pictures/{mesh,truth,error}_*.png, then report.html again.

    folder: of the reconstruction.  mesh, truth: in the world.  face: cameras that see the face, in the
    world; the pictures' front is where they stand.  center: (3,) of the head's sphere, whose radius the
    score knows.  Returns the report's path.
    Raises SansfaceError where something cannot be written.
    """
    (folder / "pictures").mkdir(exist_ok=True)
    for name, picture in comparison(mesh, truth, face, center, score.radius).items():
        write_png(folder / "pictures" / f"{name}.png", picture)
    write_json(folder / "score.json", score.as_dict())
    return write_report(folder)


def comparison(
    mesh: Mesh, truth: Mesh, face: Sequence[Camera], center: np.ndarray, radius: float
) -> dict[str, np.ndarray]:
    """mesh_*, truth_* and error_* from the front, three quarters and the side: (h, w, 3) uint8 each.

    The error is the mesh's distance from the truth, at the mesh's vertices, in 1e-3 R.
    """
    errors = 1e3 * error_per_vertex(mesh, truth) / radius
    casters = {"mesh": Caster(mesh), "truth": Caster(truth)}
    cameras = viewpoints(face, center, radius, SIZE)
    pictures = {}
    for view in SHOWN:
        for kind, caster in casters.items():
            pictures[f"{kind}_{view}"] = render_mesh(caster, cameras[view])
        pictures[f"error_{view}"] = heat_map(casters["mesh"], errors, cameras[view], WORST, unit="e-3R")
    return pictures
