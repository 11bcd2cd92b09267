"""Decisions on roles for the user's own eyes: a table on the screen, and on request a sheet of pictures."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from rich.markup import escape
from rich.table import Table

from sansface.capture import Role
from sansface.errors import SansfaceError
from sansface.faces.roles import Decision
from sansface.protect.photograph import read_colour

TILE = 256
"""Pixels of a photograph's longer side on the sheet."""
LINE = 16
COLUMNS = 6
COLOURS = {Role.NEUTRAL: (90, 200, 120), Role.SENSITIVE: (230, 90, 80)}


def table(decisions: Sequence[Decision]) -> Table:
    """A row a photograph: name, role, reasons."""
    shown = Table("photograph", "role", "why", box=None, pad_edge=False)
    for one in decisions:
        colour = "green" if one.role is Role.NEUTRAL else "red"
        shown.add_row(
            escape(one.frame.image.name), f"[{colour}]{one.role}[/]", escape("; ".join(one.reasons))
        )
    return shown


def sheet(decisions: Sequence[Decision]) -> np.ndarray:
    """Every photograph with its role, its angle and a frame around whatever was taken for a face.

    It shows the faces: it is for the user who took the photographs, and stays with him.

    Returns:
        (h, w, 3) uint8 sRGB.

    Raises:
        SansfaceError: a photograph cannot be read.
    """
    columns = min(COLUMNS, len(decisions))
    rows = -(-len(decisions) // columns)
    side = TILE + 6
    picture = np.full((rows * (side + LINE), columns * side, 3), 24, np.uint8)
    for index, one in enumerate(decisions):
        top, left = index // columns * (side + LINE), index % columns * side
        tile, colour = _tile(one), COLOURS[one.role]
        height, width = tile.shape[:2]
        picture[top + LINE : top + LINE + height + 6, left : left + width + 6] = colour
        picture[top + LINE + 3 : top + LINE + 3 + height, left + 3 : left + 3 + width] = tile
        angle = "" if one.angle is None else f" {one.angle:.0f} deg"
        words = f"{one.frame.image.stem[-14:]} {one.role}{angle}".encode("ascii", "replace").decode()
        where = (left + 3, top + LINE - 4)
        cv2.putText(picture, words, where, cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1, cv2.LINE_AA)
    return picture


def _tile(one: Decision) -> np.ndarray:
    colour, _ = read_colour(one.frame)
    scale = TILE / max(colour.shape[:2])
    size = max(1, round(colour.shape[1] * scale)), max(1, round(colour.shape[0] * scale))
    tile = np.rint(cv2.resize(colour, size, interpolation=cv2.INTER_AREA) * 255).astype(np.uint8)
    for finding in one.findings:
        middle, sides = (finding.box[:2] + finding.box[2:] / 2) * scale, finding.box[2:] * scale
        corners = cv2.boxPoints((tuple(middle), tuple(sides), float(finding.turned)))
        cv2.polylines(
            tile, [np.rint(corners).astype(np.int32)], True, COLOURS[Role.SENSITIVE], 1, cv2.LINE_AA
        )
    return tile


def check_no_bundle_beside(path: Path) -> None:
    """The sheet shows the photographs, so it may not lie where a bundle is sent from.

    Raises:
        SansfaceError: there is a bundle in its folder.
    """
    if any(path.parent.resolve().glob("*.sfb")):
        raise SansfaceError(
            f"the sheet {path} would lie beside a bundle and shows the photographs; choose another folder."
        )
