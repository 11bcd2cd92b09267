"""The photographs of a folder: decoded once, copied without EXIF, and searched for features and markers."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from sansface.errors import SansfaceError
from sansface.files import os_error_sentence
from sansface.formats.pictures import pictures_in
from sansface.photographs.decode import decode, is_video
from sansface.photographs.features import Features, find_features
from sansface.photographs.scale import find_markers

REDUCED = 1600
"""Longer side in pixels at which features are found."""
QUALITY = 97
"""Of the copies of photographs that were compressed already."""
THREADS = 2
_LOSSLESS = (".png", ".tif", ".tiff", ".bmp")


@dataclass(frozen=True, eq=False)
class Photograph:
    """One photograph; its pixels are on the disk alone.

    Attributes:
        name: of the user's file.
        digest: of its pixels.
        image: the copy: upright, without EXIF.
        mask: its alpha as a mask, None where there is none.
        size: (width, height) of the copy.
        reduced: (width, height) in which features and markers are.
    """

    name: str
    digest: bytes
    image: Path
    mask: Path | None
    size: tuple[int, int]
    reduced: tuple[int, int]
    features: Features
    markers: dict[tuple[str, int], np.ndarray]

    def forget(self) -> None:
        """Delete the copies."""
        self.image.unlink()
        if self.mask is not None:
            self.mask.unlink()


def list_photographs(folder: Path) -> tuple[list[Path], tuple[str, ...]]:
    """The photographs of a folder by suffix, sorted by name, and the names of other files.

    Raises:
        SansfaceError: no folder, none in it, or two that differ in their suffix or in capitals alone.
    """
    if folder.is_file():
        with folder.open("rb") as file:
            what = "a video; save single frames of it" if is_video(file.read(16)) else "a file"
        raise SansfaceError(f"{folder} is {what}; give a folder of photographs.")
    if not folder.is_dir():
        raise SansfaceError(f"there is no folder {folder}; give the folder of your photographs.")
    found = [path for path in pictures_in(folder) if not path.name.startswith(".")]
    files = (path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    others = tuple(sorted({path.name for path in files} - {path.name for path in found}))
    if not found:
        more = f", only {', '.join(others[:3])}" if others else ""
        raise SansfaceError(
            f"{folder} holds no photograph{more}; give a folder of JPEG, PNG, TIFF, WebP or HEIC files."
        )
    stems: dict[str, Path] = {}
    for path in found:
        other = stems.setdefault(path.stem.casefold(), path)
        if other != path:
            raise SansfaceError(f"{path} and {other.name} are named alike; rename one of them.")
    return found, others


def read_photographs(
    found: Sequence[Path], out: Path, progress: Callable[[float], None]
) -> tuple[list[Photograph], tuple[tuple[str, str], ...]]:
    """Decode, copy to `images/` and `masks/` of `out`, and look for features, two photographs at a time.

    Returns:
        The photographs, and (name left out, name of the same picture that stays) of each that is there twice.

    Raises:
        SansfaceError: a photograph cannot be read, or a copy cannot be written. All are tried first.
    """
    (out / "images").mkdir()
    faults: list[SansfaceError] = []
    kept: dict[bytes, Photograph] = {}
    twins: list[tuple[str, str]] = []
    with ThreadPoolExecutor(THREADS) as pool:
        try:
            for done, one in enumerate(pool.map(partial(_read, out=out), found), start=1):
                if isinstance(one, SansfaceError):
                    faults.append(one)
                elif one.digest in kept:
                    twins.append((one.name, kept[one.digest].name))
                    one.forget()
                else:
                    kept[one.digest] = one
                progress(done / len(found))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    if faults:
        more = f" ({len(faults) - 1} more photographs have faults, too.)" if len(faults) > 1 else ""
        raise SansfaceError(f"{faults[0]}{more}")
    return list(kept.values()), tuple(twins)


def _read(path: Path, out: Path) -> Photograph | SansfaceError:
    try:
        pixels = decode(path, "photograph", upright=True)
        colour, alpha = pixels[:, :, :3], None
        if pixels.shape[2] == 4 and pixels[:, :, 3].min() != pixels[:, :, 3].max():
            alpha = _eight_bits(pixels[:, :, 3])
        exact = path.suffix.lower() in _LOSSLESS or colour.dtype == np.uint16
        image = out / "images" / f"{path.stem}{'.png' if exact else '.jpg'}"
        write_picture(image, colour)
        mask = None
        if alpha is not None:
            mask = out / "masks" / f"{path.stem}.png"
            mask.parent.mkdir(exist_ok=True)
            write_picture(mask, alpha)
        grey = _grey(colour)
        reduced = (grey.shape[1], grey.shape[0])
        where = None if alpha is None else cv2.resize(alpha, reduced, interpolation=cv2.INTER_AREA)
        return Photograph(
            name=path.name,
            digest=hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).digest(),
            image=image,
            mask=mask,
            size=(colour.shape[1], colour.shape[0]),
            reduced=reduced,
            features=find_features(grey, where),
            markers=find_markers(grey),
        )
    except SansfaceError as error:
        return error


def write_picture(path: Path, pixels: np.ndarray) -> None:
    """Write grey or BGR pixels as PNG or JPEG, as the suffix says.

    Raises:
        SansfaceError: the file cannot be written.
    """
    full = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    how = [cv2.IMWRITE_JPEG_QUALITY, QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, full]
    data = cv2.imencode(path.suffix, pixels, how if path.suffix == ".jpg" else [])[1]
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise SansfaceError(os_error_sentence("write", path, error)) from error


def _eight_bits(pixels: np.ndarray) -> np.ndarray:
    return pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)


def _grey(colour: np.ndarray) -> np.ndarray:
    """(h, w) uint8 of at most `REDUCED` pixels a side."""
    height, width = colour.shape[:2]
    scale = min(1.0, REDUCED / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = _eight_bits(cv2.resize(colour, size, interpolation=cv2.INTER_AREA))
    return cv2.cvtColor(small, cv2.COLOR_BGR2GRAY) if small.ndim == 3 else small
