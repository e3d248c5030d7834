"""How often nothing drifts and a column is called drifted: simulated months, hourly judgements, independent rows.

A model of 20 columns (11 numeric shapes, 9 categorical ones of 2 to 50 values), a reference of 10,000 rows, live
rows from the same distributions. Each hour the last 1 h, 6 h and 24 h are judged with the default settings; an episode
is a run of hours in which any column of any window drifts. Then one column moves by 0.3 standard deviations: rows
until it is found.

    python benchmarks/drift/false_alarms.py [--months 1] [--rows-per-hour 20 100 1000]
"""

import argparse
import sys
from collections import deque
from itertools import pairwise

import numpy as np
from accuracy import SHAPES
from numpy.typing import NDArray

from driftline.monitor.drift.calibration import calibrate
from driftline.monitor.drift.compare import Verdict, compare
from driftline.store.prediction_columns import ColumnType, PredictionColumn
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference, build_reference

HOURS = 720
WINDOWS = (1, 6, 24)
NUMERIC = list(SHAPES)[:11]
CATEGORIES = (2, 2, 3, 4, 6, 10, 20, 35, 50)
REFERENCE_ROWS = 10_000
# Their fourth moment is infinite: single rows move the Wasserstein distance of a whole day.
POWER_LAWS = {f"c{NUMERIC.index(shape)}" for shape in ("student", "pareto")}
COLUMNS = [
    PredictionColumn("input", f"c{i}", f"c{i}", ColumnType.DOUBLE if i < len(NUMERIC) else ColumnType.STRING)
    for i in range(20)
]
Rng = np.random.Generator


def rows_of(rng: Rng, rows: int, shift: float = 0.0) -> dict[str, NDArray[np.generic]]:
    """Rows of all columns; the first one shifted."""
    data: dict[str, NDArray[np.generic]] = {f"c{i}": SHAPES[shape](rng, rows) for i, shape in enumerate(NUMERIC)}
    data["c0"] = data["c0"] + np.float64(shift)
    for i, size in enumerate(CATEGORIES, start=len(NUMERIC)):
        weights = 1 / np.arange(1, size + 1)
        chosen = rng.choice(size, rows, p=weights / weights.sum())
        data[f"c{i}"] = np.array([f"v{k}" for k in range(size)], dtype=object)[chosen]
    return data


def month(reference: Reference, rng: Rng, rows: int) -> tuple[int, int]:
    """Return alarm episodes of one month without drift: of all columns, and of all but the power laws."""
    recent: deque[Profile] = deque(maxlen=max(WINDOWS))
    hours: list[set[str]] = [set()]
    for _ in range(HOURS):
        recent.append(one_hour(reference, rng, rows))
        hours.append({name for span in WINDOWS for name in drifted(reference, list(recent)[-span:])})
    return episodes(hours, set()), episodes(hours, POWER_LAWS)


def episodes(hours: list[set[str]], without: set[str]) -> int:
    """Return how many runs of hours have a drifted column."""
    alarmed = [bool(columns - without) for columns in hours]
    return sum(now and not before for before, now in pairwise(alarmed))


def delay(reference: Reference, rng: Rng, rows: int) -> int:
    """Return the rows from the beginning of a shift by 0.3 to its discovery in the first column."""
    recent = deque([one_hour(reference, rng, rows) for _ in range(max(WINDOWS))], maxlen=max(WINDOWS))
    for hour in range(1, 200):
        recent.append(one_hour(reference, rng, rows, 0.3))
        if any("c0" in drifted(reference, list(recent)[-span:]) for span in WINDOWS):
            return hour * rows
    return 200 * rows


def one_hour(reference: Reference, rng: Rng, rows: int, shift: float = 0.0) -> Profile:
    """Return the profile of one hour."""
    profile = reference.empty_profile()
    profile.add(rows_of(rng, rows, shift), rows)
    return profile


def drifted(reference: Reference, hours: list[Profile]) -> list[str]:
    """Return the columns that drift in a window of hours."""
    window = reference.empty_profile()
    for hour in hours:
        window += hour
    return [c.column_name for c in compare(reference, window) if c.verdict is Verdict.DRIFT]


def main() -> int:
    """Print one line per rate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--months", type=int, default=1)
    parser.add_argument("--shifts", type=int, default=9)
    parser.add_argument("--rows-per-hour", type=int, nargs="+", default=[20, 100, 1000])
    options = parser.parse_args()
    print("| rows per hour | months | alarm episodes per month | without power laws | median rows to find 0.3 sd |")
    print("|---|---|---|---|---|")
    for rows in options.rows_per_hour:
        found, late = [], []
        for k in range(max(options.months, options.shifts)):
            rng = np.random.default_rng([920_000, rows, k])
            reference = build_reference(COLUMNS, rows_of(rng, REFERENCE_ROWS), source="simulated", made_at_us=0, seed=k)
            reference = calibrate(reference)
            if k < options.months:
                found.append(month(reference, rng, rows))
            if k < options.shifts:
                late.append(delay(reference, rng, rows))
        every, tame = np.mean(found, axis=0)
        print(f"| {rows} | {options.months} | {every:.2f} | {tame:.2f} | {np.median(late):.0f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
