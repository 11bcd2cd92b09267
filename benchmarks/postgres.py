"""A PostgreSQL of one's own for a while, from Debian's package: for tests and for loads on the service."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def programs() -> Path | None:
    """Folder of initdb and pg_ctl, the newest; None where PostgreSQL is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


class Cluster:
    """A running cluster that listens in its own private folder only, not on the network."""

    def __init__(self, folder: Path, bin: Path) -> None:
        self.folder, self.bin, self.made = folder, bin, 0

    def run(self, program: str, *words: str) -> None:
        """One of PostgreSQL's programs, which refuse to run as root."""
        prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        command = [*prefix, str(self.bin / program), *words]
        done = subprocess.run(command, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr or done.stdout}")

    def control(self, action: str, *words: str) -> None:
        """pg_ctl: start, restart, stop. `-m immediate` ends it as a crash would."""
        data, log = self.folder / "data", self.folder / "log"
        self.run("pg_ctl", "-D", str(data), "-l", str(log), "-w", "-t", "60", *words, action)

    def database(self) -> str:
        """SQLAlchemy's URL of a new, empty database."""
        import psycopg

        self.made += 1
        name = f"db{os.getpid()}_{self.made}"
        with psycopg.connect(f"host={self.folder} user=postgres dbname=postgres", autocommit=True) as session:
            session.execute(f"CREATE DATABASE {name}".encode())
        return f"postgresql://postgres@/{name}?host={self.folder}"


@contextmanager
def cluster(durable: bool = True) -> Iterator[Cluster]:
    """Make a cluster, run it as long as the body, and remove it.

    durable: wait for the disk at every commit; tests need not.
    """
    bin = programs()
    if bin is None:
        raise RuntimeError("PostgreSQL is not installed")
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp") as name:  # a socket's path is at most 107 bytes
        folder = Path(name)
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        cluster = Cluster(folder, bin)
        words = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale", "C", "--no-sync")
        cluster.run("initdb", "-D", str(folder / "data"), *words)
        with (folder / "data" / "postgresql.conf").open("a") as settings:
            settings.write(f"listen_addresses = ''\nunix_socket_directories = '{folder}'\n")
            settings.write(f"max_connections = 300\nfsync = {'on' if durable else 'off'}\n")
        cluster.control("start")
        try:
            yield cluster
        finally:
            cluster.control("stop", "-m", "immediate")
