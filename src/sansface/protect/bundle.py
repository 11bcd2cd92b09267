"""The bundle: the only thing that crosses from client to server.

A zip (see `container`) of `frames/000.image`, `frames/000.mask`, ..., `manifest.json` and `manifest.sha256`.
Arrays are raw, little-endian, row by row. The manifest is canonical JSON (keys sorted, no spaces, finite
numbers) and declares the dtype, shape and SHA-256 of each array; `manifest.sha256` is the manifest's own.

Two rules make the verifier. A `Bundle` that breaks a rule of `contents` cannot be constructed; and a file
is a bundle only if writing what was read gives the same bytes again, so nothing can hide between members,
in attributes, in number formats or in the order of keys.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sansface.capture import Camera, Role
from sansface.errors import SansfaceError
from sansface.files import os_error_sentence, parse_json, written_beside
from sansface.protect.container import pack, unpack
from sansface.protect.contents import (
    MAX_BITS,
    MAX_FRAMES,
    MAX_RESOLUTION,
    SCHEMAS,
    Bundle,
    BundleError,
    BundleFrame,
    Share,
)
from sansface.protect.operators import Operator, operator_from_parameters

__all__ = [
    "Bundle",
    "BundleError",
    "BundleFrame",
    "bundle_bytes",
    "bundle_digest",
    "decode",
    "read_bundle",
    "write_bundle",
]

MAX_BYTES = 64 << 20
"""Largest bundle; 30 frames of 64 pixels take half a MiB."""
MAX_MANIFEST_BYTES = 2 << 20


def bundle_bytes(bundle: Bundle) -> bytes:
    """The bundle as a file: the same bundle always gives the same bytes.

    Raises:
        BundleError: larger than `MAX_BYTES`.
    """
    data = b"".join(pack(_members(bundle)))
    if len(data) > MAX_BYTES:
        raise BundleError(f"the bundle would be larger than {MAX_BYTES >> 20} MiB; lower the resolution.")
    return data


def bundle_digest(bundle: Bundle) -> str:
    """SHA-256 of the bundle as a file, in hexadecimal."""
    return hashlib.sha256(bundle_bytes(bundle)).hexdigest()


def write_bundle(bundle: Bundle, path: str | Path) -> None:
    """Write a bundle, beside and renamed.

    Raises:
        SansfaceError: the file cannot be written.
    """
    data = bundle_bytes(bundle)
    with written_beside(path) as part:
        part.write_bytes(data)


def read_bundle(path: str | Path) -> Bundle:
    """Read and verify a bundle.

    Raises:
        BundleError: one sentence, if the file breaks any rule.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BundleError(os_error_sentence("read the bundle", path, error)) from error
    try:
        return decode(data)
    except SansfaceError as error:
        raise BundleError(f"{path} is refused: {error}") from error


def decode(data: bytes) -> Bundle:
    """Verify a bundle's bytes; see the rules in this module's docstring.

    Raises:
        BundleError: one sentence.
    """
    if len(data) > MAX_BYTES:
        raise BundleError(f"it is larger than {MAX_BYTES >> 20} MiB; ask for a bundle of lower resolution.")
    try:
        members = unpack(data, max_members=2 + 2 * MAX_FRAMES)
        manifest = _read_manifest(members)
        bundle = _build(manifest, members)
    except SansfaceError as error:
        raise BundleError(str(error)) from error
    except ValueError as error:  # the container, the JSON, and the shape errors raised below
        raise BundleError(f"{error}; make the bundle again with sansface protect.") from error
    position = 0
    for piece in pack(_members(bundle)):
        if data[position : position + len(piece)] != piece:
            raise BundleError("it holds bytes that its contents do not account for; make the bundle again.")
        position += len(piece)
    if position != len(data):
        raise BundleError("it holds bytes that its contents do not account for; make the bundle again.")
    return bundle


# --- writing ---


def _members(bundle: Bundle) -> Iterator[tuple[str, bytes]]:
    manifest = json.dumps(
        _manifest(bundle), sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True
    ).encode("ascii")
    arrays = sorted((name, array) for name, array in _arrays(bundle))
    yield from ((name, _raw(array)) for name, array in arrays)
    yield "manifest.json", manifest
    yield "manifest.sha256", hashlib.sha256(manifest).hexdigest().encode("ascii") + b"\n"


def _arrays(bundle: Bundle) -> Iterator[tuple[str, np.ndarray]]:
    for index, frame in enumerate(bundle.frames):
        yield f"frames/{index:03d}.image", frame.image
        if frame.mask is not None:
            yield f"frames/{index:03d}.mask", frame.mask


def _raw(array: np.ndarray) -> bytes:
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _manifest(bundle: Bundle) -> dict[str, Any]:
    strengths = {"noise": float(bundle.noise), "gain": bundle.gain} if bundle.schema > 1 else {}
    share = {"share": bundle.share.value} if bundle.schema > 2 else {}
    return (strengths | share) | {
        "schema": bundle.schema,
        "resolution": int(bundle.resolution),
        "bits": int(bundle.bits),
        "scale": float(bundle.scale),
        "operator": bundle.operator.parameters(),
        "unit": bundle.unit,
        "sphere_source": bundle.sphere_source,
        "world_from_norm": {"center": bundle.center.tolist(), "radius": float(bundle.radius)},
        "frames": [
            {
                "role": frame.role.value,
                "camera": {
                    "K": frame.camera.K.tolist(),
                    "width": frame.camera.width,
                    "height": frame.camera.height,
                    "cam_from_world": frame.camera.cam_from_world.tolist(),
                },
                "image": _declared(frame.image),
                "mask": None if frame.mask is None else _declared(frame.mask),
            }
            for frame in bundle.frames
        ],
    }


def _declared(array: np.ndarray) -> dict[str, Any]:
    return {
        "dtype": array.dtype.name,
        "shape": list(array.shape),
        "sha256": hashlib.sha256(_raw(array)).hexdigest(),
    }


# --- reading ---

_FIRST = {
    "schema",
    "resolution",
    "bits",
    "scale",
    "operator",
    "unit",
    "sphere_source",
    "world_from_norm",
    "frames",
}
_KEYS = {
    "manifest of schema 1": _FIRST,
    "manifest of schema 2": _FIRST | {"noise", "gain"},
    "manifest of schema 3": _FIRST | {"noise", "gain", "share"},
    "sphere": {"center", "radius"},
    "frame": {"role", "camera", "image", "mask"},
    "camera": {"K", "width", "height", "cam_from_world"},
    "array": {"dtype", "shape", "sha256"},
}


def _read_manifest(members: dict[str, memoryview]) -> dict[str, Any]:
    for name in ("manifest.json", "manifest.sha256"):
        if name not in members:
            raise ValueError(f"it has no member {name}")
    text = members["manifest.json"]
    if len(text) > MAX_MANIFEST_BYTES:
        raise ValueError(f"its manifest has {len(text)} bytes, more than {MAX_MANIFEST_BYTES}")
    if bytes(members["manifest.sha256"][:80]) != hashlib.sha256(text).hexdigest().encode("ascii") + b"\n":
        raise ValueError("its manifest does not have the SHA-256 that is declared")
    try:
        manifest = parse_json(bytes(text))
    except ValueError as error:
        raise ValueError(f"its manifest is not usable JSON ({error})") from error
    if not isinstance(manifest, dict):
        raise ValueError("its manifest is not a JSON object")
    schema = manifest.get("schema")
    if type(schema) is not int or schema not in SCHEMAS:
        known = ", ".join(map(str, SCHEMAS))
        raise ValueError(f"its schema version {_shown(schema)} is none of {known}, which are read here")
    return _object(manifest, f"manifest of schema {schema}")


def _build(manifest: dict[str, Any], members: dict[str, memoryview]) -> Bundle:
    operator = operator_from_parameters(manifest["operator"])
    resolution = _integer(manifest["resolution"], 1, MAX_RESOLUTION, "resolution")
    bits = _integer(manifest["bits"], 1, MAX_BITS, "bits")
    scale = _numbers(manifest["scale"], (), "scale")
    sphere = _object(manifest["world_from_norm"], "sphere")
    frames = manifest["frames"]
    if not isinstance(frames, list) or not 1 <= len(frames) <= MAX_FRAMES:
        raise ValueError(f"its manifest does not list 1 to {MAX_FRAMES} frames")
    expected = {"manifest.json", "manifest.sha256"}
    built = []
    for index, frame in enumerate(frames):
        name = f"frames/{index:03d}"
        has_mask = _object(frame, "frame")["mask"] is not None
        expected |= {f"{name}.image", f"{name}.mask"} if has_mask else {f"{name}.image"}
        built.append(_build_frame(frame, name, members, resolution, bits, float(scale), operator))
    unknown = sorted(set(members) - expected)
    if unknown:
        raise ValueError(f"it has the unknown member {unknown[0][:60]!a}")
    return Bundle(
        frames=tuple(built),
        resolution=resolution,
        operator=operator,
        bits=bits,
        scale=float(scale),
        center=_numbers(sphere["center"], (3,), "center"),
        radius=float(_numbers(sphere["radius"], (), "radius")),
        unit=_word(manifest["unit"], "unit"),
        sphere_source=_word(manifest["sphere_source"], "sphere_source"),
        noise=float(_numbers(manifest.get("noise", 0.0), (), "noise")),
        gain=_flag(manifest.get("gain", False), "gain"),
        share=_share(manifest.get("share", Share.MODULUS.value)),
    )


def _build_frame(
    frame: dict[str, Any],
    name: str,
    members: dict[str, memoryview],
    resolution: int,
    bits: int,
    scale: float,
    operator: Operator,
) -> BundleFrame:
    word = _word(frame["role"], "role")
    if word not in (Role.NEUTRAL, Role.SENSITIVE):
        raise ValueError(f"the role {_shown(word)} is neither neutral nor sensitive")
    role = Role(word)
    declared = _object(frame["camera"], "camera")
    camera = Camera(
        K=_numbers(declared["K"], (3, 3), "K"),
        width=_integer(declared["width"], 1, resolution, "width"),
        height=_integer(declared["height"], 1, resolution, "height"),
        cam_from_world=_numbers(declared["cam_from_world"], (4, 4), "cam_from_world"),
    )
    shape = (camera.height, camera.width)
    channels = () if role is Role.SENSITIVE else (3,)
    image = _read_array(frame["image"], f"{name}.image", members, (*shape, *channels), ("uint8", "uint16"))
    mask = frame["mask"]
    if mask is not None:
        mask = _read_array(mask, f"{name}.mask", members, shape, ("uint8",))
    if role is Role.NEUTRAL:
        return BundleFrame(camera, role, image, mask, bits=bits)
    return BundleFrame(camera, role, image, mask, scale, bits, operator.reach)


def _read_array(
    value: Any, name: str, members: dict[str, memoryview], shape: tuple[int, ...], dtypes: tuple[str, ...]
) -> np.ndarray:
    declared = _object(value, "array")
    if declared["dtype"] not in dtypes:
        raise ValueError(f"{name} is declared as {_shown(declared['dtype'])}, not {' or '.join(dtypes)}")
    if declared["shape"] != list(shape):
        found = _shown(declared["shape"])
        raise ValueError(f"{name} has the shape {found}, but its role and camera ask for {list(shape)}")
    if name not in members:
        raise ValueError(f"it has no member {name}")
    dtype = np.dtype(declared["dtype"]).newbyteorder("<")
    size = int(np.prod(shape)) * dtype.itemsize
    if len(members[name]) != size:
        raise ValueError(f"{name} has {len(members[name])} bytes where {size} are declared")
    if declared["sha256"] != hashlib.sha256(members[name]).hexdigest():
        raise ValueError(f"{name} does not have the SHA-256 that is declared")
    return np.frombuffer(members[name], dtype=dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _object(value: Any, kind: str) -> dict[str, Any]:
    """A JSON object with exactly the keys of its kind."""
    if not isinstance(value, dict):
        raise ValueError(f"its {kind} is {_shown(value)}, not a JSON object")
    for key in sorted(set(value) ^ _KEYS[kind]):
        fault = "lacks the" if key in _KEYS[kind] else "has the unknown"
        raise ValueError(f"its {kind} {fault} key {_shown(key)}")
    return value


def _numbers(value: Any, shape: tuple[int, ...], name: str) -> np.ndarray:
    """Finite floats nested as the shape says."""

    def check(part: Any, sides: tuple[int, ...]) -> None:
        if not sides:
            if type(part) is not float:
                raise ValueError(f"{name} holds {_shown(part)}, not a number with a decimal point")
            return
        if not isinstance(part, list) or len(part) != sides[0]:
            raise ValueError(f"{name} is {_shown(part)}, not numbers of shape {shape}")
        for item in part:
            check(item, sides[1:])

    check(value, shape)
    return np.array(value, dtype=np.float64)


def _integer(value: Any, least: int, most: int, name: str) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"the {name} {_shown(value)} is not a whole number from {least} to {most}")
    return value


def _flag(value: Any, name: str) -> bool:
    if type(value) is not bool:
        raise ValueError(f"the {name} {_shown(value)} is neither true nor false")
    return value


def _share(value: Any) -> Share:
    if value not in tuple(Share):
        raise ValueError(f"what it shares, {_shown(value)}, is none of {', '.join(Share)}")
    return Share(value)


def _word(value: Any, name: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z]{1,20}", value):
        raise ValueError(f"the {name} {_shown(value)} is not a word")
    return value


def _shown(value: Any) -> str:
    """A value from the file, short and on one line, for an error message."""
    return ascii(value)[:60]
