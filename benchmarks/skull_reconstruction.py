"""Real photographs: the skull at 128 px, protected against all RGB, measured on its sparse points.

    python benchmarks/skull_reconstruction.py [--captures ../shared/captures] [--seeds 0 1 2]
                                              [--table FILE.jsonl] [--look FOLDER]

Recipe. Masks: brighter than a part of Otsu's threshold, cut by the hull that these masks carve by vote, with
what is surely inside that hull (eye sockets are dark). Roles: the 20 frames nearest to the skull's front
sensitive, the rest neutral. Poses: the given ones. A sparse point counts that lies inside the masks of four
frames or more and of nine in ten of all the pictures that it falls into: the model keeps no tracks, so who
sees a point is not known. R: 99th percentile of these points' distance from their centre.

Prints the points' distances to the mesh in per cent of R, and protected / all RGB. Each run is a process of
its own. --look writes the masked photographs and the capture there, for your own eyes.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from commands import CAPTURES
from sansface.capture import Camera, Capture, Frame, Role, Sphere
from sansface.formats import read_capture
from sansface.formats.colmap import read_points
from sansface.formats.transforms_json import write_transforms_json
from sansface.photographs.decode import decode
from sansface.protect.photograph import read_codes

FRONT = "17.jpg"
"""A photograph from straight in front."""
SENSITIVE = 20
RESOLUTION = 128
BRIGHT = 0.55
"""Of Otsu's threshold: the jaw lies in the shade. What else is as bright is in a few pictures only."""
VOXELS = 128
SEEN_BY = 4
"""Frames at least."""
AGREE = 0.9
"""Part of the masks in whose pictures a place falls that must hold it."""
RUNS = ("protected", "baseline")


def undistorted(frame: Frame) -> tuple[np.ndarray, Camera]:
    """(h, w, 3) uint8 BGR and the camera without distortion."""
    camera = frame.camera
    image = decode(frame.image, "photograph", upright=False)
    return cv2.undistort(image, camera.K, camera.distortion), replace(camera, distortion=np.zeros(5))


def bright(image: np.ndarray) -> np.ndarray:
    """(h, w) bool: the largest bright piece of a photograph, its holes filled."""
    value = cv2.GaussianBlur(image.max(axis=2), (0, 0), 2)
    level = cv2.threshold(value, 0, 255, cv2.THRESH_OTSU)[0]
    light = (value > BRIGHT * level).astype(np.uint8)
    light = cv2.morphologyEx(light, cv2.MORPH_OPEN, np.ones((7, 7), np.uint8))
    outlines = cv2.findContours(light, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    largest = max(outlines, key=cv2.contourArea)
    return cv2.drawContours(np.zeros_like(light), [largest], -1, 1, cv2.FILLED) > 0


def votes(
    points: np.ndarray, cameras: list[Camera], masks: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """(n,) pictures that each point falls into, and (n,) masks that hold it."""
    falls, held = np.zeros(len(points), int), np.zeros(len(points), int)
    for camera, mask in zip(cameras, masks, strict=True):
        pixels, depth = camera.project(points)
        inside = (
            (depth > 0) & (pixels >= 0).all(axis=1) & (pixels < (camera.width, camera.height)).all(axis=1)
        )
        column, row = np.floor(pixels[inside]).astype(int).T
        falls += inside
        held[inside] += mask[row, column]
    return falls, held


def hull(cameras: list[Camera], masks: list[np.ndarray], sphere: Sphere) -> tuple[np.ndarray, float]:
    """(n, 3) centres of the voxels that most masks agree on, and a voxel's side."""
    steps = ((np.arange(VOXELS) + 0.5) / VOXELS * 2 - 1) * sphere.radius
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    grid = grid[(grid**2).sum(axis=1) < sphere.radius**2] + sphere.center
    falls, held = votes(grid, cameras, masks)
    return grid[(held >= AGREE * falls) & (falls >= len(cameras) / 2)], 2 * sphere.radius / VOXELS


def drawn(points: np.ndarray, side: float, camera: Camera) -> np.ndarray:
    """(h, w) bool: the picture of voxels."""
    pixels, depth = camera.project(points)
    picture = np.zeros((camera.height, camera.width), np.uint8)
    inside = (pixels >= 0).all(axis=1) & (pixels < (camera.width, camera.height)).all(axis=1)
    column, row = np.floor(pixels[inside]).astype(int).T
    picture[row, column] = 1
    wide = int(np.ceil(side * camera.K[0, 0] / np.median(depth))) | 1
    return cv2.dilate(picture, np.ones((wide, wide), np.uint8)) > 0


def widened(mask: np.ndarray, pixels: int) -> np.ndarray:
    """Wider by that many pixels, or narrower where negative."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(pixels) + 1,) * 2)
    change = cv2.dilate if pixels > 0 else cv2.erode
    return change(mask.astype(np.uint8), kernel) > 0


def prepare(skull: Path, out: Path) -> np.ndarray:
    """Write masks and roles as a capture into `out`; (n, 3) the sparse points that count."""
    given = read_capture(skull)
    pictures, cameras = zip(*(undistorted(frame) for frame in given.frames), strict=True)
    cameras = list(cameras)
    first = [bright(picture) for picture in pictures]
    points = read_points(skull)[0]
    falls, held = votes(points, cameras, first)
    points = points[(held >= SEEN_BY) & (held >= AGREE * falls)]
    center = np.median(points, axis=0)
    reach = float(np.percentile(np.linalg.norm(points - center, axis=1), 99))
    carved, side = hull(cameras, first, Sphere(center, 1.2 * reach, "given"))
    masks = []
    for camera, light in zip(cameras, first, strict=True):
        outline = drawn(carved, side, camera)
        margin = round(2 * side * camera.K[0, 0] / np.linalg.norm(camera.center - center))
        masks.append((light & widened(outline, margin)) | widened(outline, -margin))
    falls, held = votes(points, cameras, masks)
    points = points[(held >= SEEN_BY) & (held >= AGREE * falls)]

    toward = {frame.image.name: frame.camera.center - center for frame in given.frames}
    toward = {name: way / np.linalg.norm(way) for name, way in toward.items()}
    nearest = sorted(toward, key=lambda name: -float(toward[name] @ toward[FRONT]))[:SENSITIVE]
    frames = []
    for name in ("images", "masks"):
        (out / name).mkdir(parents=True)
    for frame, picture, camera, mask in zip(given.frames, pictures, cameras, masks, strict=True):
        image = out / "images" / f"{frame.image.stem}.png"
        outline = out / "masks" / f"{frame.image.stem}.png"
        cv2.imwrite(str(image), picture)
        cv2.imwrite(str(outline), 255 * mask.astype(np.uint8))
        role = Role.SENSITIVE if frame.image.name in nearest else Role.NEUTRAL
        frames.append(Frame(camera, role, image, outline))
    write_transforms_json(Capture(tuple(frames)), out)
    return points


def one(capture_folder: Path, points: np.ndarray, run: str, seed: int) -> dict:
    """Reconstruct once, in this process; distances of the points in units of R."""
    from sansface.bench.baseline import baseline_config, baseline_supervision
    from sansface.evaluate.distance import Nearest
    from sansface.protect.pipeline import ProtectSettings, protect
    from sansface.reconstruct.config import preset
    from sansface.reconstruct.run import reconstruct
    from sansface.reconstruct.supervision import from_bundle
    from sansface.surface import read_mesh

    capture, settings = read_capture(capture_folder), ProtectSettings(resolution=RESOLUTION)
    if run == "protected":
        supervision, config = from_bundle(protect(capture, settings)), preset("fast", RESOLUTION)
    else:
        supervision, config = baseline_supervision(capture, settings), baseline_config(resolution=RESOLUTION)
    began = time.perf_counter()
    mesh = reconstruct(supervision, capture_folder / f"{run}-{seed}", config, seed=seed)
    seconds = time.perf_counter() - began
    radius = np.percentile(np.linalg.norm(points - points.mean(axis=0), axis=1), 99)
    away = Nearest(read_mesh(mesh)).query(points)[0] / radius
    return {
        "run": run,
        "seed": seed,
        "points": len(points),
        "median": float(np.median(away)),
        "mean": float(away.mean()),
        "p90": float(np.percentile(away, 90)),
        "seconds": round(seconds, 1),
    }


def table(lines: list[dict]) -> str:
    """Mean ± standard deviation over the seeds of the points' median distance, in per cent of R."""
    rows = ["| run | seeds | median, % R | 90th percentile, % R | seconds |", "|---|---|---|---|---|"]
    means = {}
    for run in dict.fromkeys(line["run"] for line in lines):
        chosen = [line for line in lines if line["run"] == run]
        medians = 100 * np.array([line["median"] for line in chosen])
        spread = f" ± {medians.std(ddof=1):.3f}" if len(medians) > 1 else ""
        far, seconds = (np.mean([line[key] for line in chosen]) for key in ("p90", "seconds"))
        means[run] = medians.mean()
        rows.append(f"| {run} | {len(chosen)} | {means[run]:.3f}{spread} | {100 * far:.2f} | {seconds:.0f} |")
    if set(RUNS) <= means.keys():
        rows.append(f"\nprotected / all RGB: {means['protected'] / means['baseline']:.3f} (≤ 1.10)")
    return "\n".join(rows)


def main() -> None:
    """Measure what is missing in the table, and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--captures", type=Path, default=CAPTURES)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--runs", nargs="*", choices=RUNS, default=RUNS)
    parser.add_argument("--table", type=Path, default=Path("skull_reconstruction.jsonl"))
    parser.add_argument("--look", type=Path, help="keep the capture there, with masked photographs")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    skull = options.captures / "skull01"
    if not skull.is_dir():
        print(f"no capture {skull} (set SANSFACE_CAPTURES)")
        return
    with tempfile.TemporaryDirectory() as folder:
        capture = (options.look or Path(folder)) / "capture"
        points = prepare(skull, capture)
        if options.one:
            print(json.dumps(one(capture, points, options.runs[0], options.seeds[0])))
            return
        if options.look:
            for frame in read_capture(capture).frames:
                colour, mask = read_codes(frame)
                picture = np.where(mask[..., None] > 0, colour[..., ::-1], 255)
                cv2.imwrite(str(options.look / frame.image.name), picture)
        done = []
        if options.table.exists():
            done = [json.loads(line) for line in options.table.read_text().splitlines()]
        for seed in options.seeds:
            for run in options.runs:
                if any((line["run"], line["seed"]) == (run, seed) for line in done):
                    continue
                words = ["--captures", str(options.captures), "--runs", run, "--seeds", str(seed), "--one"]
                told = subprocess.run(
                    [sys.executable, __file__, *words], check=True, stdout=subprocess.PIPE, text=True
                )
                done.append(json.loads(told.stdout.splitlines()[-1]))
                with options.table.open("a") as file:
                    file.write(json.dumps(done[-1]) + "\n")
                print(done[-1], flush=True)
    print(table(done))


if __name__ == "__main__":
    main()
