"""report.html: one file that tells what went in, what came out and under which settings, without a network.

What the report reads of an output folder, and nothing else:

    config.json      settings; an object inside it becomes a table. {"unprotected": true} puts a banner on top
    metrics.jsonl    rows {"step", "stage", "seconds", term: value, ...}
    mesh.ply         its header only
    score.json       (optional) the evaluation
    pictures/        (optional) protected.png, preview_*.png, mesh_*.png, truth_*.png, error_*.png
"""

import base64
import html
import json
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np

from sansface.charts import curves, panels
from sansface.errors import SansfaceError
from sansface.files import read_json, write_text

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
PNG = b"\x89PNG\r\n\x1a\n"
FOOTER = (
    "Protected is not anonymous. The pictures and the mesh in this report are personal data, and likely "
    "biometric data: share them only as the person shown has agreed to."
)
MOST_PREVIEWS = 12
SECTIONS_OF_THEIR_OWN = ("received", "seconds", "versions")


def write_report(folder: Path) -> Path:
    """Writes folder/report.html from what lies in the folder (see above), and returns its path.

    Raises SansfaceError where config.json or mesh.ply is missing, or where a file is not what its name says.
    """
    config = _object(folder / "config.json")
    score = _object(folder / "score.json") if (folder / "score.json").exists() else {}
    rows = read_metrics(folder / "metrics.jsonl")
    vertices, faces = mesh_counts(folder / "mesh.ply")
    pictures = {path.stem: path for path in sorted((folder / "pictures").glob("*.png"), key=_natural)}
    received = config.get("received", {})

    body = [
        _banner(config),
        "<h1>Reconstruction</h1>",
        _tiles(config, score, rows, vertices, faces),
        _result(pictures),
        _scores(score),
        "<h2>What was received</h2>",
        _received(config, pictures),
        _table(received),
        _training(rows, pictures),
        "<h2>Settings</h2>",
        settings_table({k: v for k, v in config.items() if k not in SECTIONS_OF_THEIR_OWN}),
        "<h2>Times and versions</h2>",
        settings_table({k: config[k] for k in ("seconds", "versions") if k in config}),
    ]
    out = folder / "report.html"
    write_text(out, page("reconstruction", body, FOOTER))
    return out


def page(title: str, body: Sequence[str], footer: str) -> str:
    """A whole page of HTML that asks nothing of a network.  body: its parts; an empty one is left out."""
    style = resources.files("sansface").joinpath("report.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>sansface: {title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in body if part)
        + f"\n<footer>{footer}</footer>\n</body>\n</html>\n"
    )


def read_metrics(path: Path) -> list[dict]:
    """The rows of metrics.jsonl; none where there is no file. An unfinished last line is dropped.

    Raises SansfaceError naming the line that is no JSON object.
    """
    if not path.exists():
        return []
    rows = []
    lines = path.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines[:-1], 1):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise SansfaceError(f"{path}: line {number} is no JSON object; delete that line.")
        rows.append(row)
    return rows


def mesh_counts(path: Path) -> tuple[int, int]:
    """Vertices and faces that a PLY file declares in its header.

    Raises SansfaceError where the file is missing or is no PLY.
    """
    try:
        with path.open("rb") as file:
            head = file.read(4096).split(b"end_header")[0]
    except OSError as error:
        raise SansfaceError(f"{path} cannot be read; finish the reconstruction before its report.") from error
    counts = dict(re.findall(rb"^element (vertex|face) (\d+)\s*$", head, re.MULTILINE))
    if not head.startswith(b"ply") or set(counts) != {b"vertex", b"face"}:
        raise SansfaceError(f"{path} is no PLY mesh; write the mesh again.")
    return int(counts[b"vertex"]), int(counts[b"face"])


def _banner(config: dict) -> str:
    if config.get("unprotected") is not True:
        return ""
    return (
        '<div class="banner"><strong>UNPROTECTED</strong> This run saw the photographs themselves, for '
        "comparison only. Nothing in it is what a server receives.</div>"
    )


def _tiles(config: dict, score: dict, rows: list[dict], vertices: int, faces: int) -> str:
    received, seconds = config.get("received", {}), config.get("seconds", {})
    tiles = []
    if isinstance(score.get("score"), int | float):
        tiles.append((f"{1000 * score['score']:.2f}", "score in 10⁻³ R: mean surface distance, both ways"))
    total = seconds.get("total") if isinstance(seconds, dict) else None
    if total is None and rows:
        total = rows[-1].get("seconds")
    if isinstance(total, int | float):
        tiles.append((f"{total:.0f} s", "wall time"))
    for key in ("sensitive", "neutral"):
        if isinstance(received, dict) and isinstance(received.get(key), int):
            tiles.append((str(received[key]), f"{key} views"))
    if isinstance(received, dict) and isinstance(received.get("resolution"), int):
        tiles.append((f"{received['resolution']} px", "resolution received"))
    tiles.append((f"{vertices:,}", f"vertices, {faces:,} faces"))
    cells = "".join(f'<div class="tile"><b>{_escape(v)}</b><span>{_escape(k)}</span></div>' for v, k in tiles)
    return f'<div class="tiles">{cells}</div>'


def _result(pictures: dict[str, Path]) -> str:
    views = [name.removeprefix("mesh_") for name in pictures if name.startswith("mesh_")]
    if not views:
        return ""
    out = ["<h2>Result</h2>"]
    captions = {"mesh": "reconstructed", "truth": "ground truth", "error": "distance to the ground truth"}
    alone = [view for view in views if not {f"truth_{view}", f"error_{view}"} & pictures.keys()]
    for view in (v for v in views if v not in alone):
        cells = [
            figure(pictures[f"{kind}_{view}"], f"{_words(view)}: {caption}")
            for kind, caption in captions.items()
            if f"{kind}_{view}" in pictures
        ]
        out.append(f'<div class="views beside">{"".join(cells)}</div>')
    if alone:
        cells = [figure(pictures[f"mesh_{view}"], _words(view)) for view in alone]
        out.append(f'<div class="views">{"".join(cells)}</div>')
    return "\n".join(out)


def _scores(score: dict) -> str:
    if not score:
        return ""
    return "<h2>Evaluation</h2>\n" + settings_table(score)


def _received(config: dict, pictures: dict[str, Path]) -> str:
    if config.get("unprotected") is True:
        return "<p>Photographs, in this process only; no picture of them is kept here.</p>"
    if "protected" not in pictures:
        return "<p>No picture of it was kept.</p>"
    said = "Every image as it crossed: gradient magnitudes of the sensitive views, the neutral views reduced."
    return figure(pictures["protected"], said, pixels=True)


def _training(rows: list[dict], pictures: dict[str, Path]) -> str:
    drawn = curves(rows)
    previews = [path for name, path in pictures.items() if name.startswith("preview_")]
    out = ["<h2>Training</h2>"] if drawn or previews else []
    if drawn:
        cells = [
            f"<figure><figcaption>{_escape(term)}</figcaption>{figure}</figure>"
            for term, figure in panels(drawn).items()
        ]
        out.append('<p class="quiet">By step; the value axis is logarithmic where all values are positive.')
        out.append(
            f'Thin: every value. Strong: running median.</p><div class="panels">{"".join(cells)}</div>'
        )
    if previews:
        pick = np.unique(np.linspace(0, len(previews) - 1, MOST_PREVIEWS).round().astype(int))
        shown = "" if len(pick) == len(previews) else f" ({len(pick)} of {len(previews)})"
        cells = [figure(previews[i], _words(previews[i].stem.removeprefix("preview_"))) for i in pick]
        out.append(f'<h3>Previews{shown}</h3><div class="views">{"".join(cells)}</div>')
    return "\n".join(out)


def settings_table(values: dict) -> str:
    """Plain values in a first table, then a table for every object."""
    plain = {k: v for k, v in values.items() if not isinstance(v, dict)}
    out = [f"<section>{_table(plain)}</section>"] if plain else []
    for name, inner in values.items():
        if isinstance(inner, dict) and inner:
            out.append(f"<section><h3>{_escape(name)}</h3>{_table(inner)}</section>")
    return f'<div class="columns">{"".join(out)}</div>'


def _table(values: object) -> str:
    if not isinstance(values, dict) or not values:
        return ""
    lines = [
        f"<tr><th>{_escape(name)}</th><td>{_escape(_said(value))}</td></tr>" for name, value in _flat(values)
    ]
    return f"<table>{''.join(lines)}</table>"


def _flat(values: dict, before: str = "") -> list[tuple[str, object]]:
    """Objects inside objects, and in lists, as rows of one table."""
    found: list[tuple[str, object]] = []
    for name, value in values.items():
        if isinstance(value, list) and any(isinstance(item, dict) for item in value):
            value = dict(enumerate(value, 1))
        if isinstance(value, dict):
            found += _flat(value, f"{before}{name} · ")
        else:
            found.append((f"{before}{name}", value))
    return found


def _said(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return ", ".join(_said(item) if not isinstance(item, list) else f"[{_said(item)}]" for item in value)
    return str(value)


def figure(path: Path, caption: str, *, pixels: bool = False) -> str:
    """A picture of a file with words below it.  pixels: enlarged as squares.

    Raises SansfaceError where it is no PNG.
    """
    data = path.read_bytes()
    if not data.startswith(PNG) or len(data) < 24:
        raise SansfaceError(f"{path} is no PNG picture; remove it to write the report.")
    return embedded(data, caption, pixels=pixels)


def embedded(data: bytes, caption: str, *, pixels: bool = False) -> str:
    """The same of the bytes of a PNG."""
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    words = _escape(caption)
    style = ' class="pixels"' if pixels else ""
    return (
        f'<figure><img{style} width="{width}" height="{height}" alt="{words}" '
        f'src="data:image/png;base64,{base64.b64encode(data).decode("ascii")}"><figcaption>{words}</figcaption></figure>'
    )


def _object(path: Path) -> dict:
    value = read_json(path)
    if not isinstance(value, dict):
        raise SansfaceError(f"{path} holds no JSON object; run the step that writes it again.")
    return value


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts preview_2 before preview_10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.stem)]


def _words(name: str) -> str:
    return str(name).replace("_", " ")


def _escape(text: object) -> str:
    return html.escape(str(text), quote=True)
