"""Scoring servers for tests: MLflow's and ours, over the same models, on loopback."""

import http.client
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import servers
from prometheus_client.parser import text_string_to_metric_families

from driftline.store.errors import SpoolError
from driftline.store.records import Invocation
from driftline.store.spool.adoption import adopt_orphans, spools
from driftline.store.spool.layout import Meta
from driftline.store.spool.reader import SpoolReader

BIN = Path(sys.executable).parent
OUR_HEADERS = ("x-request-id", "x-driftline-invocation-id", "x-driftline-arm", "x-driftline-model-version")
JSON = {"content-type": "application/json"}


@dataclass(frozen=True)
class Answer:
    """What a client read; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class ScoringServer:
    """A server process; ``ask`` speaks plain HTTP and adds nothing of its own."""

    command: Sequence[str]
    port: int
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def start(self) -> None:
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                self.command,
                env=dict(self.environment),
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.log.parent,
                start_new_session=True,
            )

    def wait_ready(self, seconds: float = 180) -> None:
        servers.wait_until(lambda: self._answers() or self._died(), seconds, 0.1, f"the server of {self.log}")

    def run_to_end(self, seconds: float) -> subprocess.CompletedProcess[str]:
        """Run a server that is to refuse its start."""
        return subprocess.run(
            self.command,
            check=False,
            env=dict(self.environment),
            cwd=self.log.parent,
            capture_output=True,
            text=True,
            timeout=seconds,
        )

    def stop(self, seconds: float = 60) -> int:
        """Ask it to end as an operator would and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        return ask(self.port, method, path, body, headers)

    def score(self, body: bytes, **headers: str) -> Answer:
        return self.ask("POST", "/invocations", body, {**JSON, **headers})

    def _answers(self) -> bool:
        try:
            return self.ask("GET", "/ping").status == 200
        except OSError:
            return False

    def _died(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return False


@dataclass
class DriftlineServer(ScoringServer):
    """Ours; ``home`` is its folder, ``metrics_port`` that of the parent."""

    home: Path = Path()
    metrics_port: int = 0

    @property
    def spool_folder(self) -> Path:
        return self.home / "spool"

    def invocations(self) -> list[Invocation]:
        """Return what the spools hold, those of dead processes adopted."""
        return spooled_invocations(self.spool_folder)

    def metrics_text(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=60) as answer:
            return str(answer.read().decode())

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of this name that carry these labels."""
        return sum(
            sample.value
            for family in text_string_to_metric_families(self.metrics_text())
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def family(self) -> list[int]:
        """Return all processes below the parent that have not ended."""
        return _descendants(self.process.pid)

    def workers(self) -> list[int]:
        """Return the processes that have the scoring application: those that own a spool."""
        family = self.family()
        return [pid for path in spools(self.spool_folder) if (pid := _owner(path)) in family]


Server = TypeVar("Server", bound=ScoringServer)


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """Start a server, wait until it answers, and stop it where the block has not."""
    server.start()
    try:
        server.wait_ready()
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()


def mlflow_server(folder: Path, model_uri: str, name: str, *flags: str) -> ScoringServer:
    port = servers.free_port()
    command = [
        str(BIN / "mlflow"),
        "models",
        "serve",
        "-m",
        model_uri,
        "-p",
        str(port),
        "--env-manager",
        "local",
        *flags,
    ]
    return ScoringServer(command, port, folder / f"{name}.log", environment(folder))


def driftline_server(folder: Path, model_uri: str, name: str, *flags: str, **variables: str) -> DriftlineServer:
    """Make a server whose store does not answer, so that everything stays in the spool; flags may name another.

    It is told to keep bodies, so that they are recorded as they came and not as typed rows.
    """
    port, metrics_port = servers.free_port(), servers.free_port()
    home = folder / name
    nowhere = f"postgresql+psycopg://nobody@127.0.0.1:{servers.free_port()}/nothing"
    stores, drain = ((), "30") if "--store" in flags else (("--store", nowhere, "--start-without-store"), "0.5")
    command = [
        str(BIN / "driftline"), "serve", "-m", model_uri, "-p", str(port), "--metrics-port", str(metrics_port),
        "--home", str(home), *stores, *flags,
    ]  # fmt: skip
    settings = {
        "DRIFTLINE_LOADER_DRAIN_SECONDS": drain, "DRIFTLINE_LOADER_RAW_BODIES": "all",
        "DRIFTLINE_SCORER_STATE_POLL_SECONDS": "0.2", **variables,
    }  # fmt: skip
    return DriftlineServer(command, port, folder / f"{name}.log", environment(folder, **settings), home, metrics_port)


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Return all variables of a child: the models' store; a fixed hash seed, because MLflow's messages print sets."""
    return {
        **os.environ,
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "PYTHONHASHSEED": "0",
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        **more,
    }


def ask(
    port: int, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


def spooled_invocations(folder: Path) -> list[Invocation]:
    time.sleep(0.1)  # the writer thread's turn
    adopt_orphans(folder)
    return [Invocation.unpack(record.payload) for path in spools(folder) for record in _records(SpoolReader(path))]


def _owner(spool: Path) -> int | None:
    """Return the process that owns a spool, or None where the loader has removed it since it was listed."""
    try:
        return Meta.read(spool).pid
    except SpoolError:
        if spool.exists():
            raise
        return None


def _records(reader: SpoolReader) -> Iterator:
    while (batch := reader.read()).records or batch.gaps:
        assert not batch.gaps
        yield from batch.records


def _children(pid: int) -> list[int]:
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [child for child in children if _runs(child)]


def _runs(pid: int) -> bool:
    """Whether a process has not ended: a killed one whose parent has not seen it yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _descendants(pid: int) -> list[int]:
    below = _children(pid)
    return below + [further for child in below for further in _descendants(child)]
