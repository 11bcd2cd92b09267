"""Pictures of the linear model: what the neural head is trained on, and measured by.

Rays cast on the model's surfaces, Lambertian under spherical-harmonic light; nothing shades anything else.
What lies below the template's cut through the neck is not part of the head, and only hides what is behind.
"""

from dataclasses import dataclass

import numpy as np
from trimesh.triangles import points_to_barycentric

from sansface.capture import Camera
from sansface.evaluate.raycast import Caster
from sansface.heads.albedo import albedo
from sansface.heads.light import irradiance
from sansface.heads.neural.codes import HeadCodes
from sansface.heads.neural.head import CUT
from sansface.heads.parametric import HeadModel
from sansface.surface.mesh import Mesh

INNER = ("Mouth socket", "Eye socket left", "Eye socket right", "Gums and tongue")
DISTANCE = 900.0
"""Of a camera from the head, mm."""
WIDTH = 310.0
"""Of the picture where the head is, mm."""
MIDDLE = np.array([0.0, 12.0, 15.0])
"""Where cameras look, mm."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture, and what made it.

    Attributes:
        rgba: (h, w, 4) float32 linear RGB times alpha, and alpha.
        counts: (h, w) bool, where there are no shoulders: what a head without them is measured on.
        codes, camera: the camera in the model's frame, in millimetres.
    """

    rgba: np.ndarray
    counts: np.ndarray
    codes: HeadCodes
    camera: Camera


@dataclass(frozen=True, eq=False)
class View:
    """What a camera sees of a head's shape, before colours and light.

    Attributes:
        ray: (k,) int64, pixels that show the head.
        corners, share: (k, 3), vertices of the face that is hit, and their parts in the point.
        normal: (k, 3) unit.
        shoulders: (m,) int64, pixels that show what lies below the cut.
    """

    ray: np.ndarray
    corners: np.ndarray
    share: np.ndarray
    normal: np.ndarray
    shoulders: np.ndarray

    def colours(self, albedo: np.ndarray, light: np.ndarray) -> np.ndarray:
        """(k, 3) linear RGB, by the albedo at all vertices (n, 3) and a light (9, 3)."""
        return np.einsum("nk,nkd->nd", self.share, albedo[self.corners]) * irradiance(self.normal, light)


class Surfaces:
    """All that is seen of the linear model: skin, balls of the eyes, teeth and mouth.

    Attributes:
        faces: (m, 3) int64 into all the model's vertices; the skin's come first.
        on_eye: (n,) bool, the vertices of eye balls.
    """

    def __init__(self, model: HeadModel) -> None:
        self.model = model
        self.on_eye = np.full(len(model.neutral), False)
        for side in ("left", "right"):
            self.on_eye[slice(*model.parts[f"Eyeball {side}"])] = True
        balls = [model.part(f"Sclera {side}") for side in ("left", "right")]
        flesh = model.part("Face", "Head and Neck", *INNER)
        self.faces = np.concatenate([flesh, model.part("Teeth"), *balls])

    def vertices(self, codes: HeadCodes) -> np.ndarray:
        """(n, 3) of all the model's vertices, mm."""
        expression = dict(zip(self.model.expression, map(float, codes.expression), strict=True))
        return self.model.vertices(codes.identity, expression)

    def mesh(self, codes: HeadCodes) -> Mesh:
        """What is seen."""
        return Mesh(self.vertices(codes), self.faces)

    def view(self, codes: HeadCodes, camera: Camera) -> View:
        """Cast a ray through the centre of every pixel."""
        mesh = self.mesh(codes)
        hits = Caster(mesh).first(*camera.rays(camera.grid()))
        corners = self.faces[hits.face]
        share = points_to_barycentric(mesh.triangles[hits.face], hits.point)
        normal = np.einsum("nk,nkd->nd", share, mesh.vertex_normals[corners])
        normal /= np.linalg.norm(normal, axis=1, keepdims=True).clip(min=1e-9)
        above = np.einsum("nk,nk->n", share, self.model.neutral[corners, 1]) > CUT
        return View(hits.ray[above], corners[above], share[above], normal[above], hits.ray[~above])

    def picture(self, codes: HeadCodes, camera: Camera, samples: int = 2) -> Picture:
        """Photograph a head, with samples² rays a pixel."""
        width, height = samples * camera.width, samples * camera.height
        view = self.view(codes, camera.resized(width, height))
        rgba, counts = np.zeros((height * width, 4), dtype=np.float32), np.full(height * width, True)
        rgba[view.ray, :3] = view.colours(albedo(self.model, codes.albedo), codes.light)
        rgba[view.ray, 3] = 1
        counts[view.shoulders] = False
        blocks = camera.height, samples, camera.width, samples
        mean = rgba.reshape(*blocks, 4).mean(axis=(1, 3))
        return Picture(mean, np.asarray(counts.reshape(blocks).all(axis=(1, 3))), codes, camera)


def camera_at(turn: float, height: float, size: int) -> Camera:
    """A square camera that sees the whole head.

    Args:
        turn: degrees from the face's front to the head's own left.
        height: degrees above its horizon.
    """
    a, b = np.radians([turn, height])
    away = np.array([np.sin(a) * np.cos(b), np.sin(b), np.cos(a) * np.cos(b)])
    right = np.array([np.cos(a), 0.0, -np.sin(a)])
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(-away, right), -away])
    pose[:3, 3] = -pose[:3, :3] @ (MIDDLE + DISTANCE * away)
    focal = size * DISTANCE / WIDTH
    return Camera(np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]]), size, size, pose)


def random_camera(rng: np.random.Generator, size: int) -> Camera:
    """Two of three in front (within 75°), the others anywhere around; up to 25° above or below."""
    turn = rng.uniform(-75, 75) if rng.random() < 2 / 3 else rng.uniform(-180, 180)
    return camera_at(turn, rng.uniform(-25, 25), size)
