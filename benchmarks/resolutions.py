"""Row g: what more pixels bring and what they cost.

    python benchmarks/resolutions.py [CAPTURE] [--resolutions 32 64 128 256] [--seeds 0 1 2]
                                    [--set NAME=VALUE ...]

For each resolution: protect once, then reconstruct (preset fast) and evaluate with each seed, every command a
process of its own. Prints a Markdown table, mean ± standard deviation over the seeds, and whether the score
falls from each resolution to the next and the time grows no faster than the pixels.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from commands import CAPTURES, Run, timed


def measured(
    capture: Path, resolution: int, seeds: Sequence[int], more: Sequence[str], folder: Path
) -> list[Run]:
    """A reconstruction with each seed: its seconds, its memory, its score."""
    bundle = folder / f"{resolution}.sfb"
    timed("protect", capture, "-o", bundle, "--resolution", resolution)
    settings = [word for assignment in more for word in ("--set", assignment)]
    runs = []
    for seed in seeds:
        out = folder / f"{resolution}-{seed}"
        run = timed("reconstruct", bundle, "-o", out, "--seed", seed, *settings)
        told = folder / f"{resolution}-{seed}.json"
        truth = ("--truth", capture / "gt.ply", "--capture", capture, "--json", told)
        timed("evaluate", out / "mesh.ply", *truth)
        runs.append(Run(run.seconds, run.bytes, json.loads(told.read_text(encoding="utf-8"))["score"]))
        print(
            f"{resolution} px, seed {seed}: {1e3 * runs[-1].score:.2f}e-3 R, {run.seconds:.0f} s",
            file=sys.stderr,
        )
    return runs


def table(results: dict[int, list[Run]]) -> str:
    """The rows, and a sentence on each step from a resolution to the next."""
    lines = ["| pixels | score, 1e-3 R | seconds | peak memory |", "|---|---|---|---|"]
    for resolution, runs in results.items():
        scores, seconds = [1e3 * run.score for run in runs], [run.seconds for run in runs]
        memory = max(run.bytes for run in runs) / 1e9
        lines.append(f"| {resolution} | {_spread(scores, 2)} | {_spread(seconds, 0)} | {memory:.2f} GB |")
    lines.append("")
    for (small, before), (large, after) in pairwise(results.items()):
        fall = _mean(run.score for run in after) / _mean(run.score for run in before)
        growth = _mean(run.seconds for run in after) / _mean(run.seconds for run in before)
        pixels = (large / small) ** 2
        lines.append(
            f"{small} → {large} px: score × {fall:.3f} ({'falls' if fall < 1 else 'does not fall'}), time × "
            f"{growth:.2f} ({'no ' if growth <= pixels else ''}faster than the pixels, × {pixels:g})"
        )
    return "\n".join(lines)


def _mean(values) -> float:
    return float(np.mean(list(values)))


def _spread(values: Sequence[float], digits: int) -> str:
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{np.mean(values):.{digits}f} ± {np.std(values, ddof=1):.{digits}f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("capture", type=Path, nargs="?", default=CAPTURES / "lps")
    parser.add_argument("--resolutions", nargs="+", type=int, default=[32, 64, 128, 256])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--set", nargs="+", default=[], help="settings of the reconstruction, NAME=VALUE")
    options = parser.parse_args()
    if not options.capture.is_dir():
        print(f"no capture {options.capture} (set SANSFACE_CAPTURES): row g is left out")
        return
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for resolution in sorted(options.resolutions):
            results[resolution] = measured(
                options.capture, resolution, options.seeds, options.set, Path(folder)
            )
    print(f"{os.cpu_count()} cores, seeds {', '.join(map(str, options.seeds))}\n")
    print(table(results))


if __name__ == "__main__":
    main()
