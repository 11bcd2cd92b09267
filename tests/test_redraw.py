"""One face changed on one photograph: what changes, what does not, and how far the two ways to draw agree."""

import cv2
import numpy as np
import pytest

from painted import alone, camera_of_fit, drawn, head_model, painted, shape
from sansface.deidentify import change as c
from sansface.deidentify.change import Face, StepTwo, appearance_of, change, gaze_of
from sansface.deidentify.redraw import Redrawing, features, inner
from sansface.heads.appearance import Appearance
from sansface.heads.fit import FittedHead, fit_head
from sansface.heads.landmarks import load_places
from sansface.heads.look import look
from sansface.heads.parametric import HeadModel

WHOLE = StepTwo(Redrawing(kept=1, features=1, eyes=1, mouth=1, grain=1))


@pytest.fixture(scope="module")
def model() -> HeadModel:
    return head_model()


def shot(
    model: HeadModel, seed: int = 0, turn: float = 10.0, eyes: float = 30.0
) -> tuple[np.ndarray, FittedHead]:
    """A rendered photograph of a painted head, and the fit to where its landmarks truly are."""
    vertices = shape(model, *drawn(seed))
    camera = camera_of_fit(model, vertices, turn, 0, eyes)
    points, _ = camera.project(load_places().of(vertices))
    return painted(model, vertices, camera), fit_head(model, points, (camera.width, camera.height))


def nothing(photograph: np.ndarray) -> np.ndarray:
    return np.zeros(photograph.shape[:2], dtype=bool)


def another(head: FittedHead, looks: Appearance, seed: int = 0) -> Face:
    rng = np.random.default_rng(seed)
    identity = (head.identity + 1.3 * rng.normal(size=100)).clip(-3, 3)
    return Face(identity, looks.albedo + 0.5 * rng.normal(size=12))


@pytest.fixture(scope="module")
def taken(model) -> tuple[np.ndarray, FittedHead, Appearance]:
    photograph, head = shot(model)
    looks = appearance_of(model, head, photograph, nothing(photograph), np.random.default_rng(0))
    return photograph, head, looks


def test_who_stays_and_keeps_all_detail_stays_as_is(model, taken):
    photograph, head, looks = taken
    same = Face(head.identity, looks.albedo)
    result, touched = change(model, head, photograph, alone(nothing(photograph)), looks, same, WHOLE)
    assert np.abs(result.astype(int) - photograph)[touched].mean() < 1.5
    assert touched.any()


def test_another_face_is_another_picture_and_only_where_it_says(model, taken):
    photograph, head, looks = taken
    result, touched = change(
        model, head, photograph, alone(nothing(photograph)), looks, another(head, looks), StepTwo()
    )
    differs = (result != photograph).any(axis=2)
    assert differs.sum() > 500
    np.testing.assert_array_equal(result[~touched], photograph[~touched])
    assert 0.02 < touched.mean() < 0.5
    assert result.dtype == np.uint8
    low, high = head.landmarks.min(axis=0).astype(int), head.landmarks.max(axis=0).astype(int)
    face = np.s_[low[1] : high[1], low[0] : high[0]]
    assert np.abs(result.astype(int) - photograph)[face].mean() > 4
    # Somebody else, in the same light: neither much brighter nor darker.
    assert abs(np.log(result[face].mean() / photograph[face].mean())) < 0.2


def test_nothing_is_drawn_on_what_is_hidden(model, taken):
    photograph, head, looks = taken
    hidden = nothing(photograph)
    hidden[:, : int(head.landmarks[:, 0].mean())] = True  # a curtain before half of the face
    still = StepTwo(carry=False)
    result, _ = change(model, head, photograph, alone(hidden), looks, another(head, looks), still)
    margin = int(0.3 * head.eyes)
    behind = hidden & ~cv2.dilate((~hidden).astype(np.uint8), np.ones((2 * margin, 2 * margin))).astype(bool)
    np.testing.assert_array_equal(result[behind], photograph[behind])
    assert (result != photograph)[~hidden].any()
    shown, _ = change(
        model, head, photograph, alone(hidden), looks, another(head, looks), StepTwo(carry=False, hair=False)
    )
    assert (shown != photograph)[behind].any()


def test_each_part_left_out_gives_another_picture(model, taken):
    photograph, head, looks = taken
    face = another(head, looks)
    whole = [
        change(model, head, photograph, alone(nothing(photograph)), looks, face, how)[0]
        for how in (StepTwo(), StepTwo(carry=False), StepTwo(relight=False), WHOLE)
    ]
    for k, one in enumerate(whole):
        for other in whole[:k]:
            assert np.abs(one.astype(int) - other).mean() > 0.05


@pytest.mark.parametrize("cut", [(0, 0.5), (0.45, 0), (-0.5, 0), (0, -0.45)])
def test_a_face_cut_off_by_the_rim_is_changed_up_to_it(model, taken, cut):
    photograph, head, _ = taken
    size = np.array(photograph.shape[1::-1])
    middle = head.landmarks.mean(axis=0)
    low = np.where(np.array(cut) > 0, middle, 0).astype(int)
    high = np.where(np.array(cut) < 0, middle, size).astype(int)
    part = np.ascontiguousarray(photograph[low[1] : high[1], low[0] : high[0]])
    moved = fit_head(model, head.landmarks - low, part.shape[1::-1])
    looks = appearance_of(model, moved, part, nothing(part), np.random.default_rng(0))
    result, touched = change(model, moved, part, alone(nothing(part)), looks, another(head, looks), StepTwo())
    assert result.shape == part.shape
    np.testing.assert_array_equal(result[~touched], part[~touched])
    rim = {(0, 0.5): np.s_[0], (0.45, 0): np.s_[:, 0], (-0.5, 0): np.s_[:, -1], (0, -0.45): np.s_[-1]}[cut]
    assert (result[rim] != part[rim]).any()


def test_a_face_beside_the_picture_leaves_it_as_it_is(model, taken):
    photograph, head, looks = taken
    away = fit_head(model, head.landmarks + 5000, photograph.shape[1::-1])
    result, touched = change(
        model, away, photograph, alone(nothing(photograph)), looks, another(head, looks), StepTwo()
    )
    np.testing.assert_array_equal(result, photograph)
    assert not touched.any()


@pytest.mark.slow
def test_a_large_face_drawn_coarsely_looks_as_if_drawn_finely(model, monkeypatch):
    photograph, head = shot(model, seed=1, eyes=250)
    assert photograph.shape[0] == 1500
    looks = appearance_of(model, head, photograph, nothing(photograph), np.random.default_rng(0))
    face = another(head, looks)
    coarse, touched = change(model, head, photograph, alone(nothing(photograph)), looks, face, StepTwo())
    monkeypatch.setattr(c, "COARSEST", 5000)
    monkeypatch.setattr(c, "FINEST", 1.0)
    fine, _ = change(model, head, photograph, alone(nothing(photograph)), looks, face, StepTwo())
    off = np.abs(coarse.astype(int) - fine).max(axis=2)
    assert off[touched].mean() < 4
    assert np.percentile(off[touched], 99) < 40
    # No seam: along the rim of what was touched the picture is as smooth as the photograph was.
    rim = cv2.morphologyEx(touched.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3))) > 0
    steps = [
        np.abs(np.diff(picture.astype(int), axis=1)).max(axis=2)[rim[:, 1:]]
        for picture in (coarse, photograph)
    ]
    assert abs(steps[0].mean() - steps[1].mean()) < 0.3


@pytest.mark.slow
def test_of_a_large_faces_pores_no_more_stays_than_of_a_small_ones(model):
    """What is finer than the coarse drawing is the photograph's own, and could tell who it is."""
    photograph, head = shot(model, seed=1, eyes=200)
    noise = np.random.default_rng(0).normal(scale=10, size=(*photograph.shape[:2], 1))
    grainy = np.clip(photograph + noise, 0, 255).astype(np.uint8)
    looks = appearance_of(model, head, grainy, nothing(grainy), np.random.default_rng(0))
    face = another(head, looks)

    def pores(how: StepTwo) -> float:
        result, _ = change(model, head, grainy, alone(nothing(grainy)), looks, face, how)
        side, found = int(0.15 * head.eyes), []
        for column, row in head.landmarks[[50, 280]].astype(int):  # the cheeks
            part = result[row - side : row + side, column - side : column + side].astype(np.float32)
            found.append((part - cv2.GaussianBlur(part, (0, 0), 2)).std())
        return float(np.mean(found))

    own = pores(WHOLE)
    left = pores(StepTwo(Redrawing(kept=0.08, grain=0.2)))
    assert 0.05 * own < left < 0.5 * own


def test_features_are_where_eyes_brows_nose_and_mouth_are(model, taken):
    _, head, _ = taken
    seen = look(model, head.vertices(model), head.camera)
    share, depth = seen.picture(features(model, seen)), seen.picture(inner(model, seen))
    for landmark, there in ((33, 1), (159, 1), (105, 1), (13, 1), (98, 1), (50, 0), (280, 0), (151, 0)):
        x, y = head.landmarks[landmark].astype(int)
        assert share[y, x] == there, landmark
    assert 0.1 < features(model, seen).mean() < 0.5
    assert depth.max() == 1
    x, y = head.landmarks[4].astype(int)  # the tip of the nose
    assert depth[y, x] == 1


def test_the_gaze_follows_the_irises(model, monkeypatch):
    from sansface.heads import albedo

    found = []
    for sideways in (-3.0, 0.0, 3.0):
        vertices = shape(model, drawn(0)[0], np.zeros(57))
        camera = camera_of_fit(model, vertices, 0, 0, 90)
        points, _ = camera.project(load_places().of(vertices))
        monkeypatch.setattr(
            "painted.albedo_seen", lambda m, s, k, at=sideways: albedo.albedo_seen(m, s, k, (at, 0.0))
        )
        photograph = painted(model, vertices, camera)
        head = fit_head(model, points, photograph.shape[1::-1])
        found.append(gaze_of(model, head, photograph))
    assert found[0][0] < found[1][0] - 0.5
    assert found[1][0] < found[2][0] - 0.5
    assert abs(found[1][0]) < 1
    assert all(up == 0 for _, up in found)
    assert max(abs(across) for across, _ in found) <= c.GAZE
