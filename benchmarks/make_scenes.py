"""Photograph two scenes that are no heads: a plate on a car-like body, a room with a screen and papers.

    python benchmarks/make_scenes.py [FOLDER] [--scenes plate room] [--seeds 0] [--size 512] [--samples 64]
                                     [--views 30]

FOLDER is the user's cache of benchmark scenes unless given; a scene that is there is left alone, so the
command can be stopped and gone on with. Needs the extra `bench` (Mitsuba 3).

A view is neutral if no place of the plate, the screen or a paper can be seen in it, by rays; all others are
sensitive. meta.json says what is written where.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from benchmark_scenes import BEHIND, SCENES, Scene
from path_tracing import cache, cameras_of, renderer, seen, write_capture
from sansface.capture import Camera, Role, Sphere
from sansface.evaluate.raycast import Caster
from sansface.progress import progress_bar


def cameras_and_roles(
    scene: Scene, views: int, size: int, seed: int, behind: float
) -> tuple[list[tuple[Camera, Role]], Sphere]:
    """Rings of cameras; who sees none of what can be read is neutral."""
    truth, places = scene.truth(), scene.places()
    caster = Caster(truth)
    cameras, sphere = cameras_of(truth, views, size, seed, behind)
    roles = [Role.SENSITIVE if seen(caster, places, camera) else Role.NEUTRAL for camera, _ in cameras]
    return [(camera, role) for (camera, _), role in zip(cameras, roles, strict=True)], sphere


def make(
    mi, name: str, seed: int, folder: Path, views: int, size: int, samples: int, show: Callable[[float], None]
) -> None:
    """A capture of one scene."""
    scene = SCENES[name](seed)
    cameras, sphere = cameras_and_roles(scene, views, size, seed, BEHIND[name])
    meta = {
        "subject": name,
        "units_per_mm": 1.0,
        "scene": {"seed": seed, "samples": samples},
        "sheets": [sheet.as_dict() for sheet in scene.sheets],
    }
    write_capture(mi, folder, scene.surfaces, cameras, sphere, meta, samples, show)


def main() -> None:
    """Make what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--scenes", nargs="+", choices=SCENES, default=list(SCENES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--views", type=int, default=30)
    options = parser.parse_args()
    folder = options.folder or cache("benchmark-scenes")
    mi = renderer()
    for name in options.scenes:
        for seed in options.seeds:
            place = folder / f"{name}{seed:02d}"
            if place.exists():
                print(f"{place} is there")
                continue
            with progress_bar(f"photographing {name} {seed}") as show:
                make(mi, name, seed, place, options.views, options.size, options.samples, show)
            print(place)


if __name__ == "__main__":
    main()
