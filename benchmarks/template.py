"""Row i of issue 4: a head template instead of stage 1, against two stages.

    python benchmarks/template.py FOLDER [--captures lps head00 ...] [--runs "two stages" template ...]
                                  [--seeds 0] [--template FILE] [--table template.jsonl]

FOLDER holds captures with gt.ply: the shared ones, or those that make_captures.py made. As in the paper
(sec. 3.4, 4.3: "users do not provide privacy-neutral images") the template's runs do not have the neutral
photographs at all: neither their colours, nor their gradients, nor their masks. `template, all sensitive`
keeps them as sensitive ones. `sphere` is the control: the same frames as `template`, from a sphere.

Every run is scored on what all cameras of the capture see, those of the dropped photographs included. The
template's identities and the benchmark's are disjoint, which is asserted. Lines are appended to the table,
and what stands in it is not run again.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmark_heads import SITTERS
from commands import CAPTURES
from sansface.capture import Capture, Role
from sansface.evaluate import score
from sansface.fields.template import Template, read_template, shipped_template
from sansface.formats import read_capture
from sansface.protect.pipeline import protect_capture
from sansface.reconstruct.config import Config, preset
from sansface.reconstruct.run import reconstruct
from sansface.reconstruct.supervision import from_bundle
from sansface.surface import read_mesh


def without_neutral(capture: Capture) -> Capture:
    """The sensitive frames alone."""
    return replace(capture, frames=tuple(f for f in capture.frames if f.role is Role.SENSITIVE))


def all_sensitive(capture: Capture) -> Capture:
    """Every frame, each of them sensitive."""
    return replace(capture, frames=tuple(replace(f, role=Role.SENSITIVE) for f in capture.frames))


def without_stage1(config: Config) -> Config:
    """Stage 2 alone."""
    return replace(config, stage1=replace(config.stage1, steps=0))


RUNS: dict[str, tuple[Callable[[Capture], Capture], bool, Callable[[Config], Config]]] = {
    "two stages": (lambda capture: capture, False, lambda config: config),
    "template": (without_neutral, True, lambda config: config),
    "template, all sensitive": (all_sensitive, True, lambda config: config),
    "sphere": (without_neutral, False, without_stage1),
}
"""name -> (what is done to the capture, from a template?, what is done to the settings)."""


def one(folder: Path, name: str, seed: int, template: Template) -> dict:
    """Protect, reconstruct and score once."""
    prepared, from_template, changed = RUNS[name]
    capture = read_capture(folder)
    bundle, frame = protect_capture(prepared(capture))
    with tempfile.TemporaryDirectory() as place:
        out, began = Path(place) / "out", time.perf_counter()
        mesh = reconstruct(
            from_bundle(bundle, frame),
            out,
            changed(preset("fast")),
            seed=seed,
            template=template if from_template else None,
        )
        seconds = time.perf_counter() - began
        begun = json.loads((out / "config.json").read_text(encoding="utf-8"))["template"]
        assert capture.sphere is not None
        result = score(
            read_mesh(mesh),
            read_mesh(folder / "gt.ply"),
            [f.camera for f in capture.frames],
            capture.sphere.radius,
            capture.meta.get("head_min_y"),
            np.random.default_rng(0),
        )
    line = {"capture": folder.name, "run": name, "seed": seed, "score": result.score}
    return line | {"seconds": round(seconds, 1), "template": begun and begun["sha256"]}


def table(lines: list[dict]) -> str:
    """A row a capture and run: mean ± standard deviation over the seeds, and divided by two stages."""
    rows = ["| capture | run | seeds | score, 1e-3 R | / two stages |", "|---|---|---|---|---|"]
    for capture in dict.fromkeys(line["capture"] for line in lines):
        scores = {
            name: np.array([x["score"] for x in lines if x["capture"] == capture and x["run"] == name])
            for name in RUNS
        }
        reference = scores["two stages"]
        for name, values in scores.items():
            if len(values):
                spread = f" ± {1e3 * values.std(ddof=1):.2f}" if len(values) > 1 else ""
                ratio = f"{values.mean() / reference.mean():.2f}" if len(reference) else ""
                rows.append(
                    f"| {capture} | {name} | {len(values)} | {1e3 * values.mean():.2f}{spread} | {ratio} |"
                )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", default=CAPTURES)
    parser.add_argument("--captures", nargs="+", default=["lps"])
    parser.add_argument("--runs", nargs="+", choices=list(RUNS), default=["two stages", "template", "sphere"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--template", type=Path)
    parser.add_argument("--table", type=Path, default=Path("template.jsonl"))
    options = parser.parse_args()
    template = read_template(options.template) if options.template else shipped_template()
    shared = set(template.identities) & {sitter.seed for sitter in SITTERS}
    assert not shared, f"the template was learnt from heads of the benchmark: {sorted(shared)}"
    lines = []
    if options.table.exists():
        lines = [json.loads(line) for line in options.table.read_text(encoding="utf-8").splitlines()]
    for seed in options.seeds:
        for name in options.captures:
            for run in options.runs:
                if any((x["capture"], x["run"], x["seed"]) == (name, run, seed) for x in lines):
                    continue
                lines.append(one(options.folder / name, run, seed, template))
                with options.table.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(lines[-1]) + "\n")
                print(lines[-1], flush=True)
    print(table(lines))


if __name__ == "__main__":
    main()
