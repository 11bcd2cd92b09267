"""What each operator and each strength of docs/operators.md costs in geometry.

    python benchmarks/operators.py [CAPTURE ...] [--runs sobel log "blur 1" ...] [--seeds 0 1 2]
                                  [--table FILE.jsonl] [--docs]

For each run: protect, reconstruct (preset fast), score; on the demo head, unless --no-demo, and on the
captures given. Each is a fresh process, so that times are its own. Lines are appended to FILE.jsonl as they
come, and what is there already is not run again. The table is made of all its lines; --docs writes it into
docs/operators.md. `--runs` without a name runs nothing.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from sansface.bench.write import markdown_table

RUNS: dict[str, dict] = {
    "sobel": {},
    "scharr": {"operator": "scharr"},
    "prewitt": {"operator": "prewitt"},
    "central": {"operator": "central"},
    "roberts": {"operator": "roberts"},
    "log": {"operator": "log"},
    "structure": {"operator": "structure"},
    "blur 0.5": {"blur": 0.5},
    "blur 1": {"blur": 1.0},
    "blur 2": {"blur": 2.0},
    "bits 4": {"bits": 4},
    "bits 2": {"bits": 2},
    "bits 1": {"bits": 1},
    "noise 0.01": {"noise": 0.01},
    "noise 0.03": {"noise": 0.03},
    "gain 0.5": {"gain": 0.5},
    "gain 0.2": {"gain": 0.2},
    "resolution 16": {"resolution": 16},
    "resolution 32": {"resolution": 32},
    "resolution 128": {"resolution": 128},
    "resolution 256": {"resolution": 256},
}
"""name -> what differs from the default settings of `protect`; docs/images/from_operators.py shows them."""

PAGE = Path(__file__).parents[1] / "docs" / "operators.md"
BEGINS, ENDS = "<!-- costs: by benchmarks/operators.py -->\n", "<!-- end of costs -->"
DEMO = "demo head"


def one(folder: Path, capture_name: str, run: str, seed: int) -> dict:
    """Protect, reconstruct and score once, in this process. The seed draws noise and gain, too."""
    from sansface.evaluate import score
    from sansface.formats import read_capture
    from sansface.protect.pipeline import ProtectSettings, protect
    from sansface.reconstruct.config import preset
    from sansface.reconstruct.run import reconstruct
    from sansface.reconstruct.supervision import from_bundle
    from sansface.surface import read_mesh

    capture = read_capture(folder)
    bundle = protect(capture, ProtectSettings(**RUNS[run]), rng=np.random.default_rng(seed))
    withheld = [1 - frame.shared().mean() for frame in bundle.frames if frame.role == "sensitive"]
    with tempfile.TemporaryDirectory() as out:
        began = time.perf_counter()
        mesh = reconstruct(
            from_bundle(bundle), Path(out) / "out", preset("fast", bundle.resolution), seed=seed
        )
        seconds = time.perf_counter() - began
        assert capture.sphere is not None
        result = score(
            read_mesh(mesh),
            read_mesh(folder / "gt.ply"),
            [frame.camera for frame in capture.frames],
            capture.sphere.radius,
            capture.meta.get("head_min_y"),
            np.random.default_rng(0),
        )
    return {
        "capture": capture_name,
        "run": run,
        "seed": seed,
        "withheld": round(float(np.mean(withheld)), 4),
        "seconds": round(seconds, 1),
        "score": result.score,
    }


def table(lines: list[dict]) -> str:
    """Every run: what is withheld, then mean ± standard deviation over the seeds and the ratio to Sobel's."""
    captures = list(dict.fromkeys(line["capture"] for line in lines)) or [DEMO]
    head = [cell for name in captures for cell in (f"{name}: withheld", "score, 1e-3 R", "× sobel")]
    rows = [
        [f"`{_option(run)}`", *(cell for name in captures for cell in _cells(lines, name, run))]
        for run in RUNS
    ]
    return markdown_table(["", *head], rows)


def _cells(lines: list[dict], capture: str, run: str) -> tuple[str, str, str]:
    chosen = [line for line in lines if (line["capture"], line["run"]) == (capture, run)]
    plain = [line["score"] for line in lines if (line["capture"], line["run"]) == (capture, "sobel")]
    if not chosen:
        return "", "not measured", ""
    scores = 1e3 * np.array([line["score"] for line in chosen])
    spread = f" ± {scores.std(ddof=1):.2f}" if len(scores) > 1 else ""
    ratio = f"{scores.mean() / (1e3 * np.mean(plain)):.2f}" if plain else ""
    return f"{100 * chosen[0]['withheld']:.0f} %", f"{scores.mean():.2f}{spread}", ratio


def _option(run: str) -> str:
    return f"--{run}" if " " in run else f"--operator {run}"


def write_page(text: str) -> None:
    """Put the table between its marks in docs/operators.md."""
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGINS)
    PAGE.write_text(before + BEGINS + text + ENDS + rest.split(ENDS)[1], encoding="utf-8")


def read_lines(path: Path) -> list[dict]:
    """What was measured; none if there is no file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def main() -> None:
    """Run what is missing, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("captures", type=Path, nargs="*", help="with gt.ply and a radius in meta.json")
    parser.add_argument("--runs", nargs="*", choices=[*RUNS], default=[*RUNS])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--table", type=Path, default=Path("operators.jsonl"))
    parser.add_argument("--no-demo", action="store_true")
    parser.add_argument("--docs", action="store_true", help="write the table into docs/operators.md")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        print(json.dumps(one(options.captures[0], options.one, options.runs[0], options.seeds[0])))
        return
    with tempfile.TemporaryDirectory() as folder:
        places = {path.resolve().name: path for path in options.captures}
        if options.runs and not options.no_demo:
            from sansface.demo import make_demo_capture

            places = {DEMO: Path(folder) / "capture"} | places
            make_demo_capture(places[DEMO], 0)
        done = {(line["capture"], line["run"], line["seed"]) for line in read_lines(options.table)}
        for seed in options.seeds:
            for name, path in places.items():
                for run in options.runs:
                    if (name, run, seed) in done:
                        continue
                    words = [str(path), "--one", name, "--runs", run, "--seeds", str(seed)]
                    told = subprocess.run(
                        [sys.executable, __file__, *words], check=True, stdout=subprocess.PIPE, text=True
                    )
                    line = told.stdout.splitlines()[-1]
                    with options.table.open("a") as file:
                        file.write(line + "\n")
                    print(line, flush=True)
    text = table(read_lines(options.table))
    print(text)
    if options.docs:
        write_page(text)


if __name__ == "__main__":
    main()
