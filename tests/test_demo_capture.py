"""The demo's head and its photographs: a face from the front, none from behind, and colours that jump."""

import cv2
import numpy as np
import pytest

from sansface.capture import Role
from sansface.demo import OFFSET, SCALE, demo_cameras, make_demo_capture
from sansface.evaluate import score
from sansface.formats import read_capture
from sansface.heads.procedural import BOUND, CENTER, FEATURES, STEP, Head, Identity, Material
from sansface.heads.trace import Tracer
from sansface.surface import extract, read_mesh

LUMA = np.array([0.2126, 0.7152, 0.0722])


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "capture"
    make_demo_capture(folder, seed=3, views=6, size=96)
    return read_capture(folder)


def looked_at(head: Head, tracer: Tracer, camera, size: int = 128) -> tuple[np.ndarray, np.ndarray]:
    """Points that the camera sees, in the head's frame, and their materials."""
    small = camera.resized(size, size)
    rows, columns = np.mgrid[:size, :size] + 0.5
    origins, directions = small.rays(np.column_stack([columns.ravel(), rows.ravel()]))
    origin = (origins[0] - OFFSET) / SCALE
    away = tracer.first_hits(origin, directions)
    hit = np.isfinite(away)
    points = (origin + away[hit, None] * directions[hit]).astype(np.float32)
    return points, head.material(points)


def test_the_capture_reads_back_with_roles_sphere_and_unit(capture):
    roles = [frame.role for frame in capture.frames]
    assert roles.count(Role.NEUTRAL) == 2
    assert roles.count(Role.SENSITIVE) == 4
    assert capture.unit == "mm"
    assert capture.sphere.radius == pytest.approx(SCALE * BOUND)
    np.testing.assert_allclose(capture.sphere.center, OFFSET + SCALE * CENTER)
    for frame in capture.frames:
        image, mask = (cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in (frame.image, frame.mask))
        assert image.shape == (96, 96, 3)
        assert mask.shape == (96, 96)
        assert 0.2 < (mask == 255).mean() < 0.6
        assert ((mask > 0) & (mask < 255)).sum() > 50  # an antialiased outline
        background = image[mask == 0]
        assert background.min() > 60  # there is something to remove
        assert background.std() > 3


def test_the_truth_lies_where_the_masks_are(capture):
    truth = read_mesh(capture.frames[0].image.parents[1] / "gt.ply")
    assert truth.to_trimesh().is_watertight
    assert np.linalg.norm(truth.vertices - capture.sphere.center, axis=1).max() < capture.sphere.radius
    for frame in capture.frames:
        mask = cv2.imread(str(frame.mask), cv2.IMREAD_UNCHANGED)
        pixels, _ = frame.camera.project(truth.vertices)
        place = np.floor(pixels).astype(int)
        seen = ((place >= 0) & (place < 96)).all(axis=1)
        assert (cv2.dilate(mask, np.ones((3, 3)))[place[seen, 1], place[seen, 0]] > 0).all()
        filled = np.zeros_like(mask)
        filled[place[seen, 1], place[seen, 0]] = 1
        assert (filled[mask == 255] == 1).mean() > 0.97
    cameras = [frame.camera for frame in capture.frames]
    low = capture.meta["head_min_y"]
    assert (
        score(truth, truth, cameras, 175.0, low, np.random.default_rng(0), rays=24, samples=500).score < 1e-9
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_no_neutral_view_shows_the_face(seed):
    """Neither the paint of a feature, nor the nose or the lips' profile, whoever the head is."""
    rng = np.random.default_rng(seed)
    head = Head(Identity.random(rng))
    tracer = Tracer(head, cells=80)
    shown = set()
    for camera, role in demo_cameras(30, 512, rng):
        if role == Role.NEUTRAL:
            away = camera.center - OFFSET - SCALE * CENTER
            assert abs(np.degrees(np.arctan2(away[0], away[2]))) > 130
            points, material = looked_at(head, tracer, camera)
            assert len(points) > 2000
            assert not np.isin(material, FEATURES).any()
            assert points[material == Material.SKIN, 2].max() < 0.75  # eyeballs, nose and lips reach farther
        elif abs(camera.center[0] - OFFSET[0]) < 150:
            shown |= set(looked_at(head, tracer, camera)[1].tolist())
    assert shown == set(Material)  # while the front shows everything


@pytest.mark.parametrize("seed", range(4))
def test_colours_step_between_a_feature_and_its_surround(seed):
    """Measured where materials meet on the surface: along the edges of a mesh that join two of them."""
    head = Head(Identity.random(np.random.default_rng(seed)))
    mesh = extract(lambda p: head.distance(CENTER + BOUND * p) / BOUND, 160, coarse=32)
    points = (CENTER + BOUND * mesh.vertices).astype(np.float32)
    material = head.material(points)
    assert set(material.tolist()) == set(Material)
    luma = head.albedo(points, material) @ LUMA
    a, b = mesh.faces[:, [0, 1, 2]].ravel(), mesh.faces[:, [1, 2, 0]].ravel()
    # A mole is darker than the skin about it and no edge of a feature: leave the few pairs that touch one.
    clean = ~((material == Material.SKIN) & (luma < 0.75 * head.identity.skin))
    for one, other in (
        (Material.SKIN, Material.LIP),
        (Material.SKIN, Material.BROW),
        (Material.SKIN, Material.SCLERA),
        (Material.SKIN, Material.HAIR),
        (Material.SCLERA, Material.IRIS),
    ):
        meet = (material[a] == one) & (material[b] == other) & clean[a] & clean[b]
        assert meet.sum() > 3
        assert np.abs(luma[a[meet]] - luma[b[meet]]).min() >= STEP


def test_brows_are_paint_without_geometry():
    """The distance knows nothing of the brow: crossing its edge bends the surface no more than elsewhere."""
    head = Head(Identity.random(np.random.default_rng(0)))
    tracer = Tracer(head, cells=80)
    columns = np.linspace(-0.02, 0.42, 200)
    origin = np.array([0.32, 0.0, 4.0])
    target = np.column_stack([np.full(200, 0.32), columns, np.full(200, 0.7)])
    directions = (target - origin) / np.linalg.norm(target - origin, axis=1, keepdims=True)
    points = (origin + tracer.first_hits(origin, directions)[:, None] * directions).astype(np.float32)
    material, normal = head.material(points), tracer.normals(points)
    edge = np.flatnonzero((material[1:] == Material.BROW) != (material[:-1] == Material.BROW))
    assert len(edge) == 2
    turn = np.linalg.norm(np.diff(normal, axis=0), axis=1)
    assert turn[edge].max() < 0.1


def test_distance_is_a_distance_near_the_surface():
    head = Head(Identity.random(np.random.default_rng(1)))
    tracer = Tracer(head, cells=80)
    camera, _ = demo_cameras(30, 512, np.random.default_rng(0))[3]
    points, _ = looked_at(head, tracer, camera)
    assert np.quantile(np.abs(head.distance(points)), 0.99) < 6e-4
    assert np.abs(head.distance(points)).max() < 5e-3
    normal = tracer.normals(points)
    slope = (head.distance(points + 0.01 * normal) - head.distance(points - 0.01 * normal)) / 0.02
    assert np.quantile(slope, 0.02) > 0.5
    assert np.quantile(slope, 0.98) < 1.35


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_head(tmp_path, capture):
    again = make_demo_capture(tmp_path / "again", seed=3, views=6, size=96)
    for first, second in zip(capture.frames, again.frames, strict=True):
        assert first.image.read_bytes() == second.image.read_bytes()
        assert first.mask.read_bytes() == second.mask.read_bytes()
    for name in ("gt.ply", "transforms.json", "meta.json"):
        assert (first.image.parents[1] / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    assert Identity.random(np.random.default_rng(3)) != Identity.random(np.random.default_rng(4))
