"""Estimates in the performance job: there before any label, beside the labels, and silent where the truth moved."""

from dataclasses import replace

import numpy as np
import pandas as pd
from monitor_rig import at
from numpy.typing import NDArray
from performance_rig import HOUR_US, Places, answer, identity, label, tensor

from driftline.monitor.jobs import performance_job
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.performance.reference_performance import measure
from driftline.monitor.performance.settings import PerformanceSettings
from driftline.monitor.performance.verdict import JudgedMetric
from driftline.monitor.rows.performance_rows import newest_performance
from driftline.monitor.rows.results import Result
from driftline.store.backfill import put_in_force
from driftline.store.engine import writing
from driftline.store.prediction_tables import ensure_model_version
from driftline.store.profile.reference import build_reference
from driftline.store.records import Arm

NOW = 1_795_000_000_000_000 // HOUR_US * HOUR_US
MODEL = identity("coins", ["a"], tensor(-1, 2))


def rows(seed: int, count: int, easy: float = 0.5) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return probabilities of both classes and labels that come true as they say; less ``easy``, nearer to a half."""
    rng = np.random.default_rng(seed)
    scores = rng.beta(easy, easy, count)
    return np.stack([1 - scores, scores], axis=1), (rng.random(count) < scores).astype(np.int64)


def save_reference(context: JobContext) -> None:
    with writing(context.engine) as connection:
        version = ensure_model_version(connection, MODEL)
    answers, labels = rows(1, 5_000)
    outputs = [c for c in version.columns if c.side == "output"]
    data = {c.column_name: answers[:, place] for place, c in enumerate(outputs)}
    found = measure("coins", outputs, data, labels.tolist(), PerformanceSettings(), "5000 held-out rows")
    reference = build_reference(version.columns, data | {"in_a": np.zeros(5_000)}, source="test", made_at_us=0)
    put_in_force(context.engine, version.id, replace(reference, performance=found.to_json()))


def answered(context: JobContext, answers: NDArray[np.float64]) -> Places:
    return answer(context, MODEL, pd.DataFrame({"a": np.zeros(len(answers))}), answers, NOW - 2 * HOUR_US)


def results(context: JobContext, *, estimated: bool) -> dict[str, JudgedMetric]:
    """The newest results of the narrowest window by metric."""
    with context.engine.connect() as connection:
        found = newest_performance(connection, 1, Arm.CHAMPION, estimated=estimated)
    narrowest = min((each.window_seconds for each in found), default=0)
    return {each.metric: each for each in found if each.window_seconds == narrowest}


def test_what_is_estimated_before_any_label_is_what_the_labels_show(context: JobContext) -> None:
    save_reference(context)
    answers, labels = rows(2, 2_000)
    places = answered(context, answers)
    outcome = performance_job.run(at(context, NOW)).outcomes["coins/1"]
    assert (outcome.result, outcome.message) == (Result.SUCCESS, "no labels yet")
    before = results(context, estimated=True)
    assert results(context, estimated=False) == {}
    label(context, places, labels, NOW - HOUR_US)
    performance_job.run(at(context, NOW))
    shown, beside = results(context, estimated=False), results(context, estimated=True)
    assert beside.keys() == before.keys() == shown.keys() - {"calibration_error"}
    for name, each in beside.items():
        assert each.found is not None
        assert shown[name].found is not None
        assert each.found.low <= shown[name].found.value <= each.found.high
        assert (each.estimated, each.breached, each.labelled_rows, each.window_rows) == (True, False, 0, 2_000)


def test_harder_rows_breach_without_a_label(context: JobContext) -> None:
    save_reference(context)
    answered(context, rows(3, 2_000, easy=3.0)[0])
    outcome = performance_job.run(at(context, NOW)).outcomes["coins/1"]
    found = results(context, estimated=True)
    assert found["roc_auc"].breached
    assert found["roc_auc"].found is not None
    assert found["roc_auc"].found.high < (found["roc_auc"].reference or 0) * 0.95
    assert outcome.message.startswith("no labels yet; estimated worse than the reference by accuracy")


def test_a_moved_truth_breaches_by_labels_alone(context: JobContext) -> None:
    save_reference(context)
    answers, labels = rows(4, 2_000)
    label(context, answered(context, answers), np.random.default_rng(5).permutation(labels), NOW - HOUR_US)
    performance_job.run(at(context, NOW))
    assert results(context, estimated=False)["roc_auc"].breached
    assert not any(each.breached for each in results(context, estimated=True).values())


def test_few_rows_get_an_estimate_and_no_verdict(context: JobContext) -> None:
    save_reference(context)
    answered(context, rows(6, 50)[0])
    performance_job.run(at(context, NOW))
    found = results(context, estimated=True)["roc_auc"]
    assert found.breached is None
    assert found.reason == "50 rows with a probability, 100 are needed"
