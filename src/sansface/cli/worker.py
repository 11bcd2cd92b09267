"""The verbs worker, of the service, and batch, without it."""

import os
from dataclasses import dataclass
from pathlib import Path

from sansface.cli.words import Flag
from sansface.errors import SansfaceError
from sansface.extras import require


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

    def run(self) -> None:
        require("sqlalchemy", extra="serve")
        if self.lease < 1 or (self.threads is not None and self.threads < 1):
            raise SansfaceError("--lease and --threads are at least 1; correct them.")
        keep_to(self.cores)  # before torch counts the cores
        require("sansface.reconstruct.run", extra="reconstruct")
        import torch

        from sansface.reconstruct.run import chosen_device
        from sansface.serve.database import open_database
        from sansface.serve.deployment import deployment
        from sansface.serve.scratch import scratch
        from sansface.serve.store import Store
        from sansface.serve.worker import local, stopped_by_signals, work

        if self.threads is not None:
            torch.set_num_threads(self.threads)
        device = str(chosen_device(self.device))
        where = deployment(self.data)
        with stopped_by_signals() as stopping, scratch(self.scratch or self.data / "scratch") as folder:
            engine = open_database(where.database)
            try:
                store = Store(where.store, where.key)
                work(engine, store, local(folder, device), stopping, self.lease, self.until_empty)
            finally:
                engine.dispose()


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
        os.sched_setaffinity(0, chosen)
    except (ValueError, OSError, AttributeError) as error:
        raise SansfaceError(f"the cores {cores!r} cannot be had here; write such as 0,1 or 4-7.") from error
