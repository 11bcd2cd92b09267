"""Looking for what must not be anywhere: in bytes, in base64, inside containers, in pictures and arrays.

A `Canary` is what to look for: strings, and a picture. `search` opens whatever it is given as far as it goes:
zip members, PNG and JPEG pixels, deflate streams, base64 runs, safetensors. A picture is looked for in every
two-dimensional array by normalised correlation at several sizes, so that a copy that was reduced, dimmed,
requantised or compressed is found as well.
"""

import base64
import binascii
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

DEPTH = 4
ALIKE = 0.9  # correlation over at least 64 values; by chance alone it stays below 0.7


@dataclass
class Canary:
    """What to look for.

    Attributes:
        words: strings that were in the file's name and its EXIF.
        block: (n, n, 3) float RGB in [0, 1]: a picture of n x n random patches, one value a patch.
        sizes: pixels of one patch at which to look for the picture: first the photograph's own, then smaller.
    """

    words: list[bytes]
    block: np.ndarray
    sizes: list[int]
    templates: list[np.ndarray] = field(init=False)

    def __post_init__(self) -> None:
        grey = [*np.moveaxis(self.block, 2, 0), self.block.mean(axis=2), self.block @ [0.299, 0.587, 0.114]]
        self.templates = [
            np.kron(channel, np.ones((size, size))).astype(np.float32)
            for size in self.sizes
            for channel in grey
        ]

    def needles(self) -> Iterator[tuple[str, bytes]]:
        """The words as they are, as UTF-16, in base64 at each alignment, and as hexadecimal digits."""
        for word in self.words:
            yield "raw", word
            yield "utf-16", word.decode().encode("utf-16-le")
            yield "hex", word.hex().encode()
            for shift in range(3):
                coded = base64.b64encode(b"\0" * shift + word)
                yield "base64", coded[4 if shift else 0 : len(coded) // 4 * 4 - 4]


def search(data: bytes, canary: Canary, where: str = "", depth: int = DEPTH) -> list[str]:
    """Every place where the canary is: one line each; empty if it is nowhere."""
    lower = data.lower()
    hits = [f"{where}: {kind}" for kind, needle in canary.needles() if needle.lower() in lower]
    hits += [f"{where}{name}: picture" for name, array in _arrays(data) if _looks_like(array, canary)]
    if depth:
        for name, inner in _inside(data):
            hits += search(inner, canary, f"{where}{name}", depth - 1)
    return hits


def search_folder(folder: Path, canary: Canary) -> list[str]:
    """Every file below a folder, its name included."""
    hits = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        hits += [
            f"name of {name}" for _, needle in canary.needles() if needle.lower() in name.encode().lower()
        ]
        if path.is_file():
            hits += search(path.read_bytes(), canary, name)
    return hits


def _looks_like(array: np.ndarray, canary: Canary) -> bool:
    """True if the canary's picture is somewhere in an array of two or more dimensions."""
    if array.dtype.kind not in "uif" or array.ndim < 2:
        return False
    layers = np.moveaxis(array, -1, 0) if array.ndim == 3 and array.shape[2] <= 4 else array
    layers = layers.reshape(-1, *layers.shape[-2:])
    for layer in layers[:256]:
        layer = np.nan_to_num(layer.astype(np.float32), posinf=0, neginf=0)
        for template in canary.templates:
            if min(layer.shape) < len(template) or layer.max() == layer.min():
                continue
            if _correlation(layer, template) > ALIKE:
                return True
    return False


def _correlation(layer: np.ndarray, template: np.ndarray) -> float:
    """Largest absolute normalised correlation of the template with any window that is not flat."""
    score = cv2.matchTemplate(layer, template, cv2.TM_CCOEFF_NORMED)
    mean = cv2.boxFilter(layer, cv2.CV_64F, template.shape[::-1], anchor=(0, 0))
    square = cv2.boxFilter(layer.astype(np.float64) ** 2, cv2.CV_64F, template.shape[::-1], anchor=(0, 0))
    spread = (square - mean**2)[: score.shape[0], : score.shape[1]]
    return float(np.abs(np.where(spread > 1e-4 * layer.std() ** 2, score, 0)).max())


def _arrays(data: bytes) -> Iterator[tuple[str, np.ndarray]]:
    """Pictures and tensors that the bytes are: PNG, JPEG, WebP, bundle, safetensors."""
    if data[:4] == b"\x89PNG" or data[:3] == b"\xff\xd8\xff" or data[:4] == b"RIFF":
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if picture is not None:
            yield " [pixels]", picture
    if data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if "manifest.json" in archive.namelist():
                yield from _bundle_arrays(archive)
    header = int.from_bytes(data[:8], "little")
    if 2 <= header <= min(len(data) - 8, 10**7) and data[8:9] == b"{":
        yield from _tensors(data, header)


def _tensors(data: bytes, header: int) -> Iterator[tuple[str, np.ndarray]]:
    kinds = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "U8": "u1", "I32": "<i4", "I64": "<i8", "U16": "<u2"}
    try:
        table = json.loads(data[8 : 8 + header])
    except ValueError:
        return
    for name, entry in table.items():
        if isinstance(entry, dict) and entry.get("dtype") in kinds:
            start, end = entry["data_offsets"]
            values = np.frombuffer(data[8 + header + start : 8 + header + end], kinds[entry["dtype"]])
            yield f" [{name}]", values.reshape(entry["shape"])


def _inside(data: bytes) -> Iterator[tuple[str, bytes]]:
    """What the bytes contain: zip members, deflate and gzip streams, base64."""
    if data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield f" > {name}", archive.read(name)
    for match in re.finditer(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08", data):
        wbits = 47 if data[match.start()] == 0x1F else 15
        try:
            plain = zlib.decompressobj(wbits).decompress(data[match.start() :], 1 << 26)
        except zlib.error:
            continue
        if len(plain) > 32:
            yield f" > stream at {match.start()}", plain
    for match in re.finditer(rb"[A-Za-z0-9+/]{64,}={0,2}", data):
        text = match.group()
        try:
            yield f" > base64 at {match.start()}", base64.b64decode(text[: len(text) // 4 * 4])
        except binascii.Error:
            continue


def _bundle_arrays(archive: zipfile.ZipFile) -> Iterator[tuple[str, np.ndarray]]:
    for index, frame in enumerate(json.loads(archive.read("manifest.json"))["frames"]):
        for end in ("image", "mask"):
            if frame[end] is not None:
                raw = np.frombuffer(archive.read(f"frames/{index:03d}.{end}"), frame[end]["dtype"])
                yield f" [frames/{index:03d}.{end}]", raw.reshape(frame[end]["shape"])
