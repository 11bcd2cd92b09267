"""Each metric of `bench deidentify` with its controls, on people who are patterns (`patterns.py`)."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import patterns
from onnx_files import means
from sansface.audit.scores import similarities
from sansface.bench.deidentify import tables
from sansface.bench.deidentify.cohort import divided, enlarged
from sansface.bench.deidentify.fits import Change, Refits, angle, jittered
from sansface.bench.deidentify.kid import OnnxBackbone, kid, kid_spread, standardised
from sansface.bench.deidentify.matched import match, tar
from sansface.bench.deidentify.measure import Row, as_json, from_json, measured, row
from sansface.bench.deidentify.quality import quality
from sansface.bench.deidentify.scorers import as_distance, distances
from sansface.bench.deidentify.sheet import check_folder, sheet, worst_first
from sansface.bench.rows import kept
from sansface.deidentify.methods import Chosen
from sansface.errors import SansfaceError
from sansface.recognise.align import Placing

LARGE = Placing(224)


@pytest.fixture(scope="module")
def by():
    return patterns.instruments(patterns.EVALUATED)


def measure(method, by, draws: int = 1) -> Row:
    return row(*measured(method, by, draws), by)


# --- the whole row ---


def test_nothing_hidden_is_nothing_lost_and_all_recognised(by):
    found = measure(patterns.clear, by)
    one = found.scored[0]
    assert one.distance == pytest.approx(0, abs=1e-6)
    assert (found.ssim, found.ssim_face) == (pytest.approx(1), pytest.approx(1))
    assert found.psnr is None  # infinite
    assert (found.changed, found.outside, found.refused, found.detected.value) == (0, 0, 0, 1)
    assert one.tar == one.clear_tar
    assert one.tar.value > 0.9
    assert one.rank1.value == one.clear_rank1.value == 1
    assert abs(found.kid) < 3 * found.kid_spread


def test_a_black_picture_is_nobody_and_no_face(by):
    found = measure(patterns.black, by)
    assert found.detected.value == 0
    assert found.scored[0].tar.value < 0.01
    assert found.scored[0].rank1.value == pytest.approx(1 / patterns.EVALUATED)
    assert found.kid > 10 * found.kid_spread
    assert found.ssim < 0.2
    assert found.psnr is not None


def test_somebody_else_is_as_often_recognised_as_strangers_are(by):
    found = measure(patterns.another, by, draws=3)
    assert found.pictures == 3 * 12
    assert found.scored[0].tar.low < 0.02
    assert found.scored[0].tar.value < 0.1
    assert found.scored[0].rank1.low < 1 / patterns.EVALUATED + 0.1
    assert found.scored[0].distance == pytest.approx(np.sqrt(2), abs=0.1)
    assert found.detected.value == 1


def test_refusals_are_counted_and_make_no_picture(by):
    def choosy(photograph, rng):
        if rng.random() < 0.5:
            raise SansfaceError("not this one.")
        return photograph

    found = measure(choosy, by)
    assert 0 < found.refused < 12
    assert found.pictures + found.refused == 12
    assert len(found.refused_of) == found.refused
    others, none = measured(lambda photograph, rng: photograph, by, left_out=found.refused_of)
    assert not none
    assert {one.index for one in others} == set(range(12)) - set(found.refused_of)

    def never(photograph, rng):
        raise SansfaceError("none.")

    with pytest.raises(SansfaceError, match="refused 12 photographs"):
        measure(never, by)


def test_a_method_that_gives_another_shape_is_a_mistake(by):
    with pytest.raises(TypeError):
        measured(lambda photograph, rng: photograph[:50], by)


def test_draws_differ_and_repeat(by):
    one, again = (measured(patterns.another, by, 2, with_pictures=True)[0] for _ in range(2))
    np.testing.assert_array_equal(one[1].picture, again[1].picture)
    assert (one[0].picture != one[1].picture).any()


def test_a_row_is_the_same_as_json(by, tmp_path: Path):
    found = measure(patterns.another, by)
    told = kept(tmp_path, "another", {}, lambda: as_json(found))
    assert from_json(told) == found
    assert from_json(kept(tmp_path, "another", {}, lambda: pytest.fail("measured twice"))) == found


# --- privacy ---


def test_distances_are_those_of_unit_vectors():
    one, other = np.array([[3.0, 0.0], [0.0, 2.0]]), np.array([[0.0, 5.0], [0.0, 9.0]])
    assert distances(one, other) == pytest.approx([np.sqrt(2), 0])
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 5, 7))
    cosines = np.diag(similarities(a, b))
    assert distances(a, b) == pytest.approx([as_distance(value) for value in cosines])


# --- utility ---


def test_psnr_is_its_definition_and_a_pixel_elsewhere_is_seen():
    picture = np.full((224, 224, 3), 100, np.uint8)
    picture[::2] = 140
    found = quality(picture, picture + 10, LARGE.landmarks)
    assert found.psnr == pytest.approx(10 * np.log10(255**2 / 100), abs=1e-3)
    assert found.psnr_face == pytest.approx(found.psnr, abs=1e-6)
    assert (found.changed, found.outside > 0) == (1, True)
    face, corner = picture.copy(), picture.copy()
    face[112, 112] += 1
    corner[2, 3] += 1
    assert (
        quality(picture, face, LARGE.landmarks).outside,
        quality(picture, corner, LARGE.landmarks).outside,
    ) == (
        0,
        1,
    )
    assert quality(picture, corner, LARGE.landmarks).psnr_face == np.inf
    there = LARGE.landmarks - LARGE.landmarks.mean(axis=0) + (3, 2)
    assert quality(picture, corner, LARGE.landmarks, [there]).outside == 0


def by_loops(one: np.ndarray, other: np.ndarray) -> float:
    """Bińkowski et al. 2018, eq. 4, pair by pair."""

    def kernel(x, y):
        return (x @ y / len(x) + 1) ** 3

    n, m = len(one), len(other)
    within = sum(kernel(one[i], one[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within += sum(kernel(other[i], other[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within - 2 * sum(kernel(x, y) for x in one for y in other) / (n * m)


def test_kid_is_its_definition():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(7, 3)), rng.normal(1, 1, size=(5, 3))
    assert kid(one, other) == pytest.approx(by_loops(one, other))


def test_kid_is_zero_in_the_mean_for_pictures_of_one_kind():
    rng = np.random.default_rng(1)
    values = [kid(rng.normal(size=(40, 4)), rng.normal(size=(60, 4))) for _ in range(200)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))
    assert min(values) < 0
    apart = kid(rng.normal(size=(40, 4)), rng.normal(0.7, 1, size=(60, 4)))
    assert apart > 3 * np.std(values)
    assert kid_spread(rng.normal(size=(200, 4)), rng.normal(size=(200, 4)), rng) == pytest.approx(
        np.std([kid(rng.normal(size=(100, 4)), rng.normal(size=(100, 4))) for _ in range(100)]), rel=0.5
    )


def test_a_stand_ins_numbers_are_brought_to_the_kernel():
    """Whatever the unit of a number, and though one hardly varies."""
    rng = np.random.default_rng(2)
    plain = rng.normal(size=(500, 4))
    clear, other = standardised(plain, plain[:50] + 1)
    assert np.linalg.norm(clear, axis=1) == pytest.approx(2)
    scaled, moved = (one * (1000, 1e-3, 1, 1) + (7, 0, 0, -5) for one in (plain, plain[:50] + 1))
    again = standardised(scaled, moved)
    # The second number's deviation is below the floor, so it counts less than it did.
    assert np.corrcoef(again[0][:, 0], clear[:, 0])[0, 1] > 0.9
    assert np.abs(again[0][:, 1]).mean() < 0.05
    assert 0.1 < kid(clear, other) < 16


def test_a_backbone_of_the_users_own_sees_the_whole_picture(tmp_path: Path):
    path = tmp_path / "own.onnx"
    path.write_bytes(means(299))
    backbone = OnnxBackbone(path)
    picture = np.broadcast_to(np.array([255, 0, 51], np.uint8), (100, 140, 3))
    expected = (np.array([255, 0, 51]) - 127.5) / 127.5 * (1, 2, 3)
    assert backbone.features(picture, LARGE.landmarks) == pytest.approx(expected, abs=5e-3)
    assert (backbone.name, backbone.standard) == ("own", True)


# --- pose and expression ---


class Fit:
    """A fit that says what its picture's first pixel tells: degrees about y, and one expression."""

    def __init__(self, picture: np.ndarray, landmarks: np.ndarray) -> None:
        if not picture.any():
            raise SansfaceError("no head.")
        self.rotation = cv2.Rodrigues(np.array([0, np.radians(float(picture[0, 0, 0])), 0]))[0]
        self.expression = picture[0, 0, 1:].astype(float) / 100


@given(st.floats(0, 179), st.integers(0, 2))
def test_an_angle_is_that_of_the_rotation(degrees: float, axis: int):
    turn = cv2.Rodrigues(np.radians(degrees) * np.eye(3)[axis])[0]
    base = cv2.Rodrigues(np.array([0.3, -0.7, 0.2]))[0]
    assert angle(base, base @ turn) == pytest.approx(degrees, abs=1e-5)


def test_changes_are_those_of_the_fits_and_photographs_are_fitted_once(by):
    calls = []

    def fit(picture, landmarks):
        calls.append(1)
        return Fit(picture, landmarks)

    refits = Refits(fit, np.random.default_rng(0))
    photograph = np.full((60, 60, 3), 90, np.uint8)
    hidden = photograph.copy()
    hidden[0, 0] = (95, 90, 120)
    landmarks = LARGE.landmarks / 4
    first = refits.changes(0, photograph, hidden, landmarks)
    assert first is not None
    assert first[0] == Change(pytest.approx(5, abs=1e-4), pytest.approx(0.3))
    assert 0 < first[1].expression < 0.2  # noise and compression
    assert len(calls) == 3
    same = refits.changes(0, photograph, photograph, landmarks)
    assert same is not None
    assert same == (Change(0, 0), first[1])
    assert len(calls) == 4
    assert refits.changes(0, photograph, np.zeros_like(photograph), landmarks) is None
    assert refits.changes(1, np.zeros_like(photograph), photograph, landmarks) is None


def test_a_row_has_pose_and_expression_of_those_fitted():
    by = patterns.instruments(12, fit=Fit)

    def turned(photograph, rng):
        hidden = photograph.copy()
        hidden[0, 0, 0] ^= 8
        return hidden

    found = measure(turned, by)
    assert found.fitted == by.fits == 4
    assert found.pose == pytest.approx(8, abs=1e-3)
    assert found.expression == pytest.approx(0, abs=1e-9)
    assert found.expression_jitter is not None
    assert found.expression_jitter > 0


def test_jitter_is_little():
    rng = np.random.default_rng(0)
    smooth = cv2.GaussianBlur(rng.normal(size=(80, 80, 3)), (0, 0), 6)
    photograph = np.clip(128 + 900 * smooth, 0, 255).astype(np.uint8)
    moved = jittered(photograph, 20.0, rng)
    assert (moved.shape, moved.dtype) == (photograph.shape, np.uint8)
    assert 0 < np.abs(moved.astype(int) - photograph).mean() < 8


# --- who and how many ---


def test_people_are_divided_and_nobody_is_twice():
    labels = np.concatenate([np.repeat([0, 1, 2], [10, 12, 11]), np.arange(3, 9)])
    probes, enrolled, half, strangers = divided(labels, 7, np.random.default_rng(0))
    assert len(probes) == 7
    assert np.bincount(labels[probes]).tolist() in ([2, 2, 3], [2, 3, 2], [3, 2, 2])
    together = np.concatenate([probes, enrolled, strangers])
    assert sorted(together.tolist()) == list(range(len(labels)))
    assert set(probes) <= set(half.tolist())
    assert np.bincount(labels[half]).tolist() == [5, 6, 5]
    assert labels[strangers].min() == 3
    pairs = divided(labels, 4, np.random.default_rng(0), each=2)[0]
    assert sorted(np.bincount(labels[pairs], minlength=3).tolist()) == [0, 2, 2]
    assert set(divided(labels, 16, np.random.default_rng(0), each=3)[0]) == set(half.tolist())
    with pytest.raises(SansfaceError, match=r"17 photographs cannot be hidden.*1 to 16"):
        divided(labels, 17, np.random.default_rng(0))
    with pytest.raises(SansfaceError, match=r"^1 people have 12 or more"):
        divided(labels, 7, np.random.default_rng(0), least=12)


def test_enlarging_keeps_the_shape():
    picture = np.zeros((30, 60, 3), np.uint8)
    assert enlarged(picture, 0) is picture
    assert enlarged(picture, 120).shape == (60, 120, 3)


# --- rows kept ---


def test_rows_are_measured_once_for_the_same_settings(tmp_path: Path):
    calls: list[int] = []

    def value():
        calls.append(1)
        return {"psnr": float("inf"), "list": [float("nan"), 1.0]}

    for seed in (0, 0, 1):
        assert kept(tmp_path, "blur 0.3", {"seed": seed}, value) == {"psnr": None, "list": [None, 1.0]}
    assert len(calls) == 2
    file = sorted((tmp_path / "rows").iterdir())[0]
    assert file.name.startswith("blur-0.3-")
    for path in (tmp_path / "rows").iterdir():
        path.write_text("{}", encoding="utf-8")
    with pytest.raises(SansfaceError, match="is damaged; remove it"):
        kept(tmp_path, "blur 0.3", {"seed": 0}, value)


# --- baselines at the same TAR ---


def test_the_least_strength_that_hides_enough(by):
    found = measure(patterns.another, by)

    def at(one: Chosen) -> Row:
        rate = replace(found.scored[0].tar, value=max(0.0, 1 - 2 * one.strength))
        return replace(found, scored=(replace(found.scored[0], tar=rate),))

    half = match("blur", 0.5, "eyes", at)
    assert half.reached
    assert half.baseline.strength == pytest.approx(0.25, abs=0.02)
    assert tar(half.row, "eyes") <= 0.5
    assert not match("blur", -1, "eyes", at).reached


# --- what is written ---


def test_tables_and_curves(by, tmp_path: Path):
    clear, other = measure(patterns.clear, by), measure(patterns.another, by)
    rows = {"clear": clear, "blur 0.1": other, "blur 0.3": replace(other, kid=0.5), "black box 1": other}
    columns, lines = tables.papers(rows)
    assert [line[0] for line in lines] == list(rows)
    assert all(len(line) == len(columns) for line in lines)
    assert lines[0][columns.index("PSNR")] == "∞"
    assert lines[2][columns.index("KID")].startswith("0.500 ±")
    assert lines[0][columns.index("POSE, ° (jitter)")] == "–"
    text = tables.write("sweep", "About.", columns, lines, tmp_path, tables.curves(rows))
    assert (tmp_path / "sweep.md").read_text(encoding="utf-8") == text
    assert len((tmp_path / "sweep.csv").read_text(encoding="utf-8").splitlines()) == 1 + len(rows)
    assert cv2.imread(str(tmp_path / "sweep.png")) is not None


def test_a_row_by_the_recogniser_that_a_method_was_tuned_with_says_so(by, monkeypatch):
    kinds = {"blur": replace(tables.KINDS["blur"], calibrated_by=("eyes",))}
    monkeypatch.setattr(tables, "KINDS", kinds)
    columns, lines = tables.papers({"blur 0.1": measure(patterns.another, by)})
    said = dict(zip(columns, lines[0], strict=True))
    assert (said["calibrated by"], said["scored by"]) == ("eyes", "eyes (tuned on it)")


# --- the sheet ---


def test_the_worst_are_on_the_sheet_and_it_shows_no_more_than_asked(by):
    def mostly_hidden(photograph, rng):
        # The photograph of the first draw alone is left as it is.
        return photograph if next(counter) == 5 else patterns.another(photograph, rng)

    counter = iter(range(100))
    pictures, _ = measured(mostly_hidden, by, with_pictures=True)
    chosen = worst_first(pictures, by.scorers, 8, np.random.default_rng(0))
    assert len(chosen) == len({place for place, _ in chosen}) == 8
    assert chosen[0] == (5, "least hidden")
    assert {reason for _, reason in chosen} == {
        "least hidden",
        "least alike",
        "no face, or expression",
        "any",
    }
    image = sheet(pictures, chosen, by.cohort)
    assert image.shape == (2 * 216, 5 * 408, 3)


def test_no_sheet_in_a_repository(tmp_path: Path):
    check_folder(tmp_path / "here" / "there")
    (tmp_path / ".git").mkdir()
    with pytest.raises(SansfaceError, match="lies in a repository"):
        check_folder(tmp_path / "here" / "there")
