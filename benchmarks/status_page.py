"""How long the status page takes with 20 models of 100 columns each.

python benchmarks/status_page.py [--models 20] [--columns 100] [--store postgresql://...]

The store is written at once (``tests/seeded_store.py``): per model 90 profiles over seven days, as many as a window of
seven days is summed from once minutes are rolled up, 48 judgements of every column, and 500 requests. Pages are asked
for over HTTP on loopback: the first time by a monitor that has just started, then each several times.
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from sqlalchemy import Engine

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import servers
from seeded_store import SeededModel, seed

from driftline.monitor.drift.settings import DriftSettings
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.jobs.schedule import Schedule
from driftline.monitor.settings import MonitorSettings, ReportSettings
from driftline.monitor.status import StatusReader
from driftline.monitor.web.app import Pages, build_app
from driftline.store import migrate
from driftline.store.engine import open_engine
from driftline.store.records import now_us

REACH_SECONDS = 0.5
TIMES = 10


def fill(engine: Engine, models: int, columns: int) -> None:
    """Write the models; every third has drifted columns."""
    migrate.upgrade(engine)
    now = now_us()
    numeric = [f"feature_{i:03d}" for i in range(columns - columns // 10)]
    categories = {f"kind_{i:02d}": [f"value {j}" for j in range(12)] for i in range(columns // 10)}
    for i in range(models):
        drifted = numeric[:7] if i % 3 == 0 else ()
        seed(engine, SeededModel(f"model-{i:02d}", numeric=numeric, categories=categories, drifted=drifted,
                                 profiles=90, requests=500, seed=i), now)  # fmt: skip


@contextmanager
def served(engine: Engine, home: Path) -> Iterator[str]:
    """Serve the pages as a monitor that starts now."""
    # An address of MLflow that is set need not be asked of MLflow's client, which the jobs have imported long before.
    settings = MonitorSettings(mlflow_url="http://127.0.0.1:5000")
    context = JobContext(engine, home, settings, ReportSettings(), DriftSettings())
    status = StatusReader(context)
    schedule = Schedule(context, status.expire)
    app = build_app(Pages(context, status, schedule, lambda accept: (b"", "text/plain")))
    port = servers.free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    servers.wait_until(lambda: server.started, 20, what="the pages are served")
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


def ask(url: str) -> tuple[float, int]:
    """Return seconds and bytes of one answer."""
    began = time.perf_counter()
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - our own loopback listener
        size = len(answer.read())
    return time.perf_counter() - began, size


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=20)
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--store", default="")
    options = parser.parse_args()
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        engine = open_engine(options.store or f"sqlite:///{home / 'driftline.sqlite'}")
        fill(engine, options.models, options.columns)
        print(f"{options.models} models x {options.columns} columns on {engine.dialect.name}, milliseconds")
        paths = ("/", "/models/model-00", "/models/model-00?per_page=200", "/models/model-00/columns/feature_000",
                 "/models/model-01?days=28", "/api", "/api/models/model-00")  # fmt: skip
        for path in paths:
            with served(engine, home) as url:
                first, size = ask(url + path)
                later = statistics.median(ask(url + path)[0] for _ in range(TIMES))
            slowest = max(slowest, first, later)
            print(f"{path:<42} first {1000 * first:6.0f}   then {1000 * later:6.0f}   {size / 1024:6.0f} KiB")
        engine.dispose()
    print(f"slowest {1000 * slowest:.0f} ms, should stay under {1000 * REACH_SECONDS:.0f} ms")
    return 0 if slowest < REACH_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
