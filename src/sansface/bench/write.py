"""How every comparison is written: tables as Markdown and CSV, figures as PNG."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The table, a line a row, each ended."""
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (columns, ["---"] * len(columns), *rows))


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """The same as comma-separated values."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    return text.getvalue()


def as_png(figure: Any) -> bytes:
    """A matplotlib figure, without a word on what drew it."""
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()
