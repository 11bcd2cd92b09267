"""De-identification of whole photographs: everybody or nobody, bit-exact elsewhere, another person."""

import json

import cv2
import numpy as np
import pytest

from painted import astronaut, camera_of_fit, detectors, drawn, head_model, lfw, painted, shape
from sansface.deidentify import faces as f
from sansface.deidentify.faces import Tools, covered, find
from sansface.deidentify.ideudemon import ALBEDO, check_strength, deidentify, step_two
from sansface.deidentify.redraw import Redrawing
from sansface.errors import SansfaceError
from sansface.faces.detectors import Finding, all_faces
from sansface.heads.albedo import CODES
from sansface.photographs.decode import decode_rgb
from sansface.recognise.align import Placing
from sansface.recognise.detect import Yunet
from sansface.recognise.registry import recogniser


@pytest.fixture(scope="module")
def tools() -> Tools:
    head_model(), detectors()
    try:
        return Tools()
    except SansfaceError as missing:
        pytest.skip(f"needs the asset hair: {missing}")


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    """(120, 120, 3), one face, 22 pixels between its eyes."""
    return cv2.resize(astronaut()[0:240, 105:345], (120, 120), interpolation=cv2.INTER_AREA)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_photograph_is_changed_on_the_face_and_nowhere_else(photograph, tools):
    done = deidentify(photograph, tools, rng())
    assert (done.faces, done.covered) == (1, 0)
    assert done.photograph.dtype == np.uint8
    np.testing.assert_array_equal(done.photograph[~done.touched], photograph[~done.touched])
    assert np.abs(done.photograph.astype(int) - photograph)[done.touched].mean() > 4
    (face,) = all_faces(done.photograph, tools.detectors)
    assert face.kind == "landmarks"  # a face still, and where it was
    (before,) = all_faces(photograph, tools.detectors)
    assert face.landmarks is not None
    assert before.landmarks is not None
    assert np.linalg.norm(face.landmarks - before.landmarks, axis=1).mean() < 0.1 * 22


def test_the_same_draw_gives_the_same_bytes_and_another_another(photograph, tools):
    one, again, other = (deidentify(photograph, tools, rng(seed)).photograph for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one.astype(int) - other).mean() > 0.3


def test_little_strength_changes_little(photograph, tools):
    little, much = (
        np.abs(deidentify(photograph, tools, rng(3), strength).photograph.astype(int) - photograph).mean()
        for strength in (0.01, 1.0)
    )
    assert little < 0.2 * much


@pytest.mark.parametrize("strength", [0, -1, 2.01, float("nan"), float("inf"), -float("inf")])
def test_a_strength_out_of_range_is_refused(strength):
    with pytest.raises(SansfaceError, match="the strength is above 0"):
        check_strength(strength)


def test_detail_falls_with_the_strength():
    assert step_two(1.0).redrawing == Redrawing()
    assert step_two(2.0).redrawing == Redrawing()
    none = step_two(1e-9).redrawing
    assert none.kept == pytest.approx(1)
    assert none.eyes == pytest.approx(1)
    half = step_two(0.5).redrawing
    assert Redrawing().kept < half.kept < none.kept
    assert set(ALBEDO) == set(CODES)


def test_no_face_is_an_error(tools):
    with pytest.raises(SansfaceError, match="no face is found"):
        deidentify(rng().integers(0, 256, (80, 100, 3), np.uint8), tools, rng())


def test_a_profile_is_refused(tools):
    model = tools.model
    vertices = shape(model, *drawn(0))
    found = find(painted(model, vertices, camera_of_fit(model, vertices, 30, 0, 30)), tools)
    assert len(found.heads) == 1
    assert abs(found.heads[0].turned - 30) < 6
    with pytest.raises(SansfaceError, match=r"no face is found|cannot be changed"):
        deidentify(painted(model, vertices, camera_of_fit(model, vertices, 70, 0, 30)), tools, rng())


def test_everybody_is_changed(photograph, tools):
    three = np.hstack([photograph, photograph[:, ::-1], photograph])
    done = deidentify(np.ascontiguousarray(three), tools, rng())
    assert done.faces == 3
    parts = np.split(done.photograph, 3, axis=1)
    for part, own in zip(parts, np.split(three, 3, axis=1), strict=True):
        assert np.abs(part.astype(int) - own)[40:90, 35:85].mean() > 4
    assert np.abs(parts[0].astype(int) - parts[2])[40:90, 35:85].mean() > 2  # each another draw
    np.testing.assert_array_equal(done.photograph[~done.touched], three[~done.touched])


def with_small_one(photograph: np.ndarray) -> np.ndarray:
    """Beside the face one of 7 pixels between its eyes, about (180, 60), to which no head is fitted."""
    both = np.hstack([photograph, np.full_like(photograph, 127)])
    both[40:80, 160:200] = cv2.resize(photograph, (40, 40), interpolation=cv2.INTER_AREA)
    return both


def test_one_that_cannot_be_changed_stops_everything(photograph, tools):
    both = with_small_one(photograph)
    assert len(find(both, tools).unfitted) == 1
    with pytest.raises(SansfaceError, match=r"face at \(\d+, \d+\) cannot be changed.*say --cover"):
        deidentify(both, tools, rng())


def test_or_is_blacked_out_if_that_is_asked_for(photograph, tools):
    both = with_small_one(photograph)
    done = deidentify(both, tools, rng(), cover=True)
    assert (done.faces, done.covered) == (1, 1)
    assert (done.photograph[52:68, 173:187] == 0).all()
    np.testing.assert_array_equal(done.photograph[~done.touched], both[~done.touched])
    assert all((one.box[0] < 120) for one in all_faces(done.photograph, tools.detectors))


@pytest.mark.parametrize(
    ("limit", "value", "words"),
    [
        ("LEAST_EYES", 1000.0, "pixels apart"),
        ("MOST_TURNED", 1.0, "degrees"),
        ("WORST", 1e-4, "fits it badly"),
        ("CERTAIN", 1.01, "not certain that it is a face"),
        ("SEEN", 1.01, "not certain that it is a face"),
        ("APART", 0.001, "elsewhere than the detector saw them"),
        ("WITHIN", 1.01, "the picture's rim leaves 100 % of it"),
    ],
)
def test_what_bears_no_fit_is_said(photograph, tools, monkeypatch, limit, value, words):
    monkeypatch.setattr(f, limit, value)
    found = find(photograph, tools)
    assert not found.heads
    ((_, reason),) = found.unfitted
    assert words in reason
    with pytest.raises(SansfaceError, match=words):
        deidentify(photograph, tools, rng())


@pytest.mark.parametrize(
    ("box", "turned", "black"),
    [
        ((20, 30, 10, 20), 0, (17, 24, 33, 56)),
        ((20, 30, 10, 20), 90, (9, 32, 41, 48)),
        ((-50, -50, 10, 10), 0, (0, 0, 0, 0)),
        ((95, 70, 20, 20), 0, (89, 64, 100, 80)),
    ],
)
def test_a_cover_reaches_beyond_the_box_and_stays_on_the_picture(box, turned, black):
    finding = Finding("face", 0.9, np.array(box, dtype=float), turned=turned)
    white = np.full((80, 100, 3), 255, np.uint8)
    picture, touched = covered(white, finding.extent)
    left, top, right, bottom = black
    expected = np.zeros((80, 100), bool)
    expected[top:bottom, left:right] = True
    assert (touched != expected).sum() <= 2 * (right - left + bottom - top)  # rounding, at the rim
    assert (picture[touched] == 0).all()
    assert (picture[~touched] == 255).all()
    assert (white == 255).all()


def test_hair_never_hides_the_features(photograph, tools):
    found = find(photograph, tools)
    (head,) = found.heads
    assert found.hidden.sum() > 200
    x, y = head.landmarks[[33, 133, 362, 263, 1, 61, 291]].astype(int).T
    assert not found.hidden[y, x].any()


def test_a_face_of_which_hardly_anything_is_left_is_an_error_or_a_picture(photograph, tools):
    """Never a crash: cut off ever further, until nobody is there."""
    for cut in (60, 68, 76, 84):
        part = np.ascontiguousarray(photograph[cut:])
        try:
            done = deidentify(part, tools, rng())
        except SansfaceError:
            continue
        assert done.touched.any()


@pytest.mark.slow
def test_recognisers_no_longer_find_the_person(tools):
    """Cosine to the original below the threshold of FMR 1e-3 for most, about 1 for hardly any strength."""
    labels = json.loads((lfw() / "labels.json").read_text())["labels"]
    people: dict[str, list[str]] = {}
    for path, person in sorted(labels.items()):
        people.setdefault(person, []).append(path)
    singles = [paths[0] for paths in people.values() if len(paths) == 1][:46]
    yunet, placing = Yunet(), Placing()

    def cut(picture: np.ndarray) -> np.ndarray:
        face = yunet.nearest(picture)
        assert face is not None
        return placing.cut(picture, face.landmarks)

    originals = [decode_rgb(lfw() / path, "photograph") for path in singles]
    chosen = originals[:8]
    little = deidentify(chosen[0], tools, rng(), 0.02, cover=True).photograph
    changed = [deidentify(one, tools, rng(k), cover=True).photograph for k, one in enumerate(chosen)]
    for name in ("edgeface", "mobilefacenet"):
        network = recogniser(name)
        clear = network.embed(np.stack([cut(one) for one in originals]))
        others = (clear @ clear.T)[np.triu_indices(len(clear), 1)]
        threshold = np.quantile(others, 0.999)  # 1035 pairs of different people
        own = (network.embed(np.stack([cut(one) for one in changed])) * clear[:8]).sum(axis=1)
        assert (own < threshold).mean() >= 0.6, name
        assert float(network.embed(cut(little)[None])[0] @ clear[0]) > 0.9, name
