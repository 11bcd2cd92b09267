"""Memory of `protect` for photographs as telephones take them: 66 of 12 megapixels, masks and distortion.

    python benchmarks/large_photographs.py [--count 66] [--width 4000] [--height 3000]

Fabricates a capture of a ball in a temporary folder (six noise pictures as JPEG and their masks as PNG, each
used for many cameras on a ring), protects it in a process of its own, and prints its peak memory and seconds.
A third of the frames is neutral.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import cv2
import numpy as np

from commands import timed
from sansface.capture import Camera, Capture, Frame, Role
from sansface.formats.transforms_json import write_transforms_json

PICTURES = 6
DISTANCE = 4.0
DISTORTION = np.array([0.05, -0.02, 0.0005, -0.0003, 0.0])


def camera(angle: float, width: int, height: int) -> Camera:
    """On a ring around a ball of radius 1, looking at its middle; it fills 70 % of the picture's height."""
    focal = 0.35 * height * np.sqrt(DISTANCE**2 - 1)
    out = np.array([np.sin(angle), 0.0, np.cos(angle)])
    pose = np.eye(4)
    pose[:3, :3] = [np.cross(-out, [0.0, 1.0, 0.0]), [0.0, -1.0, 0.0], -out]
    pose[:3, 3] = [0, 0, DISTANCE]
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    return Camera(K, width, height, pose, DISTORTION)


def fabricate(folder: Path, count: int, width: int, height: int) -> None:
    """Write the capture."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    mask = np.zeros((height, width), np.uint8)
    cv2.circle(mask, (width // 2, height // 2), round(0.35 * height), 255, -1)
    for number in range(min(PICTURES, count)):
        coarse = rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
        picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        (folder / f"images/{number:03d}.jpg").write_bytes(cv2.imencode(".jpg", picture)[1].tobytes())
        (folder / f"masks/{number:03d}.png").write_bytes(cv2.imencode(".png", mask)[1].tobytes())
    frames = []
    for number in range(count):
        image, alike = folder / f"images/{number:03d}.jpg", number % PICTURES
        outline = folder / f"masks/{number:03d}.png"
        if number >= PICTURES:
            shutil.copy(folder / f"images/{alike:03d}.jpg", image)
            shutil.copy(folder / f"masks/{alike:03d}.png", outline)
        angle = 2 * np.pi * number / count
        role = Role.NEUTRAL if np.cos(angle) < -0.5 else Role.SENSITIVE
        frames.append(Frame(camera(angle, width, height), role, image, outline))
    write_transforms_json(Capture(tuple(frames)), folder)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--count", type=int, default=66)
    parser.add_argument("--width", type=int, default=4000)
    parser.add_argument("--height", type=int, default=3000)
    arguments = parser.parse_args()
    count, width, height = arguments.count, arguments.width, arguments.height
    with tempfile.TemporaryDirectory() as folder:
        fabricate(Path(folder) / "capture", count, width, height)
        run = timed("protect", Path(folder) / "capture", "-o", Path(folder) / "head.sfb")
    print("| photographs | megapixels each | peak memory of `protect`, MB (target ≤ 500) | seconds |")
    print("|---|---|---|---|")
    print(f"| {count} | {width * height / 1e6:.1f} | {run.bytes / 1e6:.0f} | {run.seconds:.0f} |")


if __name__ == "__main__":
    main()
