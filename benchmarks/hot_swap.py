"""What a client notices of a swap: latencies while the alias moves back and forth, beside those of calm times.

Four keep-alive clients, paced, one row of 20 doubles each; the alias moves every few seconds. Also printed: how long a
swap takes, from the alias's move to the first answer of the new version to every client, and the server's memory.
Run: ``python benchmarks/hot_swap.py [--swaps 6] [--trees 100] [--workers 1]``.
"""

import argparse
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

BIN = Path(sys.executable).parent
FEATURES = [f"f{i:02d}" for i in range(20)]
PAUSE_SECONDS = 0.01
TRAIN = """
import sys, mlflow, numpy as np, pandas as pd
from mlflow.models import infer_signature
from sklearn.ensemble import RandomForestClassifier
trees, *features = sys.argv[1:]
rng = np.random.default_rng(7)
data = pd.DataFrame(rng.normal(size=(20_000, 20)), columns=features)
for seed in (1, 2):
    model = RandomForestClassifier(int(trees), random_state=seed, max_depth=14).fit(data, data.f00 > data.f01)
    with mlflow.start_run():
        mlflow.sklearn.log_model(model, name="forest", registered_model_name="forest", pip_requirements=[],
            signature=infer_signature(data, model.predict(data)), serialization_format="cloudpickle")
mlflow.MlflowClient().set_registered_model_alias("forest", "champion", 1)
"""


class Client(threading.Thread):
    """One connection; ``answers`` holds (when it began, seconds, status, version)."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.answers: list[tuple[float, float, int, str]] = []
        self.stop = threading.Event()
        self._port = port
        self._body = json.dumps({"dataframe_split": {"columns": FEATURES, "data": [[0.1] * 20]}})

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        while not self.stop.is_set():
            begin = time.monotonic()
            connection.request("POST", "/invocations", self._body, {"content-type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            version = answer.headers["x-driftline-model-version"]
            self.answers.append((begin, time.monotonic() - begin, answer.status, version))
            time.sleep(PAUSE_SECONDS)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--swaps", type=int, default=6)
    arguments.add_argument("--trees", type=int, default=100)
    arguments.add_argument("--workers", type=int, default=1)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="driftline-bench-") as name:
        _measure(Path(name), options)


def _measure(folder: Path, options: argparse.Namespace) -> None:
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}"}
    os.environ["MLFLOW_TRACKING_URI"] = environment["MLFLOW_TRACKING_URI"]
    train = [sys.executable, "-c", TRAIN, str(options.trees), *FEATURES]
    subprocess.run(train, check=True, env=environment, cwd=folder, capture_output=True)
    port = _free_port()
    command = [
        str(BIN / "driftline"), "serve", "-m", "models:/forest@champion", "-p", str(port), "--metrics-port",
        str(_free_port()), "--home", str(folder / "home"), "--registry-poll-seconds", "0.5", "-w", str(options.workers),
    ]  # fmt: skip
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=log) as server,
    ):
        try:
            _wait(port)
            _report(*_swap(port, options.swaps, server.pid))
        finally:
            server.send_signal(signal.SIGTERM)


def _swap(port: int, swaps: int, pid: int) -> tuple[list[Client], list[tuple[float, float]], list[float]]:
    """Move the alias to and fro; return the clients, when each swap began and ended, and MiB of the family."""
    from mlflow import MlflowClient

    clients = [Client(port) for _ in range(4)]
    for client in clients:
        client.start()
    time.sleep(3)
    spans, memory = [], [_mebibytes(pid)]
    for number in range(swaps):
        version = "21"[number % 2]
        begin = time.monotonic()
        MlflowClient().set_registered_model_alias("forest", "champion", version)
        while any(client.answers[-1][3] != version for client in clients):
            time.sleep(0.01)
        spans.append((begin, time.monotonic() + 1.0))  # the old version is released in this second
        time.sleep(5)
        memory.append(_mebibytes(pid))
    for client in clients:
        client.stop.set()
    for client in clients:
        client.join()
    return clients, spans, memory


def _report(clients: list[Client], spans: list[tuple[float, float]], memory: list[float]) -> None:
    answers = [answer for client in clients for answer in client.answers]
    failed = sum(status != 200 for _, _, status, _ in answers)
    swapping = [s for at, s, _, _ in answers if any(begin <= at <= end for begin, end in spans)]
    calm = [s for at, s, _, _ in answers if not any(begin <= at <= end for begin, end in spans)]
    took = sorted(end - begin - 1 for begin, end in spans)
    print(f"{len(answers)} answers, {failed} failed; {len(spans)} swaps of {took[0]:.1f} to {took[-1]:.1f} s")
    for name, seconds in (("calm", calm), ("swapping", swapping)):
        cuts = [1e3 * cut for cut in statistics.quantiles(seconds, n=1000)]
        longest = 1e3 * max(seconds)
        print(f"{name:<9} p50 {cuts[499]:6.2f} ms  p99 {cuts[989]:7.2f} ms  longest {longest:7.1f} ms")
    print(f"memory of all processes after each swap: {', '.join(f'{m:.0f}' for m in memory)} MiB")


def _mebibytes(pid: int) -> float:
    """Return the proportional memory of a process and of all below it."""
    pages = Path(f"/proc/{pid}/smaps_rollup").read_text()
    own = next(int(line.split()[1]) for line in pages.splitlines() if line.startswith("Pss:")) / 1024
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(_mebibytes(int(child)) for child in children)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(port: int) -> None:
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    sys.exit("the server did not start")


if __name__ == "__main__":
    main()
