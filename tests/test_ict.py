"""ICT-FaceKit's OBJ files made into the asset: the recipe, a round trip, and what is refused."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from sansface import assets
from sansface.cli import main
from sansface.errors import SansfaceError
from sansface.heads import ict

VERTICES = (6, 9, 17)
"""Of the lines below, which are the repository's own: of generic_neutral_mesh.obj and of jawOpen.obj."""
NEUTRAL = ("-0.503397 3.45413 10.6387", "-0.724118 4.60913 10.5014", "-5.15056 1.83475 8.58433")
JAW_OPEN = ("-0.504628 3.43896 10.6459", "-0.723962 4.60698 10.5015", "-5.14434 1.71751 8.58535")

TINY = (("Face", 0, 4, 0, 2), ("Teeth", 4, 5, 2, 3))
LISTS = {name: [0, 1] for name in (*ict.LISTS, "idx_to_landmark_verts")}
MESHES = ("generic_neutral_mesh", "identity000", "identity001", "jawOpen", "Blink_L")


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone with five vertices, a quad and two triangles, two identities and two expressions."""
    monkeypatch.setattr(ict, "REGIONS", TINY)
    monkeypatch.setattr(ict, "IDENTITIES", 2)
    folder = tmp_path / "clone" / "FaceXModel"
    folder.mkdir(parents=True)
    (folder.parent / "LICENSE").write_text("MIT\n")
    (folder / "vertex_indices.json").write_text(json.dumps(LISTS))
    places = np.arange(15).reshape(5, 3) / 10
    for number, name in enumerate(MESHES):
        lines = [f"v {x:g} {y:g} {z:g}" for x, y, z in places + 0.25 * number]
        lines += ["vt 0 0.5", "vt 1 0.25 0", "usemtl A", "f 1/1 2/2 3/1 4/2", "usemtl B", "f 1/1 2/1 3/1"]
        (folder / f"{name}.obj").write_text("\n".join(["# licence", *lines, "f 3/1 5/2 1/1", ""]))
    return folder


def test_offsets_of_the_repositorys_own_lines_are_the_assets(shared_assets: Path):
    with np.load(shared_assets / "ict/ict.npz") as asset:
        names = [str(name) for name in asset["expression_names"]]
        there = asset["expression"][names.index("jawOpen")][list(VERTICES)]
        mean = asset["neutral"][list(VERTICES)]
    v, w = (np.array([row.split() for row in rows], dtype=np.float64) for rows in (NEUTRAL, JAW_OPEN))
    np.testing.assert_array_equal(mean, v.astype(np.float32))
    np.testing.assert_array_equal(there, (w - v).astype(np.float16))
    single = (w.astype(np.float32) - v.astype(np.float32)).astype(np.float16)
    assert (single != there).any()  # the lines were chosen so that the difference's precision matters


def test_polygons_are_fans_around_their_first_corner():
    faces, owner = ict.triangles([[3, 1, 2], [4, 5, 6, 7], [0, 1, 2, 3, 4]])
    np.testing.assert_array_equal(faces, [[3, 1, 2], [4, 5, 6], [4, 6, 7], [0, 1, 2], [0, 2, 3], [0, 3, 4]])
    np.testing.assert_array_equal(owner, [0, 1, 1, 2, 2, 2])


def test_a_small_clone(tiny: Path):
    made = ict.arrays(tiny)
    np.testing.assert_array_equal(made["faces"], [[0, 1, 2], [0, 2, 3], [0, 1, 2], [2, 4, 0]])
    np.testing.assert_array_equal(made["faces_uv"], [[0, 1, 0], [0, 0, 1], [0, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(made["face_poly"], [0, 0, 1, 2])
    np.testing.assert_array_equal(made["face_material"], [0, 0, 1, 1])
    np.testing.assert_array_equal(made["uv"], np.float32([[0, 0.5], [1, 0.25]]))
    assert list(made["expression_names"]) == ["Blink_L", "jawOpen"]  # as ASCII sorts them
    np.testing.assert_allclose(made["identity"], [[[0.25] * 3] * 5, [[0.5] * 3] * 5])
    np.testing.assert_allclose(made["expression"], [[[1.0] * 3] * 5, [[0.75] * 3] * 5])
    assert str(made["licence"]) == "MIT\n"


def test_a_converted_file_is_written_where_it_is_looked_for(tiny: Path, tmp_path: Path, monkeypatch):
    content = b"".join(ict.pack(ict._members(ict.arrays(tiny))))
    known = assets.Asset("ict/ict.npz", "0" * 64, "MIT", "", converted=hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(assets, "ASSETS", {"ict": known})
    monkeypatch.setenv(assets.MIRROR, str(tmp_path / "cache"))
    assert ict.convert(tiny.parent) == ict.convert(tiny) == assets.find("ict")  # the clone, or its folder
    with np.load(assets.find("ict"), allow_pickle=False) as file:
        np.testing.assert_array_equal(file["identity"], ict.arrays(tiny)["identity"])
        assert file["source"].shape == ()
    assets.find("ict").write_bytes(content + b"\0")
    assert assets.state("ict") == "changed"


def test_meshes_of_another_version_are_refused_and_nothing_is_written(
    tiny: Path, tmp_path: Path, monkeypatch, capsys
):
    monkeypatch.setenv(assets.MIRROR, str(tmp_path / "cache"))
    assert main(["assets", "convert", "ict", str(tiny.parent)]) == 1
    assert "check out commit da5f95a607f5" in capsys.readouterr().err
    assert not (tmp_path / "cache").exists()
    assert main(["assets", "convert", "yunet", str(tiny.parent)]) == 1
    assert "only ict" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["generic_neutral_mesh.obj", "identity001.obj", "vertex_indices.json", "../LICENSE"]
)
def test_a_missing_file_is_named(tiny: Path, name: str):
    (tiny / name).unlink()
    with pytest.raises(SansfaceError, match=Path(name).name):
        ict.arrays(tiny)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("generic_neutral_mesh.obj", "v 0 0 0\n"),
        ("generic_neutral_mesh.obj", "v 0 0 0\nf 1 2 3\n"),
        ("identity001.obj", "v 0 0 0\n"),
        ("identity001.obj", "v 0 0 0\nv 1 1\n"),
        ("jawOpen.obj", "v a b c\n" * 5),
        ("jawOpen.obj", "v nan 0 0\n" * 5),
        ("vertex_indices.json", "[1]"),
        ("vertex_indices.json", "{"),
    ],
)
def test_a_damaged_file_is_named(tiny: Path, name: str, content: str):
    (tiny / name).write_text(content)
    with pytest.raises(SansfaceError, match=f"{name}.*again"):
        ict.arrays(tiny)


@pytest.mark.slow
def test_the_asset_written_as_meshes_and_converted_is_the_pinned_file(
    shared_assets: Path, tmp_path: Path, monkeypatch
):
    with np.load(shared_assets / "ict/ict.npz", allow_pickle=False) as file:
        asset = dict(file)
    folder = tmp_path / "FaceXModel"
    folder.mkdir()
    (tmp_path / "LICENSE").write_text(str(asset["licence"]))
    lists = {name: asset[name].tolist() for name in ict.LISTS}
    lists["idx_to_landmark_verts"] = asset["landmarks68"].tolist()
    (folder / "vertex_indices.json").write_text(json.dumps(lists))
    mean = np.array([[float(f"{x:.9g}") for x in row] for row in asset["neutral"]])
    names = [*asset["identity_names"], *asset["expression_names"]]
    for name, offset in zip(names, np.concatenate([asset["identity"], asset["expression"]]), strict=True):
        moved = mean + offset.astype(np.float64)
        moved[np.signbit(offset) & (offset == 0)] -= 1e-9  # a difference that rounds to −0 was a tiny one
        np.savetxt(folder / f"{name}.obj", moved, fmt="v %.17g %.17g %.17g")
    (folder / "generic_neutral_mesh.obj").write_text(_obj(asset))
    monkeypatch.setenv(assets.MIRROR, str(tmp_path / "cache"))
    path = ict.convert(tmp_path)
    with np.load(path, allow_pickle=False) as file:
        for name, array in asset.items():
            np.testing.assert_array_equal(file[name], array, err_msg=name)
            assert file[name].dtype == array.dtype, name
    assert assets.find("ict") == path


def _obj(asset: dict[str, np.ndarray]) -> str:
    lines = [f"v {x:.9g} {y:.9g} {z:.9g}" for x, y, z in asset["neutral"]]
    lines += [f"vt {u:.9g} {v:.9g}" for u, v in asset["uv"]]
    material = -1
    faces, textured, owner = asset["faces"] + 1, asset["faces_uv"] + 1, asset["face_poly"]
    for first in np.flatnonzero(np.diff(owner, prepend=-1)):
        if asset["face_material"][first] != material:
            material = asset["face_material"][first]
            lines.append(f"usemtl {asset['material_names'][material]}")
        quad = first + 1 < len(owner) and owner[first + 1] == owner[first]
        corners = [(first, 0), (first, 1), (first, 2), *([(first + 1, 2)] if quad else [])]
        lines.append("f " + " ".join(f"{faces[k]}/{textured[k]}" for k in corners))
    return "\n".join(lines) + "\n"
