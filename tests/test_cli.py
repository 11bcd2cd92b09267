"""The commands as a user types them. What cannot be done is said in one sentence, and nothing is lost."""

import errno
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh

import sansface as sf
from conftest import BALL_CENTER, BALL_RADIUS, ROOT, make_tiny_capture
from sansface import cli, demo, evaluate
from sansface.errors import SansfaceError
from sansface.evaluate import compare
from sansface.protect.bundle import read_bundle
from sansface.protect.operators import OPERATORS
from sansface.protect.presets import PRESETS
from sansface.reconstruct import config as reconstruct_config
from sansface.reconstruct import pictures

QUICK = ["--set", "stage1.steps=4", "--set", "stage2.steps=4", "--set", "mesh_resolution=32"]
QUICK += ["--set", "field_settings.levels=[6, 12]", "--set", "field_settings.feature_nodes=12"]
RADIUS = 3.4  # of the capture's sphere: a reconstruction begins as a sphere of 0.6 of it, near the ball
NEVER_ON_THE_CLIENT = {"torch", "trimesh", "scipy", "skimage", "safetensors", "jaxtyping"}


@pytest.fixture(scope="module", autouse=True)
def _small_pictures():
    """What they show is tested elsewhere, and at their full size they take most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compare, "SIZE", 48)
        patch.setattr(pictures, "MESH_SIZE", 48)
        yield


@pytest.fixture
def refused(say):
    """Run a command that must fail with one sentence, and return the sentence."""

    def run(*words: object, code: int = 1) -> str:
        found, _, told = say(*words)
        lines = [line for line in told.splitlines() if not re.match(r"(protect|reconstruct)ing: \d+ %", line)]
        assert found == code, told
        assert len(lines) == 1, told
        assert lines[0].startswith("error: ")
        return lines[0]

    return run


@pytest.fixture(scope="module")
def ball(tmp_path_factory) -> Path:
    """A capture of a ball with everything that an evaluation needs: its sphere and the true mesh."""
    folder = make_tiny_capture(tmp_path_factory.mktemp("ball") / "capture")
    measures = {"unit": "cm", "center": BALL_CENTER.tolist(), "radius": RADIUS, "head_min_y": -1.0}
    (folder / "meta.json").write_text(json.dumps(measures), encoding="utf-8")
    truth = trimesh.creation.icosphere(4, BALL_RADIUS)
    truth.apply_translation(BALL_CENTER)
    truth.export(folder / "gt.ply")
    return folder


@pytest.fixture(scope="module")
def bundle(ball) -> Path:
    path = ball.parent / "head.sfb"
    assert cli.main(["protect", str(ball), "-o", str(path), "--resolution", "24"]) == 0
    return path


@pytest.fixture(scope="module")
def head(bundle) -> Path:
    out = bundle.parent / "head"
    assert cli.main(["reconstruct", str(bundle), "-o", str(out), *QUICK]) == 0  # finds the frame beside it
    return out


# --- the verbs ---


def test_protect_says_what_is_shared_and_what_that_means(ball, tmp_path, say):
    out, sheet = tmp_path / "head.sfb", tmp_path / "mine" / "sheet.png"
    sheet.parent.mkdir()
    code, told, progress = say("protect", ball, "-o", out, "--resolution", 24, "--sheet", sheet)
    assert code == 0
    assert "5 sensitive photographs: gradient magnitudes only (sobel, 24 pixels, 8 bits)" in told
    assert "3 neutral photographs" in told
    assert "its place, size and direction in your world are not told" in told
    assert "Protected is not anonymous" in told
    assert f"{out.stat().st_size:,} bytes" in told
    assert progress.splitlines()[-1].startswith("protecting: 100 %")
    assert ".png" not in progress  # names of photographs: a screen may be kept as a log
    assert cv2.imread(str(sheet)) is not None
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {"head.sfb", "head.frame.json"}


def test_protect_takes_every_option(ball, tmp_path, say):
    out = tmp_path / "head.sfb"
    words = ["--operator", "scharr", "--resolution", 32, "--bits", 12, "--no-share-masks", "--radius", 3]
    words += ["--blur", 0.5, "--noise", 0.01, "--gain", 0.5]
    code, told, _ = say("protect", ball, "-o", out, *words, "--center", *BALL_CENTER, "--share-frame")
    assert code == 0
    assert "radius 3, unit cm" in told
    found = sf.read_bundle(out)
    assert (found.operator.name, found.resolution, found.bits, found.radius) == ("scharr", 32, 12, 3.0)
    assert (found.operator.blur, found.noise, found.gain) == (0.5, 0.01, True)
    assert found.frames[0].mask is None
    assert say("protect", ball, "-o", out, "--overwrite", "--share-masks", "--unit", "in")[0] == 0
    assert sf.read_bundle(out).frames[0].mask is not None
    assert json.loads(out.with_suffix(".frame.json").read_text(encoding="utf-8"))["unit"] == "in"


def test_the_frame_is_the_users_own_and_of_one_bundle(ball, bundle, head, tmp_path, refused, say):
    out, mine = tmp_path / "head.sfb", tmp_path / "mine.json"
    assert say("protect", ball, "-o", out, "--resolution", 32, "--frame-out", mine)[0] == 0
    assert json.loads(mine.read_text(encoding="utf-8"))["unit"] == "cm"
    found = sf.read_bundle(out)
    assert (found.center.tolist(), found.radius, found.unit) == ([0, 0, 0], 1.0, "arbitrary")
    assert "another bundle" in refused("reconstruct", bundle, "-o", tmp_path / "out", "--frame", mine, *QUICK)
    assert "--overwrite" in refused("protect", ball, "-o", tmp_path / "new.sfb", "--frame-out", mine)
    assert "leave one out" in refused(
        "protect", ball, "-o", tmp_path / "new.sfb", "--frame-out", mine, "--share-frame"
    )
    config = json.loads((head / "config.json").read_text(encoding="utf-8"))
    assert config["frame"]["unit"] == "cm"
    np.testing.assert_allclose(config["frame"]["center"], BALL_CENTER)


def test_results_of_protect_do_not_destroy_each_other(ball, tmp_path, refused, say, monkeypatch):
    new, elsewhere = tmp_path / "new.sfb", tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert "one file for two results" in refused("protect", ball, "-o", new, "--frame-out", new)
    both = "--frame-out", elsewhere / "x", "--sheet", elsewhere / "x"
    assert "one file for two results" in refused("protect", ball, "-o", new, *both)
    assert "is a folder" in refused("protect", ball, "-o", elsewhere, "--overwrite")
    assert say("protect", ball, "-o", new)[0] == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}

    def full(*words):
        raise SansfaceError("the disk is full; free some space.")

    monkeypatch.setattr("sansface.protect.bundle.write_bundle", full)
    assert "the disk is full" in refused("protect", ball, "-o", new, "--overwrite", "--resolution", 32)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_protect_names_all_operators():
    words = re.findall(r"\w+", Path(cli.protect.__file__).read_text(encoding="utf-8"))
    assert set(OPERATORS) <= set(words)


def test_inspect_describes_and_shows(bundle, tmp_path, say, refused):
    sheet = tmp_path / "sheet.png"
    code, told, _ = say("inspect", bundle, "--sheet", sheet)
    assert code == 0
    assert "3 neutral (colour), 5 sensitive (σ only)" in told
    assert cv2.imread(str(sheet)).shape[2] == 3
    assert "--overwrite" in refused("inspect", bundle, "--sheet", sheet)
    assert say("inspect", bundle, "--sheet", sheet, "--overwrite")[0] == 0


def test_reconstruct_leaves_a_folder_that_explains_itself(head):
    assert {"mesh.ply", "config.json", "metrics.jsonl", "report.html", "pictures"} <= {
        path.name for path in head.iterdir()
    }
    assert not list(head.glob("*.safetensors"))
    settings = json.loads((head / "config.json").read_text(encoding="utf-8"))
    assert settings["unprotected"] is False
    assert settings["config"]["stage1"]["steps"] == 4
    mesh = sf.read_mesh(head / "mesh.ply")
    assert np.linalg.norm(mesh.vertices - BALL_CENTER, axis=1).max() < 3


def test_reconstruct_writes_other_formats_and_fewer_faces(bundle, tmp_path, say, refused):
    words = ["reconstruct", bundle, "-o", tmp_path / "out", *QUICK[:-4], "--mesh-resolution", 40]
    code, told, progress = say(*words, "--format", "stl", "--decimate", 300, "--keep-radiance")
    assert code == 0
    assert f"mesh: {tmp_path / 'out' / 'mesh.stl'}" in told
    assert "reconstructing: 50 %, stage 1, step 4/4" in progress
    assert len(sf.read_mesh(tmp_path / "out" / "mesh.stl").faces) <= 310
    assert list((tmp_path / "out").glob("*.safetensors"))
    before = (tmp_path / "out" / "mesh.stl").read_bytes()
    assert "--overwrite" in refused(*words)
    assert (tmp_path / "out" / "mesh.stl").read_bytes() == before
    assert say(*words, "--overwrite")[0] == 0
    assert not (tmp_path / "out" / "mesh.stl").exists()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_ctrl_c_leaves_a_head_and_resume_ends_as_if_undisturbed(
    bundle, head, tmp_path, monkeypatch, say, refused, name
):
    words = ["reconstruct", bundle, "-o", tmp_path / "out", *QUICK]
    whole = cli.reconstruct.progress_bar

    @contextmanager
    def interrupting(what):
        with whole(what) as show:

            def told(done, note="", seconds_left=None):
                show(done, note, seconds_left)
                if note.startswith("stage 2, step 2/"):
                    signal.raise_signal(getattr(signal, name))

            yield told

    monkeypatch.setattr(cli.reconstruct, "progress_bar", interrupting)
    sentence = refused(*words, code=130)
    assert "--resume" in sentence
    assert len(sf.read_mesh(tmp_path / "out" / "mesh.ply").faces) > 100
    monkeypatch.setattr(cli.reconstruct, "progress_bar", whole)
    assert "say one of them" in refused(*words, "--resume", "--overwrite")
    assert "other settings" in refused(*words, "--resume", "--set", "stage2.steps=5")
    assert say(*words, "--resume")[0] == 0
    assert (tmp_path / "out" / "mesh.ply").read_bytes() == (head / "mesh.ply").read_bytes()


def test_evaluate_scores_and_writes_the_report_again(ball, head, tmp_path, say):
    words = ["evaluate", head / "mesh.ply", "--truth", ball / "gt.ply", "--capture", ball]
    code, told, _ = say(*words, "--json", tmp_path / "score.json")
    assert code == 0
    found = json.loads((tmp_path / "score.json").read_text(encoding="utf-8"))
    assert found == json.loads((head / "score.json").read_text(encoding="utf-8"))
    assert (found["radius"], found["head_min_y"]) == (RADIUS, -1.0)
    assert f"score: {1e3 * found['score']:.3f}e-3 R = {found['score'] * 10 * RADIUS:.3g} mm" in told
    for view in ("front", "three_quarter", "side"):
        for kind in ("mesh", "truth", "error"):
            assert cv2.imread(str(head / "pictures" / f"{kind}_{view}.png")) is not None
    assert "ground truth" in (head / "report.html").read_text(encoding="utf-8")


def test_evaluate_a_mesh_that_lies_anywhere(ball, tmp_path, say, refused):
    """The truth against itself is 0, and nothing but the JSON is written."""
    words = ["evaluate", ball / "gt.ply", "--truth", ball / "gt.ply", "--capture", ball]
    before = sorted(ball.iterdir())
    code, told, _ = say(*words, "--json", tmp_path / "score.json", "--align", "--seed", 3)
    assert code == 0
    assert json.loads((tmp_path / "score.json").read_text(encoding="utf-8"))["score"] < 1e-6
    assert "aligned by a rigid motion" in told
    assert sorted(ball.iterdir()) == before
    assert "--overwrite" in refused(*words, "--json", tmp_path / "score.json")


def test_the_baseline_is_stamped_unprotected(ball, tmp_path, say):
    out = tmp_path / "out"
    words = ["--resolution", 24, "--with-gradient", "--steps-scale", 0.5]
    code, _, told = say("bench", "baseline", ball, "-o", out, *words, *QUICK)
    assert code == 0
    assert "UNPROTECTED: this comparison reads the photographs themselves" in told.replace("\n", " ")
    settings = json.loads((out / "config.json").read_text(encoding="utf-8"))
    assert settings["unprotected"] is True
    assert [settings["config"][stage]["steps"] for stage in ("stage1", "stage2")] == [2, 2]
    assert settings["config"]["stage2"]["gradient"] > 0
    assert "UNPROTECTED" in (out / "report.html").read_text(encoding="utf-8")
    assert not list(tmp_path.rglob("*.sfb"))
    assert not (out / "pictures" / "protected.png").exists()


def test_demo_runs_every_step(tmp_path, monkeypatch, say, refused):
    """Few small photographs and few steps; tests/test_demo.py runs the whole."""
    small = partial(demo.make_demo_capture, views=6, size=96)
    quick = reconstruct_config.changed(
        reconstruct_config.preset("fast"),
        {"stage1": {"steps": 4}, "stage2": {"steps": 4}, "mesh_resolution": 64},
    )
    monkeypatch.setattr(demo, "TRUTH_RESOLUTION", 64)
    monkeypatch.setattr(demo, "make_demo_capture", small)
    monkeypatch.setattr(reconstruct_config, "preset", lambda *_: quick)
    monkeypatch.setattr(evaluate, "score", partial(evaluate.score, rays=24, samples=2000))
    out = tmp_path / "demo"
    code, told, _ = say("demo", "-o", out, "--seed", 5)
    assert code == 0
    assert re.search(r"score: [\d.]+e-3 R = [\d.]+ mm", told)
    assert f"report: {out / 'reconstruction' / 'report.html'}" in told
    assert {path.name for path in out.iterdir()} == {
        "capture",
        "head.sfb",
        "head.frame.json",
        "contact-sheet.png",
        "reconstruction",
    }
    assert "--overwrite" in refused("demo", "-o", out)


# --- bad input ---


def _edited(capture: Path, change) -> None:
    path = capture / "transforms.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")  # NaN stays NaN here


def _poses(change):
    def edit(capture: Path) -> None:
        def of(document):
            pose = np.array(document["frames"][2]["transform_matrix"])
            change(pose)
            document["frames"][2]["transform_matrix"] = pose.tolist()

        _edited(capture, of)

    return edit


def _roles(role: str):
    return lambda capture: _edited(capture, lambda d: [frame.update(role=role) for frame in d["frames"]])


def _mask(value: int):
    picture = np.full((96, 96), value, np.uint8)
    return lambda capture: cv2.imwrite(str(capture / "masks" / "002.png"), picture)


def _not_a_number(document) -> None:
    document["frames"][1]["transform_matrix"][0][3] = float("nan")


def _scaled(pose) -> None:
    pose[:3, 0] = 0


def _mirrored(pose) -> None:
    pose[:3, 0] *= -1


def _at_the_center(pose) -> None:
    pose[:3, 3] = BALL_CENTER + 0.1


BAD_CAPTURES = {
    "missing image": (lambda c: (c / "images/002.png").unlink(), "images/002.png is missing"),
    "unreadable image": (lambda c: (c / "images/002.png").write_bytes(b"no"), "002.png cannot be decoded"),
    "image cut short": (
        lambda c: (c / "images/002.png").write_bytes((c / "images/002.png").read_bytes()[:900]),
        "cut short",
    ),
    "size unlike the intrinsics": (
        lambda c: cv2.imwrite(str(c / "images/002.png"), np.zeros((90, 96, 3), np.uint8)),
        "is 96 x 90, but its intrinsics are for 96 x 96",
    ),
    "singular pose": (_poses(_scaled), "pose is singular"),
    "mirrored pose": (_poses(_mirrored), "pose is mirrored"),
    "camera inside the sphere": (_poses(_at_the_center), "inside the bounding sphere"),
    "all neutral": (_roles("neutral"), "all frames are neutral"),
    "empty mask": (_mask(0), "masks/002.png is empty"),
    "all-white mask": (_mask(255), "masks/002.png is white all over"),
    "no mask": (lambda c: _edited(c, lambda d: d["frames"][2].pop("mask_path")), "has no mask"),
    "not a number": (lambda c: _edited(c, _not_a_number), "non-finite number"),
    "unknown key": (lambda c: _edited(c, lambda d: d.update(lens="wide")), "unknown key 'lens'"),
    "unknown role": (_roles("public"), "neither neutral nor sensitive"),
    "no transforms.json": (lambda c: (c / "transforms.json").unlink(), "holds no transforms.json"),
    "JSON cut short": (
        lambda c: (c / "transforms.json").write_text("{", encoding="utf-8"),
        "not usable JSON",
    ),
}


@pytest.mark.parametrize("name", BAD_CAPTURES)
def test_a_bad_capture_is_one_sentence_and_the_older_bundle_stays(tiny_capture, tmp_path, refused, name):
    (tmp_path / "meta.json").touch()
    spoil, says = BAD_CAPTURES[name]
    sphere = {"center": BALL_CENTER.tolist(), "radius": 2.5}
    (tiny_capture / "meta.json").write_text(json.dumps(sphere), encoding="utf-8")
    spoil(tiny_capture)
    out = tmp_path / "out"
    out.mkdir()
    (out / "head.sfb").write_bytes(b"older")
    words = ["protect", tiny_capture, "-o", out / "head.sfb", "--resolution", 24, "--overwrite"]
    assert says.replace("/", os.sep) in refused(*words)
    assert [path.name for path in out.iterdir()] == ["head.sfb"]
    assert (out / "head.sfb").read_bytes() == b"older"


def test_a_capture_that_is_a_file_or_nowhere(ball, tmp_path, refused):
    assert "is a file" in refused("protect", ball / "transforms.json", "-o", tmp_path / "head.sfb")
    assert "no folder" in refused("protect", ball / "nowhere", "-o", tmp_path / "head.sfb")


def test_settings_that_make_no_sense(ball, bundle, tmp_path, refused):
    out = tmp_path / "head.sfb"
    assert "choose one of sobel" in refused("protect", ball, "-o", out, "--operator", "blur")
    assert "resolution 4 " in refused("protect", ball, "-o", out, "--resolution", 4)
    assert "radius" in refused("protect", ball, "-o", out, "--radius", -1)
    assert "17 bits" in refused("protect", ball, "-o", out, "--bits", 17)
    assert "the blur 0.1 " in refused("protect", ball, "-o", out, "--blur", 0.1)
    for words, says in (
        (["--set", "stage2.steps"], "NAME=VALUE"),
        (["--set", "stage2.stops=4"], "there is no setting 'stage2.stops'"),
        (["--set", "field_settings.breadth=4"], "choose one of depth, "),
        (["--set", "patch.side=4"], "one name earlier"),
        (["--set", "stage2.steps=4.5"], "a whole number"),
        (["--set", "stage2.steps=-4"], "from 0 on"),
        (["--set", "distance_rate=NaN"], "from 0 on"),
        (["--set", "distance_rate=fast"], "a number"),
        (["--set", "background=1"], "true or false"),
        (["--set", "stage2=4"], "holds several"),
        (["--mesh-resolution", "0"], "resolution"),
        (["--device", "abacus"], "--device"),
        (["--decimate", "2"], "at least 4 faces"),
    ):
        assert says in refused("reconstruct", bundle, "-o", tmp_path / "out", *QUICK, *words, "--overwrite")
    words = ["--preset", "paper", "--set", "stage1.smoothness=1"]
    assert "is off in this preset" in refused("reconstruct", bundle, "-o", tmp_path / "out", *words)


def test_files_in_the_way(ball, bundle, tmp_path, refused):
    """Nothing that exists is replaced unless the user says so, and that is found out before the work."""
    there = tmp_path / "there"
    there.write_bytes(b"mine")
    assert "--overwrite" in refused("protect", ball, "-o", there)
    assert "--overwrite" in refused("protect", ball, "-o", tmp_path / "head.sfb", "--sheet", there)
    assert "make the folder first" in refused("protect", ball, "-o", tmp_path / "no" / "head.sfb")
    assert "beside the bundle" in refused(
        "protect", ball, "-o", tmp_path / "head.sfb", "--sheet", tmp_path / "sheet.png"
    )
    assert "is a folder" in refused("protect", ball, "-o", tmp_path, "--overwrite", "--resolution", 24)
    assert "is a file" in refused("reconstruct", bundle, "-o", there)
    assert "--overwrite" in refused("reconstruct", bundle, "-o", tmp_path)
    assert "no folder" in refused("reconstruct", bundle, "-o", tmp_path / "nowhere", "--resume")
    assert there.read_bytes() == b"mine"
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


@pytest.mark.parametrize("verb", ["protect", "reconstruct"])
@pytest.mark.parametrize(
    ("number", "says"), [(errno.ENOSPC, "the disk is full"), (errno.EACCES, "there is no permission")]
)
def test_disk_full_and_no_permission(ball, bundle, tmp_path, monkeypatch, refused, verb, number, says):
    def fails(*_):
        raise OSError(number, os.strerror(number))

    older = tmp_path / "head.sfb"
    older.write_bytes(b"older")
    monkeypatch.setattr(os, "replace", fails)
    if verb == "protect":
        sentence = refused("protect", ball, "-o", older, "--overwrite", "--resolution", 24)
    else:
        sentence = refused("reconstruct", bundle, "-o", tmp_path / "out", *QUICK)
    assert says in sentence
    assert older.read_bytes() == b"older"
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write anywhere"
)
def test_a_folder_without_write_permission(ball, bundle, tmp_path, refused):
    tmp_path.chmod(0o500)
    assert "permission" in refused("protect", ball, "-o", tmp_path / "head.sfb", "--resolution", 24)
    assert "permission" in refused("reconstruct", bundle, "-o", tmp_path / "out")


def test_bundles_that_are_none(ball, tmp_path, refused):
    (tmp_path / "head.sfb").write_bytes(b"PK\3\4 something else")
    for verb in (["inspect"], ["reconstruct", "-o", tmp_path / "out"]):
        assert "head.sfb is refused" in refused(*verb, tmp_path / "head.sfb")
        assert "there is no such file" in refused(*verb, tmp_path / "no" / "head.sfb")
        assert "it is a folder" in refused(*verb, tmp_path)
    assert not (tmp_path / "out").exists()


def test_evaluations_that_cannot_be(ball, tiny_capture, tmp_path, refused):
    truth = ball / "gt.ply"
    assert "no mesh file" in refused("evaluate", "no.ply", "--truth", truth, "--capture", ball)
    assert "a format of meshes" in refused("evaluate", "no.txt", "--truth", truth, "--capture", ball)
    assert "no folder" in refused("evaluate", truth, "--truth", truth, "--capture", tmp_path / "no")
    assert "does not say its radius" in refused(
        "evaluate", truth, "--truth", truth, "--capture", tiny_capture
    )
    wrong = {"center": [0, 0, 0], "radius": 2, "head_min_y": "low"}
    (tiny_capture / "meta.json").write_text(json.dumps(wrong), encoding="utf-8")
    assert "head_min_y" in refused("evaluate", truth, "--truth", truth, "--capture", tiny_capture)
    wrong["head_min_y"] = 1e6
    (tiny_capture / "meta.json").write_text(json.dumps(wrong), encoding="utf-8")
    assert "sees the subject" in refused("evaluate", truth, "--truth", truth, "--capture", tiny_capture)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["fly"],
        ["protect"],
        ["protect", "CAPTURE"],
        ["protect", "CAPTURE", "-o", "head.sfb", "--colour"],
        ["protect", "CAPTURE", "-o", "head.sfb", "--bits", "many"],
        ["protect", "CAPTURE", "-o", "head.sfb", "--center", "1", "2"],
        ["reconstruct", "head.sfb", "-o", "out", "--preset", "best"],
        ["bench", "race", "CAPTURE", "-o", "out"],
    ],
)
def test_words_that_are_no_command(say, words):
    code, _, told = say(*words)
    assert code == 2
    assert "Traceback" not in told
    assert "--help" in told


@pytest.mark.parametrize("verb", [None, *cli.VERBS])
def test_every_verb_explains_itself(say, verb):
    code, told, _ = say(*filter(None, [verb]), "--help")
    assert code == 0
    assert "usage: sansface" in told


def test_no_option_shares_the_colours_of_a_sensitive_frame(say):
    _, told, _ = say("protect", "--help")
    options = set(re.findall(r"--[a-z][a-z-]*", told))
    assert options == {
        "--help", "--out", "--operator", "--resolution", "--bits", "--share-masks", "--no-share-masks",
        "--center", "--radius", "--sheet", "--overwrite", "--blur", "--noise", "--gain", "--unit",
        "--format", "--frame-out", "--share-frame", "--preset",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("preset", "says"), [("strict", "the outline only"), ("paranoid", "but their cameras")]
)
def test_presets_share_less_of_sensitive_photographs(ball, tmp_path, say, preset, says):
    _, told, _ = say("protect", ball, "-o", tmp_path / "head.sfb", "--preset", preset)
    assert says in told
    bundle = read_bundle(tmp_path / "head.sfb")
    assert bundle.share is PRESETS[preset]
    assert not any(frame.shared().any() for frame in bundle.frames if frame.role == "sensitive")


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (PermissionError(errno.EACCES, "Permission denied", "some/file"), 1, "Permission denied: some/file"),
        (MemoryError(), 1, "not enough memory"),
    ],
)
def test_whatever_else_happens_is_a_sentence(ball, tmp_path, monkeypatch, refused, error, code, says):
    def fails(*_):
        raise error

    monkeypatch.setattr("sansface.formats.read_capture", fails)
    assert says in refused("protect", ball, "-o", tmp_path / "head.sfb", code=code)


# --- as other processes see it ---


def _python(code: str, *words: object, **more) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, timeout=120, **more
    )


LOADED = """
import sys, time
from sansface.cli import main
code = main(sys.argv[1:])
print("loaded", *sorted({name.split(".")[0] for name in sys.modules}), "seconds", time.process_time())
sys.exit(code)
"""


CLIENT = """
import sys

class NotInstalled:
    def find_spec(name, path=None, target=None):
        if name in ("torch", "trimesh"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NotInstalled)
from sansface.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_help_is_quick_because_nothing_heavy_is_loaded():
    found = [_python(LOADED, "--help") for _ in range(3)]
    assert all(done.returncode == 0 for done in found)
    loaded = found[0].stdout.split("loaded")[-1].split()
    assert not {"numpy", "cv2", "rich", *NEVER_ON_THE_CLIENT} & set(loaded)
    assert min(float(done.stdout.split()[-1]) for done in found) < 0.6  # seconds of the processor


def test_the_clients_verbs_never_load_the_server(ball, tmp_path):
    out = tmp_path / "head.sfb"
    for words in (["protect", ball, "-o", out, "--resolution", 24], ["inspect", out]):
        done = _python(LOADED, *words)
        assert done.returncode == 0, done.stderr
        loaded = set(done.stdout.split("loaded")[-1].split())
        assert "cv2" in loaded
        assert not NEVER_ON_THE_CLIENT & loaded


def test_a_missing_extra_is_one_sentence_with_its_install_line(ball, bundle, tmp_path):
    """On a client, where the server's part is not installed."""
    commands = {
        "torch": ["reconstruct", bundle, "-o", tmp_path / "out"],
        "trimesh": ["evaluate", ball / "gt.ply", "--truth", ball / "gt.ply", "--capture", ball],
    }
    for missing, words in commands.items():
        done = _python(CLIENT, *words)
        assert done.returncode == 1
        assert done.stderr.startswith(f"error: {missing} is not installed")
        assert done.stderr.endswith("pip install 'sansface[reconstruct]'\n")
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_reader_that_leaves_early_is_no_error(bundle):
    code = "import sys; from sansface.cli import main; sys.exit(main(sys.argv[1:]))"
    with subprocess.Popen(
        [sys.executable, "-c", code, "inspect", bundle], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        told = process.stderr.read()
    assert told == b""
    assert process.returncode == 141


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_being_told_to_end_leaves_nothing_half_done(ball, tmp_path, say, monkeypatch, name):
    if not hasattr(signal, name):
        pytest.skip(f"there is no {name} here")
    number, out = getattr(signal, name), tmp_path / "out"
    before = signal.getsignal(number)
    half = []

    def told(source, place):
        half.extend(path.name for path in tmp_path.rglob("*.part"))
        signal.raise_signal(number)

    monkeypatch.setattr(Path, "rename", told)  # of the folder that is whole
    code, _, error = say("convert", ball, "--format", "npz", "-o", out)
    assert (code, half) == (128 + number, ["out.part"])
    assert "told to end" in error
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(number) is before


def test_a_console_without_greek_letters(bundle):
    code = "import sys; from sansface.cli import main; sys.exit(main(sys.argv[1:]))"
    done = _python(code, "inspect", bundle, env=os.environ | {"PYTHONIOENCODING": "cp1252"})
    assert done.returncode == 0, done.stderr
    assert "(? only)" in done.stdout


def test_the_module_runs_where_there_is_no_script():
    done = subprocess.run([sys.executable, "-m", "sansface", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"sansface {sf.__version__}\n")
    done = subprocess.run([sys.executable, "-m", "sansface", "fly"], capture_output=True, text=True)
    assert done.returncode == 2


# --- from Python ---


def test_every_public_name_is_there_and_no_other():
    for name in sf.__all__:
        assert getattr(sf, name) is not None
    assert set(sf.__all__) <= set(dir(sf))
    with pytest.raises(AttributeError, match="has no attribute 'unprotect'"):
        _ = sf.unprotect


def test_names_load_only_what_they_need(ball):
    code = "import sys, sansface as sf\n{}\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    assert not {"numpy", "cv2", *NEVER_ON_THE_CLIENT} & set(_python(code.format("")).stdout.split())
    client = "sf.protect_capture(sf.read_capture(sys.argv[1]), sf.ProtectSettings(resolution=24))"
    loaded = set(_python(code.format(client), ball).stdout.split())
    assert "cv2" in loaded
    assert not NEVER_ON_THE_CLIENT & loaded
    assert "ai_edge_litert" not in loaded  # the roles are given: no detector is asked
    assert "cv2" not in _python(code.format("sf.reconstruct_head, sf.read_bundle, sf.score")).stdout.split()


def _readme(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


def test_the_five_lines_of_the_readme(ball, tmp_path, monkeypatch):
    quick = reconstruct_config.changed(
        sf.preset("fast"), {"stage1": {"steps": 2}, "stage2": {"steps": 2}, "mesh_resolution": 32}
    )
    monkeypatch.setattr(reconstruct_config, "preset", lambda *_: quick)
    monkeypatch.chdir(tmp_path)
    (code,) = _readme("python")
    assert len([line for line in code.splitlines() if "import" not in line]) <= 5
    exec(compile(code.replace('"CAPTURE"', repr(str(ball))), "README.md", "exec"), {})
    assert (tmp_path / "head.sfb").is_file()
    assert (tmp_path / "OUT" / "report.html").is_file()


def test_every_command_in_the_readme_is_understood():
    lines = [line for block in _readme("") for line in block.splitlines() if line.startswith("sansface ")]
    assert {line.split()[1] for line in lines} == set(cli.VERBS)
    for line in lines:
        verb = cli.parse(shlex.split(line, comments=True)[1:])
        assert type(verb) is cli.VERBS[line.split()[1]]
