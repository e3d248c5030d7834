"""What segments cost: in the loader's transaction, where they are not counted, and in the monitor's job.

    python benchmarks/segments.py

A model of 20 columns, ten segments, in seconds of one core: medians of five. First the profiles of one transaction,
without and with a profile per segment; then an hour of 100,000 rows read from SQLite and counted by the job; then the
judgement of ten segments over five windows of up to seven days.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson
from profile_update import COLUMNS, rows_of

from driftline.monitor.drift.settings import DriftSettings
from driftline.monitor.segments.judge import judge_segments
from driftline.monitor.training.segmented import with_segments
from driftline.store import migrate
from driftline.store.engine import open_engine, writing
from driftline.store.prediction_tables import ensure_model_version
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference, build_reference
from driftline.store.profile.segments import add_by_segment, segmented_column
from driftline.store.records import ModelIdentity, new_invocation_id
from driftline.store.segments.hours import count_span
from driftline.store.segments.settings import WantedSegments

SEGMENTED = "c15"  # ten categories
ROWS = 100_000
HOUR_US = 3_600_000_000


def seconds(work: Callable[[], object]) -> float:
    """Return the median of five runs, in processor time."""
    taken = []
    for _ in range(5):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def in_a_transaction(reference: Reference, rng: np.random.Generator, rows: int) -> tuple[float, float]:
    """Return the milliseconds for the profile of a transaction of so many rows, and for its segments besides."""
    data, column = rows_of(rng, rows), reference.segments[0].column
    whole, parts = reference.empty_profile(), dict[str, Profile]()

    def add() -> None:
        whole.add(data, rows)
        whole.to_bytes()

    def add_segments() -> None:
        add_by_segment(parts, reference, column, data, rows)
        for part in parts.values():
            part.to_bytes()

    return 1000 * seconds(add), 1000 * seconds(add_segments)


def by_the_job(reference: Reference, rng: np.random.Generator) -> float:
    """Return the seconds to read an hour of rows from SQLite and to count them."""
    types = [{"name": c.name, "type": c.type.value, "required": True} for c in COLUMNS]
    signature = {"inputs": orjson.dumps(types).decode(), "outputs": None, "params": None}
    identity = ModelIdentity(name="bench", version="1", uri="u", signature=signature)
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(f"sqlite:///{Path(folder) / 'store.sqlite'}")
        migrate.upgrade(engine)
        data = rows_of(rng, ROWS)
        with writing(engine) as connection:
            version = ensure_model_version(connection, identity)
            names = [c.column_name for c in version.columns if c.side == "input"]
            cells = [data[c.name].tolist() for c in COLUMNS]
            fixed = {"row_index": 0, "model_version_id": version.id, "arm": 0}
            rows = [
                {**fixed, "invocation_id": new_invocation_id(i), "received_at": i, **dict(zip(names, row, strict=True))}
                for i, row in enumerate(zip(*cells, strict=True))
            ]
            connection.execute(version.table.insert(), rows)
        cells_of = {name: data[c.name] for name, c in zip(names, COLUMNS, strict=True)}
        live = build_reference(version.columns, cells_of, source="simulated", made_at_us=0)
        (told,) = (c for c in version.columns if c.name == SEGMENTED)
        column = segmented_column(told, (), cells_of[told.column_name], 20)
        with engine.connect() as connection:
            taken = seconds(lambda: count_span(connection, version, live, [column], 0, HOUR_US))
        engine.dispose()
    return taken


def main() -> int:
    """Print one line per figure."""
    rng = np.random.default_rng(930_002)
    data = rows_of(rng, 50_000)
    whole = build_reference(COLUMNS, data, source="simulated", made_at_us=0)
    start = time.process_time()
    reference = with_segments(whole, [WantedSegments(SEGMENTED)], 20, data, 50_000, DriftSettings())
    print(f"ten segments of 50,000 training rows told apart and simulated in {time.process_time() - start:.1f} s")
    print(f"  file of {len(reference.to_bytes()):,} bytes, {len(whole.to_bytes()):,} without segments")
    for rows in (20, 200, 2000, 20_000):
        alone, more = in_a_transaction(reference, rng, rows)
        print(f"a transaction of {rows:,} rows: profile {alone:.1f} ms, its segments {more:.1f} ms more")
    taken = by_the_job(reference, rng)
    print(
        f"an hour of {ROWS:,} rows read from SQLite and counted by segment: {taken:.2f} s, {ROWS / taken:,.0f} rows/s"
    )
    windows: dict[str, Profile] = {}
    add_by_segment(windows, reference, reference.segments[0].column, rows_of(rng, 20_000), 20_000)
    spans = (3600, 3 * 3600, 6 * 3600, 86_400, 7 * 86_400)
    held = {name: dict.fromkeys(spans, profile) for name, profile in windows.items()}
    judged = seconds(
        lambda: judge_segments(reference, reference.segments[0], held, DriftSettings(), interval_seconds=3600)
    )
    print(f"ten segments judged in five windows: {1000 * judged:.0f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
