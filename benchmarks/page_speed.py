"""Thirty photographs of 12 megapixels protected in the browser: how long, and how long the page was deaf.

    python benchmarks/page_speed.py [--photographs 30] [--distorted]

Chromium, headless, from the files at hand to the bundle's bytes. The main thread's longest task is the largest
of what its own observer of long tasks says (from 50 ms on) and of the delays of a timer of 5 ms. Memory is the
peak of all of Chromium's processes together, pages that they share counted once.
"""

import argparse
import os
import sys
import time
from pathlib import Path
from threading import Event, Thread

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

from browser import Browser, chromium

WIDTH, HEIGHT = 4000, 3000
MEASURED = """
const { Protector } = await import('/page/protect/protector.js');
const files = await Promise.all(frames.map(async ({ file, mask, ...frame }) =>
  ({ ...frame, file: await fileOf(file), mask: await fileOf(mask) })));
const tasks = [];
const observer = new PerformanceObserver((list) => tasks.push(...list.getEntries().map((one) => one.duration)));
observer.observe({ type: 'longtask' });
let [last, delay] = [performance.now(), 0];
const timer = setInterval(() => { const now = performance.now(); delay = Math.max(delay, now - last - 5); last = now; }, 5);
const begin = performance.now();
const protector = new Protector(() => new Worker('/page/protect/worker.js', { type: 'module' }));
const reduced = await Promise.all(files.map((frame) => protector.reduce(frame)));
const made = await protector.bundle(reduced.map(({ id }) => id));
const seconds = (performance.now() - begin) / 1000;
await new Promise((resolve) => setTimeout(resolve, 200));
clearInterval(timer);
protector.close();
return { seconds, longest: Math.max(0, ...tasks), tasks: tasks.length, delay, bytes: made.bytes.length };
"""


def photograph(index: int) -> tuple[bytes, bytes]:
    """A JPEG of blurred noise with grain, as large as a telephone's, and a mask of a head's place in it."""
    rng = np.random.default_rng(index)
    coarse = cv2.resize(rng.random((30, 40, 3), dtype=np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    grain = rng.integers(-12, 13, (HEIGHT, WIDTH, 1), dtype=np.int16)
    picture = np.clip(coarse * 255 + grain, 0, 255).astype(np.uint8)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.ellipse(mask, (WIDTH // 2, HEIGHT // 2), (1100, 1350), 0, 0, 360, 255, -1, cv2.LINE_AA)
    return cv2.imencode(".jpg", picture)[1].tobytes(), cv2.imencode(".png", mask)[1].tobytes()


def camera(angle: float, distorted: bool) -> dict:
    """One that looks at the origin from three radii away."""
    sine, cosine = np.sin(angle), np.cos(angle)
    pose = [cosine, 0, -sine, 0, 0, -1, 0, 0, -sine, 0, -cosine, 3, 0, 0, 0, 1]
    K = [1.2 * WIDTH, 0, WIDTH / 2, 0, 1.2 * WIDTH, HEIGHT / 2, 0, 0, 1]
    distortion = [-0.1, 0.05, 0.001, -0.001, 0.01] if distorted else [0, 0, 0, 0, 0]
    return {"K": K, "width": WIDTH, "height": HEIGHT, "camFromWorld": pose, "distortion": distortion}


def children(process: str) -> list[str]:
    """The processes that a process started, and theirs."""
    try:
        own = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return []
    return [*own, *(grandchild for child in own for grandchild in children(child))]


def memory() -> int:
    """MiB of all processes that this one started."""
    total = 0
    for process in children(str(os.getpid())):
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except (OSError, StopIteration):
            continue
    return total // 1024


def measured(browser: Browser, frames: list[dict]) -> dict:
    """Times in the page, and the peak of memory above what was there before."""
    before, peak, done = memory(), 0, Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.2):
            peak = max(peak, memory())

    watcher = Thread(target=watch)
    watcher.start()
    try:
        return browser.ask(MEASURED, frames=frames) | {"before": before, "peak": peak}
    finally:
        done.set()
        watcher.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", type=int, default=30)
    parser.add_argument("--distorted", action="store_true", help="cameras with Brown's distortion")
    given = parser.parse_args()
    frames = []
    with chromium() as browser:
        began = time.perf_counter()
        for index in range(given.photographs):
            browser.files[f"{index}.jpg"], browser.files[f"{index}.png"] = photograph(index)
            role = "neutral" if index % 3 == 0 else "sensitive"
            view = camera(2 * np.pi * index / given.photographs, given.distorted)
            frames.append({"file": f"{index}.jpg", "mask": f"{index}.png", "camera": view, "role": role})
        print(f"{given.photographs} photographs of {WIDTH} x {HEIGHT} made in {time.perf_counter() - began:.0f} s")
        found = measured(browser, frames)
    print(
        f"protected in {found['seconds']:.1f} s; longest task of the main thread {found['longest']:.0f} ms "
        f"({found['tasks']} of 50 ms or more), longest delay of a timer {found['delay']:.0f} ms; "
        f"memory {found['before']} MiB before, {found['peak']} MiB at the peak; bundle {found['bytes']:,} bytes"
    )


if __name__ == "__main__":
    main()
