"""Can the licence plate be read? A plain reader that compares pictures with what each letter would look like.

    python benchmarks/plate_reader.py [CAPTURE ...] [--resolutions 32 64 128 256] [--table FILE.jsonl]

CAPTURE: of benchmarks/make_scenes.py --scenes plate --seeds 0 1 2 ...; else those in the user's cache.

The reader knows the font, σ, the cameras and where the plate is, which a server can find out; only the
letters it does not know. It draws the plate with a letter in a slot, as that view's camera and σ would have
it, and takes the letter by which the slot's pixels correlate best with the picture, all pixels of all views
together; then the next slot, and all of them again with the neighbours that it has found. It is no trained
network: what it reads can be read, what it does not read may still be.

Positive control: clear photographs, of the same and of full size. Negative control: the same readings against
the letters of the next plate, which must come out at chance.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmark_scenes import DARK, LETTERS, Sheet, plate_picture, slot
from lettering import ALPHABET
from path_tracing import cache
from sansface import read_capture
from sansface.bench.baseline import baseline_supervision
from sansface.capture import Capture
from sansface.heads.trace import srgb
from sansface.protect.contents import inside_outline
from sansface.protect.operators import Operator
from sansface.protect.pipeline import ProtectSettings, protect
from sansface.reconstruct.supervision import Kind, Supervision, View, from_bundle

ROWS = 96
"""Of the plate as the reader draws it."""
SWEEPS = 4
"""Over the slots, at most; the first one knows no neighbours to the right."""
OBLIQUE = 0.3
"""Least cosine between the plate's normal and the way to a camera that is asked."""


@dataclass(frozen=True, eq=False)
class Patch:
    """Where one letter has a part in one view.

    Attributes:
        target: (h, w) what is there: σ, or the mean of the colours.
        within: (h, w) bool, the pixels that count.
        warp: (3, 3) from pixels of the reader's plate to the patch's, `finer` times as fine.
        finer: pixels of the warp along a pixel's side.
        sigma: None for a clear picture.
    """

    target: np.ndarray
    within: np.ndarray
    warp: np.ndarray
    finer: int
    sigma: Operator | None

    def agreement(self, drawn: np.ndarray) -> float:
        """Normalised cross-correlation with a plate drawn (rows, columns, 3) in sRGB, times the pixels."""
        h, w = self.target.shape
        size = (w * self.finer, h * self.finer)
        fine = cv2.warpPerspective(drawn, self.warp, size, flags=cv2.INTER_LINEAR, borderValue=AROUND)
        small = fine.reshape(h, self.finer, w, self.finer, 3).mean(axis=(1, 3))
        expected = small.mean(axis=2) if self.sigma is None else self.sigma(small)
        a, b = self.target[self.within], expected[self.within]
        if len(a) < 2:
            return 0.0
        a, b = a - a.mean(), b - b.mean()
        length = np.sqrt((a @ a) * (b @ b))
        return float(len(a) * (a @ b) / length) if length > 0 else 0.0


AROUND = tuple(float(value) for value in srgb(np.array(DARK, dtype=np.float32)))
"""What the plate is mounted on."""


def patches(supervision: Supervision, sheet: Sheet) -> list[list[Patch]]:
    """The letters in each view that sees the plate well enough, the view that sees it largest first."""
    corners = sheet.at(np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=np.float64))
    found = []
    for view in supervision.views:
        away = supervision.center + supervision.radius * view.camera.center - corners.mean(axis=0)
        if away @ sheet.normal() > OBLIQUE * np.linalg.norm(away):
            pixels, _ = view.camera.project((corners - supervision.center) / supervision.radius)
            area = cv2.contourArea(pixels.astype(np.float32))
            found.append((area, _letters(view, pixels, supervision.operator)))
    return [letters for _, letters in sorted(found, key=lambda pair: -pair[0])]


def _letters(view: View, corners: np.ndarray, sigma: Operator) -> list[Patch]:
    """corners: (4, 2) pixels of the plate's, from the upper left one clockwise."""
    h, w = view.target.shape[:2]
    unit = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=np.float32)
    pixel_from_unit = cv2.getPerspectiveTransform(unit, corners.astype(np.float32))
    y, x = np.mgrid[:h, :w] + 0.5
    place = np.stack([x, y, np.ones_like(x)], axis=-1) @ np.linalg.inv(pixel_from_unit).T
    place = place[..., :2] / place[..., 2:]
    columns = plate_picture("", ROWS)[1].shape[1]
    # cv2 puts the centre of the first pixel at (0, 0)
    unit_from_drawn = np.array([[1 / columns, 0, 0.5 / columns], [0, 1 / ROWS, 0.5 / ROWS], [0, 0, 1]])
    finer = max(2, round(ROWS / np.linalg.norm(corners[3] - corners[0])))  # about a drawn pixel each
    protected = view.kind is Kind.MODULUS
    letters = []
    for number in range(LETTERS):
        left, top, right, bottom = slot(number, LETTERS)
        inside = np.all((place > (left, top)) & (place < (right, bottom)), axis=2)
        within = ~inside_outline(~inside, sigma.reach) & view.shared
        if not within.any():
            within[0, 0] = True  # one pixel says nothing
        rows, cols = np.nonzero(within)
        first = np.maximum(np.array([rows.min(), cols.min()]) - sigma.reach, 0)
        last = np.minimum(np.array([rows.max(), cols.max()]) + 1 + sigma.reach, (h, w))
        cut = (slice(first[0], last[0]), slice(first[1], last[1]))
        fine = np.array([[finer, 0, -finer * first[1] - 0.5], [0, finer, -finer * first[0] - 0.5], [0, 0, 1]])
        target = view.target[cut] if protected else view.target[cut].mean(axis=2)
        warp = fine @ pixel_from_unit @ unit_from_drawn
        letters.append(Patch(target, within[cut], warp, finer, sigma if protected else None))
    return letters


def read(views: Sequence[Sequence[Patch]]) -> str:
    """What the plate says, as far as these views tell."""
    text = [" "] * LETTERS
    for _ in range(SWEEPS):
        before = list(text)
        for number in range(LETTERS):
            scores = []
            for sign in ALPHABET:
                text[number] = sign
                drawn = srgb(plate_picture("".join(text), ROWS)[0])
                scores.append(sum(letters[number].agreement(drawn) for letters in views))
            text[number] = ALPHABET[int(np.argmax(scores))]
        if text == before:
            break
    return "".join(text)


def readings(capture: Capture, resolution: int, clear: bool) -> dict[str, str]:
    """What is read from the best view alone, and from all views together."""
    settings = ProtectSettings(resolution=resolution)
    made = baseline_supervision(capture, settings) if clear else from_bundle(protect(capture, settings))
    views = patches(made, sheet_of(capture))
    return {"best view": read(views[:1]), "all views": read(views)}


def sheet_of(capture: Capture) -> Sheet:
    """The plate, as meta.json says."""
    (said,) = capture.meta["sheets"]
    return Sheet(said["text"], *(np.array(said[name]) for name in ("corner", "across", "down")))


def right(read: Sequence[str], written: Sequence[str]) -> float:
    """Share of the letters that agree."""
    return float(
        np.mean(
            [
                a == b
                for one, other in zip(read, written, strict=True)
                for a, b in zip(one, other, strict=True)
            ]
        )
    )


def table(lines: list[dict]) -> str:
    """A row a kind of picture and number of views."""
    rows = [
        "| pictures | views | plates | letters right | plates wholly right | letters of the next plate |",
        "|---|---|---|---|---|---|",
    ]
    for kind in dict.fromkeys((line["pictures"], line["resolution"], line["views"]) for line in lines):
        chosen = [line for line in lines if (line["pictures"], line["resolution"], line["views"]) == kind]
        read, written = ([line[key] for line in chosen] for key in ("read", "written"))
        whole = sum(a == b for a, b in zip(read, written, strict=True))
        wrong = f"{100 * right(read, written[1:] + written[:1]):.0f} %" if len(chosen) > 1 else "–"
        rows.append(
            f"| {kind[0]}, {kind[1]} px | {kind[2]} | {len(chosen)} | {100 * right(read, written):.0f} % | "
            f"{whole} | {wrong} |"
        )
    return "\n".join([*rows, f"Chance: {100 / len(ALPHABET):.0f} %."])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("captures", type=Path, nargs="*")
    parser.add_argument("--resolutions", type=int, nargs="+", default=[32, 64, 128, 256])
    parser.add_argument("--table", type=Path)
    options = parser.parse_args()
    lines = []
    for folder in options.captures or sorted(cache("benchmark-scenes").glob("plate??")):
        capture = read_capture(folder)
        written = sheet_of(capture).text
        full = max(capture.frames[0].camera.width, capture.frames[0].camera.height)
        kinds = [("protected", r, False) for r in options.resolutions]
        kinds += [("clear", r, True) for r in (*options.resolutions, full)]
        for pictures, resolution, clear in kinds:
            for views, text in readings(capture, resolution, clear).items():
                line = {"capture": folder.name, "pictures": pictures, "resolution": resolution}
                lines.append(line | {"views": views, "written": written, "read": text})
                print(json.dumps(lines[-1]), flush=True)
                if options.table:
                    with options.table.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(lines[-1]) + "\n")
    print(table(sorted(lines, key=lambda line: (line["pictures"] == "clear", line["resolution"]))))


if __name__ == "__main__":
    main()
