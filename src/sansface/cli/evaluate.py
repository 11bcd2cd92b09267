"""The verb evaluate."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

from tyro.conf import Positional

from sansface.cli.words import CaptureFormat, Flag, check_free
from sansface.errors import SansfaceError
from sansface.extras import require

if TYPE_CHECKING:
    from sansface.capture import Capture


@dataclass(frozen=True)
class Evaluate:
    """Measure a mesh against the truth: surface distances of what the capture's cameras see of the head.

    In the folder of a reconstruction, its report is written again with the score and pictures of the truth.
    """

    mesh: Positional[Path]
    """The mesh, in the capture's frame and unit: .ply, .obj, .glb or .stl."""
    truth: Path
    """The true mesh, in the same frame."""
    capture: Path
    """The capture's folder: its cameras, sphere and head_min_y say what counts. No photograph is opened."""
    format: CaptureFormat = None
    """Of the capture, where its folder does not tell."""
    json: Path | None = None
    """Also write the scores as JSON."""
    overwrite: Flag = False
    """Replace that JSON file if it exists."""
    align: Flag = False
    """Move the mesh onto the truth first, rigidly. Not the project's score; the report is left alone."""
    seed: int = 0
    """Of the points that the chamfer distance draws."""

    def run(self) -> None:
        require("sansface.evaluate.compare", extra="reconstruct")
        import numpy as np

        from sansface.capture import Role
        from sansface.evaluate import score
        from sansface.evaluate.compare import is_reconstruction, tell
        from sansface.files import write_json
        from sansface.formats import read_capture
        from sansface.surface import read_mesh

        if self.json is not None:
            check_free(self.json, self.overwrite)
        capture = read_capture(self.capture, self.format)
        radius, head_min_y = _measures(capture, self.capture)
        mesh, truth = read_mesh(self.mesh), read_mesh(self.truth)
        cameras = [frame.camera for frame in capture.frames]
        rng = np.random.default_rng(self.seed)
        result = score(mesh, truth, cameras, radius, head_min_y, rng, align=self.align)
        if self.json is not None:
            write_json(self.json, result.as_dict())
        print(result.table())
        mm = capture.millimetre
        length = "" if mm is None else f" = {result.score * radius / mm:.3g} mm"
        print(f"score: {1e3 * result.score:.3f}e-3 R{length}, smaller is better")
        if not self.align and is_reconstruction(self.mesh.parent):
            face = [f.camera for f in capture.frames if f.role is Role.SENSITIVE] or cameras
            box = (truth.vertices.min(axis=0) + truth.vertices.max(axis=0)) / 2
            center = box if capture.sphere is None else capture.sphere.center
            print(f"report: {tell(self.mesh.parent, mesh, truth, result, face, center)}")


def _measures(capture: "Capture", folder: Path) -> tuple[float, float | None]:
    """R and head_min_y of a capture, as its meta.json says them."""
    radius = capture.meta.get("radius") if capture.sphere is None else capture.sphere.radius
    lowest = capture.meta.get("head_min_y")
    if not _is_number(radius) or radius <= 0:
        raise SansfaceError(
            f"{folder} does not say its radius, by which distances are divided; put it into meta.json."
        )
    if lowest is not None and not _is_number(lowest):
        raise SansfaceError(f"head_min_y in the meta.json of {folder} is not a number; correct or remove it.")
    return float(radius), lowest


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
