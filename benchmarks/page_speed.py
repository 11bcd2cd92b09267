"""Thirty photographs of 12 megapixels protected in the browser: how long, and how long the page was deaf.

    python benchmarks/page_speed.py [--photographs 30] [--distorted] [--models]

Chromium, headless, from the files at hand to the bundle's bytes. How long the main thread was busy say its
own observer of long tasks (from 50 ms on) and the longest delay of a timer of 5 ms. Memory is that of all of
Chromium's processes together, pages that they share counted once.
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

from browser import Browser, chromium  # noqa: E402 -- beside the tests

WIDTH, HEIGHT = 4000, 3000
MEASURED = """
const files = await Promise.all(frames.map((one) => frameOf(one)));
const tasks = [];
const observer = new PerformanceObserver(
  (list) => list.getEntries().forEach((one) => tasks.push(one.duration)));
observer.observe({ type: 'longtask' });
let [last, delay] = [performance.now(), 0];
const timer = setInterval(() => {
  const now = performance.now();
  delay = Math.max(delay, now - last - 5);
  last = now;
}, 5);
const begin = performance.now();
const protector = await newProtector();
const reduced = await Promise.all(files.map((frame) => protector.reduce(frame)));
const made = await protector.bundle(reduced.map(({ id }) => id));
const seconds = (performance.now() - begin) / 1000;
await new Promise((resolve) => setTimeout(resolve, 200));
clearInterval(timer);
protector.close();
return { seconds, longest: Math.max(0, ...tasks), tasks: tasks.length, delay, bytes: made.bytes.length };
"""

MODELS = """
const { Models } = await import('/page/models/models.js');
const begin = performance.now();
const models = await Models.open(() => new Worker('/page/models/worker.js', { type: 'module' }));
if (models === null) throw new Error(Models.why);
const times = { open: [performance.now() - begin], mask: [], faces: [] };
for (const name of names) {
  const file = await fileOf(name);
  for (const task of ['mask', 'faces']) {
    const from = performance.now();
    await models[task](file);
    times[task].push(performance.now() - from);
  }
}
models.close();
return times;
"""


def photograph(index: int) -> tuple[bytes, bytes]:
    """A JPEG of blurred noise with grain, as large as a telephone's, and a mask of a head's place in it."""
    rng = np.random.default_rng(index)
    coarse = cv2.resize(
        rng.random((30, 40, 3), dtype=np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC
    )
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


def spent() -> float:
    """CPU seconds of all processes that this one started."""
    ticks = 0
    for process in children(str(os.getpid())):
        try:
            words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(words[11]) + int(words[12])  # utime, stime: proc(5)
    return ticks / os.sysconf("SC_CLK_TCK")


def measured(browser: Browser, frames: list[dict]) -> dict:
    """Times in the page, and the peak of memory above what was there before."""
    before, peak, done = memory(), 0, Event()
    began = spent()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.2):
            peak = max(peak, memory())

    watcher = Thread(target=watch)
    watcher.start()
    try:
        found = browser.ask(MEASURED, frames=frames)
        return found | {"before": before, "peak": peak, "cpu": spent() - began}
    finally:
        done.set()
        watcher.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", type=int, default=30)
    parser.add_argument("--distorted", action="store_true", help="cameras with Brown's distortion")
    parser.add_argument("--models", action="store_true", help="also masks and faces by models, where pulled")
    given = parser.parse_args()
    frames = []
    with chromium() as browser:
        began = time.perf_counter()
        for index in range(given.photographs):
            browser.files[f"{index}.jpg"], browser.files[f"{index}.png"] = photograph(index)
            role = "neutral" if index % 3 == 0 else "sensitive"
            view = camera(2 * np.pi * index / given.photographs, given.distorted)
            frames.append({"file": f"{index}.jpg", "mask": f"{index}.png", "camera": view, "role": role})
        print(f"{given.photographs} of {WIDTH} x {HEIGHT} made in {time.perf_counter() - began:.0f} s")
        found = measured(browser, frames)
        times = {}
        if given.models:  # noise shows no face, so all looks are looked: the longest case
            times = browser.ask(MODELS, names=[frame["file"] for frame in frames])
    print(
        f"protected in {found['seconds']:.1f} s, {found['cpu']:.1f} s of CPU; "
        f"longest task of the main thread {found['longest']:.0f} ms "
        f"({found['tasks']} of 50 ms or more), longest delay of a timer {found['delay']:.0f} ms; "
        f""
        f"memory {found['before']} MiB before, {found['peak']} MiB at the peak; {found['bytes']:,} bytes"
    )
    for task, each in times.items():
        print(f"models, {task}: median {np.median(each) / 1000:.2f} s, longest {max(each) / 1000:.2f} s")


if __name__ == "__main__":
    main()
