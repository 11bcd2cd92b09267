"""The head template: its file, where it stands, what a field begins as, and whose face is not in it."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file
from scipy.spatial.transform import Rotation
from torch.nn import functional as F
from trimesh.triangles import closest_point

import benchmark_heads
from analytic import Ball
from conftest import BALL_CENTER, looking_at
from sansface.capture import Role
from sansface.cli import main
from sansface.errors import SansfaceError
from sansface.fields import mlp
from sansface.fields.grid import nodes
from sansface.fields.registry import FIELDS, make_field
from sansface.fields.template import (
    KEY,
    PlacedTemplate,
    Template,
    read_template,
    shipped_template,
    write_template,
)
from sansface.formats.transforms_json import read_transforms_json, write_transforms_json
from sansface.heads import template as training
from sansface.heads.parametric import HeadModel, load_head_model
from sansface.heads.solid import Solid, closed
from sansface.heads.template import TrainSettings, identity, train_template
from sansface.protect.contents import Share
from sansface.protect.operators import operator
from sansface.reconstruct import checkpoint, pictures, placement, record, run
from sansface.reconstruct.config import preset
from sansface.reconstruct.run import reconstruct
from sansface.reconstruct.supervision import Kind, Supervision, View, from_bundle
from sansface.surface import largest_component, read_mesh
from sansface.surface.extract import extract
from sansface.surface.mesh import Mesh
from small import GRID, MLP, ball_bundle, ball_supervision, small_config

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _small_work(monkeypatch):
    """Fewer turns, rays and steps than for a head at 64 pixels."""
    for name, value in {"TURNS": 12, "REFINED": 2, "STEPS": (15, 40)}.items():
        monkeypatch.setattr(placement, name, value)
    monkeypatch.setattr(pictures, "MESH_SIZE", 48)


def knobbed(points: torch.Tensor) -> torch.Tensor:
    """The distance of a ball with a nose towards +z and a crown: no two turns of it look alike."""
    ball = points.norm(dim=1) - 0.5
    nose = (points - torch.tensor([0.0, 0.0, 0.55])).norm(dim=1) - 0.2
    crown = (points - torch.tensor([0.0, 0.5, -0.15])).norm(dim=1) - 0.2
    return torch.minimum(torch.minimum(ball, nose), crown)


def made(sdf: Callable[[torch.Tensor], torch.Tensor] = knobbed, n: int = 24, **changes) -> Template:
    values = {
        "distance": sdf(nodes(n)).view(n, n, n),
        "center": (1.0, 2.0, 3.0),
        "radius": 150.0,
        "source": "a ball with knobs",
        "licence": "none",
        "identities": tuple(range(2000, 2010)),
        "training": {"steps": 3},
    }
    return Template(**(values | changes))


# --- the file ---


def test_what_is_written_is_read(tmp_path):
    template = made()
    written = write_template(template, tmp_path / "a.safetensors")
    data = (tmp_path / "a.safetensors").read_bytes()
    assert written.sha256 == hashlib.sha256(data).hexdigest()
    assert written.about() == template.about()
    torch.testing.assert_close(written.distance, template.distance, atol=5e-4, rtol=0)
    again = write_template(written, tmp_path / "b.safetensors")
    assert (tmp_path / "b.safetensors").read_bytes() == data
    assert torch.equal(again.distance, written.distance)


def _rewritten(path: Path, change: Callable[[dict], None]) -> None:
    with safe_open(path, framework="pt") as file:
        about, tensors = json.loads(file.metadata()[KEY]), {"distance": file.get_tensor("distance")}
    change(about)
    save_file(tensors, path, {KEY: json.dumps(about)})


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut short": (lambda p: p.write_bytes(p.read_bytes()[:-9]), "damaged or no head template"),
    "empty": (lambda p: p.write_bytes(b""), "damaged or no head template"),
    "foreign": (lambda p: save_file({"distance": torch.zeros(9, 9, 9)}, p), "no head template"),
    "no distances": (lambda p: save_file({"d": torch.zeros(1)}, p, {KEY: '{"version": 1}'}), "no head"),
    "another version": (lambda p: _rewritten(p, lambda a: a.update(version=2)), "of version 2"),
    "few heads": (lambda p: _rewritten(p, lambda a: a.update(identities=[1, 2])), "10 different"),
    "no licence": (lambda p: _rewritten(p, lambda a: a.pop("licence")), "damaged"),
    "missing": (lambda p: p.unlink(), "no such file"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_another_file_is_refused_in_a_sentence(tmp_path, name):
    path = tmp_path / "a.safetensors"
    write_template(made(), path)
    spoil, says = SPOILT[name]
    spoil(path)
    with pytest.raises(SansfaceError, match=says) as caught:
        read_template(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"distance": torch.full((9, 9, 9), 0.1)},
        {"distance": torch.full((9, 9, 9), torch.nan)},
        {"distance": knobbed(nodes(4)).view(4, 4, 4)},
        {"radius": 0.0},
        {"identities": (1,) * 12},
    ],
)
def test_what_is_no_template_cannot_be_made(changes):
    with pytest.raises(SansfaceError):
        made(**changes)


# --- the one that is shipped ---


def test_the_shipped_template_is_small_and_learnt_from_no_head_of_the_benchmark():
    template = shipped_template()
    assert len(template.identities) >= 10
    assert not set(template.identities) & {sitter.seed for sitter in benchmark_heads.SITTERS}
    assert template.licence == "MIT"
    assert len(template.distance) ** 3 * 2 < 400_000


def test_the_shipped_template_is_one_upright_head_that_faces_z():
    template = shipped_template()
    surface = template.surface(CPU)
    mesh = extract(lambda points: surface.sdf(torch.from_numpy(points).float()).numpy(), 64)
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    assert (low[[0, 2]] > -0.9).all()  # the neck goes on to the lattice's lower side, and nothing else does
    assert (high < 0.95).all()
    nose = mesh.vertices[mesh.vertices[:, 2].argmax()]
    assert abs(nose[0]) < 0.03
    assert low[1] + 0.3 < nose[1] < high[1] - 0.5
    millimetres = template.radius * (high - low)
    assert 130 < millimetres[0] < 200  # ear to ear
    assert 200 < millimetres[1] < 300
    assert largest_component(mesh).areas.sum() > 0.99 * mesh.areas.sum()


def nearness(template: Template, model: HeadModel, seeds) -> np.ndarray:
    """Mean distance of each identity's face and head from a template's surface, mm."""
    skin = np.unique(model.skin)
    skin = skin[model.neutral[skin, 1] > training.NECK + 10][::5]
    surface = template.surface(CPU)

    def away(vertices: np.ndarray) -> float:
        points = (vertices[skin] - template.center) / template.radius
        return template.radius * float(surface.sdf(torch.from_numpy(points).float()).abs().mean())

    return np.array([away(identity(model, seed)) for seed in seeds])


def resembles(template: Template, model: HeadModel) -> bool:
    """Is a template nearer to those that it was learnt from than to others, in the mean or in one case?

    It is as near to a training head as the mean of the population is, give or take a tenth, and no training
    head is nearer than three quarters of the nearest of as many others.
    """
    first = 500_000
    inside = nearness(template, model, template.identities)
    others = nearness(template, model, range(first, first + len(inside)))
    return bool(inside.mean() < 0.9 * others.mean() or inside.min() < 0.75 * others.min())


def test_the_shipped_template_holds_no_ones_face(shared_assets):
    model, template = load_head_model(), shipped_template()
    assert not resembles(template, model)
    # Nearer to the population's mean than to any head that it was learnt from.
    skin = np.unique(model.skin)
    skin = skin[model.neutral[skin, 1] > training.NECK + 10][::5]
    points = (model.neutral[skin] - template.center) / template.radius
    mean = template.surface(CPU).sdf(torch.from_numpy(points).float()).abs().mean() * template.radius
    assert 1.2 * mean < nearness(template, model, template.identities).min()


def test_a_template_of_one_head_would_be_found_out(shared_assets):
    model, template = load_head_model(), shipped_template()
    one = Solid(model, identity(model, template.identities[3]))
    n = 32
    places = np.array(template.center) + template.radius * nodes(n).double().numpy()
    distance = torch.from_numpy(one.distance(places) / template.radius).float().view(n, n, n)
    assert resembles(replace(template, distance=distance), model)


# --- learning one ---


def test_no_seed_gives_an_identity_of_the_benchmark():
    sitters = {sitter.seed for sitter in benchmark_heads.SITTERS}
    several = [TrainSettings(heads=1000, seed=seed).identities() for seed in range(4)]
    assert min(several[0]) > max(sitters)
    assert all(max(a) < min(b) for a, b in pairwise(several))


def test_settings_that_make_no_template_are_refused():
    for changes in ({"heads": 9}, {"heads": 2000}, {"steps": 0}, {"seed": -1}):
        with pytest.raises(SansfaceError):
            TrainSettings(**changes)


def sphere_mesh(n: int = 24) -> Mesh:
    return extract(lambda points: np.linalg.norm(points, axis=1) - 0.7, n)


def test_rims_are_closed_with_faces_that_turn_as_the_others_do():
    whole = sphere_mesh()
    keep = np.abs(whole.vertices[whole.faces][:, :, 2]).max(axis=1) < 0.6  # without both polar caps
    mesh = closed(Mesh(whole.vertices, whole.faces[keep]))
    edges = mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).tolist()
    assert len(set(map(tuple, edges))) == len(edges)  # each edge once in each direction
    assert {(b, a) for a, b in edges} == set(map(tuple, edges))
    assert len(mesh.vertices) == len(whole.vertices) + 2
    volume = (
        np.einsum("ij,ij->", mesh.triangles[:, 0], np.cross(mesh.triangles[:, 1], mesh.triangles[:, 2])) / 6
    )
    cap = np.pi * (0.7 - 0.55) ** 2 * (3 * 0.7 - (0.7 - 0.55)) / 3  # the rims lie near z = 0.55
    assert volume == pytest.approx(4 / 3 * np.pi * 0.7**3 - 2 * cap, rel=0.03)


def winding_number(points: np.ndarray, mesh: Mesh) -> np.ndarray:
    """(n,) of a closed mesh around each point: 1 inside (van Oosterom & Strackee 1983). Slow."""
    result = []
    for point in points:
        a, b, c = np.moveaxis(mesh.triangles - point, 1, 0)
        x, y, z = (np.linalg.norm(side, axis=1) for side in (a, b, c))
        dots = [np.einsum("ij,ij->i", p, q) for p, q in ((a, b), (b, c), (c, a))]
        across = np.einsum("ij,ij->i", a, np.cross(b, c))
        along = x * y * z + dots[0] * z + dots[1] * x + dots[2] * y
        result.append(np.arctan2(across, along).sum() / (2 * np.pi))
    return np.array(result)


def test_a_heads_distances_are_those_of_brute_force(shared_assets):
    model, rng = load_head_model(), np.random.default_rng(0)
    head = Solid(model, identity(model, 1000))
    surface, normals = head.sample(50, rng)
    points = np.concatenate(
        [surface + rng.normal(scale=6, size=(50, 1)) * normals, rng.uniform(-150, 150, (20, 3))]
    )
    inside = winding_number(points, head.skin) > 0.5
    assert (head.inside(points) == inside).mean() >= 69 / 70
    triangles = head.skin.triangles
    away = np.array([closest_point(triangles, np.tile(p, (len(triangles), 1))) for p in points])
    exact = np.linalg.norm(away - points[:, None], axis=2).min(axis=1)
    balls = np.min([np.linalg.norm(points - c, axis=1) - r for c, r in head.balls], axis=0)
    expected = np.minimum(np.where(inside, -exact, exact), balls)
    same = head.inside(points) == inside
    np.testing.assert_allclose(head.distance(points)[same], expected[same], atol=1e-6)


def spheres() -> HeadModel:
    """A model whose heads are balls of radius 100 mm, stretched along z by the first weight, and two eyes."""
    skin, eye = sphere_mesh(20), sphere_mesh(6)
    vertices = np.concatenate(
        [skin.vertices / 0.7 * 100, *(eye.vertices * 9 + (x, 20, 60) for x in (30, -30))]
    )
    n, m = len(skin.vertices), len(eye.vertices)
    identity = np.zeros((1, *vertices.shape), np.float32)
    identity[0, :n, 2] = 0.15 * vertices[:n, 2]
    parts = {
        "Face": (0, n // 2),
        "Head and Neck": (0, n),
        "Sclera left": (n, n + m),
        "Sclera right": (n + m, n + 2 * m),
    }
    faces = np.concatenate([skin.faces, *(eye.faces + n + k * m for k in (0, 1))])
    return HeadModel(vertices.astype(np.float32), identity, {}, faces, np.arange(68), parts)


def test_the_template_of_stretched_balls_is_a_ball(monkeypatch):
    for name, value in {"LEVELS": (5, 10, 20), "ON": 1000, "NEAR": 1000, "FAR": 500, "EACH": 48}.items():
        monkeypatch.setattr(training, name, value)
    model, done = spheres(), []
    small = TrainSettings(heads=10, steps=250, smoothness=1e-4, small=5.0)
    template = train_template(model, small, lambda share, note: done.append(share))
    assert done == sorted(done)
    assert done[-1] == 1.0
    assert template.identities == small.identities()
    assert torch.equal(template.distance, template.distance.flip(2))
    drawn = [np.random.default_rng(seed).normal(size=1).clip(-2, 2)[0] for seed in template.identities]
    mean = 1 + 0.15 * float(np.mean(drawn))
    ways = F.normalize(torch.randn((300, 3), generator=torch.Generator().manual_seed(0)), dim=1)
    places = 100 * ways * torch.tensor([1, 1, mean])
    found = template.surface(CPU).sdf(((places - torch.tensor(template.center)) / template.radius).float())
    assert template.radius * found.abs().mean() < 3.0  # of 100 mm; the heads lie up to 30 mm from each other
    # A control: the same distances of the most stretched head are farther.
    stretched = 100 * ways * torch.tensor([1, 1, 1 + 0.15 * max(drawn)])
    far = template.surface(CPU).sdf(((stretched - torch.tensor(template.center)) / template.radius).float())
    assert far.abs().mean() > 2 * found.abs().mean()


# --- where it stands ---


@given(
    st.floats(0.4, 1.5),
    st.tuples(*[st.floats(-2, 2)] * 3),
    st.tuples(*[st.floats(-0.5, 0.5)] * 3),
    st.integers(0, 100),
)
@settings(deadline=None, max_examples=25)
def test_a_placed_template_is_the_template_moved_scaled_and_turned(scale, turn, shift, seed):
    rotation = Rotation.from_rotvec(turn).as_matrix().astype(np.float32)
    template = made(lambda p: (p - torch.tensor([0.1, 0.2, -0.1])).norm(dim=1) - 0.5, n=48)
    there = PlacedTemplate(
        template.surface(CPU), torch.tensor(scale), torch.from_numpy(rotation), torch.tensor(shift)
    )
    centre = torch.tensor(shift) + scale * torch.from_numpy(rotation) @ torch.tensor([0.1, 0.2, -0.1])
    local = 0.9 * (2 * torch.rand((200, 3), generator=torch.Generator().manual_seed(seed)) - 1)
    local = local[(local - torch.tensor([0.1, 0.2, -0.1])).norm(dim=1) > 0.3]
    points = torch.tensor(shift) + scale * local @ torch.from_numpy(rotation).T
    ball = Ball(0.5 * scale, tuple(centre.tolist()))
    expected, normal = ball.shape(points)
    distance, gradient = there.shape(points)
    # What trilinear interpolation misses is a length of the template's own, so it grows with `scale`.
    torch.testing.assert_close(distance / scale, expected / scale, atol=2e-3, rtol=0)
    torch.testing.assert_close(gradient, normal, atol=0.02, rtol=0)
    torch.testing.assert_close(there.sdf(points), distance, atol=1e-5, rtol=1e-5)


def test_beyond_its_lattice_a_template_goes_on():
    template = made(lambda p: p.norm(dim=1) - 0.5)
    there = PlacedTemplate(template.surface(CPU), torch.tensor(1.0), torch.eye(3), torch.zeros(3))
    points = F.normalize(torch.randn((300, 3), generator=torch.Generator().manual_seed(0)), dim=1) * 2.5
    distance, gradient = there.shape(points)
    assert (distance >= points.norm(dim=1) - 0.5 - 1e-2).all()  # never less than the true one,
    assert (distance <= 3**0.5 + 2.5).all()
    h = 1e-3
    steps = [(there.sdf(points + h * axis) - there.sdf(points - h * axis)) / (2 * h) for axis in torch.eye(3)]
    # Central differences between nodes are not those at a place, but nowhere far off.
    assert (torch.stack(steps, dim=1) - gradient).abs().mean() < 0.03


def photographed(
    scale: float, turn: float, shift: np.ndarray, angles: np.ndarray, size: int = 32
) -> Supervision:
    """Masks, and nothing else, of the knobbed ball under a similarity, all sensitive."""
    views = []
    rotation = Rotation.from_euler("y", turn).as_matrix()
    for number, angle in enumerate(angles):
        height = (-0.6, 0.3, 1.2)[number % 3]
        camera = looking_at(
            np.array([3.5 * np.sin(angle), height, 3.5 * np.cos(angle)]), np.zeros(3), size, 1.7 * size
        )
        rows, columns = np.mgrid[:size, :size] + 0.5
        origins, ways = camera.rays(np.column_stack([columns.ravel(), rows.ravel()]))
        t = np.linspace(2, 5, 120)
        points = origins[:, None] + ways[:, None] * t[:, None]
        local = torch.from_numpy((points - shift) @ rotation / scale).float().view(-1, 3)
        mask = (knobbed(local).view(len(ways), -1).min(dim=1).values < 0).view(size, size).numpy()
        target = np.zeros((size, size), np.float32)
        views.append(View(Kind.MODULUS, camera, target, mask, mask.astype(np.float32), False))
    return Supervision(tuple(views), operator("sobel"), np.zeros(3), 1.0, "arbitrary")


RING = np.arange(12) * 2 * np.pi / 12


@pytest.mark.parametrize(("turn", "angles"), [(2.3, RING), (-0.4, np.linspace(-1.7, 1.7, 9))])
def test_silhouettes_place_a_template_wherever_it_looks(turn, angles):
    """All around, where nothing says which way it faces; and from the front only, where it looks aside."""
    scale, shift = 0.75, np.array([0.1, -0.15, 0.05])
    supervision = photographed(scale, turn, shift, angles)
    found = placement.place(made(), supervision, small_config(), 0, CPU)
    assert found.how == "silhouettes"
    assert found.scale == pytest.approx(scale, rel=0.06)
    face = np.array(found.rotation)[:, 2]
    assert np.degrees(np.arccos(face @ [np.sin(turn), 0, np.cos(turn)])) < 8
    assert np.linalg.norm(np.array(found.shift) - shift) < 0.06


def test_without_an_outline_a_template_fills_the_sphere_and_faces_the_sensitive_cameras():
    supervision = photographed(0.75, 0.0, np.zeros(3), np.linspace(0.3, 2.1, 7))
    views = tuple(
        replace(v, coverage=np.where(v.shared, 1, np.nan).astype(np.float32)) for v in supervision.views
    )
    found = placement.place(made(), replace(supervision, views=views), small_config(), 0, CPU)
    assert found.how == "sphere"
    assert found.shift == (0, 0, 0)
    np.testing.assert_allclose(np.array(found.rotation)[:, 2], [np.sin(1.2), 0, np.cos(1.2)], atol=0.05)
    there = run.placed(made(), found, CPU)
    inside = nodes(40)[there.sdf(nodes(40)) < 0].norm(dim=1)
    assert 0.85 < inside.max() <= 1.0


def test_the_rear_cameras_say_where_the_face_is_too():
    views = photographed(0.75, 0.0, np.zeros(3), RING).views
    assert np.linalg.norm(placement.facing(views)) < 0.2
    rear = [replace(v, neutral=bool(abs(angle - np.pi) < 1)) for v, angle in zip(views, RING, strict=True)]
    towards = placement.facing(rear)
    assert towards[2] > 0.9 * np.linalg.norm(towards) > 0.9


# --- what a field begins as ---


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_begins_as_the_template(name):
    ball = Ball(0.45, (0.15, -0.1, 0.2))
    values = {"grid": GRID | {"levels": (6, 12, 24)}, "mlp": MLP}[name]
    field = make_field(name, values, torch.Generator().manual_seed(0))
    points = 0.9 * (2 * torch.rand((500, 3), generator=torch.Generator().manual_seed(1)) - 1)
    wanted, normal = ball.shape(points)
    before = (field.now().sdf(points) - wanted).abs()
    field.begin_as(ball.sdf, torch.Generator().manual_seed(2))
    near = (wanted.abs() < 0.2) & ((points - ball.centre).norm(dim=1) > 0.2)
    distance, gradient = field.now().shape(points)
    off = (distance - wanted).abs()[near].mean()
    assert off < 0.015
    assert off < before[near].mean() / 5
    assert F.cosine_similarity(gradient, normal)[near].mean() > 0.98
    assert all(parameter.grad is None for parameter in field.parameters())


# --- whole runs ---


def without_neutral() -> Supervision:
    """The tiny capture's sensitive frames."""
    supervision = ball_supervision()
    return replace(supervision, views=tuple(view for view in supervision.views if not view.neutral))


def said(out: Path) -> dict:
    return json.loads((out / "config.json").read_text(encoding="utf-8"))


def test_without_neutral_frames_the_shipped_template_stands_in_for_stage_1(tmp_path):
    notes = []
    reconstruct(
        without_neutral(),
        tmp_path / "out",
        small_config(4, 3),
        device="cpu",
        on_progress=lambda now: notes.append((now.stage, now.note)),
    )
    config = said(tmp_path / "out")
    assert config["template"]["sha256"] == shipped_template().sha256
    assert config["template"]["placement"]["how"] == "silhouettes"
    assert config["config"]["stage1"]["steps"] == 0
    assert notes[0] == (1, "placing the template")
    assert {stage for stage, _ in notes[1:]} == {2, 3}
    assert shipped_template().sha256 in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_with_neutral_frames_a_template_has_to_be_asked_for(tmp_path):
    reconstruct(ball_supervision(), tmp_path / "plain", small_config(1, 1), device="cpu")
    assert said(tmp_path / "plain")["template"] is None
    template = write_template(made(), tmp_path / "a.safetensors")
    reconstruct(ball_supervision(), tmp_path / "asked", small_config(1, 1), device="cpu", template=template)
    assert said(tmp_path / "asked")["template"]["sha256"] == template.sha256


@pytest.mark.parametrize("share", [Share.OUTLINE, Share.CAMERA])
def test_a_template_knows_what_no_picture_shows(tmp_path, share):
    supervision = from_bundle(ball_bundle(share=share))
    reconstruct(supervision, tmp_path / "out", small_config(1, 2, stage2={"targets": "all"}), device="cpu")
    config = said(tmp_path / "out")
    assert config["received"]["share"] == share
    assert config["template"]["sha256"] == shipped_template().sha256
    assert config["template"]["placement"]["how"] == "silhouettes"
    assert config["config"]["stage1"]["steps"] == 0
    assert (config["config"]["stage2"]["volume"] is None) == (share is Share.CAMERA)
    plain, held = small_config(1, 2).stage2.smoothness, config["config"]["stage2"]["smoothness"]
    times = {Share.OUTLINE: 0.5, Share.CAMERA: 4.0}[share]
    assert (held["start"], held["end"]) == (times * plain.start, times * plain.end)


def test_without_pictures_of_the_face_others_say_so(tmp_path):
    supervision = from_bundle(ball_bundle(share=Share.OUTLINE))
    with pytest.raises(SansfaceError, match="splats learn from pictures of the face"):
        reconstruct(supervision, tmp_path / "out", preset("splats", 24), device="cpu")
    with pytest.raises(SansfaceError, match="the preset paper compares pictures of the face"):
        reconstruct(supervision, tmp_path / "out", preset("paper", 24), device="cpu")


def test_outlines_alone_are_enough(tmp_path):
    """No picture at all: the template is bent until its outline is the ball's."""
    of = from_bundle(ball_bundle(share=Share.OUTLINE))
    alone = replace(of, views=tuple(view for view in of.views if not view.neutral))
    config = small_config(1, 3, stage2={"targets": "all"})
    assert reconstruct(alone, tmp_path / "out", config, device="cpu").is_file()
    assert said(tmp_path / "out")["config"]["stage2"]["colour"] == 0


def test_what_is_smooth_is_the_change_from_the_template():
    """A field that begins as some surface, however bent, is perfectly smooth, and again after resuming."""
    rng = torch.Generator().manual_seed(0)
    bent = Ball(0.3, (0.1, 0.0, 0.2))
    field = make_field("grid", GRID, rng)
    before = field.now().smoothness(rng).item()
    field.begin_as(bent.sdf, rng)
    assert field.now().smoothness(rng).item() == 0
    assert field.now().of(field.now().tensors()).smoothness(rng).item() == 0
    with torch.no_grad():
        field.get_parameter("levels.0").add_(torch.randn(4, 4, 4, generator=rng))
    plain = make_field("grid", GRID, rng)
    assert field.now().smoothness(rng).item() > 0 < before
    with torch.no_grad():
        plain.get_buffer("start").zero_()
        plain.get_parameter("levels.0").copy_(field.get_parameter("levels.0"))
    torch.testing.assert_close(field.now().smoothness(rng), plain.now().smoothness(rng))


@pytest.mark.parametrize("field", ["grid", pytest.param("mlp", marks=pytest.mark.slow)])
def test_a_run_from_a_template_resumes_exactly_and_with_no_other_template(tmp_path, field, monkeypatch):
    config = small_config(2, 5, field=field, distance_rate=1e-3)  # more would undo a network in a step
    monkeypatch.setitem(mlp.BEGINNING, "steps", 150)
    template = write_template(made(), tmp_path / "a.safetensors")
    other = write_template(made(n=20), tmp_path / "b.safetensors")
    whole = reconstruct(without_neutral(), tmp_path / "whole", config, device="cpu", template=template)

    def interrupt(now) -> None:
        if (now.stage, now.step) == (2, 2):
            raise KeyboardInterrupt

    monkeypatch.setattr(record, "CHECKPOINT_SECONDS", 0.0)
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        reconstruct(without_neutral(), out, config, device="cpu", template=template, on_progress=interrupt)
    assert (out / checkpoint.NAME).exists()
    for another in (other, None):  # None takes the shipped one
        with pytest.raises(SansfaceError, match="another template"):
            reconstruct(without_neutral(), out, config, device="cpu", resume=True, template=another)
    monkeypatch.setattr(run, "place", None)  # it has its place already
    mesh = reconstruct(without_neutral(), out, config, device="cpu", resume=True, template=template)
    assert mesh.read_bytes() == whole.read_bytes()
    assert said(out)["template"] == said(tmp_path / "whole")["template"]
    assert reconstruct(without_neutral(), out, config, device="cpu", resume=True, template=template) == mesh
    with pytest.raises(SansfaceError, match="no checkpoint"):
        reconstruct(without_neutral(), out, config, device="cpu", resume=True, template=other)


SMALL = ("stage2.steps=2", "field_settings.levels=8,16", "silhouette_rays=300", "mesh_resolution=24")


def test_a_capture_all_of_whose_frames_are_sensitive_goes_all_the_way(tiny_capture, tmp_path, capsys):
    capture = read_transforms_json(tiny_capture)
    frames = tuple(replace(frame, role=Role.SENSITIVE) for frame in capture.frames)
    write_transforms_json(replace(capture, frames=frames), tiny_capture)
    bundle, out = tmp_path / "head.sfb", tmp_path / "out"
    settings = [word for value in SMALL if "levels" not in value for word in ("--set", value)]
    assert main(["protect", str(tiny_capture), "-o", str(bundle), "--resolution", "24"]) == 0
    assert main(["inspect", str(bundle)]) == 0
    assert main(["reconstruct", str(bundle), "-o", str(out), "--device", "cpu", *settings]) == 0
    told = capsys.readouterr().out
    assert (
        f"template: {shipped_template().sha256[:12]} in place of stage 1, placed by the silhouettes" in told
    )
    middle = read_mesh(out / "mesh.ply").vertices
    middle = (middle.min(axis=0) + middle.max(axis=0)) / 2
    assert np.linalg.norm(middle - BALL_CENTER) < 1.0

    unmasked = tmp_path / "unmasked.sfb"
    words = ["--resolution", "24", "--no-share-masks"]
    assert main(["protect", str(tiny_capture), "-o", str(unmasked), *words]) == 0
    mine = tmp_path / "a.safetensors"
    write_template(made(), mine)
    more = ["--overwrite", "--template", str(mine)]
    assert main(["reconstruct", str(unmasked), "-o", str(out), "--device", "cpu", *settings, *more]) == 0
    assert "placed by the sphere: no outline was shared" in capsys.readouterr().out
    assert main(["reconstruct", str(unmasked), "-o", str(out), "--template", str(bundle)]) == 1
    assert "no head template" in capsys.readouterr().err


def test_a_template_on_the_command_line(tmp_path, capsys, monkeypatch, shared_assets):
    monkeypatch.setattr(training, "ON", 300)
    monkeypatch.setattr(training, "NEAR", 300)
    monkeypatch.setattr(training, "FAR", 100)
    monkeypatch.setattr(training, "LEVELS", (5, 10))
    out = tmp_path / "mine.safetensors"
    words = ["template", "train", "-o", str(out), "--heads", "10", "--seed", "2", "--steps", "3"]
    assert main(words) == 0
    assert read_template(out).identities == tuple(range(3000, 3010))
    assert read_template(out).sha256 in capsys.readouterr().out
    assert main(words) == 1
    assert "exists" in capsys.readouterr().err
    assert main([*words, "--overwrite", "--heads", "4"]) == 1
    assert "10 to 1000 heads" in capsys.readouterr().err
