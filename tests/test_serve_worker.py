"""Workers as processes of their own, on a small bundle: done, killed, stopped, cancelled; what goes wrong."""

import errno
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete

from sansface.errors import SansfaceError
from sansface.protect.bundle import bundle_bytes
from sansface.protect.contents import BundleError
from sansface.serve import attempt, job, queue, worker
from sansface.serve.job import Stopped
from sansface.serve.scratch import scratch
from sansface.serve.tables import Job, State
from serve_desk import KEY, Service
from small import ball_bundle, small_config

CHILD = """
import sys
sys.path.insert(0, {tests!r})
from small import small_config
from sansface.reconstruct import config, pictures, record
from sansface.serve import attempt, queue, worker
small = small_config(20, {steps})
config.PRESETS["fast"] = lambda *_: small
pictures.MESH_SIZE = 48
record.CHECKPOINT_SECONDS, worker.KEEP_SECONDS, attempt.HEARTBEAT_SECONDS = 0.2, 0.3, 0.2
worker.POLL_SECONDS, queue.LOSS_SECONDS = 0.2, 0.1
watch = record.Record.watch
def told(log, moment):
    print(f"step {{moment.stage}} {{moment.step}}", flush=True)
    watch(log, moment)
record.Record.watch = told
from sansface.cli import main
sys.exit(main(sys.argv[1:]))
"""
"""The command line with a preset of seconds, which says each step on stdout."""


class Workers(Service):
    """With workers as processes of their own."""

    def worker(self, *more: str, steps: int = 90) -> subprocess.Popen:
        words = ["worker", "--data", str(self.folder), "--device", "cpu", "--threads", "1", "--lease", "4"]
        return self.child([*words, *more], steps)

    def child(self, words: list[str], steps: int = 90) -> subprocess.Popen:
        code = CHILD.format(tests=str(Path(__file__).parent), steps=steps)
        environment = os.environ | self.environment | {"OMP_NUM_THREADS": "1"}
        with open(self.folder / "steps", "a") as steps_said, open(self.folder / "log", "a") as log:
            command = [sys.executable, "-c", code, *words]
            process = subprocess.Popen(command, env=environment, stdout=steps_said, stderr=log)
        self.started.append(process)
        return process

    def steps(self) -> list[tuple[int, int]]:
        """All that were done so far, by all workers."""
        lines = (self.folder / "steps").read_text().splitlines()
        done = [(int(line.split()[1]), int(line.split()[2])) for line in lines if line.startswith("step")]
        return done or [(0, 0)]


@pytest.fixture
def service(tmp_path) -> Iterator[Workers]:
    made = Workers(tmp_path, f"sqlite:///{tmp_path}/service.db")
    yield made
    for process in made.started:
        if process.poll() is None:
            process.kill()
        process.wait()
    made.engine.dispose()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> bytes:
    """The mesh that the command line gives of the same bundle, preset, seed and number of threads."""
    folder = tmp_path_factory.mktemp("alone")
    (folder / "ball.sfb").write_bytes(bundle_bytes(ball_bundle()))
    made = Workers(folder, f"sqlite:///{folder}/service.db")
    words = ["reconstruct", str(folder / "ball.sfb"), "-o", str(folder / "out"), "--device", "cpu"]
    assert made.child(words).wait() == 0
    made.engine.dispose()
    return (folder / "out" / "mesh.ply").read_bytes()


def test_killed_then_stopped_then_done_as_the_command_line_does_it(service, undisturbed):
    """Each worker goes on from the last one's checkpoint, and the mesh is the undisturbed one."""
    submitted, _ = service.desk.submit()
    first = service.worker()
    service.until(lambda: service.objects("checkpoints") and service.steps()[-1] > (2, 10))
    first.kill()
    first.wait()
    assert len(list((service.folder / "scratch").glob("worker-*/job"))) == 1  # what it left

    before = len(service.steps())
    second = service.worker()
    service.until(lambda: len(service.steps()) > before + 20)
    assert service.steps()[before] > (1, 1)  # not from the start
    begun = service.desk.job(submitted).attempts
    assert begun >= 2
    second.terminate()
    assert second.wait(30) == 0
    found = service.desk.job(submitted)
    assert (found.state, found.attempts, found.worker) == (State.QUEUED, begun - 1, None)
    assert [path.name for path in (service.folder / "scratch").iterdir()] == [".lock"]
    before = len(service.steps())

    assert service.worker("--until-empty").wait(240) == 0
    stage, step = service.steps()[before - 1]
    assert service.steps()[before] == (stage, step + 1)  # not a step was lost
    assert service.desk.job(submitted).state == State.DONE
    result = service.result(submitted)
    pictures = {f"pictures/{name}.png" for name in ("protected", "mesh_front", "mesh_side")}
    assert result.keys() >= {"mesh.ply", "config.json", "metrics.jsonl", "report.html"} | pictures
    assert not any("checkpoint" in name for name in result)
    assert result["mesh.ply"] == undisturbed
    assert json.loads(result["config.json"])["threads"] == 1
    assert service.objects("checkpoints") == []
    assert len(service.objects("results")) == len(result)
    assert [path.name for path in (service.folder / "scratch").iterdir()] == [".lock"]
    texts = [result[name].decode() for name in ("config.json", "metrics.jsonl", "report.html")]
    told = "".join([(service.folder / "log").read_text(), *texts])
    assert str(service.folder) not in told
    assert KEY not in told


@pytest.mark.slow  # the same with the other signal, which reconstruct itself listens to
def test_ctrl_c_gives_the_job_back_with_its_last_step(service, undisturbed):
    stopped, _ = service.desk.submit()
    first = service.worker()
    service.until(lambda: service.steps()[-1] > (2, 5))
    first.send_signal(signal.SIGINT)
    assert first.wait(30) == 0
    assert service.desk.job(stopped).state == State.QUEUED
    before = len(service.steps())
    assert service.worker("--until-empty").wait(240) == 0
    stage, step = service.steps()[before - 1]
    assert service.steps()[before] == (stage, step + 1)
    assert service.result(stopped)["mesh.ply"] == undisturbed


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--cores", "0-one"], "the cores '0-one' cannot be had"),
        (["--cores", "0,4097"], "the cores '0,4097' cannot be had"),
        (["--threads", "0"], "at least 1"),
        (["--slots", "0"], "at least 1"),
        (["--device", "cuda:77"], "not to be had here"),
    ],
)
def test_bad_options_are_said_in_a_sentence(say, monkeypatch, tmp_path, words, sentence):
    monkeypatch.setenv("SANSFACE_STORE_KEY", KEY)
    code, _, told = say("worker", "--data", tmp_path / "data", *words)
    assert code == 1
    assert sentence in told


# From here on the work itself is a function of the test's own, in this process.


@pytest.fixture
def quick(service, monkeypatch) -> Service:
    monkeypatch.setattr(attempt, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(queue, "FAILURE_SECONDS", 0.01)
    monkeypatch.setattr(queue, "LOSS_SECONDS", 0.01)
    return service


def work(service: Service, execute: attempt.Execute, lease: float = 60) -> None:
    worker.work(service.engine, service.store, execute, threading.Event(), lease, until_empty=True)


def test_failures_are_tried_again_and_the_last_sentence_stays(quick):
    failing, _ = quick.desk.submit()

    def execute(bundle, settings, kept, attempt):
        attempts.append(kept)
        if len(attempts) == 1:
            attempt.keep(b"of no use")
        raise SansfaceError(f"cannot write {quick.folder}/a/mesh.ply: the disk is full; free some space.")

    attempts: list[bytes | None] = []
    work(quick, execute)
    # What an attempt began with and could not take a step from is not given to the next one.
    assert attempts == [None, b"of no use", None, None, None]
    found = quick.desk.job(failing)
    assert found.state == State.DEAD
    assert found.sentence == "cannot write mesh.ply: the disk is full; free some space."
    assert quick.objects("checkpoints") == []


def test_an_error_that_nobody_foresaw_says_nothing_of_its_own(quick):
    failing, _ = quick.desk.submit()

    def execute(bundle, settings, kept, attempt):
        raise ValueError("secret")

    for _ in range(queue.MAX_FAILURES):  # each time the worker ends, so that another process is started
        with pytest.raises(SansfaceError, match="unexpected error"):
            work(quick, execute)
    found = quick.desk.job(failing)
    assert found.state == State.DEAD
    assert "unexpected ValueError" in found.sentence
    assert "secret" not in found.sentence


def test_progress_is_there_to_be_seen(quick):
    told, _ = quick.desk.submit()

    def execute(bundle, settings, kept, attempt):
        assert attempt.tell({"done": 0.25, "note": "stage 1", "seconds_left": 3.0, "step": 2})
        quick.until(lambda: quick.desk.job(told).progress)
        seen.append(quick.desk.job(told).progress)
        return {"mesh.ply": b"ply"}

    seen: list = []
    work(quick, execute)
    assert seen == [{"done": 0.25, "note": "stage 1", "seconds_left": 3.0}]
    assert quick.result(told) == {"mesh.ply": b"ply"}


def test_a_worker_that_was_too_slow_commits_nothing(quick):
    late, _ = quick.desk.submit()
    first = threading.Event()

    def execute(bundle, settings, kept, attempt):
        if not first.is_set():
            first.set()
            quick.desk.expire(late)
            quick.until(lambda: quick.desk.job(late).state == State.DONE)
            return {"mesh.ply": b"late"}
        return {"mesh.ply": b"in time"}

    def beat(*_):
        return True  # nobody tells the slow one

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queue, "heartbeat", beat)
        slow = threading.Thread(target=work, args=(quick, execute))
        slow.start()
        first.wait()
        quick.until(
            lambda: quick.desk.wait() or work(quick, execute) or quick.desk.job(late).state == State.DONE
        )
        slow.join()
    assert quick.result(late) == {"mesh.ply": b"in time"}
    assert len(quick.objects("results")) == 1


def test_a_store_that_is_away_for_a_while_costs_no_attempt(quick):
    job_id, _ = quick.desk.submit()
    place, away = quick.folder / "store", quick.folder / "away"

    def back():
        time.sleep(0.7)
        place.unlink()
        away.rename(place)

    def execute(bundle, settings, kept, attempt):
        place.rename(away)
        place.write_text("a file where the folder was")
        threading.Thread(target=back).start()
        return {"mesh.ply": b"ply"}

    work(quick, execute)
    found = quick.desk.job(job_id)
    assert (found.state, found.attempts) == (State.DONE, 1)
    assert quick.result(job_id) == {"mesh.ply": b"ply"}


def test_a_bundle_that_is_lost_is_not_waited_for(quick):
    job_id, _ = quick.desk.submit()
    quick.store.check_key()
    for path in (quick.folder / "store" / "bundles").rglob("*"):
        if path.is_file():
            path.write_bytes(b"of another key")
    began = time.monotonic()
    work(quick, lambda *_: pytest.fail("there is nothing to work on"))
    assert time.monotonic() - began < 0.1 * attempt.STORE_SECONDS
    found = quick.desk.job(job_id)
    assert found.state == State.DEAD
    assert re.search("is damaged, or was written with another key", found.sentence or "")


def test_a_worker_without_room_takes_no_job(quick, tmp_path, monkeypatch):
    waiting, _ = quick.desk.submit()
    free = shutil.disk_usage(tmp_path)._replace(free=worker.SCRATCH_BYTES - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    words = quick.engine, quick.store, lambda *_: pytest.fail("no job is to begin"), threading.Event()
    with pytest.raises(SansfaceError, match="less than 256 MiB are free in"):
        worker.work(*words, until_empty=True, scratch=tmp_path)
    found = quick.desk.job(waiting)
    assert (found.state, found.attempts) == (State.QUEUED, 0)


def test_whose_disk_was_full_is_not_the_owners_affair(quick):
    failing, _ = quick.desk.submit()

    def execute(*_):
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise SansfaceError("cannot write mesh.ply: the disk is full; free some space.") from error

    work(quick, execute)
    assert quick.desk.job(failing).sentence == "The service's disk was full; try again later."


def test_a_damaged_checkpoint_costs_no_attempt(quick):
    job_id, _ = quick.desk.submit()
    quick.store.put(f"checkpoints/{job_id}/run", b"old")
    for path in (quick.folder / "store" / "checkpoints").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:-1])

    def execute(bundle, settings, kept, attempt):
        assert kept is None
        return {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attempt, "STORE_SECONDS", 0.1)
        work(quick, execute)
    assert quick.desk.job(job_id).state == State.DONE


@pytest.fixture
def small_preset(monkeypatch) -> Callable[[int], None]:
    """The preset `fast` with so many steps, its checkpoints often, in this process."""
    from sansface.reconstruct import config, pictures, record

    def steps(number: int) -> None:
        small = small_config(5, number)
        monkeypatch.setitem(config.PRESETS, "fast", lambda *_: small)

    monkeypatch.setattr(pictures, "MESH_SIZE", 48)
    monkeypatch.setattr(record, "CHECKPOINT_SECONDS", 0.1)
    monkeypatch.setattr(worker, "KEEP_SECONDS", 0.1)
    return steps


@pytest.mark.parametrize("how", ["cancelled", "deleted"])
def test_a_job_that_is_taken_away_stops_at_once_and_leaves_nothing(quick, small_preset, how):
    small_preset(100_000)
    gone, _ = quick.desk.submit()

    def take_away():
        quick.until(lambda: quick.objects("checkpoints"))
        if how == "cancelled":
            quick.desk.cancel(gone)
        else:
            with quick.engine.begin() as connection:
                connection.execute(delete(Job).where(Job.id == gone))

    other = threading.Thread(target=take_away)
    other.start()
    with scratch(quick.folder / "scratch") as folder:
        work(quick, worker.local(folder, "cpu"))
        assert not (folder / "job").exists()
    other.join()
    assert quick.objects("checkpoints") == quick.objects("results") == []


def test_what_is_no_bundle_ends_with_its_sentence_and_is_not_tried_again(quick):
    refused, _ = quick.desk.submit()
    quick.store.put(f"bundles/{quick.desk.bundle}", b"holiday")
    with scratch(quick.folder / "scratch") as folder:
        work(quick, worker.local(folder, "cpu"))
    found = quick.desk.job(refused)
    assert (found.state, found.attempts) == (State.DEAD, 1)
    assert found.sentence
    assert "/" not in found.sentence


def test_a_run_goes_on_while_postgresql_is_restarted(tmp_path, postgres, small_preset, monkeypatch):
    monkeypatch.setattr(attempt, "HEARTBEAT_SECONDS", 0.05)
    small_preset(100)
    service = Service(tmp_path, postgres.database())
    survived, _ = service.desk.submit()
    restarted = threading.Event()
    local, tell = worker.local(tmp_path, "cpu"), attempt.Attempt.tell

    def told(attempt, progress):
        if not restarted.is_set() and progress["step"] == 3:
            restarted.set()
            postgres.control("restart", "-m", "immediate")
        return tell(attempt, progress)

    monkeypatch.setattr(attempt.Attempt, "tell", told)
    work(service, local)
    found = service.desk.job(survived)
    assert restarted.is_set()
    assert (found.state, found.attempts) == (State.DONE, 1)
    assert "mesh.ply" in service.result(survived)
    service.engine.dispose()


def test_scratch_is_private_and_what_the_dead_left_is_cleared(tmp_path):
    root = tmp_path / "scratch"
    with scratch(root) as living:
        dead = root / "worker-dead"
        dead.mkdir()
        (dead / ".lock").touch()
        (dead / "job").mkdir()
        with scratch(root) as other:
            assert {path.name for path in root.glob("worker-*")} == {living.name, other.name}
            assert living.stat().st_mode & 0o777 == 0o700
    assert not list(root.glob("worker-*"))
    root.chmod(0o755)
    with pytest.raises(SansfaceError, match="open to others"), scratch(root):
        pass


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("cannot read /tmp/a b/job/mesh.ply: no.", "cannot read mesh.ply: no."),
        (
            "the run in /tmp/a b/job began with another seed.",
            "the run in the job's folder began with another seed.",
        ),
        ("see '/home/anna/x.sfb', or C:\\Users\\anna\\y.sfb.", "see 'x.sfb', or y.sfb."),
        ("3/4 of it and either/or stay.", "3/4 of it and either/or stay."),
    ],
)
def test_sentences_name_no_folder(said, kept):
    assert job.sentence(SansfaceError(said), Path("/tmp/a b/job")) == kept


def test_a_snapshot_has_what_a_run_goes_on_from_and_nothing_else(tmp_path):
    folder = tmp_path / "run"
    (folder / "pictures").mkdir(parents=True)
    assert job.snapshot(folder) is None
    for name in (
        "checkpoint.safetensors",
        "metrics.jsonl",
        "pictures/a.png",
        "letter.txt",
        "mesh.ply.0123abcd.part",
    ):
        (folder / name).write_bytes(name.encode())
    taken = job.snapshot(folder)
    job.restore(taken, tmp_path / "again")
    found = {path.relative_to(tmp_path / "again").as_posix() for path in (tmp_path / "again").rglob("*.*")}
    assert found == {"checkpoint.safetensors", "metrics.jsonl", "pictures/a.png"}
    assert zipfile.ZipFile(io.BytesIO(taken)).namelist()[0] == "checkpoint.safetensors"


def test_a_job_stops_when_it_is_told_to(tmp_path):
    with pytest.raises(BundleError):
        job.run_job(b"holiday", queue.Settings(), tmp_path / "a", lambda _: True, "cpu")
    with pytest.raises(Stopped):
        job.run_job(bundle_bytes(ball_bundle()), queue.Settings(), tmp_path / "b", lambda _: False, "cpu")
    assert (tmp_path / "b" / "checkpoint.safetensors").exists()
