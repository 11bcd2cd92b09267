"""Do the masks agree? Each outline against the visual hull that the other masks carve.

A ray through a point of frame i's outline grazes the subject, so somewhere along it lies a point that all
other masks cover. With d_j(X) the signed distance of X's projection from the outline of mask j, positive
inside and in units of the world, the margin

    m = max over X on the ray of min over j ≠ i of d_j(X)

is therefore ≥ 0 where poses and masks are right, and −m says by how much the outline stands out of the hull
of the others (Laurentini, *The Visual Hull Concept*, 1994). No voxels, so parts of a pixel count. What a
picture cuts off is unknown and carves nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from sansface.capture import Camera, Sphere

RAYS = 80
"""Points of an outline that are tried."""
DEPTHS = 64
"""Places along a ray that are tried before the best one is refined."""
REACH = 1.7
"""Farthest of those places from the center, in radii of the sphere that the cameras look at."""
GROWTH = np.float32(2)
"""Outside the picture a subject that is cut by its border may widen by so many pixels a pixel."""
CAP = 0.1
"""One frame's objection to a place counts at most this, in radii of that sphere."""
SOFT = 0.3
"""Pixels over which a margin turns into a residual when cameras are fitted."""
_UNKNOWN = np.float32(1e9)
_HALF = np.float32(0.5)


@dataclass(frozen=True, eq=False)
class Silhouette:
    """A mask made ready: its camera, signed distances and outline.

    Attributes:
        camera: of the mask, without distortion.
        distance: (h, w) float32, of each pixel's centre from the outline in pixels, positive inside.
        outline: (n, 2) float64 pixels on the outline, evenly spread; none where the picture cuts the subject.
        size: the subject's size in pixels, the square root of its area.
    """

    camera: Camera
    distance: np.ndarray
    outline: np.ndarray
    size: float


def silhouette(camera: Camera, coverage: np.ndarray, rays: int = RAYS) -> Silhouette | None:
    """Prepare a mask; None if no outline lies inside the picture.

    camera: without distortion.  coverage: (h, w) in [0, 1].
    """
    inside = (coverage >= 0.5).astype(np.uint8)
    distance = _signed_distances(coverage)
    contours, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    points = max((contour[:, 0] for contour in contours), key=cv2.contourArea, default=np.zeros((0, 2), int))
    h, w = inside.shape
    points = points[((points >= 2) & (points < (w - 2, h - 2))).all(axis=1)]
    if not len(points):
        return None
    points = points[np.linspace(0, len(points), min(rays, len(points)), endpoint=False).astype(int)]
    column, row = points.T
    smooth = cv2.GaussianBlur(distance, (0, 0), 1.5)
    slope = np.stack([cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)], axis=-1)
    slope = slope[row, column].astype(np.float64)
    slope /= np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-9)
    outline = points + 0.5 - distance[row, column][:, None] * slope
    return Silhouette(camera, distance, outline, float(np.sqrt(inside.sum())))


def _signed_distances(coverage: np.ndarray) -> np.ndarray:
    """(h, w) float32 pixels from the line of half coverage, found at twice the size for parts of a pixel."""
    h, w = coverage.shape
    twice = cv2.resize(coverage.astype(np.float32), (2 * w, 2 * h), interpolation=cv2.INTER_LINEAR)
    inside = (twice >= 0.5).astype(np.uint8)
    inner, outer = (
        cv2.distanceTransform(part, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for part in (inside, 1 - inside)
    )
    # the outline runs between pixels, half a pixel from the nearest centre on either side
    distance = np.where(inside, inner - 0.5, 0.5 - outer).astype(np.float32) / 2
    return cv2.resize(distance, (w, h), interpolation=cv2.INTER_AREA)


@dataclass(frozen=True, eq=False)
class Survey:
    """How the outlines of some frames agree, in pixels of each frame (all frames of the capture have a row).

    Attributes:
        outside: (frames,) by how much the outline stands out of the others' hull, mean over the outline;
            NaN for a frame that was left out.
        worst: (frames,) the same, 90th percentile over the outline.
        dissent: (frames, frames) how far a frame's outline runs outside the mask of another one, mean over
            the outline, where all others together object least.
    """

    outside: np.ndarray
    worst: np.ndarray
    dissent: np.ndarray


def survey(
    silhouettes: Sequence[Silhouette],
    frames: Sequence[int],
    sphere: Sphere,
    progress: Callable[[float], None] = lambda done: None,
) -> Survey:
    """Hold each of the frames' outlines against the masks of the other ones."""
    count = len(silhouettes)
    outside, worst, dissent = np.full(count, np.nan), np.full(count, np.nan), np.zeros((count, count))
    for done, index in enumerate(frames):
        pixels = pixels_per_unit(silhouettes[index].camera, sphere)
        _, margin, agreed = _graze(index, silhouettes, frames, sphere)
        stands_out = np.maximum(-margin * pixels, 0)
        outside[index], worst[index] = stands_out.mean(), np.quantile(stands_out, 0.9)
        objections = _objections(index, agreed, silhouettes, frames)
        dissent[index] = np.minimum(objections, CAP * sphere.radius).mean(axis=1) * pixels
        progress((done + 1) / len(frames))
    return Survey(outside, worst, dissent)


def grazing(
    silhouettes: Sequence[Silhouette], chosen: Sequence[int], frames: Sequence[int], sphere: Sphere
) -> Callable[[Sequence[Camera]], np.ndarray]:
    """Where the chosen frames' outlines graze the subject, to fit cameras to.

    Returns:
        A function of all cameras to (n,) residuals in pixels: about 0 where the outline lies in the others'
        hull, else by how much it stands out. The places along the rays stay those that were found here: at a
        maximum they change nothing to first order.
    """
    depths = {index: _graze(index, silhouettes, frames, sphere)[0] for index in chosen}

    def residuals(cameras: Sequence[Camera]) -> np.ndarray:
        moved = [replace(one, camera=camera) for one, camera in zip(silhouettes, cameras, strict=True)]
        result = []
        for index, depth in depths.items():
            origins, ways = moved[index].camera.rays(moved[index].outline)
            margin = _margins(origins[0], ways, depth[:, None], moved, _others(index, frames), 0.0)[0][:, 0]
            pixels = np.clip(margin * pixels_per_unit(moved[index].camera, sphere), -1e3, 1e3)
            result.append(SOFT * np.logaddexp(0, -pixels / SOFT))  # a hinge without a corner
        return np.concatenate(result)

    return residuals


def pixels_per_unit(camera: Camera, sphere: Sphere) -> float:
    """Pixels that a unit of the world has at the sphere's center."""
    return float(camera.K[0, 0] / np.linalg.norm(camera.center - sphere.center))


def _others(index: int, frames: Sequence[int]) -> list[int]:
    return [other for other in frames if other != index]


def _graze(
    index: int, silhouettes: Sequence[Silhouette], frames: Sequence[int], sphere: Sphere
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Follow the rays of one outline through the other frames' masks.

    Returns:
        (n,) where along the ray the margin is largest, (n,) that margin in world units, and (n,) where the
        other frames together object least: a frame that is wrong cannot veto the place there.
    """
    others = _others(index, frames)
    own = silhouettes[index]
    origins, ways = own.camera.rays(own.outline)
    near, far = _chord(origins[0], ways, sphere.center, REACH * sphere.radius)
    cap = CAP * sphere.radius
    depths = near[:, None] + (far - near)[:, None] * ((np.arange(DEPTHS) + 0.5) / DEPTHS)
    margins, costs = _margins(origins[0], ways, depths, silhouettes, others, cap)
    rows = np.arange(len(ways))
    best, least = margins.argmax(axis=1), (costs - 1e-6 * np.minimum(margins, cap)).argmin(axis=1)
    margin, depth, agreed = margins[rows, best].astype(np.float64), depths[rows, best], depths[rows, least]
    step = (far - near) / DEPTHS
    for _ in range(3):
        around = step[:, None] * np.linspace(-1, 1, 7)
        depths = np.hstack([depth[:, None] + around, agreed[:, None] + around])
        margins, costs = _margins(origins[0], ways, depths, silhouettes, others, cap)
        best, least = margins[:, :7].argmax(axis=1), 7 + costs[:, 7:].argmin(axis=1)
        depth, agreed, step = depths[rows, best], depths[rows, least], step / 3
        margin = np.maximum(margin, margins[rows, best])
    return depth, margin, agreed


def _margins(
    origin: np.ndarray,
    ways: np.ndarray,
    depths: np.ndarray,
    silhouettes: Sequence[Silhouette],
    others: Sequence[int],
    cap: float,
) -> tuple[np.ndarray, np.ndarray]:
    """(n, d) each, world units: the smallest signed distance, and the sum of objections, each up to `cap`."""
    margins = np.full(depths.shape, _UNKNOWN, np.float32)
    costs = np.zeros(depths.shape, np.float32)
    for frame in others:
        value = _distances(origin, ways, depths, silhouettes[frame])
        np.minimum(margins, value, out=margins)
        costs += np.clip(-value, 0, cap)
    return margins, costs


def _objections(
    index: int, depth: np.ndarray, silhouettes: Sequence[Silhouette], frames: Sequence[int]
) -> np.ndarray:
    """(all frames, n) by how much each other frame's mask misses the places at `depth`, world units."""
    result = np.zeros((len(silhouettes), len(depth)))
    origins, ways = silhouettes[index].camera.rays(silhouettes[index].outline)
    for frame in _others(index, frames):
        value = _distances(origins[0], ways, depth[:, None], silhouettes[frame])[:, 0]
        result[frame] = np.maximum(-value, 0)
    return result


def _distances(origin: np.ndarray, ways: np.ndarray, depths: np.ndarray, one: Silhouette) -> np.ndarray:
    """(n, d) `signed_distance` of places along rays: in another picture a ray is a line."""
    P = one.camera.K @ one.camera.cam_from_world[:3]
    start, along = P[:, :3] @ origin + P[:, 3], ways @ P[:, :3].T
    return signed_distance(one, *(start[k] + depths * along[:, k, None] for k in range(3)))


def signed_distance(one: Silhouette, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Distance from a mask's outline in world units, positive inside, huge where the mask cannot tell.

    x, y, z: (n, m) homogeneous pixels K (R X + t), at most 32767 either way, which is OpenCV's limit.

    Returns:
        (n, m) float32. A place outside the picture counts as background as far as the background goes on.
    """
    ahead = np.maximum(z, 1e-9)
    u, v = (np.clip(c / ahead, -1e5, 1e5).astype(np.float32) for c in (x, y))
    value = cv2.remap(one.distance, u - _HALF, v - _HALF, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    beyond = np.maximum(np.maximum(-u, u - one.camera.width), np.maximum(-v, v - one.camera.height))
    value += GROWTH * np.maximum(beyond, 0)
    unknown = ((beyond > 0) & (value > 0)) | (z <= 0)
    return np.where(unknown, _UNKNOWN, value * (z / one.camera.K[0, 0])).astype(np.float32)


def _chord(
    origin: np.ndarray, ways: np.ndarray, center: np.ndarray, radius: float
) -> tuple[np.ndarray, np.ndarray]:
    """Where rays enter and leave a sphere; the same twice where they miss it."""
    middle = ways @ (center - origin)
    half = np.sqrt(np.maximum(radius**2 - ((center - origin) ** 2).sum() + middle**2, 0))
    return np.maximum(middle - half, 1e-6 * radius), middle + half
