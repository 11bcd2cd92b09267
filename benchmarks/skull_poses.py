"""Cameras from photographs alone, against COLMAP's own for the same 66 photographs of a skull.

    python benchmarks/skull_poses.py --captures ../shared/captures --seeds 0 1 2

For each seed: `sansface capture` of the images alone, in a process of its own; then the similarity that
takes its camera centres onto the given ones (Umeyama 1991), and what remains: degrees of rotation, and
distances in per cent of the ring's radius, the mean distance of the given centres from their middle.
"""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np

from commands import CAPTURES, timed
from sansface.formats import read_capture


def similarity(points: np.ndarray, truth: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """s, R, t that minimise Σ ‖s R x + t − y‖² over (n, 3) points x and y."""
    middle, there = points.mean(axis=0), truth.mean(axis=0)
    U, values, Vt = np.linalg.svd((truth - there).T @ (points - middle))
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(U @ Vt))])
    R = U * signs @ Vt
    s = float((values * signs).sum() / ((points - middle) ** 2).sum())
    return s, R, there - s * R @ middle


def errors(poses: dict[str, np.ndarray], truth: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Degrees, and distances in ring radii, of (4, 4) cam_from_world by name."""
    names = sorted(poses)
    centers = {name: -pose[:3, :3].T @ pose[:3, 3] for name, pose in poses.items()}
    given = {name: -pose[:3, :3].T @ pose[:3, 3] for name, pose in truth.items()}
    s, R, t = similarity(np.stack([centers[n] for n in names]), np.stack([given[n] for n in names]))
    ring = np.stack(list(given.values()))
    radius = np.linalg.norm(ring - ring.mean(axis=0), axis=1).mean()
    off = [np.linalg.norm(s * R @ centers[n] + t - given[n]) / radius for n in names]
    turns = [poses[n][:3, :3] @ R.T @ truth[n][:3, :3].T for n in names]
    cosines = [np.clip((np.trace(turn) - 1) / 2, -1, 1) for turn in turns]
    return np.degrees(np.arccos(cosines)), np.array(off)


def poses_of(folder: Path) -> dict[str, np.ndarray]:
    """(4, 4) cam_from_world of a capture, by the stems of its photographs."""
    return {frame.image.stem: np.array(frame.camera.cam_from_world) for frame in read_capture(folder).frames}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--captures", type=Path, default=CAPTURES)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    skull = arguments.captures / "skull01"
    truth = poses_of(skull)
    print("| seed | placed | rotation, ° median (max) | position, % median (max) | minutes | load |")
    print("|---|---|---|---|---|---|")
    for seed in arguments.seeds:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "capture"
            run = timed("capture", skull / "images", "-o", out, "--seed", seed)
            found = poses_of(out)
            degrees, off = errors(found, truth)
        load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "?"
        print(
            f"| {seed} | {len(found)} of {len(truth)} | {np.median(degrees):.3f} ({degrees.max():.2f}) | "
            f"{100 * np.median(off):.2f} ({100 * off.max():.2f}) | {run.seconds / 60:.1f} | {load} |",
            flush=True,
        )
    print("\nTargets: ≥ 62 placed, median ≤ 0.2° and ≤ 0.3 %, ≤ 6 minutes on two idle cores.")


if __name__ == "__main__":
    main()
