"""Measured rows, kept: a run that was stopped, or asked for another table, does not measure one again."""

import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sansface.errors import SansfaceError
from sansface.files import os_error_sentence, read_json, write_json


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
    text = json.dumps({"what": what, **made_from}, sort_keys=True)
    told, digest = json.loads(text), hashlib.sha256(text.encode()).hexdigest()[:12]
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


def contents(folder: Path) -> str:
    """A digest of all files in a folder and below it: their names and what is in them.

    Raises:
        SansfaceError: one cannot be read.
    """
    digest = hashlib.sha256()
    found = [Path(place, name) for place, _, names in os.walk(folder, followlinks=True) for name in names]
    for name, path in sorted((path.relative_to(folder).as_posix(), path) for path in found):
        try:
            content = path.read_bytes()
        except OSError as error:
            raise SansfaceError(os_error_sentence("read", path, error)) from error
        for part in (name.encode(), content):
            digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
