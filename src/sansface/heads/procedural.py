"""A parametric head as an analytic signed distance function with albedo: nobody's head, and no download.

Frame: x to the subject's left, y up, z forward; origin between the eyeballs' height and the ears; a unit is
100 mm. The head, its neck and the start of the shoulders lie within BOUND of CENTER.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from sansface.heads.primitives import Xyz, capsule, ellipsoid, ramp, sphere, union, without

CENTER = np.array([0.0, -0.38, -0.02])
BOUND = 1.75
CHIN = -1.1
"""y of the chin, about: what lies above is head, below is neck."""

STEP = 0.25
"""Least step of sRGB luminance between a feature and what surrounds it."""


class Material(IntEnum):
    """What a point of the surface is."""

    SKIN = 0
    LIP = 1
    BROW = 2
    SCLERA = 3
    IRIS = 4
    HAIR = 5


FEATURES = (Material.LIP, Material.BROW, Material.SCLERA, Material.IRIS)
"""What a neutral photograph must never show."""


@dataclass(frozen=True)
class Identity:
    """Proportions in units of 100 mm (or as factors), colours in sRGB luminance."""

    width: float  # factor on the breadth
    length: float  # factor on the depth of the skull
    jaw: float  # half breadth of the jaw's angle
    chin: float  # how far the chin comes forward
    chin_width: float
    cheek: float
    brow_ridge: float
    eye_distance: float  # pupil to the middle plane
    eye_open: float
    eye_size: float
    nose_length: float
    nose_width: float
    nose_bridge: float  # how far the bridge comes forward
    nose_tip: float  # how far the tip comes forward
    mouth_width: float
    lip_upper: float
    lip_lower: float
    ear_size: float
    ear_angle: float
    neck: float
    hair: float  # thickness
    hair_line: float  # y of the hair line above the forehead
    brow_height: float
    brow_width: float
    skew: float  # of the nose and chin to one side
    skin: float
    warmth: float
    hair_tone: float
    iris_hue: float
    phases: tuple[float, ...]  # of the skin's variation, the hair's waves and the moles

    @staticmethod
    def random(rng: np.random.Generator) -> "Identity":
        """Draw every proportion evenly from a plausible range."""
        u = rng.uniform
        return Identity(
            width=u(0.94, 1.05),
            length=u(0.96, 1.04),
            jaw=u(0.42, 0.54),
            chin=u(-0.05, 0.06),
            chin_width=u(0.17, 0.26),
            cheek=u(0.42, 0.50),
            brow_ridge=u(0.05, 0.10),
            eye_distance=u(0.295, 0.335),
            eye_open=u(0.046, 0.062),
            eye_size=u(0.122, 0.132),
            nose_length=u(0.42, 0.52),
            nose_width=u(0.115, 0.155),
            nose_bridge=u(-0.02, 0.05),
            nose_tip=u(-0.03, 0.05),
            mouth_width=u(0.22, 0.26),
            lip_upper=u(0.038, 0.054),
            lip_lower=u(0.046, 0.066),
            ear_size=u(0.88, 1.1),
            ear_angle=u(0.25, 0.55),
            neck=u(0.48, 0.57),
            hair=u(0.06, 0.12),
            hair_line=u(0.62, 0.76),
            brow_height=u(0.19, 0.23),
            brow_width=u(0.028, 0.042),
            skew=u(-0.02, 0.02),
            skin=u(0.50, 0.62),
            warmth=u(0.85, 1.15),
            hair_tone=u(0.08, 0.17),
            iris_hue=u(0.0, 1.0),
            phases=tuple(float(v) for v in rng.uniform(0, 2 * np.pi, 15)),
        )


class Head:
    """The solid and the colours of one identity. All points: (n, 3) in the head's frame."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.eye = (identity.eye_distance, 0.0, 0.665)
        self.mouth = (-0.27 - identity.nose_length, 0.872)

    def distance(self, points: np.ndarray) -> np.ndarray:
        """(n,) float32, negative inside: right to first order near the surface, too small rather than too
        large farther away.
        """
        p = self._folded(points)
        base = self._base(p)
        solid = union(self._skin(p, base), self._hair(p, base), 0.02)
        front = np.flatnonzero(p[2] > 0.45)
        solid[front] = np.minimum(solid[front], self._eyeball(_take(p, front)))
        bust = sphere(p, CENTER, BOUND - 0.05)
        return -union(-solid, -bust, 0.12)

    def material(self, points: np.ndarray) -> np.ndarray:
        """(n,) uint8 of Material, for points on the surface."""
        i, p = self.identity, self._folded(points)
        x, y, z = p
        base = self._base(p)
        skin = self._skin(p, base)
        front = z > 0.45
        upper, lower = self._lips(p)
        # The brow is paint: an arch of the skin that no geometry marks.
        t = np.clip((x - 0.14) / 0.36, 0, 1)
        arch = i.brow_height + 0.09 * t - 0.11 * t * t
        brow = np.hypot(np.maximum(np.abs(x - 0.32) - 0.18, 0), y - arch) - i.brow_width * (1 - 0.5 * t)
        on_eye = front & (self._eyeball(p) < skin)
        iris = np.hypot(x - self.eye[0], y - self.eye[1]) < 0.5 * i.eye_size
        result = np.full(len(x), Material.SKIN, np.uint8)
        result[front & (np.minimum(upper, lower) < 0.006)] = Material.LIP
        result[front & (brow < 0)] = Material.BROW
        result[on_eye] = Material.SCLERA
        result[on_eye & iris] = Material.IRIS
        result[self._hair(p, base) < skin] = Material.HAIR
        return result

    def albedo(self, points: np.ndarray, material: np.ndarray) -> np.ndarray:
        """(n, 3) float32 sRGB in [0, 1]: steps of at least STEP in luminance between a feature and its
        surround.
        """
        i = self.identity
        points = np.asarray(points, np.float32)
        color = self.colors()[material]
        skin, hair = material == Material.SKIN, material == Material.HAIR
        waves = sum(
            np.sin(points @ np.array(way, np.float32) + np.float32(phase))
            for way, phase in zip(((5, 3, 2), (-3, 6, 4), (2, -5, 7)), i.phases, strict=False)
        )
        color *= np.where(skin, 1 + 0.012 * waves, 1)[:, None]
        color *= np.where(skin & self._moles(points), 0.5, 1)[:, None]
        color *= np.where(hair, 1 + 0.2 * self._strands(points), 1)[:, None]
        return np.clip(color, 0, 1)

    def colors(self) -> np.ndarray:
        """(6, 3) float32 sRGB, the mean colour of every Material."""
        i = self.identity
        iris = (0.5 + 0.5 * i.iris_hue, 1.0, 1.5 - i.iris_hue)
        tones = {
            Material.SKIN: ((1.22 * i.warmth, 0.95, 0.80 / i.warmth), i.skin),
            Material.LIP: ((1.75, 0.80, 0.85), i.skin - STEP - 0.05),
            Material.BROW: ((1.2, 0.97, 0.8), min(i.hair_tone + 0.04, i.skin - STEP - 0.05)),
            Material.SCLERA: ((1.0, 1.0, 0.98), 0.93),
            Material.IRIS: (iris, 0.25),
            Material.HAIR: ((1.2, 0.97, 0.8), i.hair_tone),
        }
        return np.array([_tone(*tones[m]) for m in Material], np.float32)

    def _folded(self, points: np.ndarray) -> Xyz:
        """Halves of the head are mirror images but for a little skew."""
        i = self.identity
        x, y, z = (np.ascontiguousarray(points[:, k], dtype=np.float32) for k in range(3))
        shift = np.float32(i.skew) * ramp(0.6, 1.1, z) * ramp(0.1, -0.6, y)
        return np.abs(x - shift) * np.float32(1 / i.width), y, z

    def _base(self, p: Xyz) -> np.ndarray:
        """Skull, face, jaw, neck and shoulders: what hair and features stand on."""
        i = self.identity
        d = ellipsoid(p, (0, 0.36, -0.07), (0.72, 0.76, 0.92 * i.length))
        d = union(d, ellipsoid(p, (0, 0.05, -0.25), (0.66, 0.70, 0.70 * i.length)), 0.2)
        d = union(d, ellipsoid(p, (0, -0.28, 0.20), (0.60, 0.76, 0.64)), 0.16)
        d = union(d, capsule(p, (i.jaw, -0.60, 0.06), (0.12, -0.93, 0.60), 0.13, 0.15), 0.22)
        d = union(d, ellipsoid(p, (0, -0.72, 0.54), (0.38, 0.32, 0.31)), 0.22)
        neck = capsule(p, (0, -0.55, -0.20), (0, -1.75, -0.32), i.neck, i.neck + 0.06)
        d = union(d, neck, 0.14)
        return union(d, capsule(p, (0, -1.76, -0.34), (1.15, -1.98, -0.28), 0.36, 0.26), 0.5)

    def _skin(self, p: Xyz, base: np.ndarray) -> np.ndarray:
        """The base with the face's features and the ears."""
        d = base.copy()
        front = np.flatnonzero(p[2] > 0.0)
        d[front] = self._face(_take(p, front), base[front])
        side = np.flatnonzero((p[0] > 0.45) & (np.abs(p[1] + 0.15) < 0.7) & (np.abs(p[2] + 0.1) < 0.6))
        d[side] = self._ear(_take(p, side), d[side])
        return d

    def _face(self, p: Xyz, d: np.ndarray) -> np.ndarray:
        i = self.identity
        eye_x = i.eye_distance
        d = union(d, sphere(p, (i.cheek, -0.27, 0.42), 0.15), 0.28)
        d = union(d, ellipsoid(p, (0, -0.98, 0.66 + i.chin), (i.chin_width, 0.13, 0.19)), 0.16)
        d = union(d, capsule(p, (0.06, 0.13, 0.76), (0.46, 0.16, 0.52), i.brow_ridge, 0.08), 0.18)
        d = without(d, ellipsoid(p, (eye_x, -0.02, 0.89), (0.19, 0.115, 0.15)), 0.12)
        middle = np.flatnonzero((p[2] > 0.5) & (p[0] < 0.6))
        q = _take(p, middle)
        d[middle] = self._mouth(q, self._nose(q, self._lids(q, d[middle])))
        return d

    def _nose(self, p: Xyz, d: np.ndarray) -> np.ndarray:
        i = self.identity
        tip_y, tip_z = -i.nose_length, 0.975 + i.nose_tip
        root, end = (0, 0.06, 0.755 + i.nose_bridge), (0, tip_y + 0.03, tip_z - 0.05)
        d = union(d, capsule(p, root, end, 0.06, 0.085), 0.13)
        d = union(d, ellipsoid(p, (0, tip_y, tip_z), (0.09, 0.08, 0.085)), 0.07)
        wing = (i.nose_width, tip_y - 0.035, 0.87)
        d = union(d, ellipsoid(p, wing, (0.062, 0.068, 0.105)), 0.07)
        d = union(d, capsule(p, (0, tip_y - 0.05, tip_z - 0.04), (0, tip_y - 0.10, 0.85), 0.035, 0.04), 0.06)
        nostril = (0.55 * i.nose_width, tip_y - 0.095, 0.92)
        return without(d, ellipsoid(p, nostril, (0.033, 0.045, 0.055)), 0.03)

    def _lids(self, p: Xyz, d: np.ndarray) -> np.ndarray:
        """A shell about the eyeball with an almond-shaped opening."""
        i = self.identity
        x, y = p[0] - np.float32(self.eye[0]), p[1] - np.float32(self.eye[1])
        bow = 1 - (x * np.float32(1 / (1.18 * i.eye_size))) ** 2
        opening = np.maximum(y - np.float32(i.eye_open) * bow, -y - np.float32(0.8 * i.eye_open) * bow)
        shell = without(sphere(p, self.eye, i.eye_size + 0.022), np.float32(0.7) * opening, 0.012)
        return union(d, shell, 0.045)

    def _eyeball(self, p: Xyz) -> np.ndarray:
        return sphere(p, self.eye, self.identity.eye_size)

    def _lips(self, p: Xyz) -> tuple[np.ndarray, np.ndarray]:
        i, (y, z), w = self.identity, self.mouth, self.identity.mouth_width
        corner = (w, y, z - 0.082)
        upper = capsule(p, (0.035, y + 0.9 * i.lip_upper, z), corner, i.lip_upper, 0.012)
        lower = capsule(p, (0, y - 0.9 * i.lip_lower, z - 0.01), corner, i.lip_lower, 0.012)
        return upper, lower

    def _mouth(self, p: Xyz, d: np.ndarray) -> np.ndarray:
        (y, z), w = self.mouth, self.identity.mouth_width
        d = without(d, capsule(p, (0, y + 0.10, z + 0.07), (0, y + 0.20, z + 0.08), 0.035), 0.05)
        upper, lower = self._lips(p)
        d = union(union(d, upper, 0.03), lower, 0.03)
        line = capsule(p, (0, y, z + 0.048), (w, y, z - 0.07), 0.008)
        return without(d, line, 0.025)

    def _ear(self, p: Xyz, d: np.ndarray) -> np.ndarray:
        """A tilted disc, hollowed in front, with a rim."""
        i = self.identity
        turn, lean, size = i.ear_angle, 0.18, np.float32(1 / i.ear_size)
        x, y, z = p[0] - np.float32(0.70), p[1] + np.float32(0.14), p[2] + np.float32(0.05)
        y, z = np.cos(lean) * y - np.sin(lean) * z, np.sin(lean) * y + np.cos(lean) * z
        x, z = np.cos(turn) * x + np.sin(turn) * z, -np.sin(turn) * x + np.cos(turn) * z
        q = (x * size, y * size, z * size)
        ear = ellipsoid(q, (0.05, 0, -0.13), (0.05, 0.29, 0.17))
        ear = union(ear, ellipsoid(q, (0.04, -0.20, -0.07), (0.045, 0.10, 0.08)), 0.05)
        # Its root reaches into the head whatever the breadths of the two are.
        ear = union(ear, ellipsoid(q, (-0.04, -0.03, -0.01), (0.13, 0.17, 0.09)), 0.04)
        ring = np.hypot((q[1] - 0.03) * np.float32(0.62), q[2] + np.float32(0.13)) - np.float32(0.15)
        ear = union(ear, np.hypot(ring, q[0] - np.float32(0.085)) - np.float32(0.026), 0.03)
        ear = without(ear, ellipsoid(q, (0.12, -0.04, -0.11), (0.055, 0.12, 0.075)), 0.03)
        return union(d, ear * np.float32(i.ear_size), 0.05)

    def _hair(self, p: Xyz, base: np.ndarray) -> np.ndarray:
        """The base, thickened behind a hair line that falls from the forehead by the temples to the nape."""
        i, (x, y, z) = self.identity, p
        temple = np.clip((z - 0.10) * np.float32(1 / 0.40), 0, 1)
        u = (z + 0.08) * np.float32(1 / 0.19)
        ear = 0.42 * np.exp(-u * u)
        line = -0.62 + 0.30 * ramp(-0.85, -0.25, z) + 0.85 * temple * temple * (3 - 2 * temple) + ear
        line += np.float32(i.hair_line - 0.53) * ramp(0.48, 0.80, z) - 0.05 * ramp(0.3, 0.0, x) * ramp(
            0.5, 0.7, z
        )  # Where the line is steep, the height above it is no distance: divide by the slope.
        slope = np.float32(0.85 * 6 / 0.40) * temple * (1 - temple) - np.float32(2 / 0.19) * u * ear
        grown = ramp(-0.05, 0.15, (y - line) / np.sqrt(1 + slope * slope))
        waves = np.sin(4 * x + 7 * z + np.float32(i.phases[5]))
        waves *= np.sin(6 * y - 3 * z + np.float32(i.phases[6]))
        hair = base - ((np.float32(i.hair) + 0.015 * waves + 0.03) * grown - 0.03)
        return np.float32(0.8) * hair

    def _strands(self, points: np.ndarray) -> np.ndarray:
        angle = np.arctan2(points[:, 0], points[:, 2] + np.float32(0.1))
        return np.sin(26 * angle + 4 * np.sin(5 * points[:, 1] + np.float32(self.identity.phases[4])))

    def _moles(self, points: np.ndarray) -> np.ndarray:
        """(n,) bool: a few dark spots on cheeks, neck and forehead."""
        u = np.sin(np.array(self.identity.phases[7:], np.float32))
        spots = ((0.34, -0.52, 0.62), (-0.40, -0.30, 0.62), (0.25, 0.50, 0.80), (-0.35, -1.20, 0.25))
        hit = np.full(len(points), False)
        for k, spot in enumerate(spots):
            way = np.array(spot, np.float32) + 0.12 * np.array([u[2 * k], u[2 * k + 1], 0], np.float32)
            way /= np.linalg.norm(way)
            along = points @ way
            hit |= (along > 0) & (np.linalg.norm(points - along[:, None] * way, axis=1) < 0.015)
        return hit


def _tone(ratio: tuple[float, float, float], luminance: float) -> np.ndarray:
    """The sRGB colour of these proportions whose luma 0.2126 R + 0.7152 G + 0.0722 B is `luminance`."""
    color = np.array(ratio)
    return color * luminance / (color @ np.array([0.2126, 0.7152, 0.0722]))


def _take(p: Xyz, index: np.ndarray) -> Xyz:
    return p[0][index], p[1][index], p[2][index]
