"""The neural head's file: tensors in safetensors, the rest as JSON in its header, as the template's."""

import json
import math
from importlib import resources
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from sansface.errors import SansfaceError
from sansface.files import os_error_sentence, parse_json, written_beside
from sansface.heads.neural.codes import EXPRESSIONS, IDENTITIES
from sansface.heads.neural.head import Colours, NeuralHead, Shifts

VERSION = 1
KEY = "sansface_neural_head"
"""Of the JSON in the file's header."""
SHIPPED = "neural_head.safetensors"
EXACT = ("eyes", "rest", "shifts.way", "shifts.phase")
"""What stays in float32: it is small, and the shifts' coefficients cancel out for these very waves only."""


def write_neural_head(head: NeuralHead, path: str | Path) -> NeuralHead:
    """Write a neural head, its large tensors rounded to float16, beside and renamed; the same gives the same
    bytes.

    Returns:
        what `read_neural_head` gives.

    Raises:
        SansfaceError: the file cannot be written.
    """
    about = head.about | {
        "version": VERSION,
        "frame": {"up": "+y", "face": "+z", "center_mm": list(head.center), "radius_mm": head.radius},
    }
    tensors = {name: value.detach().cpu().contiguous() for name, value in _tensors(head).items()}
    tensors = {name: value if name in EXACT else value.half() for name, value in tensors.items()}
    with written_beside(path) as part:
        part.write_bytes(save(tensors, {KEY: json.dumps(about, sort_keys=True, allow_nan=False)}))
    return read_neural_head(path)


def read_neural_head(path: str | Path) -> NeuralHead:
    """Read a neural head, onto the CPU.

    Raises:
        SansfaceError: one sentence, if it is missing, damaged, of another version or no neural head.
    """
    path = Path(path)
    try:
        with safe_open(path, framework="pt") as file:
            about = parse_json(file.metadata()[KEY].encode())
            if about["version"] != VERSION:
                raise SansfaceError(
                    f"{path} is a neural head of version {about['version']!r}, and this sansface reads "
                    f"version {VERSION}; train it again, or use the sansface that wrote it."
                )
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        return _head(tensors, about)
    except OSError as error:
        raise SansfaceError(os_error_sentence("read the neural head", path, error)) from error
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise SansfaceError(
            f"{path} is damaged or no neural head; give one that `sansface neural-head train` wrote."
        ) from error


def load_neural_head() -> NeuralHead:
    """The head that comes with the package, made by `sansface neural-head train` (docs/neural-head.md)."""
    with resources.as_file(resources.files("sansface.heads.neural").joinpath(SHIPPED)) as path:
        return read_neural_head(path)


def _tensors(head: NeuralHead) -> dict[str, Tensor]:
    parts = {"shifts": head.shifts, "colours": head.colours}
    of_networks = {f"{name}.{key}": v for name, part in parts.items() for key, v in part.state_dict().items()}
    return {"distance": head.distance, "eyes": head.eyes, "rest": head.rest, **of_networks}


def _head(tensors: dict[str, Tensor], about: dict[str, Any]) -> NeuralHead:
    """A head of its file's parts; ValueError or RuntimeError where they do not fit together."""
    x, y, z = (float(c) for c in about["frame"]["center_mm"])
    radius = float(about["frame"]["radius_mm"])
    distance, eyes, rest = (tensors[name] for name in ("distance", "eyes", "rest"))
    codes = IDENTITIES + EXPRESSIONS
    shapes = (3, (2, 4, 1 + IDENTITIES), (codes,))
    finite = all(value.isfinite().all() for value in tensors.values())
    if not finite or not 0 < radius < math.inf or (distance.ndim, eyes.shape, rest.shape) != shapes:
        raise ValueError("shapes")
    width = len(tensors["colours.last.weight"][0])
    depth = sum(name.startswith("colours.hidden.") and name.endswith("weight") for name in tensors)
    shifts, colours = Shifts(codes, len(tensors["shifts.phase"])), Colours(width, depth)
    for name, network in (("shifts", shifts), ("colours", colours)):
        own = {k.removeprefix(f"{name}."): v for k, v in tensors.items() if k.startswith(f"{name}.")}
        network.load_state_dict(own)
        network.requires_grad_(False)
    kept = {key: value for key, value in about.items() if key not in ("version", "frame")}
    return NeuralHead(distance, (x, y, z), radius, shifts, colours, eyes, rest, kept)
