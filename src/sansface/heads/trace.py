"""Sphere tracing of a procedural head, in NumPy.

Frames: everything happens in the head's own frame (units of 100 mm). Light is linear until the very end.
"""

import numpy as np

from sansface.heads.procedural import BOUND, CENTER, Head, Material

_NEAR = 5e-4  # a ray has arrived when the distance falls below this, and goes the rest in one last step
_ROUNDS = 160
_BATCH = 16384


class Tracer:
    """Finds what rays hit, and how it is lit.

    A grid of distances says how far a ray may go for the price of a look-up; the head's own function, a
    hundred times dearer, is asked near the surface only.
    """

    def __init__(self, head: Head, cells: int = 160) -> None:
        self.head, self.cells = head, cells
        axis = (np.arange(cells, dtype=np.float32) + 0.5) / cells * 2 - 1
        x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
        points = np.stack([x.ravel(), y.ravel(), z.ravel()], axis=1)
        self.grid = self._distance(points * np.float32(BOUND) + CENTER.astype(np.float32))
        self.origin = (CENTER - BOUND).astype(np.float32)
        self.scale = np.float32(cells / (2 * BOUND))
        half_diagonal = np.sqrt(3) * BOUND / cells
        self.free = self.grid - np.float32(1.2 * half_diagonal)

    def first_hits(self, origin: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """(n,) float32 length of rays from one origin (3,) along unit directions (n, 3); inf for a miss."""
        origin, d = origin.astype(np.float32), directions.astype(np.float32)
        result = np.full(len(d), np.inf, np.float32)
        to_center = CENTER.astype(np.float32) - origin
        middle = d @ to_center
        inside = middle**2 - to_center @ to_center + np.float32(BOUND**2)
        ray = np.flatnonzero(inside > 0)
        half = np.sqrt(inside[ray])
        t, end, d = middle[ray] - half, middle[ray] + half, d[ray]
        for _ in range(_ROUNDS):
            if not len(ray):
                break
            points = origin + t[:, None] * d
            step = self.free[self._cell(points)]
            near = np.flatnonzero(step < 0.01)
            exact = self._distance(points[near])
            arrived = near[exact < _NEAR]
            step[near] = exact
            result[ray[arrived]] = t[arrived] + exact[exact < _NEAR]
            t = t + step
            going = t < end
            going[arrived] = False
            ray, t, end, d = ray[going], t[going], end[going], d[going]
        return result

    def normals(self, points: np.ndarray) -> np.ndarray:
        """(n, 3) float32 unit, by differences along the corners of a tetrahedron."""
        corners = np.array([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]], np.float32)
        normal = sum(self._distance(points + np.float32(2e-3) * c)[:, None] * c for c in corners)
        return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), np.float32(1e-9))

    def shade(self, points: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Linear light (n, 3) float32 that leaves the points against the directions, and what they are, (n,)
        uint8.

        Sky and ground, dimmed where the surroundings are close, two broad lights in front and one behind, and
        a faint gloss that moves with the camera.
        """
        material = self.head.material(points)
        albedo = linear(self.head.albedo(points, material))
        normal = self.normals(points)
        open_sky = self._openness(points, normal)
        up = (0.5 + 0.5 * normal[:, 1])[:, None]
        light = (up * _SKY + (1 - up) * _GROUND) * open_sky[:, None]
        gloss = np.zeros(len(points), np.float32)
        for way, power in _LIGHTS:
            facing = normal @ way
            light += (power * (0.3 + 0.7 * open_sky) * np.clip((facing + 0.25) / 1.25, 0, 1) ** 1.5)[:, None]
            half = way - directions
            half /= np.linalg.norm(half, axis=1, keepdims=True)
            gloss += (
                power * np.clip(np.einsum("nd,nd->n", normal, half), 0, 1) ** 28 * np.clip(3 * facing, 0, 1)
            )
        wet = np.where(np.isin(material, (Material.SCLERA, Material.IRIS)), 0.20, 0.05).astype(np.float32)
        return albedo * light + (wet * gloss * open_sky)[:, None], material

    def _distance(self, points: np.ndarray) -> np.ndarray:
        """The head's own distance, by batches whose arrays stay in the processor's cache."""
        result = np.empty(len(points), np.float32)
        for start in range(0, len(points), _BATCH):
            result[start : start + _BATCH] = self.head.distance(points[start : start + _BATCH])
        return result

    def _openness(self, points: np.ndarray, normal: np.ndarray) -> np.ndarray:
        """(n,) in [0, 1]: how the free distance above the surface compares with the height there."""
        shut = np.float32(0)
        for height, weight in ((0.08, 0.45), (0.22, 0.35), (0.5, 0.25)):
            free = self._interpolated(points + np.float32(height) * normal)
            shut = shut + weight * np.clip(1 - free / np.float32(height), 0, 1)
        return np.clip(1 - shut, 0.15, 1)

    def _cell(self, points: np.ndarray) -> np.ndarray:
        index = ((points - self.origin) * self.scale).astype(np.int32)
        np.clip(index, 0, self.cells - 1, out=index)
        return (index[:, 0] * self.cells + index[:, 1]) * self.cells + index[:, 2]

    def _interpolated(self, points: np.ndarray) -> np.ndarray:
        """Trilinear between the cells' centres."""
        n = self.cells
        place = np.clip((points - self.origin) * self.scale - np.float32(0.5), 0, np.float32(n - 1.001))
        low = place.astype(np.int32)
        share = place - low
        base = (low[:, 0] * n + low[:, 1]) * n + low[:, 2]
        value = np.float32(0)
        for i in (0, 1):
            for j in (0, 1):
                for k in (0, 1):
                    weight = np.abs(share - np.array([1 - i, 1 - j, 1 - k], np.float32)).prod(axis=1)
                    value = value + weight * self.grid[base + (i * n + j) * n + k]
        return value


def linear(srgb: np.ndarray) -> np.ndarray:
    """sRGB in [0, 1] to linear light (IEC 61966-2-1)."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4).astype(np.float32)


def srgb(light: np.ndarray) -> np.ndarray:
    """Linear light to sRGB in [0, 1] (IEC 61966-2-1), clipped."""
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055).astype(np.float32)


def _light(x: float, y: float, z: float, power: float) -> tuple[np.ndarray, float]:
    way = np.array([x, y, z], np.float32)
    return way / np.linalg.norm(way), power


_SKY, _GROUND = np.array([[0.42, 0.44, 0.47], [0.24, 0.22, 0.20]], np.float32)
_LIGHTS = (_light(0.7, 0.7, 0.9, 0.65), _light(-0.9, 0.3, 0.6, 0.35), _light(-0.2, 0.6, -1.0, 0.55))
