"""Splats and the plain rasteriser: closed forms, a loop over pixels and splats, and finite differences."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sansface.splats import kernels, rasterise
from sansface.splats.projection import FAINT, pinhole, project
from sansface.splats.rasterise import DARK, OPAQUE
from sansface.splats.render import Picture, render, seen_normals
from sansface.splats.splats import HARMONIC0, HARMONIC1, Splats, facing
from small import unit_camera

GREY = torch.full((3,), 0.5)


def some_splats(count: int, seed: int, scale: float = 0.1, degree: int = 1, dtype=torch.float32):
    """Splats all over the sphere, of all directions, sizes, opacities and colours."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    normals = torch.nn.functional.normalize(draw(count, 3), dim=1)
    splats = Splats(0.3 * draw(count, 3), normals, scale, 0.5, GREY, degree, generator)
    with torch.no_grad():
        splats.log_scales += 0.4 * draw(count, 2)
        splats.logits += 1.5 * draw(count)
        splats.waves += 0.5 * draw(*splats.waves.shape)
    return splats.to(dtype)


def one_splat(centre, normal, scale=0.1, opacity=0.8) -> Splats:
    centres, normals = torch.tensor([centre]), torch.nn.functional.normalize(torch.tensor([normal]), dim=1)
    return Splats(centres, normals, scale, opacity, GREY, 0, torch.Generator().manual_seed(0))


def by_hand(splats: Splats, camera, finer: int) -> dict[str, np.ndarray]:
    """Pixel by pixel and splat by splat, in float64: where rays meet planes, by elementary geometry."""
    arrays = (splats.centres, splats.axes(), splats.scales(), splats.opacities())
    centres, axes, scales, opacities = (t.detach().double().numpy() for t in arrays)
    colours = splats.colours(torch.from_numpy(camera.center).to(splats.centres)).detach().double().numpy()
    pixels, depth = camera.project(centres)
    rows, columns = camera.height, camera.width
    out = {name: np.zeros((rows, columns, k)) for name, k in (("colour", 3), ("normal", 3))}
    out |= {name: np.zeros((rows, columns)) for name in ("opacity", "disparity", "distortion")}
    middle = 1 / np.linalg.norm(camera.center)
    for row in range(rows):
        for column in range(columns):
            place = np.array([[column + 0.5, row + 0.5]])
            (origin,), (ray,) = camera.rays(place)
            forward = camera.cam_from_world[2, :3] @ ray
            light, met = 1.0, []
            for k in np.argsort(depth, kind="stable"):
                normal = axes[k, :, 2]
                t = normal @ (centres[k] - origin) / (normal @ ray)
                u, v = axes[k, :, :2].T @ (origin + t * ray - centres[k]) / scales[k]
                beside = finer**2 * ((place[0] - pixels[k]) ** 2).sum()
                alpha = min(opacities[k] * np.exp(-min((u * u + v * v) / 2, beside)), OPAQUE)
                if alpha < FAINT:
                    continue
                if light * (1 - alpha) <= DARK:
                    break
                along = normal @ (centres[k] - origin)
                steep = abs(along) > 0.1 * np.linalg.norm(centres[k] - origin)
                inverse = 1 / (t * forward) if steep else 1 / depth[k]
                met.append((light * alpha, inverse))
                light *= 1 - alpha
                out["colour"][row, column] += met[-1][0] * colours[k]
                towards = -np.sign(along) * normal
                out["normal"][row, column] += met[-1][0] * (camera.cam_from_world[:3, :3] @ towards)
            out["opacity"][row, column] = sum(w for w, _ in met)
            out["disparity"][row, column] = sum(w * m for w, m in met)
            pairs = sum(w * x * (m - n) ** 2 for w, m in met for x, n in met) / 2
            out["distortion"][row, column] = pairs / middle**4
    out["disparity"] /= np.maximum(out["opacity"], 1e-6)
    return out


@pytest.mark.parametrize(("seed", "finer"), [(0, 1), (1, 1), (2, 3)])
def test_the_picture_is_that_of_a_loop_over_pixels_and_splats(seed, finer):
    splats, camera = some_splats(40, seed), unit_camera(angle=0.7 * seed, size=16)
    picture, expected = render(splats, camera, finer), by_hand(splats, camera, finer)
    for name, tolerance in (("colour", 1e-4), ("opacity", 1e-5), ("normal", 1e-4), ("distortion", 1e-3)):
        torch.testing.assert_close(
            getattr(picture, name), torch.from_numpy(expected[name]).float(), atol=tolerance, rtol=1e-3
        )
    there = picture.opacity > 0.1
    expected_there = torch.from_numpy(expected["disparity"]).float()[there]
    torch.testing.assert_close(picture.disparity[there], expected_there, atol=1e-4, rtol=1e-3)
    assert there.float().mean() > 0.3


def test_derivatives_are_finite_differences():
    """Of everything that a picture shows, by everything that a splat has, in float64."""
    splats, camera = some_splats(6, 3, scale=0.25, dtype=torch.float64), unit_camera(size=10)
    generator = torch.Generator().manual_seed(1)
    mix = {name: torch.randn(16, generator=generator, dtype=torch.float64) for name in ("a", "b", "c")}

    def said(picture: Picture) -> torch.Tensor:
        colour = (picture.colour[3:7, 3:7].sum(dim=2).flatten() * mix["a"]).sum()
        normal = (picture.normal[3:7, 3:7].sum(dim=2).flatten() * mix["b"]).sum()
        depth = ((picture.disparity + picture.distortion)[3:7, 3:7].flatten() * mix["c"]).sum()
        return colour + normal + depth + picture.opacity.sum()

    said(render(splats, camera)).backward()
    for name, parameter in splats.named_parameters():
        flat, slope = parameter.data.view(-1), parameter.grad.view(-1)
        for i in range(0, len(flat), 5):
            values = []
            for step in (1e-6, -1e-6):
                flat[i] += step
                with torch.no_grad():
                    values.append(said(render(splats, camera)).item())
                flat[i] -= step
            assert slope[i].item() == pytest.approx((values[0] - values[1]) / 2e-6, abs=2e-4, rel=1e-3), name


def test_a_splat_that_faces_the_camera_is_a_gaussian_at_one_depth():
    camera = unit_camera(angle=0.0, size=21, height=0.0)
    picture = render(one_splat([0.0, 0.0, 0.2], [0.0, 0.0, 1.0]), camera)
    rows, columns = np.mgrid[:21, :21] - 10
    sigma = 0.1 * camera.K[0, 0] / 2.8  # pixels: the camera is at z = 3
    expected = 0.8 * np.exp(-0.5 * (rows**2 + columns**2) / sigma**2)
    expected[expected < FAINT] = 0
    np.testing.assert_allclose(picture.opacity.detach(), expected, atol=1e-5)
    seen = picture.opacity > 0.01
    torch.testing.assert_close(picture.disparity[seen], torch.full((int(seen.sum()),), 1 / 2.8))
    assert picture.distortion.max() < 1e-5  # one splat is at no distance from itself
    towards = torch.tensor([0.0, 0.0, -1.0]).expand(21, 21, 3) * picture.opacity[..., None]
    torch.testing.assert_close(picture.normal, towards)


def test_the_depth_of_a_tilted_splat_is_that_of_its_plane():
    camera = unit_camera(size=20)
    normal = torch.tensor([0.5, 0.3, 0.8])
    splats = one_splat([0.1, -0.1, 0.1], normal.tolist(), scale=0.4)
    picture = render(splats, camera)
    seen = picture.opacity > 0.02
    assert seen.sum() > 50
    points = picture.camera.rays / picture.disparity[..., None]
    world = (points - picture.camera.shift) @ picture.camera.rotation
    off = (world - splats.centres) @ torch.nn.functional.normalize(normal, dim=0)
    assert off[seen].abs().max() < 1e-5
    facing = picture.facing()[1:-1, 1:-1][seen[1:-1, 1:-1]]
    own = (picture.normal / picture.opacity[..., None].clamp(min=1e-6))[1:-1, 1:-1][seen[1:-1, 1:-1]]
    inner = (facing * own).sum(dim=1)
    assert (inner > 0.999).float().mean() > 0.7  # away from the border, where no neighbour has a depth


def test_the_low_pass_filter_keeps_what_falls_between_the_rays():
    camera = unit_camera(angle=0.0, size=21, height=0.0)
    for splats in (
        one_splat([0.0, 0.0, 0.0], [0.0, 0.0, 1.0], scale=1e-4),
        one_splat([0.0, 0.0, 0.0], [0.0, 1.0, 0.0]),
    ):
        opacity = render(splats, camera).opacity
        assert opacity[10, 10].item() == pytest.approx(0.8, abs=1e-4)
        assert opacity[11, 10].item() >= 0.8 * np.exp(-1) - 1e-4


def test_two_splats_are_as_distorted_as_their_weights_and_depths_say():
    camera = unit_camera(angle=0.0, size=21, height=0.0)
    near, far = (one_splat([0.0, 0.0, z], [0.0, 0.0, 1.0]) for z in (0.5, -0.5))
    both = some_splats(2, 0, degree=0)
    both.load_state_dict(
        {k: torch.cat([near.state_dict()[k], far.state_dict()[k]]) for k in near.state_dict()}
    )
    distortion = render(both, camera).distortion[10, 10].item()
    weights = 0.8, 0.2 * 0.8
    assert distortion == pytest.approx(weights[0] * weights[1] * (1 / 2.5 - 1 / 3.5) ** 2 * 3**4, rel=1e-3)


def test_the_nearer_splat_hides_the_farther_whatever_their_order():
    camera = unit_camera(angle=0.0, size=9, height=0.0)
    for order in ([0, 1], [1, 0]):
        splats = some_splats(2, 0, degree=0)
        centres = torch.tensor([[0.0, 0.0, 0.5], [0.0, 0.0, -0.5]])[order]
        waves = torch.tensor([[[1.0, 0, 0]], [[0, 1.0, 0]]])[order] / HARMONIC0
        front = one_splat([0.0, 0.0, 0.0], [0.0, 0.0, 1.0]).state_dict()
        state = {k: torch.cat([v, v]) for k, v in front.items()} | {"centres": centres, "waves": waves - 0.0}
        splats.load_state_dict(state)
        with torch.no_grad():
            splats.logits.fill_(10.0)
        red, green, _ = render(splats, camera).colour[4, 4].tolist()
        assert red > 1.4 > 0.6 > green  # one half beside its own unit of colour


@given(seed=st.integers(0, 10_000), count=st.integers(1, 60))
@settings(deadline=None, max_examples=30)
def test_weights_are_not_negative_and_sum_to_less_than_one(seed, count):
    splats, camera = some_splats(count, seed), unit_camera(angle=seed, size=12)
    with torch.no_grad():
        splats.logits += 4
        projection = project(splats, pinhole(camera, splats.centres))
        splat, pixel, starts = rasterise.pairs(projection, 12, 12)
        picture = render(splats, camera)
    assert (starts[1:] - starts[:-1] == torch.bincount(pixel, minlength=144)).all()
    first = torch.ones(len(pixel), dtype=torch.bool)
    first[1:] = pixel[1:] != pixel[:-1]
    nearer = projection.depth[splat].diff()
    assert (nearer[~first[1:]] >= 0).all()
    assert (picture.opacity >= 0).all()
    assert (picture.opacity <= 1 - DARK / 2).all()
    assert picture.distortion.isfinite().all()
    assert (picture.distortion >= 0).all()


def test_a_window_shows_what_the_whole_picture_shows_there():
    splats, camera = some_splats(50, 5), unit_camera(size=24)
    whole, window = render(splats, camera), render(splats, camera.cropped(9, 5, 11, 8))
    for name in ("colour", "opacity", "normal", "distortion"):
        crop = getattr(whole, name)[5:13, 9:20]
        torch.testing.assert_close(getattr(window, name), crop, atol=1e-4, rtol=1e-3)


def test_what_is_behind_the_camera_or_nowhere_is_not_seen():
    camera = unit_camera(angle=0.0, size=9, height=0.0)
    for centre in ([0.0, 0.0, 4.0], [0.0, 0.0, 2.99], [50.0, 0.0, 0.0]):
        picture = render(one_splat(centre, [0.0, 0.0, 1.0]), camera)
        assert picture.opacity.max() == 0
        assert picture.colour.isfinite().all()
    assert np.isnan(seen_normals(one_splat([0.0, 0.0, 4.0], [0.0, 0.0, 1.0]), camera)).all()


def test_seen_normals_are_in_the_frame():
    normal = seen_normals(one_splat([0.0, 0.0, 0.0], [0.3, 0.2, 0.9], scale=0.5), unit_camera(size=9))
    expected = np.array([0.3, 0.2, 0.9]) / np.linalg.norm([0.3, 0.2, 0.9])
    np.testing.assert_allclose(normal[4, 4], expected, atol=1e-5)


@given(
    normal=st.tuples(*[st.floats(-1, 1, width=32)] * 3).filter(lambda n: np.linalg.norm(n) > 0.1),
    turn=st.floats(0, 7, width=32),
)
@settings(deadline=None)
def test_a_splat_faces_its_normal_and_has_right_angles(normal, turn):
    unit = torch.nn.functional.normalize(torch.tensor([normal]), dim=1)
    splats = some_splats(1, 0)
    with torch.no_grad():
        splats.turns.copy_(facing(unit, torch.tensor([turn])))
        (axes,) = splats.axes()
    torch.testing.assert_close(axes.T @ axes, torch.eye(3), atol=1e-5, rtol=0)
    assert torch.linalg.det(axes).item() == pytest.approx(1, abs=1e-5)
    assert (axes[:, 2] @ unit[0]).abs().item() == pytest.approx(1, abs=1e-5)


def test_colours_turn_with_the_direction_of_degree_one_alone():
    splats = some_splats(5, 2, degree=1)
    with torch.no_grad():
        splats.centres.zero_()
        splats.waves[:, 0] = 0
    axis = torch.eye(3)
    for k, wave in ((0, 3), (1, 1), (2, 2)):
        sign = 1 if k == 2 else -1
        ahead, behind = splats.colours(-axis[k]), splats.colours(axis[k])
        expected = 0.5 + sign * HARMONIC1 * splats.waves[:, wave]
        torch.testing.assert_close(ahead, expected.clamp(min=0))
        torch.testing.assert_close(behind, (1 - expected).clamp(min=0))
    plain = some_splats(5, 2, degree=0)
    torch.testing.assert_close(plain.colours(axis[0]), plain.colours(axis[1]))


def test_gsplat_is_not_asked_on_a_cpu():
    assert not kernels.usable(torch.zeros(1), unit_camera())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_plain_rasteriser_runs_on_cuda():
    splats, camera = some_splats(60, 1), unit_camera(size=32)
    here = render(splats, camera)
    projection = project(splats.cuda(), pinhole(camera, splats.centres))
    colour, opacity = rasterise.blend(
        projection, splats.colours(pinhole(camera, splats.centres).origin), 32, 32
    )
    torch.testing.assert_close(opacity.cpu(), here.opacity, atol=1e-4, rtol=0)
    torch.testing.assert_close(colour.cpu(), here.colour, atol=1e-3, rtol=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("finer", [1, 3])
def test_gsplat_agrees_with_the_plain_rasteriser(monkeypatch, finer):
    """Picture and derivatives; a filter's disc may lie a fraction of a pixel aside."""
    pytest.importorskip("gsplat")
    camera = unit_camera(size=48)
    results = []
    for plain in (True, False):
        splats = some_splats(200, 1).cuda()
        with monkeypatch.context() as patch:
            if plain:
                patch.setattr(kernels, "usable", lambda *_: False)
            picture = render(splats, camera, finer)
        loss = (picture.colour.sum(dim=2) + picture.opacity + picture.distortion).mean()
        loss.backward()
        results.append((picture, {name: p.grad for name, p in splats.named_parameters()}))
    (a, slopes), (b, theirs) = results
    for name in ("colour", "opacity", "normal", "distortion"):
        assert (getattr(a, name) - getattr(b, name)).abs().mean() < 1e-3, name
    for name, slope in slopes.items():
        assert (slope - theirs[name]).norm() < 0.05 * slope.norm(), name
