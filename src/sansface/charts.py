"""Loss curves as inline SVG: one small panel a term, the stages side by side in it, no script and no font."""

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

WIDTH, HEIGHT = 360, 190  # of a panel, in SVG units
LEFT, RIGHT, TOP, BOTTOM = 54, 8, 20, 26  # margins around the plot
NOT_TERMS = ("step", "stage", "seconds")
MOST_POINTS = 500  # a curve; more cannot be told apart at this size


@dataclass(frozen=True)
class Curve:
    """One term within one stage: steps (n,) and values (n,), float64."""

    stage: str
    steps: np.ndarray
    values: np.ndarray


def curves(rows: Sequence[Mapping[str, object]]) -> dict[str, list[Curve]]:
    """Every numeric term of the rows of metrics.jsonl, by stage, in the order in which they first appear.

    rows: {"step": int, "stage": str or int, "seconds": float, term: float, ...}. Where a stage
    counts its steps from the start again, they are set behind those of the stage before.
    """
    found: dict[str, dict[str, list[tuple[float, float]]]] = {}
    offset, last, stage_before = 0.0, 0.0, None
    for row in rows:
        stage, step = str(row.get("stage", "")), _number(row.get("step"))
        if step is None:
            continue
        if stage_before not in (None, stage) and step + offset < last:
            offset = last
        last, stage_before = step + offset, stage
        for term, value in row.items():
            number = _number(value)
            if term not in NOT_TERMS and number is not None:
                found.setdefault(term, {}).setdefault(stage, []).append((last, number))
    return {
        term: [Curve(stage, *np.array(points, dtype=np.float64).T) for stage, points in stages.items()]
        for term, stages in found.items()
    }


def panels(terms: Mapping[str, Sequence[Curve]]) -> dict[str, str]:
    """Every term as an SVG figure, all with the same step axis and the same colour for a stage."""
    every = [curve for drawn in terms.values() for curve in drawn]
    starts = {
        c.stage: c.steps[0] for c in sorted(every, key=lambda c: -c.steps[0])
    }  # the earliest comes last
    tints = {stage: f"stage-{k % 4}" for k, stage in enumerate(sorted(starts, key=lambda s: starts[s]))}
    end = max((float(c.steps[-1]) for c in every), default=0.0)
    return {term: _panel(term, drawn, tints, end) for term, drawn in terms.items()}


def _panel(term: str, drawn: Sequence[Curve], tints: Mapping[str, str], end: float) -> str:
    """The value axis is logarithmic where every value is positive.

    The thin line is every value, the strong one their running median.
    """
    values = np.concatenate([c.values for c in drawn])
    log = bool((values > 0).all())
    ticks, low, high = _log_axis(values) if log else _linear_axis(values)
    span = max(end, 1.0)
    x_ticks, _, _ = _linear_axis(np.array([0.0, span]))

    def x(step: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * step / span

    def y(value: float) -> float:
        at = (math.log10(value) if log else value) - low
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * at / (high - low)

    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    out = [f'<svg class="panel" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(term)}">']
    for tick in ticks:
        at = y(tick)
        out.append(f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}"/>')
        out.append(f'<text class="tick" x="{LEFT - 6}" y="{at + 3.5:.1f}" text-anchor="end">{tick:g}</text>')
    for tick in (t for t in x_ticks if 0 <= t <= span):
        out.append(
            f'<text class="tick" x="{x(tick):.1f}" y="{bottom + 17}" text-anchor="middle">{tick:g}</text>'
        )
    for curve in drawn:
        tint, start = tints[curve.stage], x(curve.steps[0])
        if start > LEFT + 2:
            out.append(f'<line class="border" x1="{start:.1f}" x2="{start:.1f}" y1="{TOP}" y2="{bottom}"/>')
        for name, line in (("raw", curve.values), ("smooth", _running_median(curve.values))):
            pick = np.unique(np.linspace(0, len(line) - 1, MOST_POINTS).round().astype(int))
            drawn_at = zip(curve.steps[pick].tolist(), line[pick].tolist(), strict=True)
            points = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in drawn_at)
            out.append(f'<polyline class="{name} {tint}" points="{points}"/>')
        label = html.escape(curve.stage)
        out.append(f'<text class="name {tint}" x="{start + 3:.1f}" y="{TOP - 7}">{label}</text>')
    return "\n".join([*out, "</svg>"])


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _running_median(values: np.ndarray) -> np.ndarray:
    half = max(1, len(values) // 40)
    padded = np.pad(values, half, mode="edge")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=1)


def _log_axis(values: np.ndarray) -> tuple[list[float], float, float]:
    """Ticks, and the ends of the axis as log10."""
    low, high = math.log10(values.min()), math.log10(values.max())
    pad = max(0.05 * (high - low), 0.02)
    low, high = low - pad, high + pad
    by_span = ((1.0, (1, 2, 3, 5, 7)), (1.6, (1, 2, 5)), (3.0, (1, 3)), (math.inf, (1,)))
    mantissas = next(m for most, m in by_span if high - low <= most)
    every = max(1, round((high - low) / 6))
    decades = range(math.floor(low), math.ceil(high) + 1)
    ticks = [m * 10.0**d for d in decades if d % every == 0 for m in mantissas]
    ticks = [t for t in ticks if low <= math.log10(t) <= high]
    return ticks or [float(values.min())], low, high


def _linear_axis(values: np.ndarray) -> tuple[list[float], float, float]:
    """Ticks at 1, 2 or 5 times a power of ten, and the ends of the axis."""
    low, high = float(values.min()), float(values.max())
    pad = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    width = 10.0 ** math.floor(math.log10((high - low + 2 * pad) / 4))
    width *= next(m for m in (1, 2, 5, 10) if (high - low) / (m * width) <= 5)
    ticks = [k * width for k in range(math.ceil((low - pad) / width), math.floor((high + pad) / width) + 1)]
    return ticks, low - pad, high + pad
