"""Row i: mutated bundles are refused in one sentence, or say what they must.

Half of the mutations leave all hashes alone: the bundle must be refused, or decode to exactly the original
values. The other half change the manifest or the arrays and compute every hash anew: the bundle must be
refused, or be valid by every rule of the format, as judged by `bundle_rules`, which shares no code with
the verifier.

    python benchmarks/mutated_bundles.py [BUNDLE] [--count 1000] [--seed 0]

Without a bundle, one is made of two neutral and three sensitive random pictures.
"""

import argparse
import copy
import hashlib
import io
import json
import sys
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bundle_rules import decoded, violations
from sansface.capture import Camera, Role
from sansface.protect.bundle import Bundle, BundleError, BundleFrame, bundle_bytes, decode
from sansface.protect.container import pack
from sansface.protect.contents import levels, word
from sansface.protect.operators import Operator, operator

# --- hashes left alone ---


def flip_bit(data: bytearray, rng: np.random.Generator) -> None:
    data[_place(data, rng)] ^= 1 << int(rng.integers(8))


def edit_bytes(data: bytearray, rng: np.random.Generator) -> None:
    at = _place(data, rng)
    data[at : at + int(rng.integers(1, 9))] = rng.bytes(int(rng.integers(1, 9)))


def truncate(data: bytearray, rng: np.random.Generator) -> None:
    del data[_place(data, rng) :]


def insert(data: bytearray, rng: np.random.Generator) -> None:
    at = _place(data, rng)
    data[at:at] = rng.bytes(int(rng.integers(1, 200)))


def append(data: bytearray, rng: np.random.Generator) -> None:
    data += rng.bytes(int(rng.integers(1, 200)))


def move(data: bytearray, rng: np.random.Generator) -> None:
    start, size, to = _place(data, rng), int(rng.integers(1, 100)), _place(data, rng)
    piece = data[start : start + size]
    data[to : to + len(piece)] = piece


def edit_structure(data: bytearray, rng: np.random.Generator) -> None:
    """Bytes of the directory and the headers only, where sizes, offsets, methods and names are."""
    marks = [at for sign in (b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06") for at in _all(data, sign)]
    at = marks[int(rng.integers(len(marks)))] + int(rng.integers(4, 46))
    data[min(at, len(data) - 1)] = int(rng.integers(256))


def edit_manifest_text(data: bytearray, rng: np.random.Generator) -> None:
    at = data.index(b'{"bits"') + int(rng.integers(3000))
    data[at] = int(rng.choice(list(b'0123456789-eE.,:"[]{}')))


def rezip(data: bytearray, rng: np.random.Generator) -> None:
    """Pack anew with zipfile: compressed, with extra members, renamed, doubled, commented or reordered."""
    with zipfile.ZipFile(io.BytesIO(bytes(data))) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    kind = int(rng.integers(8))
    method = zipfile.ZIP_DEFLATED if kind == 0 else zipfile.ZIP_STORED
    at = int(rng.integers(len(members)))
    if kind == 1:
        members.append(("notes.txt", b"something else"))
    elif kind == 2:
        members[at] = (
            ["/etc/x", "../x", "a\\b", "frames/../x", "frames/999.image"][int(rng.integers(5))],
            members[at][1],
        )
    elif kind == 3:
        members.append(members[at])
    elif kind == 4:
        members.reverse()
    elif kind == 5:
        members[at] = (members[at][0], bytes(30 << 20))  # deflated to nothing, declared as it is: a bomb
        method = zipfile.ZIP_DEFLATED
    elif kind == 6:
        del members[at]
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", method) as archive:
        warnings.simplefilter("ignore")  # zipfile warns of a name that is there twice
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, method)
        if kind == 7:
            archive.comment = b"hello"
    data[:] = out.getvalue()


RAW: list[Callable[[bytearray, np.random.Generator], None]] = [
    flip_bit, edit_bytes, truncate, insert, append, move, edit_structure, edit_manifest_text, rezip,
]  # fmt: skip


def _place(data: bytearray, rng: np.random.Generator) -> int:
    return int(rng.integers(len(data)))


def _all(data: bytearray, sign: bytes) -> list[int]:
    found, at = [], data.find(sign)
    while at >= 0:
        found.append(at)
        at = data.find(sign, at + 1)
    return found


# --- hashes computed anew ---

VALUES = [
    None, True, False, 0, 1, -1, 3, 8, 16, 63, 65, 10**6, 10**400, 0.0, -0.0, 0.5, 1.0, -1.0, 1e-300, 1e300,
    1e8, float("nan"), float("inf"), "", "x", "neutral", "sensitive", "uint8", "uint16", "float64", "mm",
    "scharr", "x" * 5000,
    [], [1.0, 2.0, 3.0], [64, 64], [64, 64, 3], [1 << 40, 1 << 40], {}, {"a": 1}, [[[[[]]]]],
]  # fmt: skip


def change_field(manifest: dict, arrays: dict[str, bytes], rng: np.random.Generator) -> None:
    """One value anywhere in the manifest: another value, a near number, gone, or with company."""
    parent, key = _leaf(manifest, rng)
    kind = int(rng.integers(6))
    value = parent[key]
    if kind == 0 and isinstance(value, float):
        parent[key] = value * (1 + float(rng.normal()) * 10.0 ** -int(rng.integers(1, 12)))
    elif kind == 1 and isinstance(value, float):
        parent[key] = -value
    elif kind == 2:
        del parent[key]
    elif kind == 3 and isinstance(parent, dict):
        parent["extra"] = VALUES[int(rng.integers(len(VALUES)))]
    elif kind == 4 and isinstance(parent, list):
        parent.append(parent[0])
    else:
        parent[key] = copy.deepcopy(VALUES[int(rng.integers(len(VALUES)))])


def change_array(manifest: dict, arrays: dict[str, bytes], rng: np.random.Generator) -> None:
    """Values of one array; inside the outline this gives another valid bundle."""
    name = _name(arrays, rng)
    content = bytearray(arrays[name])
    for _ in range(int(rng.integers(1, 4))):
        content[_place(content, rng)] = int(rng.integers(256))
    arrays[name] = bytes(content)


def change_inside(manifest: dict, arrays: dict[str, bytes], rng: np.random.Generator) -> None:
    """A shared value of a sensitive frame becomes another one: a valid bundle that says something else."""
    index = _frame(manifest, "sensitive", rng)
    content = bytearray(arrays[f"frames/{index:03d}.image"])
    places = np.flatnonzero(np.frombuffer(content, np.uint8))
    content[int(rng.choice(places))] = int(rng.integers(1, 256))
    arrays[f"frames/{index:03d}.image"] = bytes(content)


def change_length(manifest: dict, arrays: dict[str, bytes], rng: np.random.Generator) -> None:
    name = _name(arrays, rng)
    arrays[name] = (
        arrays[name][: -int(rng.integers(1, 99))] if rng.random() < 0.5 else arrays[name] + b"\0" * 64
    )


def colour_on_sensitive(manifest: dict, arrays: dict[str, bytes], rng: np.random.Generator) -> None:
    index = _frame(manifest, "sensitive", rng)
    image = manifest["frames"][index]["image"]
    image["shape"] = [*image["shape"], 3]
    arrays[f"frames/{index:03d}.image"] *= 3


def change_role(manifest: dict, arrays: dict[str, bytes], rng: np.random.Generator) -> None:
    frame = manifest["frames"][int(rng.integers(len(manifest["frames"])))]
    frame["role"] = "neutral" if frame["role"] == "sensitive" else "sensitive"


def drop_mask(manifest: dict, arrays: dict[str, bytes], rng: np.random.Generator) -> None:
    several = list(range(len(manifest["frames"])))
    for index in several if rng.random() < 0.5 else several[:1]:
        manifest["frames"][index]["mask"] = None
        arrays.pop(f"frames/{index:03d}.mask", None)


def move_camera(manifest: dict, arrays: dict[str, bytes], rng: np.random.Generator) -> None:
    camera = manifest["frames"][int(rng.integers(len(manifest["frames"])))]["camera"]
    pose = np.array(camera["cam_from_world"])
    kind = int(rng.integers(4))
    if kind == 0:
        pose[:3, 3] *= float(rng.uniform(0, 1.5))
    elif kind == 1:
        pose[:3, int(rng.integers(3))] *= -1
    elif kind == 2:
        pose[:3, :3] *= float(rng.uniform(0.9, 1.1))
    else:
        pose[:3, :3] = pose[[1, 2, 0], :3]
    camera["cam_from_world"] = pose.tolist()


def drop_frame(manifest: dict, arrays: dict[str, bytes], rng: np.random.Generator) -> None:
    """The last frame goes: valid while a sensitive one remains."""
    index = len(manifest["frames"]) - 1
    manifest["frames"].pop()
    for end in ("image", "mask"):
        arrays.pop(f"frames/{index:03d}.{end}", None)


def add_member(manifest: dict, arrays: dict[str, bytes], rng: np.random.Generator) -> None:
    arrays[["frames/000.thumbnail", "zz", "../x", "frames/998.image"][int(rng.integers(4))]] = b"hidden"


REHASHED: list[Callable[[dict, dict[str, bytes], np.random.Generator], None]] = [
    change_field, change_field, change_field, change_array, change_array, change_inside, change_length,
    colour_on_sensitive, change_role, drop_mask, move_camera, drop_frame, add_member,
]  # fmt: skip


def repacked(manifest: dict, arrays: dict[str, bytes]) -> bytes:
    """The bytes of a bundle with these contents and all hashes right."""
    frames = manifest.get("frames")
    for index, frame in enumerate(frames if isinstance(frames, list) else []):
        for end in ("image", "mask"):
            name = f"frames/{index:03d}.{end}"
            if isinstance(frame, dict) and isinstance(frame.get(end), dict) and name in arrays:
                frame[end]["sha256"] = hashlib.sha256(arrays[name]).hexdigest()
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()
    members = arrays | {
        "manifest.json": text,
        "manifest.sha256": hashlib.sha256(text).hexdigest().encode() + b"\n",
    }
    return b"".join(pack(sorted(members.items())))


def _leaf(value, rng: np.random.Generator):
    """A random (container, key); every level is as likely to be the last."""
    while True:
        keys = sorted(value) if isinstance(value, dict) else range(len(value))
        key = keys[int(rng.integers(len(keys)))]
        if not isinstance(value[key], (dict, list)) or not value[key] or rng.random() < 0.15:
            return value, key
        value = value[key]


def _name(arrays: dict[str, bytes], rng: np.random.Generator) -> str:
    return sorted(arrays)[int(rng.integers(len(arrays)))]


def _frame(manifest: dict, role: str, rng: np.random.Generator) -> int:
    return int(rng.choice([i for i, frame in enumerate(manifest["frames"]) if frame["role"] == role]))


# --- the judgement ---


def check(original: bytes, count: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Mutate `count` times.

    Returns:
        How often each kind of mutation was refused or accepted, and a line for every failure.
    """
    rng = np.random.default_rng(seed)
    truth = decoded(original)
    with zipfile.ZipFile(io.BytesIO(original)) as archive:
        arrays = {name: archive.read(name) for name in archive.namelist() if name.startswith("frames/")}
    outcome: Counter[str] = Counter()
    failures = []
    for number in range(count):
        raw = number % 2 == 0
        if raw:
            mutate = RAW[int(rng.integers(len(RAW)))]
            changed = bytearray(original)
            mutate(changed, rng)
            data = bytes(changed)
        else:
            change = REHASHED[int(rng.integers(len(REHASHED)))]
            manifest, parts = copy.deepcopy(truth["manifest"]), dict(arrays)
            change(manifest, parts, rng)
            data, mutate = repacked(manifest, parts), change
        verdict, failure = judged(data, truth if raw else None)
        outcome[f"{'hashes left' if raw else 'hashes anew'} {mutate.__name__} {verdict}"] += 1
        if failure:
            failures.append(f"mutation {number} ({mutate.__name__}): {failure}")
    return outcome, failures


def judged(data: bytes, truth: dict | None) -> tuple[str, str]:
    """Verify some bytes: `refused` or `accepted`, and what was wrong with that, if anything.

    Args:
        truth: the original's contents, if nothing else may be accepted.
    """
    try:
        bundle = decode(data)
    except BundleError as error:
        text = str(error)
        one_sentence = "\n" not in text and text.endswith(".") and 10 < len(text) < 400
        return "refused", "" if one_sentence else f"not a sentence: {text[:400]!r}"
    except Exception as error:
        return "crashed", f"{type(error).__name__}: {error}"
    broken = violations(data)
    if broken:
        return "accepted", f"accepted, but {broken[0]}"
    told = decoded(data)
    if truth is not None and not _same(told, truth):
        return "accepted", "accepted with other values, though the hashes were left alone"
    for index, frame in enumerate(bundle.frames):
        if not np.array_equal(frame.image, told["arrays"][f"frames/{index:03d}.image"]):
            return "accepted", f"frame {index} was read wrongly"
    return "accepted", ""


def _same(one: dict, other: dict) -> bool:
    return one["manifest"] == other["manifest"] and all(
        np.array_equal(one["arrays"][name], array) for name, array in other["arrays"].items()
    )


def sample_bundle(
    bits: int = 8, size: int = 24, sigma: Operator | None = None, noise: float = 0.0, gain: bool = False
) -> bytes:
    """A valid bundle of five random pictures with a disc as mask; σ is Sobel's if None."""
    sigma = sigma or operator("sobel")
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:size, :size] + 0.5
    distance = np.hypot(rows - size / 2, columns - size / 2)
    mask = (np.clip(size / 3 - distance + 0.5, 0, 1) * 255).astype(np.uint8)
    dtype = word(bits)
    top = np.iinfo(dtype).max
    frames = []
    for index in range(5):
        pose = np.eye(4)
        angle = 1.2 * index
        pose[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
        pose[2, 3] = 2.7
        K = [[1.5 * size, 0, size / 2], [0, 1.5 * size, size / 2], [0, 0, 1]]
        camera = Camera(np.array(K), size, size, pose)
        if index < 2:
            colour = rng.random((size, size, 3)) * 0.9 * (mask / 255)[:, :, None]
            frames.append(BundleFrame(camera, Role.NEUTRAL, (colour * top).astype(dtype), mask, bits=bits))
        else:
            inside = distance < size / 3 - 1.5 - 1.5 * sigma.reach
            codes = rng.integers(1, levels(bits) + 1, (size, size)) * inside
            frames.append(
                BundleFrame(camera, Role.SENSITIVE, codes.astype(dtype), mask, 0.5, bits, sigma.reach)
            )
    center = np.array([0.0, 1.0, 2.0])
    return bundle_bytes(
        Bundle(tuple(frames), size, sigma, bits, 0.5, center, 3.5, "mm", "masks", noise, gain)
    )


def peak_bytes() -> int:
    """Largest resident size of this process so far."""
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", nargs="?", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("error")
    original = options.bundle.read_bytes() if options.bundle else sample_bundle()
    wrong = violations(original)
    if wrong:
        print(f"the original breaks a rule: {wrong[0]}")
        return 1
    start = time.perf_counter()
    outcome, failures = check(original, options.count, options.seed)
    for name, number in sorted(outcome.items()):
        print(f"{number:5d}  {name}")
    for line in failures:
        print(line)
    print(
        f"{options.count - len(failures)} of {options.count} as they should be, in "
        f"{time.perf_counter() - start:.1f} s, peak {peak_bytes() / 1e6:.0f} MB"
    )
    return 1 if failures or peak_bytes() > 200e6 else 0


if __name__ == "__main__":
    sys.exit(main())
