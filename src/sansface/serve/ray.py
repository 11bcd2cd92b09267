"""Jobs on a Ray cluster: each an actor with the resources it asks for, begun anew where its node was lost.

The queue stays in the database and the results in the store: a driver here takes leases and beats for them,
and what crosses is a bundle's bytes, plain dicts, and snapshots of the run. Nodes need neither the database
nor the store's key. Ray itself serialises with cloudpickle, which runs code when read, and encrypts nothing
unless told to: a cluster must be one's own, closed to others (docs/workers.md).
"""

import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sansface.errors import SansfaceError
from sansface.extras import require
from sansface.protect.contents import BundleError
from sansface.serve import job
from sansface.serve.attempt import KEEP_SECONDS, Attempt, Execute
from sansface.serve.job import Stopped, Tell
from sansface.serve.queue import Settings
from sansface.serve.scratch import scratch

REACHED = 5.0
"""Seconds in which a cluster answers that is there."""
LOOK_SECONDS = 1.0
"""Between two looks at a job on its node."""
MAX_LOSSES = 20
"""Nodes that one call may lose."""

WAITING: dict[str, Any] = {"done": 0.0, "note": "waiting for a node", "seconds_left": None, "step": 0}


@dataclass(frozen=True)
class Resources:
    """What one job asks of its node."""

    cpus: float = 1.0  # and so many threads
    gpus: float = 0.0
    memory: int | None = None  # bytes


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Be a driver of a cluster while the body runs.

    address: `auto`, the one that runs on this machine; HOST:PORT of one; `local` starts one for this process
    alone, on 127.0.0.1.

    Raises:
        SansfaceError: there is none.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    options: dict[str, Any] = {"address": address}
    if address == "local":
        # By this word of its own Ray listens on the loopback interface only; elsewhere it listens on all.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        options["include_dashboard"] = False
    ray = require("ray", extra="cluster")
    try:
        _reach(address)
        ray.init(**options, log_to_driver=False, logging_level="ERROR")
    except (OSError, ValueError) as error:
        raise SansfaceError(
            f"there is no Ray cluster at {address!r}; start one with `ray start`, or say --address local."
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Does anybody answer at HOST:PORT? Ray itself tries for minutes. Raises OSError, ValueError."""
    host, colon, port = address.rpartition(":")
    if colon and "://" not in address:
        socket.create_connection((host.strip("[]"), int(port)), REACHED).close()


def slots(resources: Resources) -> int:
    """How many jobs the cluster has room for, as it is now; at least 1."""
    ray = require("ray", extra="cluster")
    there = ray.cluster_resources()
    asked = {"CPU": resources.cpus, "GPU": resources.gpus, "memory": resources.memory or 0}
    return max(1, min(int(there.get(name, 0) // of) for name, of in asked.items() if of))


def on_cluster(resources: Resources) -> Execute:
    """Jobs of the queue done on the cluster."""

    def execute(bundle: bytes, settings: Settings, kept: bytes | None, attempt: Attempt) -> dict[str, bytes]:
        return run_on_node(bundle, settings, kept, attempt.tell, attempt.keep, resources)

    return execute


def run_on_node(
    bundle: bytes,
    settings: Settings,
    kept: bytes | None,
    tell: Tell,
    keep: Callable[[bytes], None],
    resources: Resources,
) -> dict[str, bytes]:
    """Do a job on whatever node has room, and on another one when that is lost.

    Args:
        kept: a snapshot to go on from.
        keep: is given a snapshot now and then, and the last one when `tell` wants to stop.

    Returns:
        the files to keep by name.

    Raises:
        Stopped: by `tell`.
        SansfaceError: the job's own, or too many nodes were lost.
    """
    ray = require("ray", extra="cluster")
    limits = {"num_cpus": resources.cpus, "num_gpus": resources.gpus, "memory": resources.memory}
    actor_class = ray.remote(OnNode).options(**limits, max_concurrency=2, max_restarts=0)
    for losses in range(MAX_LOSSES):
        actor = actor_class.remote()
        try:
            device = "cuda" if resources.gpus else "cpu"
            threads = max(1, int(resources.cpus))
            run = actor.run.remote(bundle, settings.as_dict(), kept, device, threads)
            for snapshot in _watched(ray, actor, run, tell):
                kept = snapshot
                keep(snapshot)
            answer = ray.get(run)
            break
        except ray.exceptions.RayError:  # the node or the process was lost: another one goes on
            if not tell(WAITING):
                raise Stopped from None
            time.sleep(min(30.0, 0.5 * 2**losses))
        finally:
            with suppress(ray.exceptions.RayError):
                ray.kill(actor)
    else:
        raise SansfaceError(f"the cluster lost the job's node {MAX_LOSSES} times; look at its logs.")
    match answer:
        case {"files": files}:
            return files
        case {"failed": sentence, "final": final}:
            raise (BundleError if final else SansfaceError)(sentence)
        case {"stopped": snapshot}:
            if snapshot is not None:
                keep(snapshot)
            raise Stopped
    raise AssertionError(answer.keys())


def _watched(ray: Any, actor: Any, run: Any, tell: Tell) -> Iterator[bytes]:
    """Snapshots of a job until it is over. Raises Stopped where it has not even begun."""
    look, began, last = None, False, time.monotonic()
    while True:
        over, _ = ray.wait([run], timeout=LOOK_SECONDS)
        if over:
            return
        if look is None:
            due = time.monotonic() - last > KEEP_SECONDS
            last = time.monotonic() if due else last
            look = actor.look.remote(due)
        answered, _ = ray.wait([look], timeout=0.1 if began else 0)
        said: dict[str, Any] = {"progress": None, "snapshot": None}
        if answered:
            said, look, began = ray.get(look), None, True
        if said["snapshot"] is not None:
            yield said["snapshot"]
        if not tell(said["progress"] or WAITING):
            if not began:
                raise Stopped
            actor.stop.remote()


class OnNode:
    """A job on its node: an actor, of which one thread does the job and another one answers."""

    def __init__(self) -> None:
        self.progress: dict[str, Any] | None = None
        self.folder: Path | None = None
        self.changed: int | None = None
        self.stopping = threading.Event()

    def run(
        self, bundle: bytes, settings: dict[str, Any], kept: bytes | None, device: str, threads: int
    ) -> dict[str, Any]:
        """The files to keep, the snapshot of where it stopped, or the sentence that it failed with.

        An exception would cross as code.
        """
        try:
            with scratch(Path(tempfile.gettempdir()) / f"sansface-{os.geteuid()}") as root:
                require("torch", extra="reconstruct").set_num_threads(threads)
                folder = root / "job"
                folder.mkdir(mode=0o700)
                if kept is not None:
                    job.restore(kept, folder)
                self.folder = folder
                try:
                    job.run_job(bundle, Settings.from_dict(settings), folder, self._tell, device)
                except Stopped:
                    return {"stopped": job.snapshot(folder)}
                except Exception as error:
                    return {
                        "failed": job.sentence(error, folder),
                        "final": isinstance(error, BundleError),
                    }
                finally:
                    self.folder = None
                return {"files": job.files(folder)}
        except Exception as error:
            return {"failed": job.sentence(error), "final": False}

    def look(self, snapshot: bool) -> dict[str, Any]:
        """How far it is; with a snapshot if there is a newer checkpoint than at the last one."""
        folder, data = self.folder, None
        if snapshot and folder is not None:
            with suppress(OSError):
                changed = job.changed(folder)
                if changed not in (None, self.changed):
                    data, self.changed = job.snapshot(folder), changed
        return {"progress": self.progress, "snapshot": data}

    def stop(self) -> None:
        """At the next step."""
        self.stopping.set()

    def _tell(self, progress: dict[str, Any]) -> bool:
        self.progress = progress
        return not self.stopping.is_set()
