"""Ten heads that belong to nobody: the parametric model with skin, brows, lips, irises and hair of our own.

Millimetres, y up, the face along +z. Colours are painted where the vertices of the *mean* head are, so that
they follow the topology from head to head.
"""

from dataclasses import dataclass, field

import numpy as np
import trimesh
from scipy.spatial import KDTree

from path_tracing import Painted
from sansface.heads.albedo import MONK, inside, margin, off_line
from sansface.heads.parametric import HeadModel
from sansface.surface import Mesh

NECK = -120.0
"""Height of the cut through the neck, mm."""
CHIN = -90.0
"""head_min_y of the benchmark: below every chin, mm."""
SUBDIVISIONS = 2
"""By Loop's scheme: of the face to edges of about half a millimetre."""


@dataclass(frozen=True)
class Sitter:
    """One head.

    Attributes:
        seed: of its shape and its skin's marks.
        tone: of `MONK`, 0 (lightest) to 9.
        hair: None for a painted cap of stubble, else a style of `HAIR`.
        hair_colour: linear RGB.
        expression: weights by name.
        hard_light: one small strong lamp instead of large soft ones.
    """

    seed: int
    tone: int
    hair: str | None
    hair_colour: tuple[float, float, float]
    expression: dict[str, float] = field(default_factory=dict)
    hard_light: bool = False


BLACK, BROWN, BLOND, GREY = (0.012, 0.010, 0.010), (0.06, 0.03, 0.015), (0.35, 0.22, 0.09), (0.25, 0.25, 0.26)
IRISES = ((0.05, 0.10, 0.20), (0.08, 0.035, 0.015), (0.06, 0.09, 0.03))
ANGRY = {"browDown": 0.9, "noseSneer": 0.6, "eyeSquint": 0.5, "mouthFrown": 0.6, "mouthPress": 0.4}
SHOCKED = {"jawOpen": 0.6, "eyeWide": 0.9, "browInnerUp": 0.9, "browOuterUp": 0.8}
SMILE = {"mouthSmile": 0.9, "cheekSquint": 0.6, "mouthDimple": 0.4}

SITTERS = (
    Sitter(100, 0, None, BLOND),
    Sitter(101, 1, "short", BROWN),
    Sitter(102, 2, None, BLACK, ANGRY),
    Sitter(103, 3, None, GREY, hard_light=True),
    Sitter(104, 4, "bun", BROWN),
    Sitter(105, 5, None, BLACK, SHOCKED),
    Sitter(106, 6, None, BLACK),
    Sitter(107, 7, None, BLACK, SMILE),
    Sitter(108, 8, "full", BLACK),
    Sitter(109, 9, None, BLACK, hard_light=True),
)

HAIR = {"short": (9.0, 0.8), "bun": (6.0, 0.7), "full": (30.0, 1.2)}
"""Thickness and depth of the locks, mm."""


def shape(model: HeadModel, sitter: Sitter) -> np.ndarray:
    """(n, 3) vertices of a sitter."""
    rng = np.random.default_rng(sitter.seed)
    weights = rng.normal(size=len(model.identity)).clip(-2, 2)
    return model.vertices(weights, sitter.expression)


def sit(model: HeadModel, sitter: Sitter, subdivisions: int = SUBDIVISIONS) -> list[Painted]:
    """All surfaces of a sitter, the skin so often subdivided."""
    rng = np.random.default_rng([sitter.seed, 1])
    vertices = shape(model, sitter)
    placed, mean, faces = _subdivided(model, vertices, model.skin, subdivisions)
    colour = _skin(mean, model, sitter, rng)
    result = [_cut(Painted(Mesh(placed, faces), colour, "skin"))]
    iris = IRISES[rng.integers(len(IRISES))]
    for side in ("left", "right"):
        placed, mean, faces = _subdivided(model, vertices, model.part(f"Sclera {side}"), 2)
        result.append(Painted(Mesh(placed, faces), _eye(mean, iris), "eye"))
    placed, mean, faces = _subdivided(model, vertices, model.part("Teeth"), 0)
    result.append(Painted(Mesh(placed, faces), np.full_like(placed, 0.6, dtype=np.float32), "teeth"))
    inner = model.part("Mouth socket", "Gums and tongue", "Eye socket left", "Eye socket right")
    placed, mean, faces = _subdivided(model, vertices, inner, 0)
    flesh = np.full_like(placed, [0.32, 0.09, 0.08], dtype=np.float32)
    result.append(Painted(Mesh(placed, faces), flesh, "skin"))
    if sitter.hair is not None:
        result += _hair(model, vertices, sitter, rng)
    return result


def features(model: HeadModel, vertices: np.ndarray) -> np.ndarray:
    """(k, 3) places of nose, eyes, brows and lips, none of which a neutral view may show."""
    marks = vertices[model.landmarks[17:68]]
    eyes = [vertices[slice(*model.parts[f"Iris {side}"])] for side in ("left", "right")]
    mean = model.neutral[: model.parts["Face"][1]]
    x, y, z = mean.T
    nose = np.flatnonzero((np.abs(x) < 18) & (y > -14) & (y < 35) & (z > 95))
    return np.concatenate([marks, *eyes, vertices[nose]])


# --- colours ---


def linear(srgb: np.ndarray) -> np.ndarray:
    """sRGB in [0, 1] to linear light."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def _tone(tone: int) -> np.ndarray:
    code = MONK[tone]
    # The scale shows skin in the light, and albedo is what it is made from: no skin reflects less than 3 %.
    return 0.9 * linear(np.array([int(code[k : k + 2], 16) for k in (0, 2, 4)]) / 255) + 0.025


def _skin(mean: np.ndarray, model: HeadModel, sitter: Sitter, rng: np.random.Generator) -> np.ndarray:
    """Skin with mottling, redder cheeks, freckles; brows, lips, and the stubble of a shaved scalp."""
    base = np.broadcast_to(_tone(sitter.tone), mean.shape).copy()
    blotches = np.sum([_noise(mean, size, rng) for size in (25.0, 9.0, 3.5)], axis=0)
    base *= 1 + 0.05 * blotches[:, None]
    folded = np.column_stack([np.abs(mean[:, 0]), mean[:, 1:]])
    for center, wide, strength in (((45, -10, 85), 18, 0.25), ((0, 3, 125), 9, 0.2)):
        blush = strength * np.exp(-((np.linalg.norm(folded - center, axis=1) / wide) ** 2))
        base *= 1 - blush[:, None] * np.array([0.0, 0.55, 0.5])
    cheeks = mean[(mean[:, 2] > 60) & (np.abs(mean[:, 1]) < 60)]
    freckles = cheeks[rng.choice(len(cheeks), 40)]
    base[KDTree(freckles).query(mean)[0] < 1.2] *= 0.6
    marks = model.neutral[model.landmarks]
    lips = inside(mean[:, :2], marks[48:60, :2]) & (mean[:, 2] > 85)
    base[lips] *= np.array([0.85, 0.42, 0.42]) if sitter.tone < 7 else np.array([1.5, 0.9, 0.9])
    hair = np.array(sitter.hair_colour)
    for brow in (marks[17:22], marks[22:27]):
        away, along = off_line(mean[:, :2], brow[:, :2] + (0, 2.0))
        inner = along if brow[0, 0] > 0 else 1 - along  # the tail, away from the nose, is thinner
        base[(away < 4.2 - 2.2 * inner) & (mean[:, 2] > 55)] = 0.8 * hair + 0.2 * _tone(sitter.tone)
    scalp = margin(mean) > 0
    if sitter.hair is None:
        base[scalp] = 0.6 * hair + 0.4 * 0.6 * base[scalp]
    else:
        base[scalp] = hair
    return base.clip(0.005, 0.9).astype(np.float32)


def _eye(mean: np.ndarray, iris: tuple[float, float, float]) -> np.ndarray:
    """White, an iris of 6 mm radius and a pupil of 2 mm, around the axis along z."""
    center = (mean.min(axis=0) + mean.max(axis=0)) / 2
    away = np.linalg.norm(mean[:, :2] - center[:2], axis=1)
    front = mean[:, 2] > center[2]
    colour = np.full(mean.shape, 0.62, dtype=np.float32)
    colour[front & (away < 6.0)] = iris
    colour[front & (away < 2.2)] = 0.004
    return colour


# --- hair ---


def _hair(model: HeadModel, vertices: np.ndarray, sitter: Sitter, rng: np.random.Generator) -> list[Painted]:
    """A shell over the scalp, as thick as the style says, with locks along the way that hair falls."""
    assert sitter.hair is not None
    thick, locks = HAIR[sitter.hair]
    placed, mean, faces = _subdivided(model, vertices, model.skin, SUBDIVISIONS)
    placed, mean, faces = _only(placed, mean, faces, margin(mean) > -3)
    for _ in range(1 if sitter.hair == "full" else 2):
        both = np.concatenate([placed, mean], axis=1)
        both, faces = trimesh.remesh.subdivide(both, faces)[:2]
        placed, mean = both[:, :3], both[:, 3:]
    grown = np.clip(margin(mean) / 14, 0, 1)
    grown = grown * grown * (3 - 2 * grown)
    out = mean - (0, 40, -10)
    way = np.arctan2(out[:, 0], -out[:, 2])  # locks fall from the crown
    strand = np.sin(70 * way + 4 * _noise(mean, 18, rng)) + 0.6 * np.sin(190 * way + 5 * _noise(mean, 9, rng))
    clump = _noise(mean, 16, rng) + 0.6 * _noise(mean, 7, rng)
    height = thick * (0.94 + 0.06 * clump) + locks * (0.35 * strand + 0.8 * clump)
    normals = Mesh(placed, faces).vertex_normals
    if sitter.hair == "full":
        normals = normals + 0.8 * out / np.linalg.norm(out, axis=1, keepdims=True)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    shell = Mesh(placed + (grown * height - 1.0 * (1 - grown))[:, None] * normals, faces)
    result = [Painted(shell, _hair_colour(mean, sitter, strand, rng), "hair")]
    if sitter.hair == "bun":
        ball = trimesh.creation.icosphere(subdivisions=5)
        at = np.asarray(ball.vertices)
        turn = np.sin(14 * np.arctan2(at[:, 0], at[:, 1]) + 6 * at[:, 2] + 2 * _noise(30 * at, 12, rng))
        back = vertices[model.skin[:, 0]]
        back = back[back[:, 2].argmin()] + (0, 35, 0)
        bun = Mesh(back + at * (30, 27, 24) * (1 + 0.03 * turn)[:, None], np.asarray(ball.faces))
        result.append(Painted(bun, _hair_colour(30 * at, sitter, turn, rng), "hair"))
    return result


def _hair_colour(
    mean: np.ndarray, sitter: Sitter, strand: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    shade = 1 + 0.2 * strand + 0.15 * _noise(mean, 5, rng)
    return (np.array(sitter.hair_colour) * shade[:, None]).clip(0.004, 0.9).astype(np.float32)


# --- geometry ---


def _subdivided(
    model: HeadModel, vertices: np.ndarray, faces: np.ndarray, times: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same refinement of a sitter's vertices and of the mean head's."""
    placed, mean, faces = _only(vertices, model.neutral, faces)
    if times == 0:
        return placed, mean, faces
    fine, finer = trimesh.remesh.subdivide_loop(placed, faces, iterations=times)
    coarse, same = trimesh.remesh.subdivide_loop(mean, faces, iterations=times)
    assert np.array_equal(finer, same)
    return fine, coarse, finer


def _only(
    placed: np.ndarray, mean: np.ndarray, faces: np.ndarray, keep: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Without vertices that no face uses, and without faces that touch a vertex not kept."""
    if keep is not None:
        faces = faces[keep[faces].all(axis=1)]
    used, index = np.unique(faces, return_inverse=True)
    return placed[used], mean[used], index.reshape(-1, 3)


def _cut(one: Painted) -> Painted:
    """Without what lies below the cut through the neck, and closed there."""
    low = one.mesh.vertices[:, 1] < NECK
    faces = one.mesh.faces[~low[one.mesh.faces].all(axis=1)]
    used, index = np.unique(faces, return_inverse=True)
    vertices = one.mesh.vertices[used]
    vertices[:, 1] = np.maximum(vertices[:, 1], NECK)
    return Painted(Mesh(vertices, index.reshape(-1, 3)), one.colour[used], one.material)


def _noise(points: np.ndarray, size: float, rng: np.random.Generator) -> np.ndarray:
    """(n,) smooth noise of about unit variance: plane waves of about that wavelength, mm."""
    ways = rng.normal(size=(24, 3))
    ways *= (2 * np.pi / size * rng.uniform(0.6, 1.4, 24) / np.linalg.norm(ways, axis=1))[:, None]
    phases = rng.uniform(0, 2 * np.pi, 24)
    waves = [np.sin(points @ way + phase) for way, phase in zip(ways, phases, strict=True)]
    return np.sqrt(2 / 24) * np.sum(waves, axis=0)
