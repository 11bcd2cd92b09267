"""The verbs worker, of the service, and batch, without it."""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tyro.conf import OmitArgPrefixes, Positional

from sansface.cli.words import Flag, Out, PresetName
from sansface.errors import SansfaceError
from sansface.extras import require
from sansface.progress import progress_bar


@dataclass(frozen=True)
class Cluster:
    """Of the executor ray."""

    address: str = "auto"
    """Of the cluster: HOST:PORT; auto for the one on this machine; local starts one here."""
    slots: int | None = None
    """Jobs at once on the cluster; else as many as it has room for when this starts."""
    cpus: float = 1.0
    """That a job asks of its node, and its threads there."""
    gpus: float = 0.0
    """That a job asks of its node; with any it runs on CUDA."""
    memory: int | None = None
    """GiB that a job asks of its node."""

    @contextmanager
    def connected(self) -> Iterator[tuple[Any, int]]:
        """What a job asks of its node, and how many run at once. Raises SansfaceError for what cannot be."""
        from sansface.serve.ray import Resources, connected, slots

        if self.cpus <= 0 or self.gpus < 0 or (self.memory is not None and self.memory < 1):
            raise SansfaceError(
                "a job needs some --cpus, no less than 0 --gpus and 1 GiB of --memory; correct them."
            )
        asked = Resources(self.cpus, self.gpus, None if self.memory is None else self.memory << 30)
        with connected(self.address):
            yield asked, self.slots or slots(asked)


@dataclass(frozen=True)
class Worker:
    """Do the service's jobs, one at a time: start one for each GPU or set of cores.

    The environment says where database and store are, as for serve. SIGTERM and Ctrl-C stop it gracefully:
    the job goes back into the queue with its checkpoint, and another worker goes on with it.
    """

    data: Path = Path("sansface-data")
    """Folder for the database and the store, as for serve."""
    device: str = "auto"
    """auto (a CUDA device if there is one), cpu, cuda, cuda:1 ..."""
    threads: int | None = None
    """Of a job on the CPU; else as many as there are cores. Their number decides a mesh's last bits."""
    cores: str | None = None
    """Keep to these cores: 0,1 or 4-7."""
    scratch: Path | None = None
    """Folder for the job's decrypted checkpoint and results, else one under --data; a tmpfs is best."""
    lease: float = 60.0
    """Seconds after which a worker that was not heard of has lost its job."""
    until_empty: Flag = False
    """End when no job is queued or running."""
    executor: Literal["local", "ray"] = "local"
    """Where jobs run: in this process, or on a Ray cluster (extra cluster), several at once."""
    cluster: OmitArgPrefixes[Cluster] = field(default_factory=Cluster)

    def run(self) -> None:
        log = require("sansface.serve.log", extra="serve")
        at_least_one(lease=self.lease, threads=self.threads, slots=self.cluster.slots)
        keep_to(self.cores)  # before torch counts the cores
        from sansface.serve.database import open_database
        from sansface.serve.deployment import deployment
        from sansface.serve.scratch import scratch
        from sansface.serve.store import Store
        from sansface.serve.worker import stopped_by_signals, work

        where = deployment(self.data)
        with ExitStack() as stack:
            if self.executor == "ray":
                from sansface.serve.ray import on_cluster

                asked, at_once = stack.enter_context(self.cluster.connected())
                execute, folder = on_cluster(asked), None
            else:
                folder = stack.enter_context(scratch(self.scratch or self.data / "scratch"))
                execute, at_once = self._local(folder), 1
            log.configure()
            stopping = stack.enter_context(stopped_by_signals())
            engine = open_database(where.database)
            stack.callback(engine.dispose)
            store = Store(where.store, where.key)
            store.check_key()
            words = (engine, store, execute, stopping, self.lease, self.until_empty, folder)
            if at_once == 1:
                work(*words)
                return
            threads = [threading.Thread(target=work, args=words) for _ in range(at_once)]
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.5)  # in between, signals are heard

    def _local(self, folder: Path) -> Any:
        run = require("sansface.reconstruct.run", extra="reconstruct")
        from sansface.serve.worker import local

        if self.threads is not None:
            require("torch", extra="reconstruct").set_num_threads(self.threads)
        return local(folder, str(run.chosen_device(self.device)))


@dataclass(frozen=True)
class Batch:
    """Heads from many bundles, without the server: the results of NAME.sfb in OUT/NAME.

    Said again, it goes on: what is finished is left as it is, what was interrupted continues.
    """

    bundles: Positional[tuple[Path, ...]]
    """The bundles."""
    out: Out
    """Folder for the results."""
    preset: PresetName = "fast"
    """As for reconstruct."""
    seed: int = 0
    """Decides everything random."""
    device: str = "auto"
    """Of the executor local: auto (a CUDA device if there is one), cpu, cuda, cuda:1 ..."""
    executor: Literal["local", "ray"] = "local"
    """Where they run: here one after the other, or on a Ray cluster (extra cluster), several at once."""
    cluster: OmitArgPrefixes[Cluster] = field(default_factory=Cluster)

    def run(self) -> None:
        require("sqlalchemy", extra="serve")
        at_least_one(slots=self.cluster.slots)
        from sansface.serve.batch import here, on_nodes, run_batch
        from sansface.serve.job import Stopped
        from sansface.serve.queue import Settings

        if not self.bundles:
            raise SansfaceError("there is nothing to do; name some bundles.")
        settings = Settings(self.preset, self.seed)
        with ExitStack() as stack:
            stopping = threading.Event()
            if self.executor == "ray":
                from sansface.serve.worker import stopped_by_signals

                asked, at_once = stack.enter_context(self.cluster.connected())
                stopping = stack.enter_context(stopped_by_signals())
                do = on_nodes(settings, asked)
            else:
                run = require("sansface.reconstruct.run", extra="reconstruct")
                do, at_once = here(settings, str(run.chosen_device(self.device))), 1
            show = stack.enter_context(progress_bar("reconstructing"))

            def tell(now: dict[str, Any]) -> bool:
                show(now["done"], now["note"], now["seconds_left"])
                return not stopping.is_set()

            try:
                failed = run_batch(self.bundles, self.out, do, tell, at_once)
            except Stopped as stop:
                raise KeyboardInterrupt("interrupted; the same command goes on from there.") from stop
        for bundle, sentence in failed.items():
            print(f"{bundle.name}: {sentence}")
        print(f"{self.out}: {len(self.bundles) - len(failed)} of {len(self.bundles)} heads")
        if failed:
            raise SansfaceError(
                f"{len(failed)} of {len(self.bundles)} bundles failed, each for the reason above; "
                "the same command tries them again."
            )


def at_least_one(**options: float | None) -> None:
    """Raises SansfaceError for an option below 1."""
    for name, value in options.items():
        if value is not None and value < 1:
            raise SansfaceError(f"--{name} is at least 1, not {value:g}; correct it.")


def keep_to(cores: str | None) -> None:
    """Let this process run on the named cores only: 0,1 or 4-7.

    Raises:
        SansfaceError: not such a list, or cores that are not to be had.
    """
    if cores is None:
        return
    try:
        ends = [[int(end) for end in part.split("-")] for part in cores.split(",")]
        chosen = {core for first, *last in ends for core in range(first, (last or [first])[0] + 1)}
        if not chosen <= os.sched_getaffinity(0):
            raise ValueError("not all are there")  # the system would take those that are, and say nothing
        os.sched_setaffinity(0, chosen)
    except (ValueError, OSError, AttributeError) as error:
        raise SansfaceError(f"the cores {cores!r} cannot be had here; write such as 0,1 or 4-7.") from error
