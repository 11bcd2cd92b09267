"""Row h: a reconstruction that is killed at a random moment and resumed gives the undisturbed mesh.

    python benchmarks/kill_and_resume.py [BUNDLE] [--kills 10] [--seed 0]

Runs `sansface reconstruct` on a shortened schedule once undisturbed. Then, for each kill, starts it anew,
kills it (SIGKILL: nothing of it runs any more) at a moment drawn evenly from the whole run, its start and its
end included, resumes it with the same words and --resume, and compares mesh.ply byte by byte. Checkpoints are
written every second instead of every ten, so that a short run has kills before, between and after them.
Without a bundle, the capture `lps` is protected, or a small demo head where that is missing. Some minutes.
"""

import argparse
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from commands import CAPTURES, timed

CHECKPOINTS = 1.0
"""Seconds between two checkpoints."""

SCHEDULE = ("stage1.steps=15", "stage2.steps=25", "mesh_resolution=128", "silhouette_rays=3000")


def child(words: list[str]) -> int:
    """The command itself, in its own process, with more frequent checkpoints."""
    from sansface.cli import main
    from sansface.reconstruct import record

    record.CHECKPOINT_SECONDS = CHECKPOINTS
    return main(words) or 0


def started(bundle: Path, out: Path, *more: str) -> subprocess.Popen:
    """Start a reconstruction on the CPU."""
    settings = [word for setting in SCHEDULE for word in ("--set", setting)]
    words = ["reconstruct", str(bundle), "-o", str(out), "--device", "cpu", *settings, *more]
    command = [sys.executable, __file__, "--child", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen) -> None:
    """Wait for its end. SystemExit with what it said if it failed."""
    _, said = process.communicate()
    if process.returncode:
        sys.exit(f"the reconstruction failed:\n{said}")


def killed(bundle: Path, out: Path, moment: float) -> bool:
    """Start a reconstruction and kill it; False if it was over before that."""
    process = started(bundle, out)
    try:
        process.communicate(timeout=moment)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return True
    return False


def where(out: Path) -> str:
    """How far a killed run had come, from what it left."""
    if not out.exists():
        return "before its folder was made"
    if not (out / "checkpoint.safetensors").exists():
        return "after all was done" if (out / "report.html").exists() else "before its first checkpoint"
    header = (out / "checkpoint.safetensors").read_bytes()[:100_000]
    stage, step = (re.findall(rb'\\"%s\\": (\d+)' % name, header)[0].decode() for name in (b"stage", b"step"))
    meshed = " with a mesh" if (out / "mesh.ply").exists() else ""
    return f"after a checkpoint of stage {stage}, step {step}{meshed}"


def make_bundle(folder: Path) -> Path:
    """A bundle of the shared capture, or of a small demo head."""
    capture = CAPTURES / "lps"
    if not capture.is_dir():
        from sansface.demo import make_demo_capture

        capture = folder / "capture"
        make_demo_capture(capture, views=12, size=128)
    timed("protect", capture, "-o", folder / "head.sfb")
    return folder / "head.sfb"


def main() -> int:
    """Kill, resume, compare, and print a row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", nargs="?", type=Path)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    chance, began = random.Random(options.seed), time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = options.bundle or make_bundle(folder)
        start = time.monotonic()
        finished(started(bundle, folder / "whole"))
        length = time.monotonic() - start
        print(f"undisturbed: {length:.1f} s", flush=True)
        mesh = (folder / "whole" / "mesh.ply").read_bytes()
        same = count = tries = 0
        while count < options.kills:
            out, moment, tries = folder / f"killed{tries}", chance.uniform(0, length), tries + 1
            if not killed(bundle, out, moment):
                continue  # it was faster than the undisturbed run: another moment
            count += 1
            left = where(out)
            finished(started(bundle, out, *(["--resume"] if out.exists() else [])))
            identical = (out / "mesh.ply").read_bytes() == mesh
            same += identical
            told = "identical" if identical else "ANOTHER MESH"
            print(f"killed after {moment:.1f} s, {left}: {told}", flush=True)
    print(
        f"\n| h | `kill -9` at {count} random moments, then `--resume`: same mesh.ply | {same} of {count} |"
    )
    print(f"({time.monotonic() - began:.0f} s)")
    return 0 if same == count else 1


if __name__ == "__main__":
    sys.exit(child(sys.argv[2:]) if sys.argv[1:2] == ["--child"] else main())
