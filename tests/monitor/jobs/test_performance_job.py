"""The performance job on real data with real labels: its numbers are scikit-learn's, its cost is what changed."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from monitor_rig import at
from performance_rig import HOUR_US, Places, answer, identity, label, tensor
from sklearn import metrics as oracle
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sqlalchemy import event, select

from driftline.monitor.jobs import performance_job
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.performance.reference_performance import measure
from driftline.monitor.performance.settings import PerformanceSettings
from driftline.monitor.performance.verdict import JudgedMetric
from driftline.monitor.rows.performance_rows import newest_coverage, newest_performance
from driftline.monitor.rows.results import Result
from driftline.store import schema
from driftline.store.backfill import put_in_force
from driftline.store.engine import writing
from driftline.store.prediction_tables import ensure_model_version
from driftline.store.profile.reference import build_reference
from driftline.store.records import Arm

NOW = 1_795_000_000_000_000 // HOUR_US * HOUR_US
CANCER = identity("cancer", ["a", "b"], tensor(-1, 2))


@dataclass(frozen=True)
class Cancer:
    """Real rows that a model was not fitted to, what it answers, and what is true."""

    frame: pd.DataFrame
    answers: np.ndarray
    labels: np.ndarray


@pytest.fixture(scope="module")
def cancer() -> Cancer:
    features, labels = load_breast_cancer(return_X_y=True)
    features = features[:, :2]
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(features[:200], labels[:200])
    held_out = features[200:]
    return Cancer(pd.DataFrame(held_out, columns=["a", "b"]), model.predict_proba(held_out), labels[200:])


def save_reference(context: JobContext, cancer: Cancer, answers: np.ndarray | None = None) -> None:
    """Put a reference into force whose performance is that of these rows."""
    with writing(context.engine) as connection:
        version = ensure_model_version(connection, CANCER)
    given = cancer.answers if answers is None else answers
    outputs = [c for c in version.columns if c.side == "output"]
    data = {c.column_name: given[:, place] for place, c in enumerate(outputs)}
    found = measure("cancer", outputs, data, cancer.labels.tolist(), PerformanceSettings(), "369 held-out rows")
    data |= {"in_a": cancer.frame["a"].to_numpy(), "in_b": cancer.frame["b"].to_numpy()}
    reference = build_reference(version.columns, data, source="test", made_at_us=0)
    put_in_force(context.engine, version.id, replace(reference, performance=found.to_json()))


def results(context: JobContext, arm: Arm = Arm.CHAMPION) -> dict[str, JudgedMetric]:
    """The newest results of the narrowest window by metric."""
    with context.engine.connect() as connection:
        found = newest_performance(connection, 1, arm)
    narrowest = min(each.window_seconds for each in found)
    return {each.metric: each for each in found if each.window_seconds == narrowest}


def answered(context: JobContext, cancer: Cancer, hours_ago: int = 2) -> Places:
    return answer(context, CANCER, cancer.frame, cancer.answers, NOW - hours_ago * HOUR_US)


def test_metrics_of_live_rows_are_those_of_scikit_learn_and_chance_alone_breaches_nothing(
    context: JobContext, cancer: Cancer
) -> None:
    save_reference(context, cancer)
    places = answered(context, cancer)
    label(context, places, cancer.labels, NOW - HOUR_US)
    outcome = performance_job.run(at(context, NOW)).outcomes["cancer/1"]
    assert outcome.result is Result.SUCCESS
    assert outcome.message == "1 hours with new labels; 369 labelled rows, no breach"
    found, scores = results(context), cancer.answers[:, 1]
    assert {name: each.found.value for name, each in found.items() if each.found} == pytest.approx({
        "accuracy": oracle.accuracy_score(cancer.labels, scores >= 0.5),
        "precision": oracle.precision_score(cancer.labels, scores >= 0.5),
        "recall": oracle.recall_score(cancer.labels, scores >= 0.5),
        "f1": oracle.f1_score(cancer.labels, scores >= 0.5),
        "roc_auc": oracle.roc_auc_score(cancer.labels, scores),
        "log_loss": oracle.log_loss(cancer.labels, scores),
        "brier": oracle.brier_score_loss(cancer.labels, scores),
        "calibration_error": found["calibration_error"].found.value,  # scikit-learn has none
    }, abs=1e-3)  # fmt: skip
    assert {each.breached for each in found.values()} == {False}
    assert {(each.labelled_rows, each.window_rows) for each in found.values()} == {(369, 369)}
    with context.engine.connect() as connection:
        coverage = newest_coverage(connection, 1, Arm.CHAMPION)
    assert coverage is not None
    assert coverage.event_delay == pytest.approx((3600, 3600), rel=0.05)
    assert coverage.last_event_us == NOW - HOUR_US


def test_a_late_label_reopens_its_own_hour_only_and_the_result_is_that_of_all_rows(
    context: JobContext, cancer: Cancer
) -> None:
    hours = [answered(context, cancer, hours_ago) for hours_ago in (30, 20, 2)]
    for places in hours:
        label(context, places[:-1], cancer.labels[:-1], NOW - HOUR_US)
    assert "3 hours with new labels" in str(performance_job.run(at(context, NOW)))
    before = kept(context)
    label(context, hours[1][-1:], cancer.labels[-1:], NOW)
    assert "1 hours with new labels" in str(performance_job.run(at(context, NOW)))
    after = kept(context)
    late = NOW - 20 * HOUR_US
    assert {hour for hour in after if after[hour] != before[hour]} == {late}
    assert after[late][1] == before[late][1] + 1
    assert "0 hours with new labels" in str(performance_job.run(at(context, NOW)))
    assert kept(context) == after
    assert results(context)["accuracy"].labelled_rows == 2 * 369 - 1


def kept(context: JobContext) -> dict[int, tuple[int, int]]:
    """The hours that are kept: key and labelled rows, by start. An hour that is counted anew has a new key."""
    t = schema.performance_hour.c
    with context.engine.connect() as connection:
        return {
            start: (id_, rows) for start, id_, rows in connection.execute(select(t.hour_start, t.id, t.labelled_rows))
        }


def test_hours_without_new_labels_cost_no_read_of_rows(sqlite_context: JobContext, cancer: Cancer) -> None:
    context = sqlite_context
    label(context, answered(context, cancer), cancer.labels, NOW - HOUR_US)
    performance_job.run(at(context, NOW))
    said: list[str] = []
    event.listen(context.engine, "before_cursor_execute", lambda *a: said.append(a[2]))
    performance_job.run(at(context, NOW))
    assert said
    assert not [statement for statement in said if "prediction_cancer" in statement and "JOIN label" in statement]


def test_a_model_that_became_worse_is_told_metric_by_metric(sqlite_context: JobContext, cancer: Cancer) -> None:
    context = sqlite_context
    save_reference(context, cancer)
    places = answered(context, cancer)
    labels = np.where(np.random.default_rng(0).random(369) < 0.3, 1 - cancer.labels, cancer.labels)
    label(context, places, labels, NOW - HOUR_US)
    assert "worse than the reference by accuracy" in str(performance_job.run(at(context, NOW)))
    found = results(context)
    assert found["accuracy"].breached
    assert found["log_loss"].breached
    assert found["accuracy"].threshold is not None
    assert found["accuracy"].found is not None
    assert found["accuracy"].found.value < found["accuracy"].threshold < found["accuracy"].reference
    assert found["log_loss"].threshold > found["log_loss"].reference


def test_few_labels_get_no_verdict_and_say_how_many_are_needed(sqlite_context: JobContext, cancer: Cancer) -> None:
    context = sqlite_context
    save_reference(context, cancer)
    places = answered(context, cancer)
    label(context, places[:40], 1 - cancer.labels[:40], NOW - HOUR_US)
    outcome = performance_job.run(at(context, NOW)).outcomes["cancer/1"]
    assert outcome.result is Result.INSUFFICIENT_DATA
    found = results(context)["accuracy"]
    assert found.breached is None
    assert found.found is not None
    assert found.reason == "40 labelled rows, 100 are needed"


def test_arms_are_judged_apart_on_the_same_labels(sqlite_context: JobContext, cancer: Cancer) -> None:
    context = sqlite_context
    places = answered(context, cancer)
    answer(context, CANCER, cancer.frame, 1 - cancer.answers, NOW - 2 * HOUR_US + 1, Arm.SHADOW, ids=places)
    label(context, places, cancer.labels, NOW - HOUR_US)
    performance_job.run(at(context, NOW))
    right, wrong = (results(context, arm)["accuracy"].found for arm in (Arm.CHAMPION, Arm.SHADOW))
    assert right is not None
    assert wrong is not None
    assert right.value == pytest.approx(1 - wrong.value, abs=0.01)


def test_settings_that_tell_another_task_count_all_hours_anew(sqlite_context: JobContext, cancer: Cancer) -> None:
    context = sqlite_context
    label(context, answered(context, cancer), cancer.labels, NOW - HOUR_US)
    performance_job.run(at(context, NOW))
    recall = results(context)["recall"].found
    benign = replace(context, performance=PerformanceSettings(positive_label="0"))
    assert "1 hours with new labels" in str(performance_job.run(at(benign, NOW)))
    expected = oracle.recall_score(cancer.labels, cancer.answers[:, 1] > 0.5, pos_label=0)
    assert results(context)["recall"].found != recall
    assert results(context)["recall"].found.value == pytest.approx(expected)


def test_outputs_that_do_not_tell_the_task_leave_coverage_and_a_sentence(
    sqlite_context: JobContext, cancer: Cancer
) -> None:
    context = sqlite_context
    places = answered(context, cancer)
    texts = np.where(cancer.labels == 1, "benign", "malignant")
    label(context, places, texts, NOW - HOUR_US)
    outcome = performance_job.run(at(context, NOW + 48 * HOUR_US)).outcomes["cancer/1"]
    assert outcome.result is Result.ERROR
    assert "performance.positive_label" in outcome.message
    with context.engine.connect() as connection:
        coverage = newest_coverage(connection, 1, Arm.CHAMPION)
    assert coverage is not None
    assert coverage.share == 1.0
    told = replace(context, performance=PerformanceSettings(positive_label="malignant"))
    assert performance_job.run(at(told, NOW + HOUR_US)).outcomes["cancer/1"].result is not Result.ERROR


def test_coverage_counts_only_predictions_whose_labels_are_due(sqlite_context: JobContext, cancer: Cancer) -> None:
    context = sqlite_context
    old, _ = answered(context, cancer, 50), answered(context, cancer, 2)
    label(context, old[:123], cancer.labels[:123], NOW - 40 * HOUR_US)
    performance_job.run(at(context, NOW))
    with context.engine.connect() as connection:
        coverage = newest_coverage(connection, 1, Arm.CHAMPION)
    assert coverage is not None
    assert (coverage.labelled_rows, coverage.window_rows) == (123, 369)


def test_a_model_without_labels_is_no_failure(sqlite_context: JobContext, cancer: Cancer) -> None:
    answered(sqlite_context, cancer)
    outcome = performance_job.run(at(sqlite_context, NOW)).outcomes["cancer/1"]
    assert (outcome.result, outcome.message) == (Result.INSUFFICIENT_DATA, "no labels yet")


@pytest.mark.parametrize(("classes", "stray", "recall", "rows"), [(3, 0, "recall_macro", 150), (2, 9, "recall", 149)])
def test_a_class_that_the_first_labels_did_not_show_is_learned_and_one_that_is_never_answered_is_none(
    sqlite_context: JobContext, classes: int, stray: int, recall: str, rows: int
) -> None:
    context = sqlite_context
    species = identity("species", ["a"], [{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}])
    answers = np.arange(150) % classes
    places = answer(context, species, pd.DataFrame({"a": np.zeros(150)}), answers, NOW - 2 * HOUR_US)
    label(context, places[1:2], answers[1:2], NOW - HOUR_US)
    performance_job.run(at(context, NOW))
    label(context, places, [stray, *answers[1:]], NOW - HOUR_US)
    said = str(performance_job.run(at(context, NOW)))
    assert ("149 labelled rows and 1 unusable" in said) == bool(stray)
    with context.engine.connect() as connection:
        coverage = newest_coverage(connection, 1, Arm.CHAMPION)
    assert coverage is not None
    assert coverage.unusable == ({"label_class": 1} if stray else {})
    found = results(context)
    assert found["accuracy"].found is not None
    assert found[recall].found is not None
    assert (found["accuracy"].found.value, found[recall].found.value) == (1.0, 1.0)
    assert found["accuracy"].labelled_rows == rows
