"""Both fields against closed forms, their own numeric differences and brute force; the registry."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from sansface.errors import SansfaceError
from sansface.fields.encoding import octaves
from sansface.fields.grid import GridSurface
from sansface.fields.mlp import MlpField
from sansface.fields.registry import FIELDS, make_field
from sansface.reconstruct.config import preset

GRID = {
    "levels": (4, 8, 16, 32),
    "feature_nodes": 8,
    "feature_channels": 4,
    "width": 16,
    "depth": 2,
    "radius": 0.6,
}
MLP = {
    "width": 64,
    "depth": 4,
    "skip": 2,
    "features": 8,
    "frequencies": 4,
    "view_frequencies": 2,
    "radius": 0.6,
}
SETTINGS = {"grid": GRID, "mlp": MLP}

every_field = pytest.mark.parametrize("name", FIELDS)


def field(name: str, seed: int = 0, **changes):
    return make_field(name, SETTINGS[name] | changes, torch.Generator().manual_seed(seed))


def disturbed(name: str, amount: float):
    """A field that is no sphere any more."""
    result = field(name)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in result.parameter_groups()["distance"]:
            parameter.add_(amount * torch.randn(parameter.shape, generator=generator))
    return result


def places(count: int = 500, seed: int = 1, side: float = 0.9) -> torch.Tensor:
    return side * (2 * torch.rand((count, 3), generator=torch.Generator().manual_seed(seed)) - 1)


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_every_registered_field_is_tested_here():
    assert SETTINGS.keys() == FIELDS.keys()


@every_field
def test_sdf_is_the_distance_of_query_and_of_shape(name):
    surface = disturbed(name, 0.02).now()
    for count in (1, 2, 501):
        points = places(count)
        distance, gradient, _ = surface.query(points)
        torch.testing.assert_close(surface.sdf(points), distance, atol=1e-6, rtol=0)
        shape = surface.shape(points)
        torch.testing.assert_close(shape[0], distance, atol=1e-6, rtol=0)
        torch.testing.assert_close(shape[1], gradient, atol=1e-6, rtol=0)
        assert not surface.sdf(points).requires_grad
        assert distance.requires_grad
        assert gradient.requires_grad


def test_grid_starts_as_a_sphere():
    points = places()
    far = points.norm(dim=1) > 0.2  # the distance has a kink at the centre
    distance, gradient = field("grid").now().shape(points)
    # Trilinear interpolation of a curvature of 1/r: h²/8 · 2/r, with h = 2/31 and r > 0.2.
    torch.testing.assert_close(distance[far], (points.norm(dim=1) - 0.6)[far], atol=6e-3, rtol=0)
    torch.testing.assert_close(gradient[far], F.normalize(points, dim=1)[far], atol=0.05, rtol=0)
    assert (gradient[far].norm(dim=1) - 1).abs().mean() < 0.01


def test_grids_gradient_is_that_of_its_distance_in_the_mean():
    surface = field("grid").now()
    points = places(2000)
    points = points[points.norm(dim=1) > 0.3]
    _, gradient = surface.shape(points)
    h = surface.spacing
    differences = [
        (surface.sdf(points + h * axis) - surface.sdf(points - h * axis)) / (2 * h) for axis in torch.eye(3)
    ]
    torch.testing.assert_close(torch.stack(differences, dim=1), gradient, atol=0.02, rtol=0)


def test_grids_gradient_is_central_differences_on_the_nodes():
    surface = disturbed("grid", 0.02).now()
    f = surface.distance[0, 0]
    node = -1 + surface.spacing * torch.tensor([[7.0, 20.0, 11.0]])  # x, y, z
    distance, gradient = surface.shape(node)
    x, y, z = 7, 20, 11
    assert distance.item() == pytest.approx(f[z, y, x].item(), abs=1e-5)
    expected = torch.stack(
        [f[z, y, x + 1] - f[z, y, x - 1], f[z, y + 1, x] - f[z, y - 1, x], f[z + 1, y, x] - f[z - 1, y, x]]
    ) / (2 * surface.spacing)
    torch.testing.assert_close(gradient[0], expected, atol=1e-4, rtol=0)


def test_the_pyramid_is_the_sum_of_its_levels():
    pyramid = disturbed("grid", 0.05)
    nodes = torch.stack(torch.meshgrid(*[torch.linspace(-1, 1, 32)] * 3, indexing="ij"), dim=-1)
    total = (nodes.norm(dim=-1) - 0.6).flatten()
    # Brute force: interpolate coarse to fine, one level's nodes after the other, at explicit points.
    running = None
    for level in pyramid.levels:
        n = level.shape[-1]
        axis = torch.linspace(-1, 1, n)
        z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
        at = torch.stack([x, y, z], dim=-1).view(1, n, n, n, 3)
        running = level if running is None else F.grid_sample(running, at, align_corners=True) + level
    assert running is not None
    torch.testing.assert_close(
        pyramid.now().distance.flatten(), total + running.flatten(), atol=1e-5, rtol=1e-5
    )


def test_grid_features_are_interpolated():
    surface = field("grid").now()
    spacing = 2 / 7
    corner = -1 + spacing * torch.tensor([[2.0, 3.0, 5.0]])
    _, _, features = surface.query(torch.cat([corner, corner + torch.tensor([[spacing / 2, 0, 0]])]))
    stored = surface.features[0]
    torch.testing.assert_close(features[0], stored[:, 5, 3, 2], atol=1e-6, rtol=0)
    torch.testing.assert_close(features[1], (stored[:, 5, 3, 2] + stored[:, 5, 3, 3]) / 2, atol=1e-6, rtol=0)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_mlp_starts_near_a_sphere(seed):
    """Geometric initialisation holds in the mean over wide layers; of eight seeds the worst was 0.12 off."""
    paper = preset("paper")
    surface = make_field(paper.field, paper.field_settings, torch.Generator().manual_seed(seed)).now()
    directions = F.normalize(places(500), dim=1)
    for radius in (0.3, 0.6, 0.9):
        distance, gradient = surface.shape(radius * directions)
        assert abs(distance.mean().item() - (radius - 0.6)) < 0.16
        assert distance.std() < 0.12
        assert F.cosine_similarity(gradient, directions).min() > 0.8
        # Softplus blunts the cone's tip; from the surface outwards the slope is about 1.
        assert radius < 0.6 or abs(gradient.norm(dim=1).mean().item() - 1) < 0.25


def test_mlps_gradient_is_that_of_finite_differences():
    network = disturbed("mlp", 0.01).double()
    surface = network.now()
    points = places(50).double()
    _, gradient = surface.shape(points)
    h = 1e-5
    differences = [
        (surface.sdf(points + h * axis) - surface.sdf(points - h * axis)) / (2 * h)
        for axis in torch.eye(3, dtype=torch.float64)
    ]
    torch.testing.assert_close(torch.stack(differences, dim=1), gradient, atol=1e-5, rtol=1e-5)


def test_mlp_without_a_graph():
    surface = field("mlp").now()
    points = places(10)
    with torch.no_grad():
        parts = surface.query(points)
    assert not any(part.requires_grad for part in parts)
    torch.testing.assert_close(parts[1], surface.query(points)[1])


@every_field
def test_a_seed_decides_everything_and_the_global_generator_is_left_alone(name):
    torch.manual_seed(7)
    state = torch.get_rng_state()
    first = field(name, seed=3).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(8)
    second, other = field(name, seed=3).state_dict(), field(name, seed=4).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert any(
        not torch.equal(first[key], other[key]) for key in first if "features" in key or "weight" in key
    )


@every_field
def test_every_parameter_has_one_rate(name):
    result = field(name)
    grouped = [p for group in result.parameter_groups().values() for p in group]
    assert len(grouped) == len({id(p) for p in grouped})
    assert {id(p) for p in grouped} == {id(p) for p in result.parameters()}


@every_field
def test_every_parameter_learns_from_distance_gradient_and_colour(name):
    result = disturbed(name, 0.01)
    surface = result.now()
    points = places(200)
    distance, gradient, features = surface.query(points)
    colour = result.radiance(points, F.normalize(gradient, dim=1), F.normalize(points, dim=1), features)
    assert ((colour >= 0) & (colour <= 1.5)).all()
    (distance.square().mean() + colour.square().mean() + surface.eikonal(rng())).backward()
    without = {key for key, p in result.named_parameters() if p.grad is None or not p.grad.any()}
    assert all(key.endswith(".k") or key == "scale" for key in without)  # not bound yet; of the density


class Scaled(MlpField):
    """An MLP's terms on a distance of our choice: f(x) = function(x)."""

    def __init__(self, function) -> None:
        super().__init__(**MLP, generator=torch.Generator().manual_seed(0))
        self.function = function

    def values(self, points: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.function(points)[:, None], points], dim=1)


def on_a_grid(function, n: int = 48) -> GridSurface:
    axis = torch.linspace(-1, 1, n)
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    values = function(torch.stack([x, y, z], dim=-1).reshape(-1, 3)).view(1, 1, n, n, n)
    return GridSurface(values, torch.zeros(1, 1, 2, 2, 2))


def with_mlp(function):
    return Scaled(function).now()


make_both = pytest.mark.parametrize("make", [on_a_grid, with_mlp])


def sphere(points: torch.Tensor) -> torch.Tensor:
    return (points.square().sum(dim=1) + 1e-12).sqrt() - 0.6


def plane(points: torch.Tensor) -> torch.Tensor:
    return points @ torch.tensor([0.6, 0.0, 0.8]) - 0.1


def bump(points: torch.Tensor) -> torch.Tensor:
    """Second differences along each axis of exactly 2, mixed ones of 0."""
    return points.square().sum(dim=1)


def saddle(points: torch.Tensor) -> torch.Tensor:
    """Straight along each axis: mixed second derivatives only."""
    return 3 * points[:, 0] * points[:, 1]


@make_both
def test_eikonal_of_a_distance_is_near_zero_and_of_twice_it_one(make):
    # On a grid's border differences are one-sided at half the weight: some hundredths.
    assert make(sphere).eikonal(rng()) < 0.02
    assert make(lambda p: 2 * sphere(p)).eikonal(rng()).item() == pytest.approx(1, abs=0.1)


@make_both
def test_smoothness_is_the_mean_square_of_the_second_derivatives(make):
    assert make(plane).smoothness(rng()) < 1e-2
    assert make(bump).smoothness(rng()).item() == pytest.approx(12, rel=1e-2)  # 3 · 2²
    assert make(saddle).smoothness(rng()) < 1e-2


@make_both
def test_volume_is_the_share_of_the_cube_inside(make):
    ball = 4 / 3 * math.pi * 0.6**3 / 8

    def volume(function):
        surface, generator = make(function), rng()
        return sum(surface.volume(generator).item() for _ in range(20)) / 20

    assert volume(sphere) == pytest.approx(ball, rel=0.1)
    assert volume(lambda p: sphere(p) + 0.1) == pytest.approx(ball * (0.5 / 0.6) ** 3, rel=0.1)


@make_both
def test_terms_have_a_derivative_where_the_field_is_flat(make):
    value = torch.zeros((), requires_grad=True)
    make(lambda p: value * p.sum(dim=1)).eikonal(rng()).backward()
    assert value.grad is not None
    assert torch.isfinite(value.grad)


def test_octaves():
    x = torch.tensor([[0.1, -0.2, 0.3]])
    expected = torch.cat([x, x.sin(), x.cos(), (2 * x).sin(), (2 * x).cos()], dim=1)
    torch.testing.assert_close(octaves(x, 2), expected)
    assert torch.equal(octaves(x, 0), x)


def test_unknown_fields_and_settings_are_refused():
    with pytest.raises(SansfaceError, match=r"no field 'plane'; choose one of grid, mlp"):
        make_field("plane", {}, rng())
    with pytest.raises(SansfaceError, match=r"does not take these settings.*colour"):
        field("grid", colour=3)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("grid", {"levels": ()}),
        ("grid", {"levels": (1,)}),
        ("grid", {"levels": (6, -1)}),
        ("grid", {"feature_nodes": 0}),
        ("grid", {"feature_channels": 0}),
        ("grid", {"width": 0}),
        ("mlp", {"skip": 0}),
        ("mlp", {"depth": 0}),
        ("mlp", {"width": 15}),
    ],
)
def test_settings_that_make_no_field_are_one_sentence(name, wrong):
    """Not a traceback; and a grid of one node would be written beside by the loops."""
    with pytest.raises(SansfaceError, match=rf"the field {name} does not take these settings: .*at least"):
        field(name, **wrong)


def test_the_mlp_begins_as_a_sphere_without_octaves_too():
    network = field("mlp", frequencies=0, width=32)
    at = torch.tensor([[0.0, 0.0, 0.9], [0.0, 0.3, 0.0]])
    assert network.now().sdf(at).sign().tolist() == [1, -1]


@given(st.sampled_from([(2, 3), (3, 6), (6, 12), (5, 9), (4, 4)]), st.integers(0, 1000))
@settings(deadline=None, max_examples=20)
def test_a_refined_grid_is_torchs_trilinear_one(sizes, seed):
    coarse, fine = sizes
    shape = {
        "levels": sizes,
        "feature_nodes": 2,
        "feature_channels": 2,
        "width": 4,
        "depth": 1,
        "radius": 0.5,
    }
    field = make_field("grid", shape, torch.Generator().manual_seed(0))
    values = torch.randn((1, 1, coarse, coarse, coarse), generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        field.levels[0].copy_(values)
        found = field.now().distance - field.start
    size = (fine, fine, fine)
    torch.testing.assert_close(
        found, F.interpolate(values, size=size, mode="trilinear", align_corners=True), atol=1e-5, rtol=1e-5
    )


def test_the_mlp_learns_the_scale_of_its_density():
    mlp = field("mlp", beta=0.1)
    assert mlp.beta().item() == pytest.approx(0.1001)
    with torch.no_grad():
        mlp.scale.fill_(-0.02)
    assert mlp.beta().item() == pytest.approx(0.0201)
    mlp.beta().backward()
    assert mlp.scale.grad == -1
