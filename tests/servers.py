"""Real servers for tests: found on the machine, started on loopback, stopped by their pid."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def require(*names: str, folders: tuple[str, ...] = ()) -> Path:
    """Return the path of the first program found; where none is, fail in CI and skip elsewhere."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *folders, "/usr/sbin", "/sbin"])
    for name in names:
        if found := shutil.which(name, path=path):
            return Path(found)
    message = f"{' or '.join(names)} is not installed: run `make servers`"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def free_port() -> int:
    """Return a port of loopback that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_until(condition: Callable[[], object], seconds: float = 30, every: float = 0.05, what: str = "") -> None:
    """Return when ``condition`` is true; fail with ``what`` when the time is over."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"not within {seconds} s: {what or condition}")
        time.sleep(every)


def listens(port: int) -> bool:
    """Return whether something accepts connections on the loopback port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class PostgreSQL:
    """One cluster in a temporary folder; ``url`` is its superuser's, ``create_database`` makes an empty one."""

    def __init__(self, folder: Path) -> None:
        debian = tuple(str(p) for p in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))
        self.bin = require("initdb", folders=debian).resolve().parent
        self.folder = folder
        self.port = free_port()
        self.user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
        if self.user:
            shutil.chown(folder, self.user)
        self._run("initdb", "-D", folder / "data", "-U", "driftline", "-A", "trust", "--no-sync", "-E", "UTF8")
        self.start()

    def _run(self, program: str, *arguments: object) -> None:
        subprocess.run([self.bin / program, *map(str, arguments)], check=True, user=self.user, cwd=self.folder,
                       stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.folder} -c fsync=off"
        self._run("pg_ctl", "-D", self.folder / "data", "-w", "-l", self.folder / "log", "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "-D", self.folder / "data", "-w", "-m", mode, "stop")

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://driftline@127.0.0.1:{self.port}/postgres"

    def create_database(self, name: str) -> str:
        """Make an empty database and return its URL."""
        self._run("psql", "-h", "127.0.0.1", "-p", self.port, "-U", "driftline", "-d", "postgres", "-c",
                  f'CREATE DATABASE "{name}"')
        return self.url.replace("/postgres", f"/{name}")


@contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    """Run one cluster; its folder lies outside pytest's, which other users may not enter."""
    with tempfile.TemporaryDirectory(prefix="driftline-postgresql-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        server = PostgreSQL(Path(folder))
        try:
            yield server
        finally:
            server.stop()
