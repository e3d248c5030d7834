"""What the loader does with a backlog, and what lies in the store afterwards.

    python benchmarks/backlog.py [--rows 10000000] [--rows-a-request 100] [--columns 20] [--folder /tmp] [ENGINE ...]

Fills a spool, starts the loader's own process on it, and waits until all of it is stored. Prints one JSON object per
engine: rows per second; seconds per million rows in each quarter, by the clock and of the processor (catching up is
linear where the last is as the first); the process's peak memory; seconds of a sample of 50,000 rows, the first time
and the median of five; bytes on disk, indexes included, per invocation and per prediction row. Needs about 450 bytes
of disk a row for the spool (650 with one row a request) and 260 (500) for the store.
"""

import argparse
import itertools
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import loading
import servers
from sqlalchemy import Connection, Engine, func, select, text

from driftline.store import migrate, schema
from driftline.store.engine import open_engine, writing
from driftline.store.prediction_tables import ModelVersion, ensure_model_version
from driftline.store.reads import count_rows, sample_rows

SAMPLE_ROWS = 50_000
POLL_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of the loader at one moment: seconds since its start, of its processor, and requests stored."""

    seconds: float
    processor_seconds: float
    stored: int


def catch_up(engine: Engine, url: str, home: Path, requests: int) -> tuple[list[Look], int]:
    """Run the loader's process until ``requests`` are stored; return what was seen of it, and its peak KiB."""
    environment = os.environ | {"DRIFTLINE_HOME": str(home), "DRIFTLINE_STORE": url}
    position = schema.spool_position.c
    counts = select(func.coalesce(func.sum(position.stored), 0), func.coalesce(func.sum(position.dropped), 0))
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "driftline.store.loader.process"], env=environment, cwd=home)
    progress: list[Look] = []
    while not progress or progress[-1].stored < requests:
        if process.poll() is not None:
            raise RuntimeError(f"the loader ended with {process.returncode}")
        with engine.connect() as connection:
            stored, dropped = connection.execute(counts).one()
        if dropped:
            process.kill()
            raise RuntimeError(f"{dropped} requests never reached the spool: its writer was given too little time")
        progress.append(Look(time.perf_counter() - begun, processor_seconds(process.pid), int(stored)))
        time.sleep(POLL_SECONDS)
    process.send_signal(signal.SIGTERM)
    _, _, usage = os.wait4(process.pid, 0)
    return progress, usage.ru_maxrss


def processor_seconds(pid: int) -> float:
    """Return what a process has used so far, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def seconds_at(progress: list[Look], requests: float, clock: str) -> float:
    """Return when so many were stored, between two looks by a straight line."""
    for before, after in itertools.pairwise(progress):
        if before.stored <= requests <= after.stored and after.stored > before.stored:
            part = (requests - before.stored) / (after.stored - before.stored)
            return float(getattr(before, clock) + (getattr(after, clock) - getattr(before, clock)) * part)
    return float(getattr(progress[-1], clock))


def quarters(progress: list[Look], requests: int, rows: int, clock: str) -> list[float]:
    """Return seconds per million rows of each quarter; the start of the process is in none."""
    begin = next(look.stored for look in progress if look.stored)
    marks = [seconds_at(progress, begin + (requests - begin) * part / 4, clock) for part in range(5)]
    millions = rows / requests * (requests - begin) / 4 / 1e6
    return [round((end - start) / millions, 2) for start, end in itertools.pairwise(marks)]


def disk_bytes(connection: Connection, table: str) -> int:
    """Return what a table takes with its partitions and indexes."""
    if connection.dialect.name == "sqlite":
        indexed = text("SELECT name FROM sqlite_schema WHERE tbl_name = :name")
        names = list(connection.scalars(indexed, {"name": table}))
        pages = text("SELECT sum(pageno) FROM dbstat WHERE aggregate = TRUE AND name = :name")
        page_bytes = int(connection.execute(text("PRAGMA page_size")).scalar_one())
        return page_bytes * sum(int(connection.execute(pages, {"name": name}).scalar() or 0) for name in names)
    size = text("SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree(:name)")
    return int(connection.execute(size, {"name": table}).scalar_one())


def samples(engine: Engine, version: ModelVersion) -> list[float]:
    """Return the seconds of six samples, which must all hold the same rows."""
    taken, first = [], None
    for _ in range(6):
        with engine.connect() as connection:
            begun = time.perf_counter()
            sample = sample_rows(connection, version, None, None, SAMPLE_ROWS)
            taken.append(time.perf_counter() - begun)
        first = sample if first is None else first
        assert len(sample) == SAMPLE_ROWS
        assert sample.equals(first)
    return taken


def measure(url: str, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    identity = loading.model(arguments.columns)
    requests, rows = arguments.rows // arguments.rows_a_request, arguments.rows
    engine = open_engine(url)
    migrate.upgrade(engine)
    with writing(engine) as connection:
        version = ensure_model_version(connection, identity)
        loading.save_normal_reference(connection, version)
    loading.fill(folder / "spool", identity, requests, arguments.rows_a_request, arguments.columns)
    spool_bytes = sum(path.stat().st_size for path in (folder / "spool").rglob("*.seg"))
    progress, peak_kib = catch_up(engine, url, folder, requests)
    taken = samples(engine, version)
    with engine.connect() as connection:
        assert count_rows(connection, version, None, None) == rows
        invocation_bytes = disk_bytes(connection, schema.invocation.name)
        prediction_bytes = disk_bytes(connection, version.table.name)
    engine.dispose()
    return {
        "engine": engine.dialect.name, "rows": rows, "rows_a_request": arguments.rows_a_request,
        "rows_per_second": round(rows / progress[-1].seconds),
        "rows_per_processor_second": round(rows / progress[-1].processor_seconds),
        "seconds_per_million_rows_by_quarter": quarters(progress, requests, rows, "seconds"),
        "processor_seconds_per_million_rows_by_quarter": quarters(progress, requests, rows, "processor_seconds"),
        "peak_memory_mib": peak_kib >> 10,
        "sample_seconds_first": round(taken[0], 2), "sample_seconds": round(statistics.median(taken[1:]), 2),
        "spool_bytes_a_row": round(spool_bytes / rows, 1),
        "disk_bytes_an_invocation": round(invocation_bytes / requests, 1),
        "disk_bytes_a_prediction_row": round(prediction_bytes / rows, 1),
        "load_average": round(os.getloadavg()[0], 1),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engines", nargs="*", default=["sqlite", "postgresql"])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rows-a-request", type=int, default=100)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    arguments = parser.parse_args()
    for kind in arguments.engines:
        folder = Path(tempfile.mkdtemp(prefix="backlog-", dir=arguments.folder))
        try:
            if kind == "sqlite":
                found = measure(f"sqlite:///{folder}/driftline.sqlite", folder, arguments)
            else:
                with servers.postgresql() as server:
                    found = measure(server.create_database("driftline"), folder, arguments)
            print(json.dumps(found), flush=True)
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
