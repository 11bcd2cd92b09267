"""The demo's capture: a procedural head photographed from all sides, with ground truth. Nothing is
downloaded.

World frame: millimetres, y up, the head looks along +z; its place in the world is not the origin, as in real
life.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from sansface.capture import Camera, Capture, Frame, Role, Sphere
from sansface.files import fresh_folder, written_beside
from sansface.formats.transforms_json import write_transforms_json
from sansface.heads.procedural import BOUND, CENTER, CHIN, Head, Identity
from sansface.heads.trace import Tracer, linear, srgb
from sansface.surface import extract, largest_component, transform, write_mesh

SCALE = 100.0
"""Millimetres in a unit of the head's frame."""

OFFSET = np.array([14.0, 1520.0, -36.0])
"""Where the origin of the head's frame stands in the world, mm."""

DISTANCE = 3.3
"""Of the cameras from the centre, in radii of the bounding sphere."""

FIELD_OF_VIEW = 33.0
"""Degrees, of the picture's side."""

TRUTH_RESOLUTION = 320
"""Cells of the truth's marching cubes along the sphere's diameter: 1.1 mm."""

_WORKERS = 2


def make_demo_capture(
    folder: Path | str,
    seed: int = 0,
    views: int = 30,
    size: int = 512,
    *,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Capture:
    """Write a capture of the head that belongs to this seed.

    Writes images/*.png (sRGB with a background), masks/*.png (coverage), transforms.json, meta.json (with
    head_min_y) and gt.ply, all in millimetres. A third of the views are neutral, from behind; the others
    sensitive. The same seed gives the same files.
    folder: made if missing.  views: at least 3.  size: pixels a side.  progress: called with (photographs
    taken, photographs in all).
    Raises SansfaceError where the folder is in use or cannot be written.
    """
    folder = Path(folder)
    fresh_folder(folder, overwrite)
    rng = np.random.default_rng(seed)
    head = Head(Identity.random(rng))
    cameras = demo_cameras(views, size, rng)
    tracer = Tracer(head)
    for name in ("images", "masks"):
        (folder / name).mkdir(exist_ok=True)
    frames: list[Frame] = []
    with ThreadPoolExecutor(_WORKERS) as pool:
        pictures = pool.map(lambda pair: photograph(tracer, pair[0]), cameras)
        for number, ((camera, role), (image, mask)) in enumerate(zip(cameras, pictures, strict=True)):
            image_path, mask_path = (folder / part / f"{number:03d}.png" for part in ("images", "masks"))
            _write_png(image_path, image[..., ::-1])
            _write_png(mask_path, mask)
            frames.append(Frame(camera, role, image_path, mask_path))
            if progress is not None:
                progress(len(frames), len(cameras))
    center, radius = OFFSET + SCALE * CENTER, SCALE * BOUND
    truth = largest_component(extract(lambda p: head.distance(CENTER + BOUND * p) / BOUND, TRUTH_RESOLUTION))
    write_mesh(transform(truth, center, radius), folder / "gt.ply")
    meta = {"head_min_y": float(OFFSET[1] + SCALE * CHIN), "units_per_mm": 1.0}
    capture = Capture(tuple(frames), unit="mm", sphere=Sphere(center, radius, "given"), meta=meta)
    write_transforms_json(capture, folder)
    return capture


def demo_cameras(
    views: int, size: int, rng: np.random.Generator, behind: float = 141.0, neutral: int | None = None
) -> list[tuple[Camera, Role]]:
    """Cameras round the head at three heights, each with its role; sensitive ones first.

    Neutral: a third of the views unless said; azimuth at least `behind` degrees from where the head looks.
    Sensitive: up to 100 degrees to each side. Every camera is off its place by a degree or two, as a hand
    would hold it.
    """
    neutral = max(1, round(views / 3)) if neutral is None else neutral
    places = []
    for role, count, heights, first, last in (
        (Role.SENSITIVE, views - neutral, (-9, 13, 36), -98, 98),
        (Role.NEUTRAL, neutral, (1, 22, 42), behind, 360 - behind),
    ):
        for height, row in zip(heights, np.array_split(np.arange(count), 3), strict=True):
            azimuths = np.linspace(first, last, len(row)) if len(row) > 1 else [(first + last) / 2] * len(row)
            places += [(azimuth, height, role) for azimuth in azimuths]
    return [
        (_camera(azimuth + rng.uniform(-2, 2), height + rng.uniform(-2, 2), size), role)
        for azimuth, height, role in places
    ]


def photograph(tracer: Tracer, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Trace one picture.

    A ray through the centre of every pixel; where the outline or the material changes from a pixel to its
    neighbours, four rays in their place.
    Returns (h, w, 3) uint8 sRGB over a grey background and (h, w) uint8 coverage, 255 = subject.
    """
    h, w = camera.height, camera.width
    y, x = np.mgrid[0:h, 0:w]
    pixels = np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5
    light, kind = _look(tracer, camera, pixels)
    coverage = (kind >= 0).astype(np.float32)
    edge = np.flatnonzero(_changes(kind.reshape(h, w)))
    shifts = np.array([[-0.25, -0.25], [0.25, -0.25], [-0.25, 0.25], [0.25, 0.25]])
    more, what = _look(tracer, camera, (pixels[edge, None] + shifts).reshape(-1, 2))
    light[edge] = more.reshape(-1, 4, 3).mean(axis=1)
    coverage[edge] = (what >= 0).reshape(-1, 4).mean(axis=1)
    image = srgb(light + (1 - coverage[:, None]) * _background(pixels / (w, h)))
    image, mask = ((255 * part + 0.5).astype(np.uint8) for part in (image, coverage))
    return image.reshape(h, w, 3), mask.reshape(h, w)


def _look(tracer: Tracer, camera: Camera, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Light (n, 3), zero for a miss, and material (n,), -1 for a miss."""
    origins, directions = camera.rays(pixels)
    origin = (origins[0] - OFFSET) / SCALE
    distance = tracer.first_hits(origin, directions)
    hit = np.flatnonzero(np.isfinite(distance))
    light, kind = np.zeros((len(pixels), 3), np.float32), np.full(len(pixels), -1, np.int16)
    if len(hit):
        way = directions[hit].astype(np.float32)
        points = origin.astype(np.float32) + distance[hit, None] * way
        light[hit], kind[hit] = tracer.shade(points, way)
    return light, kind


def _changes(kind: np.ndarray) -> np.ndarray:
    """(h, w) bool: where a pixel's kind differs from that of one of its four neighbours."""
    change = np.zeros(kind.shape, bool)
    across, down = kind[:, 1:] != kind[:, :-1], kind[1:] != kind[:-1]
    change[:, 1:] |= across
    change[:, :-1] |= across
    change[1:] |= down
    change[:-1] |= down
    return change


def _background(place: np.ndarray) -> np.ndarray:
    """Linear light (n, 3) of a grey wall, lighter above, at places (n, 2) in [0, 1]."""
    grey = 0.62 - 0.22 * place[:, 1] + 0.05 * np.sin(3 * place[:, 0])
    return linear(np.stack([0.98 * grey, grey, 1.02 * grey], axis=1).astype(np.float32))


def _camera(azimuth: float, height: float, size: int) -> Camera:
    """A camera that looks at the centre of the sphere; degrees from where the head looks, and above the
    horizon.
    """
    a, e = np.deg2rad([azimuth, height])
    out = np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)])
    right = np.cross(-out, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = [right, np.cross(-out, right), -out]
    pose[:3, 3] = -pose[:3, :3] @ (OFFSET + SCALE * (CENTER + DISTANCE * BOUND * out))
    focal = size / 2 / np.tan(np.deg2rad(FIELD_OF_VIEW / 2))
    K = np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]])
    return Camera(K, size, size, pose)


def _write_png(path: Path, pixels: np.ndarray) -> None:
    data = cv2.imencode(".png", pixels)[1].tobytes()
    with written_beside(path) as beside:
        beside.write_bytes(data)
