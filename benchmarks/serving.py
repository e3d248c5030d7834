"""Requests per second of ``driftline serve`` beside ``mlflow models serve``: one row of 20 doubles, tee on, by wrk.

Both servers run at once over the same files and are measured in turns, so that a noisy machine meets both; the table
holds medians. Run: ``python benchmarks/serving.py [--seconds 4] [--rounds 3]``.
"""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BIN = Path(sys.executable).parent
CONNECTIONS = (1, 16)
FEATURES = [f"f{i:02d}" for i in range(20)]
TRAIN = """
import sys, mlflow, numpy as np, pandas as pd
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression
rng = np.random.default_rng(7)
data = pd.DataFrame(rng.normal(size=(500, 20)), columns=sys.argv[2:])
model = LogisticRegression().fit(data, data.f00 > data.f01)
mlflow.sklearn.save_model(model, sys.argv[1], signature=infer_signature(data, model.predict(data)), pip_requirements=[])
"""
WRK = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '%s'
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=int, default=4)
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    wrk = shutil.which("wrk")
    if wrk is None:
        sys.exit("wrk is not installed: `apt-get install wrk`")
    with tempfile.TemporaryDirectory(prefix="driftline-bench-") as name:
        folder = Path(name)
        model, script = folder / "model", folder / "request.lua"
        subprocess.run([sys.executable, "-c", TRAIN, model, *FEATURES], check=True, capture_output=True, cwd=folder)
        body = {"dataframe_split": {"columns": FEATURES, "data": [[i / 7 for i in range(20)]]}}
        script.write_text(WRK % json.dumps(body))
        ports = {who: _free_port() for who in ("mlflow", "driftline", "metrics")}
        common = ["-m", str(model), "--env-manager", "local"]
        commands = {
            "mlflow": [BIN / "mlflow", "models", "serve", *common, "-p", str(ports["mlflow"])],
            "driftline": [BIN / "driftline", "serve", *common, "-p", str(ports["driftline"]),
                          "--metrics-port", str(ports["metrics"]), "--home", str(folder / "home")],
        }  # fmt: skip
        with (
            _server(commands["mlflow"], ports["mlflow"], folder),
            _server(commands["driftline"], ports["driftline"], folder),
        ):
            _print(_measure(wrk, script, ports, options.seconds, options.rounds))


def _measure(
    wrk: str, script: Path, ports: dict[str, int], seconds: int, rounds: int
) -> dict[tuple[str, int], list[tuple[float, float, float]]]:
    """Return requests/s, p50 and p99 in ms of each round, by server and connections."""
    results: dict[tuple[str, int], list[tuple[float, float, float]]] = {}
    for turn in range(rounds + 1):  # the first warms up
        for connections in CONNECTIONS:
            for who in ("mlflow", "driftline"):
                url = f"http://127.0.0.1:{ports[who]}/invocations"
                command = [
                    wrk,
                    "-t1",
                    f"-c{connections}",
                    f"-d{seconds if turn else 1}s",
                    "--latency",
                    "-s",
                    script,
                    url,
                ]
                text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                if "Non-2xx" in text:
                    sys.exit(f"{who} answered errors:\n{text}")
                if turn:
                    results.setdefault((who, connections), []).append(_read(text))
    return results


def _read(text: str) -> tuple[float, float, float]:
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    p50, p99 = (re.search(rf"\s{share}%\s+([\d.]+)(us|ms|s)", text) for share in (50, 99))
    if rate is None or p50 is None or p99 is None:
        sys.exit(f"wrk says something else than expected:\n{text}")
    scale = {"us": 1e-3, "ms": 1.0, "s": 1e3}
    return float(rate[1]), float(p50[1]) * scale[p50[2]], float(p99[1]) * scale[p99[2]]


def _print(results: dict[tuple[str, int], list[tuple[float, float, float]]]) -> None:
    print(f"{'server':<22} {'connections':>11} {'requests/s':>11} {'p50 ms':>8} {'p99 ms':>8} {'to mlflow':>10}")
    for connections in CONNECTIONS:
        base = statistics.median(rate for rate, _, _ in results["mlflow", connections])
        for who, name in (("mlflow", "mlflow models serve"), ("driftline", "driftline serve")):
            rate, p50, p99 = (statistics.median(column) for column in zip(*results[who, connections], strict=True))
            print(f"{name:<22} {connections:>11} {rate:>11.0f} {p50:>8.2f} {p99:>8.2f} {rate / base:>9.2f}x")


@contextmanager
def _server(command: list[object], port: int, folder: Path) -> Iterator[None]:
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "UVICORN_LOG_LEVEL": "warning"}
    with (folder / f"{port}.log").open("wb") as log:
        process = subprocess.Popen(
            [str(part) for part in command], stdout=log, stderr=log, cwd=folder, env=environment, start_new_session=True
        )
        try:
            _wait(port, process, folder)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _wait(port: int, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    while process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=1):
                return
        except OSError:
            time.sleep(0.2)
    sys.exit((folder / f"{port}.log").read_text())


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


if __name__ == "__main__":
    main()
