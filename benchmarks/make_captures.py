"""Photograph the benchmark's ten heads: 30 views of each, path-traced, with masks and truth in millimetres.

    python benchmarks/make_captures.py [FOLDER] [--heads 0 1 ...] [--size 512] [--samples 64]
                                       [--views 30] [--neutral 10]

FOLDER is the user's cache of benchmark captures unless given; a head that is there is left alone, so the
command can be stopped and gone on with. Needs the extra `bench` (Mitsuba 3) and the asset `ict`. With LLVM 19
on the machine (Debian: libllvm19) Mitsuba traces about eight times faster than without.

Ten views are neutral: none shows nose, eyes, brows or lips, not even in profile, which is checked by rays.
`sansface bench paper --table neutral-views` wants fifteen: --views 35 --neutral 15, into another folder.
"""

import argparse
import os
import shutil
from pathlib import Path

import cv2
import numpy as np

from benchmark_heads import CHIN, SITTERS, Painted, Sitter, features, joined, shape, sit
from sansface.capture import Camera, Capture, Frame, Role, Sphere
from sansface.demo import OFFSET, SCALE, demo_cameras
from sansface.evaluate.raycast import Caster
from sansface.extras import require
from sansface.formats.transforms_json import write_transforms_json
from sansface.heads.parametric import HeadModel, load_head_model
from sansface.heads.procedural import BOUND, CENTER
from sansface.heads.trace import srgb
from sansface.progress import progress_bar
from sansface.surface import Mesh, write_mesh

BEHIND = 152.0
"""Degrees from the face of the nearest neutral view: at 141 the tail of a brow may show."""
MARGIN = 1.05
"""The sphere is this much larger than the head."""
LLVM = ("/usr/lib/x86_64-linux-gnu/libLLVM.so.19.1", "/usr/lib/llvm-19/lib/libLLVM.so.1")
"""Where Debian and Ubuntu put it; 15 and 16 end the process."""
SOFT, HARD = 0.35, 0.06
"""Radiance of the sky with large soft lamps, and with one small one."""


def default_folder() -> Path:
    """In the user's cache, outside the repository."""
    return Path(require("pooch", extra="faces").os_cache("sansface")) / "benchmark-heads"


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


def cameras_of(
    mesh: Mesh, views: int, neutral: int, size: int, seed: int
) -> tuple[list[tuple[Camera, Role]], Sphere]:
    """The demo's rings of cameras, around another head."""
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    center = (low + high) / 2
    radius = MARGIN * float(np.linalg.norm(mesh.vertices - center, axis=1).max())
    there = OFFSET + SCALE * CENTER
    cameras = []
    for camera, role in demo_cameras(views, size, np.random.default_rng(seed), BEHIND, neutral):
        unit = camera.normalized(there, SCALE * BOUND)
        cameras.append((unit.normalized(-center / radius, 1 / radius), role))
    return cameras, Sphere(center, radius, "given")


def check_neutral(mesh: Mesh, places: np.ndarray, cameras: list[tuple[Camera, Role]]) -> None:
    """Does no neutral camera see a place of the face's features?"""
    caster = Caster(mesh)
    for number, (camera, role) in enumerate(cameras):
        if role is not Role.NEUTRAL:
            continue
        away = places - camera.center
        distance = np.linalg.norm(away, axis=1)
        hits = caster.first(np.broadcast_to(camera.center, away.shape), away / distance[:, None])
        first = np.full(len(places), np.inf)
        first[hits.ray] = np.linalg.norm(hits.point - camera.center, axis=1)
        seen = int((first > distance - 1.0).sum())
        assert not seen, f"the neutral view {number} sees {seen} places of the face"


def scene(mi, surfaces: list[Painted], hard: bool, center: np.ndarray, radius: float) -> dict:
    """Head and light, without a camera."""
    roughness = {"skin": 0.45, "eye": 0.12, "teeth": 0.25, "hair": 0.5}
    result: dict = {"type": "scene", "integrator": {"type": "path", "max_depth": 6, "hide_emitters": True}}
    for number, one in enumerate(surfaces):
        bsdf = mi.load_dict(
            {
                "type": "twosided",
                "inner": {
                    "type": "principled",
                    "base_color": {"type": "mesh_attribute", "name": "vertex_color"},
                    "roughness": roughness[one.material],
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
    for number, (place, size, radiance) in enumerate(lamps):
        at = center + 2.2 * radius * np.array(place)
        result[f"lamp{number}"] = {
            "type": "rectangle",
            "to_world": T().look_at(origin=at.tolist(), target=center.tolist(), up=[0, 1, 0])
            @ T().scale([size * radius, size * radius, 1]),
            "emitter": {"type": "area", "radiance": {"type": "rgb", "value": radiance}},
        }
    return result


def photograph(mi, world, camera: Camera, samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(h, w, 3) uint8 sRGB before a wall, and (h, w) uint8 coverage."""
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
    light, coverage = picture[:, :, :3], picture[:, :, 3:].clip(0, 1)
    down, across = np.mgrid[0 : camera.height, 0 : camera.width] / camera.height
    wall = (0.30 - 0.12 * down + 0.03 * np.sin(9 * across))[..., None] * np.float32([0.95, 1.0, 1.06])
    image = srgb((light + (1 - coverage) * wall).astype(np.float32).clip(0, 1))
    return tuple((255 * part + 0.5).astype(np.uint8) for part in (image, coverage[:, :, 0]))


def make(
    mi,
    model: HeadModel,
    sitter: Sitter,
    folder: Path,
    views: int,
    neutral: int,
    size: int,
    samples: int,
    show,
) -> None:
    """Write a capture beside, and rename it when it is whole."""
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    for name in ("images", "masks"):
        (part / name).mkdir(parents=True)
    surfaces = sit(model, sitter)
    truth = joined(surfaces)
    cameras, sphere = cameras_of(truth, views, neutral, size, sitter.seed)
    check_neutral(truth, features(model, shape(model, sitter)), cameras)
    world = mi.load_dict(scene(mi, surfaces, sitter.hard_light, sphere.center, sphere.radius))
    frames = []
    for number, (camera, role) in enumerate(cameras):
        image, mask = photograph(mi, world, camera, samples, number)
        places = [part / name / f"{number:03d}.png" for name in ("images", "masks")]
        cv2.imwrite(str(places[0]), image[..., ::-1])
        cv2.imwrite(str(places[1]), mask)
        frames.append(Frame(camera, role, *places))
        show((number + 1) / len(cameras))
    write_mesh(truth, part / "gt.ply")
    meta = {
        "head_min_y": CHIN,
        "units_per_mm": 1.0,
        "sitter": {"seed": sitter.seed, "tone": sitter.tone, "hair": sitter.hair, "samples": samples}
        | {"expression": sitter.expression, "hard_light": sitter.hard_light},
    }
    write_transforms_json(Capture(tuple(frames), unit="mm", sphere=sphere, meta=meta), part)
    part.rename(folder)


def main() -> None:
    """Make what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--heads", type=int, nargs="+", default=list(range(len(SITTERS))))
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--views", type=int, default=30)
    parser.add_argument("--neutral", type=int, default=10)
    options = parser.parse_args()
    folder = options.folder or default_folder()
    mi, model = renderer(), load_head_model()
    for number in options.heads:
        place = folder / f"head{number:02d}"
        if place.exists():
            print(f"{place} is there")
            continue
        with progress_bar(f"photographing head {number}") as show:
            sizes = options.views, options.neutral, options.size, options.samples
            make(mi, model, SITTERS[number], place, *sizes, show)
        print(place)


if __name__ == "__main__":
    main()
