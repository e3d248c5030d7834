"""Metrics from sums are scikit-learn's own on the rows themselves, and sums of parts are the sums of the whole."""

from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest
from sklearn import metrics as oracle
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from driftline.monitor.performance.metric import MetricInterval
from driftline.monitor.performance.realised import judge_window
from driftline.monitor.performance.reference_performance import (
    ReferencePerformance,
    add_sums,
    measure,
    metrics_of,
    performance_of,
)
from driftline.monitor.performance.settings import PerformanceSettings
from driftline.monitor.performance.sums import bounded_sample, empty_sums, sums_from_json, sums_of
from driftline.monitor.performance.task import Task, TaskKind
from driftline.monitor.performance.unusable import (
    LABEL_CLASS,
    LABEL_NUMBER,
    PREDICTION_CLASS,
    PREDICTION_MISSING,
    PREDICTION_NUMBER,
    PROBABILITIES,
    said_of_unusable,
)
from driftline.monitor.performance.verdict import JudgedMetric, judge
from driftline.store.prediction_columns import ColumnType, PredictionColumn, prediction_columns
from driftline.store.profile.reference import Reference, build_reference

BINARY = Task(TaskKind.BINARY, probabilities=("out_p",), classes=("0", "1"))


def fitted(load: Any, model: Any, method: str) -> tuple[np.ndarray, np.ndarray]:
    """The labels of a data set, and what models fitted to other parts of it answer."""
    features, labels = load(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), model)
    return labels, cross_val_predict(pipeline, features, labels, method=method, cv=3)


@pytest.fixture(scope="module")
def cancer() -> tuple[np.ndarray, np.ndarray]:
    labels, answers = fitted(load_breast_cancer, LogisticRegression(C=0.01), "predict_proba")
    return labels, answers[:, 1]


def test_binary_metrics_are_those_of_scikit_learn(cancer: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = cancer
    found = metrics_of(BINARY, sums_of(BINARY, {"out_p": scores}, labels.tolist()))
    predicted = scores >= 0.5
    assert found["accuracy"].value == pytest.approx(oracle.accuracy_score(labels, predicted), abs=1e-12)
    assert found["precision"].value == pytest.approx(oracle.precision_score(labels, predicted), abs=1e-12)
    assert found["recall"].value == pytest.approx(oracle.recall_score(labels, predicted), abs=1e-12)
    assert found["f1"].value == pytest.approx(oracle.f1_score(labels, predicted), abs=1e-12)
    assert found["log_loss"].value == pytest.approx(oracle.log_loss(labels, scores), abs=1e-12)
    assert found["brier"].value == pytest.approx(oracle.brier_score_loss(labels, scores), abs=1e-6)
    assert found["roc_auc"].value == pytest.approx(oracle.roc_auc_score(labels, scores), abs=1e-4)
    for metric in found.values():
        assert metric.low <= metric.value <= metric.high


def test_the_area_under_the_curve_holds_for_scores_of_a_rare_event() -> None:
    rng = np.random.default_rng(3)
    scores = rng.beta(0.5, 500, 20_000)  # nearly all below 0.005
    labels = rng.random(scores.size) < np.clip(scores * 10, 0, 1)
    found = metrics_of(BINARY, sums_of(BINARY, {"out_p": scores}, labels.tolist()))
    assert found["roc_auc"].value == pytest.approx(oracle.roc_auc_score(labels, scores), abs=1e-3)


def test_metrics_of_several_classes_are_those_of_scikit_learn() -> None:
    labels, answers = fitted(load_digits, LogisticRegression(C=0.01), "predict_proba")
    names = tuple(f"out_{i}" for i in range(10))
    task = Task(TaskKind.MULTICLASS, probabilities=names, classes=tuple(map(str, range(10))))
    found = metrics_of(task, sums_of(task, dict(zip(names, answers.T, strict=True)), labels.tolist()))
    predicted = answers.argmax(axis=1)
    assert found["accuracy"].value == pytest.approx(oracle.accuracy_score(labels, predicted), abs=1e-12)
    assert found["f1_macro"].value == pytest.approx(oracle.f1_score(labels, predicted, average="macro"), abs=1e-12)
    assert found["precision_macro"].value == pytest.approx(
        oracle.precision_score(labels, predicted, average="macro"), abs=1e-12
    )
    assert found["recall_macro"].value == pytest.approx(
        oracle.recall_score(labels, predicted, average="macro"), abs=1e-12
    )
    assert found["log_loss"].value == pytest.approx(oracle.log_loss(labels, answers), abs=1e-9)


def test_metrics_of_numbers_are_those_of_scikit_learn_far_from_zero_too() -> None:
    labels, answers = fitted(load_diabetes, LinearRegression(), "predict")
    task = Task(TaskKind.REGRESSION, "out_y")
    for offset in (0.0, 1e6):
        truth, predicted = labels + offset, answers + offset
        sums = empty_sums(task)
        for part in np.array_split(np.arange(truth.size), 7):  # as many hours
            add_sums(sums, sums_of(task, {"out_y": predicted[part]}, truth[part].tolist()))
        found = metrics_of(task, sums)
        assert found["mae"].value == pytest.approx(oracle.mean_absolute_error(truth, predicted), rel=1e-9)
        assert found["rmse"].value == pytest.approx(oracle.root_mean_squared_error(truth, predicted), rel=1e-9)
        assert found["r2"].value == pytest.approx(oracle.r2_score(truth, predicted), rel=1e-6)
        assert found["bias"].value == pytest.approx((predicted - truth).mean(), abs=1e-8)
        for metric in found.values():
            assert metric.low < metric.value < metric.high


def test_a_bounded_sample_stands_for_all_rows_and_keeps_the_largest_errors() -> None:
    rng = np.random.default_rng(3)
    rows = np.stack([rng.normal(50, 10, 4_000), rng.normal(50, 10, 4_000), np.repeat([1.0, 3.0], 2_000)])
    kept = bounded_sample(rows, 400, rng)
    assert kept.shape == (3, 400)
    assert kept[2].sum() == pytest.approx(8_000)
    assert np.average(kept[0], weights=kept[2]) == pytest.approx(np.average(rows[0], weights=rows[2]), abs=2)
    assert np.sort(np.abs(kept[1] - kept[0]))[-100:] == pytest.approx(np.sort(np.abs(rows[1] - rows[0]))[-100:])
    assert np.array_equal(bounded_sample(rows[:, :300], 400, rng), rows[:, :300])


def test_intervals_of_skewed_errors_hold_the_truth_about_as_often_as_they_say() -> None:
    rng, task, held = np.random.default_rng(4), Task(TaskKind.REGRESSION, "out_y"), 0
    for _ in range(100):  # an hour of 2,000 rows each, of which 128 are kept
        errors = rng.exponential(1.0, 2_000) ** 2
        found = metrics_of(task, sums_of(task, {"out_y": errors}, [0.0] * 1_000 + [1.0] * 1_000))
        truth = np.sqrt((24 + 21) / 2)  # mean squares of x^2 and of x^2 - 1, x exponential: 24 and 24 - 2 * 2 + 1
        held += found["rmse"].low <= truth <= found["rmse"].high
    assert held >= 85


def test_one_error_that_outweighs_all_others_leaves_an_interval_of_sense() -> None:
    task, answers = Task(TaskKind.REGRESSION, "out_y"), np.random.default_rng(5).normal(0, 1, 500)
    answers[0] = 1e4
    found = metrics_of(task, sums_of(task, {"out_y": answers}, [0.0] * 500))["rmse"]
    assert 0 <= found.low < found.value < found.high < 3 * found.value


def test_sums_of_parts_kept_as_json_are_the_sums_of_the_whole(cancer: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = cancer
    whole = sums_of(BINARY, {"out_p": scores}, labels.tolist())
    merged = empty_sums(BINARY)
    for part in np.array_split(np.random.default_rng(0).permutation(labels.size), 5):
        kept = sums_of(BINARY, {"out_p": scores[part]}, labels[part].tolist()).to_json()
        add_sums(merged, sums_from_json(BINARY, kept))
    assert merged.confusion == whole.confusion
    assert np.array_equal(merged.cells.counts, whole.cells.counts)
    assert metrics_of(BINARY, merged)["log_loss"].value == pytest.approx(metrics_of(BINARY, whole)["log_loss"].value)


def test_a_calibrated_model_has_no_calibration_error_beyond_chance_and_a_crooked_one_has() -> None:
    rng = np.random.default_rng(1)
    truly = rng.random(5_000)
    labels = (rng.random(truly.size) < truly).tolist()
    straight = metrics_of(BINARY, sums_of(BINARY, {"out_p": truly}, labels))["calibration_error"]
    crooked = metrics_of(BINARY, sums_of(BINARY, {"out_p": truly**2}, labels))["calibration_error"]
    assert straight.low == 0.0
    assert straight.value < 0.02
    assert crooked.low > 0.1


def test_rows_without_an_answer_or_of_an_unknown_class_are_counted_as_unusable_by_their_first_reason() -> None:
    scores = np.array([0.9, np.nan, 0.2, 1.5, 0.4, np.nan])
    sums = sums_of(BINARY, {"out_p": scores}, [1, 1, 2, 0, None, 2])
    assert (sums.rows, sums.unusable) == (1, {LABEL_CLASS: 2, PROBABILITIES: 2})
    answers = np.array(["1", "7", None, "0"], dtype=object)
    sums = sums_of(Task(TaskKind.BINARY, "out_y", classes=("0", "1")), {"out_y": answers}, [1, 1, 0, 0])
    assert (sums.rows, sums.unusable) == (2, {PREDICTION_CLASS: 1, PREDICTION_MISSING: 1})
    lists = Task(TaskKind.MULTICLASS, probabilities=("out_p",), classes=("a", "b", "c"))
    sums = sums_of(lists, {"out_p": np.array(["[]", "no list"], dtype=object)}, ["a", "b"])
    assert (sums.rows, sums.unusable) == (0, {PROBABILITIES: 2})


def test_what_an_earlier_release_counted_as_unusable_has_no_reason_and_still_adds() -> None:
    kept = orjson.loads(orjson.dumps(sums_of(BINARY, {"out_p": np.array([0.9, 0.8])}, [1, 2]).to_json()))
    sums = sums_from_json(BINARY, kept | {"unusable": 3})
    add_sums(sums, sums_from_json(BINARY, kept))
    assert sums.unusable == {"untold": 3, LABEL_CLASS: 1}
    told = "4 labelled rows do not count: 3 for reasons that an earlier release did not keep, 1 with a label of another"
    assert said_of_unusable(sums.unusable).startswith(told)
    assert said_of_unusable({}) == ""


def test_an_accuracy_without_errors_has_an_interval_that_admits_some() -> None:
    task = Task(TaskKind.BINARY, "out_y", classes=("0", "1"))
    found = metrics_of(task, sums_of(task, {"out_y": np.arange(40) % 2}, (np.arange(40) % 2).tolist()))
    assert found["accuracy"].high == found["accuracy"].value == 1.0
    assert 0.85 < found["accuracy"].low < 0.99


def test_a_reference_keeps_its_performance_and_an_older_file_has_none(cancer: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = cancer
    outputs = [PredictionColumn("output", "p", "out_p", ColumnType.DOUBLE)]
    found = measure("m", outputs, {"out_p": scores}, labels.tolist(), PerformanceSettings(), "569 training rows")
    assert found.task == BINARY
    reference = build_reference(outputs, {"out_p": scores}, source="test", made_at_us=0)
    assert performance_of(Reference.from_bytes(reference.to_bytes())) is None
    kept = replace(reference, performance=found.to_json())
    again = performance_of(Reference.from_bytes(kept.to_bytes()))
    assert again is not None
    assert again.metrics == found.metrics
    assert again.score_histogram is not None
    assert again.score_histogram.sum(axis=1).tolist() == np.bincount(labels).tolist()


def test_signature_columns_of_predicted_probabilities_are_told() -> None:
    signature = {"outputs": '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}]'}
    columns = [c for c in prediction_columns(signature) if c.side == "output"]
    scores = np.linspace(0.01, 0.99, 50)
    answers = {columns[0].column_name: 1 - scores, columns[1].column_name: scores}
    found = measure("m", columns, answers, [i % 2 for i in range(50)], PerformanceSettings(), "rows")
    assert found.task.probabilities == (columns[1].column_name,)


def test_a_number_too_large_to_sum_is_unusable_and_its_hour_can_be_read_again() -> None:
    task = Task(TaskKind.REGRESSION, "out_y")
    labels = [1.0, 2.5, 1e200, 4.0, np.finfo(np.float64).max, 6.0]
    sums = sums_of(task, {"out_y": np.array([1.0, 2.0, 3.0, 1e300, 5.0, np.nan])}, labels)
    assert (sums.rows, sums.unusable) == (2, {LABEL_NUMBER: 2, PREDICTION_NUMBER: 1, PREDICTION_MISSING: 1})
    again = sums_from_json(task, orjson.loads(orjson.dumps(sums.to_json())))
    assert metrics_of(task, again)["rmse"].value == pytest.approx(np.sqrt(0.25 / 2))
    assert again.unusable == sums.unusable


def test_a_metric_that_labels_all_alike_leave_undefined_says_so_and_not_that_there_are_no_rows() -> None:
    task, rows = Task(TaskKind.REGRESSION, "out_y"), np.arange(200.0)
    column = PredictionColumn("output", "y", "out_y", ColumnType.DOUBLE)
    known = measure("m", [column], {"out_y": rows + 0.5}, rows.tolist(), PerformanceSettings(), "rows")
    sums = sums_of(task, {"out_y": rows}, [3.0] * 200)
    judged = {each.metric: each for each in judge_window(task, sums, known, (0, 1), 200, PerformanceSettings())}
    assert (judged["r2"].found, judged["r2"].reason) == (None, "not defined where all labels are equal")
    assert judged["mae"].breached


@pytest.mark.parametrize(
    ("name", "value", "known", "said"),
    [
        ("recall", 0.144, 0.146, "the threshold would be -0.0397, and no recall can be below that: more labelled rows"),
        ("recall", 0.0, 0.0, "0 on the reference, which nothing can be worse than"),
        ("brier", 0.9, 0.95, "the threshold would be 1.18, and no brier can be above that: more labelled rows"),
        ("mae", 0.9, 0.95, None),
        ("roc_auc", 0.7, 0.75, None),
    ],
)
def test_a_threshold_that_no_value_can_reach_gives_no_verdict_and_says_so(
    name: str, value: float, known: float, said: str | None
) -> None:
    task = BINARY if name != "mae" else Task(TaskKind.REGRESSION, "out_y")
    reference = ReferencePerformance(task, {name: around(known)}, None, 500, "rows")
    judged = judge(JudgedMetric(name, (0, 1), 300, 300, around(value)), task, None, reference, PerformanceSettings())
    if said is None:
        assert (judged.verdict, judged.threshold is None) == ("ok", False)
    else:
        assert (judged.verdict, judged.threshold, judged.breached) == ("insufficient data", None, None)
        assert judged.reason.startswith(said)
        assert judged.reference == known


def around(value: float) -> MetricInterval:
    """An interval as wide as some 90 rows of a rare label leave it."""
    return MetricInterval(value, value - 0.0824, value + 0.0824)
