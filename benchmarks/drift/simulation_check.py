"""Whether ``false_alarms`` simulates what it says: raw rows beside drawn profiles, Evidently beside its rule.

Windows of 100 and 1,000 raw rows without drift, a reference of 10,000: Evidently's own preset and our formula of its
default rule call each column drifted or not; and the scores of profiles made of raw rows, over those of drawn profiles.

    python benchmarks/drift/simulation_check.py
"""

import os
import sys

import numpy as np
import pandas as pd
from simulated_scores import REFERENCE_ROWS, SETTINGS, Column, Values
from traffic import COLUMNS, NUMERIC, Data, Traffic

from driftline.monitor.drift.calibration import calibrate
from driftline.monitor.drift.column_judge import statistic_of
from driftline.monitor.drift.registry import score
from driftline.store.profile.reference import Reference, build_reference

SEED = 990_000
WINDOWS, EVIDENTLY_WINDOWS = 300, 10


def evidently_verdicts(training: Data, windows: list[Data]) -> list[list[bool]]:
    """Return which columns Evidently's preset calls drifted, per window."""
    os.environ["DO_NOT_TRACK"] = "1"
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    names = [column.column_name for column in COLUMNS]
    definition = DataDefinition(numerical_columns=names[: len(NUMERIC)], categorical_columns=names[len(NUMERIC) :])
    before, *after = (Dataset.from_pandas(pd.DataFrame(d), data_definition=definition) for d in (training, *windows))
    verdicts = []
    for window in after:
        found = Report([DataDriftPreset()], include_tests=True).run(window, before).dict()
        status = {test["bound_test"]["metric_fingerprint"]: test["status"] for test in found["tests"]}
        drifted = {
            each["config"]["column"]: str(status[each["id"]]) == "TestStatus.FAIL"
            for each in found["metrics"]
            if each["config"]["type"].endswith(":ValueDrift")
        }
        verdicts.append([drifted[name] for name in names])
    return verdicts


def scores_of(reference: Reference, window: Data, rows: int) -> tuple[Values, Values]:
    """Return the scores of raw rows: those that judge the columns, and those of Evidently's default choice."""
    profile = reference.empty_profile()
    profile.add(window, rows)
    ours = [score(statistic_of(p, reference, SETTINGS), p, reference.profile, profile) for p in reference.profiled]
    usual = [
        score("jensen_shannon" if p.bins is None else "wasserstein", p, reference.profile, profile)
        for p in reference.profiled
    ]
    return np.array(ours), np.array(usual)


def main() -> int:
    """Print both comparisons."""
    training = Traffic(np.random.default_rng(SEED), 1, None).training(REFERENCE_ROWS)
    reference = build_reference(COLUMNS, training, source="simulated", made_at_us=0)
    reference = calibrate(reference)  # tells which columns have heavy tails
    for rows in (100, 1000):
        traffic = Traffic(np.random.default_rng([SEED, rows]), WINDOWS, None)
        windows = [traffic.training(rows) for _ in range(WINDOWS)]
        raw = [scores_of(reference, window, rows) for window in windows]
        theirs = np.array(evidently_verdicts(training, windows[:EVIDENTLY_WINDOWS]))
        rule = np.array([usual >= 0.1 for _, usual in raw[:EVIDENTLY_WINDOWS]])
        drawn = np.stack([
            Column(reference, p, place, rows).scores(traffic, range(WINDOWS))
            for place, p in enumerate(reference.profiled)
        ], axis=1)  # fmt: skip
        ratios = np.mean([ours for ours, _ in raw], axis=0) / drawn.mean(axis=0)
        print(
            f"{rows} rows: Evidently calls {theirs.sum()} of {theirs.size} columns drifted, its formula {rule.sum()}, "
            f"differing in {(theirs != rule).sum()}; raw over drawn scores: {ratios.mean():.3f} on average, "
            f"{ratios.min():.2f} to {ratios.max():.2f} by column"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
