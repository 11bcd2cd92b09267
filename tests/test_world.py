"""Scale, up and front of a capture that is made from photographs."""

import cv2
import numpy as np
import pytest

from conftest import BALL_CENTER, looking_at
from sansface.capture import Camera
from sansface.errors import SansfaceError
from sansface.faces.detectors import Finding
from sansface.photographs.frame import subject_sphere, world
from sansface.photographs.scale import (
    find_markers,
    nearest_points,
    scale_from_markers,
    scale_from_pupils,
)
from sansface.photographs.structure import Structure
from sansface.photographs.subject import eyes, people

CAMERAS = [
    looking_at(BALL_CENTER + np.array([x, y, 9.0]), BALL_CENTER) for x, y in ((-4, 1), (0, -2), (3, 2))
]
EYES = BALL_CENTER + np.array([[-0.3, 0.1, 1.0], [0.3, 0.1, 1.0]])


def distorted(camera: Camera) -> Camera:
    return Camera(camera.K, camera.width, camera.height, camera.cam_from_world, np.array([0.1, 0, 0, 0, 0]))


def as_seen(camera: Camera, points: np.ndarray) -> np.ndarray:
    """(n, 2) pixels with the camera's distortion, by OpenCV."""
    R, t = camera.cam_from_world[:3, :3], camera.cam_from_world[:3, 3]
    return cv2.projectPoints(points, cv2.Rodrigues(R)[0], t, camera.K, camera.distortion)[0][:, 0]


def test_the_distance_of_the_pupils_gives_millimetres():
    cameras = [distorted(camera) for camera in CAMERAS]
    scale = scale_from_pupils([(camera, as_seen(camera, EYES)) for camera in cameras], 63.0)
    assert scale.millimetres == pytest.approx(63 / 0.6, rel=1e-3)
    assert (scale.views, scale.spread < 1e-3) == (3, True)
    with pytest.raises(SansfaceError, match="2 photographs, and --pupil-distance-mm needs 3"):
        scale_from_pupils([(camera, as_seen(camera, EYES)) for camera in cameras[:2]], 63.0)
    with pytest.raises(SansfaceError, match="not above zero"):
        scale_from_pupils([(camera, as_seen(camera, EYES)) for camera in cameras], -1.0)


def test_one_wrong_view_changes_little():
    seen = [(camera, as_seen(camera, EYES)) for camera in CAMERAS * 2]
    seen[4] = (seen[4][0], seen[4][1] + 9.0)
    assert scale_from_pupils(seen, 60.0).millimetres == pytest.approx(100, rel=0.02)


def test_rays_meet_in_their_points():
    origins = np.stack([camera.center for camera in CAMERAS])
    rays = EYES - origins[:, None]
    points, off = nearest_points(origins, rays / np.linalg.norm(rays, axis=2, keepdims=True))
    np.testing.assert_allclose(points, EYES, atol=1e-9)
    assert off.max() < 1e-9


def marker_picture(camera: Camera, side: float) -> np.ndarray:
    """A printed marker with a white rim, seen by a camera."""
    drawn = cv2.aruco.generateImageMarker(cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50), 7, 120)
    drawn = cv2.copyMakeBorder(drawn, 30, 30, 30, 30, cv2.BORDER_CONSTANT, value=255)
    half = side / 2 * 180 / 120
    corners = BALL_CENTER + half * np.array([[-1, 1, 0], [1, 1, 0], [1, -1, 0], [-1, -1, 0]], float)
    there = camera.project(corners)[0].astype(np.float32) - 0.5
    here = np.array([[0, 0], [180, 0], [180, 180], [0, 180]], np.float32) - 0.5
    warp = cv2.getPerspectiveTransform(here, there)
    size = (camera.width, camera.height)
    return cv2.warpPerspective(drawn, warp, size, flags=cv2.INTER_AREA, borderValue=(90.0,))


def test_a_marker_gives_millimetres():
    cameras = [looking_at(camera.center, BALL_CENTER, 480, 900.0) for camera in CAMERAS]
    seen = [(camera, find_markers(marker_picture(camera, 1.5))) for camera in cameras]
    assert all(("DICT_4X4_50", 7) in markers for _, markers in seen)
    scale = scale_from_markers(seen, 40.0)
    assert scale.millimetres == pytest.approx(40 / 1.5, rel=0.01)
    with pytest.raises(SansfaceError, match="no ArUco marker is found in 3"):
        scale_from_markers(seen[:2], 40.0)
    bent = {("DICT_4X4_50", 7): np.array([[0, 0], [90, 0], [90, 40], [0, 40]], float)}
    with pytest.raises(SansfaceError, match="no square"):
        scale_from_markers([(camera, bent) for camera in CAMERAS], 40.0)


def test_the_world_stands_upright_and_keeps_pixels():
    up, front = np.array([0.0, 0.6, 0.8]), np.array([1.0, 0.2, -0.1])
    place = world(BALL_CENTER, up, front, 25.0)
    np.testing.assert_allclose(place.points(BALL_CENTER + up), [0, 25, 0], atol=1e-9)
    before = place.points(BALL_CENTER + front)
    assert before[2] > 0
    assert abs(before[0]) < 1e-9
    for camera in CAMERAS:
        moved = place.camera(camera)
        np.testing.assert_allclose(moved.project(place.points(EYES))[0], camera.project(EYES)[0], atol=1e-9)
    anywhere = world(BALL_CENTER, up, None, 1.0)
    np.testing.assert_allclose(anywhere.points(BALL_CENTER + up), [0, 1, 0], atol=1e-9)
    with pytest.raises(SansfaceError, match="straight above or below"):
        world(BALL_CENTER, up, 2 * up, 1.0)


def test_the_sphere_holds_the_points_that_many_see_and_not_the_room():
    rng = np.random.default_rng(0)
    cameras = [
        looking_at(BALL_CENTER + 9 * np.array([np.sin(a), 0, np.cos(a)]), BALL_CENTER) for a in range(6)
    ]
    ball = rng.normal(size=(400, 3))
    ball = BALL_CENTER + ball / np.linalg.norm(ball, axis=1, keepdims=True)
    room = BALL_CENTER + rng.normal(size=(300, 3)) * 20
    seen = ((0, 1, 2),) * 700
    structure = Structure(dict(enumerate(cameras)), np.concatenate([ball, room]), seen, 0.5)
    sphere = subject_sphere(structure)
    assert np.linalg.norm(sphere.center - BALL_CENTER) < 0.2
    assert 1 <= sphere.radius < 1.5


def finding(left: float, side: float, score: float = 0.95, kind: str = "face") -> Finding:
    box = np.array([left, 10.0, side, side])
    return Finding(kind, score, box, np.array([[left + 1, 20.0], [left + 9, 20.0]] + [[0.0, 0.0]] * 3))


def test_two_faces_beside_each_other_are_two_people():
    assert people([]) == 0
    assert people([finding(10, 50), finding(14, 48), finding(9, 52, kind="short range")]) == 1
    assert people([finding(10, 50), finding(100, 45)]) == 2
    assert people([finding(10, 50), finding(100, 20)]) == 1  # in the background
    assert people([finding(10, 50), finding(100, 45, score=0.7)]) == 1


def test_eyes_are_those_of_the_surest_face():
    from sansface.capture import Frame, Role

    frames = [Frame(camera, Role.SENSITIVE, None) for camera in CAMERAS]  # type: ignore[arg-type]
    seen = eyes(frames, [[finding(10, 50, 0.9), finding(80, 50, 0.99)], [], [finding(5, 9, 0.5)]])
    assert len(seen) == 1
    assert seen[0][0] is CAMERAS[0]
    np.testing.assert_array_equal(seen[0][1], [[81, 20], [89, 20]])
