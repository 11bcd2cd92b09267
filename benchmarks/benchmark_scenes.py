"""Two scenes that are no heads: a car-like body with a licence plate, and a room with a screen and papers.

Millimetres, y up; what is to be hidden looks along +z. Text and figures are invented, drawn from a seed.
After fig. 11 of *Do Not DeepFake Me*.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lettering import ALPHABET, line, page
from path_tracing import Painted, joined
from sansface.surface import Mesh

LETTERS = 7
"""On a plate."""
PLATE = (305.0, 152.0)
"""Width and height of a plate, mm."""
FRAME = (0.04, 0.16)
"""Of a plate's width and height: the margin on each side of its letters."""
EMBOSSED = 1.5
"""Height of a plate's letters, mm."""
AHEAD = 4.0
"""A sheet's places stand so far before it, so that nothing on it hides them, mm."""


@dataclass(frozen=True, eq=False)
class Sheet:
    """A flat thing that can be read: a plate, a screen or a paper.

    Attributes:
        text: what it says.
        corner: (3,) its upper left corner, for who reads it.
        across, down: (3,) its upper and its left edge.
    """

    text: str
    corner: np.ndarray
    across: np.ndarray
    down: np.ndarray

    def at(self, places: np.ndarray) -> np.ndarray:
        """(n, 3) points of the sheet at places (n, 2) in [0, 1], across and down."""
        return self.corner + places[:, :1] * self.across + places[:, 1:] * self.down

    def normal(self) -> np.ndarray:
        """(3,) unit, towards who reads it."""
        normal = np.cross(self.down, self.across)
        return normal / np.linalg.norm(normal)

    def places(self, count: int = 24) -> np.ndarray:
        """(count², 3) points just before the sheet: where all are hidden, nothing of it can be read."""
        share = (np.arange(count) + 0.5) / count
        return self.at(np.stack(np.meshgrid(share, share), axis=-1).reshape(-1, 2)) + AHEAD * self.normal()

    def as_dict(self) -> dict:
        """Plain JSON."""
        edges = {name: getattr(self, name).tolist() for name in ("corner", "across", "down")}
        return {"text": self.text, **edges}

    def painted(self, albedo: np.ndarray, material: str, ink: np.ndarray | None = None) -> Painted:
        """A grid with a vertex a pixel of the albedo (h, w, 3), raised where the ink (h, w) is."""
        h, w = albedo.shape[:2]
        rows, columns = np.mgrid[:h, :w]
        places = np.stack([(columns + 0.5) / w, (rows + 0.5) / h], axis=-1).reshape(-1, 2)
        vertices = self.at(places)
        if ink is not None:
            vertices = vertices + EMBOSSED * ink.reshape(-1, 1) * self.normal()
        a = (w * rows + columns)[:-1, :-1].ravel()
        faces = np.concatenate([np.stack([a, a + w, a + 1], 1), np.stack([a + 1, a + w, a + w + 1], 1)])
        return Painted(Mesh(vertices, faces), albedo.reshape(-1, 3).astype(np.float32), material)


@dataclass(frozen=True, eq=False)
class Scene:
    """What is photographed, and what of it can be read."""

    surfaces: tuple[Painted, ...]
    sheets: tuple[Sheet, ...]

    def truth(self) -> Mesh:
        """All surfaces as one mesh."""
        return joined(self.surfaces)

    def places(self) -> np.ndarray:
        """(k, 3) places of which a neutral view may show none."""
        return np.concatenate([sheet.places() for sheet in self.sheets])


# --- a car-like body with a licence plate ---

TYRE, GLASS, CHROME = (0.02, 0.02, 0.02), (0.02, 0.025, 0.03), (0.5, 0.5, 0.52)
DARK = (0.04, 0.04, 0.045)
PAINTS = ((0.45, 0.05, 0.04), (0.05, 0.15, 0.40), (0.10, 0.30, 0.12), (0.60, 0.55, 0.45))


def plate_text(seed: int) -> str:
    """Letters and figures at random."""
    return "".join(np.random.default_rng([seed, 2]).choice(list(ALPHABET), LETTERS))


def plate(seed: int) -> Scene:
    """A body a metre long, with the plate at its tail: so it fills as much of a picture as in a near view."""
    paint = PAINTS[np.random.default_rng(seed).integers(len(PAINTS))]
    width, height = PLATE
    sheet = Sheet(
        plate_text(seed), np.array([-width / 2, 280, 512]), np.array([width, 0, 0]), np.array([0, -height, 0])
    )
    albedo, ink = plate_picture(sheet.text)
    surfaces = [
        _body(paint),
        _cabin(paint),
        *(
            part
            for x in (-222, 222)
            for z in (-290, 300)
            for part in (_wheel((x, 88, z), 88, 40, TYRE), _wheel((x, 88, z), 48, 43, CHROME))
        ),
        box((-235, 62, 440), (235, 112, 535), DARK, "rubber"),  # bumpers
        box((-235, 70, -535), (235, 125, -440), DARK, "rubber"),
        box((-width / 2 - 8, 280 - height - 8, 470), (width / 2 + 8, 288, 511), DARK, "rubber"),
        sheet.painted(albedo, "paint", ink),
    ]
    for side in (-1, 1):
        surfaces += [
            box((side * 205 - 32, 170, 470), (side * 205 + 32, 262, 506), (0.40, 0.02, 0.02), "glass"),
            box((side * 185 - 40, 185, -506), (side * 185 + 40, 235, -470), (0.7, 0.7, 0.65), "glass"),
            box((side * 235 - 30, 325, -112), (side * 235 + 30, 365, -76), paint, "paint"),  # mirrors
        ]
    return Scene(tuple(surfaces), (sheet,))


def plate_picture(text: str, rows: int = 152) -> tuple[np.ndarray, np.ndarray]:
    """(h, w, 3) linear albedo and (h, w) ink of a plate: letters side by side in a frame."""
    columns = round(rows * PLATE[0] / PLATE[1])
    ink = np.zeros((rows, columns), np.float32)
    for number, sign in enumerate(text):
        left, top, right, bottom = np.rint(slot(number, len(text)) * np.tile([columns, rows], 2)).astype(int)
        ink[top:bottom, left:right] = line(sign, bottom - top, right - left)
    edge = np.ones_like(ink)
    edge[4:-4, 4:-4] = 0
    edge[:2], edge[-2:], edge[:, :2], edge[:, -2:] = 0, 0, 0, 0
    dark = np.maximum(ink, edge)[..., None]
    light, black = np.array([[0.72, 0.72, 0.68], [0.02, 0.02, 0.03]], dtype=np.float32)
    return (1 - dark) * light + dark * black, ink


def slot(number: int, letters: int) -> np.ndarray:
    """(4,) left, top, right and bottom of a letter's place on the plate, in [0, 1]."""
    side, over = FRAME
    wide = (1 - 2 * side) / letters
    return np.array([side + number * wide, over, side + (number + 1) * wide, 1 - over])


def _body(paint: tuple[float, ...]) -> Painted:
    z, round_ = _stations(500, 10)
    nose = np.clip((-z - 150) / 350, 0, 1)
    top = 300 - 55 * nose**2
    mesh = _loft(z, 250 * round_ * (1 - 0.06 * nose), 80 + 100 * (1 - round_), top - 100 * (1 - round_), 0.08)
    colour = _all(paint, mesh)
    x, y, z = mesh.vertices.T
    for wheel in (-290, 300):
        colour[(np.hypot(y - 88, z - wheel) < 104) & (np.abs(x) > 150)] = DARK
    colour[y < 95] = DARK
    colour[(np.abs(x) < 150) & (np.abs(y - 150) < 22) & (z < -480)] = DARK  # grille
    seams = (np.abs(z + 165) < 2.5) | (np.abs(z - 110) < 2.5)
    colour[seams & (np.abs(x) > 200) & (y > 100)] *= 0.25
    return Painted(mesh, colour, "paint")


def _cabin(paint: tuple[float, ...]) -> Painted:
    z, round_ = _stations(300, 4)
    mesh = _loft(z + 130, 232 * round_**0.3, np.full_like(z, 250), 270 + 235 * round_, 0.22)
    x, y, z = mesh.vertices.T
    colour = _all(paint, mesh)
    across, _, along = np.abs(mesh.vertex_normals.T)
    glass = (y > 325) & (y < 455)
    side = (across > 0.5) & ((np.abs(z - 30) < 110) | (np.abs(z - 260) < 100))
    ends = (along > 0.35) & (np.abs(x) < 165)
    colour[glass & (side | ends)] = GLASS
    return Painted(mesh, colour, "paint")


def _wheel(center: tuple[float, ...], radius: float, half: float, colour: tuple[float, ...]) -> Painted:
    along, round_ = _stations(half, 8, 48)
    lying = _loft(along, radius * round_, -radius * round_, radius * round_, 0.0, 2.0, 120)
    mesh = Mesh(lying.vertices[:, [2, 0, 1]] + center, lying.faces)
    return Painted(mesh, _all(colour, mesh), "rubber")


# --- a room with a screen and papers ---

WALL, FLOOR, WOOD, CLOTH = (0.62, 0.60, 0.55), (0.22, 0.20, 0.19), (0.38, 0.22, 0.11), (0.08, 0.16, 0.25)
BARS = (0.1, 0.5, 0.4), (0.75, 0.35, 0.05)
WORDS = (
    "PLAN", "BUDGET", "DRAFT", "OFFER", "RISK", "STAFF", "SALES", "NORTH", "SOUTH", "ALPHA", "DELTA", "ORDER",
    "COSTS", "MERGER", "SECRET",
)  # fmt: skip


def room(seed: int) -> Scene:
    """A corner of a room, two metres wide: two walls, a screen, a table with papers, chairs.

    Open towards +z, with the walls behind to the left and right, as a doll's house is.
    """
    rng = np.random.default_rng(seed)
    surfaces = [
        box((-1000, -90, -1000), (1000, 0, 1000), FLOOR),
        box((-1000, 0, -1000), (1000, 1400, -900), WALL),
        box((-1000, 0, -900), (-900, 1400, 1000), WALL),
        box((-430, 640, -900), (730, 1310, -850), DARK),  # the screen's frame
        box((-350, 660, -260), (650, 720, 440), WOOD),  # table
        box((-250, 0, -180), (-150, 660, 360), WOOD),
        box((450, 0, -180), (550, 660, 360), WOOD),
        *_chair((150, 0, 720), 0),
        *_chair((150, 0, -560), 180),
        *_chair((-640, 0, 100), -90),
    ]
    screen = Sheet("", np.array([-400, 1285, -848]), np.array([1100, 0, 0]), np.array([0, -620, 0]))
    text, albedo = _slide(rng)
    sheets = [Sheet(text, screen.corner, screen.across, screen.down)]
    surfaces.append(screen.painted(albedo, "glass"))
    for x, z, turn in ((-200, 60, 12), (120, -70, -20), (170, 280, 4), (480, 60, -75)):
        angle = np.radians(turn + rng.uniform(-5, 5))
        across = np.array([np.cos(angle), 0, np.sin(angle)])
        down = np.cross(across, [0, 1, 0])
        middle = np.array([x, 724, z])
        text, albedo = _paper(rng)
        paper = Sheet(text, middle - 105 * across - 148 * down, 210 * across, 296 * down)
        sheets.append(paper)
        surfaces.append(paper.painted(albedo, "matte"))
    turn = _about_y(-45)
    return Scene(
        tuple(_moved(one, turn) for one in surfaces),
        tuple(Sheet(one.text, turn @ one.corner, turn @ one.across, turn @ one.down) for one in sheets),
    )


def _slide(rng: np.random.Generator) -> tuple[str, np.ndarray]:
    """What a screen says, and an (h, w, 3) albedo: a title, a chart of bars with their figures, a line."""
    title, label = rng.choice(WORDS, 2, replace=False)
    values = rng.integers(20, 100, 5)
    height, width = 155, 275  # 4 mm a pixel
    lines = [
        (title, 12, 8, 32),
        (str(rng.integers(1000, 9999)), 190, 8, 32),
        (f"{label} {values.sum()}", 12, 130, 18),
    ]
    lines += [(str(value), 20 + 50 * k, 50, 18) for k, value in enumerate(values)]
    ink = page(lines, height, width)[..., None]
    ground, light = np.array([[0.05, 0.09, 0.20], [0.8, 0.8, 0.78]], dtype=np.float32)
    albedo = (1 - ink) * ground + ink * light
    for k, value in enumerate(values):
        albedo[124 - value // 2 : 124, 20 + 50 * k : 52 + 50 * k] = BARS[k % 2]
    return " ".join(str(text) for text, *_ in lines), albedo


def _paper(rng: np.random.Generator) -> tuple[str, np.ndarray]:
    """A heading and its number, and an (h, w, 3) albedo of 1 mm a pixel with lines of small print below."""
    lines = [(str(rng.choice(WORDS)), 12, 12, 44), (str(rng.integers(100, 999)), 12, 64, 30)]
    for top in range(110, 280, 13):
        lines.append((" ".join(rng.choice(WORDS, 5)), 12, top, 9))
    ink = page(lines, 296, 210)[..., None]
    black = np.array([0.03, 0.03, 0.05], dtype=np.float32)
    return " ".join(text for text, *_ in lines[:2]), (1 - ink) * 0.8 + ink * black


def _chair(place: tuple[float, ...], turn: float) -> list[Painted]:
    """On a block, with its back towards +z before it is turned."""
    parts = [
        box((-90, 0, -90), (90, 400, 90), DARK),
        box((-190, 400, -190), (190, 460, 190), CLOTH),
        box((-190, 460, 120), (190, 860, 190), CLOTH),
    ]
    return [_moved(one, _about_y(turn), place) for one in parts]


# --- geometry ---


def box(
    low: tuple[float, ...], high: tuple[float, ...], colour: tuple[float, ...], material: str = "matte"
) -> Painted:
    """A box with edges along the axes; every face has corners of its own, so that it is shaded flat."""
    ends = np.array([low, high], dtype=np.float64)
    vertices, faces = [], []
    for axis in range(3):
        for side in (0, 1):
            quad = np.zeros((4, 3), int)
            quad[:, axis] = side
            quad[[1, 2], (axis + 1) % 3] = 1
            quad[[2, 3], (axis + 2) % 3] = 1
            corner = ends[quad, np.arange(3)]
            faces += [[len(vertices) * 4 + k for k in way] for way in _TURNS[side]]
            vertices.append(corner)
    mesh = Mesh(np.concatenate(vertices), np.array(faces))
    return Painted(mesh, _all(colour, mesh), material)


_TURNS = (((0, 2, 1), (0, 3, 2)), ((0, 1, 2), (0, 2, 3)))


def _all(colour: tuple[float, ...], mesh: Mesh) -> np.ndarray:
    return np.full((len(mesh.vertices), 3), colour, dtype=np.float32)


def _stations(half: float, power: float, count: int = 160) -> tuple[np.ndarray, np.ndarray]:
    """(count,) places z from about −half to half, close at the ends, and (1 − |z / half|^p)^(1/p) there."""
    u = np.sin(np.linspace(0.01 - np.pi / 2, np.pi / 2 - 0.01, count))
    return half * u, (1 - np.abs(u) ** power).clip(0) ** (1 / power)


def _loft(
    z: np.ndarray,
    half: np.ndarray,
    bottom: np.ndarray,
    top: np.ndarray,
    taper: float,
    power: float = 6.0,
    around: int = 240,
) -> Mesh:
    """A skin over superellipses (Lamé curves) |x / half|^p + |2 (y − middle) / (top − bottom)|^p = 1 along z.

    taper: of the width, from the bottom to the top.
    """
    angle = 2 * np.pi * np.arange(around) / around
    c, s = np.cos(angle), np.sin(angle)
    x, t = (np.sign(v) * np.abs(v) ** (2 / power) for v in (c, s))
    height = (bottom + top)[:, None] / 2 + (top - bottom)[:, None] / 2 * t
    wide = half[:, None] * x * (1 - taper * (t + 1) / 2)
    n = len(z)
    rings = np.stack([wide, height, np.broadcast_to(z[:, None], wide.shape)], axis=-1)
    ends = np.stack([rings[0].mean(axis=0), rings[-1].mean(axis=0)])
    j = np.arange(around)
    k = (j + 1) % around
    i = around * np.arange(n - 1)[:, None]
    a, b, d, e = i + j, i + k, i + around + j, i + around + k
    sides = [np.stack(corners, -1).reshape(-1, 3) for corners in ((a, b, e), (a, e, d))]
    first, last = np.full(around, n * around), np.full(around, n * around + 1)
    caps = [np.stack([first, k, j], 1), np.stack([last, around * (n - 1) + j, around * (n - 1) + k], 1)]
    return Mesh(np.concatenate([rings.reshape(-1, 3), ends]), np.concatenate([*sides, *caps]))


def _moved(one: Painted, turn: np.ndarray, place: tuple[float, ...] = (0, 0, 0)) -> Painted:
    return Painted(Mesh(one.mesh.vertices @ turn.T + place, one.mesh.faces), one.colour, one.material)


def _about_y(degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


SCENES: dict[str, Callable[[int], Scene]] = {"plate": plate, "room": room}
BEHIND = {"plate": 112.0, "room": 141.0}
"""Degrees from +z of the first of the cameras behind."""
