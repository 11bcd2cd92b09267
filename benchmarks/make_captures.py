"""Photograph the benchmark's ten heads: 30 views of each, path-traced, with masks and truth in millimetres.

    python benchmarks/make_captures.py [FOLDER] [--heads 0 1 ...] [--size 512] [--samples 64]
                                       [--views 30] [--neutral 10] [--tone 9]

FOLDER is the user's cache of benchmark captures unless given; a head that is there is left alone, so the
command can be stopped and gone on with. Needs the extra `bench` (Mitsuba 3) and the asset `ict`. With LLVM 19
on the machine (Debian: libllvm19) Mitsuba traces about eight times faster than without.

Ten views are neutral: none shows nose, eyes, brows or lips, not even in profile, which is checked by rays.
`sansface bench paper --table neutral-views` wants fifteen: --views 35 --neutral 15, into another folder.
What the skin does alone is seen with --tone 0 and --tone 9, into others.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmark_heads import CHIN, MONK, SITTERS, Sitter, features, shape, sit
from path_tracing import cache, cameras_of, joined, renderer, seen, write_capture
from sansface.capture import Camera, Role, Sphere
from sansface.evaluate.raycast import Caster
from sansface.heads.parametric import HeadModel, load_head_model
from sansface.progress import progress_bar
from sansface.surface import Mesh

BEHIND = 152.0
"""Degrees from the face of the nearest neutral view: at 141 the tail of a brow may show."""
FURTHER, LAST = 2.0, 166.0
"""Where one still shows something, all go so much further behind; and how far at most, degrees."""


def unseen(
    mesh: Mesh, places: np.ndarray, views: int, neutral: int, size: int, seed: int
) -> tuple[list[tuple[Camera, Role]], Sphere]:
    """Cameras of which no neutral one sees the face's features, as little behind the head as that allows."""
    behind = BEHIND
    while True:
        cameras, sphere = cameras_of(mesh, views, size, seed, behind, neutral)
        try:
            check_neutral(mesh, places, cameras)
        except AssertionError:
            behind += FURTHER
            if behind > LAST:
                raise
        else:
            return cameras, sphere


def check_neutral(mesh: Mesh, places: np.ndarray, cameras: list[tuple[Camera, Role]]) -> None:
    """Does no neutral camera see a place of the face's features?"""
    caster = Caster(mesh)
    for number, (camera, role) in enumerate(cameras):
        shown = seen(caster, places, camera) if role is Role.NEUTRAL else 0
        assert not shown, f"the neutral view {number} sees {shown} places of the face"


def make(
    mi,
    model: HeadModel,
    sitter: Sitter,
    folder: Path,
    views: int,
    neutral: int,
    size: int,
    samples: int,
    show: Callable[[float], None],
) -> None:
    """A capture of one sitter."""
    surfaces = sit(model, sitter)
    truth = joined(surfaces)
    places = features(model, shape(model, sitter))
    cameras, sphere = unseen(truth, places, views, neutral, size, sitter.seed)
    meta = {
        "head_min_y": CHIN,
        "units_per_mm": 1.0,
        "sitter": {"seed": sitter.seed, "tone": sitter.tone, "hair": sitter.hair, "samples": samples}
        | {"expression": sitter.expression, "hard_light": sitter.hard_light},
    }
    write_capture(mi, folder, surfaces, cameras, sphere, meta, samples, show, sitter.hard_light)


def main() -> None:
    """Make what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--heads", type=int, nargs="+", default=list(range(len(SITTERS))))
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--views", type=int, default=30)
    parser.add_argument("--neutral", type=int, default=10)
    parser.add_argument(
        "--tone", type=int, choices=range(len(MONK)), help="of all heads, instead of their own"
    )
    options = parser.parse_args()
    folder = options.folder or cache("benchmark-heads")
    mi, model = renderer(), load_head_model()
    for number in options.heads:
        place = folder / f"head{number:02d}"
        if place.exists():
            print(f"{place} is there")
            continue
        with progress_bar(f"photographing head {number}") as show:
            sizes = options.views, options.neutral, options.size, options.samples
            sitter = SITTERS[number]
            if options.tone is not None:
                sitter = replace(sitter, tone=options.tone)
            make(mi, model, sitter, place, *sizes, show)
        print(place)


if __name__ == "__main__":
    main()
