"""Rays of views, windows and silhouettes against the camera, slow loops and a ball counted by area."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analytic import Ball
from sansface.capture import Camera
from sansface.protect.operators import OPERATORS, Operator, operator
from sansface.reconstruct.losses import gradient_loss
from sansface.reconstruct.rays import ViewRays, scattered, view_rays, window
from sansface.reconstruct.silhouettes import Silhouettes
from sansface.reconstruct.stages import silhouette_loss
from sansface.reconstruct.supervision import Kind, View
from small import small_config, unit_camera

CPU = torch.device("cpu")
SOBEL = operator("sobel")
WIDER = operator("sobel", 0.5)  # it sees three pixels far
seeds = st.integers(0, 10**6)


def blob(rng: np.random.Generator, shape: tuple[int, int], share: float = 0.75) -> np.ndarray:
    """(h, w) bool: a random region with holes and border pixels."""
    coarse = rng.random((shape[0] // 4 + 1, shape[1] // 4 + 1)) < share
    return np.kron(coarse, np.ones((4, 4), dtype=bool))[: shape[0], : shape[1]]


def a_view(
    kind: Kind,
    seed: int = 0,
    camera: Camera | None = None,
    background: bool = False,
    sigma: Operator = SOBEL,
) -> ViewRays:
    """A view of noise with a ragged region of known pixels."""
    rng = np.random.default_rng(seed)
    camera = camera or unit_camera()
    shape = (camera.height, camera.width)
    shared = blob(rng, shape)
    shared[camera.height // 2, camera.width // 2] = True
    picture = rng.random((*shape, 3)).astype(np.float32)
    target = picture if kind is Kind.COLOUR else sigma(picture)
    view = View(kind, camera, target, shared, shared.astype(np.float32), neutral=kind is Kind.COLOUR)
    return view_rays(view, sigma, background, CPU)


def test_directions_are_the_cameras():
    camera = unit_camera(size=20).resized(20, 14)
    view = a_view(Kind.COLOUR, camera=camera)
    for row, column in ((0, 0), (3, 17), (13, 19)):
        origins, directions = camera.rays(np.array([[column + 0.5, row + 0.5]]))
        np.testing.assert_allclose(view.origin.numpy(), origins[0], atol=1e-6)
        np.testing.assert_allclose(view.directions[row, column].numpy(), directions[0], atol=1e-6)


def test_footprint_is_the_side_of_a_pixel_and_axes_are_the_pictures():
    camera = unit_camera()
    view = a_view(Kind.COLOUR, camera=camera)
    for row, column in ((0, 0), (9, 12), (19, 3)):
        point = view.origin + 2.5 * view.directions[row, column]
        side = 2.5 * view.footprint[row, column]
        moved = torch.stack([point, point + side * view.axes[0], point + side * view.axes[1]]).double()
        pixels, _ = camera.project(moved.numpy())
        np.testing.assert_allclose(pixels[0], [column + 0.5, row + 0.5], atol=1e-4)
        np.testing.assert_allclose(pixels[1] - pixels[0], [1, 0], atol=1e-4)
        np.testing.assert_allclose(pixels[2] - pixels[0], [0, 1], atol=1e-4)


@pytest.mark.parametrize("sigma", [SOBEL, WIDER])
def test_what_is_known_of_a_colour_view_and_of_a_modulus_view(sigma):
    colour, both = a_view(Kind.COLOUR, 1, sigma=sigma), a_view(Kind.COLOUR, 1, background=True, sigma=sigma)
    reach = sigma.reach
    shared = colour.colour_known.numpy()
    assert both.colour_known.all()
    assert colour.colour is not None
    h, w = shared.shape
    for y in range(h):
        for x in range(w):
            around = shared[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
            assert colour.modulus_known[y, x].item() == around.all()
    np.testing.assert_allclose(colour.modulus.numpy(), sigma(colour.colour.numpy()), atol=1e-6)
    modulus = a_view(Kind.MODULUS, 1, sigma=sigma)
    assert modulus.colour is None
    assert not modulus.colour_known.any()
    np.testing.assert_array_equal(modulus.modulus_known.numpy(), shared)


def test_background_that_is_a_target_is_white_and_what_nobody_called_it_is_none():
    camera = unit_camera()
    picture = np.full((camera.height, camera.width, 3), 0.2, dtype=np.float32)
    coverage = np.ones(picture.shape[:2], dtype=np.float32)
    coverage[:5], coverage[5], coverage[6] = 0.0, np.nan, 0.5
    picture *= np.nan_to_num(coverage)[:, :, None]
    view = View(Kind.COLOUR, camera, picture, coverage >= 1 - 1e-3, coverage, neutral=True)
    found = view_rays(view, SOBEL, True, CPU)
    assert found.colour is not None
    np.testing.assert_allclose(found.colour[[0, 4, 6, 7], 3, 0].numpy(), [1, 1, 0.6, 0.2], atol=1e-6)
    np.testing.assert_array_equal(found.colour_known[:, 3].numpy(), ~np.isnan(coverage[:, 3]))
    np.testing.assert_allclose(found.modulus.numpy(), SOBEL(found.colour.numpy()), atol=1e-6)


def test_scattered_pixels_are_any_that_are_known():
    view = a_view(Kind.COLOUR)
    known = {(int(r), int(c)) for r, c in view.colour_known.nonzero()}
    w = scattered(view, 5000, torch.Generator().manual_seed(0))
    assert {(int(r), int(c)) for r, c in zip(w.rows, w.columns, strict=True)} == known
    assert len(w.rows) == 5000
    origins, directions = w.rays()
    assert origins.shape == directions.shape == (5000, 3)
    assert torch.equal(directions[7], view.directions[w.rows[7], w.columns[7]])


@given(seed=seeds, patch=st.integers(3, 20), gradient=st.booleans(), sigma=st.sampled_from([SOBEL, WIDER]))
@settings(deadline=None, max_examples=60)
def test_a_window_against_slow_loops(seed, patch, gradient, sigma):
    view, reach = a_view(Kind.MODULUS if gradient else Kind.COLOUR, seed, sigma=sigma), sigma.reach
    w = window(view, gradient, patch, torch.Generator().manual_seed(seed))
    (y0, x0), (h, width) = w.corner, w.size
    side = min(20, patch + 2 * (reach - 1) if gradient else patch)
    assert (h, width) == (side, side)
    assert 0 <= y0 <= 20 - h
    assert 0 <= x0 <= 20 - width
    known = (view.modulus_known if gradient else view.colour_known).numpy()
    rendered = {(int(r), int(c)) for r, c in zip(w.rows, w.columns, strict=True)}
    assert len(rendered) == len(w.rows)
    rng = np.random.default_rng(seed)
    met = torch.from_numpy(rng.random(len(w.rows)) < 0.9)
    hits = {p for p, ok in zip(zip(w.rows.tolist(), w.columns.tolist(), strict=True), met, strict=True) if ok}
    wholly = w.wholly(met)
    values = torch.from_numpy(rng.random((len(w.rows), 2)))
    spread = w.spread(values)
    cropped = w.crop(view.coverage)
    origins, directions = w.rays()
    for y in range(h):
        for x in range(width):
            row, column = y0 + y, x0 + x
            assert cropped[y, x] == view.coverage[row, column]
            near = [
                (r, c)
                for r in range(row - reach, row + reach + 1)
                for c in range(column - reach, column + reach + 1)
                if 0 <= r < 20 and 0 <= c < 20
            ]
            wanted = any(known[p] for p in near) if gradient else known[row, column]
            assert ((row, column) in rendered) == wanted
            inside = all(y0 <= r < y0 + h and x0 <= c < x0 + width for r, c in near)
            assert wholly[y, x].item() == (inside and all(p in hits for p in near))
            if not wanted:
                assert not spread[y, x].any()
    for i, (row, column) in enumerate(zip(w.rows.tolist(), w.columns.tolist(), strict=True)):
        assert torch.equal(spread[row - y0, column - x0], values[i])
        assert torch.equal(directions[i], view.directions[row, column])
        assert torch.equal(origins[i], view.origin)


@given(
    seed=seeds,
    patch=st.integers(4, 24),
    name=st.sampled_from(list(OPERATORS)),
    blur=st.sampled_from([None, 0.3, 1.0]),
)
@settings(deadline=None, max_examples=80)
def test_no_gradient_loss_over_windows_of_the_right_picture(seed, patch, name, blur):
    """With its halo, or at the picture's own border, a window's σ is the picture's; holes do not matter."""
    rng = np.random.default_rng(seed)
    camera, sigma = unit_camera(), operator(name, blur)
    picture = rng.random((20, 20, 3)).astype(np.float32)
    shared = blob(rng, (20, 20), 0.9)
    shared[8:13, 8:13] = True
    view = view_rays(
        View(Kind.MODULUS, camera, sigma(picture), shared, shared.astype(np.float32), neutral=False),
        sigma,
        False,
        CPU,
    )
    w = window(view, True, patch, torch.Generator().manual_seed(seed))
    colour = torch.from_numpy(picture)[w.rows, w.columns]
    met = torch.from_numpy(rng.random(len(colour)) < 0.97)
    colour[~met] = 5.0  # a ray that met nothing may say anything
    known = w.crop(view.modulus_known) & w.wholly(met)
    assert gradient_loss(w.spread(colour), w.crop(view.modulus), known, sigma) < 2.1e-4
    if patch >= 20 and met.all():
        assert torch.equal(known, view.modulus_known)  # the whole picture, and every pixel of it counts


@pytest.mark.parametrize("sigma", [SOBEL, WIDER])
def test_windows_lie_around_known_pixels_and_reach_all_of_them(sigma):
    view = a_view(Kind.MODULUS, 3, sigma=sigma)
    generator = torch.Generator().manual_seed(0)
    counted = torch.zeros(20, 20, dtype=torch.bool)
    for _ in range(300):
        w = window(view, True, 6, generator)
        assert len(w.rows) > 0
        (y, x), (h, width) = w.corner, w.size
        met = torch.ones(len(w.rows), dtype=torch.bool)
        counted[y : y + h, x : x + width] |= w.crop(view.modulus_known) & w.wholly(met)
    assert torch.equal(counted, view.modulus_known)


def ball_view(ball: Ball, camera: Camera, oversampling: int = 16) -> View:
    """A view whose coverage is counted over the pixels' area."""
    n = oversampling
    rows, columns = (np.mgrid[: camera.height * n, : camera.width * n] + 0.5) / n
    origins, directions = camera.rays(np.column_stack([columns.ravel(), rows.ravel()]))
    offset = origins - ball.centre.numpy()
    along = -(offset * directions).sum(axis=1)
    hit = np.linalg.norm(offset + along[:, None] * directions, axis=1) < ball.radius
    coverage = hit.reshape(camera.height, n, camera.width, n).mean(axis=(1, 3)).astype(np.float32)
    shared = coverage == 1
    return View(Kind.MODULUS, camera, np.zeros_like(coverage), shared, coverage, neutral=False)


def silhouette(ball: Ball, told: Ball, radius: torch.Tensor | None = None) -> torch.Tensor:
    """The loss of `ball` against the silhouettes of `told`."""
    views = [
        view_rays(ball_view(told, unit_camera(angle, 32)), operator("sobel"), False, CPU)
        for angle in (0.0, 1.0, 2.5)
    ]
    if radius is not None:
        ball.radius = radius  # type: ignore[assignment]
    generator = torch.Generator().manual_seed(0)
    rays = Silhouettes(views).rays(range(3), 3000, generator)
    return silhouette_loss(ball, rays, small_config(coarse_looks=32), generator)


def test_the_true_surface_has_the_coverage_of_the_masks():
    """Coverage from one ray a pixel is that counted over its area, to first order in the outline's bend."""
    ball = Ball(0.55, (0.05, -0.1, 0.1))
    truth = silhouette(ball, ball)
    assert truth < 0.006
    assert silhouette(Ball(0.54, (0.05, -0.1, 0.1)), ball) > 4 * truth
    assert silhouette(Ball(0.55, (0.07, -0.1, 0.1)), ball) > 4 * truth


@pytest.mark.parametrize(("radius", "sign"), [(0.5, -1), (0.545, -1), (0.555, 1), (0.62, 1)])
def test_silhouettes_pull_a_surface_the_right_way(radius, sign):
    value = torch.tensor(radius, requires_grad=True)
    silhouette(Ball(radius), Ball(0.55), value).backward()
    assert value.grad is not None
    assert torch.sign(value.grad) == sign


def test_a_subject_that_leaves_the_cube_is_not_pulled_in():
    """Where the surface is nearest at the end of the cube, covered pixels beyond it say nothing."""
    tall = Ball(0.9, (0.0, -0.9, 0.0))
    camera = unit_camera(0.0, 32, height=0.0)
    view = view_rays(ball_view(tall, camera), operator("sobel"), False, CPU)
    generator = torch.Generator().manual_seed(0)
    rays = Silhouettes([view]).rays([0], 4000, generator)
    loss = silhouette_loss(tall, rays, small_config(), generator)
    assert loss < 0.02


def test_silhouette_rays_are_mostly_near_the_outline_and_always_of_known_pixels():
    views = [view_rays(ball_view(Ball(0.5), unit_camera(a)), operator("sobel"), False, CPU) for a in (0, 1)]
    generator = torch.Generator().manual_seed(0)
    rays = Silhouettes(views).rays([0, 1], 1000, generator)
    assert rays.origins.shape == (1000, 3)
    assert not rays.coverage.isnan().any()
    assert torch.equal(rays.origins[:500], views[0].origin.expand(500, 3))
    outline = views[0].directions.view(-1, 3)[views[0].outline]
    near = (rays.directions[:500, None] == outline).all(dim=2).any(dim=1)
    assert near.float().mean() == pytest.approx(0.8, abs=0.01)


def test_a_view_without_an_outline_gives_its_known_pixels():
    camera = unit_camera()
    coverage = np.full((20, 20), np.nan, dtype=np.float32)
    coverage[5:9, 5:9] = 1
    view = View(Kind.MODULUS, camera, np.zeros_like(coverage), coverage == 1, coverage, neutral=False)
    silhouettes = Silhouettes([view_rays(view, operator("sobel"), False, CPU)])
    rays = silhouettes.rays([0], 60, torch.Generator().manual_seed(0))
    assert rays.coverage.shape == (60,)
    assert (rays.coverage == 1).all()


def test_a_view_of_which_nothing_is_known_gives_no_ray_and_none_of_another_view():
    known = ball_view(Ball(0.5), unit_camera())
    nothing = np.full_like(known.coverage, np.nan)
    unknown = View(Kind.MODULUS, known.camera, known.target, known.shared, nothing, neutral=False)
    views = [view_rays(view, operator("sobel"), False, CPU) for view in (unknown, known)]
    generator = torch.Generator().manual_seed(0)
    assert len(Silhouettes(views).rays([0, 1], 50, generator).coverage) == 50
    assert len(Silhouettes(views).rays([0], 50, generator).coverage) == 0
