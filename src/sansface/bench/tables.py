"""A table's results as Markdown, CSV and pictures."""

import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from sansface.bench.paper import Result, Subject, place
from sansface.bench.trials import Table
from sansface.bench.write import as_csv, as_png, markdown_table
from sansface.capture import Camera, Role
from sansface.evaluate.geometry import error_per_vertex
from sansface.evaluate.pictures import heat_map, render_mesh, side_by_side
from sansface.evaluate.png import write_png
from sansface.evaluate.raycast import Caster
from sansface.evaluate.viewpoints import viewpoints
from sansface.extras import require
from sansface.files import write_text, written_beside
from sansface.surface import read_mesh

SIZE, WORST = 280, 20.0
"""Of a picture's side, pixels; of the heat maps' bright end, 1e-3 R."""
COLUMNS = ("capture", "preset", "trial", "seed", "score", "millimetres", "h3ds", "h3ds_vertices", "seconds")


def write_table(
    name: str, table: Table, results: Sequence[Result], subjects: Sequence[Subject], out: Path
) -> str:
    """Write OUT/name.md, .csv and .png, and name-curve.png if the trials make one; returns the Markdown."""
    names = {trial.name for trial in table.trials}
    captures = {subject.name for subject in subjects if table.only(subject.capture)}
    chosen = [result for result in results if result.trial in names and result.capture in captures]
    text = markdown(table, chosen)
    write_text(out / f"{name}.md", text)
    lines = [[getattr(result, column) for column in COLUMNS] for result in chosen]
    write_text(out / f"{name}.csv", as_csv(COLUMNS, lines))
    if chosen:
        write_png(out / f"{name}.png", sheet(table, chosen, subjects, out))
    if table.over and len({result.trial for result in chosen}) > 1:
        with written_beside(out / f"{name}-curve.png") as part:
            part.write_bytes(curve(table, chosen))
    return text


def markdown(table: Table, results: Sequence[Result]) -> str:
    """Methods down, captures across, the mean last, as the paper's table 2: one table for each metric."""
    if not results:
        return f"# {table.title}\n\nNot measured: no capture here has the views that this needs.\n"
    captures = list(dict.fromkeys(result.capture for result in results))
    seeds = sorted({result.seed for result in results})
    metrics = [("score, 1e-3 R (point to surface, both ways, no alignment)", 1e3, "score")]
    if all(result.millimetres is not None for result in results):
        metrics.append(("score, mm", 1.0, "millimetres"))
    metrics.append(("as H3DS measures, 1e-3 R (vertex to vertex, aligned in scale too)", 1e3, "h3ds"))
    lines = [f"# {table.title}", ""]
    for title, unit, field in metrics:
        rows = []
        for trial in table.trials:
            cells = [_values(results, trial.name, capture, field) * unit for capture in captures]
            if not any(len(cell) for cell in cells):
                rows.append([trial.name, *"–" * (len(captures) + 1)])
                continue
            means = [cell.mean() for cell in cells if len(cell)]
            # A mean over some captures only would not compare with the other rows.
            mean = f"{np.mean(means):.3f}" if len(means) == len(captures) else "–"
            rows.append([trial.name, *map(_cell, cells), mean])
        lines += [f"**{title}**; seeds {', '.join(map(str, seeds))}", ""]
        lines.append(markdown_table(["", *captures, "mean"], rows))
    vertices = sorted({result.h3ds_vertices for result in results})
    lines += [f"H3DS's distance depends on a mesh's vertices: {vertices[0]} to {vertices[-1]} here.", ""]
    return "\n".join(lines)


def sheet(table: Table, results: Sequence[Result], subjects: Sequence[Subject], out: Path) -> np.ndarray:
    """(h, w, 3) uint8: for each capture the truth and every trial's mesh, and below its error, first seed."""
    rows = []
    seed = min(result.seed for result in results)
    for subject in subjects:
        camera = _three_quarter(subject)
        here = {r.trial: r for r in results if r.capture == subject.name and r.seed == seed}
        shown = [trial.name for trial in table.trials if trial.name in here]
        if not shown:
            continue
        upper = [_labelled(render_mesh(subject.truth, camera), f"{subject.name}: truth")]
        lower = [np.full((SIZE, SIZE, 3), 255, np.uint8)]
        for trial in shown:
            folder = place(out, subject.name, here[trial].preset, trial, seed)
            mesh = read_mesh(folder / "mesh.ply")
            caster = Caster(mesh)
            errors = 1e3 * error_per_vertex(mesh, subject.truth) / subject.radius
            colours = heat_map(caster, errors, camera, WORST, unit="e-3R")
            upper.append(_labelled(render_mesh(caster, camera), f"{trial}: {1e3 * here[trial].score:.2f}"))
            lower.append(colours if trial == shown[-1] else colours[:, :SIZE])
        rows += [side_by_side(upper), side_by_side(lower)]
    width = max(row.shape[1] for row in rows)
    rows = [np.pad(r, ((0, 8), (0, width - r.shape[1]), (0, 0)), constant_values=255) for r in rows]
    return np.concatenate(rows)


def curve(table: Table, results: Sequence[Result]) -> bytes:
    """A PNG of score over the number in the trials' names, a line for each capture and one for the mean."""
    plt = require("matplotlib.figure", extra="bench")
    figure = plt.Figure(figsize=(5, 3.4), dpi=120, layout="constrained")
    axes = figure.subplots()
    trials = [trial.name for trial in table.trials if any(r.trial == trial.name for r in results)]
    numbers = [_number(name) for name in trials]
    captures = list(dict.fromkeys(result.capture for result in results))
    lines = np.array([[_mean(results, trial, capture) for trial in trials] for capture in captures])
    for line in lines:
        axes.plot(numbers, line, color="0.75", linewidth=1)
    axes.plot(numbers, lines.mean(axis=0), color="tab:blue", marker="o", label=f"mean of {len(captures)}")
    axes.set(xlabel=table.over, ylabel="score, 1e-3 R", ylim=(0, None), xticks=numbers)
    if max(numbers) > 8 * min(numbers):
        axes.set_xscale("log", base=2)
        axes.set_xticks(numbers, [f"{number:g}" for number in numbers])
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    return as_png(figure)


def _number(name: str) -> float:
    found = re.match(r"\d+", name)
    assert found, f"a trial of a curve begins with its number, unlike {name!r}"
    return float(found[0])


def _mean(results: Sequence[Result], trial: str, capture: str) -> float:
    values = _values(results, trial, capture, "score")
    return 1e3 * float(values.mean()) if len(values) else float("nan")


def _values(results: Sequence[Result], trial: str, capture: str, field: str) -> np.ndarray:
    return np.array(
        [getattr(r, field) for r in results if (r.trial, r.capture) == (trial, capture)], dtype=np.float64
    )


def _cell(values: np.ndarray) -> str:
    if not len(values):
        return "–"
    spread = f" ± {values.std(ddof=1):.3f}" if len(values) > 1 else ""
    return f"{values.mean():.3f}{spread}"


def _three_quarter(subject: Subject) -> Camera:
    frames = subject.capture.frames
    face = [frame.camera for frame in frames if frame.role is Role.SENSITIVE]
    assert subject.capture.sphere is not None
    return viewpoints(face, subject.capture.sphere.center, subject.radius, SIZE)["three_quarter"]


def _labelled(picture: np.ndarray, text: str) -> np.ndarray:
    picture = np.ascontiguousarray(picture)
    cv2.putText(picture, text, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (40, 40, 40), 1, cv2.LINE_AA)
    return picture
