"""Row g: what more pixels bring and what they cost.

    python benchmarks/resolutions.py [CAPTURE] [--resolutions 32 64 128 256] [--seeds 0 1 2]
                                    [--table FILE.jsonl] [--set NAME=VALUE ...]

For each seed and resolution: protect, reconstruct (preset fast) and evaluate, every command a process of its
own. Lines are appended to FILE.jsonl as they come, and what stands there is not measured again. Prints a
Markdown table, mean ± standard deviation over the seeds, and whether the score falls from each resolution to
the next and the time grows no faster than the pixels.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from commands import CAPTURES, timed


def measured(capture: Path, resolution: int, seed: int, more: Sequence[str]) -> dict:
    """One reconstruction: its seconds, its memory, its score."""
    settings = [word for assignment in more for word in ("--set", assignment)]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        bundle, out, told = folder / "head.sfb", folder / "head", folder / "score.json"
        timed("protect", capture, "-o", bundle, "--resolution", resolution)
        run = timed("reconstruct", bundle, "-o", out, "--seed", seed, *settings)
        truth = ("--truth", capture / "gt.ply", "--capture", capture, "--json", told)
        timed("evaluate", out / "mesh.ply", *truth)
        score = json.loads(told.read_text(encoding="utf-8"))["score"]
    return {
        "resolution": resolution,
        "seed": seed,
        "settings": list(more),
        "seconds": run.seconds,
        "bytes": run.bytes,
        "score": score,
    }


def table(measurements: Sequence[dict]) -> str:
    """The rows, and a sentence on each step from a resolution to the next."""
    results: dict[int, list[dict]] = {}
    for line in sorted(measurements, key=lambda line: line["resolution"]):
        results.setdefault(line["resolution"], []).append(line)
    lines = ["| pixels | seeds | score, 1e-3 R | seconds | peak memory |", "|---|---|---|---|---|"]
    for resolution, runs in results.items():
        scores, seconds = [1e3 * run["score"] for run in runs], [run["seconds"] for run in runs]
        memory = max(run["bytes"] for run in runs) / 1e9
        lines.append(
            f"| {resolution} | {len(runs)} | {_spread(scores, 2)} | {_spread(seconds, 0)} | {memory:.2f} GB |"
        )
    lines.append("")
    for (small, before), (large, after) in pairwise(results.items()):
        fall = _mean(after, "score") / _mean(before, "score")
        growth = _mean(after, "seconds") / _mean(before, "seconds")
        pixels = (large / small) ** 2
        lines.append(
            f"{small} → {large} px: score × {fall:.3f} ({'falls' if fall < 1 else 'does not fall'}), time × "
            f"{growth:.2f} ({'no ' if growth <= pixels else ''}faster than the pixels, × {pixels:g})"
        )
    return "\n".join(lines)


def _mean(lines: Sequence[dict], name: str) -> float:
    return float(np.mean([line[name] for line in lines]))


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
    parser.add_argument("--table", type=Path, default=Path("resolutions.jsonl"))
    parser.add_argument("--set", nargs="+", default=[], help="settings of the reconstruction, NAME=VALUE")
    options = parser.parse_args()
    if not options.capture.is_dir():
        print(f"no capture {options.capture} (set SANSFACE_CAPTURES): row g is left out")
        return
    done = []
    if options.table.exists():
        done = [json.loads(line) for line in options.table.read_text().splitlines()]
    done = [line for line in done if line["settings"] == options.set]
    for seed in options.seeds:
        for resolution in sorted(options.resolutions):
            if any((line["resolution"], line["seed"]) == (resolution, seed) for line in done):
                continue
            done.append(measured(options.capture, resolution, seed, options.set))
            with options.table.open("a") as file:
                file.write(json.dumps(done[-1]) + "\n")
            print(done[-1], flush=True)
    print(f"{os.cpu_count()} cores\n")
    print(table(done))


if __name__ == "__main__":
    main()
