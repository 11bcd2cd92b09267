"""protect() from files to bundle: what it computes, what never matters, and every bad input of a client."""

import json
import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from bundle_rules import decoded, violations
from conftest import BALL_CENTER, BALL_RADIUS, make_tiny_capture
from sansface.capture import Capture, Role, Sphere
from sansface.errors import SansfaceError
from sansface.formats import read_capture
from sansface.protect.bundle import bundle_bytes
from sansface.protect.operators import operator
from sansface.protect.pipeline import ProtectSettings, protect
from sansface.protect.presets import PRESETS
from sansface.protect.sheet import before_after, write_sheet

SMALL = ProtectSettings(resolution=32)
SPHERE = ProtectSettings(
    resolution=32, center=tuple(BALL_CENTER), radius=2.5
)  # saves carving where it is no matter


@pytest.fixture(scope="module")
def ball(tmp_path_factory) -> Capture:
    return read_capture(make_tiny_capture(tmp_path_factory.mktemp("ball") / "capture"))


def test_a_capture_becomes_a_valid_bundle(ball):
    seen = []
    bundle = protect(ball, SMALL, progress=lambda done, total: seen.append((done, total)))
    data = bundle_bytes(bundle)
    assert violations(data) == []
    assert data == bundle_bytes(protect(ball, SMALL))  # same input, same bytes
    assert seen == [(index, 8) for index in range(1, 9)]
    assert [frame.role for frame in bundle.frames].count(Role.NEUTRAL) == 3
    assert (bundle.unit, bundle.sphere_source, bundle.resolution) == ("mm", "masks", 32)
    assert np.linalg.norm(bundle.center - BALL_CENTER) + BALL_RADIUS <= bundle.radius


def test_values_are_sigma_of_the_area_average(ball):
    """σ again, by the obvious way: reshape to blocks, mean, kernels."""
    bundle = protect(ball, replace(SPHERE, bits=16))
    for frame, out in zip(ball.frames, bundle.frames, strict=True):
        colour = cv2.imread(str(frame.image))[:, :, ::-1] / 255.0
        mask = cv2.imread(str(frame.mask), cv2.IMREAD_GRAYSCALE) / 255.0
        blocks = (colour * mask[:, :, None]).reshape(32, 3, 32, 3, 3).mean(axis=(1, 3))
        coverage = mask.reshape(32, 3, 32, 3).mean(axis=(1, 3))
        np.testing.assert_allclose(out.mask / 255.0, coverage, atol=0.51 / 255)
        if frame.role is Role.NEUTRAL:
            np.testing.assert_allclose(out.values(), blocks, atol=1e-4)
            continue
        sigma = operator("sobel")(blocks.astype(np.float32))
        shared = out.shared()
        np.testing.assert_allclose(out.values()[shared], sigma[shared], atol=2e-5)
        inner = np.pad(coverage >= 1 - 1e-6, 1, mode="edge")
        expected = np.lib.stride_tricks.sliding_window_view(inner, (3, 3)).all(axis=(2, 3))
        np.testing.assert_array_equal(shared, expected)
    largest = max(frame.values().max() for frame in bundle.frames if frame.role is Role.SENSITIVE)
    assert bundle.scale - 1 / 256 < largest <= bundle.scale


STRONG = replace(SPHERE, operator="log", blur=0.5, bits=6, noise=0.01, gain=0.5)


def test_strengths_are_drawn_anew_each_time_and_stay_with_the_client(ball):
    """Nothing in the file tells the draws: given the same ones it is the same file, else another."""
    one, two = bundle_bytes(protect(ball, STRONG)), bundle_bytes(protect(ball, STRONG))
    assert violations(one) == violations(two) == []
    assert one != two
    drawn = [bundle_bytes(protect(ball, STRONG, rng=np.random.default_rng(seed))) for seed in (7, 7, 8)]
    assert drawn[0] == drawn[1] != drawn[2]
    manifest = decoded(one)["manifest"]
    assert (manifest["noise"], manifest["gain"], manifest["bits"]) == (0.01, True, 6)


def test_each_sensitive_view_has_a_gain_of_its_own(ball):
    settings = replace(SPHERE, gain=0.5, bits=16)
    plain = protect(ball, replace(SPHERE, bits=16))
    gains = []
    drawn = protect(ball, settings, rng=np.random.default_rng(0))
    for before, after in zip(plain.frames, drawn.frames, strict=True):
        if before.role is Role.NEUTRAL:
            np.testing.assert_array_equal(before.image, after.image)
            continue
        np.testing.assert_array_equal(before.shared(), after.shared())
        values = before.values() > 0.02
        ratio = after.values()[values] / before.values()[values]
        np.testing.assert_allclose(ratio, np.median(ratio), rtol=5e-3)
        gains.append(np.median(ratio))
    assert len({round(float(gain), 3) for gain in gains}) == len(gains) == 5
    assert min(gains) > 0.49
    assert max(gains) < 1.01


def test_noise_is_on_the_shared_pixels_alone(ball):
    plain = protect(ball, replace(SPHERE, bits=16))
    noisy = protect(ball, replace(SPHERE, bits=16, noise=0.01))
    for before, after in zip(plain.frames, noisy.frames, strict=True):
        if before.role is Role.SENSITIVE:
            np.testing.assert_array_equal(before.shared(), after.shared())
            bright = before.values() > 0.03
            assert np.std(after.values()[bright] - before.values()[bright]) == pytest.approx(0.01, rel=0.3)
        else:
            np.testing.assert_array_equal(before.image, after.image)


@pytest.mark.parametrize("bits", [1, 4, 8, 9])
def test_neutral_colours_keep_whole_words(ball, bits):
    bundle = protect(ball, replace(SPHERE, bits=bits))
    full = protect(ball, replace(SPHERE, bits=8 if bits <= 8 else 16))
    assert violations(bundle_bytes(bundle)) == []
    for one, other in zip(bundle.frames, full.frames, strict=True):
        if one.role is Role.NEUTRAL:
            np.testing.assert_array_equal(one.image, other.image)
        else:
            assert 1 < len(np.unique(one.image)) <= 2**bits + 1


def test_cameras_arrive_scaled_and_normalised(ball):
    bundle = protect(ball, SPHERE)
    points = BALL_CENTER + np.random.default_rng(0).normal(size=(20, 3))
    for frame, out in zip(ball.frames, bundle.frames, strict=True):
        full, _ = frame.camera.project(points)
        small, _ = out.camera.project((points - bundle.center) / bundle.radius)
        np.testing.assert_allclose(small * 3, full, atol=1e-9)


def test_the_background_does_not_matter_at_all(tmp_path):
    """Two captures of the same ball before different walls give the same bytes."""
    one, two = (
        read_capture(make_tiny_capture(tmp_path / str(background), background)) for background in (0.2, 1.0)
    )
    settings = replace(SPHERE, resolution=40)  # a factor that is not whole
    assert one.frames[0].image.read_bytes() != two.frames[0].image.read_bytes()
    assert bundle_bytes(protect(one, settings)) == bundle_bytes(protect(two, settings))


def test_names_and_places_do_not_matter(tmp_path, ball):
    moved = tuple(
        replace(frame, image=Path(_copied(frame.image, tmp_path / f"Jane-Roe-{index}.png")))
        for index, frame in enumerate(ball.frames)
    )
    assert bundle_bytes(protect(replace(ball, frames=moved), SPHERE)) == bundle_bytes(protect(ball, SPHERE))


def _copied(source: Path, target: Path) -> Path:
    target.write_bytes(source.read_bytes())
    return target


@pytest.mark.parametrize("by", ["dots", "a link", "a hard link"])
def test_a_photograph_that_is_there_by_two_names_is_refused(tmp_path, by):
    """Neutral by the one, it would leave in colour, whatever the other says."""
    folder = make_tiny_capture(tmp_path / "ball")
    capture = read_capture(folder)
    sensitive = next(frame for frame in capture.frames if frame.role is Role.SENSITIVE)
    other = sensitive.image.parent / ".." / sensitive.image.parent.name / sensitive.image.name
    if by != "dots":
        other = tmp_path / "other.png"
        (other.symlink_to if by == "a link" else other.hardlink_to)(sensitive.image)
    twice = replace(sensitive, image=other, role=Role.NEUTRAL)
    with pytest.raises(SansfaceError, match="are one photograph"):
        protect(replace(capture, frames=(*capture.frames, twice)), ProtectSettings(resolution=24))


def test_masks_are_shared_only_if_the_user_agrees(ball):
    bundle = protect(ball, replace(SPHERE, share_masks=False))
    assert all(frame.mask is None for frame in bundle.frames)
    with_masks = protect(ball, SPHERE)
    for one, other in zip(bundle.frames, with_masks.frames, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
    assert violations(bundle_bytes(bundle)) == []


@pytest.mark.parametrize("preset", ["strict", "paranoid"])
def test_the_stronger_presets_know_nothing_of_what_is_inside_the_outline(tmp_path, ball, preset):
    """Two captures that differ in every sensitive pixel of the subject give the same bytes, but for σ."""
    settings = replace(ProtectSettings(resolution=32), share=PRESETS[preset])
    frames = []
    for index, frame in enumerate(ball.frames):
        path = tmp_path / f"{index}.png"
        picture = cv2.imread(str(frame.image))
        noise = np.random.default_rng(index).integers(0, 256, picture.shape, dtype=np.uint8)
        cv2.imwrite(str(path), noise if frame.role is Role.SENSITIVE else picture)
        frames.append(replace(frame, image=path))
    other = replace(ball, frames=tuple(frames))
    data = bundle_bytes(protect(ball, settings))
    assert violations(data) == []
    assert data == bundle_bytes(protect(other, settings))
    standard = replace(settings, share=PRESETS["standard"])
    assert bundle_bytes(protect(ball, standard)) != bundle_bytes(protect(other, standard))


def test_paranoid_knows_no_outline_either(tmp_path, ball):
    """Not even the bounding sphere follows from the masks of sensitive photographs."""
    settings = replace(ProtectSettings(resolution=32), share=PRESETS["paranoid"])
    ball = replace(ball, sphere=None)
    frames = []
    for index, frame in enumerate(ball.frames):
        mask = cv2.imread(str(frame.mask), cv2.IMREAD_GRAYSCALE)
        if frame.role is Role.SENSITIVE:
            mask = cv2.erode(mask, np.ones((5, 5), np.uint8))
        cv2.imwrite(str(tmp_path / f"{index}.png"), mask)
        frames.append(replace(frame, mask=tmp_path / f"{index}.png"))
    other = replace(ball, frames=tuple(frames))
    assert bundle_bytes(protect(ball, settings)) == bundle_bytes(protect(other, settings))
    strict = replace(settings, share=PRESETS["strict"])
    assert bundle_bytes(protect(ball, strict)) != bundle_bytes(protect(other, strict))
    # As `capture` writes it down, of all masks: it is left, and used where outlines are shared anyway.
    wide, tight = (
        replace(one, sphere=Sphere(np.zeros(3), r, "masks")) for one, r in ((ball, 2.1), (other, 1.9))
    )
    assert bundle_bytes(protect(wide, settings)) == bundle_bytes(protect(tight, settings))
    assert protect(wide, strict).radius == 2.1
    assert protect(replace(wide, sphere=Sphere(np.zeros(3), 2.1, "given")), settings).radius == 2.1


def test_alpha_serves_as_mask_and_other_depths_are_read(tmp_path, ball):
    """The same picture as RGBA without a mask file, and with 16 bits, gives the same bundle."""
    frames = []
    for index, frame in enumerate(ball.frames):
        picture = cv2.imread(str(frame.image))
        mask = cv2.imread(str(frame.mask), cv2.IMREAD_GRAYSCALE)
        rgba = np.dstack([picture, mask])
        rgba = rgba.astype(np.uint16) * 257 if index % 2 else rgba
        cv2.imwrite(str(tmp_path / f"{index}.png"), rgba)
        frames.append(replace(frame, image=tmp_path / f"{index}.png", mask=None))
    assert bundle_bytes(protect(replace(ball, frames=tuple(frames)), SPHERE)) == bundle_bytes(
        protect(ball, SPHERE)
    )


def test_grey_pictures_are_tolerated(tmp_path, ball):
    grey = cv2.imread(str(ball.frames[0].image), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(tmp_path / "grey.png"), grey)
    frames = (replace(ball.frames[0], image=tmp_path / "grey.png"), *ball.frames[1:])
    assert protect(replace(ball, frames=frames), SPHERE).frames[0].shared().any()


def test_nearly_white_masks_count_as_white(tmp_path, ball):
    mask = cv2.imread(str(ball.frames[0].mask), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(tmp_path / "mask.png"), np.where(mask == 255, 252, 3).astype(np.uint8))
    frames = (replace(ball.frames[0], mask=tmp_path / "mask.png"), *ball.frames[1:])
    assert bundle_bytes(protect(replace(ball, frames=frames), SPHERE)) == bundle_bytes(protect(ball, SPHERE))


def test_the_sphere_can_be_overridden_in_part(ball):
    found = protect(ball, SMALL)
    wider = protect(ball, replace(SMALL, radius=3.5))
    assert (wider.radius, wider.sphere_source) == (3.5, "given")
    np.testing.assert_array_equal(wider.center, found.center)


def changed(ball: Capture, index: int, **changes) -> Capture:
    frames = list(ball.frames)
    frames[index] = replace(frames[index], **changes)
    return replace(ball, frames=tuple(frames))


def refusal(capture: Capture, settings: ProtectSettings = SPHERE) -> str:
    with pytest.raises(SansfaceError) as caught:
        protect(capture, settings)
    text = str(caught.value)
    assert "\n" not in text
    assert text.endswith(".")
    return text


def relabelled(ball: Capture, *neutral: int) -> Capture:
    frames = tuple(
        replace(frame, role=Role.NEUTRAL if index in neutral else Role.SENSITIVE)
        for index, frame in enumerate(ball.frames)
    )
    return replace(ball, frames=frames)


def test_roles_that_cannot_work(ball):
    assert "all frames are neutral" in refusal(relabelled(ball, *range(8)))
    assert "one neutral frame is too few" in refusal(relabelled(ball, 4))
    assert "2 sensitive frames are too few" in refusal(relabelled(ball, *range(6)))
    paranoid = replace(SPHERE, share=PRESETS["paranoid"])
    assert "nothing is left" in refusal(relabelled(ball), replace(paranoid, center=None, radius=None))


def test_every_frame_may_be_sensitive(ball):
    bundle = protect(relabelled(ball), SPHERE)
    assert {frame.role for frame in bundle.frames} == {Role.SENSITIVE}
    assert all(frame.image.ndim == 2 for frame in bundle.frames)


@pytest.mark.parametrize("index", [0, 4])  # a sensitive one, a neutral one
def test_no_frame_without_mask(ball, index):
    text = refusal(changed(ball, index, mask=None))
    assert f"{index:03d}.png has no mask" in text
    assert ball.frames[index].role in text


@pytest.mark.parametrize(
    ("picture", "says"),
    [
        (np.zeros((96, 96), np.uint8), "is empty"),
        (np.ones((96, 96), np.uint8), "is empty"),  # a mask of 0 and 1
        (np.full((96, 96), 255, np.uint8), "white all over"),
        (np.full((96, 64), 255, np.uint8), "64 x 96, but its intrinsics are for 96 x 96"),
        (np.dstack([np.eye(96, dtype=np.uint8) * 255] * 2 + [np.zeros((96, 96), np.uint8)]), "coloured"),
    ],
)
def test_bad_masks_are_named(tmp_path, ball, picture, says):
    cv2.imwrite(str(tmp_path / "mask.png"), picture)
    text = refusal(changed(ball, 2, mask=tmp_path / "mask.png"))
    assert says in text
    assert "mask.png" in text


def test_bad_photographs_are_named(tmp_path, ball):
    path = tmp_path / "photo.png"
    assert "photo.png is missing" in refusal(changed(ball, 0, image=path))
    path.write_bytes(b"")
    assert "cannot be decoded" in refusal(changed(ball, 0, image=path))
    path.write_bytes(b"no picture at all")
    assert "cannot be decoded" in refusal(changed(ball, 0, image=path))
    whole = ball.frames[0].image.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "cut short" in refusal(changed(ball, 0, image=path))
    photo = cv2.imencode(".jpg", cv2.imread(str(ball.frames[0].image)))[1].tobytes()
    path.write_bytes(photo[: len(photo) // 2])
    assert "cut short" in refusal(changed(ball, 0, image=path))
    path.write_bytes(photo)
    assert protect(changed(ball, 0, image=path), SPHERE).resolution == 32
    assert "cannot read the photograph" in refusal(changed(ball, 0, image=tmp_path))


def test_sizes_unlike_the_intrinsics(tmp_path, ball):
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), np.zeros((96, 80, 3), np.uint8))
    text = refusal(changed(ball, 0, image=path))
    assert "photo.png is 80 x 96, but its intrinsics are for 96 x 96" in text
    camera = ball.frames[0].camera.resized(96, 80)
    assert "lies on its side" in refusal(changed(ball, 0, image=path, camera=camera))


def test_pictures_of_floats_are_refused(tmp_path, ball):
    path = tmp_path / "photo.tiff"
    cv2.imwrite(str(path), np.zeros((96, 96, 3), np.float32))
    assert "8 or 16 bits" in refusal(changed(ball, 0, image=path))


def test_a_resolution_above_the_photographs(ball):
    assert "fewer than the resolution 128" in refusal(ball, replace(SPHERE, resolution=128))


def test_a_subject_that_is_all_outline(tmp_path, ball):
    mask = np.zeros((96, 96), np.uint8)
    mask[40:46, 40:46] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    assert "000.png is all outline at 32 pixels" in refusal(changed(ball, 0, mask=tmp_path / "mask.png"))
    assert "blur less" in refusal(ball, replace(SPHERE, blur=8.0))


def test_a_camera_inside_the_subject_is_named(ball):
    """Where the sphere is found, too, and would be cut down to nothing."""
    camera = ball.frames[3].camera
    pose = camera.cam_from_world.copy()
    pose[:3, 3] = 0.05 * pose[:3, 3]  # almost at the ball's middle, with the same direction
    text = refusal(changed(ball, 3, camera=replace(camera, cam_from_world=pose)), ProtectSettings())
    assert f"the camera of {ball.frames[3].image} is inside the bounding sphere" in text


def test_a_camera_out_of_the_world_is_named(ball):
    """A slip of units, say: with it the mask would show what is a speck there."""
    camera = ball.frames[3].camera
    pose = camera.cam_from_world.copy()
    pose[:3, 3] *= 1e6
    text = refusal(changed(ball, 3, camera=replace(camera, cam_from_world=pose)), SPHERE)
    assert f"the camera of {ball.frames[3].image} is so far away" in text
    assert "less than a pixel wide; correct the pose" in text


def test_a_sphere_that_hardly_a_camera_sees(ball):
    text = refusal(ball, replace(SPHERE, center=(500.0, 0.0, 0.0)))
    assert "cameras see anything of the bounding sphere; correct its center" in text


def test_a_camera_inside_the_sphere_is_named(ball):
    text = refusal(ball, replace(SPHERE, radius=8.3))
    assert "inside the bounding sphere" in text
    assert ".png" in text


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"resolution": 4}, "resolution 4"),
        ({"resolution": 5000}, "resolution 5000"),
        ({"bits": 0}, "0 bits"),
        ({"bits": 17}, "17 bits"),
        ({"noise": -0.1}, "noise -0.1"),
        ({"noise": float("nan")}, "noise nan"),
        ({"gain": 0.0}, "gain 0.0"),
        ({"gain": 1.5}, "gain 1.5"),
        ({"blur": 9.0}, "blur 9.0"),
        ({"operator": "log", "blur": 0.0}, "blur above 0"),
        ({"operator": "canny"}, "no operator"),
    ],
)
def test_settings_out_of_range(changes, says):
    with pytest.raises(SansfaceError, match=says):
        ProtectSettings(**changes)


def test_a_radius_that_is_none(ball):
    assert "not a positive number" in refusal(ball, replace(SPHERE, radius=-1.0))


def test_the_sheet_stays_away_from_the_bundle(tmp_path, ball):
    bundle = protect(ball, SPHERE)
    sheet = before_after(ball, bundle)
    assert sheet.ndim == 3
    (tmp_path / "out").mkdir()
    with pytest.raises(SansfaceError, match="beside the bundle"):
        write_sheet(sheet, tmp_path / "out" / "sheet.png", tmp_path / "out" / "head.sfb")
    with pytest.raises(SansfaceError, match="beside the bundle"):
        write_sheet(sheet, tmp_path / "x" / ".." / "out" / "sheet.png", tmp_path / "out" / "head.sfb")
    (tmp_path / "out" / "link.png").symlink_to(tmp_path / "elsewhere.png")
    with pytest.raises(SansfaceError, match="beside the bundle"):
        write_sheet(sheet, tmp_path / "out" / "link.png", tmp_path / "out" / "head.sfb")
    (tmp_path / "out" / "link.png").unlink()
    write_sheet(sheet, tmp_path / "sheet.png", tmp_path / "out" / "head.sfb")
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "sheet.png"))[:, :, ::-1], sheet)
    assert os.listdir(tmp_path / "out") == []
    with pytest.raises(SansfaceError, match="different numbers"):
        before_after(replace(ball, frames=ball.frames[:-1]), bundle)


def test_a_scanned_head(shared_captures):
    """Its own sphere is used where it states one; without, the hull still covers what the cameras see."""
    capture = read_capture(shared_captures / "lps")
    meta = json.loads((shared_captures / "lps" / "meta.json").read_text())
    bundle = protect(capture)
    assert violations(bundle_bytes(bundle)) == []
    assert (bundle.radius, bundle.sphere_source) == (meta["radius"], "given")
    found = protect(replace(capture, sphere=None))
    assert found.sphere_source == "masks"
    assert 0.8 * meta["radius"] < found.radius < 1.5 * meta["radius"]
    assert np.linalg.norm(found.center - bundle.center) < 0.3 * meta["radius"]
