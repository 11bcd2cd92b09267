"""Every face of a picture, each once: real ones pasted side by side, turned, small, many, none."""

import cv2
import numpy as np
import pytest

from painted import astronaut, camera_of_fit, detectors, drawn, head_model, lfw, painted, shape
from sansface.faces.detectors import Finding, all_faces
from sansface.faces.hair import hair_probability
from sansface.faces.tflite import Network
from sansface.photographs.decode import decode_rgb


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    """(240, 240, 3) with one face in its middle, 94 x 107 pixels."""
    return np.ascontiguousarray(astronaut()[0:240, 105:345])


def photograph(name: str) -> np.ndarray:
    """(250, 250, 3) of Labeled Faces in the Wild."""
    return decode_rgb(lfw() / "img" / name[:-5] / f"{name}.jpg", "photograph")


def sheet(faces: list[np.ndarray], columns: int) -> np.ndarray:
    rows = [np.hstack(faces[k : k + columns]) for k in range(0, len(faces), columns)]
    return np.ascontiguousarray(np.vstack(rows))


def middles(found: list[Finding]) -> np.ndarray:
    return np.array([one.box[:2] + one.box[2:] / 2 for one in found])


def test_one_face_is_found_once_with_its_landmarks(face):
    (found,) = all_faces(face, detectors())
    assert found.kind == "landmarks"
    assert found.landmarks is not None
    assert found.landmarks.shape == (468, 2)
    assert np.abs(middles([found])[0] - (120, 122)).max() < 15
    inside = (found.landmarks > found.box[:2] - 15) & (found.landmarks < found.box[:2] + found.box[2:] + 15)
    assert inside.mean() > 0.97


def test_twenty_faces_are_found_each_where_it_is(face):
    small = cv2.resize(face, (120, 120), interpolation=cv2.INTER_AREA)
    found = all_faces(sheet([small] * 20, 5), detectors())
    assert len(found) == 20
    cells = {tuple(cell) for cell in np.floor(middles(found) / 120).astype(int)}
    assert cells == {(column, row) for column in range(5) for row in range(4)}
    assert sum(one.kind == "landmarks" for one in found) >= 19


def test_large_and_small_ones_are_found_together(face):
    """The small one is ten pixels between the eyes, on a picture of 1200."""
    scene = np.full((900, 1200, 3), 110, np.uint8)
    scene[100:820, 40:760] = cv2.resize(face, (720, 720), interpolation=cv2.INTER_CUBIC)
    scene[500:556, 1000:1056] = cv2.resize(face, (56, 56), interpolation=cv2.INTER_AREA)
    found = middles(all_faces(scene, detectors()))
    assert np.abs(found - (400, 466)).max(axis=1).min() < 50
    assert np.abs(found - (1028, 528)).max(axis=1).min() < 6


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_one_lying_beside_one_upright_is_not_overlooked(face, quarters):
    scene = np.hstack([face, np.ascontiguousarray(np.rot90(face, quarters))])
    found = middles(all_faces(scene, detectors()))
    assert 2 <= len(found) <= 3  # boxes about a lying face differ
    assert {bool(right) for right in found[:, 0] > 240} == {False, True}


@pytest.mark.parametrize(
    ("name", "quarters"), [("Tom_Ridge_0005", 3), ("Pierce_Brosnan_0006", 1), ("Darren_Campel_0001", 3)]
)
def test_one_lying_that_shows_in_no_upright_view_is_found_beside_one_that_does(name, quarters):
    scene = np.hstack([photograph("Bill_Clinton_0001"), np.rot90(photograph(name), quarters)])
    found = all_faces(scene, detectors())
    assert [one.kind for one in found] == ["landmarks"] * 2
    assert sorted(bool(right) for right in middles(found)[:, 0] > 250) == [False, True]
    assert {one.turned for one in found} == {0, 360 - 90 * quarters}


@pytest.mark.parametrize("name", ["Britney_Spears_0006", "Saddam_Hussein_0004", "Jennifer_Aniston_0006"])
def test_shoulders_and_hair_are_no_lying_face(name):
    (found,) = all_faces(photograph(name), detectors())
    assert found.turned == 0


@pytest.mark.parametrize(
    ("name", "side", "people"),
    [("Bill_Clinton_0001", 2048, 1), ("David_Oh_0001", 2048, 2), ("David_Oh_0001", 250, 2)],
)
def test_eyes_and_nose_of_a_large_face_are_no_second_one_but_a_profile_beside_it_is(name, side, people):
    """The landmark network spreads the mesh of David Oh's neighbour over both."""
    scene = cv2.resize(photograph(name), (side, side), interpolation=cv2.INTER_LANCZOS4)
    assert len(all_faces(scene, detectors())) == people


def test_renderings_side_by_side_are_found():
    model = head_model()
    heads = []
    for seed in range(3):
        vertices = shape(model, *drawn(seed))
        heads.append(painted(model, vertices, camera_of_fit(model, vertices, 20 - 20 * seed, 0, 30)))
    found = all_faces(np.hstack(heads), detectors())
    assert [one.kind for one in found] == ["landmarks"] * 3
    assert sorted(np.floor(middles(found)[:, 0] / heads[0].shape[1]).tolist()) == [0, 1, 2]


@pytest.mark.parametrize("kind", ["noise", "grey", "stripes", "a pixel"])
def test_nothing_is_found_where_there_is_none(kind):
    pictures = {
        "noise": np.random.default_rng(0).integers(0, 256, (160, 200, 3), np.uint8),
        "grey": np.full((160, 200, 3), 128, np.uint8),
        "stripes": np.repeat((np.arange(200) // 10 % 2 * 255).astype(np.uint8)[None, :, None], 160, 0).repeat(
            3, 2
        ),
        "a pixel": np.zeros((1, 1, 3), np.uint8),
    }
    assert all_faces(pictures[kind], detectors()) == []


def test_hair_is_where_the_hair_is(face):
    detectors()
    found = hair_probability(face, Network("hair"))
    assert found.shape == face.shape[:2]
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() <= 1
    assert found[30:50, 110:140].mean() > 0.8  # above the forehead
    assert found[120:150, 105:140].mean() < 0.1  # nose and mouth
    assert found[:20, :40].mean() < 0.1  # the wall
