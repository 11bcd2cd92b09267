"""Row j: a canary in a sensitive photograph is nowhere in what leaves the client or stays behind.

A sensitive photograph gets a picture of random patches in its pixels, and a random word in its EXIF, in a
PNG text chunk and in its file's name. Then the capture is protected (and, with --reconstruct, inspected and
reconstructed) in processes of their own, with a temporary folder that is watched and every file that they
open for writing noted. Bundle, output folder, log and temporary folder are searched (see `leak_search`).
A search that finds nothing proves nothing by itself: the same search must find the canary in the capture, and
in copies planted among the outputs in a dozen disguises.

    python benchmarks/canary.py [CAPTURE] [--reconstruct]
"""

import argparse
import base64
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path

import cv2
import numpy as np

from leak_search import Canary, search, search_folder
from sansface.photographs.decode import decode

PATCHES = 8

# Runs in a process of its own: notes each file opened for writing, then does what its arguments say.
NOTING = """
import os, runpy, sys
log = open(sys.argv[1], "a", encoding="utf-8")
def note(event, args):
    if event == "open" and not isinstance(args[0], int):
        mode, flags = args[1] or "", args[2] or 0
        if set(mode) & set("wax+") or flags & (os.O_WRONLY | os.O_RDWR):
            print(os.fsdecode(args[0]), file=log, flush=True)
sys.addaudithook(note)
"""
PROTECT = (
    NOTING
    + """
from sansface.formats import read_capture
from sansface.protect.bundle import read_bundle, write_bundle
from sansface.protect.describe import describe
from sansface.protect.pipeline import ProtectSettings, protect
bundle = protect(read_capture(sys.argv[2]), ProtectSettings(resolution=int(sys.argv[4])), print)
write_bundle(bundle, sys.argv[3])
print(describe(read_bundle(sys.argv[3])))
"""
)
COMMAND = (
    NOTING
    + """
sys.argv[:2] = ["sansface"]
runpy.run_module("sansface", run_name="__main__")
"""
)


def plant(source: Path, folder: Path, resolution: int, rng: np.random.Generator) -> Canary:
    """Copy a capture and put a canary into its first sensitive photograph with a mask that is large enough.

    Args:
        source: a capture with masks; the pictures' size is a multiple of `resolution`.
        folder: where the copy goes.
        resolution: the canary's patches become one pixel each at this resolution.
    """
    shutil.copytree(source, folder)
    document = json.loads((folder / "transforms.json").read_text())
    word = f"canary{rng.integers(1 << 60):015x}"
    patch = document["w"] // resolution
    block = np.rint(rng.uniform(0.1, 0.9, (PATCHES, PATCHES, 3)) * 255) / 255
    for frame in sorted(document["frames"], key=lambda frame: frame["file_path"]):
        if frame.get("role", "sensitive") != "sensitive":
            continue
        path = folder / frame["file_path"]
        mask = decode(folder / frame["mask_path"], "mask", upright=False)
        place = _room(mask[:, :, 0], patch)
        if place is None:
            continue
        picture = decode(path, "photograph", upright=False)
        row, column = place
        side = PATCHES * patch
        large = np.kron(block[:, :, ::-1], np.ones((patch, patch, 1)))
        picture[row : row + side, column : column + side, :3] = np.rint(large * 255)
        named = path.with_name(f"{path.stem}-{word}.png")
        named.write_bytes(_with_exif(cv2.imencode(".png", picture)[1].tobytes(), word.encode()))
        path.unlink()
        frame["file_path"] = named.relative_to(folder).as_posix()
        (folder / "transforms.json").write_text(json.dumps(document))
        return Canary([word.encode()], block, list(dict.fromkeys([patch, 1, 2, 4])))
    raise SystemExit(f"{source} has no sensitive photograph with room for a canary")


def _room(mask: np.ndarray, patch: int) -> tuple[int, int] | None:
    """A place on the grid of reduced pixels, wholly subject with a margin, near the mask's middle."""
    side = (PATCHES + 4) * patch
    rows, columns = np.nonzero(mask)
    middle = np.array([rows.mean(), columns.mean()])
    places = [
        (row, column)
        for row in range(0, mask.shape[0] - side + 1, patch)
        for column in range(0, mask.shape[1] - side + 1, patch)
        if mask[row : row + side, column : column + side].min() == 255
    ]
    if not places:
        return None
    row, column = min(places, key=lambda place: float(np.abs(np.array(place) + side / 2 - middle).sum()))
    return row + 2 * patch, column + 2 * patch


def _with_exif(png: bytes, word: bytes) -> bytes:
    """The PNG with the word as EXIF ImageDescription and as a text chunk."""
    tiff = b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x010E, 2, len(word) + 1, 26, 0) + word + b"\0"
    chunks = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"eXIf", tiff), (b"tEXt", b"Comment\0" + word))
    )
    header = 8 + 25  # signature and IHDR
    return png[:header] + chunks + png[header:]


def run(code: str, arguments: list[str], work: Path, log: Path) -> None:
    """Run code in a process whose temporary folder, output and opened files are kept under `work`."""
    temporary = work / "temporary"
    temporary.mkdir(exist_ok=True)
    places = dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(temporary))
    done = subprocess.run(
        [sys.executable, "-c", code, str(work / "written.txt"), *arguments],
        env=os.environ | places | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        check=False,
    )
    with log.open("ab") as file:
        file.write(done.stdout + done.stderr)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed: {done.stderr.decode(errors='replace')[-800:]}")


def disguises(canary: Canary, photograph: bytes) -> dict[str, bytes]:
    """Files in which the canary is hidden, each in another way."""
    word = canary.words[0]
    pixels = cv2.imdecode(np.frombuffer(photograph, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    patch = canary.sizes[0]
    small = cv2.resize(pixels, None, fx=1 / patch, fy=1 / patch, interpolation=cv2.INTER_AREA)
    tensor = (small[:, :, 1] / 255 * 0.3 + 0.1).astype("<f4")
    header = json.dumps(
        {"x": {"dtype": "F32", "shape": tensor.shape, "data_offsets": [0, tensor.nbytes]}}
    ).encode()
    packed = zlib.compress(b"some text before " * 9 + word)
    member = Path("zipped")
    result = {
        "log.txt": b"reading " + word + b" ...",
        "upper.txt": word.upper(),
        "wide.txt": word.decode().encode("utf-16"),
        "hex.txt": word.hex().encode(),
        "page.html": b"<img src='data:;base64," + base64.b64encode(b"ab" + word + b"and more") + b"'>",
        "stream.bin": b"\1\2\3" + packed,
        "stream64.json": b'{"x": "' + base64.b64encode(packed) + b'"}',
        "photo.jpg": cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 60])[1].tobytes(),
        "thumb.png": cv2.imencode(".png", small)[1].tobytes(),
        "grey.png": cv2.imencode(".png", cv2.cvtColor(small, cv2.COLOR_BGR2GRAY) // 3)[1].tobytes(),
        "negative.png": cv2.imencode(".png", 255 - small)[1].tobytes(),
        "report.html": b"data:image/png;base64," + base64.b64encode(cv2.imencode(".png", small)[1].tobytes()),
        "tensor.safetensors": struct.pack("<Q", len(header)) + header + tensor.tobytes(),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / member
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a/picture.png", result["thumb.png"])
        result["pictures.zip"] = path.read_bytes()
    return result


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = Path(os.environ.get("SANSFACE_CAPTURES", "../shared/captures")) / "lps"
    parser.add_argument("capture", nargs="?", type=Path, default=default)
    parser.add_argument("--reconstruct", action="store_true", help="go on to inspect and reconstruct")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if not (options.capture / "transforms.json").is_file():
        raise SystemExit(f"{options.capture} holds no capture; name one, or set SANSFACE_CAPTURES")
    with tempfile.TemporaryDirectory() as folder:
        return examine(options.capture, Path(folder), 64, options.reconstruct, options.seed)


def examine(capture: Path, work: Path, resolution: int, reconstruct: bool, seed: int) -> int:
    """The whole check; prints what was found. Returns 0 if all is as it should be."""
    canary = plant(capture, work / "capture", resolution, np.random.default_rng(seed))
    (photograph,) = (work / "capture" / "images").glob(f"*{canary.words[0].decode()}*")
    out, log = work / "out", work / "log.txt"
    out.mkdir()
    bundle = out / "head.sfb"
    if reconstruct:
        size = ["--resolution", str(resolution)]
        run(COMMAND, ["protect", str(work / "capture"), "-o", str(bundle), *size], work, log)
        run(COMMAND, ["inspect", str(bundle)], work, log)
        run(COMMAND, ["reconstruct", str(bundle), "-o", str(out / "head")], work, log)
    else:
        run(PROTECT, [str(work / "capture"), str(bundle), str(resolution)], work, log)
    hits = search_folder(out, canary) + search_folder(work / "temporary", canary)
    hits += search(log.read_bytes(), canary, "log")
    written = (work / "written.txt").read_text().splitlines()
    strays = [name for name in written if not _inside(Path(name), out, work / "temporary", Path(os.devnull))]
    files = sum(path.is_file() for path in out.rglob("*"))
    print(f"{files} output files, {len(written)} files opened for writing, {len(hits)} hits")
    for line in hits + [f"written elsewhere: {name}" for name in strays]:
        print(line)

    missed = [] if search(photograph.read_bytes(), canary) else ["the photograph itself"]
    hidden = disguises(canary, photograph.read_bytes())
    missed += [name for name, data in hidden.items() if not search(data, canary)]
    print(f"positive control: found in {len(hidden) + 1 - len(missed)} of {len(hidden) + 1} disguises")
    for name in missed:
        print(f"not found in {name}")
    return 1 if hits or strays or missed else 0


def _inside(path: Path, *places: Path) -> bool:
    return any(path.resolve().is_relative_to(place.resolve()) for place in places)


if __name__ == "__main__":
    sys.exit(main())
