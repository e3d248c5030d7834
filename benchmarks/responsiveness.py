"""How long ``/ping`` takes while every prediction thread computes in pure Python, by switch interval.

That is the worst a model can do to the event loop short of holding the interpreter's lock in C. The server is ours,
with as many threads as it starts by default; the model's code sets the interval, or leaves ours. ``work`` is how much
the predictions got done meanwhile, against Python's own interval of 5 ms: what a smaller one costs.
Run: ``python benchmarks/responsiveness.py [--seconds 5]``.
"""

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from serving import BIN, serving_process

from driftline.scorer.prediction_pool import DEFAULT_THREADS

INTERVALS_SECONDS = ("0.005", "0.001", "", "0.00005")  # empty: ours
MODEL = """
import mlflow, os, sys, time
class Model(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        if os.environ["BENCH_INTERVAL_SECONDS"]:
            sys.setswitchinterval(float(os.environ["BENCH_INTERVAL_SECONDS"]))
        seconds = float(model_input["x"].iloc[0])
        end, turns = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            turns += sum(range(100)) // 4950
        return [turns] * len(model_input)
mlflow.models.set_model(Model())
"""
SAVE = """
import sys, mlflow
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema
signature = ModelSignature(inputs=Schema([ColSpec("double", "x")]))
mlflow.pyfunc.save_model(sys.argv[2], python_model=sys.argv[1], signature=signature, pip_requirements=[])
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=5.0)
    seconds = arguments.parse_args().seconds
    base = 0.0
    print(f"{'interval ms':>11} {'pings':>7} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8} {'work':>7}")
    with tempfile.TemporaryDirectory(prefix="driftline-bench-") as name:
        folder = Path(name)
        (folder / "code.py").write_text(MODEL)
        subprocess.run(
            [sys.executable, "-c", SAVE, folder / "code.py", folder / "model"],
            check=True,
            capture_output=True,
            cwd=folder,
        )
        for interval in INTERVALS_SECONDS:
            os.environ["BENCH_INTERVAL_SECONDS"] = interval
            command = [str(BIN / "driftline"), "serve", "-m", str(folder / "model"), "--home", str(folder / "home")]
            with serving_process(command, folder) as port:
                pings, work = _measure(port, seconds)
            base = base or work
            row = (statistics.median(pings), pings[int(len(pings) * 0.99)], pings[-1])
            figures = " ".join(f"{value * 1e3:>8.2f}" for value in row)
            shown = f"{float(interval) * 1e3:.2f}" if interval else "ours"
            print(f"{shown:>11} {len(pings):>7} {figures} {work / base:>6.0%}")


def _measure(port: int, seconds: float) -> tuple[list[float], float]:
    """Return the sorted times of pings while all threads compute, and what these got done."""
    turns: list[float] = []
    threads = [threading.Thread(target=lambda: turns.append(_predict(port, seconds))) for _ in range(DEFAULT_THREADS)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    pings: list[float] = []
    end = time.monotonic() + seconds - 1
    while time.monotonic() < end:
        begin = time.perf_counter()
        connection.request("GET", "/ping")
        connection.getresponse().read()
        pings.append(time.perf_counter() - begin)
        time.sleep(0.01)
    for thread in threads:
        thread.join()
    return sorted(pings), sum(turns)


def _predict(port: int, seconds: float) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    body = json.dumps({"dataframe_split": {"columns": ["x"], "data": [[seconds]]}})
    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    return float(json.loads(connection.getresponse().read())["predictions"][0])


if __name__ == "__main__":
    main()
