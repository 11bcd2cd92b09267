"""The neural head: its parts against closed forms, its file, a small training, and what is shipped."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from neural_heads import FIRST, Refit, hold, on_surface, psnr, surface_error
from sansface.capture import Camera
from sansface.errors import SansfaceError
from sansface.fields.grid import nodes
from sansface.heads.albedo import CODES
from sansface.heads.light import ambient, irradiance, lamp
from sansface.heads.neural.codes import ALONE, HeadCodes, random_codes, random_expression
from sansface.heads.neural.file import KEY, load_neural_head, read_neural_head, write_neural_head
from sansface.heads.neural.head import Colours, NeuralHead, Shifts
from sansface.heads.neural.pictures import DISTANCE, MIDDLE, Surfaces, camera_at
from sansface.heads.neural.render import render, surface
from sansface.heads.neural.train import NeuralSettings, learn_colours, traced_pictures
from sansface.heads.parametric import HeadModel, load_head_model

RADIUS, GROWTH, ACROSS = 0.5, 0.1, 0.03


@pytest.fixture
def model(shared_assets) -> HeadModel:
    return load_head_model()


@pytest.fixture
def ball() -> NeuralHead:
    """A ball of RADIUS that the first identity grows by GROWTH and the first expression moves by ACROSS in x.

    Its eyes are out of the way, its colours constant.
    """
    shifts, colours = Shifts(157, 4), Colours(8, 1)
    with torch.no_grad():
        for network in (shifts, colours):
            for value in network.parameters():
                value.zero_()
        weight = shifts.last.weight.view(157, 3, 7)
        weight[0, :, 4:] = GROWTH * torch.eye(3)  # a shift that is linear in the place scales space
        shifts.last.bias.view(157, 3)[100, 0] = ACROSS
        colours.last.bias.copy_(torch.tensor([0.0, 1.0, -1.0]))
    eyes = torch.zeros(2, 4, 101)
    eyes[:, :3, 0], eyes[:, 3, 0] = torch.tensor([0.0, 0.0, -0.2]), 0.05
    eyes[:, 0, 1] = 0.01  # as the first identity says
    n = 48
    distance = (nodes(n).norm(dim=1) - RADIUS).view(n, n, n)
    return NeuralHead(
        distance, (1.0, 2.0, 3.0), 100.0, shifts, colours, eyes, torch.zeros(157), {"source": "test"}
    )


def coded(identity: float = 0.0, expression: float = 0.0, **others) -> HeadCodes:
    codes = HeadCodes(**others)
    codes.identity[0], codes.expression[0] = identity, expression
    return codes


def in_front(size: int = 64) -> Camera:
    """Of a head at (1, 2, 3), in millimetres."""
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    pose[:3, 3] = -pose[:3, :3] @ np.array([1.0, 2.0, 403.0])
    focal = 1.5 * size
    return Camera(np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]]), size, size, pose)


def points(count: int = 200) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    ways = torch.nn.functional.normalize(torch.randn((count, 3), generator=generator), dim=1)
    return ways * (0.3 + 0.5 * torch.rand((count, 1), generator=generator))


def test_canonical_places_undo_the_shifts(ball):
    posed = ball.posed(coded(1.5, 0.8))
    places = posed.canonical(points(), steps=12)
    torch.testing.assert_close(places + posed.shift(places), points(), atol=1e-5, rtol=0)
    expected = (points() - torch.tensor([0.8 * ACROSS, 0, 0])) / (1 + 1.5 * GROWTH)
    torch.testing.assert_close(places, expected, atol=1e-5, rtol=0)


def test_shifts_of_one_head_are_the_codes_sum(ball):
    generator = torch.Generator().manual_seed(1)
    ball.shifts.draw(generator)
    torch.nn.init.normal_(ball.shifts.last.weight, generator=generator)
    codes = HeadCodes(np.float32(np.random.default_rng(0).normal(size=100)))
    codes.expression[:] = np.random.default_rng(1).random(57)
    each = ball.shifts(points())
    total = torch.einsum(
        "k,nkc->nc", torch.from_numpy(np.r_[codes.identity, codes.expression]) - ball.rest, each
    )
    torch.testing.assert_close(ball.posed(codes).shift(points()), total, atol=1e-3, rtol=1e-4)


def test_a_scaled_ball_is_a_ball_with_its_normals_and_distances(ball):
    """The distance is T's, in canonical units: right in sign and on the surface, by the scale else."""
    posed, scale = ball.posed(coded(2.0, 1.0)), 1 + 2 * GROWTH
    away = points() - torch.tensor([ACROSS, 0, 0])
    expected = (away.norm(dim=1) / scale - RADIUS) * 1.0
    torch.testing.assert_close(posed.sdf(points()), expected, atol=3e-3, rtol=0)
    on = torch.tensor([ACROSS, 0, 0]) + scale * RADIUS * away / away.norm(dim=1, keepdim=True)
    normals = posed.normal(on, posed.canonical(on), torch.zeros(len(on), dtype=torch.int64))
    assert ((normals * away / away.norm(dim=1, keepdim=True)).sum(dim=1) > 0.999).all()


def test_normals_are_the_slope_of_the_distance(ball):
    """Under shifts of any kind: against central differences of f."""
    generator = torch.Generator().manual_seed(2)
    ball.shifts.draw(generator)
    torch.nn.init.normal_(ball.shifts.last.weight, std=3e-3, generator=generator)
    posed = ball.posed(coded(1.0, 1.0))
    on = torch.nn.functional.normalize(points(), dim=1) * RADIUS
    skin = torch.zeros(len(on), dtype=torch.int64)
    normals = posed.normal(on, posed.canonical(on, steps=40), skin)
    step = 0.03  # not much less than a cell of the lattice
    steps = step * torch.eye(3)

    def f(places: torch.Tensor) -> torch.Tensor:
        return posed.distance(places, posed.canonical(places, steps=40))[0]

    slope = torch.stack([f(on + s) - f(on - s) for s in steps], dim=1)
    assert ((torch.nn.functional.normalize(slope, dim=1) * normals).sum(dim=1) > 0.995).all()


def test_a_picture_has_the_balls_outline_and_its_light(ball):
    light = (ambient(np.full(3, 0.5)) + lamp(np.array([0, 0, 1.0]), np.ones(3))).astype(np.float32)
    camera = in_front()
    picture = render(ball, coded(1.0, light=light), camera, samples=1)
    assert picture.shape == (64, 64, 4)
    assert picture.dtype == np.float32
    radius = 100 * RADIUS * (1 + GROWTH)
    rows, columns = np.mgrid[:64, :64] + 0.5
    origins, directions = camera.rays(np.column_stack([columns.ravel(), rows.ravel()]))
    offset = origins - [1, 2, 3]
    along = -(offset * directions).sum(axis=1)
    miss = (offset**2).sum(axis=1) - along**2
    hit = (miss < radius**2).reshape(64, 64)
    assert (hit == (picture[..., 3] > 0)).mean() > 0.99
    depth = along - np.sqrt(np.maximum(radius**2 - miss, 0))
    normals = (offset + depth[:, None] * directions) / radius
    albedo = 1 / (1 + np.exp(-np.array([0.0, 1.0, -1.0])))
    expected = (albedo * irradiance(normals, light)).reshape(64, 64, 3)
    inner = (miss < (0.95 * radius) ** 2).reshape(64, 64)
    np.testing.assert_allclose(picture[inner][:, :3], expected[inner], atol=0.01)


def test_samples_are_the_mean_of_a_larger_picture(ball):
    large = render(ball, coded(), in_front(64), samples=1)
    small = render(ball, coded(), in_front(32), samples=2)
    np.testing.assert_allclose(small, large.reshape(32, 2, 32, 2, 4).mean(axis=(1, 3)), atol=1e-5)
    assert ((small[..., 3] > 0) & (small[..., 3] < 1)).any()


def test_the_surface_is_in_the_models_millimetres(ball):
    mesh = surface(ball, coded(1.0, 1.0), resolution=64)
    away = np.linalg.norm(mesh.vertices - [1 + 100 * ACROSS, 2, 3], axis=1)
    np.testing.assert_allclose(away, 100 * RADIUS * (1 + GROWTH), atol=0.3)


def test_eyes_move_with_the_identity_and_hide_behind_nothing(ball):
    ball.eyes[:, 2, 0] = RADIUS
    torch.nn.init.zeros_(ball.shifts.last.weight)
    posed = ball.posed(coded(3.0))
    front = torch.tensor([[0.03, 0.0, RADIUS + 0.05]])
    value, which = posed.distance(front, posed.canonical(front))
    assert which.item() in (1, 2)
    assert abs(value.item()) < 1e-6
    torch.testing.assert_close(posed.on_ball(front, front, which), torch.tensor([[0.0, 0.0, RADIUS + 0.05]]))
    torch.testing.assert_close(posed.normal(front, front, which), torch.tensor([[0.0, 0.0, 1.0]]))


def test_a_file_holds_the_head_and_the_same_gives_the_same_bytes(ball, tmp_path):
    ball.shifts.draw(torch.Generator().manual_seed(0))
    first = write_neural_head(ball, tmp_path / "a")
    again = write_neural_head(first, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert again.about == {"source": "test"}
    assert (again.center, again.radius) == (ball.center, ball.radius)
    torch.testing.assert_close(again.distance, ball.distance, atol=1e-3, rtol=0)
    codes = coded(1.0, 0.5)
    before, after = (head.posed(codes).sdf(points()) for head in (ball, again))
    torch.testing.assert_close(after, before, atol=2e-3, rtol=0)


def test_files_that_are_no_heads_are_refused(ball, tmp_path):
    path = tmp_path / "head"
    with pytest.raises(SansfaceError, match="cannot read the neural head"):
        read_neural_head(path)
    write_neural_head(ball, path)
    whole, tensors = path.read_bytes(), load_file(path)
    for content in (b"", whole[:-10], b"x" * 100):
        path.write_bytes(content)
        with pytest.raises(SansfaceError, match="damaged or no neural head"):
            read_neural_head(path)
    about = {"version": 1, "frame": {"center_mm": [0, 0, 0], "radius_mm": 1.0}}
    broken = np.full_like(tensors["rest"], np.nan)
    for changed, header in (
        (tensors, {"version": 1}),
        (tensors | {"rest": broken}, about),
        (tensors | {"rest": tensors["rest"][:5]}, about),
        ({k: v for k, v in tensors.items() if k != "colours.last.weight"}, about),
        (tensors | {"shifts.last.weight": tensors["shifts.last.weight"][:9]}, about),
    ):
        save_file(changed, path, {KEY: json.dumps(header)})
        with pytest.raises(SansfaceError, match="damaged or no neural head"):
            read_neural_head(path)
    save_file(tensors, path, {KEY: json.dumps(about | {"version": 2})})
    with pytest.raises(SansfaceError, match="version 2"):
        read_neural_head(path)


def test_codes_that_do_not_fit_are_refused():
    for wrong in (
        {"identity": np.zeros(99)},
        {"light": np.zeros(27)},
        {"albedo": np.full(len(CODES), np.inf)},
    ):
        with pytest.raises(SansfaceError, match=f"a head's {next(iter(wrong))}"):
            HeadCodes(**wrong)


def test_random_people_are_within_the_models_range_and_repeatable(model):
    names = tuple(model.expression)
    one, same, other = (random_codes(model, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert (one.identity == same.identity).all()
    assert (one.identity != other.identity).any()
    drawn = np.array([random_expression(names, np.random.default_rng(seed)) for seed in range(200)])
    assert drawn.min() == 0
    assert 0.6 < drawn.max() < 0.71
    assert not drawn[:, [names.index(name) for name in ALONE]].any()
    left, right = (drawn[:, names.index(f"mouthSmile_{side}")] for side in "LR")
    assert 0.5 < (left == right).mean() < 1


def test_a_camera_sees_the_middle_from_its_distance():
    for turn in (0.0, 90.0, -130.0):
        camera = camera_at(turn, 20.0, 64)
        pixel, depth = camera.project(MIDDLE[None])
        np.testing.assert_allclose(pixel, [[32, 32]])
        np.testing.assert_allclose(depth, [DISTANCE])
    assert camera_at(90, 0, 64).center[0] > 800  # to the head's own left
    assert camera_at(0, 30, 64).center[1] > 400


def test_pictures_leave_the_shoulders_out(model):
    picture = Surfaces(model).picture(HeadCodes(), camera_at(0, 0, 48))
    shown = picture.rgba[..., 3] > 0
    assert 0.2 < shown.mean() < 0.5
    assert not ((picture.rgba[..., 3] == 1) & ~picture.counts).any()
    assert (~picture.counts)[-4:].any()
    assert picture.counts[:24].all()


def test_a_small_training_lowers_its_loss_on_traced_pictures(model):
    """Colours from next to nothing, on the shipped shape: the loss falls, and the pictures follow."""
    head = load_neural_head()
    settings = NeuralSettings(heads=2, repaints=3, size=32, colour_steps=60, colour_rays=512)
    rays = traced_pictures(head, model, settings)
    assert len(rays.place) == len(rays.pixel) > 600
    assert rays.codes.shape == (6, len(CODES))
    assert rays.code.unique().tolist() == list(range(6))
    assert rays.light.min() > 0
    fresh = replace(head, colours=Colours(32, 2))
    losses = learn_colours(fresh, rays, settings, torch.Generator().manual_seed(0))
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


def test_settings_out_of_range_are_refused():
    for wrong in ({"heads": 0}, {"seed": -1}, {"colour_steps": 0}):
        with pytest.raises(SansfaceError, match="correct the settings"):
            NeuralSettings(**wrong)
    assert not set(NeuralSettings(seed=0).people()) & set(NeuralSettings(seed=1).people())


def test_the_shipped_head_stands_where_the_model_does(model):
    """Vertices carried by the shifts against the linear model's own, for people it has not seen."""
    head = load_neural_head()
    skin = np.unique(model.skin)
    skin = skin[model.neutral[skin, 1] > -90]
    for seed in range(FIRST, FIRST + 5):
        codes = random_codes(model, np.random.default_rng(seed))
        away = np.linalg.norm(
            (on_surface(head, model, codes) - Surfaces(model).vertices(codes))[skin], axis=1
        )
        assert away.mean() < 1.2
        assert np.percentile(away, 95) < 3.0


@pytest.mark.slow
def test_moving_the_shipped_heads_identity_leaves_its_expression(model):
    """And a fit to the linear model's own places finds its codes, but for what the priors take."""
    head, refit, surfaces = load_neural_head(), Refit(model), Surfaces(model)
    shares = []
    for seed in range(FIRST, FIRST + 5):
        rng = np.random.default_rng(seed)
        codes = random_codes(model, rng)
        length = np.linalg.norm(codes.expression)
        assert np.linalg.norm(refit(surfaces.vertices(codes)) - codes.expression) < 0.3 * length
        shares.append(hold(head, surfaces, refit, codes, rng))
    assert np.mean([share.linear for share in shares]) < 0.05
    assert np.mean([share.neural for share in shares]) < 0.1


def test_the_shipped_head_is_of_people_who_do_not_exist(tmp_path):
    head = load_neural_head()
    assert head.about["licence"] == "MIT"
    assert "synthetic" in head.about["source"]
    assert head.about["training"]["seed"] == 0


@pytest.mark.slow
def test_the_shipped_head_shows_people_it_has_not_seen(model):
    head, surfaces = load_neural_head(), Surfaces(model)
    for seed, turn in ((FIRST, 0.0), (FIRST + 1, 40.0)):
        codes = random_codes(model, np.random.default_rng(seed))
        inside, _ = psnr(head, surfaces.picture(codes, camera_at(turn, 5.0, 128)))
        assert inside >= 28
        assert surface_error(head, surfaces, codes, size=64).mean <= 1.5
    other = random_codes(model, np.random.default_rng(FIRST + 2))
    wrong = replace(surfaces.picture(other, camera_at(0, 5, 128)), codes=codes)
    assert psnr(head, wrong)[0] < 22  # somebody else's picture
