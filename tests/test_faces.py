"""Masks and roles. What needs the models is skipped by name where they are not; the rules need none."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from conftest import looking_at
from sansface import assets
from sansface.capture import Camera, Capture, Frame, Role
from sansface.cli import main
from sansface.errors import SansfaceError
from sansface.faces import detectors as d
from sansface.faces.direction import CHIN, LEFT, NASION, NOSE, RIGHT, find_head
from sansface.faces.labels import annotate
from sansface.faces.roles import decide, face_forward, overrides, vector
from sansface.faces.segment import make_masks
from sansface.faces.tell import check_no_bundle_beside, sheet
from sansface.formats import convert, read_capture

FACE = {NASION: (0, 1, 2), CHIN: (0, -1.2, 2), NOSE: (0, 0.3, 2.6)} | dict(
    zip((*RIGHT, *LEFT), [(-1, 0.9, 1.5), (-0.4, 0.9, 1.7), (-0.5, -0.4, 1.8)] * 2, strict=True)
)
FACE |= {index: (-FACE[index][0], *FACE[index][1:]) for index in LEFT}
"""Places of the landmarks that are used, in a head whose face looks along +z with +y up."""


def found_at(pixels: np.ndarray, score: float = 0.9) -> d.Finding:
    return d.Finding("landmarks", score, np.array([0, 0, 40, 40.0]), pixels)


def seen_by(camera: Camera, noise: float, rng: np.random.Generator) -> d.Finding:
    """The mesh as that camera would see it."""
    mesh = np.zeros((468, 3))
    mesh[list(FACE)] = list(FACE.values())
    pixels, _ = camera.project(mesh)
    return found_at(pixels + rng.normal(size=pixels.shape) * noise)


def ring(angles: list[float], noise: float = 0.0, seed: int = 0) -> tuple[Capture, list[list[d.Finding]]]:
    """Cameras at those angles from the front, and what is seen of the face from within 70°."""
    rng = np.random.default_rng(seed)
    frames, seen = [], []
    for index, angle in enumerate(angles):
        at = 30 * np.array([np.sin(np.radians(angle)), 0.05 * (index % 3), np.cos(np.radians(angle))])
        camera = looking_at(at, np.zeros(3), 512, 900.0)
        frames.append(Frame(camera, Role.SENSITIVE, Path(f"images/{index:03d}.png")))
        seen.append([seen_by(camera, noise, rng)] if abs(angle) < 70 else [])
    return Capture(tuple(frames)), seen


AROUND = [0.0, 30, -30, 60, 90, 120, 125, 135, 150, 180, -135, -100]


def test_neutral_is_behind_and_faceless_only():
    capture, seen = ring(AROUND)
    decisions = decide(capture, seen=seen)
    assert [one.role is Role.NEUTRAL for one in decisions] == [abs(angle) > 130 for angle in AROUND]
    for one, angle in zip(decisions, AROUND, strict=True):
        assert one.angle == pytest.approx(abs(angle), abs=2.5)
    seen[9] = [d.Finding("short range", 0.71, np.array([1, 2, 3, 4.0]), turned=90, mirrored=True)]
    behind = decide(capture, seen=seen)[9]
    assert behind.role is Role.SENSITIVE
    assert behind.reasons == ("face by the short-range detector (0.71, turned 90°, mirrored)",)


@pytest.mark.parametrize("seed", range(3))
def test_forward_follows_the_world_and_bears_noise(seed: int):
    capture, seen = ring(AROUND, noise=0.4, seed=seed)  # of a face of 66 pixels
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    rotation *= np.sign(np.linalg.det(rotation))
    scale, shift = 0.01, rng.normal(size=3)
    moved = []
    for frame in capture.frames:  # x' = scale · R x + shift
        pose = np.array(frame.camera.cam_from_world)
        pose[:3, 3] = scale * pose[:3, 3] - pose[:3, :3] @ rotation.T @ shift
        pose[:3, :3] = pose[:3, :3] @ rotation.T
        moved.append(replace(frame, camera=Camera(frame.camera.K, 512, 512, pose)))
    forward = face_forward(Capture(tuple(moved)), seen)
    assert forward is not None
    assert np.degrees(np.arccos(forward @ rotation[:, 2])) < 3


def test_one_wrong_view_does_not_turn_the_head_and_many_hide_it():
    capture, seen = ring([0, 20, -20, 40, -40, 180])
    wrong = found_at(np.random.default_rng(0).uniform(0, 512, (468, 2)))
    head = find_head(capture, [[wrong] if index == 3 else one for index, one in enumerate(seen)])
    assert head is not None
    assert head.forward[2] > np.cos(np.radians(3))
    rng = np.random.default_rng(1)
    lost = [[found_at(rng.uniform(0, 512, (468, 2)))] if one else [] for one in seen]
    assert find_head(capture, lost) is None


@pytest.mark.parametrize("angles", [[180.0, 150], [0.0, 150], [0.0, 0.5, 170]])
def test_where_the_direction_is_not_known_all_is_sensitive(angles: list[float]):
    capture, seen = ring(angles)
    decisions = decide(capture, seen=seen)
    assert all(one.role is Role.SENSITIVE and "--front" in one.reasons[-1] for one in decisions)
    told = decide(capture, forward=(0, 0, 2.0), seen=seen)
    assert told[-1].role is (Role.NEUTRAL if abs(angles[-1]) > 130 else Role.SENSITIVE)


def test_front_and_forward_are_believed_unless_the_faces_contradict():
    capture, seen = ring(AROUND)
    assert [one.role for one in decide(capture, "000", seen=seen)] == [
        one.role for one in decide(capture, seen=seen)
    ]
    with pytest.raises(SansfaceError, match="from where the photographs show the face"):
        decide(capture, "009.png", seen=seen)
    with pytest.raises(SansfaceError, match="same thing twice"):
        decide(capture, "000", forward=(0, 0, 1), seen=seen)
    for nothing in ((0, 0, 0), (1, 2), (float("nan"), 0, 1)):
        with pytest.raises(SansfaceError, match="not three numbers with a length"):
            decide(capture, forward=nothing, seen=seen)


def test_a_given_front_makes_nothing_neutral_that_the_faces_show_from_the_side():
    """40° beside the front, on the other side, is no contradiction yet; 95° from the face is a profile."""
    capture, seen = ring([0.0, 30, -30, 60, 40, -95, 95, 180])
    decisions = decide(capture, "004", seen=seen)
    assert [one.role is Role.NEUTRAL for one in decisions] == [False] * 7 + [True]
    assert decisions[5].angle == pytest.approx(95, abs=2.5)


def test_overrides():
    capture, seen = ring(AROUND)
    assert decide(capture, overrides={"009.png": Role.SENSITIVE}, seen=seen)[9].role is Role.SENSITIVE
    both = {"images/009.png": Role.SENSITIVE, "009": Role.NEUTRAL}
    assert decide(capture, overrides=both, understood=True, seen=seen)[9].role is Role.SENSITIVE
    with pytest.raises(SansfaceError, match="say --i-understand"):
        decide(capture, overrides={"000.png": Role.NEUTRAL}, seen=seen)
    with pytest.raises(SansfaceError, match=r"12\d° from the front, not beyond 130°.*--i-understand"):
        decide(capture, overrides={"005.png": Role.NEUTRAL}, seen=seen)
    taken = decide(capture, overrides={"000.png": Role.NEUTRAL}, understood=True, seen=seen)[0]
    assert (taken.role, taken.reasons[0]) == (Role.NEUTRAL, "neutral by --role")
    with pytest.raises(SansfaceError, match="no photograph called 999"):
        decide(capture, overrides={"999": Role.SENSITIVE}, seen=seen)


def test_words_of_the_command_line():
    assert overrides(["a=b.png=neutral", "a=b.png=sensitive"]) == {"a=b.png": Role.SENSITIVE}
    assert overrides(["x=sensitive", "x=neutral"]) == {"x": Role.SENSITIVE}
    assert vector("-1,0,2.5") == (-1, 0, 2.5)
    for word in ("x", "=neutral", "x=rear"):
        with pytest.raises(SansfaceError, match="NAME=sensitive or NAME=neutral"):
            overrides([word])
    with pytest.raises(SansfaceError, match="X,Y,Z"):
        vector("1,2")


def test_without_models_all_is_sensitive_and_said(
    tiny_capture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv(assets.MIRROR, str(tmp_path / "nothing"))
    before = (tiny_capture / "transforms.json").read_bytes()
    assert main(["roles", str(tiny_capture), "--forward", "0,0,1"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "no detector could look" in said
    assert "0 neutral, 8 sensitive" in said
    assert main(["roles", str(tiny_capture), "--forward", "0,0,1", "--write"]) == 1
    assert "says roles already" in capsys.readouterr().err
    assert (tiny_capture / "transforms.json").read_bytes() == before
    assert main(["roles", str(tiny_capture), "--forward", "0,0,1", "--write", "--overwrite"]) == 0
    assert all(frame.role is Role.SENSITIVE for frame in read_capture(tiny_capture).frames)
    after = json.loads((tiny_capture / "transforms.json").read_bytes())
    for document in (old := json.loads(before), after):
        for entry in document["frames"]:
            del entry["role"]
    assert old == after  # nothing else was touched
    assert main(["roles", str(tiny_capture), "--role", "004.png=neutral"]) == 1
    assert "--i-understand" in capsys.readouterr().err


def test_a_capture_that_changed_meanwhile_is_not_labelled(tiny_capture: Path):
    with pytest.raises(SansfaceError, match="has changed since it was read"):
        annotate(tiny_capture, "role", {tiny_capture / "images/000.png": "neutral"})
    with pytest.raises(SansfaceError, match="sansface convert"):
        annotate(tiny_capture / "images", "role", {})


def test_masks_keep_a_hand_s_work_and_take_alpha(tiny_capture: Path):
    first, second = tiny_capture / "masks/000.png", tiny_capture / "masks/001.png"
    drawn = first.read_bytes()
    mask, image = cv2.imread(str(second), 0), tiny_capture / "images/001.png"
    assert mask is not None
    cv2.imwrite(str(image), np.dstack([cv2.imread(str(image)), mask]))
    second.unlink()
    assert make_masks(read_capture(tiny_capture), tiny_capture) == {
        "kept": 7, "from alpha": 1, "from the model": 0,
    }  # fmt: skip
    assert first.read_bytes() == drawn
    assert np.array_equal(cv2.imread(str(second), 0), mask)


def test_labels_go_to_the_photograph_of_that_suffix(tiny_capture: Path):
    """000.png, which its entry names without the suffix, and 000.jpg."""
    shutil.copy(tiny_capture / "images/001.png", tiny_capture / "images/000.jpg")
    path = tiny_capture / "transforms.json"
    document = json.loads(path.read_bytes())
    names = {"images/000.png": "images/000", "images/001.png": "images/000.jpg"}
    for entry in document["frames"]:
        entry["file_path"] = names.get(entry["file_path"], entry["file_path"])
    path.write_text(json.dumps(document))
    images = [frame.image for frame in read_capture(tiny_capture).frames]
    said = {image: "sensitive" if image.name == "000.png" else "neutral" for image in images}
    annotate(tiny_capture, "role", said)
    assert {frame.image: frame.role for frame in read_capture(tiny_capture).frames} == said


def test_photographs_of_one_name_in_two_folders_have_masks_of_their_own(tiny_capture: Path):
    path = tiny_capture / "transforms.json"
    document = json.loads(path.read_bytes())
    masks = []
    for index, entry in enumerate(document["frames"]):
        mask = cv2.imread(str(tiny_capture / entry.pop("mask_path")), 0)
        mask[0, 0] = index + 1  # tells them apart
        masks.append(mask)
        picture = np.dstack([cv2.imread(str(tiny_capture / entry["file_path"])), mask])
        entry["file_path"] = f"{('front', 'rear')[index % 2]}/{index // 2}.png"
        image = tiny_capture / entry["file_path"]
        image.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(image), picture)
    path.write_text(json.dumps(document))
    capture = read_capture(tiny_capture)
    assert make_masks(capture, tiny_capture)["from alpha"] == 8
    for entry in json.loads(path.read_bytes())["frames"]:
        where, number = entry["file_path"].removesuffix(".png").split("/")
        made = cv2.imread(str(tiny_capture / entry["mask_path"]), 0)
        assert np.array_equal(made, masks[2 * int(number) + (where == "rear")])
    shared = [replace(frame, mask=tiny_capture / "masks/one.png") for frame in capture.frames]
    with pytest.raises(SansfaceError, match=r"would both have the mask .*one\.png"):
        make_masks(replace(capture, frames=tuple(shared)), tiny_capture)


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("images/001.png", "take the place of a photograph"),
        ("../elsewhere.png", "outside the capture's folder"),
    ],
)
def test_no_file_but_a_mask_is_written_by_a_captures_word(tiny_capture: Path, say, place: str, says: str):
    path, other = tiny_capture / "transforms.json", tiny_capture / place
    other.write_bytes(before := (tiny_capture / "images/001.png").read_bytes())
    document = json.loads(path.read_bytes())
    document["frames"][0]["mask_path"] = place
    path.write_text(json.dumps(document))
    code, _, error = say("masks", tiny_capture, "--overwrite")
    assert code == 1
    assert says in error
    assert other.read_bytes() == before


def test_masks_are_not_drawn_where_the_format_does_not_look(tmp_path: Path, tiny_capture: Path, say):
    capture = read_capture(tiny_capture)
    bare = replace(capture, frames=tuple(replace(frame, mask=None) for frame in capture.frames))
    convert(bare, tmp_path / "npz", "npz")
    code, _, error = say("masks", tmp_path / "npz")
    assert code == 1
    assert "the format npz has its own place for masks" in error
    assert not (tmp_path / "npz" / "masks").exists()


def test_masks_that_say_nothing_stop(tiny_capture: Path):
    mask, image = tiny_capture / "masks/003.png", tiny_capture / "images/003.png"
    for value in (0, 255):
        cv2.imwrite(str(mask), np.full((96, 96), value, np.uint8))
        with pytest.raises(SansfaceError, match=r"003\.png is (empty|white all over)"):
            make_masks(read_capture(tiny_capture), tiny_capture)
    mask.unlink()
    alpha = np.zeros((96, 96), np.uint8)
    alpha[0, 0] = 60  # some, but nowhere half
    cv2.imwrite(str(image), np.dstack([cv2.imread(str(image)), alpha]))
    with pytest.raises(SansfaceError, match=r"from alpha of .*003\.png covers nothing"):
        make_masks(read_capture(tiny_capture), tiny_capture)
    assert not mask.exists()


def test_masks_are_found_again_by_the_capture(tiny_capture: Path):
    path = tiny_capture / "transforms.json"
    document = json.loads(path.read_bytes())
    for entry in document["frames"]:
        name = tiny_capture / entry["file_path"]
        mask = cv2.imread(str(tiny_capture / entry.pop("mask_path")), 0)
        cv2.imwrite(str(name), np.dstack([cv2.imread(str(name)), mask]))
    path.write_text(json.dumps(document))
    assert main(["masks", str(tiny_capture)]) == 0
    frames = read_capture(tiny_capture).frames
    assert {frame.mask for frame in frames} == {
        tiny_capture / f"masks/{index:03d}.png.png" for index in range(8)
    }


def test_the_sheet_never_lies_beside_a_bundle(tmp_path: Path, tiny_capture: Path):
    check_no_bundle_beside(tmp_path / "sheet.png")
    (tmp_path / "head.sfb").write_bytes(b"")
    with pytest.raises(SansfaceError, match="beside a bundle"):
        check_no_bundle_beside(tmp_path / "sheet.png")
    decisions = decide(read_capture(tiny_capture), seen=[[]] * 8, forward=(0, 0, 1))
    picture = sheet(decisions)
    assert picture.shape == (2 * 278, 6 * 262, 3)
    assert picture[16, 0].tolist() == [230, 90, 80]


# --- with the models ---


@pytest.fixture
def lps(shared_captures: Path, shared_assets: Path) -> Capture:
    pytest.importorskip("ai_edge_litert")
    return read_capture(shared_captures / "lps")


def colours(frame: Frame) -> np.ndarray:
    picture = cv2.imread(str(frame.image))
    assert picture is not None
    return np.ascontiguousarray(picture[:, :, ::-1])


def best_face(picture: np.ndarray, loaded: d.Detectors) -> np.ndarray:
    found = d.find_faces(np.ascontiguousarray(picture), loaded)
    landmarks = next(one for one in found if one.kind == "face").landmarks
    assert landmarks is not None
    return landmarks


def test_a_face_is_found_turned_and_mirrored_and_its_eyes_stay_where_they_are(lps: Capture):
    picture = colours(lps.frames[10])
    loaded = d.Detectors()
    upright = best_face(picture, loaded)
    width, height = picture.shape[1], picture.shape[0]
    half, quarter = best_face(picture[::-1, ::-1], loaded), best_face(np.rot90(picture), loaded)
    mirrored = best_face(picture[:, ::-1], loaded)
    assert np.abs(half - ((width, height) - upright)).max() < 16
    assert np.abs(quarter - np.column_stack([upright[:, 1], width - upright[:, 0]])).max() < 16
    assert np.abs(mirrored - ((width, 0) + upright[[1, 0, 2, 4, 3]] * (-1, 1))).max() < 16
    for turned in (0, 30, 330):  # the look itself is turned and mirrored, and its findings are put back
        view = d._View(picture, cv2.resize(picture, (256, 256)), turned, True)
        found = max(view.yunet(loaded.yunet), key=lambda one: one.score)
        assert found.mirrored
        # turned by 30°, the network draws landmarks nearer to upright than they are: 24 of 512 pixels
        apart = np.linalg.norm(found.landmarks[:, None] - upright, axis=-1)
        assert apart.argmin(axis=1)[:2].tolist() == [0, 1]
        assert np.abs(found.box[:2] + found.box[2:] / 2 - (244, 239)).max() < 16


def test_the_back_of_a_head_is_faceless_and_a_profile_is_not(lps: Capture):
    loaded = d.Detectors()
    assert d.find_faces(colours(lps.frames[28]), loaded) == []
    assert d.find_faces(colours(lps.frames[6]), loaded)


def test_the_person_model_draws_the_mask(lps: Capture, tmp_path: Path):
    frame = lps.frames[10]
    assert frame.mask is not None
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images/a.jpg"), cv2.imread(str(frame.image)))
    frame = Frame(frame.camera, frame.role, tmp_path / "images/a.jpg")
    assert make_masks(Capture((frame,)), tmp_path)["from the model"] == 1
    made = cv2.imread(str(tmp_path / "masks/a.jpg.png"), 0)
    true = cv2.imread(str(lps.frames[10].mask), 0)
    assert made is not None
    assert true is not None
    inside, either = ((made > 127) & (true > 127)).sum(), ((made > 127) | (true > 127)).sum()
    assert inside / either > 0.98


@pytest.mark.slow
def test_roles_of_lps(lps: Capture, shared_captures: Path, tmp_path: Path):
    shutil.copytree(shared_captures / "lps", tmp_path / "lps")
    path = tmp_path / "lps/transforms.json"
    document = json.loads(path.read_bytes())
    for entry in document["frames"]:
        del entry["role"]
    path.chmod(0o644)
    path.write_text(json.dumps(document))
    assert main(["roles", str(tmp_path / "lps"), "--write"]) == 0
    pairs = [
        (true.role, found.role)
        for true, found in zip(lps.frames, read_capture(tmp_path / "lps").frames, strict=True)
    ]
    assert (Role.SENSITIVE, Role.NEUTRAL) not in pairs
    assert pairs.count((Role.NEUTRAL, Role.NEUTRAL)) >= 8
