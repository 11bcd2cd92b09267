"""A triangle mesh as plain arrays, and its way to and from files."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from sansface.errors import SansfaceError
from sansface.files import written_beside

FORMATS = ("ply", "obj", "glb", "stl")
ROUNDED = 1e-5
"""Share of a mesh's size that a float32 may round off."""


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles in whatever frame the caller says; faces turn anticlockwise seen from outside.

    vertices: (n, 3) float64.  faces: (m, 3) int64 into the vertices.  normals: (n, 3) float64 unit, or None.
    Raises SansfaceError if a shape is wrong, a number is not finite or a face names a vertex that is not
    there.
    """

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray | None = None

    def __post_init__(self) -> None:
        vertices = np.ascontiguousarray(self.vertices, dtype=np.float64)
        faces = np.ascontiguousarray(self.faces, dtype=np.int64)
        if vertices.ndim != 2 or vertices.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
            raise SansfaceError("a mesh needs vertices (n, 3) and triangles (m, 3); triangulate it first.")
        if not np.isfinite(vertices).all():
            raise SansfaceError("the mesh has vertices that are not finite numbers; export it again.")
        if len(faces) and (faces.min() < 0 or faces.max() >= len(vertices)):
            raise SansfaceError("the mesh has a face that names a missing vertex; export it again.")
        object.__setattr__(self, "vertices", vertices)
        object.__setattr__(self, "faces", faces)
        if self.normals is not None:
            normals = np.ascontiguousarray(self.normals, dtype=np.float64)
            if normals.shape != vertices.shape:
                raise SansfaceError("a mesh needs one normal a vertex, or none at all.")
            object.__setattr__(self, "normals", normals)

    @cached_property
    def triangles(self) -> np.ndarray:
        """(m, 3, 3) float64, the corners of every face."""
        return self.vertices[self.faces]

    @cached_property
    def face_normals(self) -> np.ndarray:
        """(m, 3) float64 unit, (b - a) x (c - a); zero where a face has no area."""
        a, b, c = np.moveaxis(self.triangles, 1, 0)
        return _unit(np.cross(b - a, c - a))

    @cached_property
    def areas(self) -> np.ndarray:
        """(m,) float64."""
        a, b, c = np.moveaxis(self.triangles, 1, 0)
        return 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)

    @cached_property
    def vertex_normals(self) -> np.ndarray:
        """(n, 3) float64 unit: `normals` where given, else face normals weighted by area."""
        if self.normals is not None:
            return self.normals
        weighted = self.face_normals * self.areas[:, None]
        total = np.stack(
            [
                sum(np.bincount(self.faces[:, k], weighted[:, axis], len(self.vertices)) for k in range(3))
                for axis in range(3)
            ],
            axis=1,
        )
        return _unit(total)

    def to_trimesh(self) -> trimesh.Trimesh:
        """The same arrays as a trimesh, nothing merged or reordered."""
        return trimesh.Trimesh(self.vertices, self.faces, vertex_normals=self.normals, process=False)


def transform(mesh: Mesh, center: np.ndarray, radius: float, rotation: np.ndarray | None = None) -> Mesh:
    """From the unit-sphere frame to the capture's: x_world = center + radius · rotation x_norm."""
    turn = np.eye(3) if rotation is None else np.asarray(rotation, dtype=np.float64)
    vertices = np.asarray(center, dtype=np.float64) + float(radius) * mesh.vertices @ turn.T
    return Mesh(vertices, mesh.faces, None if mesh.normals is None else mesh.normals @ turn.T)


def write_mesh(mesh: Mesh, path: Path | str, note: str | None = None) -> None:
    """Write by suffix: .ply (binary, with normals), .obj, .glb or .stl (no shared vertices).

    The coordinates are written as they are: transform to the capture's frame first. Those of .ply, .glb and
    .stl are float32; where the mesh is so far from the origin that this would round it, .ply takes float64,
    .glb a node that is moved there, and .stl is rounded.

    Args:
        note: ASCII, of one line, at most 70 characters: goes into the file's head, where each format has a
            place for such.

    Raises:
        SansfaceError: another suffix, or a place that cannot be written.
    """
    path = Path(path)
    kind = _format(path)
    normals = mesh.vertex_normals if kind != "stl" else None
    full = trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_normals=normals, process=False)
    size = np.ptp(mesh.vertices, axis=0).max()
    far = np.abs(mesh.vertices).max() * np.finfo(np.float32).eps > ROUNDED * size
    options = {
        "ply": {"vertex_normal": True},
        "obj": {"include_normals": True, "include_texture": False, "digits": 9},
        "glb": {"include_normals": True},
        "stl": {},
    }[kind]
    exact = {"ply": _ply_of_doubles, "glb": _glb_moved}.get(kind) if far else None
    data: Any = exact(full) if exact else full.export(file_type=kind, **options)
    data = data.encode("utf-8") if isinstance(data, str) else data
    with written_beside(path) as beside:
        beside.write_bytes(_noted(data, kind, note) if note else data)


def _noted(data: bytes, kind: str, note: str) -> bytes:
    words = note.encode("ascii")
    if kind == "ply":
        return data.replace(b"\nelement", b"\ncomment " + words + b"\nelement", 1)
    if kind == "obj":
        return b"# " + words + b"\n" + data
    if kind == "stl":
        return words.ljust(80) + data[80:]
    # A .glb's first chunk is JSON, padded with spaces to a multiple of four bytes (glTF 2.0, 4.4.3).
    length = int.from_bytes(data[12:16], "little")
    described = json.loads(data[20 : 20 + length])
    described["asset"]["extras"] = {"note": note}
    text = json.dumps(described, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 4)
    rest = data[20 + length :]
    total = 20 + len(text) + len(rest)
    return data[:8] + total.to_bytes(4, "little") + len(text).to_bytes(4, "little") + b"JSON" + text + rest


def _ply_of_doubles(mesh: trimesh.Trimesh) -> bytes:
    vertices = np.zeros(len(mesh.vertices), [("place", "<f8", 3), ("normal", "<f4", 3)])
    vertices["place"], vertices["normal"] = mesh.vertices, mesh.vertex_normals
    faces = np.zeros(len(mesh.faces), [("count", "u1"), ("corners", "<i4", 3)])
    faces["count"], faces["corners"] = 3, mesh.faces
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(vertices)}"]
    header += [f"property double {axis}" for axis in "xyz"]
    header += [f"property float n{axis}" for axis in "xyz"]
    header += [f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header", ""]
    return "\n".join(header).encode("ascii") + vertices.tobytes() + faces.tobytes()


def _glb_moved(mesh: trimesh.Trimesh) -> bytes:
    middle = mesh.vertices.mean(axis=0)
    near = trimesh.Trimesh(
        mesh.vertices - middle, mesh.faces, vertex_normals=mesh.vertex_normals, process=False
    )
    scene = trimesh.Scene()
    scene.add_geometry(near, transform=trimesh.transformations.translation_matrix(middle))
    data: Any = scene.export(file_type="glb", include_normals=True)
    return data


def read_mesh(path: Path | str) -> Mesh:
    """Read .ply, .obj, .glb or .stl; several parts are joined. Corners of an .stl are welded where they are
    equal.

    Normals in the file are ignored: those of the result follow from its faces, which is what an evaluation
    wants.
    Raises SansfaceError for a file that is missing, of another format, broken, or without triangles.
    """
    path = Path(path)
    kind = _format(path)
    if not path.is_file():
        raise SansfaceError(f"there is no mesh file {path}; check the path.")
    try:
        loaded = trimesh.load(path, file_type=kind, force="mesh", process=False, maintain_order=True)
    except Exception as error:  # trimesh's readers raise whatever their parser raises
        raise SansfaceError(f"cannot read the mesh {path}; export it again as .ply.") from error
    if not isinstance(loaded, trimesh.Trimesh) or len(loaded.faces) == 0:
        raise SansfaceError(f"the mesh {path} has no triangles; export it again with faces.")
    if kind == "stl":
        corners, index = np.unique(np.asarray(loaded.vertices), axis=0, return_inverse=True)
        return Mesh(corners, index.reshape(-1)[loaded.faces])
    return Mesh(loaded.vertices, loaded.faces)


def _format(path: Path) -> str:
    kind = path.suffix.lower().lstrip(".")
    if kind not in FORMATS:
        raise SansfaceError(f"{path} is not a format of meshes; end the name in .{', .'.join(FORMATS)}.")
    return kind


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
