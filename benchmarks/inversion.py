"""Row f of the audit: does a trained inversion of `standard` beat the attacker who returns the mean face?

    python benchmarks/inversion.py [--steps 1400] [--integrated 0] [--kept FOLDER] [--sheet FILE] [--out FILE]

Labeled Faces in the Wild, by default: the network learns from two thirds of the people with fewer than ten
photographs, and draws half of the photographs of each of the others from their σ: 64 pixels, Sobel, eight
bits, the eyes 11 pixels apart. The other half, clear, is the gallery. What is drawn is scored by PSNR and
SSIM, and named by a recogniser. --integrated N attacks the first photograph of N people by integration, too.
--sheet writes stamped thumbnails, which show LFW's faces: never commit them.
"""

import argparse
import json
import os
import time
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import torch

from sansface.audit.attackers.integration import IntegrationSettings, integrate, linear_faces
from sansface.audit.attackers.inversion import InversionSettings, invert, train
from sansface.audit.kept import Kept
from sansface.audit.likeness import advantage, likeness
from sansface.audit.people import STANDARD, read_people
from sansface.audit.protected import protected
from sansface.audit.run import finer
from sansface.audit.scores import by_person, identify, similarities
from sansface.audit.sigma import protecting
from sansface.audit.split import split
from sansface.audit.thumbnails import stamped
from sansface.files import write_json
from sansface.progress import progress_bar
from sansface.protect.pipeline import ProtectSettings
from sansface.recognise.registry import recogniser

ROOT = Path(__file__).resolve().parents[1]
FACE = slice(14, 50)
"""Rows and columns of the middle that recognisers look at."""


def scores(drawn: np.ndarray, clear: np.ndarray, mean: np.ndarray, people: np.ndarray) -> dict:
    """PSNR and SSIM, of the whole pictures and of the face alone, beside the mean face."""
    result = {}
    for what, part in (("picture", slice(None)), ("face", FACE)):
        ours = likeness(drawn[:, part, part], clear[:, part, part])
        trivial = likeness(mean[part, part], clear[:, part, part])
        for measure in ("psnr", "ssim"):
            a, b = getattr(ours, measure), getattr(trivial, measure)
            result[f"{measure} of the {what}"] = {
                "drawn": float(a.mean()),
                "mean face": float(b.mean()),
                "advantage": asdict(advantage(a, b, people, np.random.default_rng(0))),
            }
    return result


def tensor(pictures: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))


def main() -> None:
    """Train, attack, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shared = Path(os.environ.get("SANSFACE_ASSETS", ROOT.parent / "shared" / "assets"))
    parser.add_argument("--photos", type=Path, default=shared / "photos" / "lfw")
    parser.add_argument("--recogniser", default="edgeface")
    parser.add_argument("--steps", type=int, default=1400)
    parser.add_argument("--integrated", type=int, default=0, metavar="PEOPLE")
    parser.add_argument("--kept", type=Path, help="folder of faces found and trainings, as audit --trained")
    parser.add_argument("--sheet", type=Path, help="PNG of σ, what is drawn and the clear picture")
    parser.add_argument("--out", type=Path, default=Path("inversion.json"))
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    os.environ.setdefault("SANSFACE_ASSETS", str(shared))

    kept, network = Kept(options.kept), recogniser(options.recogniser)
    placings = (network.placing, STANDARD, finer(STANDARD))
    with progress_bar("reading people") as show:
        people = read_people(options.photos, placings, progress=show, kept=kept)
    clear, fine = people.crops[STANDARD], people.crops[finer(STANDARD)]
    rng = np.random.default_rng(0)
    parts = split(people.labels, people.digests, rng)
    owners, enrolled = people.labels[parts.probe], people.labels[parts.enrolled]
    mean = clear[parts.training].mean(axis=0)
    known = network.embed(people.crops[network.placing][parts.enrolled])

    settings, protection = InversionSettings(steps=options.steps), ProtectSettings()
    generator = torch.Generator().manual_seed(0)
    examples = fine[parts.training]
    place, known_by = kept.training("inversion", {"examples": examples, "settings": settings})
    began = time.process_time()
    with progress_bar("inversion") as show:
        inverter = train(
            tensor(examples).to(options.device),
            STANDARD.side,
            protecting(protection),
            settings,
            generator,
            place,
            known_by,
            lambda done, loss: show(done, f"loss {loss:.3f}"),
        )
    seconds = time.process_time() - began
    probes, modulus = clear[parts.probe], protected(clear, protection, rng)
    seen = modulus[parts.probe]
    drawn, redrawn = invert(inverter, seen), invert(inverter, modulus[parts.enrolled])

    def embedded(pictures: np.ndarray) -> np.ndarray:
        return network.embed(network.placing.again(pictures, STANDARD))

    def rank1(pictures: np.ndarray, of: np.ndarray = known, whose: np.ndarray = owners) -> dict:
        named, who = by_person(similarities(embedded(pictures), of), enrolled)
        return asdict(identify(named, whose, who, np.random.default_rng(0)).rank1.misses)

    result = {
        "people": {
            name: len(np.unique(people.labels[getattr(parts, name)])) for name in ("training", "probe")
        },
        "photographs": {name: len(getattr(parts, name)) for name in ("enrolled", "probe")},
        "settings": asdict(settings),
        "seconds of training": seconds,
        "rank-1": {
            "chance": 1 / len(np.unique(enrolled)),
            "clear pictures of 64 pixels": rank1(probes),
            "mean face": rank1(np.repeat(mean[None], len(probes), axis=0)),
            "drawn": rank1(drawn),
            "drawn, the gallery drawn as well": rank1(drawn, embedded(redrawn)),
        },
        "likeness": scores(drawn, probes, mean, owners),
    }
    if options.integrated:
        _, first = np.unique(owners, return_index=True)
        first = first[: options.integrated]
        result["by integration"] = {}
        attacks = {
            "nothing known of faces": {},
            "linear faces": {
                "faces": linear_faces(tensor(clear[parts.training]), IntegrationSettings.components)
            },
            "begun as the network draws": {"drawn": tensor(drawn[first])},
        }
        for what, helped in attacks.items():
            began = time.process_time()
            found = integrate(
                torch.from_numpy(seen[first]),
                protection.sigma(),
                IntegrationSettings(
                    restarts=1 if "drawn" in helped else 2, grids=(4, 2, 1), steps=100, linear_steps=200
                ),
                torch.Generator().manual_seed(0),
                **helped,
            )
            result["by integration"][what] = {
                "people": len(first),
                "seconds": time.process_time() - began,
                "mean error of σ": float(found.errors.mean()),
                "rank-1": rank1(found.pictures, whose=owners[first]),
                "likeness": scores(found.pictures, probes[first], mean, owners[first]),
            }
    write_json(options.out, result)
    print(json.dumps(result, indent=1))
    if options.sheet:
        rows = [
            np.hstack([stamped(3 * seen[i]), stamped(drawn[i]), stamped(probes[i])])
            for i in range(0, len(seen), max(1, len(seen) // 12))
        ]
        cv2.imwrite(str(options.sheet), np.vstack(rows)[:, :, ::-1])


if __name__ == "__main__":
    main()
