"""`sansface check` on a lump of balls, photographed from all sides, with one planted fault each."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import planted_faults
from conftest import looking_at
from sansface import cli
from sansface.capture import Camera, Capture, Frame, Role
from sansface.check.calibration import calibrate
from sansface.check.coverage import coverage
from sansface.check.epipolar import Pair, features, match, sampson
from sansface.check.pipeline import check_capture
from sansface.check.silhouettes import silhouette
from sansface.formats.transforms_json import read_transforms_json, write_transforms_json
from sansface.protect.sphere import sphere_from_cameras

SIZE, VIEWS = 200, 16
LUMP = np.array([[0, 0, 0, 1.0], [0.9, 0.5, 0.3, 0.6], [-0.5, -0.9, 0.4, 0.5], [0.1, 0.2, 1.0, 0.45]])
OTHER = np.array([[0, 0, 0, 0.9], [0.8, -0.6, 0.2, 0.5], [-0.6, 0.9, 0.1, 0.55]])
CENTER = np.array([3.0, -1.0, 2.0])


def lump_picture(camera: Camera, balls: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(h, w, 3) uint8 and (h, w) uint8 mask of patterned balls (n, 4: place about CENTER, radius)."""
    rows, columns = np.mgrid[: camera.height, : camera.width] + 0.5
    origins, ways = camera.rays(np.column_stack([columns.ravel(), rows.ravel()]))
    nearest = np.full(len(ways), np.inf)
    for *place, radius in balls:
        offset = origins - CENTER - place
        b = (offset * ways).sum(axis=1)
        inside = b**2 - (offset**2).sum(axis=1) + radius**2
        nearest = np.minimum(nearest, np.where(inside > 0, -b - np.sqrt(np.maximum(inside, 0)), np.inf))
    hit = np.isfinite(nearest)
    points = origins[hit] - CENTER + nearest[hit, None] * ways[hit]
    tone = np.zeros(len(ways))
    waves = np.random.default_rng(5).normal(size=(30, 3)) * 14
    tone[hit] = 0.5 + 0.08 * np.sin(points @ waves.T + np.arange(30)).sum(axis=1)
    picture = (np.clip(tone, 0, 1) * 255).astype(np.uint8).reshape(camera.height, camera.width)
    mask = (hit * 255).astype(np.uint8).reshape(picture.shape)
    return np.repeat(picture[:, :, None], 3, axis=2), mask


@pytest.fixture(scope="module")
def lump(tmp_path_factory) -> Path:
    """Folder of a capture of the lump, and beside it `other`, the same views of another lump."""
    folder = tmp_path_factory.mktemp("lump")
    for name, balls in (("capture", LUMP), ("other", OTHER)):
        for part in ("images", "masks"):
            (folder / name / part).mkdir(parents=True)
        frames = []
        for k in range(VIEWS):
            angle = 2 * np.pi * k / VIEWS
            where = CENTER + np.array([9 * np.sin(angle), 1 + 3 * np.sin(3 * angle), 9 * np.cos(angle)])
            camera = looking_at(where, CENTER, SIZE, 2.6 * SIZE)
            picture, mask = lump_picture(camera, balls)
            image, mask_path = (folder / name / part / f"{k:02d}.png" for part in ("images", "masks"))
            cv2.imwrite(str(image), picture)
            cv2.imwrite(str(mask_path), mask)
            rear = 5 <= k <= 11
            frames.append(Frame(camera, Role.NEUTRAL if rear else Role.SENSITIVE, image, mask_path))
        write_transforms_json(Capture(tuple(frames)), folder / name)
    return folder


@pytest.fixture(scope="module")
def capture(lump) -> Capture:
    return read_transforms_json(lump / "capture")


def test_nothing_is_found_where_nothing_is_wrong(capture):
    report = check_capture(capture).report
    assert not report.findings
    assert np.nanmax(report.masks.error) < 0.6
    assert np.nanmax(report.matches.error) < 1
    assert np.nanmin(report.overlap) > 0.8
    assert report.masks.calibration.focal == pytest.approx(1, abs=0.01)
    assert report.size == pytest.approx(2.4, abs=0.4)


@pytest.mark.parametrize(
    "fault",
    ["swapped", *(pytest.param(name, marks=pytest.mark.slow) for name in ("mirrored", "focal", "stranger"))],
)
def test_a_planted_fault_is_found_and_nothing_else(fault, lump, capture, tmp_path):
    other = read_transforms_json(lump / "other")
    rng = np.random.default_rng(2)
    planted = planted_faults.FAULTS[fault](capture, [other], rng, tmp_path)
    report = check_capture(planted.capture).report
    assert planted_faults.as_it_should_be(planted, report), report.findings


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["shift", "mask shift"])
def test_half_a_pixel_is_measured_and_no_finding(fault, capture, tmp_path):
    planted = planted_faults.FAULTS[fault](capture, [], np.random.default_rng(3), tmp_path)
    report = check_capture(planted.capture).report
    assert not report.findings
    fit = report.masks.calibration
    assert fit.shift[0] == pytest.approx(planted.shift[0], abs=0.12)
    assert fit.shift[1] == pytest.approx(planted.shift[1], abs=max(0.3, 3 * fit.shift_error[1]))


@pytest.mark.slow
def test_swapped_frames_are_told_from_two_bad_ones(capture):
    frames = list(capture.frames)
    frames[3], frames[9] = (
        replace(frames[3], camera=frames[9].camera),
        replace(frames[9], camera=frames[3].camera),
    )
    (finding,) = check_capture(replace(capture, frames=tuple(frames))).report.findings
    assert finding.frames == ("03.png", "09.png")
    assert "each other's poses" in finding.sentence


def test_without_masks_the_matches_find_it_and_the_rest_is_said_to_be_unchecked(capture):
    frames = [replace(frame, mask=None) for frame in capture.frames]
    report = check_capture(replace(capture, frames=tuple(frames))).report
    assert not report.findings
    assert any("no masks" in note for note in report.notes)
    frames[3], frames[9] = (
        replace(frames[3], camera=frames[9].camera),
        replace(frames[9], camera=frames[3].camera),
    )
    report = check_capture(replace(capture, frames=tuple(frames))).report
    assert {name for finding in report.findings for name in finding.frames} == {"03.png", "09.png"}


@pytest.mark.parametrize(
    ("mend", "word"),
    [(lambda pose: np.diag([1.0, -1, -1, 1]) @ pose, "OpenGL"), (np.linalg.inv, "inverse")],
)
def test_a_wrong_convention_is_named(capture, mend, word):
    frames = [
        replace(frame, camera=replace(frame.camera, cam_from_world=mend(frame.camera.cam_from_world)))
        for frame in capture.frames
    ]
    report = check_capture(replace(capture, frames=tuple(frames))).report
    (finding,) = report.findings
    assert word in finding.sentence
    assert report.notes


@pytest.mark.slow
def test_a_camera_that_looks_away_is_named(capture):
    frame = capture.frames[4]
    away = looking_at(frame.camera.center, 3 * frame.camera.center - 2 * CENTER, SIZE, 2.6 * SIZE)
    frames = (*capture.frames[:4], replace(frame, camera=away), *capture.frames[5:])
    findings = check_capture(replace(capture, frames=frames)).report.findings
    assert [(one.kind, one.frames) for one in findings] == [("facing", ("04.png",))]


@pytest.mark.slow
def test_a_gap_and_an_impossible_size_are_found(capture):
    frames = tuple(f for k, f in enumerate(capture.frames) if not 5 <= k <= 10)
    report = check_capture(Capture(frames, "mm")).report
    assert {finding.kind for finding in report.findings} == {"gap", "scale"}
    assert report.findings[0].frames == ("04.png", "11.png")
    said = check_capture(Capture(frames, "mm", meta={"subject": "car"})).report
    assert {finding.kind for finding in said.findings} == {"gap"}


def test_sides_are_told_by_the_roles(capture):
    cameras = [frame.camera for frame in capture.frames]
    around = coverage(capture, sphere_from_cameras(cameras))
    assert around.front_known
    assert abs(around.azimuth[0]) < 12
    assert around.azimuth[4] == pytest.approx(90, abs=12)
    assert sum(around.sides().values()) == VIEWS


def test_the_command_says_it_all_and_exits_with_three(lump, tmp_path, capsys):
    numbers, picture = tmp_path / "check.json", tmp_path / "check.png"
    options = ["--json", str(numbers), "--picture", str(picture)]
    assert cli.main(["check", str(lump / "capture"), *options]) == 0
    said = capsys.readouterr().out
    assert "Nothing found" in said
    assert "03.png" in said
    document = json.loads(numbers.read_text())
    assert document["findings"] == []
    assert len(document["frames"]) == VIEWS
    assert cv2.imread(str(picture)).std() > 5
    assert cli.main(["check", str(lump / "capture"), *options]) == 1  # both files exist

    capture = read_transforms_json(lump / "capture")
    planted = planted_faults.mirrored(capture, [], np.random.default_rng(2), tmp_path)
    for part in ("images", "masks"):
        (tmp_path / part).symlink_to(lump / "capture" / part)
    write_transforms_json(planted.capture, tmp_path)
    assert cli.main(["check", str(tmp_path)]) == 3
    assert "finding: " in capsys.readouterr().out


# --- the parts against what is known in closed form ---


def test_without_masks_nobody_knows_how_large_the_subject_is(capture):
    """What the cameras see is no subject: 16 good cameras at a distance have no finding."""
    bare = replace(capture, frames=tuple(replace(frame, mask=None) for frame in capture.frames), unit="m")
    assert not [one for one in check_capture(bare).report.findings if one.kind == "scale"]


def test_masks_without_an_outline_are_named(capture, tmp_path):
    """One pixel, and all but a rim: of neither is anything left to hold against the others."""
    frames = list(capture.frames)
    for number, rim in ((3, SIZE), (8, 1)):
        mask = np.zeros((SIZE, SIZE), np.uint8)
        mask[rim:-rim, rim:-rim] = 255
        mask[:1, :1] = 255
        path = tmp_path / f"{number}.png"
        assert cv2.imwrite(str(path), mask)
        frames[number] = replace(frames[number], mask=path)
    report = check_capture(replace(capture, frames=tuple(frames))).report
    assert [finding.frames for finding in report.findings if finding.kind == "mask"] == [
        (report.names[3],),
        (report.names[8],),
    ]
    nothing = tuple(replace(frame, mask=tmp_path / "3.png") for frame in capture.frames)
    found = check_capture(replace(capture, frames=nothing)).report.findings
    assert sum(finding.kind == "mask" for finding in found) == VIEWS


def test_signed_distance_and_outline_of_a_disc():
    rows, columns = np.mgrid[:120, :120] + 0.5
    place, radius = np.array([61.3, 58.7]), 40.2
    away = np.hypot(columns - place[0], rows - place[1])
    camera = looking_at(np.array([0.0, 0, 9]), np.zeros(3), 120)
    disc = silhouette(camera, np.clip(radius - away + 0.5, 0, 1))
    assert np.abs(disc.distance - (radius - away)).mean() < 0.5
    assert np.abs(np.hypot(*(disc.outline - place).T) - radius).mean() < 0.35
    assert np.hypot(*(disc.outline.mean(axis=0) - place)) < 0.1  # no shift


def test_sampson_distance_of_exact_and_of_moved_matches():
    rng = np.random.default_rng(0)
    cameras = [looking_at(np.array([x, 1.0, 8.0]), np.zeros(3), 200, 300) for x in (0.0, 3.0)]
    points = rng.normal(size=(50, 3))
    seen = np.stack([camera.project(points)[0] for camera in cameras])
    assert np.abs(sampson(Pair(0, 1, seen), cameras)).max() < 1e-9
    seen[1, :, 1] += 2  # the baseline is level, so this is across the epipolar lines
    moved = np.abs(sampson(Pair(0, 1, seen), cameras))
    assert np.median(moved) == pytest.approx(np.sqrt(2), rel=0.05)  # shared between the two pictures


def test_features_keep_the_convention_of_pixel_centres():
    rng = np.random.default_rng(1)
    noise = cv2.GaussianBlur(rng.normal(size=(200, 200)), (0, 0), 2)
    grey = cv2.normalize(noise, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    turned = features(np.ascontiguousarray(grey[::-1, ::-1]), None)
    pair = match(0, 1, features(grey, None), turned)
    assert np.abs(np.median(pair.points.sum(axis=0), axis=0) - 200).max() < 0.05


def test_matches_tell_focal_length_and_shift():
    rng = np.random.default_rng(3)
    wrong, pairs = [], []
    for k in range(8):
        angle = 0.7 * k
        where = np.array([4 * np.sin(angle), 1.5 * np.sin(2 * angle), 4 * np.cos(angle)])
        camera = looking_at(where, np.array([0.2, 0.1 * k, 0]), 400, 500)
        points = rng.normal(size=(8, 40, 3))[k] * 0.6
        K = np.array(camera.K)
        K[:2, 2] += (1.5, -0.5)
        K[[0, 1], [0, 1]] *= 1.1
        wrong.append((camera, replace(camera, K=K), points))
    for k in range(7):
        points = wrong[k][2]
        seen = np.stack([wrong[j][0].project(points)[0] for j in (k, k + 1)])
        pairs.append(Pair(k, k + 1, seen + rng.normal(size=seen.shape) * 0.1))
    groups = np.repeat(np.arange(7), 40)

    def residuals(cameras):
        return np.concatenate([sampson(pair, cameras) for pair in pairs])

    fit = calibrate([camera for _, camera, _ in wrong], lambda _: residuals, groups)
    assert fit.focal == pytest.approx(1 / 1.1, abs=0.01)
    assert fit.significant_focal(0.07)
    assert fit.shift == pytest.approx((-1.5, 0.5), abs=0.5)
