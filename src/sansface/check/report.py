"""What a check found: findings of one sentence each, numbers for a table, and the same as JSON."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.markup import escape
from rich.table import Table

from sansface.check.calibration import Calibration
from sansface.check.coverage import Coverage
from sansface.check.faults import Evidence


@dataclass(frozen=True)
class Finding:
    """Something that would spoil a run.

    Attributes:
        kind: facing, mask, mirrored, focal, pose, disagreement, gap or scale.
        frames: the photographs that it is about; none where it is about all.
        sentence: what is wrong and what to do.
    """

    kind: str
    frames: tuple[str, ...]
    sentence: str


@dataclass(frozen=True, eq=False)
class Report:
    """The whole of a check.

    Attributes:
        names: of the frames.
        findings: empty where nothing is wrong.
        notes: what could not be checked, and why.
        coverage: None where the cameras look at nothing in common.
        masks, matches: None where they were not checked.
        overlap: (frames,) intersection over union of mask and hull of the others, NaN where unknown.
        size: across the visual hull, else across what the cameras see, in the capture's unit.
        unit: of it.
    """

    names: tuple[str, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    coverage: Coverage | None = None
    masks: Evidence | None = None
    matches: Evidence | None = None
    overlap: np.ndarray = field(default_factory=lambda: np.zeros(0))
    size: float | None = None
    unit: str = "unknown"

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON has it: null where something is not known."""
        rows = self._rows()
        return {
            "findings": [
                {"kind": one.kind, "frames": list(one.frames), "sentence": one.sentence}
                for one in self.findings
            ],
            "not_checked": list(self.notes),
            "masks": _calibration(self.masks),
            "matches": _calibration(self.matches),
            "coverage": self._coverage(),
            "size": self.size,
            "unit": self.unit,
            "frames": rows,
        }

    def _rows(self) -> list[dict[str, Any]]:
        bad = {name for one in self.findings for name in one.frames}
        rows = []
        for k, name in enumerate(self.names):
            row: dict[str, Any] = {"name": name, "finding": name in bad}
            if self.coverage is not None:
                row |= {
                    "azimuth": _number(self.coverage.azimuth[k]),
                    "elevation": _number(self.coverage.elevation[k]),
                    "nearest": _number(self.coverage.nearest[k]),
                }
            row["overlap"] = _number(self.overlap[k]) if len(self.overlap) else None
            row["outline"] = None if self.masks is None else _number(self.masks.error[k])
            row["matches"] = None if self.matches is None else _number(self.matches.error[k])
            rows.append(row)
        return rows

    def _coverage(self) -> dict[str, Any] | None:
        if self.coverage is None:
            return None
        angle, before, after = self.coverage.gap
        return {
            "sides": self.coverage.sides() if self.coverage.front_known else None,
            "gap": {"degrees": angle, "between": [self.names[before], self.names[after]]},
            "nearest_view": float(np.median(self.coverage.nearest)),
            "distance": [float(self.coverage.distance.min()), float(self.coverage.distance.max())],
        }

    def table(self) -> Table:
        """A row for each frame; pixels are those of the photographs."""
        table = Table(title="degrees; pixels of the photograph", title_style="dim")
        for heading in ("frame", "azimuth", "elevation", "to next", "IoU", "outline", "matches"):
            table.add_column(heading, justify="left" if heading == "frame" else "right")
        for row in self._rows():
            cells = [
                _said(row.get(key), digits)
                for key, digits in (
                    ("azimuth", 0), ("elevation", 0), ("nearest", 0),
                    ("overlap", 2), ("outline", 2), ("matches", 2),
                )
            ]  # fmt: skip
            table.add_row(escape(row["name"]), *cells, style="bold red" if row["finding"] else None)
        return table

    def lines(self) -> list[str]:
        """The rest in words: calibration, coverage, size, what was not checked, and the findings."""
        lines = []
        for what, evidence in (("masks", self.masks), ("matches", self.matches)):
            if evidence is not None and evidence.calibration is not None:
                lines.append(f"By the {what}: {_calibrated(evidence.calibration)}.")
        if self.coverage is not None:
            angle, before, after = self.coverage.gap
            sides = ", ".join(f"{count} {side}" for side, count in self.coverage.sides().items())
            known = f"Views by side: {sides}. " if self.coverage.front_known else ""
            lines.append(
                f"{known}Next view {np.median(self.coverage.nearest):.0f} degrees away in the median; widest "
                f"gap {angle:.0f} degrees, between {self.names[before]} and {self.names[after]}."
            )
        if self.size is not None:
            unit = "" if self.unit in ("unknown", "arbitrary") else f" {self.unit}"
            lines.append(f"Across the subject: {self.size:.3g}{unit}{'' if unit else ', unit unknown'}.")
        lines += [f"Not checked: {note}" for note in self.notes]
        lines += [f"finding: {one.sentence}" for one in self.findings]
        if not self.findings:
            lines.append("Nothing found.")
        return lines


def _calibrated(fit: Calibration) -> str:
    (right, down), (right_error, down_error) = fit.shift, fit.shift_error
    return (
        f"focal length × {fit.focal:.3f} ± {fit.focal_error:.3f} fits best, with the principal point moved "
        f"by {right:+.2f} ± {right_error:.2f} px to the right and {down:+.2f} ± {down_error:.2f} px down"
    )


def _calibration(evidence: Evidence | None) -> dict[str, Any] | None:
    if evidence is None or evidence.calibration is None:
        return None
    fit = evidence.calibration
    return {
        "focal": fit.focal,
        "focal_error": fit.focal_error,
        "shift": list(fit.shift),
        "shift_error": list(fit.shift_error),
    }


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _said(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
