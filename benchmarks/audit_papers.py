"""The papers' own tables on privacy (`sansface.bench.audit_papers`), on rendered heads and on photographs.

    python benchmarks/audit_papers.py HEAD ... --runs RUNS [--tables recognition perceptual ...] [--trained 3]
                                      [--photos FOLDER] [--labels FILE] [--recognisers edgeface ...]

HEAD is a capture of `make_captures.py` or a folder of `rendered_people.py`, with FOLDER/a and FOLDER/b. RUNS
has reconstructions that kept their radiance; of the first `--trained` heads they are made where they are
missing, at about a CPU-minute each, two a head. Face swaps and transfers need them: of three heads each.
With --photos there is table 2 on photographs of people, too; nobody is named.

Attributes of rendered heads follow from what meta.json says of the sitter. --labels gives other heads' ones:
{"HEAD": {"attribute": true, ...}, ...}. Prints Markdown; OUT gets figure 8's histograms.
"""

import argparse
import os
import time
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from benchmark_heads import Sitter, shape
from sansface.audit.face_swap import SwapSettings
from sansface.audit.people import CLEAR, STANDARD, read_people
from sansface.bench.audit_papers import (
    attributes,
    face_swaps,
    histogram,
    perceptual,
    recognition,
    recognition_of_photographs,
    transfers,
)
from sansface.bench.sittings import Sitting, read_sitting, with_runs
from sansface.files import read_json
from sansface.heads.parametric import load_head_model
from sansface.protect.pipeline import ProtectSettings
from sansface.recognise.detect import Yunet
from sansface.recognise.registry import recogniser

TABLES = ("recognition", "perceptual", "attributes", "swap", "transfer")
STEPS = 240
"""Of stage 2, a third of the preset's: enough to tell renderings apart."""
FAINT = 0.1
"""Of a whole expression: what is less does not count as having it."""
LEFT, RIGHT, CHIN, NOSE = 0, 16, 8, 27
"""Of the 68 landmarks: the jaw's ends, the chin, the root of the nose."""


def known_of(sittings: list[Sitting]) -> dict[str, dict[str, bool]]:
    """What is known by construction of rendered heads: skin, light, expression, shape against the median."""
    model = load_head_model()
    said: list[dict[str, Any]] = [sitting.capture.meta["sitter"] for sitting in sittings]
    places = []
    for one in said:
        sitter = Sitter(one["seed"], one["tone"], None, (0, 0, 0))
        places.append(shape(model, sitter)[model.landmarks])
    faces = np.stack(places)
    width = np.linalg.norm(faces[:, LEFT] - faces[:, RIGHT], axis=1)
    length = np.linalg.norm(faces[:, CHIN] - faces[:, NOSE], axis=1)
    names = sorted({name for one in said for name in one["expression"]})
    result = {}
    for index, (sitting, one) in enumerate(zip(sittings, said, strict=True)):
        found = {
            "skin light": one["tone"] <= 3,
            "skin dark": one["tone"] >= 7,
            "hard light": one["hard_light"],
            "wide face": bool(width[index] > np.median(width)),
            "long face": bool(length[index] > np.median(length)),
        }
        result[sitting.name] = found | {name: one["expression"].get(name, 0) > FAINT for name in names}
    return result


def main() -> None:
    """Read, reconstruct what is missing, measure."""
    root = Path(__file__).resolve().parents[1]
    shared = Path(os.environ.get("SANSFACE_ASSETS", root.parent / "shared" / "assets"))
    os.environ.setdefault("SANSFACE_ASSETS", str(shared))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("heads", type=Path, nargs="*")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--trained", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=2, choices=(1, 2, 3, 6), help="of faces swapped")
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--recognisers", nargs="+", default=["edgeface", "mobilefacenet"])
    parser.add_argument("--out", type=Path, help="for figure 8")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    recognisers = [recogniser(name) for name in options.recognisers]

    def show(title: str, text: str, since: float) -> None:
        print(f"## {title}\n\n{text}\n{time.process_time() - since:.0f} CPU-seconds.\n", flush=True)

    def draw(found: dict, name: str) -> None:
        if options.out is not None:
            options.out.mkdir(parents=True, exist_ok=True)
            for recogniser_name, of in found.items():
                place = options.out / f"{name}-{recogniser_name}.png"
                place.write_bytes(histogram(of, recogniser_name))

    if options.photos is not None:
        start, rng = time.process_time(), np.random.default_rng(options.seed)
        people = read_people(options.photos, (*{CLEAR, *(one.placing for one in recognisers)}, STANDARD))
        text, found = recognition_of_photographs(people, recognisers, ProtectSettings(), rng)
        show("Table 2, photographs", text, start)
        draw(found, "photographs")
    if not options.heads:
        return
    find, start = Yunet().nearest, time.process_time()
    protection, made = ProtectSettings(), (STEPS, options.seed)
    sittings = [read_sitting(head, options.runs, find, protection, *made) for head in options.heads]
    trained = [with_runs(one, options.runs, *made) for one in sittings[: options.trained]]
    sittings[: options.trained] = trained
    print(f"{len(sittings)} heads in {time.process_time() - start:.0f} CPU-seconds.\n", flush=True)
    for name in options.tables:
        start, rng = time.process_time(), np.random.default_rng(options.seed)
        if name == "recognition":
            text, found = recognition(sittings, recognisers, rng)
            show("Table 2, heads", text, start)
            draw(found, "heads")
        if name == "perceptual":
            show("Table 4, a stand-in for LPIPS", perceptual(sittings, recognisers, rng), start)
        if name == "attributes":
            known = known_of(sittings) if options.labels is None else read_json(options.labels)
            show("Attributes", attributes(sittings, known, recognisers, rng)[0], start)
        if name == "swap":
            pairs = list(permutations(trained[:3], 2))[:: 6 // options.pairs]
            text = face_swaps(pairs, sittings, recognisers, SwapSettings(), options.seed)
            show("Table 3, face swaps", text, start)
        if name == "transfer":
            show("Figure 12, transfer", transfers(trained[:3], sittings, recognisers), start)


if __name__ == "__main__":
    main()
