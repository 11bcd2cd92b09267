"""What was measured, as Markdown, CSV and a figure."""

from collections.abc import Mapping, Sequence
from math import isfinite, nan
from pathlib import Path

from sansface.audit.scores import percent
from sansface.bench.deidentify.attackers import Attack
from sansface.bench.deidentify.keyed import Keyed
from sansface.bench.deidentify.matched import Matched
from sansface.bench.deidentify.measure import Row
from sansface.bench.write import as_csv, as_png, markdown_table
from sansface.deidentify.methods import KEYED, KINDS
from sansface.extras import require
from sansface.files import write_text, written_beside

Cells = Sequence[Sequence[str]]
CLEAR = "clear"
"""Name of the row in which nothing is hidden: the control."""
CURVES = {
    "DIS": "distance of embeddings",
    "TAR": "TAR at FMR 1e-3, %",
    "PSNR": "PSNR, dB",
    "SSIM": "SSIM",
    "KID": "KID",
    "POSE": "POSE, degrees",
    "EXP": "EXP",
}
"""Of the figure, in order."""


def papers(rows: Mapping[str, Row]) -> tuple[Sequence[str], Cells]:
    """Tables 1 and 2 of Wen et al.: a line for each method and recogniser.  rows: by `str(Chosen)`, or
    `CLEAR`.
    """
    columns = (
        "method",
        "calibrated by",
        "scored by",
        "DIS",
        "limit",
        "TAR at FMR 1e-3, %",
        "rank-1, %",
        "chance, %",
        "PSNR",
        "SSIM",
        "PSNR, face",
        "SSIM, face",
        "KID",
        "POSE, ° (jitter)",
        "EXP (jitter)",
        "detected, %",
        "changed, %",
        "changed beyond heads",
        "refused",
        "pictures",
        "CPU s",
    )
    lines = []
    for name, row in rows.items():
        tuned = () if name == CLEAR else KINDS[_kind(name)].calibrated_by
        for one in row.scored:
            note = " (tuned on it)" if one.recogniser in tuned else ""
            lines.append(
                [
                    name,
                    ", ".join(tuned) or "–",
                    one.recogniser + note,
                    f"{one.distance:.3f}",
                    f"{one.limit:.3f}",
                    percent(one.tar),
                    percent(one.rank1),
                    f"{100 * one.chance:.1f}",
                    "∞" if row.psnr is None else f"{row.psnr:.1f}",
                    f"{row.ssim:.3f}",
                    "∞" if row.psnr_face is None else f"{row.psnr_face:.1f}",
                    f"{row.ssim_face:.3f}",
                    f"{row.kid:.3f} ± {row.kid_spread:.3f}",
                    _beside(row.pose, row.pose_jitter),
                    _beside(row.expression, row.expression_jitter),
                    percent(row.detected),
                    f"{100 * row.changed:.1f}",
                    str(row.outside),
                    str(row.refused),
                    str(row.pictures),
                    f"{row.seconds:.2f}",
                ]
            )
    return columns, lines


def attacks(found: Mapping[str, Sequence[Attack]]) -> tuple[Sequence[str], Cells]:
    """A line for each method, attacker and recogniser."""
    columns = ("method", "attacker", "recogniser", "rank-1, %", "chance, %", "TAR at FMR 1e-3, %")
    return columns, [
        [
            name,
            one.attacker,
            one.recogniser,
            percent(one.rank1),
            f"{100 * one.chance:.1f}",
            "–" if one.tar is None else percent(one.tar),
        ]
        for name, of in found.items()
        for one in of
    ]


def matches(
    found: Mapping[str, Mapping[str, Sequence[Matched]]], rows: Mapping[str, Row]
) -> tuple[Sequence[str], Cells]:
    """Row by row a method and the baselines at its TAR.  found: by method, then recogniser.  rows: of
    methods.
    """
    columns = ("scored by", "method", "TAR at FMR 1e-3, %", "SSIM", "SSIM, face", "PSNR", "KID")
    lines = []
    for name, of in found.items():
        for recogniser, baselines in of.items():
            shown = [(name, rows[name], True)]
            shown += [(f"{one.baseline}, for {name}", one.row, one.reached) for one in baselines]
            for what, row, reached in shown:
                rate = next(one.tar for one in row.scored if one.recogniser == recogniser)
                lines.append(
                    [
                        recogniser,
                        what,
                        percent(rate) + ("" if reached else " (never so low)"),
                        f"{row.ssim:.3f}",
                        f"{row.ssim_face:.3f}",
                        "∞" if row.psnr is None else f"{row.psnr:.1f}",
                        f"{row.kid:.3f} ± {row.kid_spread:.3f}",
                    ]
                )
    return columns, lines


def keys(found: Mapping[str, Sequence[Keyed]]) -> tuple[Sequence[str], Cells]:
    """A line for each method and recogniser."""
    columns = (
        "method",
        "recogniser",
        "right key, right person, % (FMR 1e-2)",
        "wrong key",
        "wrong person",
        "both wrong",
        "EER, one key, %",
        "EER, clear",
        "two keys match, %",
        "DIS of two keys",
        "D_sys",
        "virtual against clear, TAR at 1e-3, %",
        "clear against clear",
        "key holder, TAR at 1e-3",
        "rank-1",
        "a student, no key, rank-1",
        "chance",
    )
    return columns, [
        [
            name,
            one.recogniser + (" (tuned on it)" if one.recogniser == KEYED[name].calibrated_by else ""),
            *(percent(rate) for rate in (one.right, one.wrong_key, one.wrong_person, one.both_wrong)),
            percent(one.equal_error),
            percent(one.clear_equal_error),
            percent(one.two_keys),
            f"{one.distance:.3f}",
            f"{one.linkable:.3f}",
            *(percent(rate) for rate in (one.original, one.clear_original, one.holder, one.holder_rank1)),
            "–" if one.keyless_rank1 is None else percent(one.keyless_rank1),
            f"{100 * one.chance:.1f}",
        ]
        for name, of in found.items()
        for one in of
    ]


def tones(found: Mapping[str, Mapping[str, Row]]) -> tuple[Sequence[str], Cells]:
    """A line for each method, third of the people and recogniser.  found: by method, then third."""
    columns = (
        "method",
        "skin",
        "scored by",
        "TAR at FMR 1e-3, %",
        "rank-1, %",
        "SSIM",
        "refused",
        "pictures",
    )
    return columns, [
        [
            name,
            third,
            one.recogniser,
            percent(one.tar),
            percent(one.rank1),
            f"{row.ssim:.3f}",
            str(row.refused),
            str(row.pictures),
        ]
        for name, of in found.items()
        for third, row in of.items()
        for one in row.scored
    ]


def curves(rows: Mapping[str, Row]) -> bytes:
    """PNG of figure 4 of Wen et al.: every metric against the strength, a colour a method."""
    names = list(dict.fromkeys(_kind(name) for name in rows if name != CLEAR))
    panels = {metric: axis for metric, axis in CURVES.items() if _measured(rows, metric)}
    plt = require("matplotlib.figure", extra="bench")
    figure = plt.Figure(figsize=(7, 1.9 * len(panels)), dpi=110, layout="constrained")
    grid = figure.subplots(len(panels), len(names), sharey="row", squeeze=False)
    for column, kind in enumerate(names):
        chosen = {name: row for name, row in rows.items() if name != CLEAR and _kind(name) == kind}
        strengths = [float(name.rpartition(" ")[2]) for name in chosen]
        for axes, (metric, label) in zip(grid[:, column], panels.items(), strict=True):
            drawn: dict[str, list[float]] = {}
            for row in chosen.values():
                for line, value in _of(row, metric).items():
                    drawn.setdefault(line, []).append(value)
            for number, (line, values) in enumerate(drawn.items()):
                axes.plot(strengths, values, marker=".", color=f"C{number}", label=line or None)
            for number, value in enumerate(_of(rows[CLEAR], metric).values() if CLEAR in rows else ()):
                axes.axhline(value, color=f"C{number}", linewidth=0.6, linestyle=":")
            axes.grid(alpha=0.3)
            if column == 0:
                axes.set_ylabel(label, fontsize=7)
            axes.tick_params(labelsize=7)
        grid[0, column].set_title(kind, fontsize=9)
        grid[-1, column].set_xlabel(KINDS[kind].unit, fontsize=7)
    if grid[0, 0].get_legend_handles_labels()[1]:
        grid[0, 0].legend(frameon=False, fontsize=6)
    return as_png(figure)


def write(
    name: str, title: str, columns: Sequence[str], lines: Cells, out: Path, figure: bytes | None = None
) -> str:
    """OUT/name.md, .csv, and .png if there is a figure; returns the Markdown."""
    text = f"# {name}\n\n{title}\n\n{markdown_table(columns, lines)}"
    write_text(out / f"{name}.md", text)
    write_text(out / f"{name}.csv", as_csv(columns, lines))
    if figure is not None:
        with written_beside(out / f"{name}.png") as part:
            part.write_bytes(figure)
    return text


def _of(row: Row, metric: str) -> dict[str, float]:
    """The lines of a panel: a recogniser's, or one without a name; NaN where infinite or not measured."""
    if metric == "DIS":
        return {one.recogniser: one.distance for one in row.scored}
    if metric == "TAR":
        return {one.recogniser: 100 * one.tar.value for one in row.scored}
    value = {
        "PSNR": row.psnr,
        "SSIM": row.ssim,
        "KID": row.kid,
        "POSE": row.pose,
        "EXP": row.expression,
    }[metric]
    return {"": nan if value is None else value}


def _measured(rows: Mapping[str, Row], metric: str) -> bool:
    return any(isfinite(value) for row in rows.values() for value in _of(row, metric).values())


def _kind(name: str) -> str:
    return name.rpartition(" ")[0]


def _beside(value: float | None, jitter: float | None) -> str:
    return "–" if value is None or jitter is None else f"{value:.2f} ({jitter:.2f})"
