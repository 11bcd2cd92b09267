"""Measured rows, kept: a run that was stopped, or asked for another table, does not measure one again."""

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sansface.errors import SansfaceError
from sansface.files import read_json, write_json


def kept(
    out: Path, what: str, made_from: Mapping[str, Any], measure: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """What `measure` gives, or gave for the very same.

    Args:
        out: the folder; the row is OUT/rows/WHAT-….json.
        what: words for the file's name.
        made_from: all that decides, as plain JSON; the program's version is not among it, so take a new
            folder after a change.
        measure: gives plain JSON; an infinite number is kept as null.

    Raises:
        SansfaceError: the file is damaged.
    """
    told = {"what": what, **made_from}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]
    path = out / "rows" / f"{re.sub(r'[^a-z0-9.]+', '-', what.lower())}-{digest}.json"
    if path.exists():
        found = read_json(path)
        if not isinstance(found, dict) or found.get("made_from") != told or "row" not in found:
            raise SansfaceError(f"{path} is damaged; remove it and run again.")
        return found["row"]
    row = _finite(measure())
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"made_from": told, "row": row})
    return row


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
