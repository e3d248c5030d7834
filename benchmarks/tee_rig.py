"""What the benchmarks start around a server: the server, its loader, a saturating client, a disk that freezes."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import scoring_apps

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import servers

from driftline.store.accounts import accounts
from driftline.store.engine import open_engine
from driftline.store.migrate import upgrade
from driftline.store.spool.inspect import inspect
from driftline.store.spool.layout import META_NAME

FREEZE_SECONDS = 1.5
_TRAIN = """
import sys, mlflow, numpy as np, pandas as pd
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression
data = pd.DataFrame(np.random.default_rng(7).normal(size=(500, 20)), columns=sys.argv[2:])
model = LinearRegression().fit(data, data.f00)
mlflow.sklearn.save_model(model, sys.argv[1], signature=infer_signature(data, model.predict(data)), pip_requirements=[])
"""
_WRK = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '%s'
"""


def train(folder: Path) -> None:
    """Save a model of MLflow's that answers what ``scoring_apps.body`` asks."""
    command: list[str | Path] = [sys.executable, "-c", _TRAIN, folder, *scoring_apps.COLUMNS]
    subprocess.run(command, check=True, capture_output=True, cwd=folder.parent)


@dataclass(frozen=True, slots=True)
class Server:
    """A running worker."""

    port: int
    pid: int

    def loop_seconds(self) -> float:
        """Return the processor time of its event loop's thread, which a busy machine hardly changes."""
        return int(Path(f"/proc/{self.pid}/task/{self.pid}/schedstat").read_text().split()[0]) / 1e9


class Run(NamedTuple):
    """Requests per second, the event loop's microseconds per request, and the median latency in microseconds."""

    rate: float
    loop_us: float
    p50_us: float


def saturate(server: Server, body: bytes, seconds: int, folder: Path, connections: int = 16) -> Run:
    """Let so many connections ask again and again."""
    wrk, script = shutil.which("wrk"), folder / "request.lua"
    if wrk is None:
        sys.exit("wrk is not installed: `apt-get install wrk`")
    script.write_text(_WRK % body.decode())
    url = f"http://127.0.0.1:{server.port}/invocations"
    command: list[str | Path] = [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script, url]
    before = server.loop_seconds()
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    took = server.loop_seconds() - before
    rate, requests = re.search(r"Requests/sec:\s+([\d.]+)", text), re.search(r"(\d+) requests in", text)
    p50 = re.search(r"\s50%\s+([\d.]+)(us|ms|s)", text)
    if rate is None or requests is None or p50 is None or "Non-2xx" in text:
        sys.exit(f"the server answered errors:\n{text}")
    return Run(float(rate[1]), took / int(requests[1]) * 1e6, float(p50[1]) * {"us": 1, "ms": 1e3, "s": 1e6}[p50[2]])


@contextmanager
def server(app: str, layer: str, home: Path, **variables: str) -> Iterator[Server]:
    """Run one worker; ``app`` and ``layer`` as in ``scoring_apps.create_app``."""
    port = servers.free_port()
    command: list[str | Path] = [
        sys.executable, "-m", "uvicorn", "--factory", "scoring_apps:create_app", "--app-dir", Path(__file__).parent,
        "--port", str(port), "--no-access-log", "--log-level", "warning",
    ]  # fmt: skip
    environment = {
        **os.environ, "DRIFTLINE_HOME": str(home), "BENCHMARK_APP": app, "BENCHMARK_LAYER": layer,
        "DRIFTLINE_SPOOL_MIN_FREE_BYTES": "0",
        "MLFLOW_DISABLE_TELEMETRY": "true", "UVICORN_HTTP": "driftline.scorer.joined_writes:JoinedWrites", **variables,
    }  # fmt: skip
    with running(command, environment, made(home)) as process:
        end = time.monotonic() + 60
        while not servers.listens(port):
            if process.poll() is not None or time.monotonic() > end:
                sys.exit(f"{app} under {layer} does not start")
            time.sleep(0.1)
        yield Server(port, process.pid)


@contextmanager
def loader(url: str, home: Path) -> Iterator[None]:
    """Run the loader of a home into a database that it brings to the schema."""
    engine = open_engine(url)
    upgrade(engine)
    engine.dispose()
    environment = {**os.environ, "DRIFTLINE_HOME": str(home), "DRIFTLINE_STORE": url}
    with running([sys.executable, "-m", "driftline.store.loader.process"], environment, home):
        yield


@contextmanager
def running(command: list[str | Path], environment: dict[str, str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process and end it, gently first."""
    process = subprocess.Popen(command, env=environment, cwd=folder, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def frozen(folder: Path) -> Iterator[None]:
    """Freeze a disk; a session of its own thaws it after ``FREEZE_SECONDS``, whatever becomes of this process."""
    script = 'trap "" HUP INT TERM; fsfreeze -f "$1" && echo frozen && sleep "$2"; fsfreeze -u "$1"'
    watchdog = subprocess.Popen(
        ["sh", "-c", script, "sh", folder, str(FREEZE_SECONDS)], stdout=subprocess.PIPE, start_new_session=True
    )
    assert watchdog.stdout is not None
    if watchdog.stdout.readline() != b"frozen\n":
        sys.exit("the disk could not be frozen")
    yield
    if watchdog.poll() is not None:
        sys.exit("the disk thawed before the last answer: the machine is too busy to measure this")
    if watchdog.wait(20):
        sys.exit(f"the disk could not be thawed: run `fsfreeze -u {folder}`")
    watchdog.stdout.close()


def dropped(folder: Path) -> int:
    """Return what the spools below a folder could not keep."""
    return sum(sum(inspect(meta.parent).dropped.values()) for meta in folder.rglob(META_NAME))


def expect_loaded(url: str, folder: Path) -> None:
    """Wait until the loader has stored what a spool folder holds; end the benchmark where it stored nothing."""
    engine = open_engine(url)
    servers.wait_until(lambda: not accounts(engine, folder).spooled, what="the loader does not keep up")
    if not accounts(engine, folder).stored:
        sys.exit("the loader stored nothing: what was measured is not what it says")
    engine.dispose()


def made(folder: Path) -> Path:
    """Return the folder, which exists."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder
