"""Row f: `sansface check` on captures with one planted fault each, and on clean ones.

Every draw takes one of several captures (the shared `lps` if it is there, and procedural heads of random
identity, with rings of random numbers of views and pictures of random size), sometimes fewer of its views,
rescales its world, and plants one fault:

    clean        nothing
    swapped      two frames have each other's pose
    mirrored     an axis is mirrored, and whatever it takes for the poses to stay rotations
    focal        all focal lengths times 0.8 or 1.2
    stranger     one frame (photograph and mask) shows another head, from about the same side
    shift        all principal points half a pixel off, in a random direction
    mask shift   all masks half a pixel off (linearly interpolated)

A fault is found if a finding is of its kind and names its frames and no others; a clean capture is passed if
there is no finding. For the shifts, the error of the estimate is told.

    python benchmarks/planted_faults.py [--draws 20] [--heads 4] [--seed 0] [--fault NAME ...]
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from sansface.capture import Camera, Capture, Frame
from sansface.check.pipeline import check_capture
from sansface.check.report import Report
from sansface.demo import make_demo_capture
from sansface.formats import read_capture
from sansface.photographs.decode import decode


@dataclass(frozen=True)
class Planted:
    """A capture with a fault: the kind of the finding that it should give, the frames that it should name,
    and by how much (right, down) the principal points have to be moved back, in pixels.
    """

    capture: Capture
    kind: str | None = None
    frames: frozenset[str] = frozenset()
    shift: tuple[float, float] | None = None


def varied(capture: Capture, rng: np.random.Generator) -> Capture:
    """Some of the views of a capture, at least 16, in a world of another size and place."""
    frames = list(capture.frames)
    count = int(rng.integers(min(16, len(frames)), len(frames) + 1))
    # one after the other away, never two neighbours of the list, so that no side is left without views
    for k in sorted(
        rng.choice(np.arange(0, len(frames), 2), (len(frames) - count) // 2, False), reverse=True
    ):
        del frames[k]
    size, place = float(np.exp(rng.uniform(-3, 3))), rng.normal(size=3) * 5

    def moved(camera: Camera) -> Camera:
        return camera.normalized(place, size)

    frames = [replace(frame, camera=moved(frame.camera)) for frame in frames]
    return Capture(tuple(frames), "unknown")


def clean(capture: Capture, others: list[Capture], rng: np.random.Generator, folder: Path) -> Planted:
    return Planted(capture)


def swapped(capture: Capture, others: list[Capture], rng: np.random.Generator, folder: Path) -> Planted:
    frames = list(capture.frames)
    a, b = (int(k) for k in rng.choice(len(frames), 2, replace=False))
    frames[a], frames[b] = (
        replace(frames[a], camera=frames[b].camera),
        replace(frames[b], camera=frames[a].camera),
    )
    names = frozenset(frames[k].image.name for k in (a, b))
    return Planted(replace(capture, frames=tuple(frames)), "pose", names)


def mirrored(capture: Capture, others: list[Capture], rng: np.random.Generator, folder: Path) -> Planted:
    """A mirrored axis of the world, and of the camera, for a pose alone cannot be mirrored."""
    world, camera = rng.integers(3, size=2)
    S, C = (np.diag([-1.0 if k == axis else 1.0 for k in range(4)]) for axis in (world, camera))
    frames = [_posed(frame, C @ frame.camera.cam_from_world @ S) for frame in capture.frames]
    return Planted(replace(capture, frames=tuple(frames)), "facing" if camera == 2 else "mirrored")


def focal(capture: Capture, others: list[Capture], rng: np.random.Generator, folder: Path) -> Planted:
    factor = np.array([0.8, 1.2])[rng.integers(2)]
    frames = [_with_K(frame, np.diag([factor, factor, 1.0]), np.zeros(2)) for frame in capture.frames]
    return Planted(replace(capture, frames=tuple(frames)), "focal")


def stranger(capture: Capture, others: list[Capture], rng: np.random.Generator, folder: Path) -> Planted:
    other = others[rng.integers(len(others))]
    k = int(rng.integers(len(capture.frames)))
    frame = capture.frames[k]
    turned = [abs(_degrees(f, other) - _degrees(frame, capture)).sum() for f in other.frames]
    image, mask = folder / frame.image.name, folder / f"mask-{frame.image.name}"
    taken = other.frames[int(np.argmin(turned))]
    assert taken.mask is not None
    for source, target in ((taken.image, image), (taken.mask, mask)):
        pixels = decode(source, "picture", upright=False)
        size = (frame.camera.width, frame.camera.height)
        cv2.imwrite(str(target), cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
    frames = [*capture.frames[:k], replace(frame, image=image, mask=mask), *capture.frames[k + 1 :]]
    return Planted(replace(capture, frames=tuple(frames)), "pose", frozenset([frame.image.name]))


def shift(capture: Capture, others: list[Capture], rng: np.random.Generator, folder: Path) -> Planted:
    by = _half_a_pixel(rng)
    frames = [_with_K(frame, np.eye(3), by) for frame in capture.frames]
    return Planted(replace(capture, frames=tuple(frames)), shift=(-by[0], -by[1]))


def mask_shift(capture: Capture, others: list[Capture], rng: np.random.Generator, folder: Path) -> Planted:
    by = _half_a_pixel(rng)
    frames = []
    for frame in capture.frames:
        assert frame.mask is not None
        mask = decode(frame.mask, "mask", upright=False)[:, :, 0]
        matrix = np.array([[1, 0, by[0]], [0, 1, by[1]]])
        moved = cv2.warpAffine(mask, matrix, mask.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
        path = folder / frame.image.name
        cv2.imwrite(str(path), moved)
        frames.append(replace(frame, mask=path))
    return Planted(replace(capture, frames=tuple(frames)), shift=(by[0], by[1]))


Plant = Callable[[Capture, list[Capture], np.random.Generator, Path], Planted]
FAULTS: dict[str, Plant] = {
    "clean": clean,
    "swapped": swapped,
    "mirrored": mirrored,
    "focal": focal,
    "stranger": stranger,
    "shift": shift,
    "mask shift": mask_shift,
}


def as_it_should_be(planted: Planted, report: Report) -> bool:
    """Is what was found what was planted, and nothing else?"""
    kinds = {finding.kind for finding in report.findings}
    named = {name for finding in report.findings for name in finding.frames}
    return kinds == ({planted.kind} if planted.kind else set()) and named == planted.frames


def _half_a_pixel(rng: np.random.Generator) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    return 0.5 * np.array([np.cos(angle), np.sin(angle)])


def _posed(frame: Frame, pose: np.ndarray) -> Frame:
    camera = frame.camera
    return replace(frame, camera=Camera(camera.K, camera.width, camera.height, pose, camera.distortion))


def _with_K(frame: Frame, factor: np.ndarray, by: np.ndarray) -> Frame:
    """Focal lengths times the factor, principal points moved."""
    camera = frame.camera
    K = np.array(camera.K)
    K[:2, :2] = factor[:2, :2] @ K[:2, :2]
    K[:2, 2] += by
    pose, distortion = camera.cam_from_world, camera.distortion
    return replace(frame, camera=Camera(K, camera.width, camera.height, pose, distortion))


def _degrees(frame: Frame, capture: Capture) -> np.ndarray:
    """(3,) direction of a frame, as a stand-in for its angles; all these worlds have y up and z in front."""
    centers = np.stack([one.camera.center for one in capture.frames])
    way = frame.camera.center - centers.mean(axis=0)
    return way / np.linalg.norm(way)


def captures(folder: Path, heads: int, seed: int) -> list[Capture]:
    """The shared scan if it is there, and procedural heads of other identities, numbers and sizes."""
    rng = np.random.default_rng(seed)
    shared = Path(os.environ.get("SANSFACE_CAPTURES", "../shared/captures")) / "lps"
    result = [read_capture(shared)] if shared.is_dir() else []
    for number in range(heads):
        views, size = int(rng.integers(20, 37)), int(rng.choice([320, 384, 448, 512]))
        place = folder / f"head{number}"
        done = (place / "transforms.json").is_file()
        result.append(
            read_capture(place) if done else make_demo_capture(place, 1000 * seed + 100 + number, views, size)
        )
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fault", nargs="+", choices=FAULTS, default=list(FAULTS))
    parser.add_argument("--keep", type=Path, help="folder for the procedural heads, to use them again")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        sources = captures(options.keep or Path(scratch) / "heads", options.heads, options.seed)
        print(f"{len(sources)} heads, {options.draws} draws a fault, seed {options.seed}", flush=True)
        for fault in options.fault:
            right, errors, took = 0, [], []
            for draw in range(options.draws):
                rng = np.random.default_rng([options.seed, list(FAULTS).index(fault), draw])
                which = draw % len(sources)
                place = Path(scratch) / f"{fault}-{draw}"
                place.mkdir()
                others = [one for k, one in enumerate(sources) if k != which]
                planted = FAULTS[fault](varied(sources[which], rng), others, rng, place)
                began = time.perf_counter()
                report = check_capture(planted.capture).report
                took.append(time.perf_counter() - began)
                good = as_it_should_be(planted, report)
                right += good
                if not good:
                    print(f"  {fault}, draw {draw}: head {which}, planted {sorted(planted.frames)}, found:")
                    print(
                        "".join(f"    {finding.sentence}\n" for finding in report.findings) or "    nothing"
                    )
                fit = None if report.masks is None else report.masks.calibration
                if planted.shift is not None and fit is not None:
                    errors.append(np.subtract(fit.shift, planted.shift))
            failed += options.draws - right
            said = f"{fault:<11} {right:>3} of {options.draws}   {np.median(took):.0f} s each"
            if errors:
                across, down = np.abs(errors).T
                said += f"   error right: median {np.median(across):.3f}, worst {across.max():.3f} px"
                said += f"; down: median {np.median(down):.2f}, worst {down.max():.2f} px"
            print(said, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
