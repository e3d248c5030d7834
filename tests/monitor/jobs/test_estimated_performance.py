"""Estimates in the performance job: there before any label, beside the labels, and silent where the truth moved."""

import numpy as np
import pandas as pd
from monitor_rig import at
from numpy.typing import NDArray
from performance_rig import COINS, HOUR_US, Places, answer, coins, label, save_coins_reference

from driftline.monitor.jobs import performance_job
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.performance.verdict import JudgedMetric
from driftline.monitor.rows.performance_rows import newest_performance
from driftline.monitor.rows.results import Result
from driftline.store.records import Arm

NOW = 1_795_000_000_000_000 // HOUR_US * HOUR_US


def answered(context: JobContext, answers: NDArray[np.float64]) -> Places:
    return answer(context, COINS, pd.DataFrame({"a": np.zeros(len(answers))}), answers, NOW - 2 * HOUR_US)


def results(context: JobContext, *, estimated: bool) -> dict[str, JudgedMetric]:
    """The newest results of the narrowest window by metric."""
    with context.engine.connect() as connection:
        found = newest_performance(connection, 1, Arm.CHAMPION, estimated=estimated)
    narrowest = min((each.window_seconds for each in found), default=0)
    return {each.metric: each for each in found if each.window_seconds == narrowest}


def test_what_is_estimated_before_any_label_is_what_the_labels_show(context: JobContext) -> None:
    save_coins_reference(context)
    answers, labels = coins(2, 2_000)
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
    save_coins_reference(context)
    answered(context, coins(3, 2_000, easy=3.0)[0])
    outcome = performance_job.run(at(context, NOW)).outcomes["coins/1"]
    found = results(context, estimated=True)
    assert found["roc_auc"].breached
    assert found["roc_auc"].found is not None
    assert found["roc_auc"].found.high < (found["roc_auc"].reference or 0) * 0.95
    assert outcome.message.startswith("no labels yet; estimated worse than the reference by accuracy")


def test_a_moved_truth_breaches_by_labels_alone(context: JobContext) -> None:
    save_coins_reference(context)
    answers, labels = coins(4, 2_000)
    label(context, answered(context, answers), np.random.default_rng(5).permutation(labels), NOW - HOUR_US)
    performance_job.run(at(context, NOW))
    assert results(context, estimated=False)["roc_auc"].breached
    assert not any(each.breached for each in results(context, estimated=True).values())


def test_few_rows_get_an_estimate_and_no_verdict(context: JobContext) -> None:
    save_coins_reference(context)
    answered(context, coins(6, 50)[0])
    performance_job.run(at(context, NOW))
    found = results(context, estimated=True)["roc_auc"]
    assert found.breached is None
    assert found.reason == "50 rows with a probability, 100 are needed"
