"""How fast labels are loaded in bulk, and how much memory that takes.

    python benchmarks/labels.py [--labels 1000000] [--rows 10] [--door file|http] [--unknown] [ENGINE ...]

Makes a store of requests whose rows get one label each, then loads the labels in one call: as a CSV through the
command's own way, or as JSON lines through ``POST /labels``. Prints one JSON object per engine: labels per second,
seconds, and how many MiB the process grew meanwhile. With ``--unknown`` no label finds its request.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import requests
import servers
import store_traffic as traffic
import uvicorn
from sqlalchemy import Engine

from driftline.monitor.drift.settings import DriftSettings
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.jobs.schedule import Schedule
from driftline.monitor.settings import MonitorSettings, ReportSettings
from driftline.monitor.status import StatusReader
from driftline.monitor.web.app import Pages, build_app
from driftline.store import migrate, schema
from driftline.store.engine import open_engine, writing
from driftline.store.labels.loading import load_labels
from driftline.store.labels.record import Fields
from driftline.store.labels.settings import LabelSettings
from driftline.store.labels.sources import open_file
from driftline.store.loader.bulk import insert_rows
from driftline.store.prediction_tables import ensure_model_version
from driftline.store.records import invocation_id_text, new_invocation_id


def fill(engine: Engine, labels: int, rows: int) -> list[bytes]:
    """Store invocations of ``rows`` rows each; return their ids. Labels need no prediction rows beside them."""
    count = labels // rows
    times = traffic.START_US + np.arange(count) * 1000
    ids = [new_invocation_id(int(at)) for at in times]
    with writing(engine) as connection:
        version = ensure_model_version(connection, traffic.CLF)
        zeros = np.zeros(count, np.int64)
        cells = {
            "id": np.frombuffer(b"".join(ids), "V16"), "received_at": times, "model_version_id": zeros + version.id,
            "arm": zeros, "status": zeros + 200, "row_count": zeros + rows, "latency_us": zeros, "parse_us": zeros,
            "predict_us": zeros, "encode_us": zeros,
        }  # fmt: skip
        insert_rows(connection, schema.invocation, cells, count)
    return ids


def write(path: Path, ids: list[bytes], rows: int) -> None:
    with path.open("w") as file:
        if path.suffix == ".csv":
            file.write("request_id,row,label,event_time\n")
            form = "{},{},{},2026-11-19T12:00:00Z\n"
        else:
            form = '{{"request_id": "{}", "row": {}, "label": {}, "event_time": "2026-11-19T12:00:00Z"}}\n'
        for id_ in ids:
            text = invocation_id_text(id_)
            file.writelines(form.format(text, row, row % 2) for row in range(rows))


def by_file(engine: Engine, path: Path) -> dict[str, int]:
    with open_file(path, "label") as source:
        report = load_labels(engine, LabelSettings(), source.records, Fields())
    return {fate.value: count for fate, count in report.fates.items()}


def by_http(engine: Engine, path: Path) -> dict[str, int]:
    with served(engine, path.parent) as url, path.open("rb") as body:
        answer = requests.post(
            f"{url}/labels", data=body, headers={"Content-Type": "application/x-ndjson"}, timeout=600
        )
    answer.raise_for_status()
    fates: dict[str, int] = answer.json()["fates"]
    return fates


@contextmanager
def served(engine: Engine, home: Path) -> Iterator[str]:
    context = JobContext(engine, home, MonitorSettings(), ReportSettings(), DriftSettings())
    status = StatusReader(context)
    app = build_app(Pages(context, status, Schedule(context, status.expire), lambda _: (b"", "text/plain")))
    port = servers.free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    servers.wait_until(lambda: server.started, 20, what="the pages are served")
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


def resident_mib(what: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024


def measure(name: str, url: str, arguments: argparse.Namespace, folder: Path) -> None:
    engine = open_engine(url)
    migrate.upgrade(engine)
    ids = fill(engine, arguments.labels, arguments.rows)
    if arguments.unknown:
        ids = [new_invocation_id(traffic.START_US) for _ in ids]
    path = folder / ("labels.csv" if arguments.door == "file" else "labels.jsonl")
    write(path, ids, arguments.rows)
    del ids
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = resident_mib("VmRSS")
    began = time.perf_counter()
    fates = (by_file if arguments.door == "file" else by_http)(engine, path)
    seconds = time.perf_counter() - began
    grown = resident_mib("VmHWM") - before
    print(json.dumps({
        "engine": name, "door": arguments.door, "labels": arguments.labels, "fates": fates,
        "seconds": round(seconds, 1), "labels_per_second": round(arguments.labels / seconds),
        "grown_mib": round(grown),
    }), flush=True)  # fmt: skip
    engine.dispose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engines", nargs="*", default=["sqlite", "postgresql"], metavar="ENGINE")
    parser.add_argument("--labels", type=int, default=1_000_000)
    parser.add_argument("--rows", type=int, default=10)
    parser.add_argument("--door", choices=["file", "http"], default="file")
    parser.add_argument("--unknown", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if "sqlite" in arguments.engines:
            measure("sqlite", f"sqlite:///{folder}/labels.sqlite", arguments, Path(folder))
        if "postgresql" in arguments.engines:
            with servers.postgresql() as server:
                measure("postgresql", server.create_database("labels"), arguments, Path(folder))


if __name__ == "__main__":
    main()
