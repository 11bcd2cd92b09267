"""Photographing painted surfaces: a path tracer, its lights and cameras, and the capture that they make.

Millimetres, y up; what is to be hidden looks along +z.
"""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from denoise import denoised
from sansface.capture import Camera, Capture, Frame, Role, Sphere
from sansface.demo import OFFSET, SCALE, demo_cameras
from sansface.evaluate.raycast import Caster
from sansface.extras import require
from sansface.formats.transforms_json import write_transforms_json
from sansface.heads.procedural import BOUND, CENTER
from sansface.heads.trace import srgb
from sansface.surface import Mesh, write_mesh

MARGIN = 1.05
"""The sphere is this much larger than the subject."""
LLVM = ("/usr/lib/x86_64-linux-gnu/libLLVM.so.19.1", "/usr/lib/llvm-19/lib/libLLVM.so.1")
"""Where Debian and Ubuntu put it; 15 and 16 end the process."""
SOFT, HARD = 0.35, 0.06
"""Radiance of the sky with large soft lamps, and with one small one."""
ROUGHNESS = {
    "skin": 0.45, "eye": 0.12, "teeth": 0.25, "hair": 0.5,
    "paint": 0.3, "glass": 0.1, "rubber": 0.7, "matte": 0.8,
}  # fmt: skip
TOUCHING = 1.0
"""A place this near behind a surface lies on it, mm."""


@dataclass(frozen=True, eq=False)
class Painted:
    """A surface with linear RGB (n, 3) float32 at its vertices, and what it is made of."""

    mesh: Mesh
    colour: np.ndarray
    material: str  # a key of ROUGHNESS


def joined(surfaces: Sequence[Painted]) -> Mesh:
    """All surfaces as one mesh: the truth."""
    first = np.cumsum([0, *(len(one.mesh.vertices) for one in surfaces)])
    return Mesh(
        np.concatenate([one.mesh.vertices for one in surfaces]),
        np.concatenate([one.mesh.faces + start for one, start in zip(surfaces, first, strict=False)]),
    )


def cache(name: str) -> Path:
    """In the user's cache, outside the repository."""
    return Path(require("pooch", extra="bench").os_cache("sansface")) / name


def cameras_of(
    mesh: Mesh, views: int, size: int, seed: int, behind: float, neutral: int | None = None
) -> tuple[list[tuple[Camera, Role]], Sphere]:
    """The demo's rings of cameras, around another subject.

    behind: degrees from +z of the nearest of the cameras that stand behind, which are the neutral ones.
    neutral: how many of them; None: a third of all.
    """
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    center = (low + high) / 2
    radius = MARGIN * float(np.linalg.norm(mesh.vertices - center, axis=1).max())
    there = OFFSET + SCALE * CENTER
    cameras = []
    for camera, role in demo_cameras(views, size, np.random.default_rng(seed), behind, neutral):
        unit = camera.normalized(there, SCALE * BOUND)
        cameras.append((unit.normalized(-center / radius, 1 / radius), role))
    return cameras, Sphere(center, radius, "given")


def seen(caster: Caster, places: np.ndarray, camera: Camera) -> int:
    """How many of the places (k, 3) have nothing between them and the camera."""
    away = places - camera.center
    distance = np.linalg.norm(away, axis=1)
    hits = caster.first(np.broadcast_to(camera.center, away.shape), away / distance[:, None])
    first = np.full(len(places), np.inf)
    first[hits.ray] = np.linalg.norm(hits.point - camera.center, axis=1)
    return int((first > distance - TOUCHING).sum())


def renderer():
    """Mitsuba with the fastest variant that works here."""
    mi = require("mitsuba", extra="bench")
    found = os.environ.get("DRJIT_LIBLLVM_PATH") or next((path for path in LLVM if Path(path).exists()), None)
    if found:
        os.environ["DRJIT_LIBLLVM_PATH"] = found
        mi.set_variant("llvm_ad_rgb")
    else:
        mi.set_variant("scalar_rgb")
    return mi


def lit(
    mi, surfaces: Sequence[Painted], hard: bool, sphere: Sphere, turn: float = 0.0, denoise: bool = False
) -> dict:
    """Surfaces and light, without a camera.

    hard: one small strong lamp instead of large soft ones.  turn: of the lamps around the vertical, degrees.
    denoise: `photograph` will be asked to.
    """
    paths = {"type": "path", "max_depth": 6, "hide_emitters": True}
    # Albedo and normals come along, for whoever takes out the noise.
    seen_too = {"type": "aov", "aovs": "albedo:albedo,normal:sh_normal", "paths": paths}
    result: dict = {"type": "scene", "integrator": seen_too if denoise else paths}
    for number, one in enumerate(surfaces):
        bsdf = mi.load_dict(
            {
                "type": "twosided",
                "inner": {
                    "type": "principled",
                    "base_color": {"type": "mesh_attribute", "name": "vertex_color"},
                    "roughness": ROUGHNESS[one.material],
                    "specular": 0.4,
                },
            }
        )
        props = mi.Properties()
        props["bsdf"] = bsdf
        vertices, faces = one.mesh.vertices, one.mesh.faces
        mesh = mi.Mesh(f"part{number}", len(vertices), len(faces), has_vertex_normals=True, props=props)
        mesh.add_attribute("vertex_color", 3, one.colour.astype(np.float32).ravel())
        values = mi.traverse(mesh)
        values["vertex_positions"] = vertices.astype(np.float32).ravel()
        values["vertex_normals"] = one.mesh.vertex_normals.astype(np.float32).ravel()
        values["faces"] = faces.astype(np.uint32).ravel()
        values.update()
        result[f"part{number}"] = mesh
    result["sky"] = {"type": "constant", "radiance": {"type": "rgb", "value": HARD if hard else SOFT}}
    T = mi.ScalarTransform4f
    lamps = [((0.8, 0.9, 1.6), 0.10, 380.0)] if hard else [
        ((1.6, 1.4, 1.8), 1.0, 3.2), ((-2.0, 0.8, 0.9), 1.0, 1.8), ((0.2, 1.6, -2.2), 1.0, 2.2),
    ]  # fmt: skip
    turned = Rotation.from_euler("y", turn, degrees=True)
    for number, (place, size, radiance) in enumerate(lamps):
        at = sphere.center + 2.2 * sphere.radius * turned.apply(place)
        result[f"lamp{number}"] = {
            "type": "rectangle",
            "to_world": T().look_at(origin=at.tolist(), target=sphere.center.tolist(), up=[0, 1, 0])
            @ T().scale([size * sphere.radius, size * sphere.radius, 1]),
            "emitter": {"type": "area", "radiance": {"type": "rgb", "value": radiance}},
        }
    return result


def photograph(
    mi, world, camera: Camera, samples: int, seed: int, denoise: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """(h, w, 3) uint8 sRGB before a wall, and (h, w) uint8 coverage.

    denoise: if the world is lit so.
    """
    to_world = np.linalg.inv(camera.cam_from_world) @ np.diag([-1.0, -1.0, 1.0, 1.0])
    sensor = mi.load_dict(
        {
            "type": "perspective",
            "fov": float(np.degrees(2 * np.arctan(camera.width / 2 / camera.K[0, 0]))),
            "fov_axis": "x",
            "to_world": mi.ScalarTransform4f(to_world),
            "film": {
                "type": "hdrfilm",
                "width": camera.width,
                "height": camera.height,
                "pixel_format": "rgba",
                "rfilter": {"type": "box"},
            },
            "sampler": {"type": "independent", "sample_count": samples},
        }
    )
    picture = np.array(mi.render(world, sensor=sensor, spp=samples, seed=seed), dtype=np.float32)
    light, coverage = picture[:, :, :3], picture[:, :, 3:4].clip(0, 1)
    if denoise:
        light = denoised(light, picture[:, :, 4:7], picture[:, :, 7:10], coverage)
    down, across = np.mgrid[0 : camera.height, 0 : camera.width] / camera.height
    tint = np.array([0.95, 1.0, 1.06], dtype=np.float32)
    wall = (0.30 - 0.12 * down + 0.03 * np.sin(9 * across))[..., None] * tint
    image = srgb((light + (1 - coverage) * wall).astype(np.float32).clip(0, 1))
    return (255 * image + 0.5).astype(np.uint8), (255 * coverage[:, :, 0] + 0.5).astype(np.uint8)


def write_capture(
    mi,
    folder: Path,
    surfaces: Sequence[Painted],
    cameras: Sequence[tuple[Camera, Role]],
    sphere: Sphere,
    meta: dict[str, Any],
    samples: int,
    show: Callable[[float], None],
    hard: bool = False,
    turn: float = 0.0,
    denoise: bool = False,
) -> None:
    """Photograph the surfaces with every camera into a capture beside, and rename it when it is whole.

    meta: of meta.json.  samples: paths a pixel.  show: told the share that is done.  hard, turn: the light.
    denoise: for few samples.
    """
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    for name in ("images", "masks"):
        (part / name).mkdir(parents=True)
    world = mi.load_dict(lit(mi, surfaces, hard, sphere, turn, denoise))
    frames = []
    for number, (camera, role) in enumerate(cameras):
        picture, coverage = photograph(mi, world, camera, samples, number, denoise)
        image, mask = (part / name / f"{number:03d}.png" for name in ("images", "masks"))
        cv2.imwrite(str(image), picture[..., ::-1])
        cv2.imwrite(str(mask), coverage)
        frames.append(Frame(camera, role, image, mask))
        show((number + 1) / len(cameras))
    write_mesh(joined(surfaces), part / "gt.ply")
    write_transforms_json(Capture(tuple(frames), unit="mm", sphere=sphere, meta=meta), part)
    part.rename(folder)
