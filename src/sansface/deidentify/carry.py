"""The photograph carried along when the head on it changes its shape: IDEudemon's visual similarity.

Where a place of the face stood in the picture and where it stands on the changed head gives a displacement.
It is known at places spread over the visible face, is zero on rings around it, and is a thin plate between
(Bookstein 1989). So hair, collar and background follow a little way and then stay as they are, to the bit.
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from scipy.interpolate import RBFInterpolator

from sansface.heads.fit import FittedHead
from sansface.heads.parametric import HeadModel
from sansface.surface.mesh import Mesh

CENTRES = 260
"""Places on the face, as far from each other as can be."""
NARROW = 6706
"""The model's first vertices: the face without forehead's top, temples and throat (ICT-FaceKit's README)."""
VISIBLE = 0.1
"""Cosine between normal and ray from which on a place counts."""
NEAR, BEYOND = 1.08, 1.2
"""The rings, as multiples of the face's outline about its middle. Twice as far more of the picture changes,
and nobody is hidden better."""
GRID = 64
"""Nodes a side at which the plate is worked out; it is smooth."""
STIFF = (3e-4, 3e-3, 3e-2, 0.3, 3.0)
"""Smoothing of the plate, lengths in distances between the eyes: the first without folds. Below the chin what
is near in the picture is far apart on the head."""


@dataclass(frozen=True, eq=False)
class Carried:
    """The part of a photograph around one face, and how it moves.

    Attributes:
        box: left, top, width, height of the part, within the picture.
        source: (h, w, 2) float32: pixel of the photograph that each pixel of the part comes from.
        moved: (h, w) float32 in [0, 1]: how much of the displacement counts. 0 at the part's rim, but where
            that is the picture's own.
    """

    box: tuple[int, int, int, int]
    source: np.ndarray
    moved: np.ndarray

    def part(self, picture: np.ndarray) -> np.ndarray:
        """The picture's pixels there, as they are."""
        left, top, width, height = self.box
        return picture[top : top + height, left : left + width]

    def pixels(self, picture: np.ndarray) -> np.ndarray:
        """The picture's pixels there, moved."""
        x, y = np.moveaxis(self.source - 0.5, -1, 0)  # OpenCV's pixel centres are whole numbers
        return cv2.remap(picture, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def laid_on(vertices: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """(n, 3): a head moved, turned and scaled so that its face lies nearest to another's (Umeyama 1991)."""
    a, b = vertices[:NARROW].astype(np.float64), onto[:NARROW].astype(np.float64)
    middle_a, middle_b = a.mean(axis=0), b.mean(axis=0)
    u, s, vt = np.linalg.svd((b - middle_b).T @ (a - middle_a))
    sign = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    turn = (u * sign) @ vt
    scale = (s * sign).sum() / ((a - middle_a) ** 2).sum()
    return scale * (vertices - middle_a) @ turn.T + middle_b


def carried(
    model: HeadModel, head: FittedHead, old: np.ndarray, new: np.ndarray, still: np.ndarray
) -> Carried | None:
    """How the photograph follows from one shape to another.

    Args:
        head: on the photograph.
        old, new: (n, 3) vertices as they were, and as they shall be.
        still: (h, w) bool: what stays where it is.

    Returns:
        None where the face lies beside the picture.
    """
    camera = head.camera
    was, _ = camera.project(old[:NARROW])
    now, _ = camera.project(new[:NARROW])
    seen = _visible(model, old, camera.center) & _visible(model, new, camera.center)
    centres = _spread_out(model)
    centres = centres[seen[centres]]
    outline = cv2.convexHull(was.astype(np.float32))[:, 0].astype(np.float64)
    middle = (was.min(axis=0) + was.max(axis=0)) / 2
    rings = [middle + far * (outline - middle) for far in (NEAR, BEYOND)]
    left, top = np.maximum(np.floor(rings[1].min(axis=0)).astype(int), 0)
    right, bottom = np.minimum(np.ceil(rings[1].max(axis=0)).astype(int), (camera.width, camera.height))
    if right - left < 2 or bottom - top < 2:
        return None
    fixed = np.concatenate([_thinned(ring) for ring in rings])
    knots = np.concatenate([now[centres], fixed])
    shifts = np.concatenate([(was - now)[centres], np.zeros_like(fixed)])
    box = int(left), int(top), int(right - left), int(bottom - top)
    reach = max(0.12 * float(np.ptp(was, axis=0).max()), 1.0)
    moved = _within(rings[0] - (left, top), *box[2:], reach) * _off(still[top:bottom, left:right], reach)
    pixels = np.stack(np.meshgrid(np.arange(box[2]) + left, np.arange(box[3]) + top), axis=-1) + 0.5
    source = pixels.astype(np.float32)
    for stiff in STIFF:
        shift = _plate(knots, shifts, stiff, head.eyes, box)
        source = (pixels + moved[..., None] * shift).astype(np.float32)
        if not _folded(source):
            break
    return Carried(box, source, moved)


def _plate(
    knots: np.ndarray, shifts: np.ndarray, stiff: float, eyes: float, box: tuple[int, int, int, int]
) -> np.ndarray:
    """(h, w, 2) float32 on the pixels of a box: the thin plate through, or near, shifts (k, 2) at knots."""
    left, top, width, height = box
    plate = RBFInterpolator(knots / eyes, shifts, kernel="thin_plate_spline", smoothing=stiff)
    x, y = np.linspace(left, left + width, GRID) / eyes, np.linspace(top, top + height, GRID) / eyes
    nodes = plate(np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)).reshape(GRID, GRID, 2)
    # Node (0, 0) stands on the part's corner, the last one on the opposite corner.
    u = ((np.arange(width) + 0.5) / width * (GRID - 1)).astype(np.float32)
    v = ((np.arange(height) + 0.5) / height * (GRID - 1)).astype(np.float32)
    u, v = np.meshgrid(u, v)
    return cv2.remap(nodes.astype(np.float32), u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _folded(source: np.ndarray) -> bool:
    """Whether the map turns any of its cells over, so that something would be seen twice."""
    across, down = np.diff(source, axis=1)[:-1], np.diff(source, axis=0)[:, :-1]
    return bool((across[..., 0] * down[..., 1] <= across[..., 1] * down[..., 0]).any())


def _within(ring: np.ndarray, width: int, height: int, reach: float) -> np.ndarray:
    """(h, w) float32: 1 inside the ring, falling to exactly 0 over `reach` pixels before it."""
    inside = np.zeros((height, width), dtype=np.uint8)
    cv2.fillConvexPoly(inside, np.rint(ring * 16).astype(np.int32), 1, shift=4)
    # Beyond the picture's own rim the face goes on: only the ring counts, so the rim is no border here.
    depth = cv2.distanceTransform(np.pad(inside, 1, mode="edge"), cv2.DIST_L2, 5)[1:-1, 1:-1]
    return _eased(depth / reach)


def _off(still: np.ndarray, reach: float) -> np.ndarray:
    """(h, w) float32: exactly 0 on what stays, growing to 1 over `reach` pixels beside it."""
    if not still.any():
        return np.ones(still.shape, dtype=np.float32)
    return _eased(cv2.distanceTransform((~still).astype(np.uint8), cv2.DIST_L2, 5) / reach)


def _eased(share: np.ndarray) -> np.ndarray:
    share = np.clip(share, 0, 1)
    return (share * share * (3 - 2 * share)).astype(np.float32)


def _visible(model: HeadModel, vertices: np.ndarray, eye: np.ndarray) -> np.ndarray:
    """(n,) bool: which vertices of the face are turned towards the camera."""
    normals = Mesh(vertices, model.part("Face")).vertex_normals
    ways = eye - vertices
    return np.einsum("nd,nd->n", normals, ways) > VISIBLE * np.linalg.norm(ways, axis=1)


@cache
def _spread_out(model: HeadModel) -> np.ndarray:
    """(CENTRES,) vertices, each the farthest from those before it."""
    points = model.neutral[:NARROW].astype(np.float64)
    chosen = [int(points[:, 2].argmax())]
    away = np.linalg.norm(points - points[chosen[0]], axis=1)
    while len(chosen) < CENTRES:
        chosen.append(int(away.argmax()))
        away = np.minimum(away, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return np.array(chosen)


def _thinned(ring: np.ndarray, most: int = 40) -> np.ndarray:
    return ring[:: max(1, len(ring) // most)]
