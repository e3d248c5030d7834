"""A million raw rows of 20 columns: Evidently's DataDriftPreset and our profile and judgement of them, in one process.

    python benchmarks/drift/beside_evidently.py [--rows 1000000]

Both compare the same two pandas frames of so many rows, 15 columns of numbers and 5 of categories, of which four
drifted. Evidently is told the columns' types, takes its defaults and is run once, after a run on 2,000 rows that loads
what it loads late. Ours is run five times: the profile is built from the frame, and judged with a calibrated reference.
What is made once per reference (bins, its own profile, simulated thresholds) is told apart.
"""

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pandas as pd

from driftline.monitor.drift.calibration import calibrate
from driftline.monitor.drift.compare import compare
from driftline.store.prediction_columns import ColumnType, PredictionColumn
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference, build_reference

NUMERIC, CATEGORICAL = 15, 5
REACH_RATIO, REACH_JUDGEMENT_MILLISECONDS = 50, 20
ROUNDS = 5
T = TypeVar("T")


def rows_of(rng: np.random.Generator, rows: int, *, drifted: bool) -> pd.DataFrame:
    """Normal and lognormal numbers and categories of 10 to 50 values; two numbers and two categories drift."""
    data: dict[str, np.ndarray] = {}
    for i in range(NUMERIC):
        moved = 0.3 if drifted and i in (3, 4) else 0.0
        data[f"n{i}"] = rng.lognormal(moved, 1, rows) if i % 2 else rng.normal(moved, 1, rows)
    for i in range(CATEGORICAL):
        kinds = 10 * (i + 1)
        weights = np.ones(kinds)
        weights[0] += kinds / 2 if drifted and i in (1, 3) else 0
        names = np.array([f"category {j}" for j in range(kinds)], dtype=object)
        data[f"c{i}"] = rng.choice(names, rows, p=weights / weights.sum())
    return pd.DataFrame(data)


def evidently_verdicts(current: pd.DataFrame, reference: pd.DataFrame) -> set[str]:
    """Return the columns that the preset calls drifted."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    numbers = [name for name in current if str(name).startswith("n")]
    definition = DataDefinition(
        numerical_columns=numbers, categorical_columns=[name for name in current if name not in numbers]
    )
    both = [Dataset.from_pandas(frame, data_definition=definition) for frame in (current, reference)]
    found = Report([DataDriftPreset()], include_tests=True).run(*both).dict()
    status = {test["bound_test"]["metric_fingerprint"]: test["status"] for test in found["tests"]}
    columns = [metric for metric in found["metrics"] if metric["config"]["type"].endswith(":ValueDrift")]
    return {each["config"]["column"] for each in columns if str(status[each["id"]]).endswith("FAIL")}


def profile_of(reference: Reference, frame: pd.DataFrame) -> Profile:
    """Count the frame's rows on the reference's bins."""
    profile = reference.empty_profile()
    profile.add({str(name): frame[name].to_numpy() for name in frame}, len(frame))
    profile.numeric("n0")  # count what is gathered
    return profile


def reference_of(frame: pd.DataFrame) -> Reference:
    """Reduce the reference's frame to bins and counts; no simulated thresholds yet."""
    types = {name: ColumnType.DOUBLE if str(name).startswith("n") else ColumnType.STRING for name in frame}
    columns = [PredictionColumn("input", str(name), str(name), type_) for name, type_ in types.items()]
    data = {str(name): frame[name].to_numpy() for name in frame}
    return build_reference(columns, data, source="benchmark", made_at_us=0)


def seconds_of(action: Callable[[], T]) -> tuple[float, T]:
    """Return how long an action took, and its result."""
    began = time.perf_counter()
    result = action()
    return time.perf_counter() - began, result


def main() -> int:
    """Print times, ratio and verdicts; 1 when the figures to reach are missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(930_001)
    before, now = rows_of(rng, rows, drifted=False), rows_of(rng, rows, drifted=True)
    building, bare = seconds_of(lambda: reference_of(before))
    calibrating, reference = seconds_of(lambda: calibrate(bare))
    profiled = [seconds_of(lambda: profile_of(reference, now)) for _ in range(ROUNDS)]
    window = profiled[-1][1]
    judged = [seconds_of(lambda: compare(reference, window)) for _ in range(ROUNDS)]
    evidently_verdicts(now.head(2000), before.head(2000))
    theirs, told = seconds_of(lambda: evidently_verdicts(now, before))
    ours = {drift.name for drift in judged[-1][1] if drift.verdict == "drift"}
    profiling, judging = (statistics.median(took for took, _ in found) for found in (profiled, judged))
    ratio = theirs / (profiling + judging)
    print(f"{rows:,} rows of {before.shape[1]} columns on each side")
    drifted = [", ".join(sorted(names)) for names in (told, ours)]
    print(f"Evidently's DataDriftPreset: {theirs:.1f} s, drifted: {drifted[0]}")
    print(f"profile of the window {profiling:.2f} s, judgement {1000 * judging:.1f} ms, drifted: {drifted[1]}")
    print(
        f"{ratio:.0f} times as fast; once per reference: {building:.1f} s for bins, {calibrating:.1f} s for thresholds"
    )
    return 0 if ratio >= REACH_RATIO and 1000 * judging < REACH_JUDGEMENT_MILLISECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
