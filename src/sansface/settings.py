"""Settings from the command line: NAME=VALUE with a dotted name, such as stage2.beta.end=0.003."""

import json
import math
from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace
from typing import Any

from sansface.errors import SansfaceError

NAMES = ("preset", "field")
"""Settings that say what the others mean."""


def at_least(settings: Any, **least: int) -> None:
    """Raises SansfaceError for the first named value of a settings object that is less than given here."""
    for name, value in least.items():
        if not getattr(settings, name) >= value:
            raise SansfaceError(
                f"the setting {name} is at least {value}, not {getattr(settings, name)}; correct it."
            )


def with_settings(settings: Any, assignments: Iterable[str]) -> Any:
    """A copy of a frozen settings object with the named values replaced.

    assignments: NAME=VALUE; a VALUE is JSON (100, 0.5, true, [6, 12]), or else a word. It must be of the
    kind that it replaces.
    Raises SansfaceError for an unknown name, a value of another kind, or a number below zero.
    """
    for text in assignments:
        name, equals, value = text.partition("=")
        if not equals:
            raise SansfaceError(f"--set {text!r} is not NAME=VALUE; write for example stage2.steps=100.")
        if name in NAMES:
            raise SansfaceError(
                f"--set does not take {name}, for all other settings hang on it; give a preset."
            )
        settings = _replaced(settings, name.split("."), _parsed(value), name)
    return settings


def _replaced(old: Any, path: list[str], value: Any, name: str) -> Any:
    if not path:
        return _of_the_same_kind(old, value, name)
    inside = _inside(old)
    key, *rest = path
    if key not in inside:
        known = f"choose one of {', '.join(sorted(inside))}" if inside else "it ends one name earlier"
        raise SansfaceError(f"there is no setting {name!r}: {known}.")
    new = _replaced(inside[key], rest, value, name)
    return inside | {key: new} if isinstance(old, dict) else replace(old, **{key: new})


def _inside(settings: Any) -> dict[str, Any]:
    if is_dataclass(settings):
        return {field.name: getattr(settings, field.name) for field in fields(settings)}
    return settings if isinstance(settings, dict) else {}


def _of_the_same_kind(old: Any, value: Any, name: str) -> Any:
    if is_dataclass(old) or isinstance(old, dict):
        raise SansfaceError(f"the setting {name!r} holds several; name one of them, such as {name}.NAME.")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and not (math.isfinite(value) and value >= 0):
        raise SansfaceError(f"the setting {name!r} is a number from 0 on, not {value}; correct it.")
    if isinstance(old, float) and number:
        return float(value)
    if isinstance(old, tuple) and isinstance(value, list):
        return tuple(value)
    if old is None:
        raise SansfaceError(f"the setting {name!r} is off in this preset; choose another preset to set it.")
    if type(value) is not type(old):
        kind = {"int": "a whole number", "float": "a number", "bool": "true or false", "tuple": "a list"}
        wanted = kind.get(type(old).__name__, "a word")
        raise SansfaceError(f"the setting {name!r} is {wanted}, not {value!r}; correct it.")
    return value


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
