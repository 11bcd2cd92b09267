"""Rows d and e: which photographs are called neutral, and how often a face is missed or imagined.

    python benchmarks/roles.py [--captures FOLDER] [--photos FOLDER] [--seeds 0 1 2] [--draw 500]
                               [--faceless 40] [--processes 1]

Row d: the roles of the capture `lps`, decided without the ones that it has, against these.
Row e: rule (i) alone, on photographs drawn from Labeled Faces in the Wild as they are, and changed: turned by
any angle, mirrored, cut in half at the nose, a bar of any colour over the eyes or over the mouth. A picture
is called faceless if no detector finds anything in it. And the opposite, lest everything be a face: pictures
that show none.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from sansface.capture import Role
from sansface.faces.detectors import SURE, Detectors, Finding, find_faces
from sansface.faces.roles import decide, look
from sansface.formats import read_capture
from sansface.photographs.decode import decode_rgb
from sansface.protect.photograph import read_codes

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
USUAL = np.array([[105, 112], [146, 112], [125, 137], [108, 158], [142, 158]], dtype=np.float64)
"""Where the landmarks of LFW's photographs of 250 pixels lie on average, for those where YuNet sees none."""


def landmarks(findings: Sequence[Finding]) -> np.ndarray:
    """(5, 2) eyes, nose, corners of the mouth of the middle face: where to cut and to cover."""
    found = [one for one in findings if one.kind == "face" and one.score >= SURE]
    upright = [one.landmarks for one in found if one.landmarks is not None and one.turned == 0]
    middle = [points for points in upright if np.abs(points.mean(axis=0) - USUAL.mean(axis=0)).max() < 40]
    return middle[0] if middle else USUAL


def changed(
    picture: np.ndarray, points: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[str, np.ndarray]]:
    """What row e does to a picture: (name, (h, w, 3) uint8)."""
    yield "turned", turned(picture, rng.uniform(0, 360), colour(rng))
    yield "mirrored", picture[:, ::-1]
    nose = int(np.clip(points[2, 0], 50, picture.shape[1] - 50))
    yield "halved", picture[:, :nose] if rng.random() < 0.5 else picture[:, nose:]
    yield "eyes covered", barred(picture, points[0], points[1], points, colour(rng))
    yield "mouth covered", barred(picture, points[3], points[4], points, colour(rng))


def colour(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
    return red, green, blue


def turned(picture: np.ndarray, angle: float, ground: tuple[int, int, int]) -> np.ndarray:
    """All of the picture, turned about its centre, on a ground of one colour."""
    height, width = picture.shape[:2]
    fit = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    side = int(np.hypot(height, width))
    fit[:, 2] += (side - width) / 2, (side - height) / 2
    return cv2.warpAffine(picture, fit, (side, side), borderValue=ground)


def barred(
    picture: np.ndarray, one: np.ndarray, other: np.ndarray, points: np.ndarray, ground: tuple[int, int, int]
) -> np.ndarray:
    """A bar over both points and beyond, three quarters of the eyes' distance high."""
    height = 0.75 * np.linalg.norm(points[1] - points[0])
    beyond = 0.45 * (other - one)
    ends = [tuple(int(value) for value in end) for end in (one - beyond, other + beyond)]
    return cv2.line(picture.copy(), ends[0], ends[1], ground, max(1, round(height)))


def faceless_pieces(picture: np.ndarray, points: np.ndarray) -> list[np.ndarray]:
    """Strips of a photograph beside and below its face, at least 50 pixels wide."""
    eyes = float(np.linalg.norm(points[1] - points[0]))
    left, right = int(points[:, 0].min() - 1.6 * eyes), int(points[:, 0].max() + 1.6 * eyes)
    below = int(points[3:, 1].max() + 1.8 * eyes)
    strips = [picture[:, : max(0, left)], picture[:, right:], picture[below:]]
    return [strip for strip in strips if min(strip.shape[:2]) >= 50]


def textures(rng: np.random.Generator, count: int) -> Iterator[np.ndarray]:
    """Smooth noise of any scale and colour, and plain ones."""
    for index in range(count):
        picture = np.full((250, 250, 3), colour(rng), np.float64)
        if index % 5:
            noise = cv2.GaussianBlur(rng.normal(size=(250, 250, 3)), (0, 0), float(2 ** rng.uniform(0, 5)))
            picture += 60 * noise / noise.std()
        yield np.clip(picture, 0, 255).astype(np.uint8)


def rows_of_e(
    seed: int, photos: Path, draw: int, faceless: int, rear: list[np.ndarray]
) -> dict[str, list[bool]]:
    """For each kind of picture, whether each one was called faceless."""
    rng = np.random.default_rng(seed)
    detectors = Detectors()
    files = sorted(photos.glob("img/*/*.jpg"))
    chosen = [files[index] for index in rng.permutation(len(files))[:draw]]
    called: dict[str, list[bool]] = {}

    def ask(name: str, picture: np.ndarray) -> None:
        called.setdefault(name, []).append(not find_faces(np.ascontiguousarray(picture), detectors))

    for count, file in enumerate(chosen):
        picture = decode_rgb(file, "photograph")
        findings = find_faces(picture, detectors)
        called.setdefault("as it is", []).append(not findings)
        points = landmarks(findings)
        for name, other in changed(picture, points, rng):
            ask(name, other)
        if count < faceless:
            pieces = faceless_pieces(picture, points)
            if pieces:
                ask("no face: strip beside or below one", pieces[rng.integers(len(pieces))])
        if count % 50 == 49:
            print(f"seed {seed}: {count + 1} of {draw}", file=sys.stderr)
    for picture in textures(rng, faceless):
        ask("no face: plain or smooth noise", picture)
    for picture in rear:
        ask("no face: back of a head, turned", turned(picture, rng.uniform(-45, 45), colour(rng)))
    return called


def row_d(captures: Path) -> tuple[str, list[np.ndarray]]:
    """A sentence, and the pictures that are neutral in truth."""
    capture = read_capture(captures / "lps")
    decisions = decide(capture, seen=look(capture))
    neutral = [one for one in decisions if one.frame.role is Role.NEUTRAL]
    leaks = [
        one.frame.image.name
        for one in decisions
        if (one.frame.role, one.role) == (Role.SENSITIVE, Role.NEUTRAL)
    ]
    found = sum(one.role is Role.NEUTRAL for one in neutral)
    imagined = sum(bool(one.findings) for one in neutral)
    pictures = [read_codes(one.frame)[0] for one in neutral]
    said = (
        f"row d: {len(leaks)} sensitive frames called neutral ({', '.join(leaks) or 'none'}), {found} of "
        f"{len(neutral)} neutral ones found; a face imagined in {imagined} of these {len(neutral)}."
    )
    return said, [np.ascontiguousarray(picture) for picture in pictures]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--captures", type=Path, default=os.environ.get("SANSFACE_CAPTURES", SHARED / "captures")
    )
    parser.add_argument("--photos", type=Path, default=None)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--draw", type=int, default=500)
    parser.add_argument("--faceless", type=int, default=40)
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    assets = Path(os.environ.setdefault("SANSFACE_ASSETS", str(SHARED / "assets")))
    photos = options.photos or assets / "photos" / "lfw"
    said, rear = row_d(Path(options.captures))
    print(said)
    work = partial(rows_of_e, photos=photos, draw=options.draw, faceless=options.faceless, rear=rear)
    with ProcessPoolExecutor(options.processes, get_context("spawn")) as pool:
        results = list(pool.map(work, options.seeds))
    print(f"\n| picture | each | called faceless, % (seeds {', '.join(map(str, options.seeds))}) | mean |")
    print("|---|---|---|---|")
    for name in results[0]:
        rates = [100 * float(np.mean(result[name])) for result in results]
        each = ", ".join(f"{rate:.1f}" for rate in rates)
        print(f"| {name} | {len(results[0][name])} | {each} | {np.mean(rates):.1f} |")


if __name__ == "__main__":
    main()
