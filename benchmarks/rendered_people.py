"""Photograph people that do not exist, each twice, for attacks on what a server holds: path-traced.

    python benchmarks/rendered_people.py FOLDER [--people 0 1 ...] [--size 160] [--samples 6]

Each is a head of the parametric model with a skin of its own (`benchmark_heads`), of all tones of the scale
in turn. FOLDER/person00/a is the capture that an attacker has enrolled, FOLDER/person00/b the one that is
protected: of another moment, with another small expression, other light and cameras elsewhere. 24 views,
eight of them neutral, masks, and the truth in millimetres; 80 captures take about 16 CPU-minutes. What is
there is left alone, so the command can be stopped and gone on with; FOLDER/README.md says how far it is.
Needs what `make_captures.py` needs.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from benchmark_heads import BLACK, BLOND, BROWN, CHIN, GREY, MONK, Sitter, features, shape, sit
from make_captures import unseen
from path_tracing import joined, renderer, write_capture
from sansface.capture import Camera, Role
from sansface.files import written_beside
from sansface.heads.parametric import HeadModel, load_head_model
from sansface.progress import progress_bar

PEOPLE = 40
FIRST_SEED = 1000
VIEWS, NEUTRAL = 24, 8
SUBDIVISIONS = 1
"""To edges of a millimetre, where a pixel sees two."""
MOVING = ("mouthSmile", "browInnerUp", "browDown", "eyeSquint", "jawOpen", "mouthPress", "cheekSquint")
MOVED = 0.3
"""Of a whole expression, two of which are seen, at most."""
TURNED = 6.0
"""Of the sensitive cameras around the head, to either side, degrees at most."""
LAMPS_TURNED = 45.0
HARD = 0.25
"""Share of the captures in hard light."""
CAPTURES = ("a", "b")


def person(number: int) -> Sitter:
    """Somebody, at rest."""
    rng = np.random.default_rng([FIRST_SEED, number])
    dark = number % len(MONK) > 5
    hair = BLACK if dark else (BLACK, BROWN, BLOND, GREY)[rng.integers(4)]
    return Sitter(FIRST_SEED + number, number % len(MONK), None, hair)


def make(mi, model: HeadModel, number: int, which: int, place: Path, size: int, samples: int, show) -> None:
    """One capture of one person.

    which: 0 or 1, the first or the second moment.
    """
    rng = np.random.default_rng([FIRST_SEED, number, which])
    names = rng.choice(MOVING, 2, replace=False)
    sitter = replace(
        person(number),
        expression={str(name): float(rng.uniform(0, MOVED)) for name in names},
        hard_light=bool(rng.random() < HARD),
    )
    lamps, ring = (float(rng.uniform(-most, most)) for most in (LAMPS_TURNED, TURNED))
    surfaces = sit(model, sitter, SUBDIVISIONS)
    truth, places = joined(surfaces), features(model, shape(model, sitter))
    seed = int(rng.integers(2**31))
    cameras, sphere = unseen(truth, places, VIEWS, NEUTRAL, size, seed)
    cameras = [
        (turned(camera, sphere.center, ring) if role is Role.SENSITIVE else camera, role)
        for camera, role in cameras
    ]
    meta = {
        "head_min_y": CHIN,
        "units_per_mm": 1.0,
        "sitter": {"person": number, "seed": sitter.seed, "tone": sitter.tone, "samples": samples}
        | {"expression": sitter.expression, "hard_light": sitter.hard_light}
        | {"lamps_turned": lamps, "cameras_turned": ring},
        "landmarks": landmarks(model, shape(model, sitter)).tolist(),
    }
    light = sitter.hard_light, lamps
    write_capture(mi, place, surfaces, cameras, sphere, meta, samples, show, *light, denoise=True)


def landmarks(model: HeadModel, vertices: np.ndarray) -> np.ndarray:
    """(5, 3) of a head: its right eye, left eye, nose tip, right and left corner of the mouth."""
    marks = vertices[model.landmarks]
    return np.stack([marks[36:42].mean(axis=0), marks[42:48].mean(axis=0), *marks[[30, 48, 54]]]).round(3)


def turned(camera: Camera, center: np.ndarray, degrees: float) -> Camera:
    """A camera that has gone round a vertical axis through the centre."""
    around = np.eye(4)
    around[:3, :3] = Rotation.from_euler("y", -degrees, degrees=True).as_matrix()
    around[:3, 3] = center - around[:3, :3] @ center
    return replace(camera, cam_from_world=camera.cam_from_world @ around)


def tell(folder: Path, size: int, samples: int) -> None:
    """Say in FOLDER/README.md what is there."""
    whole = [n for n in range(PEOPLE) if all((folder / f"person{n:02d}" / one).is_dir() for one in CAPTURES)]
    text = (
        f"# Rendered people, each photographed twice\n\n{len(whole)} of {PEOPLE} are complete: "
        f"{', '.join(str(n) for n in whole)}.\n\n"
        "`personNN/a` (enrolled) and `personNN/b` (protected, another moment) are captures as "
        "`make_captures.py` writes them: `images/NNN.png`, `masks/NNN.png`, `transforms.json`, `meta.json` "
        "(tone, expression, light, landmarks of the face), `gt.ply` in mm, y up, the face along +z. "
        f"{VIEWS} views of {size} pixels, {samples} samples a pixel: the first {VIEWS - NEUTRAL} are "
        f"sensitive, the last {NEUTRAL} neutral. "
        f"A folder is there when it is whole. Shape: `shape(model, person(NN))` of the benchmarks.\n"
    )
    with written_beside(folder / "README.md") as beside:
        beside.write_text(text, encoding="utf-8")


def main() -> None:
    """Make what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--people", type=int, nargs="+", default=list(range(PEOPLE)))
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--samples", type=int, default=6)
    options = parser.parse_args()
    mi, model = renderer(), load_head_model()
    for number in options.people:
        folder = options.folder / f"person{number:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        for which, name in enumerate(CAPTURES):
            if (folder / name).exists():
                continue
            with progress_bar(f"photographing person {number}, {name}") as show:
                make(mi, model, number, which, folder / name, options.size, options.samples, show)
        tell(options.folder, options.size, options.samples)


if __name__ == "__main__":
    main()
