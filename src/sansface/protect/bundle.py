"""The bundle: the only thing that crosses from client to server.

A zip (see `container`) of `manifest.json`, `manifest.sha256`, `frames/000.image`, `frames/000.mask`, ...; arrays are raw,
little-endian, row by row. The manifest is canonical JSON and declares for each array its dtype, shape and SHA-256.

Cameras are in the unit-sphere frame, x_world = center + radius · x_norm, already scaled to the pictures' size.

Two rules make the verifier. *A `Bundle` that breaks a rule cannot be constructed*, so reader and writer obey the same
ones; and *a file is a bundle only if writing what was read gives the same bytes again*, so nothing can hide between
members, in attributes, in number formats or in the order of keys.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sansface.capture import UNITS, Camera, Role
from sansface.errors import SansfaceError
from sansface.files import os_error_sentence, parse_json, written_beside
from sansface.protect.container import pack, unpack
from sansface.protect.operators import Operator, operator_from_parameters

SCHEMA = 1
MAX_BYTES = 64 << 20
MAX_MANIFEST_BYTES = 2 << 20
MAX_FRAMES = 500
MAX_RESOLUTION = 1024
MAX_SCALE = 2.0
"""σ of values in [0, 1] never exceeds √3."""
SCALE_STEPS = 256
"""`scale` is a whole number of 1/256."""
MAX_DISTANCE = 1000.0
"""A camera's largest distance from the sphere's center, in radii."""
SOURCES = ("masks", "cameras", "given")


class BundleError(SansfaceError):
    """A bundle that breaks a rule: one sentence."""


@dataclass(frozen=True, eq=False)
class BundleFrame:
    """One picture as it leaves the client.

    Attributes:
        camera: in the unit-sphere frame, of the picture's size, without distortion, its centre outside the sphere.
        role: neutral pictures keep their colours, sensitive ones only σ.
        image: neutral: (h, w, 3) uint8 or uint16, sRGB premultiplied by coverage, code / max in [0, 1].
            sensitive: (h, w) of the same dtype, σ; code 0 = withheld, else (code − 1) / (max − 1) · scale.
        mask: (h, w) uint8 coverage, 255 = wholly subject, or None where the user keeps it.
        scale: the modulus that the largest code of a sensitive picture says; 1 for a neutral one.

    Raises:
        BundleError: three channels on a sensitive frame, colour outside the mask, a value at the outline, nothing
            but withheld values, wrong dtypes or sizes, an invalid camera.
    """

    camera: Camera
    role: Role
    image: np.ndarray
    mask: np.ndarray | None = None
    scale: float = 1.0

    def __post_init__(self) -> None:
        shape = (self.camera.height, self.camera.width)
        if self.image.dtype not in (np.uint8, np.uint16):
            raise BundleError(f"a picture is of {self.image.dtype}, not of 8 or 16 bits; protect again.")
        if not isinstance(self.role, Role):
            raise BundleError(f"the role {self.role!r} is neither neutral nor sensitive; protect again.")
        if self.role is Role.SENSITIVE and self.image.ndim != 2:
            raise BundleError("a sensitive frame has more than one channel; only sigma may leave the client.")
        if self.image.shape != (shape if self.role is Role.SENSITIVE else (*shape, 3)):
            raise BundleError(f"a {self.role} picture of shape {self.image.shape} is unlike its camera's; protect again.")
        if self.mask is not None and (self.mask.dtype != np.uint8 or self.mask.shape != shape):
            raise BundleError("a mask is not of 8 bits or not of its picture's size; protect again.")
        self._check_camera()
        if self.role is Role.SENSITIVE:
            self._check_sensitive()
        else:
            self._check_neutral()

    def values(self) -> np.ndarray:
        """What the codes say: (h, w, 3) float32 in [0, 1] for neutral, (h, w) float32 σ for sensitive, 0 if withheld."""
        top = np.iinfo(self.image.dtype).max
        if self.role is Role.NEUTRAL:
            return self.image.astype(np.float32) / np.float32(top)
        codes = self.image.astype(np.float32)
        return np.maximum(codes - 1, 0) / np.float32(top - 1) * np.float32(self.scale)

    def shared(self) -> np.ndarray:
        """(h, w) bool: where the picture says something; False at a sensitive picture's background and outline."""
        if self.role is Role.SENSITIVE:
            return self.image != 0
        return np.ones(self.image.shape[:2], dtype=bool)

    def _check_camera(self) -> None:
        if self.camera.distortion.any():
            raise BundleError("a camera has distortion, and pictures leave undistorted; protect again.")
        if np.abs(self.camera.cam_from_world[:3, 3]).max() > MAX_DISTANCE or self.camera.K.max() > 1e6:
            raise BundleError("a camera is absurdly far away or long; check the capture's poses and protect again.")
        if not np.linalg.norm(self.camera.center) > 1.0:
            raise BundleError("a camera is inside the unit sphere; give a smaller radius and protect again.")

    def _check_sensitive(self) -> None:
        steps = self.scale * SCALE_STEPS
        if not 1 <= steps <= MAX_SCALE * SCALE_STEPS or steps != int(steps):
            raise BundleError(f"the scale {self.scale!r} is not a multiple of 1/256 up to {MAX_SCALE:g}; protect again.")
        shared = self.shared()
        if not shared.any():
            raise BundleError("a sensitive picture is wholly withheld; check its mask or raise the resolution.")
        if self.mask is not None and (shared & ~inside_outline(self.mask == 255)).any():
            raise BundleError("a sensitive picture has values at its outline, which tell the skin's brightness; protect again.")

    def _check_neutral(self) -> None:
        if self.scale != 1.0:
            raise BundleError("a neutral picture has a scale other than 1; protect again.")
        if self.mask is None:
            return
        # Colour is premultiplied, c <= coverage, up to half a step of each rounding.
        top = np.iinfo(self.image.dtype).max
        most = np.minimum((self.mask.astype(np.float64) + 0.5) / 255 * top + 0.5 + 1e-3, top)
        if (self.image > most[..., None]).any():
            raise BundleError("a neutral picture has colour outside its mask; protect again.")


def inside_outline(whole: np.ndarray) -> np.ndarray:
    """Pixels whose 3 × 3 neighbourhood, borders repeated, is wholly subject: σ there never sees the outline.

    Args:
        whole: (h, w) bool, pixels that are subject all over.
    """
    height, width = whole.shape
    padded = np.pad(whole, 1, mode="edge")
    result = np.ones_like(whole)
    for row in range(3):
        for column in range(3):
            result &= padded[row : row + height, column : column + width]
    return result


@dataclass(frozen=True, eq=False)
class Bundle:
    """What the server receives, and nothing more.

    Attributes:
        frames: at least one of them sensitive; with a mask each, or none with one.
        resolution: pixels of every picture's longer side.
        operator: σ.
        bits: 8 or 16.
        scale: the largest modulus that a code can say; a multiple of 1/256.
        center, radius: x_world = center + radius · x_norm.
        unit: of the world, one of `sansface.capture.UNITS`.
        sphere_source: `masks`, `cameras` or `given`.
        schema: version of the manifest.

    Raises:
        BundleError: a rule is broken.
    """

    frames: tuple[BundleFrame, ...]
    resolution: int
    operator: Operator
    bits: int
    scale: float
    center: np.ndarray
    radius: float
    unit: str = "unknown"
    sphere_source: str = "given"
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        center = np.array(self.center, dtype=np.float64)
        object.__setattr__(self, "center", center)
        if self.schema != SCHEMA:
            raise BundleError(f"the schema version {self.schema!r} is not {SCHEMA}; use the version that wrote it.")
        if not 1 <= len(self.frames) <= MAX_FRAMES:
            raise BundleError(f"it has {len(self.frames)} frames, not 1 to {MAX_FRAMES}; choose fewer photographs.")
        if not any(frame.role is Role.SENSITIVE for frame in self.frames):
            raise BundleError("it holds no sensitive frame, so there is nothing protected in it; label the frames.")
        if len({frame.mask is None for frame in self.frames}) != 1:
            raise BundleError("some frames have a mask and some have none; share all masks or none.")
        if not 1 <= self.resolution <= MAX_RESOLUTION:
            raise BundleError(f"the resolution {self.resolution!r} is not 1 to {MAX_RESOLUTION}; choose another.")
        if self.unit not in UNITS or self.sphere_source not in SOURCES:
            raise BundleError("its unit or the source of its sphere is a word that is not on the list; protect again.")
        if center.shape != (3,) or not np.isfinite(center).all() or not 0 < self.radius < float("inf"):
            raise BundleError("its sphere is not a finite center and a positive radius; give them and protect again.")
        dtype = {8: np.uint8, 16: np.uint16}.get(self.bits)
        for frame in self.frames:
            if frame.image.dtype != dtype:
                raise BundleError(f"a picture is of {frame.image.dtype} where {self.bits} bits are declared; protect again.")
            if max(frame.camera.width, frame.camera.height) != self.resolution:
                raise BundleError(
                    f"a picture of {frame.camera.width} x {frame.camera.height} is unlike the declared resolution "
                    f"{self.resolution}; protect again."
                )
            if frame.role is Role.SENSITIVE and frame.scale != self.scale:
                raise BundleError("a sensitive picture's scale is unlike the bundle's; protect again.")
        operator_from_parameters(self.operator.parameters())


def bundle_bytes(bundle: Bundle) -> bytes:
    """The bundle as a file: the same bundle always gives the same bytes.

    Raises:
        BundleError: larger than `MAX_BYTES`.
    """
    data = b"".join(pack(_members(bundle)))
    if len(data) > MAX_BYTES:
        raise BundleError(f"the bundle would have {len(data) >> 20} MiB, more than {MAX_BYTES >> 20}; lower the resolution.")
    return data


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


# --- writing -------------------------------------------------------------------------------------------------------


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
    return {
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


# --- reading -------------------------------------------------------------------------------------------------------

_KEYS = {
    "manifest": {"schema", "resolution", "bits", "scale", "operator", "unit", "sphere_source", "world_from_norm", "frames"},
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
    if type(schema) is not int or schema != SCHEMA:
        raise ValueError(f"its schema version {_shown(schema)} is not {SCHEMA}, so it was written by another version")
    return _object(manifest, "manifest")


def _build(manifest: dict[str, Any], members: dict[str, memoryview]) -> Bundle:
    operator = operator_from_parameters(manifest["operator"])
    resolution = _integer(manifest["resolution"], 1, MAX_RESOLUTION, "resolution")
    bits = _integer(manifest["bits"], 8, 16, "bits")
    scale = _numbers(manifest["scale"], (), "scale")
    sphere = _object(manifest["world_from_norm"], "sphere")
    frames = manifest["frames"]
    if not isinstance(frames, list) or not 1 <= len(frames) <= MAX_FRAMES:
        raise ValueError(f"its manifest does not list 1 to {MAX_FRAMES} frames")
    expected = {"manifest.json", "manifest.sha256"}
    built = []
    for index, frame in enumerate(frames):
        name = f"frames/{index:03d}"
        expected |= {f"{name}.image"} | (set() if _object(frame, "frame")["mask"] is None else {f"{name}.mask"})
        built.append(_build_frame(frame, name, members, resolution, float(scale)))
    unknown = sorted(set(members) - expected)
    if unknown:
        raise ValueError(f"it has the unknown member {ascii(unknown[0][:60])}")
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
    )


def _build_frame(
    frame: dict[str, Any], name: str, members: dict[str, memoryview], resolution: int, scale: float
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
    return BundleFrame(camera, role, image, mask, scale if role is Role.SENSITIVE else 1.0)


def _read_array(
    value: Any, name: str, members: dict[str, memoryview], shape: tuple[int, ...], dtypes: tuple[str, ...]
) -> np.ndarray:
    declared = _object(value, "array")
    if declared["dtype"] not in dtypes:
        raise ValueError(f"{name} is declared as {_shown(declared['dtype'])}, not {' or '.join(dtypes)}")
    if declared["shape"] != list(shape):
        reason = f"{name} declares the shape {_shown(declared['shape'])}, but its role and camera ask for {list(shape)}"
        raise ValueError(reason)
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
        raise ValueError(f"its {kind} {'lacks' if key in _KEYS[kind] else 'has the unknown'} key {_shown(key)}")
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


def _word(value: Any, name: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z]{1,20}", value):
        raise ValueError(f"the {name} {_shown(value)} is not a word")
    return value


def _shown(value: Any) -> str:
    """A value from the file, short and on one line, for an error message."""
    return ascii(value)[:60]
