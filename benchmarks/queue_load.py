"""Row e: nothing is lost, and nothing committed twice, while workers are killed and PostgreSQL is restarted.

    python benchmarks/queue_load.py [--short] [--jobs 1000] [--heads 5] [--workers 16] [--kills 20]

Puts jobs that sleep, and a few real reconstructions, into the real queue on a PostgreSQL of its own, lets
workers do them, kills workers (SIGKILL) at moments drawn evenly and starts others in their place, and once
restarts PostgreSQL as after a crash. A trigger in the database counts the commits by itself. In the end every
job has to be done, committed once, and its files in the store be what the database says. --short: seconds.
"""

import argparse
import hashlib
import multiprocessing
import os
import random
import secrets
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, func, select, text
from sqlalchemy.orm import Session

from commands import CAPTURES, timed
from postgres import Cluster, cluster, programs
from sansface.serve import attempt, log, queue, worker
from sansface.serve.database import now, open_database, reading
from sansface.serve.queue import Settings, counts, submit
from sansface.serve.store import Store
from sansface.serve.tables import Account, Bundle, Job, ResultFile, State, new_id

LEASE = 5.0
SLEEPS = b"sleep"


@dataclass(frozen=True)
class Load:
    """What is done."""

    jobs: int = 1000  # that sleep
    seconds: float = 1.0  # each
    heads: int = 5  # real reconstructions
    workers: int = 16
    kills: int = 20
    seed: int = 0  # of the moments
    small: bool = False  # heads of a preset of seconds, not `fast`


SHORT = Load(jobs=60, seconds=0.2, heads=1, workers=4, kills=3, small=True)


def child(url: str, place: str, key: bytes, load: Load, number: int) -> None:
    """A worker: sleeps or reconstructs, as the bundle says."""
    log.configure()
    from sansface.reconstruct import config

    attempt.HEARTBEAT_SECONDS, worker.POLL_SECONDS, worker.KEEP_SECONDS = 0.5, 0.2, 2.0
    queue.LOSS_SECONDS = 0.2
    if load.small:
        config.PRESETS["fast"] = small
    store = Store(place, key)
    scratch = Path(place).parent / f"scratch{number}"
    scratch.mkdir(mode=0o700)
    local = worker.local(scratch, "cpu")

    def execute(bundle, settings, kept, attempt):
        if bundle != SLEEPS:
            return local(bundle, settings, kept, attempt)
        time.sleep(load.seconds)
        if not attempt.tell({"done": 1.0, "note": "slept", "seconds_left": 0.0}):
            raise worker.Stopped
        return {"config.json": secrets.token_bytes(100)}

    engine = open_database(url)
    with worker.stopped_by_signals() as stopping:
        worker.work(engine, store, execute, stopping, LEASE, until_empty=True)
    engine.dispose()


def small(resolution: int, views: tuple[int, int]):
    """A preset of seconds."""
    from sansface.reconstruct.config import _fast, changed

    grid = {"levels": (4, 8, 16), "feature_nodes": 8, "feature_channels": 4, "width": 8, "depth": 1}
    sizes = {"silhouette_rays": 300, "samples": 4, "coarse_looks": 16, "mesh_resolution": 24}
    steps = {"stage1": {"steps": 5}, "stage2": {"steps": 40}}
    return changed(_fast(resolution, views), {"field_settings": grid | {"radius": 0.5}} | sizes | steps)


def head(folder: Path, small: bool) -> bytes:
    """A bundle to reconstruct."""
    capture = CAPTURES / "lps"
    if small or not capture.is_dir():
        from sansface.demo import make_demo_capture

        capture = folder / "capture"
        make_demo_capture(capture, views=12, size=96)
    timed("protect", capture, "-o", folder / "head.sfb", *(["--resolution", "24"] if small else []))
    return (folder / "head.sfb").read_bytes()


def fill(engine: Engine, store: Store, load: Load, head: bytes) -> None:
    """An account, two bundles, all jobs, and the witness of commits."""
    with Session(engine) as session, session.begin():
        at = now(session)
        account = Account(id=new_id(), name="load", password="", created=at)
        kinds = {kind: new_id() for kind in (SLEEPS, head)}
        session.add(account)
        session.flush()
        for data, id in kinds.items():
            store.put(f"bundles/{id}", data)
            fields = {"digest": hashlib.sha256(data).hexdigest(), "size": len(data), "about": {}}
            times = {"created": at, "expires": at + 1e6}
            session.add(Bundle(id=id, account_id=account.id, **fields, **times))
        session.flush()
        places = random.Random(load.seed).sample(range(load.jobs), load.heads)
        for number in range(load.jobs):
            submit(session, account.id, kinds[SLEEPS], Settings(seed=number), at + 1e6)
            if number in places:
                submit(session, account.id, kinds[head], Settings(seed=number), at + 1e6)
        for statement in WITNESS:
            session.execute(text(statement))


WITNESS = (
    "CREATE TABLE commits (job_id text, attempt text)",
    """CREATE FUNCTION witness() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO commits VALUES (NEW.id, NEW.attempt); RETURN NULL; END $$""",
    """CREATE TRIGGER witness AFTER UPDATE ON jobs FOR EACH ROW
    WHEN (NEW.state = 'done') EXECUTE FUNCTION witness()""",
)


class Supervisor:
    """Keeps so many workers running, as systemd would, and disturbs them."""

    def __init__(self, postgres: Cluster, words: tuple, load: Load) -> None:
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["sansface.serve.worker", "sansface.serve.store"])
        self.postgres, self.words, self.load = postgres, words, load
        self.begun = 0
        self.alive = [self.started() for _ in range(load.workers)]

    def started(self):
        """A new worker."""
        process = self.context.Process(target=child, args=(*self.words, self.load, self.begun))
        process.start()
        self.begun += 1
        return process

    def run(self, engine: Engine) -> None:
        """Until all workers have ended, for nothing is left to do; the clock begins with a commit."""
        while not done(engine):
            time.sleep(0.05)
        chance, length = random.Random(self.load.seed), self.load.jobs * self.load.seconds / self.load.workers
        moments = [(chance.uniform(0.05, 1.0) * length, "kill") for _ in range(self.load.kills)]
        events, began = sorted([*moments, (length / 2, "restart")]), time.monotonic()
        while events or any(process.exitcode != 0 for process in self.alive):
            time.sleep(0.05)
            if events and time.monotonic() > began + events[0][0]:
                self.disturb(events.pop(0)[1], chance)
            fallen = [p for p in self.alive if p.exitcode not in (None, 0)]  # they met no database, say
            self.alive = [p for p in self.alive if p not in fallen] + [self.started() for _ in fallen]

    def disturb(self, what: str, chance: random.Random) -> None:
        """SIGKILL, or a database that ends as in a crash."""
        if what == "restart":
            self.postgres.control("restart", "-m", "immediate")
        else:
            victim = chance.choice([process for process in self.alive if process.is_alive()])
            victim.kill()


def done(engine: Engine) -> int:
    """Jobs that are."""
    with Session(reading(engine)) as session:
        return counts(session)[State.DONE]


def verdict(engine: Engine, store: Store, load: Load) -> list[str]:
    """What is wrong in the end; nothing, it is hoped."""
    wrong = []
    with Session(reading(engine)) as session:
        jobs = list(session.scalars(select(Job)))
        files = list(session.scalars(select(ResultFile)))
        commits = session.execute(text("SELECT job_id, count(*) FROM commits GROUP BY job_id"))
        committed = {job: count for job, count in commits}
    if len(jobs) != load.jobs + load.heads:
        wrong.append(f"{len(jobs)} jobs")
    attempts = {job.id: job.attempt for job in jobs}
    wrong += [f"a job is {job.state}" for job in jobs if job.state != State.DONE]
    wrong += [
        f"a job was committed {committed.get(id, 0)} times" for id in attempts if committed.get(id) != 1
    ]
    if {file.job_id for file in files} != set(attempts):
        wrong.append("jobs without files")
    for file in files:
        if file.stored.split("/")[:3] != ["results", file.job_id, attempts[file.job_id]]:
            wrong.append("a file of another attempt")
        elif hashlib.sha256(store.get(file.stored)).hexdigest() != file.sha256:
            wrong.append("a file that is not what the database says")
    return wrong


def run(load: Load) -> list[str]:
    """All of it; prints a row, and returns what is wrong."""
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as name, cluster() as postgres:
        folder, key, url = Path(name), secrets.token_bytes(32), postgres.database()
        engine, store = open_database(url), Store(str(folder / "store"), key)
        fill(engine, store, load, head(folder, load.small))
        began = time.monotonic()
        Supervisor(postgres, (url, str(folder / "store"), key), load).run(engine)
        took = time.monotonic() - began
        wrong = verdict(engine, store, load)
        finished = done(engine)
        with Session(reading(engine)) as session:
            begun = session.scalar(select(func.sum(Job.attempts))) or 0
        engine.dispose()
    total, ideal = load.jobs + load.heads, load.jobs * load.seconds / load.workers
    print(
        f"| e | {load.jobs} jobs of {load.seconds:g} s and {load.heads} reconstructions, "
        f"{load.workers} workers, {load.kills} killed, PostgreSQL restarted: done, committed once "
        f"| {finished} of {total} |\n"
        f"({begun - total} begun again; {took:.0f} s, of which the sleeping alone takes {ideal:.0f} s)"
    )
    return wrong


def main() -> int:
    """Parse the words, run, say what is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true")
    for name in ("jobs", "heads", "workers", "kills", "seed"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Load, name))
    parser.add_argument("--seconds", type=float, default=Load.seconds)
    options = vars(parser.parse_args())
    if programs() is None:
        sys.exit("PostgreSQL is not installed: apt-get install postgresql")
    wrong = run(SHORT if options.pop("short") else Load(**options))
    for what in wrong[:20]:
        print(f"WRONG: {what}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
