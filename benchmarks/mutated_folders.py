"""Row g: every reader on mutated folders answers in one sentence, or reads a valid capture.

Each folder of `fabricated_captures` is damaged one to three times: bytes of its camera files flipped, cut,
moved or replaced, numbers and words of text exchanged, JSON values replaced, matrices pickled or reshaped,
counts in binary headers raised, files emptied, removed, renamed, doubled or turned into folders. Valid means
what `faults` says, which shares nothing with the readers. The largest memory in one reading is measured, too.

    python benchmarks/mutated_folders.py [--count 200] [--seeds 0 1 2] [--layout NAME ...]
"""

import argparse
import io
import json
import re
import shutil
import sys
import tempfile
import time
import traceback
import tracemalloc
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fabricated_captures import FABRICATED
from sansface.capture import Capture, Role
from sansface.errors import SansfaceError
from sansface.formats import read_capture, recognise
from sansface.formats.colmap import read_points

SELDOM = (".png", ".jpg", ".mp4", ".obj", "landmarks.txt")
MOST_MEMORY = 16 << 20
"""Bytes that one reading of such a small folder may take."""

VALUES = [
    None, True, False, 0, 1, -1, 55, 10**400, 0.0, -0.0, 1e-300, 1e300, "", "x", "../../x", "/etc/x", "NaN",
    [], [[]], [1.0, 2.0, 3.0], {}, {"a": 1}, [[0.0] * 4] * 4, "neutral", "x" * 5000, "a\nb", "\u0000",
]  # fmt: skip
WORDS = [
    "nan",
    "-inf",
    "1e999",
    "-1",
    "0",
    "9" * 5000,
    "ü",
    "PINHOLE",
    "FULL_OPENCV",
    "FOV",
    "x",
    "",
    "\n",
    "#",
]


# --- the bytes of one file ---


def flip_bits(data: bytearray, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(1, 20))):
        data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))


def truncate(data: bytearray, rng: np.random.Generator) -> None:
    del data[int(rng.integers(len(data))) :]


def insert(data: bytearray, rng: np.random.Generator) -> None:
    at = int(rng.integers(len(data)))
    data[at:at] = rng.bytes(int(rng.integers(1, 100)))


def remove(data: bytearray, rng: np.random.Generator) -> None:
    at = int(rng.integers(len(data)))
    del data[at : at + int(rng.integers(1, 200))]


def repeat(data: bytearray, rng: np.random.Generator) -> None:
    at = int(rng.integers(len(data)))
    data[at:at] = data[at : at + int(rng.integers(1, 300))]


def set_count(data: bytearray, rng: np.random.Generator) -> None:
    """Eight bytes say something huge, as a hostile count would, at the start or anywhere."""
    at = int(rng.choice([0, int(rng.integers(len(data)))]))
    data[at : at + 8] = int(rng.choice([1 << 20, 1 << 32, 1 << 40, (1 << 63) - 1])).to_bytes(8, "little")


def change_word(data: bytearray, rng: np.random.Generator) -> None:
    """A number or name of a text file becomes another."""
    words = list(re.finditer(rb"[^\s,\[\]{}:]+", data))
    if words:
        word = words[int(rng.integers(len(words)))]
        data[word.start() : word.end()] = WORDS[int(rng.integers(len(WORDS)))].encode()


def change_lines(data: bytearray, rng: np.random.Generator) -> None:
    """Lines removed, doubled or exchanged; blank ones are as likely as others."""
    lines = data.split(b"\n")
    one, other = (int(at) for at in rng.integers(len(lines), size=2))
    kind = int(rng.integers(3))
    if kind == 0:
        del lines[one]
    elif kind == 1:
        lines.insert(other, lines[one])
    else:
        lines[one], lines[other] = lines[other], lines[one]
    data[:] = b"\n".join(lines)


def change_json(data: bytearray, rng: np.random.Generator) -> None:
    """A value anywhere in a JSON file becomes another, or goes, or gets company; nothing in other files."""
    try:
        document = json.loads(data)
    except ValueError:
        return
    parent, key = None, 0
    value = document
    while isinstance(value, (dict, list)) and value and (parent is None or rng.random() < 0.85):
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        parent, key = value, keys[int(rng.integers(len(keys)))]
        value = parent[key]
    if parent is None:
        return
    kind = int(rng.integers(4))
    if kind == 0:
        del parent[key]
    elif kind == 1 and isinstance(value, float):
        parent[key] = -value
    elif kind == 2 and isinstance(parent, list):
        parent.append(value)
    else:
        parent[key] = VALUES[int(rng.integers(len(VALUES)))]
    data[:] = json.dumps(document).encode()


def change_matrices(data: bytearray, rng: np.random.Generator) -> None:
    """A matrix of an npz pickled, reshaped, scaled, mirrored, made NaN, gone or doubled; else nothing."""
    try:
        with zipfile.ZipFile(io.BytesIO(bytes(data))) as archive:
            members = [(name, archive.read(name)) for name in archive.namelist()]
        at = int(rng.integers(len(members)))
        name, content = members[at]
        matrix = np.load(io.BytesIO(content))
        if matrix.shape != (4, 4) or matrix.dtype != np.float64:
            return
    except Exception:  # damaged before, or no npz
        return
    odd = matrix.copy()
    odd[tuple(rng.integers(4, size=2))] = rng.choice([np.nan, np.inf, 0, -1, 1e300, 7])
    changed = [
        np.array([{"a": 1}], dtype=object), matrix.astype(np.float32), matrix[:3], matrix.ravel(), odd,
        -matrix, np.diag([1.0, -1, 1, 1]) @ matrix, np.zeros((4, 4)), matrix.astype(complex), np.array(["x"]),
        np.asfortranarray(matrix),
    ]  # fmt: skip
    kind = int(rng.integers(len(changed) + 3))
    if kind < len(changed):
        file = io.BytesIO()
        np.save(file, changed[kind], allow_pickle=True)
        members[at] = (name, file.getvalue())
    elif kind == len(changed):
        del members[at]
    elif kind == len(changed) + 1:
        members.append((name + "x", content))
    else:  # a header that declares what no memory holds
        members[at] = (name, content.replace(b"(4, 4), }", b"(9" + b"9" * 12 + b",)}"))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", int(rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))) as archive:
        for member, bytes_ in members:
            archive.writestr(member, bytes_)
    data[:] = out.getvalue()


BYTES: list[Callable[[bytearray, np.random.Generator], None]] = [
    flip_bits, truncate, insert, remove, repeat, set_count, change_word, change_lines, change_json,
    change_json, change_matrices, change_matrices,
]  # fmt: skip

# --- the files of a folder ---


def empty(path: Path, rng: np.random.Generator) -> None:
    path.write_bytes(b"")


def delete(path: Path, rng: np.random.Generator) -> None:
    path.unlink()


def rename(path: Path, rng: np.random.Generator) -> None:
    path.rename(path.with_name(str(rng.choice(["x", "ä b.png", "img_x.jpg", "cam_.png", "9" * 40 + ".png"]))))


def double(path: Path, rng: np.random.Generator) -> None:
    """Beside it, under another name or suffix."""
    other = path.with_suffix(str(rng.choice([".jpg", ".png", ".bin", ".txt", ".JPG"])))
    if other != path and not other.exists():
        shutil.copyfile(path, other)


def into_folder(path: Path, rng: np.random.Generator) -> None:
    path.unlink()
    path.mkdir()


def exchange(path: Path, rng: np.random.Generator) -> None:
    """Another file's content."""
    others = sorted(other for other in path.parent.iterdir() if other.is_file())
    path.write_bytes(others[int(rng.integers(len(others)))].read_bytes())


FILES: list[Callable[[Path, np.random.Generator], None]] = [
    empty, delete, rename, double, into_folder, exchange,
]  # fmt: skip


def mutate(folder: Path, rng: np.random.Generator) -> str:
    """Damage a folder, mostly in its camera files; returns what was done."""
    done = []
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        told = [path for path in files if not path.name.endswith(SELDOM)]
        if not files:
            break
        chosen = told if told and rng.random() < 0.85 else files
        path = chosen[int(rng.integers(len(chosen)))]
        data = bytearray(path.read_bytes())
        if rng.random() < 0.8 and data:
            change = BYTES[int(rng.integers(len(BYTES)))]
            change(data, rng)
            path.write_bytes(data)
        else:
            change = FILES[int(rng.integers(len(FILES)))]
            change(path, rng)
        done.append(f"{change.__name__} {path.name}")
    return ", ".join(done)


# --- the judge ---


def faults(capture: Capture, folder: Path) -> list[str]:
    """What is wrong with a capture that was read; nothing if it is valid."""
    found = []
    names = [(frame.image, frame.video_frame) for frame in capture.frames]
    if not 1 <= len(names) <= 8:
        found.append(f"{len(names)} frames of four")
    if len(set(names)) < len(names):
        found.append("a photograph twice")
    for frame in capture.frames:
        camera = frame.camera
        R, t = camera.cam_from_world[:3, :3], camera.cam_from_world[:3, 3]
        values = np.concatenate([camera.K.ravel(), camera.distortion, R.ravel(), t])
        if not np.isfinite(values).all() or np.abs(R @ R.T - np.eye(3)).max() > 1e-3 or np.linalg.det(R) < 0:
            found.append("a pose or intrinsics that are none")
        if camera.K[0, 0] <= 0 or camera.K[1, 1] <= 0 or min(camera.width, camera.height) < 1:
            found.append("a camera that sees nothing")
        if frame.role not in (Role.NEUTRAL, Role.SENSITIVE):
            found.append("no role")
        if frame.role is Role.NEUTRAL and not (folder / "transforms.json").is_file():
            found.append("neutral in a format without roles")
    return found


def check(layout: str, count: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Mutate one layout's folder so often. Returns how each reading ended, and every failure."""
    outcome: Counter[str] = Counter()
    failures = []
    rng = np.random.default_rng([seed, *layout.encode()])
    name, write = FABRICATED[layout]
    with tempfile.TemporaryDirectory() as home:
        whole = Path(home, "whole")
        write(whole)
        for turn in range(count):
            folder = Path(home, str(turn))
            shutil.copytree(whole, folder)
            done = mutate(folder, rng)
            tracemalloc.start()
            warnings.simplefilter("error")
            try:
                try:
                    capture = read_capture(folder)
                    if name == "colmap":
                        read_points(folder)
                except SansfaceError as error:
                    outcome["refused"] += 1
                    sentence = str(error)
                    if not sentence.endswith(".") or "\n" in sentence or len(sentence) > 800 + 4 * len(home):
                        failures.append(f"{done}: no sentence: {sentence[:200]!r}")
                else:
                    outcome["read"] += 1
                    if recognise(folder) == name:
                        failures += [f"{done}: {fault}" for fault in faults(capture, folder)]
            except Exception:
                outcome["traceback"] += 1
                failures.append(f"{done}: {traceback.format_exc()}")
            most = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            outcome["most memory"] = max(outcome["most memory"], most)
            if most > MOST_MEMORY:
                failures.append(f"{done}: {most >> 20} MiB for a tiny folder")
            shutil.rmtree(folder)
    return outcome, failures


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--layout", nargs="+", choices=FABRICATED, default=list(FABRICATED))
    options = parser.parse_args()
    began = time.monotonic()
    failed = 0
    print(f"{'layout':<14} {'seed':>4} {'refused':>8} {'read':>6} {'failures':>9} {'most MiB':>9}")
    for layout in options.layout:
        for seed in options.seeds:
            outcome, failures = check(layout, options.count, seed)
            failed += len(failures)
            numbers = f"{outcome['refused']:>8} {outcome['read']:>6} {len(failures):>9}"
            print(f"{layout:<14} {seed:>4} {numbers} {outcome['most memory'] / (1 << 20):>9.1f}")
            for failure in failures[:3]:
                print(failure)
    print(f"{failed} failures, {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
