"""Whole runs: what lies in the folder, in which frame, and what happens when a run is disturbed."""

import errno
import json
import shutil
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import BALL_CENTER, BALL_RADIUS
from sansface.errors import SansfaceError
from sansface.formats.transforms_json import read_transforms_json
from sansface.photographs.decode import decode_rgb
from sansface.protect.operators import operator
from sansface.protect.pipeline import ProtectSettings, protect
from sansface.reconstruct import checkpoint, pictures, record, run, stages
from sansface.reconstruct.config import from_dict
from sansface.reconstruct.run import Halt, Interrupted, Progress, reconstruct
from sansface.reconstruct.supervision import from_bundle
from sansface.surface import read_mesh
from small import ball_supervision, small_config

CONFIG = small_config(6, 6)
RESULTS = {
    "mesh.ply",
    "config.json",
    "metrics.jsonl",
    "report.html",
    *(f"pictures/{name}.png" for name in ("protected", "mesh_front", "mesh_side", "mesh_three_quarter")),
}


@pytest.fixture(autouse=True)
def _small_pictures(monkeypatch):
    monkeypatch.setattr(pictures, "MESH_SIZE", 48)
    monkeypatch.setattr(pictures, "PREVIEW_SIZE", 32)
    monkeypatch.setattr(record, "METRIC_STEPS", 1)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    """The folder of a whole run; not to be written to."""
    out = tmp_path_factory.mktemp("whole") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "MESH_SIZE", 48)
        patch.setattr(record, "METRIC_STEPS", 1)
        reconstruct(ball_supervision(), out, CONFIG, device="cpu")
    return out


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory) -> Path:
    """The folder of a run that ended with Ctrl-C in its second stage; not to be written to."""
    out = tmp_path_factory.mktemp("part") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "MESH_SIZE", 48)
        patch.setattr(record, "METRIC_STEPS", 1)
        with pytest.raises(Interrupted):
            go(out, at=[(2, 2)])
    return out


def go(out: Path, at: Sequence[tuple[int, int]] = (), supervision=None, config=CONFIG, **options) -> Path:
    """Reconstruct on the CPU, with Ctrl-C after the given steps."""

    def press(now: Progress) -> None:
        if (now.stage, now.step) in at:
            signal.raise_signal(signal.SIGINT)

    return reconstruct(
        supervision or ball_supervision(), out, config, device="cpu", on_progress=press, **options
    )


def files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def metrics(folder: Path) -> list[dict]:
    """The rows of metrics.jsonl without their times."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def assert_same_result(folder: Path, other: Path) -> None:
    assert (folder / "mesh.ply").read_bytes() == (other / "mesh.ply").read_bytes()
    assert metrics(folder) == metrics(other)


def test_from_photographs_to_a_mesh_in_the_captures_frame(tiny_capture, tmp_path):
    bundle = protect(read_transforms_json(tiny_capture), ProtectSettings(32))
    told: list[Progress] = []
    path = reconstruct(
        from_bundle(bundle),
        tmp_path / "out",
        small_config(25, 25, mesh_resolution=32),
        seed=1,
        device="cpu",
        on_progress=told.append,
    )
    assert path == tmp_path / "out" / "mesh.ply"
    mesh = read_mesh(path)
    distance = np.linalg.norm(mesh.vertices - BALL_CENTER, axis=1)
    middle = (mesh.vertices.min(axis=0) + mesh.vertices.max(axis=0)) / 2
    np.testing.assert_allclose(middle, BALL_CENTER, atol=0.1 * BALL_RADIUS)
    assert np.abs(distance - BALL_RADIUS).mean() < 0.05 * BALL_RADIUS
    assert files(tmp_path / "out") == RESULTS
    done = [p.done for p in told if p.stage < 3]
    assert done == sorted(done)
    assert done[-1] == 1
    assert [p.stage for p in told][-2:] == [3, 3]
    assert all(p.seconds >= 0 and p.seconds_left > 0 for p in told)


def test_the_folder_explains_itself(undisturbed):
    supervision = ball_supervision()
    config = json.loads((undisturbed / "config.json").read_text())
    assert config["status"] == "done"
    assert config["seed"] == 0
    assert config["device"] == "cpu"
    assert config["threads"] == torch.get_num_threads()
    assert config["unprotected"] is False
    assert config["received"] == config["received"] | {
        "sensitive": 5,
        "neutral": 3,
        "resolution": 24,
        "operator": "sobel",
    }
    assert len(config["received"]["sha256"]) == 64
    assert config["frame"]["center"] == pytest.approx(list(supervision.center))
    assert config["frame"]["radius"] == supervision.radius
    assert config["frame"]["unit"] == "mm"
    assert {"sansface", "python", "torch", "numpy"} <= config["versions"].keys()
    assert config["seconds"]["total"] > 0
    assert from_dict(config["config"]) == CONFIG


def test_metrics_have_every_step_and_term(undisturbed):
    rows = metrics(undisturbed)
    assert [(row["stage"], row["step"]) for row in rows] == [(s, i) for s in (1, 2) for i in range(1, 7)]
    assert {"colour", "eikonal", "coverage", "smoothness", "beta"} <= rows[0].keys()
    assert {"gradient", "lipschitz"} <= rows[-1].keys()


def test_a_finished_run_leaves_no_radiance(undisturbed):
    assert files(undisturbed) == RESULTS


def test_radiance_is_kept_only_when_asked_for(tmp_path, undisturbed):
    out = tmp_path / "out"
    go(out, keep_radiance=True)
    assert files(out) == RESULTS | {checkpoint.NAME}
    names = checkpoint.load(out / checkpoint.NAME).tensors
    assert any("radiance" in name for name in names)
    assert_same_result(out, undisturbed)


def test_no_picture_is_made_with_the_radiance(tmp_path, monkeypatch):
    """Previews, mesh and pictures come from the distance alone: there, a call of the radiance fails."""

    def without_radiance(function):
        def inner(field, *arguments):
            with monkeypatch.context() as patch:
                patch.setattr(type(field.radiance), "forward", None)
                return function(field, *arguments)

        return inner

    monkeypatch.setattr(record, "PREVIEW_SECONDS", 0.0)
    monkeypatch.setattr(pictures, "preview", without_radiance(pictures.preview))
    monkeypatch.setattr(run, "head_mesh", without_radiance(run.head_mesh))
    out = tmp_path / "out"
    go(out)
    previews = {f"pictures/preview_{s}_{i:06d}.png" for s in (1, 2) for i in range(1, 7)}
    assert files(out) == RESULTS | previews


def test_other_formats_come_beside_the_ply(tmp_path, undisturbed):
    path = go(tmp_path / "out", mesh_format="obj")
    assert path.name == "mesh.obj"
    assert files(tmp_path / "out") == RESULTS | {"mesh.obj"}
    assert len(read_mesh(path).vertices) == len(read_mesh(undisturbed / "mesh.ply").vertices)


def test_an_unprotected_run_is_stamped_and_shows_no_photograph(tmp_path):
    out = tmp_path / "out"
    go(out, supervision=replace(ball_supervision(), unprotected=True))
    assert json.loads((out / "config.json").read_text())["unprotected"] is True
    assert files(out) == RESULTS - {"pictures/protected.png"}
    assert "UNPROTECTED" in (out / "report.html").read_text()
    assert b"comment UNPROTECTED\n" in (out / "mesh.ply").read_bytes()
    for picture in (out / "pictures").iterdir():
        red = (decode_rgb(picture, "picture") == (200, 20, 30)).all(axis=2)
        assert red[-red.shape[0] // 8 :].sum() > 100, picture.name
    again = go(tmp_path / "glb", supervision=replace(ball_supervision(), unprotected=True), mesh_format="glb")
    assert b"UNPROTECTED" in again.read_bytes()


def test_a_protected_run_bears_no_stamp(undisturbed):
    assert b"UNPROTECTED" not in (undisturbed / "mesh.ply").read_bytes()
    for picture in (undisturbed / "pictures").iterdir():
        assert not (decode_rgb(picture, "picture") == (200, 20, 30)).all(axis=2).any()


@pytest.mark.parametrize("at", [[(1, 3)], [(1, 6)], [(2, 1), (2, 5)], [(2, 6)]])
def test_ctrl_c_leaves_a_usable_result_and_resuming_continues_exactly(tmp_path, undisturbed, at):
    out, before = tmp_path / "out", signal.getsignal(signal.SIGINT)
    for number, place in enumerate(at):
        with pytest.raises(Interrupted, match="holds the head so far, and --resume goes on") as stopped:
            go(out, at=[place], resume=number > 0)
        assert str(out / "mesh.ply") in str(stopped.value)
        assert files(out) == RESULTS | {checkpoint.NAME}
        assert len(read_mesh(out / "mesh.ply").faces) > 100
        assert json.loads((out / "config.json").read_text())["status"] == "interrupted"
        assert metrics(out)[-1]["step"] == place[1]
    assert signal.getsignal(signal.SIGINT) is before
    told: list[Progress] = []
    torch.manual_seed(3)
    reconstruct(ball_supervision(), out, CONFIG, device="cpu", resume=True, on_progress=told.append)
    assert len([p for p in told if p.stage < 3]) == 12 - (6 if at[-1][0] == 2 else 0) - at[-1][1]
    assert files(out) == RESULTS
    assert_same_result(out, undisturbed)


@pytest.mark.parametrize("at", [(1, 1), (2, 3), (3, 0)])
def test_who_watches_may_halt_a_run_which_then_goes_on_exactly(tmp_path, undisturbed, at):
    """At the very step, though the last checkpoint that time has brought is older."""

    def halt(now: Progress) -> None:
        if (now.stage, now.step) == at:
            raise Halt

    out = tmp_path / "out"
    with pytest.raises(Halt):
        reconstruct(ball_supervision(), out, CONFIG, device="cpu", on_progress=halt)
    assert not (out / "mesh.ply").exists()
    kept = checkpoint.load(out / checkpoint.NAME).run
    assert (kept["stage"], kept["step"]) == ((2, 6) if at[0] == 3 else at)
    go(out, resume=True)
    assert files(out) == RESULTS
    assert_same_result(out, undisturbed)


class Killed(Exception):
    """Ends a run where it stands, as a kill would: nothing is tidied up."""


@pytest.mark.parametrize("seconds", [0.0, 1e9])  # a checkpoint after every step; at the ends of stages only
@pytest.mark.parametrize("at", [(1, 4), (2, 3)])
def test_a_killed_run_resumes_from_its_last_checkpoint(tmp_path, monkeypatch, undisturbed, seconds, at):
    monkeypatch.setattr(record, "CHECKPOINT_SECONDS", seconds)

    def kill(now: Progress) -> None:
        if (now.stage, now.step) == at:
            raise Killed

    out = tmp_path / "out"
    with pytest.raises(Killed):
        reconstruct(ball_supervision(), out, CONFIG, device="cpu", on_progress=kill)
    assert (out / checkpoint.NAME).exists() == (seconds == 0 or at[0] == 2)
    (out / "pictures" / "preview_1_000004.png.0123abcd.part").write_bytes(b"half")
    (out / f"{checkpoint.NAME}.0123abcd.part").write_bytes(b"half")
    go(out, resume=True)
    assert files(out) == RESULTS
    assert_same_result(out, undisturbed)


@pytest.mark.parametrize("last", ["head_mesh", "write_mesh", "write_report"])
def test_a_run_killed_after_its_training_resumes(tmp_path, monkeypatch, undisturbed, last):
    out = tmp_path / "out"

    def kill(*arguments):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(run, last, kill)
        with pytest.raises(Killed):
            go(out)
    go(out, resume=True)
    assert files(out) == RESULTS
    assert_same_result(out, undisturbed)


def test_resuming_a_finished_run_leaves_it_as_it_is(tmp_path, undisturbed):
    out = shutil.copytree(undisturbed, tmp_path / "out")
    before = {name: (out / name).read_bytes() for name in files(out)}
    assert go(out, resume=True) == out / "mesh.ply"
    assert {name: (out / name).read_bytes() for name in files(out)} == before
    for options in (
        {"seed": 1},
        {"config": replace(CONFIG, samples=5)},
        {"mesh_format": "obj"},
        {"decimate": 50},
    ):
        with pytest.raises(SansfaceError, match="what it holds is finished or another run"):
            go(out, resume=True, **options)
    with pytest.raises(SansfaceError, match="is finished and its radiance deleted; say --overwrite"):
        go(out, resume=True, keep_radiance=True)
    (out / "config.json").write_text("{}")
    with pytest.raises(SansfaceError, match="what it holds is finished or another run"):
        go(out, resume=True)


def test_a_finished_run_is_brought_to_another_frame(tmp_path, undisturbed):
    """As where the bundle's own was used, and the user's is named later: nothing is learnt again."""
    out, there = shutil.copytree(undisturbed, tmp_path / "out"), ball_supervision()
    turned = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    away = replace(there, center=np.array([9.0, -4, 1]), radius=0.25, rotation=turned, unit="m")
    was = read_mesh(out / "mesh.ply").vertices
    assert go(out, supervision=away, resume=True) == out / "mesh.ply"
    local = (was - there.center) / there.radius @ there.rotation
    np.testing.assert_allclose(
        read_mesh(out / "mesh.ply").vertices, away.center + 0.25 * local @ turned.T, atol=1e-5
    )
    assert json.loads((out / "config.json").read_text())["frame"]["unit"] == "m"
    assert files(out) == RESULTS
    go(out, resume=True)
    np.testing.assert_allclose(read_mesh(out / "mesh.ply").vertices, was, atol=1e-4)


def test_decimation_that_cannot_be_is_said_before_anything_is_learnt(tmp_path):
    with pytest.raises(SansfaceError, match="at least 4 faces, not 3"):
        go(tmp_path / "out", decimate=3)
    assert not (tmp_path / "out").exists()


def test_resuming_where_there_is_nothing_to_resume(tmp_path):
    with pytest.raises(SansfaceError, match=r"there is no folder .* to resume"):
        go(tmp_path / "none", resume=True)
    strange = tmp_path / "holiday"
    strange.mkdir()
    (strange / "letter.txt").write_text("dear")
    with pytest.raises(SansfaceError, match="no checkpoint in"):
        go(strange, resume=True)
    assert files(strange) == {"letter.txt"}


def test_used_up_memory_says_what_to_lower_and_keeps_the_checkpoint(tmp_path, monkeypatch, undisturbed):
    """More than any machine has is asked for, really, in the middle of the second stage."""
    monkeypatch.setattr(record, "CHECKPOINT_SECONDS", 0.0)
    out = tmp_path / "out"

    def greedy(now: Progress) -> None:
        if (now.stage, now.step) == (2, 3):
            torch.empty(2**50, dtype=torch.uint8)

    with pytest.raises(SansfaceError, match=r"memory is used up.*--resume.*silhouette_rays") as told:
        reconstruct(ball_supervision(), out, CONFIG, device="cpu", on_progress=greedy)
    assert "checkpoint.safetensors" in str(told.value)
    go(out, resume=True)
    assert_same_result(out, undisturbed)


def test_other_errors_of_torch_are_not_taken_for_memory(tmp_path):
    def wrong(now: Progress) -> None:
        torch.zeros(2) @ torch.zeros(3)

    with pytest.raises(RuntimeError, match="size"):
        reconstruct(ball_supervision(), tmp_path / "out", CONFIG, device="cpu", on_progress=wrong)


@pytest.mark.parametrize(
    ("what", "options"),
    [
        ("another seed", {"seed": 1}),
        ("other settings", {"config": replace(CONFIG, samples=5)}),
        ("another bundle", {"supervision": ball_supervision(share_masks=False)}),
        ("another bundle", {"supervision": replace(ball_supervision(), operator=operator("scharr"))}),
        ("another bundle", {"supervision": replace(ball_supervision(), gain=True)}),
    ],
)
def test_another_run_cannot_be_resumed(tmp_path, interrupted, what, options):
    out = shutil.copytree(interrupted, tmp_path / "out")
    before = {name: (out / name).read_bytes() for name in files(out)}
    with pytest.raises(SansfaceError, match=f"began with {what}; give the same, or start with --overwrite"):
        go(out, resume=True, **options)
    assert {name: (out / name).read_bytes() for name in files(out)} == before


@pytest.mark.parametrize("name", [checkpoint.NAME, "metrics.jsonl"])
def test_a_damaged_file_cannot_be_resumed(tmp_path, interrupted, name):
    out = shutil.copytree(interrupted, tmp_path / "out")
    (out / name).write_bytes((out / name).read_bytes()[:-40])
    with pytest.raises(SansfaceError, match=f"{name} is damaged; start anew with --overwrite"):
        go(out, resume=True)


def test_an_existing_folder_is_refused(tmp_path, undisturbed):
    out = shutil.copytree(undisturbed, tmp_path / "out")
    with pytest.raises(SansfaceError, match="already holds files"):
        go(out)
    with pytest.raises(SansfaceError, match="is a file"):
        go(out / "mesh.ply", overwrite=True)
    assert_same_result(out, undisturbed)


def test_overwrite_removes_what_an_earlier_run_left_and_nothing_else(tmp_path, interrupted, undisturbed):
    out = shutil.copytree(interrupted, tmp_path / "out")
    stale = ("mesh.glb", "score.json", "report.html.0123abcd.part", "pictures/preview_1_000040.png")
    foreign = ("notes.txt", "film.part", "mesh.ply.part", "mesh.blend")
    for name in (*stale, *foreign):
        (out / name).write_bytes(b"{}")
    go(out, overwrite=True)
    assert files(out) == RESULTS | set(foreign)
    assert_same_result(out, undisturbed)


def test_another_seed_gives_another_mesh_and_the_same_one_the_same(tmp_path, undisturbed):
    go(tmp_path / "same")
    assert_same_result(tmp_path / "same", undisturbed)
    go(tmp_path / "other", seed=1)
    assert (tmp_path / "other/mesh.ply").read_bytes() != (undisturbed / "mesh.ply").read_bytes()


def test_a_loss_that_is_not_finite_stops_with_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(stages, "coverage_loss", lambda d, n, c: d * float("nan"))
    with pytest.raises(
        SansfaceError, match="no longer a finite number in stage 1, step 0; lower the learning"
    ):
        go(tmp_path / "out")


def test_a_vanished_surface_stops_with_a_sentence(tmp_path):
    nothing = CONFIG.field_settings | {"radius": -0.5}
    with pytest.raises(SansfaceError, match="vanished"):
        go(tmp_path / "out", config=replace(CONFIG, field_settings=nothing))
    # Where no picture is rendered, the mesh is what finds out.
    bare = replace(small_config(0, 0), field_settings=nothing)
    with pytest.raises(SansfaceError, match="there is no surface inside the bounding sphere"):
        go(tmp_path / "other", config=bare)


def test_a_full_disk_stops_with_a_sentence_and_loses_no_step_before(tmp_path, monkeypatch, undisturbed):
    monkeypatch.setattr(record, "CHECKPOINT_SECONDS", 0.0)
    saved, save = [], checkpoint.save_file

    def full(tensors, filename, metadata):
        if len(saved) == 8:
            Path(filename).write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        saved.append(metadata)
        save(tensors, filename, metadata)

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_file", full)
        with pytest.raises(SansfaceError, match="the disk is full; free some space") as caught:
            go(out)
    assert str(out / checkpoint.NAME) in str(caught.value)
    kept = checkpoint.load(out / checkpoint.NAME).run
    assert (kept["stage"], kept["step"]) == (2, 2)
    go(out, resume=True)
    assert_same_result(out, undisturbed)


@pytest.mark.parametrize("device", ["banana", "cuda:77", "meta"])
def test_a_device_that_is_not_there_is_refused(tmp_path, device):
    with pytest.raises(SansfaceError, match=f"the device '{device}' is not to be had here; use"):
        reconstruct(ball_supervision(), tmp_path / "out", CONFIG, device=device)
    assert not (tmp_path / "out").exists()


def test_a_format_that_is_not_known_is_refused(tmp_path):
    with pytest.raises(SansfaceError, match="no mesh format 'fbx'; choose one of ply, obj, glb, stl"):
        go(tmp_path / "out", mesh_format="fbx")


def test_a_run_in_another_thread_is_left_to_its_thread(tmp_path, undisturbed):
    """Only the main thread may set a handler for Ctrl-C."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        pool.submit(go, tmp_path / "out").result()
    assert_same_result(tmp_path / "out", undisturbed)


def test_contact_sheet_shows_every_target_once():
    supervision = ball_supervision()
    sheet = pictures.contact_sheet(supervision)
    assert sheet.shape == (26, 260, 3)
    brightest = max(v.target.max() for v in supervision.views if v.target.ndim == 2)
    for i, view in enumerate(supervision.views):
        tile = sheet[:24, 26 * i : 26 * i + 24]
        colour = view.target if view.target.ndim == 3 else view.target[..., None] / brightest
        np.testing.assert_array_equal(tile, np.broadcast_to(np.rint(255 * colour), (24, 24, 3)))
    assert (sheet[:, 8 * 26 :] == 255).all()
