"""Real servers for tests: found on the machine, started on loopback, stopped by their pid."""

import fcntl
import functools
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests


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


_PORTS = range(20_000, 32_000)  # below those that connections are made from and that are given where none is asked for


class _Ports:
    """Ports for servers that tests start; one is given to one process at a time, and by that only once.

    A process claims a port by a lock on the byte of that number in a file, which the kernel releases at its end.
    """

    def __init__(self) -> None:
        claims = Path(tempfile.gettempdir()) / f"driftline-test-ports-{os.getuid()}"
        self._claims = os.open(claims, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        start = os.getpid() * 97 % len(_PORTS)
        self._untried = iter([*_PORTS[start:], *_PORTS[:start]])

    def take(self) -> int:
        for port in self._untried:
            try:
                fcntl.lockf(self._claims, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
            except OSError:
                continue
            with socket.socket() as listener, suppress(OSError):
                listener.bind(("127.0.0.1", port))
                return port
        raise AssertionError("no port is left")


@functools.cache
def _ports(pid: int) -> _Ports:
    return _Ports()


def free_port() -> int:
    """Return a port of loopback on which nothing listens and that no other caller is given."""
    return _ports(os.getpid()).take()


def wait_until(condition: Callable[[], object], seconds: float = 60, every: float = 0.05, what: str = "") -> None:
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
        subprocess.run(
            [self.bin / program, *map(str, arguments)],
            check=True,
            user=self.user,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.folder} -c fsync=off"
        self._run("pg_ctl", "-D", self.folder / "data", "-w", "-l", self.folder / "log", "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "-D", self.folder / "data", "-w", "-m", mode, "stop")

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://driftline@127.0.0.1:{self.port}/postgres"

    def create_database(self, name: str, template: str = "template1") -> str:
        """Make a database, empty or a copy of another, and return its URL."""
        with psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
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


@dataclass(frozen=True)
class HttpServer:
    """A running server of the Prometheus family; ``log`` is its file of messages."""

    url: str
    log: Path

    def get(self, path: str, **parameters: object) -> Any:
        """Return the JSON of the answer; an answer that is no success raises."""
        answer = requests.get(f"{self.url}{path}", params={k: str(v) for k, v in parameters.items()}, timeout=60)
        if not answer.ok:
            raise AssertionError(f"{answer.status_code} of {path}: {answer.text}")
        return answer.json()

    def is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/-/ready", timeout=1).ok
        except requests.RequestException:
            return False


class Prometheus(HttpServer):
    """``query`` and ``query_range`` return the samples; times are seconds since the epoch."""

    def query(self, expression: str, at: float | None = None) -> list[dict[str, Any]]:
        moment = {} if at is None else {"time": at}
        return list(self.get("/api/v1/query", query=expression, **moment)["data"]["result"])

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        found = self.get("/api/v1/query_range", query=expression, start=start, end=end, step=step)
        return list(found["data"]["result"])


@contextmanager
def _child(arguments: list[object], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen([str(a) for a in arguments], stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_ready(server: HttpServer, process: subprocess.Popen[bytes]) -> None:
    wait_until(lambda: process.poll() is not None or server.is_ready(), what=f"{server.url} is not ready")
    if process.poll() is not None:
        pytest.fail(f"the server ended with {process.returncode}: {server.log.read_text()[-2000:]}")


@contextmanager
def prometheus(folder: Path, configuration: Path, *flags: str) -> Iterator[Prometheus]:
    """Run Prometheus on loopback with its data in ``folder / "data"``, which may hold blocks already.

    Alerts are sent again after 1 s: the first one leaves before the Alertmanager is discovered and is lost.
    """
    server = Prometheus(f"http://127.0.0.1:{free_port()}", folder / "prometheus.log")
    command = [
        require("prometheus"),
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=10y",
        f"--web.listen-address={server.url.removeprefix('http://')}",
        "--rules.alert.resend-delay=1s",
        "--log.level=warn",
        *flags,
    ]
    with _child(command, server.log) as process:
        _wait_ready(server, process)
        yield server


@contextmanager
def alertmanager(folder: Path, configuration: Path) -> Iterator[HttpServer]:
    """Run one Alertmanager on loopback, without a cluster."""
    server = HttpServer(f"http://127.0.0.1:{free_port()}", folder / "alertmanager.log")
    command = [
        require("prometheus-alertmanager", "alertmanager"),
        f"--config.file={configuration}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address={server.url.removeprefix('http://')}",
        "--cluster.listen-address=",
        "--log.level=warn",
    ]
    with _child(command, server.log) as process:
        _wait_ready(server, process)
        yield server
