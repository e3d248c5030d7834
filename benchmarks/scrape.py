"""How long a scrape of the monitor takes with 20 models of 100 columns each.

python benchmarks/scrape.py [--models 20] [--columns 100] [--store postgresql://...]

The store is written at once, as ``status_page.py`` does it. Scrapes come over HTTP on loopback with the header that
Prometheus 3 sends. The first is that of a monitor that has just started, and writes all results, as does the first
after a job that has found something new. Fresh ones read the store anew, as every scrape each 15 s does, and find it
as it was; the others come within 5 s of the one before and share its snapshot.
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
from status_page import fill

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import servers

from driftline.monitor.drift.settings import DriftSettings
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.jobs.schedule import Schedule
from driftline.monitor.metrics.collector import MonitorCollector, exposition
from driftline.monitor.settings import MonitorSettings, ReportSettings
from driftline.monitor.status import StatusReader
from driftline.monitor.web.app import Pages, build_app
from driftline.store.engine import open_engine

REACH_SECONDS = 0.25
TIMES = 10
ACCEPT = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


@contextmanager
def served(engine: Engine, home: Path, bins: bool) -> Iterator[tuple[str, StatusReader]]:
    """Serve the metrics of a monitor; the second value makes the next scrape a fresh one."""
    settings = MonitorSettings(mlflow_url="http://127.0.0.1:5000", export_bins=bins)
    context = JobContext(engine, home, settings, ReportSettings(), DriftSettings())
    status = StatusReader(context)
    schedule = Schedule(context, status.expire)
    collector = MonitorCollector(status, schedule, settings, context.drift.min_rows)
    app = build_app(Pages(context, status, schedule, exposition(collector)))
    port = servers.free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    servers.wait_until(lambda: server.started, 20, what="the metrics are served")
    yield f"http://127.0.0.1:{port}/metrics", status
    server.should_exit = True
    thread.join()


def scrape(url: str) -> tuple[float, bytes]:
    """Return seconds and body of one scrape."""
    request = urllib.request.Request(url, headers={"Accept": ACCEPT})  # noqa: S310 - our own loopback listener
    began = time.perf_counter()
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        body = answer.read()
    return time.perf_counter() - began, body


def measure(engine: Engine, home: Path, bins: bool) -> float:
    """Print one line; return the median of the fresh scrapes in seconds."""
    with served(engine, home, bins) as (url, status):
        first, body = scrape(url)
        fresh = []
        for _ in range(TIMES):
            status.expire()
            fresh.append(scrape(url)[0])
        shared = statistics.median(scrape(url)[0] for _ in range(TIMES))
    series = sum(1 for line in body.splitlines() if not line.startswith(b"#"))
    middle, slowest = 1000 * statistics.median(fresh), 1000 * max(fresh)
    print(
        f"{'with bins' if bins else 'as it comes':<12} first {1000 * first:6.0f}   fresh {middle:6.0f} (slowest"
        f" {slowest:.0f})   shared {1000 * shared:6.0f}   {series} series, {len(body) / 1024:.0f} KiB"
    )
    return statistics.median(fresh)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=20)
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--store", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        engine = open_engine(options.store or f"sqlite:///{home / 'driftline.sqlite'}")
        fill(engine, options.models, options.columns)
        print(f"{options.models} models x {options.columns} columns on {engine.dialect.name}, milliseconds")
        fresh = measure(engine, home, bins=False)
        measure(engine, home, bins=True)
        engine.dispose()
    print(f"fresh scrapes should stay under {1000 * REACH_SECONDS:.0f} ms")
    return 0 if fresh < REACH_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
