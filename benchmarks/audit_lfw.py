"""Rows a and b: whether recognisers work on clear photographs, and the naive attacker on protected ones.

    python benchmarks/audit_lfw.py [--photos FOLDER] [--recognisers edgeface mobilefacenet] [--seeds 0 1 2]

Labeled Faces in the Wild, 79 people with ten photographs and more, 250 with one, cut out with the eyes 11
pixels apart of 64 and protected as `standard`. A seed decides who is enrolled by which photographs, and on
whom thresholds are calibrated. Prints Markdown tables with 95 % intervals over people. Nothing is written,
and nobody is named.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np

from sansface.audit.attackers.naive import SHOWN, as_pictures, naive
from sansface.audit.control import control
from sansface.audit.people import STANDARD, People, read_people
from sansface.audit.protected import protected
from sansface.audit.scores import (
    Identification,
    Rate,
    Verification,
    by_person,
    chance_interval,
    identify,
    verify,
)
from sansface.audit.split import split
from sansface.protect.pipeline import ProtectSettings
from sansface.recognise.detect import Yunet
from sansface.recognise.registry import recogniser

ROOT = Path(__file__).resolve().parents[1]


def row_of_yunet(pictures: np.ndarray) -> tuple[np.ndarray, float]:
    """(n,) bool, whether YuNet finds the face of each picture where it lies, and how often it finds any."""
    yunet = Yunet()
    codes = np.rint(255 * pictures).astype(np.uint8)
    right = [yunet.sees(picture, STANDARD.landmarks) for picture in codes]
    return np.array(right), float(np.mean([bool(yunet.faces(picture)) for picture in codes]))


def control_row(
    name: str, seed: int, of: tuple[Verification, ...], error: Rate, named: Identification
) -> str:
    """One line of row a."""
    tars = [f"{percent(one.tar.misses)}{' *' if one.threshold.too_few else ''}" for one in of]
    fmrs = " / ".join(f"{100 * one.fmr:.2f}" for one in of)
    rank1 = percent(named.rank1.misses)
    return f"| {name} | {seed} | {' | '.join(tars)} | {fmrs} | {percent(error)} | {rank1} |"


def naive_row(
    name: str, shown: str, seed: int, known: Identification, found: Identification, verified: Verification
) -> str:
    """One line of row b."""
    ways = found.rank1
    left = "–" if ways.left_out is None else percent(ways.left_out)
    cells = [
        name,
        shown,
        str(seed),
        percent(known.rank1.misses),
        f"{known.rank1.misses.value / known.chance:.1f}",
        f"{100 * known.worst[0][1]:.0f}",
        f"{ways.undetected} of {ways.misses.tries}",
        percent(ways.misses),
        percent(ways.guesses),
        left,
        percent(verified.tar.misses),
    ]
    return f"| {' | '.join(cells)} |"


def percent(rate: Rate) -> str:
    return f"{100 * rate.value:.2f} [{100 * rate.low:.2f}, {100 * rate.high:.2f}]"


def measured(people: People, names: list[str], seeds: list[int]) -> None:
    """Both rows, printed."""
    modulus = protected(people.crops[STANDARD], ProtectSettings(), np.random.default_rng(0))
    found = {}
    for shown, drawing in SHOWN.items():
        found[shown], anywhere = row_of_yunet(as_pictures(modulus, drawing))
        print(
            f"YuNet on {len(modulus)} protected pictures {shown}: a face at the right place in "
            f"{100 * found[shown].mean():.1f} %, one anywhere in {100 * anywhere:.1f} %."
        )
    clear_rows, naive_rows, guesses = [], [], []
    for name in names:
        network = recogniser(name)
        start = time.perf_counter()
        clear = network.embed(people.crops[network.placing])
        similar = {
            shown: naive(network, clear, modulus, STANDARD, drawing) for shown, drawing in SHOWN.items()
        }
        print(f"{name}: {time.perf_counter() - start:.0f} s for {3 * len(clear)} faces.", flush=True)
        for seed in seeds:
            rng = np.random.default_rng(seed)
            parts = split(people.labels, people.digests, rng)
            row_a = control(clear, people.labels, people.numbers, parts, rng)
            clear_rows.append(
                control_row(name, seed, row_a.verification, row_a.equal_error, row_a.identification)
            )
            probes, enrolled = people.labels[parts.probe], people.labels[parts.enrolled]
            count = len(np.unique(enrolled))
            for shown, matrix in similar.items():
                pairs = matrix[np.ix_(parts.probe, parts.enrolled)]
                scores, who = by_person(pairs, enrolled)
                known = identify(scores, probes, who, rng)
                by_yunet = identify(scores, probes, who, rng, found[shown][parts.probe])
                verified = verify(pairs, probes, enrolled, row_a.thresholds[1], rng)
                naive_rows.append(naive_row(name, shown, seed, known, by_yunet, verified))
            guesses.append((100 / count, *chance_interval(len(probes), count, rng)))
    guess, low, high = guesses[-1]
    print("\nRow a, clear photographs, %. * too few pairs to calibrate that rate well\n")
    print("| recogniser | seed | TAR at FMR 1e-2 | TAR at FMR 1e-3 | FMR there | EER | rank-1 |")
    print("|---|---|---|---|---|---|---|\n" + "\n".join(clear_rows))
    print(
        f"\nRow b, `standard`, naive, %. Guessing gives {guess:.2f} [{100 * low:.2f}, "
        f"{100 * high:.2f}]. Alignment known, then where YuNet must find the face\n"
    )
    print(
        "| recogniser | shown | seed | rank-1 | × chance | worst person | not found | as misses | as guesses "
        "| left out | TAR at FMR 1e-3 |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|\n" + "\n".join(naive_rows))


def main() -> None:
    """Read and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shared = Path(os.environ.get("SANSFACE_ASSETS", ROOT.parent / "shared" / "assets"))
    parser.add_argument("--photos", type=Path, default=shared / "photos" / "lfw")
    parser.add_argument("--recognisers", nargs="+", default=["edgeface", "mobilefacenet"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    os.environ.setdefault("SANSFACE_ASSETS", str(shared))
    start = time.perf_counter()
    placings = {recogniser(name).placing for name in options.recognisers}
    people = read_people(options.photos, (*placings, STANDARD))
    print(
        f"{len(people.labels)} photographs of {len(np.unique(people.labels))} people in "
        f"{time.perf_counter() - start:.0f} s; left out: {len(people.faceless)} without a face, "
        f"{len(people.small)} too small, {len(people.twice)} twice.\n"
    )
    measured(people, options.recognisers, options.seeds)


if __name__ == "__main__":
    main()
