"""From full size to small: exact area averages, no background, exact intrinsics, nothing at the outline."""

from dataclasses import replace

import numpy as np
import pytest

from conftest import BALL_CENTER, BALL_RADIUS, ball_picture, looking_at
from sansface.capture import Camera
from sansface.errors import SansfaceError
from sansface.protect.contents import inside_outline
from sansface.protect.operators import OPERATORS, operator
from sansface.protect.reduce import (
    WHOLE,
    disturbed,
    mask_codes,
    modulus,
    neutral_codes,
    reduce,
    sensitive_codes,
)
from sansface.protect.sphere import sphere_from_cameras, sphere_from_masks


def camera_of(width: int, height: int, **changes) -> Camera:
    K = [[1.5 * width, 0, 0.4 * width], [0, 1.4 * width, 0.6 * height], [0, 0, 1]]
    return Camera(**({"K": K, "width": width, "height": height, "cam_from_world": np.eye(4)} | changes))


def area_weights(small: int, large: int) -> np.ndarray:
    """(small, large): how much of each reduced pixel every pixel covers, by brute force."""
    edges = np.arange(small + 1) * large / small
    weights = np.zeros((small, large))
    for i in range(small):
        for j in range(large):
            weights[i, j] = max(0.0, min(edges[i + 1], j + 1) - max(edges[i], j))
    return weights * small / large


@pytest.mark.parametrize("size", [(96, 96), (64, 64), (128, 128), (77, 100), (200, 133)])
def test_reduction_is_the_exact_area_average(size):
    width, height = size
    rng = np.random.default_rng(1)
    colour = rng.random((height, width, 3)).astype(np.float32)
    coverage = rng.random((height, width)).astype(np.float32)
    reduced = reduce(colour, coverage, camera_of(width, height), 64)
    small_height, small_width = reduced.coverage.shape
    assert max(small_width, small_height) == 64
    rows, columns = area_weights(small_height, height), area_weights(small_width, width)
    np.testing.assert_allclose(reduced.coverage, rows @ coverage @ columns.T, atol=1e-5)
    premultiplied = colour * coverage[:, :, None]
    expected = np.einsum("ih,hwc,jw->ijc", rows, premultiplied, columns)
    np.testing.assert_allclose(reduced.colour, expected, atol=1e-5)
    scale = np.diag([small_width / width, small_height / height, 1])
    np.testing.assert_allclose(reduced.camera.K, scale @ camera_of(width, height).K)


def test_undistortion_follows_the_camera_model():
    """A picture whose colours are its own pixel coordinates tells where each undistorted pixel came from."""
    width, height = 160, 120
    distortion = np.array([-0.2, 0.05, 0.004, -0.003, 0.01])
    camera = camera_of(width, height, distortion=distortion)
    rows, columns = np.mgrid[:height, :width] + 0.5
    colour = np.dstack([columns / width, rows / height, np.zeros_like(rows)]).astype(np.float32)
    reduced = reduce(colour, np.ones((height, width), np.float32), camera, width)
    assert not reduced.camera.distortion.any()
    # Brown's model, written out, from the undistorted pixel to the one in the photograph
    x = (columns - camera.K[0, 2]) / camera.K[0, 0]
    y = (rows - camera.K[1, 2]) / camera.K[1, 1]
    k1, k2, p1, p2, k3 = distortion
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    u = camera.K[0, 0] * (x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)) + camera.K[0, 2]
    v = camera.K[1, 1] * (y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y) + camera.K[1, 2]
    whole = reduced.coverage > 0.999
    assert whole.mean() > 0.8
    assert np.abs(u - columns).max() > 2  # the test would see a distortion that is ignored
    np.testing.assert_allclose(reduced.colour[whole, 0] * width, u[whole], atol=0.05)
    np.testing.assert_allclose(reduced.colour[whole, 1] * height, v[whole], atol=0.05)


def test_what_the_photograph_did_not_see_is_not_subject():
    camera = camera_of(64, 64, distortion=np.array([0.5, 0, 0, 0, 0]))
    reduced = reduce(np.ones((64, 64, 3), np.float32), np.ones((64, 64), np.float32), camera, 64)
    assert reduced.coverage[0, 0] == 0
    assert reduced.colour[0, 0].max() == 0


def test_too_small_and_skewed_pictures_are_refused():
    with pytest.raises(SansfaceError, match="fewer than the resolution"):
        reduce(np.ones((20, 30, 3), np.float32), np.ones((20, 30), np.float32), camera_of(30, 20), 64)
    skewed = Camera([[90, 1, 30], [0, 90, 30], [0, 0, 1]], 64, 64, np.eye(4), [0.1, 0, 0, 0, 0])
    with pytest.raises(SansfaceError, match="skewed"):
        reduce(np.ones((64, 64, 3), np.float32), np.ones((64, 64), np.float32), skewed, 64)


def ball(background: float, resolution: int = 48):
    camera = looking_at(np.array([0.5, 1.0, 9.0]), BALL_CENTER)
    picture, mask = ball_picture(camera, background)
    return reduce(picture.astype(np.float32) / 255, mask.astype(np.float32) / 255, camera, resolution)


@pytest.mark.parametrize("blur", [None, 0.5, 1.5])
@pytest.mark.parametrize("name", OPERATORS)
def test_nothing_is_shared_at_the_outline(name, blur):
    reduced = ball(0.8, 64)
    sigma = operator(name, blur)
    values, shared = modulus(reduced, sigma)
    assert 0.1 < shared.mean() < 0.5
    # whatever is painted outside the shared pixels' stencils, wholly subject by construction, changes nothing
    reach = ~inside_outline(~shared, sigma.reach)
    assert (reduced.coverage[reach] > 1 - 1e-6).all()
    painted = np.where(reach[:, :, None], reduced.colour, np.float32(1))
    np.testing.assert_array_equal(sigma(painted)[shared], values[shared])
    assert (values[~shared] == 0).all()
    # and the outline's own values, large because of the step to the background, are gone
    assert sigma(reduced.colour)[~shared].max() > 1.5 * values.max()


def test_the_outline_rule_at_the_border_of_the_picture():
    whole = np.ones((5, 5), bool)
    assert inside_outline(whole, 1).all()  # a subject that the picture cuts has no outline there
    whole[0, 0] = False
    expected = np.ones((5, 5), bool)
    expected[:2, :2] = False
    np.testing.assert_array_equal(inside_outline(whole, 1), expected)


@pytest.mark.parametrize("reach", [1, 2, 5, 12])
def test_the_outline_rule_against_slow_loops(reach):
    whole = np.random.default_rng(reach).random((19, 23)) < 1 - 0.4 / (2 * reach + 1) ** 2
    inside = inside_outline(whole, reach)
    for y in range(19):
        for x in range(23):
            around = whole[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
            assert inside[y, x] == around.all()


def test_noise_and_gain_are_as_large_as_they_are_said_to_be():
    values = np.full((200, 200), 0.8, np.float32)
    noisy = disturbed(values, 0.05, 1.0, np.random.default_rng(0)) - values
    assert noisy.dtype == np.float32
    assert noisy.std() == pytest.approx(0.05, rel=0.02)
    assert noisy.mean() == pytest.approx(0, abs=1e-3)
    rng = np.random.default_rng(1)
    gains = np.array([disturbed(values, 0.0, 0.2, rng).mean() / 0.8 for _ in range(400)])
    assert gains.min() >= 0.2
    assert gains.max() <= 1
    assert np.log(gains).mean() == pytest.approx(np.log(0.2) / 2, rel=0.1)
    # noise comes after the gain, or else its size, which is told, would tell the gain
    both = [disturbed(values, 0.02, 0.2, rng).std() for _ in range(5)]
    np.testing.assert_allclose(both, 0.02, rtol=0.03)


def test_disturbed_values_stay_in_range_and_are_left_alone_without_strengths():
    values = np.random.default_rng(0).random((30, 30), np.float32) * np.float32(np.sqrt(3))
    noisy = disturbed(values, 1.0, 0.5, np.random.default_rng(0))
    assert noisy.min() == 0
    assert noisy.max() == 2.0
    rng = np.random.default_rng(0)
    state = rng.bit_generator.state
    np.testing.assert_array_equal(disturbed(values, 0.0, 1.0, rng), values)
    assert rng.bit_generator.state == state


@pytest.mark.parametrize("bits", [1, 4, 7, 8, 9, 15, 16])
def test_codes_say_what_they_should(bits):
    reduced = ball(0.8)
    values, shared = modulus(reduced, operator("sobel"))
    scale = 0.5
    codes = sensitive_codes(values, shared, scale, bits)
    last = 2**bits - (bits in (8, 16))  # a full word has no room for the code of withheld pixels beside
    assert codes.dtype == (np.uint8 if bits <= 8 else np.uint16)
    assert codes.max() <= last
    np.testing.assert_array_equal(codes != 0, shared)
    decoded = (codes[shared].astype(np.float64) - 1) / (last - 1) * scale
    np.testing.assert_allclose(decoded, values[shared], atol=0.5 * scale / (last - 1) + 1e-7)
    top = 255 if bits <= 8 else 65535
    colours = neutral_codes(reduced, bits).astype(np.float64) / top
    np.testing.assert_allclose(colours, reduced.colour, atol=0.501 / top + 1e-6)
    np.testing.assert_allclose(mask_codes(reduced) / 255.0, reduced.coverage, atol=0.501 / 255 + 1e-6)


@pytest.mark.parametrize("off", [-1e-6, 0.0, 1e-6])
def test_last_bits_do_not_decide_where_a_half_goes(off):
    halves = ((np.arange(255) + 0.5) / 255 + off).astype(np.float32).reshape(15, 17)
    reduced = replace(ball(0.8), colour=np.repeat(halves[:, :, None], 3, axis=2), coverage=halves)
    up = np.arange(1, 256).reshape(15, 17)
    np.testing.assert_array_equal(mask_codes(reduced), up)
    np.testing.assert_array_equal(neutral_codes(reduced, 8), np.repeat(up[:, :, None], 3, axis=2))


def ball_views(count: int = 8):
    cameras = []
    for index in range(count):
        angle = 2 * np.pi * index / count
        offset = np.array([8 * np.sin(angle), 2 * (index % 2), 8 * np.cos(angle)])
        cameras.append(looking_at(BALL_CENTER + offset, BALL_CENTER))
    return cameras, [ball_picture(camera)[1] for camera in cameras]


def test_the_hull_of_a_ball_is_a_little_larger_than_the_ball():
    cameras, masks = ball_views()
    sphere = sphere_from_masks(cameras, masks)
    assert sphere.source == "masks"
    assert np.linalg.norm(sphere.center - BALL_CENTER) + BALL_RADIUS <= sphere.radius < 1.4 * BALL_RADIUS


def test_contradicting_masks_leave_no_hull():
    cameras, masks = ball_views()
    masks[0] = np.zeros_like(masks[0])
    masks[0][:9, :9] = 255
    assert sphere_from_masks(cameras, masks) is None


def test_the_cameras_common_view():
    cameras, _ = ball_views()
    sphere = sphere_from_cameras(cameras)
    np.testing.assert_allclose(sphere.center, BALL_CENTER, atol=1e-6)
    half_width = [np.linalg.norm(camera.center - BALL_CENTER) * 48 / 150 for camera in cameras]
    assert sphere.radius == pytest.approx(np.median(half_width))


def test_pictures_that_were_cut_out_look_at_what_is_in_their_middle():
    """Not at where the optical axes meet, which is beside the ball and beside the picture."""
    cameras, _ = ball_views()
    beside = BALL_CENTER + np.array([0.0, 3.0, 0.0])
    cut = []
    for camera in cameras:
        whole = looking_at(camera.center, beside, 400, 150.0)
        (x, y), _ = (values[0] for values in whole.project(BALL_CENTER[None]))
        cut.append(whole.cropped(round(x) - 48, round(y) - 48, 96, 96))
    sphere = sphere_from_cameras(cut)
    assert np.linalg.norm(sphere.center - BALL_CENTER) < 0.1
    hull = sphere_from_masks(cut, [ball_picture(camera)[1] for camera in cut])
    assert hull is not None
    assert np.linalg.norm(hull.center - BALL_CENTER) + BALL_RADIUS <= hull.radius < 1.4 * BALL_RADIUS


def test_cameras_that_look_nowhere_together_are_refused():
    parallel = []
    for x in (0.0, 1.0, 2.0):
        pose = np.eye(4)
        pose[0, 3] = x
        parallel.append(camera_of(64, 64, cam_from_world=pose))
    with pytest.raises(SansfaceError, match="do not meet"):
        sphere_from_cameras(parallel)
    offsets = np.array([[5.0, 1.0, 0.0], [0.0, 1.0, 5.0], [-5.0, 0.0, 0.0]])
    away = [looking_at(BALL_CENTER + offset, BALL_CENTER + 2 * offset) for offset in offsets]
    with pytest.raises(SansfaceError, match="look away"):
        sphere_from_cameras(away)


@pytest.mark.parametrize(
    ("width", "height", "resolution"), [(4000, 3000, 64), (5760, 3840, 100), (997, 613, 61)]
)
def test_the_inside_of_a_large_photograph_counts_as_inside(width, height, resolution):
    whole = np.full((height, width, 3), 255, np.uint8)
    reduced = reduce(whole, whole[:, :, 0], camera_of(width, height), resolution)
    assert (reduced.coverage >= WHOLE).all()
    np.testing.assert_allclose(reduced.colour, 1, atol=1e-6)
