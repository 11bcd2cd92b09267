"""Pictures of a mesh by ray casting, for reports: shaded, depth, normals, error heat map. Nothing is read."""

from dataclasses import dataclass

import numpy as np

from sansface.capture import Camera
from sansface.evaluate.raycast import Caster
from sansface.surface.mesh import Mesh

SUPERSAMPLING = 2
_BAR = 0.16  # width of the colour bar's column as a share of the picture's height
_STOPS = ((0.12, 0.10, 0.36), (0.13, 0.36, 0.62), (0.10, 0.60, 0.58), (0.45, 0.78, 0.33), (0.99, 0.91, 0.15))


@dataclass(frozen=True)
class Buffers:
    """What a camera sees, pixel by pixel; nan where it sees nothing.

    depth: (h, w) float64, z in the camera, world units.  normal: (h, w, 3) float64 unit, world, towards the
    camera. face: (h, w) int64, -1 for nothing.  weights: (h, w, 3) float64, barycentric coordinates in the
    face.
    """

    depth: np.ndarray
    normal: np.ndarray
    face: np.ndarray
    weights: np.ndarray


def render_depth_normals(mesh: Mesh | Caster, camera: Camera, size: tuple[int, int] | None = None) -> Buffers:
    """Cast a ray through the centre of every pixel.

    size: (width, height) of the picture; None takes the camera's.  Normals are interpolated between vertices.
    """
    caster = mesh if isinstance(mesh, Caster) else Caster(mesh)
    mesh = caster.mesh
    width, height = size or (camera.width, camera.height)
    origins, directions = camera.rays(camera.grid(width, height))
    hits = caster.first(origins, directions)
    weights = _barycentric(mesh.triangles[hits.face], hits.point)
    normal = np.einsum("hk,hkd->hd", weights, mesh.vertex_normals[mesh.faces[hits.face]])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    # Seen from inside (an open mesh) a face is shaded as if it were two-sided.
    normal *= np.where(np.einsum("hd,hd->h", normal, directions[hits.ray]) > 0, -1.0, 1.0)[:, None]
    forward = camera.cam_from_world[2]
    buffers = Buffers(
        depth=np.full((height * width,), np.nan),
        normal=np.full((height * width, 3), np.nan),
        face=np.full((height * width,), -1, np.int64),
        weights=np.full((height * width, 3), np.nan),
    )
    buffers.depth[hits.ray] = hits.point @ forward[:3] + forward[3]
    buffers.normal[hits.ray] = normal
    buffers.face[hits.ray] = hits.face
    buffers.weights[hits.ray] = weights
    return Buffers(
        buffers.depth.reshape(height, width),
        buffers.normal.reshape(height, width, 3),
        buffers.face.reshape(height, width),
        buffers.weights.reshape(height, width, 3),
    )


def render_mesh(mesh: Mesh | Caster, camera: Camera) -> np.ndarray:
    """A grey plaster cast on white: headlight and a soft key light from the upper left of the camera.

    Returns:
        (h, w, 3) uint8 sRGB of the camera's size, supersampled 2 x 2.
    """
    buffers = _supersampled(mesh, camera)
    light = _shade(buffers, camera)[..., None] * np.array([0.80, 0.78, 0.75])
    return _finish(np.where(buffers.face[..., None] >= 0, light, 1.0))


def _supersampled(mesh: Mesh | Caster, camera: Camera) -> Buffers:
    return render_depth_normals(mesh, camera, (SUPERSAMPLING * camera.width, SUPERSAMPLING * camera.height))


def heat_map(
    mesh: Mesh | Caster,
    values: np.ndarray,
    camera: Camera,
    vmax: float,
    unit: str = "",
) -> np.ndarray:
    """A value per vertex as a colour on the mesh, with a colour bar from 0 to vmax at the right.

    Args:
        values: (n,) float, per vertex; above vmax counts as vmax.

    Returns:
        (h, w + bar, 3) uint8 sRGB: dark blue is 0, yellow is vmax.
    """
    caster = mesh if isinstance(mesh, Caster) else Caster(mesh)
    buffers = _supersampled(caster, camera)
    seen = buffers.face >= 0
    picture = np.ones((*seen.shape, 3))
    corner = np.asarray(values, dtype=np.float64)[caster.mesh.faces[buffers.face[seen]]]
    value = np.einsum("hk,hk->h", buffers.weights[seen], corner)
    shade = 0.45 + 0.55 * _shade(buffers, camera)[seen]
    picture[seen] = _linear(colors(value / vmax)) * shade[:, None]
    return np.concatenate([_finish(picture), _color_bar(camera.height, vmax, unit)], axis=1)


def colors(share: np.ndarray) -> np.ndarray:
    """(...,) in [0, 1] to (..., 3) sRGB in [0, 1]: lightness rises all the way, to read in grey too."""
    position = np.linspace(0, 1, len(_STOPS))
    share = np.clip(share, 0, 1)
    return np.stack([np.interp(share, position, [stop[k] for stop in _STOPS]) for k in range(3)], axis=-1)


def side_by_side(pictures: list[np.ndarray], gap: int = 8) -> np.ndarray:
    """Pictures (h, w_i, 3) uint8 of one height in a row on white."""
    white = np.full((pictures[0].shape[0], gap, 3), 255, np.uint8)
    row = [piece for picture in pictures for piece in (picture, white)]
    return np.concatenate(row[:-1], axis=1)


def stamped(picture: np.ndarray, word: str) -> np.ndarray:
    """A picture (h, w, 3) uint8 with a word of capitals in red at its lower edge, half as wide as it is."""
    scale = max(1, picture.shape[1] // (8 * len(word)))
    ink = np.pad(_letters(word, scale), scale)[: picture.shape[0], : picture.shape[1]]
    result = picture.copy()
    result[-ink.shape[0] :, : ink.shape[1]] = np.where(ink[..., None], (200, 20, 30), 255)
    return result


def _shade(buffers: Buffers, camera: Camera) -> np.ndarray:
    """(h, w) linear light: 0.05 ambient + 0.40 headlight + 0.60 key light, half-Lambert to keep it soft."""
    right, down, forward = camera.cam_from_world[:3, :3]
    key = -0.6 * right - 0.7 * down - 0.6 * forward
    key /= np.linalg.norm(key)
    head = np.clip(buffers.normal @ -forward, 0, 1)
    soft = np.clip(0.5 + 0.5 * (buffers.normal @ key), 0, 1) ** 2
    return 0.05 + 0.40 * head**1.5 + 0.60 * soft


def _finish(linear: np.ndarray) -> np.ndarray:
    """Average each block of samples in linear light, then write sRGB (IEC 61966-2-1)."""
    s = SUPERSAMPLING
    h, w = linear.shape[0] // s, linear.shape[1] // s
    mean = np.clip(linear.reshape(h, s, w, s, 3).mean(axis=(1, 3)), 0, 1)
    encoded = np.where(mean <= 0.0031308, 12.92 * mean, 1.055 * mean ** (1 / 2.4) - 0.055)
    return (255 * encoded + 0.5).astype(np.uint8)


def _linear(srgb: np.ndarray) -> np.ndarray:
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def _barycentric(triangles: np.ndarray, points: np.ndarray) -> np.ndarray:
    a, b, c = np.moveaxis(triangles, 1, 0)
    areas = np.stack([_area(points, b, c), _area(a, points, c), _area(a, b, points)], axis=1)
    total = areas.sum(axis=1, keepdims=True)
    return np.divide(areas, total, out=np.full_like(areas, 1 / 3), where=total > 0)


def _area(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    return np.linalg.norm(np.cross(b - a, c - a), axis=1)


def _color_bar(height: int, vmax: float, unit: str) -> np.ndarray:
    """(height, bar, 3) uint8: the scale with its ends and middle written beside it."""
    scale = max(1, height // 200)
    labels = [f"{share * vmax:.3g}" for share in (1.0, 0.5, 0.0)]
    labels[0] += f" {unit}" if unit else ""
    letters = [_letters(label, scale) for label in labels]
    strip, gap = max(8, height // 28), 4 * scale
    width = max(int(_BAR * height), strip + 2 * gap + max(piece.shape[1] for piece in letters) + gap)
    bar = np.full((height, width, 3), 255, np.uint8)
    top, bottom = height // 12, height - height // 12
    share = np.linspace(1, 0, bottom - top)
    bar[top:bottom, gap : gap + strip] = (255 * colors(share) + 0.5).astype(np.uint8)[:, None]
    for piece, center in zip(letters, (top, (top + bottom) // 2, bottom), strict=True):
        y, x = max(0, center - piece.shape[0] // 2), strip + 2 * gap
        bar[y : y + piece.shape[0], x : x + piece.shape[1]][piece] = 40
    return bar


# Five rows of three bits a character: enough for a colour bar's labels and a stamp, without a font.
_FONT = {
    "0": "75557",
    "1": "26227",
    "2": "71747",
    "3": "71317",
    "4": "55711",
    "5": "74717",
    "6": "74757",
    "7": "71122",
    "8": "75757",
    "9": "75717",
    ".": "00002",
    "-": "00700",
    "+": "02720",
    "e": "07743",
    "R": "65655",
    "m": "05755",
    "c": "03443",
    "i": "20222",
    "n": "06555",
    "U": "55557",
    "N": "75555",
    "P": "75744",
    "O": "75557",
    "T": "72222",
    "E": "74747",
    "C": "74447",
    "D": "65556",
}


def _letters(text: str, scale: int) -> np.ndarray:
    """(5 * scale, w) bool, True where ink is."""
    columns = []
    for letter in text:
        rows = _FONT.get(letter, "00000")
        bits = np.array([[int(row) >> (2 - k) & 1 for k in range(3)] for row in rows], dtype=bool)
        columns += [bits, np.zeros((5, 1), bool)]
    return np.repeat(np.repeat(np.concatenate(columns, axis=1), scale, axis=0), scale, axis=1)
