"""Cameras: projection, rays, resizing and the change to the unit sphere; what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import looking_at
from sansface.capture import Camera, Capture, Sphere
from sansface.errors import SansfaceError

CAMERA = looking_at(np.array([3.0, 2.0, 5.0]), np.array([0.2, 0.1, -0.3]), size=80, focal=120.0)
POINTS = np.random.default_rng(0).normal(size=(50, 3))


def replaced(**changes):
    fields = {"K": CAMERA.K, "width": 80, "height": 80, "cam_from_world": CAMERA.cam_from_world}
    return Camera(**(fields | changes))


def test_the_axis_meets_the_middle_of_the_picture():
    pixels, depth = CAMERA.project(np.array([[0.2, 0.1, -0.3]]))
    np.testing.assert_allclose(pixels, [[40, 40]], atol=1e-9)
    assert depth[0] > 0


def test_the_grid_is_the_pixels_centres_or_coarser():
    camera = Camera(np.diag([50.0, 50, 1]), 6, 4, np.eye(4))
    assert camera.grid()[[0, 1, 6, -1]].tolist() == [[0.5, 0.5], [1.5, 0.5], [0.5, 1.5], [5.5, 3.5]]
    assert camera.grid(2, 1).tolist() == [[1.5, 2], [4.5, 2]]


def test_rays_pass_through_the_points_they_project_to():
    pixels, depth = CAMERA.project(POINTS)
    origins, directions = CAMERA.rays(pixels)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1)
    along = ((POINTS - origins) * directions).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(origins + along * directions, POINTS, atol=1e-9)
    assert (along[:, 0] * depth > 0).all()


@given(st.integers(1, 200), st.integers(1, 200))
def test_resizing_scales_pixels_by_the_two_factors(width, height):
    pixels, _ = CAMERA.project(POINTS)
    small, _ = CAMERA.resized(width, height).project(POINTS)
    np.testing.assert_allclose(small, pixels * [width / 80, height / 80], atol=1e-9)


@given(st.tuples(*[st.floats(-5, 5)] * 3), st.floats(0.1, 50))
def test_normalising_keeps_pixels_and_divides_depths(center, radius):
    pixels, depth = CAMERA.project(POINTS)
    normalised = CAMERA.normalized(np.array(center), radius)
    same, small = normalised.project((POINTS - center) / radius)
    np.testing.assert_allclose(same, pixels, atol=1e-6)
    np.testing.assert_allclose(small * radius, depth, atol=1e-9)
    np.testing.assert_allclose(normalised.center, (CAMERA.center - center) / radius, atol=1e-9)


def test_arrays_are_copied_and_read_only():
    K = np.array(CAMERA.K)
    camera = replaced(K=K)
    K[0, 0] = 7
    assert camera.K[0, 0] == 120
    with pytest.raises(ValueError, match="read-only"):
        camera.cam_from_world[0, 3] = 1.0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"cam_from_world": np.diag([1.0, 1.0, -1.0, 1.0])}, "mirrored"),
        ({"cam_from_world": np.diag([1.0, 1.0, 0.0, 1.0])}, "singular"),
        ({"cam_from_world": np.diag([2.0, 2.0, 2.0, 1.0])}, "scaled"),
        ({"cam_from_world": np.diag([1.0, 1.0, 1.0, 2.0])}, "last row"),
        ({"cam_from_world": np.eye(3)}, "shape"),
        ({"cam_from_world": np.full((4, 4), np.nan)}, "not finite"),
        ({"cam_from_world": "pose"}, "numbers"),
        ({"K": np.diag([-1.0, 1.0, 1.0])}, "focal"),
        ({"K": np.diag([1.0, 1.0, 2.0])}, "0 0 1"),
        ({"width": 0}, "width"),
        ({"height": 2.5}, "height"),
        ({"height": True}, "height"),
        ({"distortion": np.zeros(4)}, "distortion"),
    ],
)
def test_invalid_cameras_are_refused_in_a_sentence(changes, says):
    with pytest.raises(SansfaceError, match=says):
        replaced(**changes)


@pytest.mark.parametrize("radius", [0.0, -1.0, float("nan"), float("inf"), None])
def test_a_sphere_needs_a_positive_radius(radius):
    with pytest.raises(SansfaceError, match="radius"):
        Sphere(np.zeros(3), radius, "given")


def test_a_capture_needs_frames_and_a_known_unit():
    with pytest.raises(SansfaceError, match="no frame"):
        Capture(())
