"""ICT-FaceKit's own files made into the asset `ict`: a folder of OBJ meshes into one `ict.npz`.

The folder is `FaceXModel` of github.com/ICT-VGL/ICT-FaceKit, beside which its LICENSE lies. Every mesh there
has the same 26719 vertices and 26384 polygons, in centimetres: `generic_neutral_mesh.obj` is the mean head,
each other one is that head with one identity (`identity000` to `identity099`) or one expression at full
weight. The asset keeps

    neutral = float32(v),        offset = float16(v' − v),

differences taken in double precision, and the polygons as fans of triangles around their first corner. The
same meshes give the same bytes, so the asset is known by its SHA-256 as any other is.
"""

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sansface import assets
from sansface.errors import SansfaceError
from sansface.files import os_error_sentence, written_beside
from sansface.protect.container import pack

COMMIT = "da5f95a607f5e6b37755b38d3385d7f2853732e5"
"""Of ICT-FaceKit, whose meshes the asset is."""
NEUTRAL = "generic_neutral_mesh"
IDENTITY = "identity"
IDENTITIES = 100
UNITS = (
    "centimetres; x = subject left(+), y up, z forward(+, out of face); vertex = neutral + "
    "sum w_i*identity[i] + sum e_j*expression[j]; w_i ~ N(0,1), e_j in [0,1]; region ranges are half-open"
)

REGIONS: tuple[tuple[str, int, int, int, int], ...] = (
    ("Face", 0, 9409, 0, 9230),
    ("Head and Neck", 9409, 11248, 9230, 11144),
    ("Mouth socket", 11248, 13294, 11144, 13226),
    ("Eye socket left", 13294, 13678, 13226, 13630),
    ("Eye socket right", 13678, 14062, 13630, 14034),
    ("Gums and tongue", 14062, 17039, 14034, 17006),
    ("Teeth", 17039, 21451, 17006, 21496),
    ("Eyeball left", 21451, 23021, 21496, 23094),
    ("Eyeball right", 23021, 24591, 23094, 24692),
    ("Lacrimal fluid left", 24591, 24795, 24692, 24855),
    ("Lacrimal fluid right", 24795, 24999, 24855, 25018),
    ("Eye blend left", 24999, 25023, 25018, 25033),
    ("Eye blend right", 25023, 25047, 25033, 25048),
    ("Eye occlusion left", 25047, 25199, 25048, 25176),
    ("Eye occlusion right", 25199, 25351, 25176, 25304),
    ("Eyelashes left", 25351, 26035, 25304, 25844),
    ("Eyelashes right", 26035, 26719, 25844, 26384),
    ("Narrow face area (subset of Face)", 0, 6706, 0, 6560),
    ("Sclera left", 21451, 22221, 21496, 22296),
    ("Iris left", 22221, 23021, 22296, 23094),
    ("Sclera right", 23021, 23791, 23094, 23894),
    ("Iris right", 23791, 24591, 23894, 24692),
)
"""Name, first vertex and last + 1, first polygon and last + 1: the tables of ICT-FaceKit's README."""

LISTS = (
    "idx_to_fitting_verts",
    "idx_to_rigid_verts",
    "idx_to_lap_rigid_verts",
    "idx_to_rigid_landmark_idx",
)
"""Of vertex_indices.json, kept as they are."""


def convert(folder: Path, tell: Callable[[float], None] = lambda done: None) -> Path:
    """Make the asset of a folder, where `sansface.assets` looks for it; returns its path.

    Args:
        folder: FaceXModel, or the repository that holds it.
        tell: called with the share that is done.

    Raises:
        SansfaceError: a file is missing, damaged or of another version; or the asset cannot be written.
            Then nothing is written.
    """
    asset = assets.ASSETS["ict"]
    folder = folder / "FaceXModel" if (folder / "FaceXModel").is_dir() else folder
    content = b"".join(pack(_members(arrays(folder, tell))))
    if hashlib.sha256(content).hexdigest() != asset.converted:
        raise SansfaceError(
            f"the meshes in {folder} are not those of this version's asset ict; check out commit "
            f"{COMMIT[:12]} of ICT-FaceKit and try again."
        )
    path = assets.folder() / asset.path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SansfaceError(os_error_sentence("make", path.parent, error)) from error
    with written_beside(path) as part:
        part.write_bytes(content)
    return path


def arrays(folder: Path, tell: Callable[[float], None] = lambda done: None) -> dict[str, np.ndarray]:
    """The asset's arrays by their names.

    Raises:
        SansfaceError: a file is missing or damaged, or its mesh is not of the usual topology.
    """
    names = sorted(path.stem for path in folder.glob("*.obj"))
    identities = [f"{IDENTITY}{number:03d}" for number in range(IDENTITIES)]
    expressions = [name for name in names if not name.startswith((IDENTITY, NEUTRAL))]
    vertices, polygons = max(row[2] for row in REGIONS), max(row[4] for row in REGIONS)
    neutral, mesh = _neutral(folder / f"{NEUTRAL}.obj", vertices, polygons)
    offsets = []
    for number, name in enumerate([*identities, *expressions]):
        path = folder / f"{name}.obj"
        moved = _numbers([line.split() for line in _lines(path, "v ")], vertices, path)
        offsets.append((moved - neutral).astype(np.float16))
        tell((number + 1) / (len(identities) + len(expressions)))
    lists = _json(folder / "vertex_indices.json")
    try:
        indices = {name: np.array(lists[name], dtype=np.int32) for name in (*LISTS, "idx_to_landmark_verts")}
    except (KeyError, TypeError, ValueError) as error:
        raise SansfaceError(
            f"{folder / 'vertex_indices.json'} lacks a list of vertices; get ICT-FaceKit's file again."
        ) from error
    return {
        "neutral": neutral.astype(np.float32),
        "identity": np.stack(offsets[: len(identities)]),
        "identity_names": np.array(identities),
        "expression": np.stack(offsets[len(identities) :]),
        "expression_names": np.array(expressions),
        **mesh,
        "landmarks68": indices.pop("idx_to_landmark_verts"),
        "region_names": np.array([row[0] for row in REGIONS]),
        "region_vertex_range": np.array([row[1:3] for row in REGIONS], dtype=np.int32),
        "region_poly_range": np.array([row[3:5] for row in REGIONS], dtype=np.int32),
        **indices,
        "units": np.array(UNITS),
        "licence": np.array("".join(_lines(folder.parent / "LICENSE", ""))),
        "source": np.array(f"github ICT-VGL/ICT-FaceKit {COMMIT}"),
    }


def triangles(polygons: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """(m, 3) int32 fans around every polygon's first corner, and (m,) int32, the polygon of each."""
    faces = [(p[0], p[k], p[k + 1]) for p in polygons for k in range(1, len(p) - 1)]
    owner = np.repeat(np.arange(len(polygons)), [len(p) - 2 for p in polygons])
    return np.array(faces, dtype=np.int32), owner.astype(np.int32)


def _neutral(path: Path, vertices: int, polygons: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """(n, 3) float64 vertices of the mean head, and all that concerns its surface."""
    places: list[list[str]] = []
    corners: list[list[int]] = []
    corners_uv: list[list[int]] = []
    uv: list[list[str]] = []
    materials: list[str] = []
    material: list[int] = []
    for line in _lines(path, ""):
        kind, _, rest = line.partition(" ")
        if kind == "v":
            places.append(rest.split())
        elif kind == "vt":
            uv.append(rest.split()[:2])
        elif kind == "usemtl":
            materials.append(rest.strip())
        elif kind == "f":
            pairs = [corner.split("/") for corner in rest.split()]
            try:
                corners.append([int(pair[0]) - 1 for pair in pairs])
                corners_uv.append([int(pair[1]) - 1 for pair in pairs])
            except (IndexError, ValueError) as error:
                raise SansfaceError(f"{path} is damaged; get ICT-FaceKit's file again.") from error
            material.append(len(materials) - 1)
    if len(corners) != polygons:
        raise SansfaceError(f"{path} does not have {polygons} polygons; get ICT-FaceKit's file again.")
    faces, owner = triangles(corners)
    mesh = {
        "faces": faces,
        "faces_uv": triangles(corners_uv)[0],
        "uv": _numbers(uv, len(uv), path, 2).astype(np.float32),
        "face_poly": owner,
        "face_material": np.array(material, dtype=np.int16)[owner],
        "material_names": np.array(materials),
    }
    return _numbers(places, vertices, path), mesh


def _numbers(rows: list[list[str]], count: int, path: Path, width: int = 3) -> np.ndarray:
    """(count, width) float64."""
    try:
        result = np.array(rows, dtype=np.float64)
    except ValueError as error:
        raise SansfaceError(f"{path} is damaged; get ICT-FaceKit's file again.") from error
    if result.shape != (count, width) or not np.isfinite(result).all():
        raise SansfaceError(f"{path} does not have {count} finite vertices; get ICT-FaceKit's file again.")
    return result


def _lines(path: Path, start: str) -> Iterator[str]:
    """Those lines of a text that begin so, without it."""
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                if line.startswith(start):
                    yield line[len(start) :]
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError):
            raise SansfaceError(os_error_sentence("read", path, error)) from error
        raise SansfaceError(f"{path} is damaged; get ICT-FaceKit's file again.") from error


def _json(path: Path) -> Any:
    try:
        return json.loads("".join(_lines(path, "")))
    except ValueError as error:
        raise SansfaceError(f"{path} is damaged; get ICT-FaceKit's file again.") from error


def _members(arrays: dict[str, np.ndarray]) -> Iterator[tuple[str, bytes]]:
    """The npz's members, each in NumPy's own format."""
    for name, array in arrays.items():
        content = io.BytesIO()
        np.lib.format.write_array(content, np.asarray(array, order="C"), version=(1, 0), allow_pickle=False)
        yield f"{name}.npy", content.getvalue()
