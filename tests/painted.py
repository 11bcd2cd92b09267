"""Heads of the parametric model, painted, lit and photographed where a test wants them. They are nobody's."""

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from conftest import ROOT
from landmark_places import view
from sansface.capture import Camera
from sansface.deidentify.around import Around
from sansface.errors import SansfaceError
from sansface.faces.detectors import Detectors
from sansface.heads.albedo import CODES, albedo_seen
from sansface.heads.appearance import shading
from sansface.heads.fit import FAR, FittedHead, fit_head
from sansface.heads.landmarks import load_places
from sansface.heads.light import ambient, lamp
from sansface.heads.look import look
from sansface.heads.parametric import HeadModel, load_head_model
from sansface.heads.trace import srgb

DAY = ambient(np.full(3, 0.45)) + lamp(np.array([0.3, 0.4, 0.87]), np.full(3, 1.4))


@cache
def head_model() -> HeadModel:
    """The test is skipped where the model is not."""
    try:
        return load_head_model()
    except SansfaceError as missing:
        pytest.skip(f"needs the asset ict: {missing}")


@cache
def detectors() -> Detectors:
    """The test is skipped where the networks are not."""
    try:
        return Detectors()
    except SansfaceError as missing:
        pytest.skip(f"needs the assets yunet, face-short-range and face-landmarks: {missing}")


def lfw() -> Path:
    """The folder of Labeled Faces in the Wild; the test is skipped without it."""
    folder = Path(os.environ.get("SANSFACE_ASSETS", ROOT.parent / "shared" / "assets")) / "photos" / "lfw"
    if not (folder / "labels.json").is_file():
        pytest.skip("no photographs of LFW (set SANSFACE_ASSETS)")
    return folder


def astronaut() -> np.ndarray:
    """A real photograph that is free: (512, 512, 3), one face, 43 pixels between its eyes."""
    data = pytest.importorskip("skimage.data")
    try:
        return data.astronaut()
    except (OSError, RuntimeError) as missing:
        pytest.skip(f"scikit-image has no astronaut: {missing}")


def drawn(seed: int, spread: float = 0.8) -> tuple[np.ndarray, np.ndarray]:
    """identity (100,), and expression (57,) of which a few are there."""
    rng = np.random.default_rng(seed)
    expression = np.where(rng.random(57) < 0.15, rng.uniform(0.1, 0.6, 57), 0)
    return spread * rng.normal(size=100).clip(-2, 2), expression


def shape(model: HeadModel, identity: np.ndarray, expression: np.ndarray) -> np.ndarray:
    return model.vertices(identity) + np.tensordot(expression.astype(np.float32), model.expressions, axes=1)


def camera_of_fit(model: HeadModel, vertices: np.ndarray, turn: float, nod: float, eyes: float) -> Camera:
    """A camera as the fit believes in: its focal length `FAR` faces, its axis through the face's middle.

    eyes: pixels between the eyes, about.
    """
    points = load_places().of(vertices)
    pose = np.array(view(turn, nod).cam_from_world)
    for _ in range(30):
        local = points @ pose[:3, :3].T + pose[:3, 3]
        flat = local[:, :2] / local[:, 2:]
        pose[2, 3] *= FAR * np.ptp(flat, axis=0).max()  # farther, until a face measures 1 / FAR
        pose[:2, 3] -= (flat.max(axis=0) + flat.min(axis=0)) / 2 * pose[2, 3]
    focal = eyes / 62 * pose[2, 3]
    size = int(6 * eyes)
    return Camera(np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]]), size, size, pose)


def fitted(
    model: HeadModel, seed: int = 0, turn: float = 0.0, nod: float = 0.0, eyes: float = 40.0
) -> FittedHead:
    """A fit to the landmarks of a drawn head, as they truly are."""
    vertices = shape(model, *drawn(seed))
    camera = camera_of_fit(model, vertices, turn, nod, eyes)
    points, _ = camera.project(load_places().of(vertices))
    return fit_head(model, points, (camera.width, camera.height))


def painted(
    model: HeadModel, vertices: np.ndarray, camera: Camera, code: np.ndarray | None = None
) -> np.ndarray:
    """(h, w, 3) uint8 sRGB: the head by day, before something that is not even."""
    seen = look(model, vertices, camera)
    colours = albedo_seen(model, seen, np.zeros(len(CODES)) if code is None else code) * shading(seen, DAY)
    rows, columns = np.mgrid[: camera.height, : camera.width]
    behind = 0.15 + 0.1 * np.sin(rows / 9.0) * np.sin(columns / 7.0)
    picture = np.repeat(behind[..., None], 3, axis=2).reshape(-1, 3)
    picture[seen.pixel] = colours
    levels = 255 * srgb(picture.clip(0, 1)) + 0.5
    return levels.astype(np.uint8).reshape(camera.height, camera.width, 3)


def alone(hidden: np.ndarray) -> Around:
    """Of a face beside which there is no other."""
    return Around(hidden, np.zeros_like(hidden))
