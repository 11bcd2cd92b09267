"""The way back from a bundle to the user's own frame."""

import json
from dataclasses import replace

import numpy as np
import pytest

from conftest import BALL_CENTER, looking_at
from sansface.capture import Camera, Role
from sansface.errors import SansfaceError
from sansface.protect.bundle import bundle_bytes, bundle_digest
from sansface.protect.frame import read_frame, without_frame, write_frame
from sansface.reconstruct.supervision import from_bundle
from sansface.surface import Mesh, transform
from sansface.upright import up_direction, upright
from small import ball_bundle

TURN = np.linalg.qr(np.array([[2.0, 1, 0], [-1, 2, 1], [0.3, 0, 2]]))[0]
TURN = TURN * np.sign(np.linalg.det(TURN))


def in_another_world(bundle, rotation: np.ndarray):
    """The same photographs, where the user's world is turned and shifted, and in another unit."""

    def turned(camera: Camera) -> Camera:
        pose = np.array(camera.cam_from_world)
        pose[:3, :3] = pose[:3, :3] @ rotation
        return replace(camera, cam_from_world=pose)

    frames = tuple(replace(frame, camera=turned(frame.camera)) for frame in bundle.frames)
    return replace(bundle, frames=frames, center=np.array([4e5, 5.4e6, 30.0]), radius=0.1, unit="m")


def test_a_bundle_does_not_tell_in_which_world_it_was_taken():
    one, _ = without_frame(ball_bundle())
    other, _ = without_frame(in_another_world(ball_bundle(), TURN))
    for a, b in zip(one.frames, other.frames, strict=True):
        np.testing.assert_allclose(a.camera.cam_from_world, b.camera.cam_from_world, atol=1e-9)
        np.testing.assert_array_equal(a.image, b.image)
    assert (other.center.tolist(), other.radius, other.unit) == ([0, 0, 0], 1.0, "arbitrary")
    assert b"5400000" not in bundle_bytes(other)


def test_the_frame_leads_back_to_the_users_world():
    bundle = in_another_world(ball_bundle(), TURN)
    small, frame = without_frame(bundle)
    points = np.random.default_rng(0).normal(size=(20, 3)) / 2
    world = transform(
        Mesh(points, np.array([[0, 1, 2]])), frame.center, frame.radius, frame.rotation
    ).vertices
    for before, after in zip(bundle.frames, small.frames, strict=True):
        seen, _ = before.camera.project((world - bundle.center) / bundle.radius)
        np.testing.assert_allclose(after.camera.project(points)[0], seen, atol=1e-6)
    supervision = from_bundle(small, frame)
    assert (supervision.unit, supervision.radius) == ("m", 0.1)
    np.testing.assert_array_equal(supervision.rotation, frame.rotation)
    np.testing.assert_array_equal(from_bundle(small).rotation, np.eye(3))


def test_turning_a_mesh_turns_its_normals():
    mesh = Mesh(np.eye(3), np.array([[0, 1, 2]]), np.eye(3))
    turned = transform(mesh, np.zeros(3), 2.0, TURN)
    np.testing.assert_allclose(turned.vertices, 2 * TURN.T, atol=1e-12)
    np.testing.assert_allclose(turned.normals, TURN.T, atol=1e-12)


def test_the_bundle_stands_upright_and_its_sensitive_cameras_are_in_front():
    small, frame = without_frame(ball_bundle())
    centers = [f.camera.center for f in small.frames if f.role is Role.SENSITIVE]
    front = np.mean([center / np.linalg.norm(center) for center in centers], axis=0)
    assert front[2] > 0.3
    assert abs(front[0]) < 1e-6
    np.testing.assert_allclose(frame.rotation[:, 1], [0, 1, 0], atol=0.02)  # the ball's world has y up


def test_up_where_all_cameras_look_one_way_is_the_pictures_own():
    cameras = [looking_at(BALL_CENTER + np.array([0.1 * step, 1.0, 8.0]), BALL_CENTER) for step in range(3)]
    np.testing.assert_allclose(up_direction(cameras), [0, 0.99, -0.12], atol=0.02)


def test_up_of_photographs_that_lie_on_their_side_is_on_their_left():
    """As phones store them that are held upright: on a ring their upward axes have no mean."""
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])  # what was above lies on the left
    cameras = []
    for angle in np.arange(8) * np.pi / 4:
        camera = looking_at(np.array([3 * np.sin(angle), 0.2, 3 * np.cos(angle)]), np.zeros(3))
        pose = np.array(camera.cam_from_world)
        level = pose[:3, :3].copy()
        pose[:3] = quarter.T @ pose[:3]
        assert pose[0, :3] @ level[1] == pytest.approx(1)  # its right is what was below
        cameras.append(replace(camera, cam_from_world=pose))
    np.testing.assert_allclose(up_direction(cameras), [0, 1, 0], atol=0.1)


def test_upright_takes_any_direction_where_towards_is_straight_up():
    rotation = upright(np.array([0.0, 1.0, 0.0]), np.array([0.0, 3.0, 0.0]))
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)


def test_a_frame_is_read_as_it_was_written_and_for_its_own_bundle_only(tmp_path):
    bundle, frame = without_frame(in_another_world(ball_bundle(), TURN))
    path = tmp_path / "head.frame.json"
    write_frame(frame, path, bundle_digest(bundle))
    again = read_frame(path, bundle_digest(bundle))
    np.testing.assert_array_equal(again.rotation, frame.rotation)
    np.testing.assert_array_equal(again.center, frame.center)
    assert (again.radius, again.unit) == (frame.radius, "m")
    with pytest.raises(SansfaceError, match="another bundle"):
        read_frame(path, bundle_digest(ball_bundle()))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"radius": 0.0}, "damaged"),
        ({"radius": "big"}, "damaged"),
        ({"rotation": [[1, 0, 0], [0, 1, 0], [0, 0, -1]]}, "damaged"),
        ({"rotation": [1, 2]}, "damaged"),
        ({"center": [1, 2]}, "damaged"),
        ({"unit": "furlong"}, "damaged"),
        ({"unit": None}, "damaged"),
    ],
)
def test_a_damaged_frame_is_refused(tmp_path, change, says):
    bundle, frame = without_frame(ball_bundle())
    path = tmp_path / "head.frame.json"
    write_frame(frame, path, bundle_digest(bundle))
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(SansfaceError, match=says):
        read_frame(path, bundle_digest(bundle))
    path.write_text("[]")
    with pytest.raises(SansfaceError, match="not the frame of a bundle"):
        read_frame(path, bundle_digest(bundle))
