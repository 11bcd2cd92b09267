"""Results to look at, the worst ones among them: each photograph beside what a method made of it.

The pictures are of people, so the sheet is written only where the user says, never inside a repository; they
are small and have AUDIT written across them. No name stands there, only the portrait's number.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from sansface.audit.thumbnails import stamped
from sansface.bench.deidentify.cohort import Cohort
from sansface.bench.deidentify.measure import Hidden
from sansface.bench.deidentify.scorers import Scorer, distances
from sansface.errors import SansfaceError
from sansface.evaluate.png import write_png

COUNT, ACROSS, SIDE = 40, 5, 200
"""Pairs on a sheet, pairs in a line, and pixels of a picture."""


def worst_first(
    pictures: Sequence[Hidden], scorers: Sequence[Scorer], count: int, rng: np.random.Generator
) -> list[tuple[int, str]]:
    """Which to look at, and why: a quarter each the least hidden, of the lowest SSIM of the face, those in
    which no face is found or expression changed most, and any.

    Returns:
        (place in `pictures`, reason), at most `count`, none twice.
    """
    which = np.array([one.index for one in pictures])
    apart = np.mean(
        [
            distances(
                one.recogniser.embed(np.stack([p.crops[one.recogniser.placing] for p in pictures])),
                one.probes[which],
            )
            for one in scorers
        ],
        axis=0,
    )
    moved = [
        np.inf if not one.detected else one.changes[0].expression if one.changes else 0.0 for one in pictures
    ]
    orders = {
        "least hidden": np.argsort(apart),
        "least alike": np.argsort([one.quality.ssim_face for one in pictures]),
        "no face, or expression": np.argsort(-np.array(moved), kind="stable"),
        "any": rng.permutation(len(pictures)),
    }
    chosen: dict[int, str] = {}
    for number, (reason, order) in enumerate(orders.items(), start=1):
        for place in order.tolist():
            if len(chosen) >= count * number // len(orders):
                break
            chosen.setdefault(place, reason)
    return list(chosen.items())


def sheet(pictures: Sequence[Hidden], chosen: Sequence[tuple[int, str]], cohort: Cohort) -> np.ndarray:
    """(h, w, 3) uint8: photograph and result side by side, `ACROSS` pairs in a line."""
    cells = []
    for place, reason in chosen:
        one = pictures[place]
        assert one.picture is not None
        pair = [stamped(picture, SIDE) for picture in (cohort.portraits[one.index].picture, one.picture)]
        cell = np.full((SIDE + 16, 2 * SIDE + 8, 3), 255, np.uint8)
        for column, picture in enumerate(pair):
            height, width = picture.shape[:2]
            cell[16 : 16 + height, column * SIDE : column * SIDE + width] = picture
        cv2.putText(
            cell, f"{one.index + 1}: {reason}", (4, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (40, 40, 40), 1
        )
        cells.append(cell)
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % ACROSS)
    return np.concatenate(
        [np.concatenate(cells[k : k + ACROSS], axis=1) for k in range(0, len(cells), ACROSS)]
    )


def check_folder(folder: Path) -> None:
    """Refuse a folder inside a repository, where pictures of people would be one `git add` from being
    published.

    Raises:
        SansfaceError: it lies in one.
    """
    place = folder.resolve()
    if any((parent / ".git").exists() for parent in (place, *place.parents)):
        raise SansfaceError(
            f"{folder} lies in a repository, and a sheet shows people; choose a folder outside."
        )


def write_sheet(
    pictures: Sequence[Hidden], scorers: Sequence[Scorer], cohort: Cohort, folder: Path, name: str, seed: int
) -> Path:
    """FOLDER/NAME.png, for its owner's eyes; returns its path."""
    check_folder(folder)
    chosen = worst_first(pictures, scorers, COUNT, np.random.default_rng([seed, 5]))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{name.replace(' ', '-')}.png"
    write_png(path, sheet(pictures, chosen, cohort))
    return path
