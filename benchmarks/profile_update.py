"""How fast rows become profiles and profiles become a judgement: 20 columns, one core, in seconds of its time.

python benchmarks/profile_update.py
"""

import sys
import time

import numpy as np
from numpy.typing import NDArray

from driftline.monitor.drift.calibration import calibrate
from driftline.monitor.drift.compare import compare
from driftline.store.prediction_columns import ColumnType, PredictionColumn
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference, build_reference

NUMERIC, CATEGORICAL = 15, 5
COLUMNS = [
    PredictionColumn("input", f"c{i}", f"c{i}", ColumnType.DOUBLE if i < NUMERIC else ColumnType.STRING)
    for i in range(NUMERIC + CATEGORICAL)
]
REACH = {1: 100_000, 1000: 500_000}
Data = dict[str, NDArray[np.generic]]


def rows_of(rng: np.random.Generator, rows: int) -> Data:
    """Rows of 8 normal, 7 lognormal and 5 categorical columns of 10 to 50 values."""
    data: Data = {f"c{i}": rng.lognormal(size=rows) if i % 2 else rng.normal(size=rows) for i in range(NUMERIC)}
    for k in range(CATEGORICAL):
        names = np.array([f"category {j}" for j in range(10 * (k + 1))], dtype=object)
        data[f"c{NUMERIC + k}"] = rng.choice(names, rows)
    return data


def rows_per_second(reference: Reference, rng: np.random.Generator, batch: int, batches: int) -> float:
    """Return the rate of the best of three runs."""
    parts, best = [rows_of(rng, batch) for _ in range(min(batches, 100))], np.inf
    for _ in range(3):
        profile, start = reference.empty_profile(), time.process_time()
        for k in range(batches):
            profile.add(parts[k % len(parts)], batch)
        profile.numeric("c0")  # counts what is still gathered
        best = min(best, time.process_time() - start)
    return batch * batches / float(best)


def main() -> int:
    """Print one line per figure; 1 when one misses what is to be reached."""
    rng, reached = np.random.default_rng(930_001), True
    start = time.process_time()
    reference = build_reference(COLUMNS, rows_of(rng, 50_000), source="simulated", made_at_us=0)
    built = time.process_time()
    reference = calibrate(reference)
    print(
        f"reference of 50,000 rows: built in {built - start:.2f} s, calibrated in {time.process_time() - built:.2f} s,"
    )
    print(f"  file of {len(reference.to_bytes()):,} bytes")
    for batch, batches in ((1, 30_000), (32, 3000), (1000, 200), (100_000, 2)):
        rate = rows_per_second(reference, rng, batch, batches)
        reached &= rate >= REACH.get(batch, 0)
        print(f"batches of {batch:,}: {rate:,.0f} rows/s")
    blobs = []
    for _ in range(168):
        profile = reference.empty_profile()
        profile.add(rows_of(rng, 1000), 1000)
        blobs.append(profile.to_bytes())
    start = time.process_time()
    week = reference.empty_profile()
    for blob in blobs:
        week += Profile.from_bytes(reference, blob)
    merged = time.process_time()
    compare(reference, week)
    seconds = time.process_time() - start
    reached &= seconds < 0.1
    print(f"a week of hourly profiles ({np.mean([len(b) for b in blobs]):,.0f} bytes each): {1000 * seconds:.0f} ms, ")
    print(f"  of which the judgement {1000 * (time.process_time() - merged):.0f} ms")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
