"""What judging 30 days of a model costs when these had 1 million rows and when they had 100 million: 20 columns.

python benchmarks/drift/window_cost.py [--rows 1000000 100000000]

No hundred million rows are made: what is stored is profiles, and theirs are made as loading and rolling up would leave
them. Every profile is counted from drawn rows or is a sum of such profiles: 64 different minutes, hours of 60 of them,
days of 24 hours; 48 hours of minutes and 31 days of hours and days lie in the store, and the minutes of this hour are
not rolled up yet. So rows repeat; sizes and numbers of profiles are those of real traffic. A new process opens the
store and judges, the reading of the reference included; the imports count in its peak memory alone.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, insert

from driftline.monitor.drift.calibration import calibrate
from driftline.monitor.drift.settings import DriftSettings
from driftline.monitor.judge import judge
from driftline.monitor.watch import find_version
from driftline.store import migrate, schema
from driftline.store.engine import open_engine, writing
from driftline.store.prediction_columns import prediction_columns
from driftline.store.prediction_tables import ensure_model_version
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference, build_reference
from driftline.store.profile_levels import (
    DAY,
    DAY_US,
    HOUR,
    HOUR_US,
    MINUTE,
    MINUTE_US,
    ROLL_UP,
    Owner,
    bucket_values,
    floor,
)
from driftline.store.records import Arm, ModelIdentity
from driftline.store.references import save_reference

NUMERIC, CATEGORICAL = 15, 5
DAYS, DIFFERENT_MINUTES = 30, 64
NOW_US = 20_000 * DAY_US + 13 * HOUR_US + 37 * MINUTE_US
REACH_MILLISECONDS, REACH_BYTES = 200, 300_000_000
Data = dict[str, NDArray[np.generic]]


def identity() -> ModelIdentity:
    """A model of 15 numbers and 4 categories that answers with a category."""
    inputs = [
        {"name": f"c{i}", "type": "double" if i < NUMERIC else "string"} for i in range(NUMERIC + CATEGORICAL - 1)
    ]
    outputs = [{"name": "answer", "type": "string"}]
    signature = {"inputs": json.dumps(inputs), "outputs": json.dumps(outputs), "params": None}
    return ModelIdentity(name="large", version="1", uri="models:/large/1", signature=signature)


def rows_of(rng: np.random.Generator, names: list[str], rows: int) -> Data:
    """Rows of 8 normal, 7 lognormal and 5 categorical columns of 10 to 50 values."""
    data: Data = {}
    for i, name in enumerate(names):
        if i < NUMERIC:
            data[name] = rng.lognormal(size=rows) if i % 2 else rng.normal(size=rows)
        else:
            kinds = np.array([f"category {j}" for j in range(10 * (i - NUMERIC + 1))], dtype=object)
            data[name] = rng.choice(kinds, rows)
    return data


def fill(engine: Engine, rows: int) -> int:
    """Store the profiles of 30 days of so many rows; return their bytes."""
    rng = np.random.default_rng(940_001)
    columns = prediction_columns(identity().signature)
    names = [column.column_name for column in columns]
    reference = calibrate(build_reference(columns, rows_of(rng, names, 50_000), source="simulated", made_at_us=0))
    per_minute = max(1, round(rows / (DAYS * 1440)))
    minutes = [_profile(reference, rows_of(rng, names, per_minute), per_minute) for _ in range(DIFFERENT_MINUTES)]
    hours = [_sum(reference, [minutes[rng.integers(len(minutes))] for _ in range(60)]) for _ in range(24)]
    days = [_sum(reference, [hours[rng.integers(len(hours))] for _ in range(24)]) for _ in range(4)]
    first, this_day, this_hour = NOW_US - (DAYS + 1) * DAY_US, floor(NOW_US, DAY), floor(NOW_US, HOUR)
    of_day = [hours[i % len(hours)] for i in range((this_hour - this_day) // HOUR_US)]
    with writing(engine) as connection:
        version = ensure_model_version(connection, identity())
        owner = (version.id, save_reference(connection, version.id, reference), int(Arm.CHAMPION))
        return (
            _store(connection, owner, DAY, range(floor(first, DAY), this_day, DAY_US), days)
            + _store(connection, owner, DAY, range(this_day, NOW_US, DAY_US), [_sum(reference, of_day)])
            + _store(connection, owner, HOUR, range(floor(first, DAY), this_hour, HOUR_US), hours)
            + _store(connection, owner, MINUTE, range(this_hour - 2 * DAY_US, this_hour, MINUTE_US), minutes)
            + _store(connection, owner, MINUTE, range(this_hour, NOW_US, MINUTE_US), minutes, "a spool")
        )


def _store(
    connection: Connection, owner: Owner, span: int, starts: range, made: list[Profile], writer: str = ROLL_UP
) -> int:
    packed = [(profile.row_count, profile.to_bytes()) for profile in made]
    total = 0
    for i, start in enumerate(starts):
        count, counts = packed[i % len(packed)]
        values = bucket_values(owner, span, start, writer)
        connection.execute(insert(schema.profile).values(**values, row_count=count, counts=counts))
        total += len(counts)
    return total


def _profile(reference: Reference, data: Data, rows: int) -> Profile:
    profile = reference.empty_profile()
    profile.add(data, rows)
    return profile


def _sum(reference: Reference, profiles: list[Profile]) -> Profile:
    total = reference.empty_profile()
    for profile in profiles:
        total += profile
    return total


def measure(url: str) -> dict[str, float]:
    """Judge the last 30 days eight times; return the first and the median time, rows and peak memory."""
    engine, seconds, rows = open_engine(url), [], 0
    with engine.connect() as connection:
        version = find_version(connection, "large", 0)
        for _ in range(8):
            began = time.perf_counter()
            judged = judge(connection, version, Arm.CHAMPION, (NOW_US - DAYS * DAY_US, NOW_US), DriftSettings())
            seconds.append(time.perf_counter() - began)
            assert judged is not None
            rows = judged.rows
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"first": 1000 * seconds[0], "median": 1000 * statistics.median(seconds), "rows": rows, "peak": peak}


def main() -> int:
    """Print a line per size; 1 when one misses what is to be reached."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 100_000_000])
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure)))
        return 0
    reached = True
    for rows in arguments.rows:
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{Path(folder) / 'driftline.sqlite'}"
            engine = open_engine(url)
            migrate.upgrade(engine)
            stored = fill(engine, rows)
            engine.dispose()
            program = [sys.executable, __file__, "--measure", url]
            found = json.loads(subprocess.run(program, check=True, capture_output=True, text=True).stdout)
        reached &= found["median"] < REACH_MILLISECONDS and found["peak"] < REACH_BYTES
        print(
            f"30 days of {rows:,} rows ({stored / 1e6:.0f} MB of profiles): {found['median']:.0f} ms, the first time "
            f"{found['first']:.0f} ms, {found['peak'] / 1e6:.0f} MB at most, {found['rows']:,.0f} rows judged"
        )
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
