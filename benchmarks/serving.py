"""Requests per second of ``driftline serve`` beside ``mlflow models serve``: one row of 20 doubles, tee on, by wrk.

Per model all servers run at once over the same files and are measured in turns, so that a noisy machine meets all of
them; the table holds medians. Access lines are written, to a file, as both servers do unless told otherwise.
``start`` is the time from the command to the first answer, each server alone, a fresh home for ours.
``model.predict`` is the model's own time for the row as a DataFrame, in a process of its own: what no server is below.
Run: ``python benchmarks/serving.py [--seconds 3] [--rounds 3] [--models logistic forest] [--connections 1 16 64]``.
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
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

BIN = Path(sys.executable).parent
MODELS = ("logistic", "forest")
CONNECTIONS = (1, 16, 64)
FEATURES = [f"f{i:02d}" for i in range(20)]
BATCHES = ("--max-batch-rows", "64")
RATIO_GOALS = {
    ("logistic", "driftline serve", 1): 6.0,
    ("logistic", "driftline serve", 16): 6.0,
    ("logistic", "driftline, batches", 64): 60.0,
    ("forest", "driftline, batches", 64): 15.0,
}
P50_GOAL, P50_GOAL_US = ("logistic", "driftline serve", 1), 150
PROGRAM = """
import sys, time, statistics, mlflow, numpy as np, pandas as pd
from mlflow.models import infer_signature
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
path, kind, *features = sys.argv[1:]
rng = np.random.default_rng(7)
data = pd.DataFrame(rng.normal(size=(500, 20)), columns=features)
model = LogisticRegression() if kind == "logistic" else RandomForestClassifier(100, random_state=7)
model.fit(data, data.f00 > data.f01)
signature = infer_signature(data, model.predict(data))
mlflow.sklearn.save_model(
    model, path, signature=signature, pip_requirements=[], serialization_format="cloudpickle"
)
row = data.iloc[:1].copy()
times = []
for _ in range(300):
    begin = time.perf_counter()
    model.predict(row)
    times.append(time.perf_counter() - begin)
print(statistics.median(times[50:]) * 1e3)
"""
WRK = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '%s'
"""
Figures = dict[tuple[str, int], list[tuple[float, float, float]]]  # requests/s, p50 and p99 in ms, by server and load


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=int, default=3)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    arguments.add_argument("--connections", nargs="+", type=int, default=CONNECTIONS)
    options = arguments.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: `apt-get install wrk`")
    print(
        f"{'model':<9} {'server':<20} {'connections':>11} {'requests/s':>11} {'p50 ms':>8} {'p99 ms':>8} {'ratio':>7}"
    )
    for kind in options.models:
        with tempfile.TemporaryDirectory(prefix="driftline-bench-") as name:
            own_ms, figures = _bench(kind, Path(name), options)
        print(f"{kind:<9} {'model.predict':<20} {'':>11} {'':>11} {own_ms:>8.2f}")
        _print(kind, own_ms, figures)


def _bench(kind: str, folder: Path, options: argparse.Namespace) -> tuple[float, Figures]:
    model, script = folder / "model", folder / "request.lua"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, model, kind, *FEATURES], check=True, capture_output=True, cwd=folder, text=True
    )
    body = {"dataframe_split": {"columns": FEATURES, "data": [[i / 7 for i in range(20)]]}}
    script.write_text(WRK % json.dumps(body))
    common = ["-m", str(model), "--env-manager", "local"]
    theirs = [str(BIN / "mlflow"), "models", "serve", *common]
    ours = [str(BIN / "driftline"), "serve", *common]
    commands = {
        "mlflow models serve": theirs,
        "driftline serve": [*ours, "--home", str(folder / "alone")],
        "driftline, batches": [*ours, "--home", str(folder / "together"), *BATCHES],
    }
    if kind == MODELS[0]:
        homes = [["--home", str(folder / f"start-{i}")] for i in range(options.rounds)]
        _print_starts(json.dumps(body), folder, [theirs] * options.rounds, [[*ours, *home] for home in homes])
    with ExitStack() as running:
        ports = {who: running.enter_context(serving_process(command, folder)) for who, command in commands.items()}
        return float(done.stdout), _measure(script, ports, options.connections, options.seconds, options.rounds)


def _measure(script: Path, ports: dict[str, int], loads: Sequence[int], seconds: int, rounds: int) -> Figures:
    results: Figures = {}
    for turn in range(rounds + 1):  # the first warms up
        for connections in loads:
            for who, port in ports.items():
                duration = f"-d{seconds if turn else 1}s"
                url = f"http://127.0.0.1:{port}/invocations"
                command = ["wrk", "-t1", f"-c{connections}", duration, "--latency", "-s", str(script), url]
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


def _print(kind: str, own_ms: float, results: Figures) -> None:
    medians = {
        key: [statistics.median(column) for column in zip(*rounds, strict=True)] for key, rounds in results.items()
    }
    for (who, connections), (rate, p50, p99) in medians.items():
        ratio = rate / medians["mlflow models serve", connections][0]
        row = f"{kind:<9} {who:<20} {connections:>11} {rate:>11.0f} {p50:>8.2f} {p99:>8.2f} {ratio:>6.1f}x"
        if goal := RATIO_GOALS.get((kind, who, connections)):
            row += f" (goal {goal:.0f}x{'' if ratio >= goal else ', missed'})"
        if (kind, who, connections) == P50_GOAL:
            more = (p50 - own_ms) * 1e3
            row += f" p50 {more:+.0f} us to predict (goal {P50_GOAL_US}{'' if more <= P50_GOAL_US else ', missed'})"
        print(row)


def _print_starts(body: str, folder: Path, theirs: Sequence[list[str]], ours: Sequence[list[str]]) -> None:
    taken: dict[str, list[float]] = {"mlflow models serve": [], "driftline serve": []}
    for pair in zip(theirs, ours, strict=True):
        for command, seconds in zip(pair, taken.values(), strict=True):
            begin = time.perf_counter()
            with serving_process(command, folder, body):
                seconds.append(time.perf_counter() - begin)
    for who, seconds in taken.items():
        print(f"{'start':<9} {who:<20} {statistics.median(seconds):>11.2f} s")


@contextmanager
def serving_process(command: list[str], folder: Path, body: str | None = None) -> Iterator[int]:
    """Run a server on a port of its own and yield that when it answers ``/ping``, or this invocation."""
    port, metrics_port = _free_port(), _free_port()
    environment = {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "DRIFTLINE_SCORER_METRICS_PORT": str(metrics_port),
    }
    with (folder / f"{port}.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "-p", str(port)], stdout=log, stderr=log, cwd=folder, env=environment, start_new_session=True
        )
        try:
            _wait(port, process, folder, body)
            yield port
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _wait(port: int, process: "subprocess.Popen[bytes]", folder: Path, body: str | None) -> None:
    url = f"http://127.0.0.1:{port}/{'ping' if body is None else 'invocations'}"
    request = urllib.request.Request(url, body and body.encode(), {"Content-Type": "application/json"})
    while process.poll() is None:
        try:
            with urllib.request.urlopen(request, timeout=1):  # noqa: S310
                return
        except OSError:
            time.sleep(0.02)
    sys.exit((folder / f"{port}.log").read_text())


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


if __name__ == "__main__":
    main()
