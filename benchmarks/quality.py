"""Rows a-d of docs/results.md: protected against all-RGB, at equal time and at four times the time.

    python benchmarks/quality.py CAPTURE [--runs protected baseline ...] [--seeds 0 1 2] [--table FILE.jsonl]

Each run is a fresh process, so that times and memory are its own. Lines are appended to FILE.jsonl as they
come, and the table is made of all lines in it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np


def runs():
    """name -> (is the supervision unprotected?, config)."""
    from sansface.bench.baseline import baseline_config
    from sansface.reconstruct.config import preset

    fast = preset("fast")

    def longer(config, times):
        return replace(
            config,
            stage1=replace(config.stage1, steps=times * config.stage1.steps),
            stage2=replace(config.stage2, steps=times * config.stage2.steps),
        )

    stage1, stage2 = fast.stage1, fast.stage2
    steps = stage1.steps + stage2.steps
    return {
        "protected": (False, fast),
        "baseline": (True, baseline_config()),
        "baseline x4": (True, longer(baseline_config(), 4)),
        "baseline + gradient x4": (True, longer(baseline_config(with_gradient=True), 4)),
        "stage 1 alone": (False, replace(fast, stage2=replace(stage2, steps=0))),
        "stage 2 from a sphere": (
            False,
            replace(fast, stage1=replace(stage1, steps=0), stage2=replace(stage2, steps=steps)),
        ),
        "radiance not factored": (
            False,
            replace(fast, field_settings={**fast.field_settings, "factored": False, "width": 64}),
        ),
        "silhouettes alone": (
            False,
            replace(
                fast,
                stage1=replace(stage1, colour=0.0),
                stage2=replace(stage2, gradient=0.0, lipschitz=0.0),
            ),
        ),
    }


def one(capture_folder: Path, name: str, seed: int) -> dict:
    """Run and score once, in this process."""
    import resource

    from sansface.bench.baseline import baseline_supervision
    from sansface.evaluate import score
    from sansface.formats import read_capture
    from sansface.protect.pipeline import ProtectSettings, protect
    from sansface.reconstruct.run import reconstruct
    from sansface.reconstruct.supervision import from_bundle
    from sansface.surface import read_mesh

    unprotected, config = runs()[name]
    capture = read_capture(capture_folder)
    settings = ProtectSettings()
    supervision = (
        baseline_supervision(capture, settings) if unprotected else from_bundle(protect(capture, settings))
    )
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        mesh = reconstruct(supervision, Path(folder) / "out", config, seed=seed)
        seconds = time.perf_counter() - began
        assert capture.sphere is not None
        result = score(
            read_mesh(mesh),
            read_mesh(capture_folder / "gt.ply"),
            [frame.camera for frame in capture.frames],
            capture.sphere.radius,
            capture.meta.get("head_min_y"),
            np.random.default_rng(0),
        )
        keep = os.environ.get("SANSFACE_KEEP")
        if keep:
            target = Path(keep) / f"{capture_folder.name}-{name.replace(' ', '_')}-{seed}.ply"
            target.write_bytes((Path(folder) / "out" / "mesh.ply").read_bytes())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "capture": capture_folder.name,
        "run": name,
        "seed": seed,
        "seconds": round(seconds, 1),
        "peak_gib": round(peak, 2),
        **{k: v for k, v in result.as_dict().items() if isinstance(v, float)},
    }


def table(lines: list[dict]) -> str:
    """Mean ± standard deviation over the seeds, and the ratio of `protected` to each run."""
    rows = [
        "| capture | run | seeds | score, 1e-3 R | protected / run | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for capture in dict.fromkeys(line["capture"] for line in lines):
        here = [line for line in lines if line["capture"] == capture]
        ours = [line["score"] for line in here if line["run"] == "protected"]
        for name in dict.fromkeys(line["run"] for line in here):
            chosen = [line for line in here if line["run"] == name]
            scores = np.array([line["score"] for line in chosen])
            spread = scores.std(ddof=1) if len(scores) > 1 else 0.0
            ratio = f"{np.mean(ours) / scores.mean():.3f}" if ours else ""
            seconds = np.mean([line["seconds"] for line in chosen])
            rows.append(
                f"| {capture} | {name} | {len(scores)} | {1e3 * scores.mean():.2f} ± {1e3 * spread:.2f} "
                f"| {ratio} | {seconds:.0f} |"
            )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("capture", type=Path, nargs="?", default=Path("../shared/captures/lps"))
    parser.add_argument("--runs", nargs="+", default=["protected", "baseline"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--table", type=Path, default=Path("quality.jsonl"))
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(options.capture, options.runs[0], options.seeds[0])))
        return
    for seed in options.seeds:
        for name in options.runs:
            command = [
                sys.executable,
                __file__,
                str(options.capture),
                "--one",
                "--runs",
                name,
                "--seeds",
                str(seed),
            ]
            line = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
            with options.table.open("a") as file:
                file.write(line + "\n")
            print(line, flush=True)
    print(table([json.loads(line) for line in options.table.read_text().splitlines()]))


if __name__ == "__main__":
    main()
