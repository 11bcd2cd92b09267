"""How far a mesh lies from the truth.

R: the capture's radius.  Head: points with world y above head_min_y; all of them where there is none.
Visible: first hits of rays x rays rays of every camera, cast on the truth and on the mesh alike.

    score = (mean truth->mesh + mean mesh->truth) / 2 / R        point to surface, no alignment
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from sansface.capture import Camera
from sansface.errors import SansfaceError
from sansface.evaluate.align import icp, move_mesh
from sansface.evaluate.distance import Nearest
from sansface.evaluate.raycast import Caster, visible_hits
from sansface.surface.even import even_points
from sansface.surface.mesh import Mesh

THRESHOLDS = (0.002, 0.005, 0.01, 0.02)


@dataclass(frozen=True)
class FScore:
    """Shares of visible points nearer than threshold * R; f = 2 p r / (p + r) (Knapitsch et al. 2017)."""

    threshold: float
    precision: float  # of the mesh's points, near the truth
    recall: float  # of the truth's points, near the mesh: completeness
    f: float


@dataclass(frozen=True)
class Score:
    """All distances point to surface and in units of R, unless said otherwise."""

    score: float  # (truth_to_mesh + mesh_to_truth) / 2
    truth_to_mesh: float  # mean over the truth's visible points
    mesh_to_truth: float  # mean over the mesh's visible points
    truth_to_mesh_p95: float
    mesh_to_truth_p95: float
    chamfer: float  # mean of both ways, added, over points drawn evenly from all of it, seen or not
    f_scores: tuple[FScore, ...]
    normal_consistency: float  # mean |n . n'| over both directions, 1 is best
    truth_points: int
    mesh_points: int
    radius: float  # R in world units
    head_min_y: float | None
    aligned: bool

    def as_dict(self) -> dict:
        """Plain JSON."""
        return asdict(self)

    def table(self) -> str:
        """The same for reading, in units of 1e-3 R."""
        rows = [
            ("score", self.score),
            ("truth to mesh, mean", self.truth_to_mesh),
            ("truth to mesh, 95th percentile", self.truth_to_mesh_p95),
            ("mesh to truth, mean", self.mesh_to_truth),
            ("mesh to truth, 95th percentile", self.mesh_to_truth_p95),
            ("chamfer (seen or not, sum of both ways)", self.chamfer),
        ]
        lines = [f"{name:<40} {1e3 * value:9.3f}e-3 R" for name, value in rows]
        lines += [
            f"{f'F-score within {1e3 * f.threshold:g}e-3 R':<40} {f.f:9.3f}   (precision {f.precision:.3f},"
            f" recall {f.recall:.3f})"
            for f in self.f_scores
        ]
        lines.append(f"{'normal consistency':<40} {self.normal_consistency:9.3f}")
        lines.append(f"{'visible points, truth and mesh':<40} {self.truth_points:9d}   {self.mesh_points}")
        if self.aligned:
            lines.append("aligned by a rigid motion first: not the project's score, which aligns nothing")
        return "\n".join(lines)


def score(
    mesh: Mesh,
    truth: Mesh,
    cameras: Sequence[Camera],
    radius: float,
    head_min_y: float | None,
    rng: np.random.Generator,
    rays: int = 96,
    *,
    align: bool = False,
    samples: int = 50_000,
) -> Score:
    """Compare a mesh with the truth, both in the world frame of the cameras.

    radius: R, world units.  head_min_y: world units; None keeps everything.  rng draws the points of the
    chamfer distance and of the alignment; the score itself draws nothing.  align: move the mesh onto the
    truth first, rigidly.  samples: points of the chamfer distance, a side.
    Raises SansfaceError where no camera sees the head of one of the two.
    """
    if not (np.isfinite(radius) and radius > 0):
        raise SansfaceError("the radius that distances are divided by must be positive; check meta.json.")
    if not cameras:
        raise SansfaceError("a score needs the cameras of the capture; check its transforms.json.")
    if align:
        mesh = _aligned(mesh, truth, cameras, head_min_y, rng, rays)
    to_mesh, to_truth = Nearest(mesh), Nearest(truth)
    truth_points, truth_normals = _visible_head(truth, cameras, head_min_y, rays, "truth")
    mesh_points, mesh_normals = _visible_head(mesh, cameras, head_min_y, rays, "mesh")
    recall_d, _, recall_face = to_mesh.query(truth_points)
    precision_d, _, precision_face = to_truth.query(mesh_points)
    recall_d, precision_d = recall_d / radius, precision_d / radius
    agreement = (
        np.abs(np.einsum("ij,ij->i", truth_normals, mesh.face_normals[recall_face])).mean()
        + np.abs(np.einsum("ij,ij->i", mesh_normals, truth.face_normals[precision_face])).mean()
    ) / 2
    truth_even = _even(truth, head_min_y, samples, rng)
    mesh_even = _even(mesh, head_min_y, samples, rng)
    return Score(
        score=float(recall_d.mean() + precision_d.mean()) / 2,
        truth_to_mesh=float(recall_d.mean()),
        mesh_to_truth=float(precision_d.mean()),
        truth_to_mesh_p95=float(np.percentile(recall_d, 95)),
        mesh_to_truth_p95=float(np.percentile(precision_d, 95)),
        chamfer=float(to_mesh.query(truth_even)[0].mean() + to_truth.query(mesh_even)[0].mean()) / radius,
        f_scores=tuple(_f_score(t, precision_d, recall_d) for t in THRESHOLDS),
        normal_consistency=float(agreement),
        truth_points=len(truth_points),
        mesh_points=len(mesh_points),
        radius=float(radius),
        head_min_y=None if head_min_y is None else float(head_min_y),
        aligned=align,
    )


def error_per_vertex(mesh: Mesh, truth: Mesh) -> np.ndarray:
    """(n,) float64, world units: from every vertex to the truth's surface, for a heat map."""
    return Nearest(truth).query(mesh.vertices)[0]


def _visible_head(mesh, cameras, head_min_y, rays, name) -> tuple[np.ndarray, np.ndarray]:
    hits = visible_hits(Caster(mesh), cameras, rays)
    keep = np.full(len(hits.point), True) if head_min_y is None else hits.point[:, 1] > head_min_y
    if not keep.any():
        raise SansfaceError(
            f"no camera sees the subject in the {name}; check its frame and unit, and head_min_y in "
            "meta.json."
        )
    return hits.point[keep], mesh.face_normals[hits.face[keep]]


def _even(mesh: Mesh, head_min_y: float | None, count: int, rng: np.random.Generator) -> np.ndarray:
    """Points drawn evenly by area, kept above the cut; `count` before the cut."""
    points, _ = even_points(mesh, count, rng)
    return points if head_min_y is None else points[points[:, 1] > head_min_y]


def _f_score(threshold: float, precision_d: np.ndarray, recall_d: np.ndarray) -> FScore:
    precision, recall = float((precision_d < threshold).mean()), float((recall_d < threshold).mean())
    f = 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0
    return FScore(threshold, precision, recall, f)


def _aligned(mesh, truth, cameras, head_min_y, rng, rays) -> Mesh:
    """The mesh moved onto the truth: what takes the truth's visible head onto the mesh, inverted."""
    points, _ = _visible_head(truth, cameras, head_min_y, rays, "truth")
    points = rng.permutation(points)[:5_000]
    return move_mesh(mesh, np.linalg.inv(icp(points, Nearest(mesh), mesh.face_normals)))
