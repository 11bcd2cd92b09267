"""The head of a single photograph, as files: a mesh, its codes, how sure they are, and pictures of both."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sansface.capture import Camera
from sansface.deidentify.change import sampled
from sansface.deidentify.faces import Tools, find, refusal
from sansface.evaluate.pictures import heat_map, render_mesh, side_by_side
from sansface.evaluate.png import write_png
from sansface.files import write_json, write_text
from sansface.heads.albedo import CODES
from sansface.heads.appearance import Appearance, fit_appearance
from sansface.heads.fit import FittedHead
from sansface.heads.landmarks import load_places
from sansface.heads.look import SHOWN
from sansface.heads.parametric import HeadModel
from sansface.heads.refine import refine
from sansface.report import FOOTER, figure, page, settings_table
from sansface.surface.mesh import Mesh, write_mesh

SIZE, AWAY, ACROSS = 360, 1000.0, 300.0
"""Pixels of a picture, and millimetres from the camera and across what it shows."""
TURNS = (0, 40, 90)
"""Degrees by which the head is turned for the pictures."""
SURE = 6.0
"""Uncertainty, mm, that is the end of the colours' scale."""


def single_head(
    photograph: np.ndarray, tools: Tools, rng: np.random.Generator, shading: bool = False
) -> tuple[FittedHead, Appearance]:
    """Fit a head to the largest face.

    Args:
        photograph: (h, w, 3) uint8 sRGB.
        rng: chooses pixels.
        shading: refine the shape by the light on it, too.

    Raises:
        SansfaceError: no face, or none that bears a fit.
    """
    faces = find(photograph, tools)
    if not faces.heads:
        raise refusal(faces.unfitted[0], remedy="")
    head = max(faces.heads, key=lambda one: one.eyes)

    def sample(one: FittedHead):
        return sampled(tools.model, one, photograph, faces.hidden)

    if shading:
        return refine(tools.model, head, sample, rng)
    return head, fit_appearance(tools.model, *sample(head), rng)


def write_head(
    model: HeadModel,
    head: FittedHead,
    appearance: Appearance,
    out: Path,
    views: Sequence[np.ndarray] = (),
) -> dict[str, Any]:
    """Write mesh.ply, head.json, pictures and report.html of a fitted head; returns what head.json says.

    The mesh is in millimetres in the model's frame: y up, the face along +z. No pixel of the photograph is in
    any of the files.

    Args:
        views: (h, w, 3) uint8 renderings of it, all of one height, for the report as well.
    """
    vertices = head.vertices(model)
    used, faces = np.unique(model.part(*SHOWN), return_inverse=True)
    mesh = Mesh(vertices[used], faces.reshape(-1, 3))
    write_mesh(mesh, out / "mesh.ply")
    spread = head.surface_spread(model)[used]
    said = _said(model, head, appearance, float(spread[used < model.parts["Face"][1]].mean()))
    write_json(out / "head.json", said)
    pictures = out / "pictures"
    pictures.mkdir(exist_ok=True)
    cameras = [turned(degrees) for degrees in TURNS]
    write_png(pictures / "mesh.png", side_by_side([render_mesh(mesh, camera) for camera in cameras]))
    write_png(
        pictures / "uncertainty.png",
        side_by_side([heat_map(mesh, spread, camera, SURE, unit="mm") for camera in cameras[:2]]),
    )
    if views:
        write_png(pictures / "views.png", side_by_side(list(views)))
    body = [
        "<h1>Head of one photograph</h1>",
        f"<p>Fitted to {len(head.landmarks)} landmarks, off by {said['landmarks']['mean']:.2%} of the "
        "distance between the eyes in the mean. A single photograph says little of depth: the colours show "
        "one standard deviation of each place, and scale and the back of the head are the model's.</p>",
        figure(pictures / "mesh.png", "the head from the front, half from the side, and from the side"),
        figure(pictures / "uncertainty.png", "standard deviation of the surface, mm"),
        figure(pictures / "views.png", "rendered by the neural head, in the photograph's light")
        if views
        else "",
        "<h2>Numbers</h2>",
        settings_table({key: said[key] for key in ("pose", "landmarks", "expression", "albedo")}),
    ]
    write_text(out / "report.html", page("head of one photograph", body, FOOTER))
    return said


def turned(degrees: float) -> Camera:
    """A camera that sees the head turned by so many degrees to its own right."""
    a = np.radians(degrees)
    around = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    pose = np.eye(4)
    pose[:3, :3] = np.diag([1.0, -1.0, -1.0]) @ around
    pose[:3, 3] = (0, 0, AWAY)
    focal = SIZE * AWAY / ACROSS
    return Camera(np.array([[focal, 0, SIZE / 2], [0, focal, SIZE / 2], [0, 0, 1]]), SIZE, SIZE, pose)


def _said(model: HeadModel, head: FittedHead, appearance: Appearance, spread: float) -> dict[str, Any]:
    shown, _ = head.camera.project(load_places().of(head.vertices(model)))
    off = np.linalg.norm(shown - head.landmarks, axis=1) / head.eyes
    names = list(model.expression)
    strong = np.argsort(-head.expression)[:8]
    return {
        "unit": "mm",
        "pose": {"degrees from the camera": round(head.turned, 2)},
        "camera": {"K": head.camera.K.tolist(), "cam_from_world": head.camera.cam_from_world.tolist()},
        "landmarks": {"mean": float(off.mean()), "median": float(np.median(off))},
        "surface spread": round(spread, 3),
        "identity": head.identity.tolist(),
        "identity spread": head.identity_spread.tolist(),
        "expression": {
            names[k]: round(float(head.expression[k]), 3) for k in strong if head.expression[k] > 0.02
        },
        "expression code": head.expression.tolist(),
        "expression spread": head.expression_spread.tolist(),
        "albedo": dict(zip(CODES, appearance.albedo.round(3).tolist(), strict=True)),
        "albedo spread": appearance.albedo_spread.tolist(),
        "light": appearance.light.tolist(),
    }
