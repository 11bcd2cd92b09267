"""How far a command is, on stderr: a bar with the time left on a terminal, some plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

LINES = 10
"""Plain lines of a whole run, where there is no terminal."""


class Show(Protocol):
    """What a bar is told."""

    def __call__(self, done: float, note: str = "", seconds_left: float | None = None) -> None:
        """done: share of the work, 0 to 1.  note: what is being done.  seconds_left: None to extrapolate."""
        ...


@contextmanager
def progress_bar(what: str) -> Iterator[Show]:
    """A bar for as long as the body runs.

    what: stands before the bar; never the name of a photograph, for a screen may be kept as a log.
    """
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain(what)
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[note]}"),
    )
    began = time.monotonic()
    with Progress(*columns, console=console, refresh_per_second=4) as bar:
        task = bar.add_task(what, total=1.0, note="")

        def show(done: float, note: str = "", seconds_left: float | None = None) -> None:
            bar.update(task, completed=done, note=_said(began, done, note, seconds_left))

        yield show


def _plain(what: str) -> Show:
    """A line at the start of every tenth of the work."""
    began = time.monotonic()
    told = 0

    def show(done: float, note: str = "", seconds_left: float | None = None) -> None:
        nonlocal told
        tenth = int(LINES * done + 1e-9)
        if tenth > told:
            told = tenth
            print(f"{what}: {100 * done:.0f} %, {_said(began, done, note, seconds_left)}", file=sys.stderr)

    return show


def _said(began: float, done: float, note: str, seconds_left: float | None) -> str:
    if seconds_left is None and done > 0:
        seconds_left = (time.monotonic() - began) * (1 - done) / done
    left = [] if seconds_left is None else [f"{duration(seconds_left)} left"]
    return ", ".join([*filter(None, [note]), *left])


def duration(seconds: float) -> str:
    """Seconds as a person says them: 8 s, 2 min 05 s, 3 h 20 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
