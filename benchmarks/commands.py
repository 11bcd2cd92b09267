"""Time and memory of whole commands, as a user starts them: rows e, f and k of docs/results.md.

    python benchmarks/commands.py [--rows e f k] [--seeds 0 1 2] [--capture FOLDER]

Each command is a process of its own; its peak memory is the largest sum over it and its children, looked at
fifty times a second. Prints a Markdown row a command: mean ± standard deviation over the seeds.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

CAPTURES = Path(os.environ.get("SANSFACE_CAPTURES", Path(__file__).parents[2] / "shared" / "captures"))
LOOKS = 0.02
"""Seconds between two looks at the memory."""


@dataclass(frozen=True)
class Run:
    """seconds: wall clock.  bytes: peak resident memory.  score: in R, where the command tells one."""

    seconds: float
    bytes: int
    score: float | None = None


def timed(*words: object) -> Run:
    """Run one sansface command. SystemExit with what it said if it fails."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "sansface", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    peak = [0]
    watcher = threading.Thread(target=_watch, args=(process, peak))
    watcher.start()
    out, err = process.communicate()
    seconds = time.perf_counter() - began
    watcher.join()
    if process.returncode:
        sys.exit(f"sansface {' '.join(map(str, words))} failed:\n{err}")
    score = re.search(r"^score: ([\d.]+)e-3 R", out, re.MULTILINE)
    return Run(seconds, peak[0], None if score is None else float(score[1]) / 1e3)


def _watch(process: subprocess.Popen, peak: list[int]) -> None:
    while process.poll() is None:
        peak[0] = max(peak[0], _resident(process.pid))
        time.sleep(LOOKS)


def _resident(pid: int) -> int:
    total = 0
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return 0
    for member in family:
        try:
            total += member.memory_info().rss
        except psutil.Error:  # it has just ended
            continue
    return total


def row(name: str, target: str, runs: Sequence[Run]) -> str:
    """One row of the table."""
    seconds = _spread([run.seconds for run in runs], "s", 1)
    memory = f"{max(run.bytes for run in runs) / 1e9:.2f} GB"
    scores = [1e3 * run.score for run in runs if run.score is not None]
    return f"| {name} | {target} | {seconds} | {memory} | {_spread(scores, 'e-3 R', 2) if scores else '–'} |"


def _spread(values: Sequence[float], unit: str, digits: int) -> str:
    if len(values) == 1:
        return f"{values[0]:.{digits}f} {unit}"
    return f"{statistics.mean(values):.{digits}f} ± {statistics.stdev(values):.{digits}f} {unit}"


def measure(rows: Sequence[str], seeds: Sequence[int], capture: Path, folder: Path) -> list[str]:
    """The rows that were asked for; what the commands write goes into `folder`."""
    told = []
    bundle = folder / "head.sfb"
    if "e" in rows or "f" in rows:
        runs = [timed("protect", capture, "-o", bundle, "--overwrite") for _ in seeds]
        if "e" in rows:
            told.append(row("e: `protect`", "≤ 10 s", runs))
    if "f" in rows:
        runs = []
        for seed in seeds:
            out = folder / f"head{seed}"
            run = timed("reconstruct", bundle, "-o", out, "--seed", seed)
            scored = folder / f"score{seed}.json"
            truth = ["--truth", capture / "gt.ply", "--capture", capture, "--json", scored]
            timed("evaluate", out / "mesh.ply", *truth)
            score = json.loads(scored.read_text(encoding="utf-8"))["score"]
            runs.append(Run(run.seconds, run.bytes, score))
        told.append(row("f: `reconstruct`", "≤ 150 s, ≤ 2.5 GB", runs))
    if "k" in rows:
        runs = [timed("demo", "-o", folder / f"demo{seed}", "--seed", seed) for seed in seeds]
        told.append(row("k: `demo`", "≤ 300 s, ≤ 6e-3 R", runs))
    return told


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="+", choices=list("efk"), default=list("efk"))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--capture", type=Path, default=CAPTURES / "lps")
    options = parser.parse_args()
    rows = options.rows
    if not options.capture.is_dir():
        print(f"no capture {options.capture} (set SANSFACE_CAPTURES): rows e and f are left out")
        rows = [name for name in rows if name == "k"]
    with tempfile.TemporaryDirectory() as folder:
        lines = measure(rows, options.seeds, options.capture, Path(folder))
    print(f"{os.cpu_count()} cores, seeds {', '.join(map(str, options.seeds))}\n")
    print("| command | target | wall clock | peak memory | score |\n|---|---|---|---|---|")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
