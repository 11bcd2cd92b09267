"""Marching cubes in slabs against closed forms and against one slab; files that read back."""

import sys

import numpy as np
import pytest
import trimesh

from sansface.errors import SansfaceError
from sansface.surface import Mesh, decimate, extract, largest_component, read_mesh, transform, write_mesh


def sphere(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points - np.float32([0.05, 0.02, -0.1]), axis=1) - 0.6


def torus(points: np.ndarray) -> np.ndarray:
    return np.hypot(np.hypot(points[:, 0], points[:, 1]) - 0.5, points[:, 2]) - 0.2


def cavities(points: np.ndarray) -> np.ndarray:
    """Many parts and tunnels, steeper and flatter than a distance, cut by a box: nothing to expect."""
    rng = np.random.default_rng(0)
    waves = np.cos(points @ (9 * rng.normal(size=(3, 40))) + 6 * rng.random(40)).sum(axis=1) * 0.02
    return np.maximum(waves, np.abs(points).max(axis=1) - 0.9)


def as_set(mesh: Mesh) -> np.ndarray:
    """Triangles as sorted rows of their corners' coordinates, rounded far below a voxel."""
    corners = np.round(mesh.triangles * 1e7).astype(np.int64)
    first = np.lexsort(np.moveaxis(corners, 2, 0)[::-1], axis=1)[:, :1]
    turned = np.take_along_axis(corners, (first + np.arange(3))[..., None] % 3, axis=1).reshape(-1, 9)
    return turned[np.lexsort(turned.T)]


@pytest.mark.parametrize(
    ("sdf", "euler", "volume"), [(sphere, 2, 4 / 3 * np.pi * 0.6**3), (torus, 0, np.pi**2 * 0.04)]
)
@pytest.mark.parametrize("resolution", [96, 100])
def test_vertices_lie_on_the_surface_and_close_it(sdf, euler, volume, resolution):
    mesh = extract(sdf, resolution, block=16, coarse=32)
    whole = mesh.to_trimesh()
    assert whole.is_watertight
    assert whole.is_winding_consistent
    assert whole.euler_number == euler
    assert whole.volume == pytest.approx(volume, rel=5e-3)  # positive: faces look outwards
    assert np.abs(sdf(mesh.vertices)).max() < 0.05 / resolution
    step = 1e-3 * mesh.vertex_normals
    assert (sdf(mesh.vertices + step) > sdf(mesh.vertices - step)).all()


@pytest.mark.parametrize("sdf", [sphere, torus, cavities])
def test_slabs_give_the_mesh_of_one_slab(sdf):
    slabs = extract(sdf, 64, block=8, coarse=16)
    whole = extract(sdf, 64, block=64, coarse=64)
    assert len(slabs.vertices) == len(whole.vertices)
    np.testing.assert_array_equal(as_set(slabs), as_set(whole))


def test_a_badly_scaled_distance_loses_nothing():
    """Eight times too steep, so the coarse look sees almost no cell near the surface."""
    steep = extract(lambda p: 8 * sphere(p), 128, block=32, coarse=32)
    np.testing.assert_allclose(
        np.sort(steep.vertices, axis=0), np.sort(extract(sphere, 128).vertices, axis=0), atol=3e-4
    )


def test_a_thread_that_the_coarse_look_misses_is_followed():
    """A thin rod on a ball passes between the corners of coarse cells; the search must run after it."""

    def rod(points):
        along = np.maximum(np.abs(points[:, 0] - 0.45) - 0.4, 0)
        return np.minimum(
            20 * (np.sqrt(((points[:, 1:] - 0.031) ** 2).sum(axis=1) + along**2) - 0.02), sphere(points)
        )

    mesh = largest_component(extract(rod, 256, block=32, coarse=16))
    assert mesh.vertices[:, 0].max() > 0.85


def test_the_grid_is_looked_at_only_near_the_surface():
    asked = []

    def counting(points):
        asked.append(len(points))
        return sphere(points)

    extract(counting, 256, coarse=64)
    assert sum(asked) < 0.2 * 257**3
    assert max(asked) < 2**19


def test_any_number_of_cells_is_looked_at_coarsely_first():
    """A prime, too: with as many points as a neighbour of many divisors, or nearly."""
    asked = []

    def count(resolution: int) -> int:
        asked.clear()

        def sdf(p):
            asked.append(len(p))
            return np.linalg.norm(p, axis=1) - 0.6

        extract(sdf, resolution)
        return sum(asked)

    assert count(131) < 1.3 * count(132)


def test_a_field_that_rounds_differently_from_batch_to_batch_still_closes():
    rng = np.random.default_rng(0)
    mesh = extract(lambda p: sphere(p) + 1e-6 * rng.normal(size=len(p)), 64, block=8, coarse=16)
    assert mesh.to_trimesh().is_watertight


def test_values_of_exactly_zero_leave_no_hole():
    mesh = extract(lambda p: np.abs(p).max(axis=1) - 0.5, 32, block=8, coarse=16)
    assert mesh.to_trimesh().is_watertight


@pytest.mark.parametrize("value", [1.0, -1.0])
def test_no_surface_says_what_to_try(value):
    with pytest.raises(SansfaceError, match="train longer"):
        extract(lambda p: np.full(len(p), value), 32)


def test_not_a_number_says_what_to_try():
    with pytest.raises(SansfaceError, match="not finite"):
        extract(lambda p: np.full(len(p), np.nan), 32)


def test_the_largest_component_is_found_across_slabs():
    def two(points):
        return np.minimum(torus(points), np.linalg.norm(points - np.float32([0.8, 0.8, 0.8]), axis=1) - 0.12)

    mesh = extract(two, 96, block=8, coarse=32)
    kept = largest_component(mesh)
    assert len(kept.faces) < len(mesh.faces)
    assert kept.to_trimesh().euler_number == 0
    assert kept.to_trimesh().is_watertight
    assert np.abs(torus(kept.vertices)).max() < 1e-3


def test_decimation_keeps_the_shape():
    pytest.importorskip("fast_simplification", reason="fast-simplification is not installed")
    mesh = transform(extract(sphere, 96), np.array([1000.0, 0, 0]), 100.0)
    fewer = decimate(mesh, 2000)
    assert len(fewer.faces) <= 2000
    off = (fewer.vertices - [1000, 0, 0]) / 100
    assert np.abs(sphere(off)).max() < 1e-2
    assert decimate(fewer, 10**6) is fewer


def test_decimation_without_its_package_names_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "fast_simplification", None)
    with pytest.raises(SansfaceError, match=r"sansface\[decimate\]"):
        decimate(extract(sphere, 32), 100)


@pytest.mark.parametrize(("suffix", "relative"), [("ply", 1e-6), ("obj", 1e-8), ("glb", 1e-6), ("stl", 1e-6)])
def test_a_file_reads_back_in_the_captures_frame(tmp_path, suffix, relative):
    center, radius = np.array([14.0, 1520.0, -36.0]), 175.0
    mesh = transform(extract(sphere, 32), center, radius)
    # where a sphere of radius 0.6 about (0.05, 0.02, -0.1) has to be in the capture's frame and unit
    away = np.linalg.norm(mesh.vertices - (center + radius * np.array([0.05, 0.02, -0.1])), axis=1)
    np.testing.assert_allclose(away, 105.0, atol=0.3)
    path = tmp_path / f"head.{suffix}"
    write_mesh(mesh, path)
    back = read_mesh(path)
    tolerance = relative * np.abs(mesh.vertices).max()
    assert back.faces.shape == mesh.faces.shape
    if suffix == "stl":  # an .stl has corners without order; compare triangle by triangle
        assert len(back.vertices) == len(mesh.vertices)
        np.testing.assert_allclose(back.triangles, mesh.triangles, atol=tolerance)
    else:
        np.testing.assert_allclose(back.vertices, mesh.vertices, atol=tolerance)
        np.testing.assert_array_equal(back.faces, mesh.faces)
    assert back.to_trimesh().is_watertight


@pytest.mark.parametrize("suffix", ["ply", "obj", "glb"])
def test_a_mesh_far_from_the_origin_keeps_its_digits(tmp_path, suffix):
    """A head in a country's coordinates, in metres: a float32 would round it to half a metre."""
    mesh = transform(extract(sphere, 32), np.array([4.5e5, 5.4e6, 310.0]), 0.15)
    write_mesh(mesh, tmp_path / f"head.{suffix}")
    back = read_mesh(tmp_path / f"head.{suffix}")
    np.testing.assert_allclose(back.vertices, mesh.vertices, atol=1e-7, rtol=0)
    np.testing.assert_array_equal(back.faces, mesh.faces)


@pytest.mark.parametrize("suffix", ["ply", "obj", "glb", "stl"])
@pytest.mark.parametrize("far", [0.0, 1e7])
def test_a_note_is_in_the_file_and_changes_nothing(tmp_path, suffix, far):
    mesh = extract(sphere, 24)
    mesh = Mesh(mesh.vertices + far, mesh.faces)
    plain, noted = tmp_path / f"plain.{suffix}", tmp_path / f"noted.{suffix}"
    write_mesh(mesh, plain)
    write_mesh(mesh, noted, "UNPROTECTED")
    assert b"UNPROTECTED" in noted.read_bytes()
    assert b"UNPROTECTED" not in plain.read_bytes()
    one, other = read_mesh(plain), read_mesh(noted)
    np.testing.assert_array_equal(one.vertices, other.vertices)
    np.testing.assert_array_equal(one.faces, other.faces)


def test_ply_carries_normals(tmp_path):
    mesh = extract(sphere, 32)
    write_mesh(mesh, tmp_path / "head.ply")
    assert b"property float nx" in (tmp_path / "head.ply").read_bytes()[:400]
    loaded = trimesh.load(tmp_path / "head.ply", process=False)
    np.testing.assert_allclose(loaded.vertex_normals, mesh.vertex_normals, atol=1e-5)


def test_bad_files_are_one_sentence(tmp_path):
    with pytest.raises(SansfaceError, match="format"):
        write_mesh(extract(sphere, 32), tmp_path / "head.xyz")
    with pytest.raises(SansfaceError, match="no mesh file"):
        read_mesh(tmp_path / "nothing.ply")
    for content in (b"", b"ply\nformat ascii 1.0\nend_header\n", b"\x00\xff" * 40):
        (tmp_path / "broken.ply").write_bytes(content)
        with pytest.raises(SansfaceError, match="broken"):
            read_mesh(tmp_path / "broken.ply")


def test_a_mesh_checks_its_arrays():
    triangle = np.eye(3)
    with pytest.raises(SansfaceError, match="missing vertex"):
        Mesh(triangle, np.array([[0, 1, 3]]))
    with pytest.raises(SansfaceError, match="not finite"):
        Mesh(triangle * np.nan, np.array([[0, 1, 2]]))
    with pytest.raises(SansfaceError, match="triangles"):
        Mesh(triangle, np.array([[0, 1, 2, 0]]))
