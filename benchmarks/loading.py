"""How fast the loader moves a spool into SQL, against what the engine itself can take.

    python benchmarks/loading.py [--requests 200000] [--rows 1] [--columns 20] [--rounds 3] [--profiles] [--typed]
                                 [ENGINE ...]

Prints one JSON object per engine: requests and rows per second of the loader end to end (read, check, parse, rows,
profiles, position, delete) and of the ceiling, which is one binary COPY (PostgreSQL) or one executemany (SQLite) of the
same prediction rows, ready made, into the same table in the same run; medians over the rounds.
"""

import argparse
import json
import os
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import servers
import store_traffic as traffic
from sqlalchemy import Connection, Engine

from driftline.store import migrate
from driftline.store.engine import open_engine, writing
from driftline.store.loader.bulk import insert_rows
from driftline.store.loader.loader import Loader, LoaderSettings
from driftline.store.prediction_columns import prediction_columns
from driftline.store.prediction_tables import ModelVersion, ensure_model_version
from driftline.store.profile.reference import build_reference
from driftline.store.records import ModelIdentity, now_us
from driftline.store.references import save_reference
from driftline.store.spool.record import Kind
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.spool import Spool
from driftline.store.typed_payload import TypedLayout

_REST_BYTES = 8 << 20  # the spool's writer is given time after so many


def model(columns: int) -> ModelIdentity:
    inputs = [{"name": f"feature_{i}", "type": "double", "required": True} for i in range(columns)]
    output = [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1]}}]
    return ModelIdentity(name="bench", version="1", uri="u", signature=traffic.signature(inputs, output))


def fill(folder: Path, identity: ModelIdentity, requests: int, rows: int, columns: int, typed: bool = False) -> None:
    """Append requests of random rows, 1500 a second by their clocks."""
    rng = random.Random(1)  # noqa: S311 - made-up features
    names = [f"feature_{i}" for i in range(columns)]
    layout = TypedLayout.of(prediction_columns(identity.signature))
    assert layout is not None
    bodies = []
    for _ in range(500):
        data = [[rng.gauss(0, 1) for _ in names] for _ in range(rows)]
        answer = [rng.random() for _ in range(rows)]
        if typed:
            packed = layout.pack_blocks([np.array(data).T], [np.array(answer)], rows)
            assert packed is not None
            bodies.append((packed, b""))
        else:
            body = json.dumps({"dataframe_split": {"columns": names, "data": data}}).encode()
            bodies.append((body, json.dumps({"predictions": answer}).encode()))
    folder.mkdir(parents=True)
    spool = Spool.open(folder, SpoolSettings(ring_bytes=64 << 20, overflow_bytes=1 << 30, min_free_bytes=0))
    index = spool.declare_model(identity)
    start, until_rest = now_us(), _REST_BYTES
    for i in range(requests):
        at_us = start + i * 667
        body, answer = bodies[i % len(bodies)]
        payload = traffic.invocation(body, answer, at_us=at_us).pack()
        spool.append(index, payload, at_us, Kind.TYPED if typed else Kind.INVOCATION)
        until_rest -= len(payload)
        if until_rest < 0:
            time.sleep(0.05)
            until_rest = _REST_BYTES
    spool.close(drain_seconds=120)


def ceiling(engine: Engine, version: ModelVersion, rows: int) -> float:
    """Return rows per second of one insertion of ready-made columns."""
    rng = np.random.default_rng(2)
    at = now_us() + np.arange(rows) * 667
    columns: dict[str, Any] = {
        "invocation_id": np.frombuffer(rng.bytes(16 * rows), "V16"), "row_index": np.zeros(rows, np.int32),
        "received_at": at, "model_version_id": np.full(rows, version.id), "arm": np.zeros(rows, np.int16),
        **{column.column_name: rng.normal(size=rows) for column in version.columns},
    }  # fmt: skip
    with writing(engine) as connection:
        begun = time.perf_counter()
        insert_rows(connection, version.table, columns, rows)
        taken = time.perf_counter() - begun
    with writing(engine) as connection:
        connection.execute(version.table.delete())
    return rows / taken


def save_normal_reference(connection: Connection, version: ModelVersion) -> None:
    """Give the model a training reference, so that its rows are profiled."""
    rng = np.random.default_rng(3)
    data = {column.column_name: rng.normal(size=5000) for column in version.columns}
    save_reference(connection, version.id, build_reference(version.columns, data, source="bench", made_at_us=now_us()))


def measure(url: str, arguments: argparse.Namespace) -> dict[str, Any]:
    identity = model(arguments.columns)
    engine = open_engine(url)
    migrate.upgrade(engine)
    with writing(engine) as connection:
        version = ensure_model_version(connection, identity)
        if arguments.profiles:
            save_normal_reference(connection, version)
    loaded, ceilings = [], []
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as folder:
            loader = Loader(engine, Path(folder) / "spool", LoaderSettings())
            loader.load_once()  # its hourly upkeep is not what is measured
            fill(
                Path(folder) / "spool", identity, arguments.requests, arguments.rows, arguments.columns, arguments.typed
            )
            ceilings.append(ceiling(engine, version, min(arguments.requests * arguments.rows, 200_000)))
            begun, cpu = time.perf_counter(), time.process_time()
            report = loader.load_once()
            taken, cpu = time.perf_counter() - begun, time.process_time() - cpu
            assert report.records == arguments.requests, report
            loaded.append((report.records / taken, report.rows / taken, report.records / cpu))
    engine.dispose()
    rows_a_second = statistics.median(run[1] for run in loaded)
    return {
        "engine": engine.dialect.name, "rows_a_request": arguments.rows, "profiles": arguments.profiles,
        "typed": arguments.typed,
        "requests_per_second": round(statistics.median(run[0] for run in loaded)),
        "rows_per_second": round(rows_a_second),
        "requests_per_cpu_second": round(statistics.median(run[2] for run in loaded)),
        "ceiling_rows_per_second": round(statistics.median(ceilings)),
        "ratio": round(rows_a_second / statistics.median(ceilings), 3),
        "load_average": round(os.getloadavg()[0], 1),
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }  # fmt: skip


@contextmanager
def database(kind: str) -> Iterator[str]:
    if kind == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/driftline.sqlite"
    else:
        with servers.postgresql() as server:
            yield server.create_database("driftline")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engines", nargs="*", default=["sqlite", "postgresql"])
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--rows", type=int, default=1)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profiles", action="store_true", help="count the rows into profiles, too")
    parser.add_argument("--typed", action="store_true", help="records as a scorer appends them that leaves bodies out")
    arguments = parser.parse_args()
    for kind in arguments.engines:
        with database(kind) as url:
            print(json.dumps(measure(url, arguments)))


if __name__ == "__main__":
    main()
