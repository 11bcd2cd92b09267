"""Faces followed from frame to frame, and their heads made steady."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from sansface.capture import Camera
from sansface.deidentify.steady import between, bilateral, placed, steady
from sansface.deidentify.tracks import LOST, Cuts, Follower, Track
from sansface.heads.fit import FittedHead
from sansface.heads.landmarks import load_places
from sansface.heads.parametric import HeadModel, load_head_model

RATE = 25.0


def box(x: float, y: float, size: float = 40.0) -> np.ndarray:
    return np.array([x - size / 2, y - size / 2, size, size])


def follow(frames: list[list[np.ndarray]]) -> tuple[Follower, list[list[Track]]]:
    follower = Follower()
    return follower, [follower.step(k, k / RATE, boxes) for k, boxes in enumerate(frames)]


@given(st.lists(st.permutations([0, 1, 2]), min_size=8, max_size=8))
def test_each_face_keeps_its_track_whatever_the_order_of_the_findings(orders: list[list[int]]) -> None:
    """Three faces that move, one of them past another of twice its size."""

    def face(who: int, k: int) -> np.ndarray:
        return [box(60 + 8 * k, 50), box(200, 60 + 5 * k, 50), box(130 - 6 * k, 55, 90)][who]

    frames = [[face(who, k) for who in order] for k, order in enumerate(orders)]
    follower, tracks = follow(frames)
    assert len(follower.tracks) == 3
    named = [dict(zip(order, found, strict=True)) for order, found in zip(orders, tracks, strict=True)]
    assert all(found[who] is named[0][who] for found in named for who in range(3))


def test_the_nearest_assignment_is_the_best_for_all_together() -> None:
    """Taking the nearest pair first would give the first face to the second's track."""
    _, (before, after) = follow([[box(100, 50), box(120, 50)], [box(113, 50), box(140, 50)]])
    assert after == before


def test_a_track_bridges_a_gap_and_one_too_long_begins_another() -> None:
    short, long = int(LOST * RATE) - 1, int(LOST * RATE) + 2
    for gap, tracks in ((short, 1), (long, 2)):
        follower, _ = follow([[box(50, 50)], *[[]] * gap, [box(52, 50)]])
        assert len(follower.tracks) == tracks


def test_a_face_far_away_or_of_another_size_is_somebody_else() -> None:
    for other in (box(150, 50), box(50, 50, 130)):
        follower, _ = follow([[box(50, 50)], [other]])
        assert len(follower.tracks) == 2


def test_a_cut_ends_all_tracks() -> None:
    follower = Follower()
    (first,) = follower.step(0, 0.0, [box(50, 50)])
    follower.cut()
    (second,) = follower.step(1, 0.04, [box(50, 50)])
    assert (first.shot, second.shot) == (0, 1)
    assert first is not second


def test_lost_tracks_are_those_without_a_box() -> None:
    follower = Follower()
    one, other = follower.step(0, 0.0, [box(50, 50), box(200, 50)])
    assert follower.lost([box(52, 50)], 0.04) == [other]
    assert follower.lost([], 0.04) == [one, other]


def test_the_box_between_sightings_lies_between_and_beyond_them_goes_on() -> None:
    track = Track(0, [10, 11, 14], [box(10, 50), box(12, 50), box(18, 56)])
    np.testing.assert_allclose(track.box(11), box(12, 50))
    np.testing.assert_allclose(track.box(12), box(14, 52))
    late = track.box(18)  # 2 px a frame to the right, 1.5 down; held, too
    np.testing.assert_allclose(late, [-2, 36, 48, 46], atol=1e-9)
    early = track.box(8)
    np.testing.assert_allclose(early[:2], [-14, 27], atol=1e-9)
    np.testing.assert_allclose(Track(0, [3], [box(1, 1)]).box(9), box(1, 1))


def test_cuts_are_told_from_motion_noise_and_exposure() -> None:
    rng = np.random.default_rng(0)
    rough = rng.uniform(0, 255, (6, 8, 3)).repeat(30, axis=0).repeat(30, axis=1)
    other = rng.uniform(0, 255, (6, 8, 3)).repeat(30, axis=0).repeat(30, axis=1)
    cuts = Cuts()

    def cut(picture: np.ndarray) -> bool:
        return cuts.between((picture + rng.normal(0, 4, picture.shape)).clip(0, 255).astype(np.uint8))

    said = [cut(rough), cut(np.roll(rough, 4, axis=1)), cut(0.6 * rough), cut(other), cut(other)]
    assert said == [False, False, False, True, False]
    dark = np.full_like(rough, 12.0)
    assert cut(dark)
    assert not cut(dark)
    assert not cut(dark + 3)


def test_a_bilateral_filter_calms_what_trembles_and_keeps_a_step() -> None:
    rng = np.random.default_rng(1)
    seconds = np.arange(60) / RATE
    step = np.where(seconds < 1.2, 0.0, 1.0)
    values = step + rng.normal(0, 0.05, 60)
    rows = bilateral(seconds, 0.1, lambda i, near: np.abs(values[near] - values[i]) / 0.2)
    smooth = np.array([row @ values[near] for near, row in rows])
    plain = np.array([row @ values[near] for near, row in bilateral(seconds, 0.1)])
    assert np.std(smooth - step) < 0.6 * 0.05
    assert np.abs(smooth - step).max() < 0.2 < np.abs(plain - step).max()
    slow = [np.exp(-(((seconds - time) / 0.1) ** 2) / 2) for time in seconds]
    expected = [row @ values / row.sum() for row in slow]
    np.testing.assert_allclose(plain, expected, atol=0.02)  # ours is cut off at three deviations


@pytest.fixture
def model(shared_assets: Path) -> HeadModel:
    return load_head_model()


def trembling(
    model: HeadModel, turns: np.ndarray, blinks: np.ndarray, rng: np.random.Generator
) -> list[FittedHead]:
    """Heads at 25 frames a second, fitted with errors; their landmarks are sharp but for half a pixel."""
    names, places = list(model.expression), load_places()
    heads = []
    for turn, blink in zip(turns, blinks, strict=True):
        expression = np.zeros(len(names))
        expression[[names.index("eyeBlink_L"), names.index("eyeBlink_R")]] = blink
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_euler("xy", [180, turn], degrees=True).as_matrix()
        pose[:3, 3] = rng.normal(0, 10), rng.normal(0, 10), 700.0
        K = np.array([[700.0, 0, 120], [0, 700.0, 120], [0, 0, 1]])
        true = FittedHead(
            Camera(K, 240, 240, pose), np.zeros(100), expression, np.eye(163), np.zeros((468, 2))
        )
        shown, _ = true.camera.project(places.of(true.vertices(model)))
        wrong = np.array(pose)
        wrong[:3, :3] = Rotation.from_rotvec(np.radians(rng.normal(0, 0.5, 3))).as_matrix() @ pose[:3, :3]
        wrong[:3, 3] += rng.normal(0, 1, 3)
        fitted = np.clip(expression + rng.normal(0, 0.03, len(names)), 0, 1)
        head = replace(true, camera=Camera(K, 240, 240, wrong), identity=rng.normal(0, 0.1, 100))
        heads.append(replace(head, expression=fitted, landmarks=shown + rng.normal(0, 0.5, shown.shape)))
    return heads


def test_steady_heads_tremble_less_and_stay_on_their_landmarks(model: HeadModel) -> None:
    rng, places = np.random.default_rng(2), load_places()
    heads = trembling(model, np.full(20, 10.0), np.zeros(20), rng)
    calm = steady(model, heads, np.arange(20) / RATE)

    def restless(found: list[FittedHead]) -> tuple[float, float]:
        shapes = np.array([head.vertices(model) for head in found])[:, :6706]
        turns = Rotation.from_matrix([head.rotation for head in found])
        return np.abs(np.diff(shapes, axis=0)).mean(), np.mean((turns[1:] * turns[:-1].inv()).magnitude())

    (shape, turn), (was, turned) = restless(calm), restless(heads)
    assert shape < 0.3 * was
    assert turn < 0.6 * turned
    assert all((head.identity == calm[0].identity).all() for head in calm)
    for head, found in zip(calm, heads, strict=True):
        shown, _ = head.camera.project(places.of(head.vertices(model)))
        np.testing.assert_allclose(head.landmarks, shown)
        assert np.linalg.norm((shown - found.landmarks).mean(axis=0)) < 0.4


def test_a_blink_and_a_turn_are_neither_late_nor_lost(model: HeadModel) -> None:
    """A blink of four frames, while the head turns by 40 degrees in a second."""
    blinks = np.zeros(25)
    blinks[10:14] = 0.5, 1.0, 0.9, 0.4
    turns = np.linspace(-20, 20, 25)
    calm = steady(model, trembling(model, turns, blinks, np.random.default_rng(3)), np.arange(25) / RATE)
    lid = list(model.expression).index("eyeBlink_L")
    found = np.array([head.expression[lid] for head in calm])
    assert np.abs(found - blinks).max() < 0.15
    seen = np.array([Rotation.from_matrix(head.rotation).as_euler("yxz", degrees=True)[0] for head in calm])
    assert np.abs(np.abs(seen) - np.abs(turns)).max() < 1.5
    assert np.abs(seen[1:-1] - seen[1:-1].mean() - np.sign(seen[-1]) * turns[1:-1]).mean() < 0.5


def test_placing_finds_shift_size_and_tilt(model: HeadModel) -> None:
    (head,) = trembling(model, np.array([15.0]), np.zeros(1), np.random.default_rng(4))
    places = load_places()
    points = places.of(head.vertices(model)).astype(np.float64)
    true = np.array(head.camera.cam_from_world)
    true[:3, 3] += 12, -7, 90
    tilt = Rotation.from_euler("z", 4, degrees=True).as_matrix()
    true[:3, :3] = tilt @ true[:3, :3]
    shown, _ = Camera(head.camera.K, 240, 240, true).project(points)
    turn = head.camera.cam_from_world[:3, :3]
    turn = head.camera.cam_from_world[:3, :3]
    found = placed(points, turn, replace(head, landmarks=shown), places.spread)
    np.testing.assert_allclose(found.cam_from_world, true, atol=1e-3)
    shown[:20] += 30  # something before the face
    found = placed(points, turn, replace(head, landmarks=shown), places.spread)
    np.testing.assert_allclose(found.cam_from_world[:3, :3], true[:3, :3], atol=1e-3)
    np.testing.assert_allclose(found.cam_from_world[:3, 3], true[:3, 3], atol=0.5)


def test_between_two_heads_lies_the_middle(model: HeadModel) -> None:
    one, other = trembling(model, np.array([-10.0, 10.0]), np.array([0.0, 1.0]), np.random.default_rng(5))
    middle = between(one, other, 0.5)
    np.testing.assert_allclose(middle.landmarks, (one.landmarks + other.landmarks) / 2)
    way = Rotation.from_matrix(middle.rotation @ one.rotation.T).magnitude()
    assert way == pytest.approx(Rotation.from_matrix(other.rotation @ one.rotation.T).magnitude() / 2)
    np.testing.assert_allclose(between(one, other, 0.0).camera.cam_from_world, one.camera.cam_from_world)
