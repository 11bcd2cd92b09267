"""The page's mesh reader, measurements and masks against closed forms, in a real Chromium."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import trimesh

from browser import Browser, array_of, chromium
from sansface.surface import Mesh, read_mesh, write_mesh

USE = """
const { readPly, writePly } = await import("/page/mesh.js");
const { along, circumference, firstHit, section, curveLength } = await import("/page/measure.js");
const mesh = readPly(await (await fetch("/files/mesh.ply")).arrayBuffer());
const from = (origin, direction) => firstHit(mesh, origin, direction);
const refused = (act) => { try { act(); return null; } catch (error) { return error.message; } };
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def ask(browser, tmp_path):
    """Evaluate in the page with the modules and one mesh at hand."""

    def asked(mesh: trimesh.Trimesh | None, body: str, **given):
        if mesh is not None:
            write_mesh(Mesh(mesh.vertices, mesh.faces), tmp_path / "mesh.ply")
            browser.files["mesh.ply"] = (tmp_path / "mesh.ply").read_bytes()
        return browser.ask((USE if mesh is not None else "") + body, **given)

    return asked


@pytest.fixture(scope="module")
def sphere() -> trimesh.Trimesh:
    return trimesh.creation.icosphere(subdivisions=5, radius=2.0)


@pytest.fixture(scope="module")
def box() -> trimesh.Trimesh:
    """Of 2 x 3 x 4, subdivided."""
    made = trimesh.creation.box((2, 3, 4)).subdivide().subdivide()
    return trimesh.Trimesh(made.vertices, made.faces)


def test_a_mesh_is_read_as_it_was_written(ask, sphere, browser):
    got = ask(
        sphere,
        "return [base64(mesh.positions), base64(mesh.normals), base64(mesh.faces), base64(writePly(mesh))];",
    )
    vertices, normals = array_of(got[0], "<f8", -1, 3), array_of(got[1], "<f4", -1, 3)
    np.testing.assert_array_equal(vertices, np.asarray(sphere.vertices, np.float32))
    np.testing.assert_array_equal(array_of(got[2], "<u4", -1, 3), sphere.faces)
    np.testing.assert_allclose(normals, sphere.vertices / 2, atol=0.01)


def test_what_the_page_writes_python_reads(ask, sphere, tmp_path):
    """In doubles: a geo-referenced world is far from its origin."""
    moved = sphere.copy()
    got = ask(
        moved,
        "mesh.positions.forEach((x, i, all) => { all[i] = x + 4.5e6; }); return base64(writePly(mesh));",
    )
    (tmp_path / "back.ply").write_bytes(array_of(got, np.uint8).tobytes())
    back = read_mesh(tmp_path / "back.ply")
    np.testing.assert_allclose(back.vertices - 4.5e6, np.asarray(sphere.vertices, np.float32), atol=1e-8)
    np.testing.assert_array_equal(back.faces, sphere.faces)


def test_normals_follow_from_the_faces_where_there_are_none(ask, sphere):
    got = ask(
        sphere,
        """const { normalsOf } = await import("/page/mesh.js");
        return base64(normalsOf(mesh.positions, mesh.faces));""",
    )
    want = Mesh(sphere.vertices, sphere.faces).vertex_normals
    np.testing.assert_allclose(array_of(got, "<f4", -1, 3), want, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda data: data[:-1], "cut short"),
        (lambda data: data[:200], "PLY"),
        (lambda data: data.replace(b"binary_little_endian", b"ascii"), "binary PLY"),
        (lambda data: data.replace(b"element vertex 8", b"element vertex 7"), "triangle"),
        (lambda data: data.replace(b"float x", b"quad x"), "unknown type"),
        (lambda data: data[:-4] + b"\xff\xff\0\0", "missing vertex"),
        (lambda data: data[:-13] + b"\x04" + data[-12:], "triangle"),
    ],
)
def test_a_damaged_mesh_is_refused_in_a_sentence(ask, browser, tmp_path, change, word):
    box = trimesh.creation.box()
    write_mesh(Mesh(box.vertices, box.faces), tmp_path / "box.ply")
    data = (tmp_path / "box.ply").read_bytes()
    assert change(data) != data
    browser.files["mesh.ply"] = change(data)
    said = browser.ask(
        """const { readPly } = await import("/page/mesh.js");
        const data = await (await fetch("/files/mesh.ply")).arrayBuffer();
        try { readPly(data); return null; } catch (error) { return error.message; }"""
    )
    assert said is not None
    assert word in said


def test_the_way_round_a_sphere_is_a_circle(ask, sphere):
    """2 π √(r² − d²), the plane level, tilted by two points, or through three."""
    lengths = ask(
        sphere,
        """const on = (d) => from(d.map((x) => 5 * x), d.map((x) => -x));
        const [a, b, c] = [[0, 0, 1], [0.05, 0.6, -0.8], [0.8, 0, 0.6]].map((d) => on(d).point);
        return [[a], [a, b], [a, b, c]].map((points) => circumference(mesh, points, [0, 1, 0]).length);""",
    )
    a, b, c = (np.array(p) / np.linalg.norm(p) for p in ([0, 0, 1], [0.05, 0.6, -0.8], [0.8, 0, 0.6]))
    chord = (b - a) / np.linalg.norm(b - a)
    upright = np.array([0, 1, 0]) - chord[1] * chord
    for length, normal in zip(lengths, ([0, 1, 0], upright, np.cross(b - a, c - a)), strict=True):
        off = a @ normal / np.linalg.norm(normal)
        assert length == pytest.approx(4 * math.pi * math.sqrt(1 - off**2), rel=2e-3)


def test_the_level_way_round_is_smaller_nearer_the_pole(ask, sphere):
    length = ask(
        sphere,
        "return circumference(mesh, [from([0, 1.2, 5], [0, 0, -1]).point], [0, 1, 0]).length;",
    )
    assert length == pytest.approx(2 * math.pi * 1.6, rel=2e-3)


@pytest.mark.parametrize("angle", [0.3, 1.0, 2.5])
def test_along_a_sphere_is_radius_times_angle(ask, sphere, angle):
    got = ask(
        sphere,
        """const on = (d) => from(d.map((x) => 5 * x), d.map((x) => -x));
        const [a, b] = [on([0, 0, 1]), on([Math.sin(angle), 0, Math.cos(angle)])];
        return along(mesh, a, b).length;""",
        angle=angle,
    )
    assert got == pytest.approx(2 * angle, rel=2e-3)


def test_a_box_is_measured_exactly(ask, box):
    got = ask(
        box,
        """const front = from([0.1, 0.2, 9], [0, 0, -1]), right = from([9, 0.2, 0.3], [-1, 0, 0]);
        const way = along(mesh, front, right);
        return {
          hit: front.point, normal: right.normal,
          level: circumference(mesh, [front.point], [0, 1, 0]).length,
          upright: circumference(mesh, [front.point], [1, 0, 0]).length,
          along: way.length, closed: way.curve.closed,
          curves: section(mesh, { point: [0, 0, 0], normal: [0, 0, 1] }).length,
        };""",
    )
    assert got["hit"] == pytest.approx([0.1, 0.2, 2.0])
    assert got["normal"] == pytest.approx([1, 0, 0])
    assert got["level"] == pytest.approx(2 * (2 + 4))
    assert got["upright"] == pytest.approx(2 * (3 + 4))
    assert got["along"] == pytest.approx((1 - 0.1) + (2 - 0.3))  # round the corner, level
    assert got["closed"] is False
    assert got["curves"] == 1


def test_a_ray_beside_the_mesh_hits_nothing(ask, box):
    assert ask(box, "return from([5, 0, 9], [0, 0, -1]);") is None


def test_an_open_surface_has_no_way_round(ask, box):
    """Without its top half the box is open: upright cuts end at the rim, level ones do not."""
    half = trimesh.Trimesh(box.vertices, box.faces[box.vertices[box.faces][:, :, 1].max(axis=1) < 0.1])
    got = ask(
        half,
        """const { point } = from([0.1, -0.9, 9], [0, 0, -1]);
        const round = (up) => circumference(mesh, [point], up).length;
        return [round([0, 1, 0]), refused(() => round([1, 0, 0]))];""",
    )
    assert got[0] == pytest.approx(12)
    assert "open" in got[1]


def test_points_that_give_no_plane_are_refused(ask, box):
    said = ask(
        box,
        """const lines = [[[0, 0, 0], [0, 1, 0]], [[0, 0, 0], [1, 1, 1], [2, 2, 2]]];
        return lines.map((points) => refused(() => circumference(mesh, points, [0, 1, 0])));""",
    )
    assert all("pick others" in one for one in said)


MASK = 'const { Mask } = await import("/page/mask.js"); const mask = new Mask(100, 80);'


@pytest.mark.parametrize(
    ("draw", "area"),
    [
        ("mask.stroke([50, 40], [50, 40], 20)", math.pi * 400),
        ("mask.stroke([30, 40], [70, 40], 10)", math.pi * 100 + 40 * 20),
        ("mask.ellipse({ x: 50, y: 40, a: 40, b: 20, angle: 0.5 })", math.pi * 800),
        ("mask.polygon([[10, 10], [60, 10], [60, 50], [10, 50]])", 2000),
        ("mask.polygon([[10, 10], [60, 10], [10, 60]])", 1250),
        ("mask.polygon([[-50, -50], [150, -50], [150, 150], [-50, 150]])", 8000),
        (
            "mask.stroke([50, 40], [50, 40], 20); mask.keep(); mask.clear(); mask.undo()",
            math.pi * 400,
        ),
        ("mask.polygon([[0, 0], [50, 0], [50, 80], [0, 80]]); mask.stroke([0, 40], [50, 40], 200, false)", 0),
    ],
)
def test_what_is_drawn_has_the_area_of_its_shape(ask, draw, area):
    got = ask(None, f"{MASK} {draw}; return mask.data.reduce((sum, value) => sum + value, 0) / 255;")
    assert got == pytest.approx(area, rel=0.02)


def test_a_mask_of_nothing_or_everything_is_none(ask):
    got = ask(
        None,
        f"""{MASK} const said = [mask.usable];
        mask.polygon([[0, 0], [50, 0], [50, 80], [0, 80]]); said.push(mask.usable);
        mask.stroke([0, 40], [100, 40], 200); said.push(mask.usable); return said;""",
    )
    assert got == [False, True, False]


def test_an_enlarged_mask_is_the_same_mask(ask):
    got = ask(
        None,
        f"""{MASK} mask.ellipse({{ x: 40, y: 30, a: 20, b: 10, angle: 0 }});
        const large = mask.enlarged(1000, 800), same = mask.enlarged(100, 80);
        return [base64(mask.data), base64(large.data), base64(same.data), large.width, large.height];""",
    )
    small = array_of(got[0], np.uint8, 80, 100)
    np.testing.assert_array_equal(array_of(got[1], np.uint8, 800, 1000), np.kron(small, np.ones((10, 10))))
    np.testing.assert_array_equal(array_of(got[2], np.uint8, 80, 100), small)
    assert got[3:] == [1000, 800]


def test_files_are_found_by_the_end_of_their_paths(ask):
    got = ask(
        None,
        """const { fileOf } = await import("/page/work.js");
        const inside = (path) => path.includes("/") ? path : "";
        const file = (path) => ({ name: path.split("/").at(-1), webkitRelativePath: inside(path) });
        const all = ["cap/images/0.png", "cap/masks/0.png", "cap/images/1.png", "r_7.jpg"].map(file);
        const twice = ["a/0.png", "b/0.png"].map(file);
        const found = (files, path) => {
          const one = fileOf(files, path);
          return one && (one.webkitRelativePath || one.name);
        };
        const paths = ["images/0.png", "./masks/0.png", "/else/images/1.png", "train/r_7", "images/10.png"];
        return [...paths.map((path) => found(all, path)), found(twice, "0.png"), found(twice, "b/0.png")];""",
    )
    assert got == [
        "cap/images/0.png",
        "cap/masks/0.png",
        "cap/images/1.png",
        "r_7.jpg",
        None,
        None,
        "b/0.png",
    ]
