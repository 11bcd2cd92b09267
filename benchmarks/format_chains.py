"""Row c: random cameras written and read again, in every writable format and in chains through all four.

Rotations are uniform, positions within 10, focal lengths 10 to 10,000 pixels, principal points -100 to 5,000,
and distortion as far as every format of the chain can say it. Printed is the largest difference of a number.

    python benchmarks/format_chains.py [--captures 50] [--seeds 0 1 2]
"""

import argparse
import struct
import sys
import tempfile
from pathlib import Path

import numpy as np

from sansface.capture import Camera, Capture, Frame, Role
from sansface.formats import WRITERS, convert, read_capture

VIEWS = 5
EXPRESSIBLE = {"transforms": 5, "colmap": 4, "colmap-text": 4, "npz": 0}
"""How many numbers of Brown's distortion each format can say."""


def random_capture(folder: Path, brown: int, rng: np.random.Generator) -> Capture:
    """Cameras whose pictures are headers alone, for formats that ask them for their size."""
    frames = []
    for index in range(VIEWS):
        pose = np.eye(4)
        Q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        pose[:3, :3] = Q * np.linalg.det(Q)
        pose[:3, 3] = rng.uniform(-10, 10, 3)
        K = np.eye(3)
        K[0, 0], K[1, 1] = 10 ** rng.uniform(1, 4, 2)
        K[:2, 2] = rng.uniform(-100, 5000, 2)
        width, height = (int(side) for side in rng.integers(1, 6000, 2))
        path = folder / f"{index}.png"
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height))
        distortion = np.array([*rng.uniform(-1, 1, brown), *[0.0] * (5 - brown)])
        frames.append(Frame(Camera(K, width, height, pose, distortion), Role.SENSITIVE, path))
    return Capture(tuple(frames))


def largest_differences(one: Capture, other: Capture) -> np.ndarray:
    """(2,) of poses, and of intrinsics with distortion."""
    poses = intrinsics = 0.0
    for a, b in zip(one.frames, other.frames, strict=True):
        if (a.camera.width, a.camera.height) != (b.camera.width, b.camera.height):
            raise AssertionError("the sizes differ")
        poses = max(poses, np.abs(a.camera.cam_from_world - b.camera.cam_from_world).max())
        lens = np.abs(a.camera.distortion - b.camera.distortion).max()
        intrinsics = max(intrinsics, np.abs(a.camera.K - b.camera.K).max(), lens)
    return np.array([poses, intrinsics])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--captures", type=int, default=50)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    print(f"{'through':<40} {'seed':>4} {'poses':>9} {'intrinsics':>11}")
    most = np.zeros(2)
    for chain in [*([name] for name in WRITERS), list(WRITERS), list(WRITERS)[::-1], "shuffled"]:
        for seed in options.seeds:
            rng = np.random.default_rng(seed)
            worst = np.zeros(2)
            for _ in range(options.captures):
                names = list(rng.permutation(list(WRITERS))) if chain == "shuffled" else chain
                with tempfile.TemporaryDirectory() as home:
                    capture = now = random_capture(Path(home), min(EXPRESSIBLE[name] for name in names), rng)
                    for turn, name in enumerate(names):
                        convert(now, Path(home, f"turn{turn}"), str(name))
                        now = read_capture(Path(home, f"turn{turn}"))
                    worst = np.maximum(worst, largest_differences(capture, now))
            label = chain if isinstance(chain, str) else " > ".join(chain)
            print(f"{label:<40} {seed:>4} {worst[0]:>9.1e} {worst[1]:>11.1e}")
            most = np.maximum(most, worst)
    print(f"largest: poses {most[0]:.1e} (1e-9 allowed), intrinsics {most[1]:.1e} (1e-6 allowed)")
    return int(most[0] > 1e-9 or most[1] > 1e-6)


if __name__ == "__main__":
    sys.exit(main())
