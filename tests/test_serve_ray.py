"""Many bundles without the server, here and on a Ray cluster of two nodes, of which one is lost."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sansface.errors import SansfaceError
from sansface.protect.bundle import bundle_bytes
from sansface.serve import batch, ray
from sansface.serve.job import CHECKPOINT, Stopped
from sansface.serve.queue import Settings
from sansface.serve.tables import State
from serve_desk import Service
from small import ball_bundle, small_config


@pytest.fixture
def small_preset(monkeypatch):
    from sansface.reconstruct import config, pictures

    small = small_config(3, 3)
    monkeypatch.setitem(config.PRESETS, "fast", lambda *_: small)
    monkeypatch.setattr(pictures, "MESH_SIZE", 48)


def bundles(folder: Path, names: str) -> list[Path]:
    for name in names:
        (folder / f"{name}.sfb").write_bytes(bundle_bytes(ball_bundle()))
    return [folder / f"{name}.sfb" for name in names]


def test_a_batch_lists_what_failed_and_does_not_do_again_what_is_finished(tmp_path, small_preset, say):
    first, last = bundles(tmp_path, "ac")
    bad = tmp_path / "b.sfb"
    bad.write_bytes(b"holiday")
    words = ("batch", first, bad, last, "-o", tmp_path / "out", "--device", "cpu")
    code, said, told = say(*words)
    assert code == 1
    assert said.splitlines()[0].startswith("b.sfb: ")
    assert "2 of 3 heads" in said
    assert "1 of 3 bundles failed" in told
    meshes = [tmp_path / "out" / name / "mesh.ply" for name in "ac"]
    before = [(mesh.read_bytes(), mesh.stat().st_mtime_ns) for mesh in meshes]
    bad.write_bytes(first.read_bytes())
    code, said, _ = say(*words)
    assert code == 0
    assert "3 of 3 heads" in said
    assert [(mesh.read_bytes(), mesh.stat().st_mtime_ns) for mesh in meshes] == before
    assert (tmp_path / "out" / "b" / "mesh.ply").read_bytes() == before[0][0]


def test_a_batch_that_was_stopped_goes_on(tmp_path, small_preset):
    two = bundles(tmp_path, "ab")
    do = batch.here(Settings(), "cpu")
    asked = []

    def tell(now):
        asked.append(now["done"])
        return len(asked) < 12

    with pytest.raises(Stopped):
        batch.run_batch(two, tmp_path / "out", do, tell)
    assert (tmp_path / "out" / "a" / "mesh.ply").exists()
    assert (tmp_path / "out" / "b" / CHECKPOINT).exists()
    assert batch.run_batch(two, tmp_path / "out", do, lambda _: True) == {}
    meshes = [(tmp_path / "out" / name / "mesh.ply").read_bytes() for name in "ab"]
    assert meshes[0] == meshes[1]


def test_bad_words_of_a_batch_are_said_in_a_sentence(tmp_path, say):
    (tmp_path / "other").mkdir()
    same = [*bundles(tmp_path, "a"), *bundles(tmp_path / "other", "a")]
    for words, sentence in (
        ((*same, "-o", tmp_path / "out"), "two bundles are called a"),
        (("-o", tmp_path / "out"), "name some bundles"),
        ((same[0], "-o", tmp_path / "out", "--seed", "-1"), "the seed is a whole number"),
        ((same[0], "-o", tmp_path / "out", "--executor", "ray", "--slots", "0"), "at least 1"),
    ):
        code, _, told = say("batch", *words)
        assert code == 1
        assert sentence in told
    assert not (tmp_path / "out").exists()


NODES = """
import glob, os, sys, threading, time
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # 127.0.0.1 only
from ray.cluster_utils import Cluster
from sansface.cli import main
from sansface.serve import ray
ray.KEEP_SECONDS = 0.5
out, bundles = sys.argv[1], sys.argv[2:]
memory = {"object_store_memory": 80 << 20}
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False} | memory)
first = cluster.add_node(num_cpus=1, **memory)
cluster.add_node(num_cpus=1, **memory)
lost = []
def lose():
    while len(glob.glob(out + "/*/report.html")) < 3:  # both are at work
        time.sleep(0.1)
    cluster.remove_node(first, allow_graceful=False)
    lost.append(len(glob.glob(out + "/*/report.html")))
thread = threading.Thread(target=lose)
thread.start()
code = main(["batch", *bundles, "-o", out, "--executor", "ray", "--address", cluster.address])
thread.join()
cluster.shutdown()
print("lost after", lost, "results")
sys.exit(code)
"""

SMALL = """
import os
from sansface.reconstruct import config
grid = {"levels": (4, 8, 16), "feature_nodes": 8, "feature_channels": 4, "width": 8, "depth": 1}
sizes = {"silhouette_rays": 300, "samples": 4, "coarse_looks": 16, "mesh_resolution": 24}
steps = {"stage1": {"steps": 5}, "stage2": {"steps": int(os.environ["STEPS"])}}
small = config.changed(config.preset("fast"), {"field_settings": grid | {"radius": 0.5}} | sizes | steps)
config.PRESETS["fast"] = lambda *_: small
"""
"""A preset of seconds in every process beneath, the nodes' included."""


def small_everywhere(folder: Path, steps: int) -> dict[str, str]:
    """The environment in which every process has the small preset."""
    (folder / "sitecustomize.py").write_text(SMALL)
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    return os.environ | {
        "PYTHONPATH": path,
        "OMP_NUM_THREADS": "1",
        "RAY_worker_niceness": "0",
        "STEPS": str(steps),
    }


def test_a_cluster_that_is_not_there_is_said_at_once():
    """Ray itself tries for minutes."""
    pytest.importorskip("ray")
    began = time.monotonic()
    with (
        pytest.raises(SansfaceError, match=r"no Ray cluster at '127\.0\.0\.1:1'"),
        ray.connected("127.0.0.1:1"),
    ):
        pass
    assert time.monotonic() - began < 10


@pytest.mark.slow
def test_twenty_jobs_on_two_nodes_of_which_one_is_lost(tmp_path):
    """Row j."""
    pytest.importorskip("ray")
    names = "abcdefghijklmnopqrst"
    twenty = bundles(tmp_path, names)
    environment = small_everywhere(tmp_path, 20)
    command = [sys.executable, "-c", NODES, str(tmp_path / "out"), *map(str, twenty)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=3000)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "20 of 20 heads" in done.stdout
    assert "lost after [3" in done.stdout or "lost after [4" in done.stdout
    meshes = {(tmp_path / "out" / name / "mesh.ply").read_bytes() for name in names}
    assert len(meshes) == 1
    assert not list((tmp_path / "out").glob(f"*/{CHECKPOINT}"))


DRIVER = """
import sys
from sansface.cli import main
from sansface.serve import ray
ray.KEEP_SECONDS = 1.0
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_jobs_of_the_queue_on_a_cluster_are_given_back_with_their_steps(tmp_path):
    pytest.importorskip("ray")
    service = Service(tmp_path, f"sqlite:///{tmp_path}/service.db")
    jobs = [service.desk.submit(seed)[0] for seed in range(2)]
    words = ["worker", "--data", str(tmp_path), "--executor", "ray", "--address", "local", "--slots", "2"]
    command = [sys.executable, "-c", DRIVER, *words, "--until-empty"]
    environment = small_everywhere(tmp_path, 600) | service.environment
    first = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    service.until(lambda: len(service.objects("checkpoints")) == 2, 600)
    first.terminate()
    _, told = first.communicate(timeout=120)
    assert first.returncode == 0, told
    assert {service.desk.job(job).state for job in jobs} == {State.QUEUED}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    for job in jobs:
        assert service.desk.job(job).state == State.DONE
        result = service.result(job)
        rows = [json.loads(line) for line in result["metrics.jsonl"].splitlines()]
        assert rows[-1]["step"] == 600
        assert json.loads(result["config.json"])["seconds"]["total"] > rows[-1]["seconds"] - 1
    assert service.objects("checkpoints") == []
    service.engine.dispose()
