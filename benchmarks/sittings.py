"""Photographs with masks, in memory, of people, of heads that are drawn, and of things.

A sitting is one person, head or scene. What is drawn is lit by distant light without shadows, so that it
takes no path tracer.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from benchmark_heads import sit
from benchmark_scenes import SCENES
from path_tracing import Painted, cameras_of, joined
from rendered_people import SUBDIVISIONS, person
from sansface.capture import Camera, Role
from sansface.demo import demo_cameras, photograph
from sansface.evaluate.pictures import render_depth_normals
from sansface.evaluate.raycast import Caster
from sansface.faces.segment import person_mask
from sansface.faces.tflite import Network
from sansface.formats import read_capture
from sansface.formats.pictures import pictures_in
from sansface.heads.light import irradiance, random_light
from sansface.heads.parametric import load_head_model
from sansface.heads.procedural import Head, Identity
from sansface.heads.trace import Tracer, srgb
from sansface.photographs.decode import decode_rgb
from sansface.protect.photograph import read_codes

Picture = tuple[np.ndarray, np.ndarray]
"""(h, w, 3) uint8 sRGB, and (h, w) uint8 coverage."""
BEHIND = 141.0
WALL = 0.3


def people(folder: Path, which: slice, some: slice) -> Iterator[list[Picture]]:
    """People of a folder with a folder each, in alphabetical order.

    some: photographs of each; those in which no person is told from the background are left out.
    """
    network = Network("person")
    for place in sorted(path for path in folder.iterdir() if path.is_dir())[which]:
        photographs = [decode_rgb(path, "photograph") for path in sorted(pictures_in(place))[some]]
        pictures = [(one, person_mask(one, network)) for one in photographs]
        pictures = [(one, mask) for one, mask in pictures if mask.min() < mask.max() and mask.mean() > 20]
        if pictures:
            yield pictures


def captured(folder: Path) -> list[Picture]:
    """The sensitive photographs of a capture."""
    return [read_codes(frame) for frame in read_capture(folder).frames if frame.role is Role.SENSITIVE]


def demo_head(seed: int, views: int, size: int) -> list[Picture]:
    """The sensitive photographs of the head that `sansface demo` makes of this seed."""
    rng = np.random.default_rng(seed)
    tracer = Tracer(Head(Identity.random(rng)))
    return [photograph(tracer, camera) for camera in _sensitive(demo_cameras(views, size, rng))]


def parametric_head(number: int, views: int, size: int) -> list[Picture]:
    """The sensitive photographs of one of `rendered_people`."""
    surfaces = sit(load_head_model(), person(number), SUBDIVISIONS)
    return _drawn(surfaces, views, size, number)


def scene(name: str, seed: int, views: int, size: int) -> list[Picture]:
    """The photographs from all sides but one of a scene of `benchmark_scenes.SCENES`."""
    return _drawn(SCENES[name](seed).surfaces, views, size, seed)


def striped_ball(seed: int, views: int, size: int) -> list[Picture]:
    """A ball with waves painted on it, as tests photograph: smooth all over, unlike anything that grows."""
    rng = np.random.default_rng(seed)
    down, across = (np.mgrid[:size, :size] + 0.5) / (0.42 * size) - 0.5 / 0.42
    toward = 1 - down**2 - across**2
    mask = np.where(toward > 0, 255, 0).astype(np.uint8)
    normal = np.stack([across, down, np.sqrt(toward.clip(min=0))], axis=2)
    waves, paint = rng.normal(size=3), rng.uniform(0.3, 1, 3)
    waves *= rng.uniform(3, 20) / np.linalg.norm(waves)
    level, swing = rng.uniform(0.4, 0.7), rng.uniform(0.1, 0.4)
    pictures = []
    # scipy still takes `random_state`, which draws these; its signature has but `rng`, which draws others.
    for turn in Rotation.random(views, random_state=seed):  # type: ignore[call-arg]
        light = rng.normal(size=3) + np.array([0, 0, 2])
        shade = 0.6 + 0.4 * normal @ (light / np.linalg.norm(light))
        stripes = level + swing * np.sin(turn.apply(normal.reshape(-1, 3)).reshape(normal.shape) @ waves)
        pictures.append(((255 * np.clip((stripes * shade)[:, :, None] * paint, 0, 1)).astype(np.uint8), mask))
    return pictures


def _sensitive(cameras: Sequence[tuple[Camera, Role]]) -> list[Camera]:
    return [camera for camera, role in cameras if role is Role.SENSITIVE]


def _drawn(surfaces: Sequence[Painted], views: int, size: int, seed: int) -> list[Picture]:
    mesh, light = joined(surfaces), random_light(np.random.default_rng(seed))
    caster, colour = Caster(mesh), np.concatenate([one.colour for one in surfaces])
    pictures = []
    for camera in _sensitive(cameras_of(mesh, views, size, seed, BEHIND)[0]):
        seen = render_depth_normals(caster, camera)
        hit = seen.face >= 0
        albedo = np.einsum("nk,nkc->nc", seen.weights[hit], colour[mesh.faces[seen.face[hit]]])
        linear = np.full((*hit.shape, 3), WALL, dtype=np.float32)
        linear[hit] = albedo * irradiance(seen.normal[hit], light)
        pictures.append(((255 * srgb(linear.clip(0, 1)) + 0.5).astype(np.uint8), 255 * hit.astype(np.uint8)))
    return pictures
