"""The rules of a bundle, checked a second time without any of the package's code.

Written against the text of the format with `zipfile` and `json`, it judges what the verifier accepts.
"""

import hashlib
import io
import json
import math
import zipfile

import numpy as np

SMOOTHING = {
    "sobel": ([1, 2, 1], 8),
    "scharr": ([3, 10, 3], 32),
    "prewitt": ([1, 1, 1], 6),
    "central": ([0, 1, 0], 2),
    "structure": ([1, 2, 1], 8),
}
MODULI = {"log": "norm-of-sum", "structure": "structure-tensor"}
LOCAL_HEADER, DIRECTORY_ENTRY, END_RECORD = 30, 46, 22


def violations(data: bytes) -> list[str]:
    """Every rule that the bytes of a bundle break; empty if they obey all of them."""
    try:
        found, _ = _judge(data)
    except Exception as error:
        return [f"cannot be judged: {type(error).__name__}: {error}"]
    return found


def decoded(data: bytes) -> dict:
    """What a valid bundle says: the manifest, and each array as numbers."""
    return _judge(data)[1]


def _judge(data: bytes) -> tuple[list[str], dict]:
    bad: list[str] = []
    archive = zipfile.ZipFile(io.BytesIO(data))
    infos = archive.infolist()
    names = [info.filename for info in infos]
    content = {name: archive.read(name) for name in set(names)}
    size = sum(LOCAL_HEADER + DIRECTORY_ENTRY + 2 * len(i.filename) + i.file_size for i in infos) + END_RECORD
    _rule(bad, size == len(data), "bytes between or after the members")
    _rule(bad, names == sorted(set(names)), "members twice or out of order")
    _rule(bad, archive.comment == b"", "a comment")
    for info in infos:
        _rule(bad, info.compress_type == zipfile.ZIP_STORED, f"{info.filename} compressed")
        _rule(bad, info.date_time == (1980, 1, 1, 0, 0, 0), f"{info.filename} has a date")
        fixed = (info.create_system, info.external_attr, info.internal_attr, info.flag_bits, info.volume)
        _rule(bad, fixed == (3, 0o100644 << 16, 0, 0, 0), f"{info.filename} has other attributes")
        _rule(bad, not info.extra and not info.comment, f"{info.filename} has extras")
    text = content["manifest.json"]
    _rule(bad, content["manifest.sha256"] == _sha(text).encode() + b"\n", "manifest's hash")
    manifest = json.loads(text)
    canonical = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    _rule(
        bad,
        canonical.encode() == text and "NaN" not in canonical and "Infinity" not in canonical,
        "not canonical",
    )
    bits, noise, gain = manifest["bits"], manifest.get("noise", 0.0), manifest.get("gain", False)
    share = manifest.get("share", "modulus")
    strengths = "gain noise " if manifest["schema"] >= 2 else ""
    told = "share " if manifest["schema"] == 3 else ""
    newer = bits not in (8, 16) or noise > 0 or gain or "blur" in manifest["operator"]
    newer = newer or manifest["operator"]["name"] not in ("sobel", "scharr", "prewitt", "central")
    _keys(
        bad,
        manifest,
        f"bits frames {strengths}operator resolution scale schema {told}sphere_source unit world_from_norm",
    )
    schema = 1 + newer if share == "modulus" else 3
    _rule(bad, type(manifest["schema"]) is int and manifest["schema"] == schema, "schema")
    _rule(bad, share in ("modulus", "outline", "camera"), "share")
    strong = (noise, gain, manifest["scale"]) != (0, False, 1)
    _rule(bad, share == "modulus" or not strong, "strengths of nothing")
    _rule(bad, type(bits) is int and 1 <= bits <= 16, "bits")
    _rule(bad, _real(noise) and 0 <= noise <= 1 and type(gain) is bool, "noise or gain")
    resolution = manifest["resolution"]
    _rule(bad, type(resolution) is int and 1 <= resolution <= 1024, "resolution")
    _rule(bad, manifest["unit"] in ("unknown", "arbitrary", "mm", "cm", "m", "in"), "unit")
    _rule(bad, manifest["sphere_source"] in ("masks", "cameras", "given"), "sphere_source")
    _keys(bad, manifest["world_from_norm"], "center radius")
    center, radius = manifest["world_from_norm"]["center"], manifest["world_from_norm"]["radius"]
    _rule(bad, len(center) == 3 and all(_real(x) and abs(x) <= 1e9 for x in center), "center")
    _rule(bad, _real(radius) and 0 < radius <= 1e9, "radius")
    scale = manifest["scale"]
    _rule(bad, _real(scale) and 1 / 256 <= scale <= 2 and (scale * 256).is_integer(), "scale")
    reach = _operator(bad, manifest["operator"])
    expected = {"manifest.json", "manifest.sha256"}
    arrays = {}
    frames = manifest["frames"]
    _rule(bad, 1 <= len(frames) <= 500, "number of frames")
    _rule(bad, any(frame["role"] == "sensitive" for frame in frames), "nothing sensitive")
    masked = [frame for frame in frames if share != "camera" or frame["role"] == "neutral"]
    _rule(bad, len({frame["mask"] is None for frame in masked}) == 1, "some masks only, or no frame")
    for index, frame in enumerate(frames):
        stem = f"frames/{index:03d}"
        expected |= {stem + ".image"} | ({stem + ".mask"} if frame["mask"] is not None else set())
        _keys(bad, frame, "camera image mask role")
        _rule(bad, frame["role"] in ("neutral", "sensitive"), f"{stem} role")
        camera = frame["camera"]
        _camera(bad, camera, resolution, stem)
        shape = [camera["height"], camera["width"]] + ([3] if frame["role"] == "neutral" else [])
        dtype = "uint8" if bits <= 8 else "uint16"
        image = _array(bad, frame["image"], content[stem + ".image"], dtype, shape, stem + ".image")
        arrays[stem + ".image"] = image
        mask = None
        if frame["mask"] is not None:
            mask = _array(bad, frame["mask"], content[stem + ".mask"], "uint8", shape[:2], stem + ".mask")
            arrays[stem + ".mask"] = mask
        if frame["role"] == "sensitive":
            _rule(bad, bool((image != 0).any()) == (share == "modulus"), f"{stem} all withheld, or not")
            if share != "modulus":
                _rule(bad, (mask is None) == (share == "camera"), f"{stem} has an outline, or none")
            _rule(bad, int(image.max()) <= 2**bits, f"{stem} has codes above its bits")
        if mask is not None:
            _silhouette(bad, frame["role"], image, mask, reach, stem)
    _rule(bad, set(names) == expected, "unknown or missing members")
    return bad, {"manifest": manifest, "arrays": arrays}


def _silhouette(
    bad: list[str], role: str, image: np.ndarray, mask: np.ndarray, reach: int, stem: str
) -> None:
    if role == "neutral":
        half = 0.5 / 255  # a mask's code stands for a coverage of up to half a step more
        most = (
            np.floor((mask[:, :, None] / 255 + half) * 65535 + 0.5)
            if image.itemsize == 2
            else mask[:, :, None]
        )
        _rule(bad, bool((image <= most).all()), f"{stem} has colour outside its mask")
    else:
        padded = np.pad(mask, reach, constant_values=255)  # beyond the border there is no outline
        size = (2 * reach + 1, 2 * reach + 1)
        around = np.lib.stride_tricks.sliding_window_view(padded, size).min(axis=(2, 3))
        _rule(bad, not image[around < 255].any(), f"{stem} has a value at the outline")


def _camera(bad: list[str], camera: dict, resolution: int, stem: str) -> None:
    _keys(bad, camera, "K cam_from_world height width")
    sides = (camera["width"], camera["height"])
    _rule(
        bad,
        all(type(side) is int and side >= 1 for side in sides) and max(sides) == resolution,
        f"{stem} size",
    )
    K, pose = camera["K"], camera["cam_from_world"]
    real = all(_real(x) for row in [*K, *pose] for x in row)
    _rule(bad, real and np.shape(K) == (3, 3) and np.shape(pose) == (4, 4), f"{stem} camera's numbers")
    K, pose = np.array(K), np.array(pose)
    _rule(bad, K[2].tolist() == [0, 0, 1] and K[1, 0] == 0 and min(K[0, 0], K[1, 1]) >= 1, f"{stem} K")
    _rule(bad, np.abs(K).max() <= 1e6 and np.abs(pose[:3, 3]).max() <= 1000, f"{stem} camera's size")
    R = pose[:3, :3]
    _rule(bad, np.abs(R @ R.T - np.eye(3)).max() <= 1e-4 and np.linalg.det(R) > 0, f"{stem} rotation")
    _rule(bad, pose[3].tolist() == [0, 0, 0, 1], f"{stem} last row")
    _rule(bad, float(np.linalg.norm(R.T @ pose[:3, 3])) > 1, f"{stem} camera inside the sphere")


def _operator(bad: list[str], operator: dict) -> int:
    """Judge the operator; how far it sees, in pixels."""
    name, blur, window = operator["name"], operator.get("blur", 0.0), operator.get("window", 0.0)
    words = "border colour kernel_x kernel_y modulus name"
    words = f"blur {words}" if "blur" in operator else words
    _keys(bad, operator, f"{words} window" if name == "structure" else words)
    _rule(bad, "blur" not in operator or (_real(blur) and 0.25 <= blur <= 8), "blur")
    _rule(bad, window == (1.0 if name == "structure" else 0.0), "window")
    if name == "roberts":
        x = np.array([[0, 0, 0], [0, -1, 0], [0, 0, 1]]) / 2
        y = np.array([[0, 0, 0], [0, 0, -1], [0, 1, 0]]) / 2
    elif name == "log":
        _rule(bad, blur > 0, "a Laplacian without its Gaussian")
        x = np.array([[0, 0, 0], [1, -2, 1], [0, 0, 0]]) * blur**2
        y = x.T
    else:
        weights, total = SMOOTHING[name]
        x = np.outer(weights, [-1, 0, 1]) / total
        y = x.T
    np_x, np_y = np.array(operator["kernel_x"]), np.array(operator["kernel_y"])
    near = 1e-6 * np.abs(x).max()
    _rule(bad, np_x.shape == (3, 3) and np.abs(np_x - x).max() < near, "kernel_x")
    _rule(bad, np_y.shape == (3, 3) and np.abs(np_y - y).max() < near, "kernel_y")
    said = (operator["colour"], operator["border"], operator["modulus"])
    _rule(bad, said == ("srgb", "replicate", MODULI.get(name, "sum-of-norms")), "operator's words")
    return 1 + math.ceil(3 * blur) + math.ceil(3 * window)


def _array(bad: list[str], declared: dict, raw: bytes, dtype: str, shape: list[int], name: str) -> np.ndarray:
    _keys(bad, declared, "dtype sha256 shape")
    _rule(bad, declared["dtype"] == dtype, f"{name} dtype")
    _rule(bad, declared["shape"] == shape and all(type(n) is int for n in declared["shape"]), f"{name} shape")
    _rule(bad, declared["sha256"] == _sha(raw), f"{name} hash")
    return np.frombuffer(raw, {"uint8": "<u1", "uint16": "<u2"}[dtype]).reshape(shape)


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _real(value: object) -> bool:
    return type(value) is float and math.isfinite(value)


def _keys(bad: list[str], value: dict, names: str) -> None:
    _rule(bad, sorted(value) == names.split(), f"keys {sorted(value)}")


def _rule(bad: list[str], holds: bool, name: str) -> None:
    if not holds:
        bad.append(name)
