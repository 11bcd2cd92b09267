"""`meta.json` beside a capture of any format: what the format itself cannot say.

`unit` is the world's unit, `center` and `radius` are those of the bounding sphere, `sphere_source` says how
it was found, `given` if it does not stand there; other keys, such as `head_min_y`, are kept as they are. What
stands here goes before what the format says.
"""

from pathlib import Path
from typing import Any

import numpy as np

from sansface.capture import UNITS, Capture, Frame, Sphere
from sansface.errors import SansfaceError
from sansface.files import read_json, write_json

NAME = "meta.json"

_UNIT_WORDS = {
    "millimetre": "mm", "millimeter": "mm", "centimetre": "cm", "centimeter": "cm",
    "metre": "m", "meter": "m", "inch": "in", "inche": "in",
}  # fmt: skip


def with_meta(
    frames: tuple[Frame, ...], folder: Path, unit: str = "unknown", sphere: Sphere | None = None
) -> Capture:
    """A capture of these frames with unit, sphere and meta of the folder's `meta.json`, if there is one.

    Args:
        frames: of the capture.
        folder: of the capture.
        unit, sphere: what the format says of them.

    Raises:
        SansfaceError: the file is no JSON object, its center and radius make no sphere, or there is no such
            unit.
    """
    path = folder / NAME
    if not path.exists():
        return Capture(frames, unit, sphere)
    meta = read_json(path)
    if not isinstance(meta, dict):
        raise SansfaceError(f"{path} is not a JSON object; correct or remove it.")
    if "unit" in meta:
        unit = _unit(meta["unit"], path)
    if meta.get("center") is not None and meta.get("radius") is not None:
        try:
            center, source = np.array(meta["center"], dtype=np.float64), meta.get("sphere_source", "given")
            sphere = Sphere(center, meta["radius"], source)
        except (SansfaceError, TypeError, ValueError, OverflowError) as error:
            raise SansfaceError(
                f"{path}: center and radius are not three numbers and a positive one, or sphere_source is "
                "none of masks, cameras, given; correct them."
            ) from error
    return Capture(frames, unit, sphere, meta)


def write_meta(capture: Capture, folder: Path) -> None:
    """Write `meta.json` with meta, sphere and unit, if there is anything to say.

    Raises:
        SansfaceError: the file cannot be written.
    """
    meta: dict[str, Any] = dict(capture.meta)
    if capture.sphere is not None:
        meta |= {"center": capture.sphere.center.tolist(), "radius": capture.sphere.radius}
        meta.pop("sphere_source", None)  # of what stood there before
        if capture.sphere.source != "given":
            meta["sphere_source"] = capture.sphere.source
    if capture.unit != "unknown":
        meta["unit"] = capture.unit
    if meta:
        write_json(folder / NAME, meta)


def _unit(value: Any, path: Path) -> str:
    """One of `UNITS`, for it travels."""
    word = str(value).strip().lower()
    word = _UNIT_WORDS.get(word.removesuffix("s"), word)
    if word not in UNITS:
        raise SansfaceError(f"{path}: the unit is none of {', '.join(UNITS)}; correct it, or leave it out.")
    return word
