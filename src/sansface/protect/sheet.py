"""Contact sheets: of a bundle alone, for `inspect`; and before/after, on request, for the user's own eyes."""

from math import ceil
from pathlib import Path

import cv2
import numpy as np

from sansface.capture import Capture, Role
from sansface.errors import SansfaceError
from sansface.files import written_beside
from sansface.protect.contents import Bundle, BundleFrame
from sansface.protect.photograph import fractions, read_codes

COLUMNS = 10
GAP = 2
BLUE = (60, 90, 140)  # what is withheld
TILE = 128


def contact_sheet(bundle: Bundle) -> np.ndarray:
    """Every picture as it is in the bundle, σ stretched to its scale, withheld pixels blue.

    Returns:
        (h, w, 3) uint8 sRGB.
    """
    return _tiled([picture_of(frame) for frame in bundle.frames], COLUMNS)


def before_after(capture: Capture, bundle: Bundle) -> np.ndarray:
    """Each photograph, background included, beside what became of it.

    The result holds the sensitive photographs: it is for the user who made them, and stays with them.

    Returns:
        (h, w, 3) uint8 sRGB.

    Raises:
        SansfaceError: the bundle is not of that capture, or a photograph cannot be read.
    """
    if len(capture.frames) != len(bundle.frames):
        raise SansfaceError("the capture and the bundle have different numbers of frames; protect again.")
    pairs = []
    for frame, out in zip(capture.frames, bundle.frames, strict=True):
        colour, _ = read_codes(frame)
        before = np.rint(
            fractions(cv2.resize(colour, _tile_size(colour), interpolation=cv2.INTER_AREA)) * 255
        )
        after = picture_of(out)
        after = cv2.resize(after, _tile_size(after), interpolation=cv2.INTER_NEAREST)
        pairs.append(_tiled([before.astype(np.uint8), after], 2))
    return _tiled(pairs, 4)


def write_sheet(picture: np.ndarray, path: str | Path, bundle_path: str | Path | None = None) -> None:
    """Write a sheet as PNG.

    Args:
        picture: (h, w, 3) uint8 sRGB.
        path: where to.
        bundle_path: for a before/after sheet, where the bundle lies.

    Raises:
        SansfaceError: the path is in the bundle's folder, from where it might be sent along; or cannot be
            written.
    """
    path = Path(path)
    if bundle_path is not None:
        check_apart(path, bundle_path)
    data = cv2.imencode(".png", picture[:, :, ::-1])[1].tobytes()
    with written_beside(path) as part:
        part.write_bytes(data)


def check_apart(path: str | Path, bundle_path: str | Path) -> None:
    """A before/after sheet shows the photographs, so it may not lie where the bundle is sent from.

    Raises:
        SansfaceError: it would lie in the bundle's folder.
    """
    # Of the files' own folders: what is a link there is replaced there.
    if Path(path).parent.resolve() == Path(bundle_path).parent.resolve():
        raise SansfaceError(
            f"the sheet {path} would lie beside the bundle and shows the photographs; choose another folder."
        )


def picture_of(frame: BundleFrame) -> np.ndarray:
    """(h, w, 3) uint8, what the codes say."""
    if frame.role is Role.NEUTRAL:
        return np.rint(frame.values() * 255).astype(np.uint8)
    grey = np.rint(frame.values() / frame.scale * 255).astype(np.uint8)
    return np.where(frame.shared()[:, :, None], grey[:, :, None], np.array(BLUE, dtype=np.uint8))


def _tile_size(picture: np.ndarray) -> tuple[int, int]:
    height, width = picture.shape[:2]
    scale = TILE / max(height, width)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _tiled(pictures: list[np.ndarray], columns: int) -> np.ndarray:
    """Pictures in rows on a dark ground."""
    columns = min(columns, len(pictures))
    rows = ceil(len(pictures) / columns)
    height = max(picture.shape[0] for picture in pictures) + GAP
    width = max(picture.shape[1] for picture in pictures) + GAP
    sheet = np.full((rows * height - GAP, columns * width - GAP, 3), 32, dtype=np.uint8)
    for index, picture in enumerate(pictures):
        top, left = index // columns * height, index % columns * width
        sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return sheet
