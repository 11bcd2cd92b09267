"""Do rendered heads make the audit's networks stronger attackers?

    python benchmarks/rendered_training.py --kept FOLDER [--heads 2000] [--student 300] [--steps 1400]

The spec of the audit lets attackers learn from rendered heads as well as from photographs of strangers. Here
the parrot's student and the reverse attacker learn from the photographs alone, from both by turns, and from
heads of the parametric model alone; each then attacks as in `sansface audit`: 79 people of Labeled Faces in
the Wild, half of each person's photographs enrolled. Prints a Markdown table, rank-1 with 95 % intervals over
people. FOLDER keeps faces, heads and trainings (see `sansface audit --trained`): a run that was cut off goes
on. --only takes some of photographs, both, rendered; 0 steps leave an attacker out.
"""

import argparse
import os
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from sansface.audit.attackers.distillation import DistillationSettings, distil
from sansface.audit.attackers.inversion import InversionSettings, invert, train
from sansface.audit.attackers.teachable import Teachable
from sansface.audit.kept import Kept
from sansface.audit.people import STANDARD, read_people
from sansface.audit.protected import protected
from sansface.audit.run import finer
from sansface.audit.scores import by_person, identify, percent, similarities
from sansface.audit.sigma import protecting
from sansface.audit.split import split
from sansface.heads.albedo import albedo_seen
from sansface.heads.appearance import shading
from sansface.heads.look import look
from sansface.heads.neural.codes import random_codes
from sansface.heads.neural.pictures import camera_at
from sansface.heads.parametric import HeadModel, load_head_model
from sansface.heads.trace import srgb
from sansface.progress import progress_bar
from sansface.protect.pipeline import ProtectSettings
from sansface.recognise.align import Placing
from sansface.recognise.onnx import edgeface, mobilefacenet

ROOT = Path(__file__).resolve().parents[1]
SIZE = 256
"""Pixels of a rendered picture, whose eyes are some 50 apart."""
TURN, HEIGHT = 15.0, 8.0
"""Degrees: standard deviations of the cameras' places around the face."""
MOST = 0.7
"""Of an expression as `random_codes` draws it."""
GROUNDS = 5
"""Colours along each side of what lies behind a head."""


def rendered(model: HeadModel, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Somebody who does not exist, photographed: (h, w, 3) uint8 sRGB, and (5, 2) landmarks in it."""
    codes, share = random_codes(model, rng), rng.uniform(0, MOST)
    camera = camera_at(float(rng.normal(0, TURN)), float(rng.normal(0, HEIGHT)), SIZE)
    expression = zip(model.expression, (share * codes.expression).tolist(), strict=True)
    vertices = model.vertices(codes.identity, dict(expression))
    seen = look(model, vertices, camera)
    light = albedo_seen(model, seen, codes.albedo) * np.maximum(shading(seen, codes.light), 0)
    ground = 0.8 * rng.random(3) + 0.2 * rng.normal(size=(GROUNDS, GROUNDS, 3))
    behind = cv2.resize(ground.clip(0, 1) ** 2.2, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    head = seen.picture(np.ones(len(light)))[..., None] > 0
    picture = srgb(np.where(head, seen.picture(light), behind).clip(0, 1))
    marks = vertices[model.landmarks]
    five = np.stack([marks[36:42].mean(axis=0), marks[42:48].mean(axis=0), *marks[[30, 48, 54]]])
    return np.rint(255 * picture).astype(np.uint8), camera.project(five)[0]


def heads(count: int, placings: tuple[Placing, ...], seed: int) -> dict[str, np.ndarray]:
    """Of each placing by number (count, side, side, 3) uint8."""
    model, rng = load_head_model(), np.random.default_rng(seed)
    cut: list[list[np.ndarray]] = [[] for _ in placings]
    with progress_bar("rendering heads") as show:
        for done in range(count):
            picture, landmarks = rendered(model, rng)
            for faces, placing in zip(cut, placings, strict=True):
                faces.append(coded(placing.cut(picture, landmarks)))
            show((done + 1) / count)
    return {str(number): np.stack(faces) for number, faces in enumerate(cut)}


def coded(pictures: np.ndarray) -> np.ndarray:
    return np.rint(255 * pictures).astype(np.uint8)


def main() -> None:
    """Train, attack, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shared = Path(os.environ.get("SANSFACE_ASSETS", ROOT.parent / "shared" / "assets"))
    parser.add_argument("--photos", type=Path, default=shared / "photos" / "lfw")
    parser.add_argument("--kept", type=Path, required=True)
    parser.add_argument("--heads", type=int, default=2000)
    parser.add_argument("--student", type=int, default=300)
    parser.add_argument("--steps", type=int, default=1400)
    parser.add_argument("--only", nargs="+", default=["photographs", "both", "rendered"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    os.environ.setdefault("SANSFACE_ASSETS", str(shared))

    kept, rng = Kept(options.kept), np.random.default_rng(options.seed)
    teacher = mobilefacenet()
    recognisers = [edgeface(), teacher]
    fine, clear = finer(STANDARD), recognisers[0].placing
    with progress_bar("reading people") as show:
        people = read_people(options.photos, (clear, STANDARD, fine), progress=show, kept=kept)
    parts = split(people.labels, people.digests, rng)
    modulus = protected(people.crops[STANDARD], ProtectSettings(), rng)
    made = kept.arrays(
        "rendered",
        {"heads": options.heads, "placings": [fine], "seed": options.seed},
        lambda: heads(options.heads, (fine,), options.seed),
    )
    known = {one.name: one.embed(people.crops[clear]) for one in recognisers}
    pictures = {"photographs": coded(people.crops[fine][parts.training]), "rendered": made["0"]}
    times = max(1, round(options.heads / len(parts.training)))  # so that both come as often
    pictures["both"] = np.concatenate([*[pictures["photographs"]] * times, pictures["rendered"]])

    owners, asked = people.labels[parts.enrolled], people.labels[parts.probe]

    def named(probes: np.ndarray, gallery: np.ndarray) -> str:
        scores, who = by_person(similarities(probes, gallery), owners)
        return percent(identify(scores, asked, who, np.random.default_rng(0)).rank1.misses)

    protect, rows = protecting(ProtectSettings()), []
    for name in options.only:
        examples = torch.from_numpy(pictures[name].transpose(0, 3, 1, 2).copy()).to(options.device)
        cells, began = [name], time.perf_counter()
        generator = torch.Generator().manual_seed(options.seed)
        if options.student:
            settings = DistillationSettings(steps=options.student)
            place, said = kept.training("student", {"learnt": pictures[name], "settings": settings})
            with progress_bar(f"{name}: student") as show:
                student = distil(
                    examples, STANDARD.side, STANDARD.eyes, Teachable(teacher), protect, settings, generator,
                    place, said, lambda done, loss, show=show: show(done),
                )  # fmt: skip
            probes, gallery = (
                student.embed(one)["embedding"] + student.embed(one[:, :, ::-1].copy())["embedding"]
                for one in (modulus[parts.probe], modulus[parts.enrolled])
            )
            clear_gallery = student.about(known[teacher.name][parts.enrolled])
            cells += [
                named(probes, clear_gallery),
                named(probes, gallery),
                f"{time.perf_counter() - began:.0f} s",
            ]
        if options.steps:
            settings, began = InversionSettings(steps=options.steps), time.perf_counter()
            place, said = kept.training("inversion", {"learnt": pictures[name], "settings": settings})
            with progress_bar(f"{name}: reverse") as show:
                network = train(
                    examples, STANDARD.side, protect, settings, generator, place, said,
                    lambda done, loss, show=show: show(done),
                )  # fmt: skip
            drawn = [invert(network, modulus[part]) for part in (parts.probe, parts.enrolled)]
            for one in recognisers:
                probes, redrawn = (one.embed(one.placing.again(faces, STANDARD)) for faces in drawn)
                cells += [named(probes, known[one.name][parts.enrolled]), named(probes, redrawn)]
            cells.append(f"{time.perf_counter() - began:.0f} s")
        rows.append(f"| {' | '.join(cells)} |")
        print(rows[-1], flush=True)


if __name__ == "__main__":
    main()
