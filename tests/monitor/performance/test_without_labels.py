"""Estimates of a version's windows: which references allow them, and the model's own decision."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from driftline.monitor.performance.reference_performance import measure
from driftline.monitor.performance.settings import PerformanceSettings
from driftline.monitor.performance.without_labels import estimator_of
from driftline.store.prediction_columns import ColumnType, PredictionColumn
from driftline.store.profile.reference import Reference, build_reference

PROBABILITY = PredictionColumn("output", "probability", "out_probability", ColumnType.DOUBLE)


def prediction(type_: ColumnType) -> PredictionColumn:
    return PredictionColumn("output", "prediction", "out_prediction", type_)


def rows(seed: int, count: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    scores = rng.beta(2, 2, count)
    return scores, (rng.random(count) < scores).astype(int)


def reference_of(columns: list[PredictionColumn], data: dict[str, Any], labels: Any) -> Reference:
    reference = build_reference(columns, data, source="a test", made_at_us=0)
    known = measure("m", columns, data, labels.tolist(), PerformanceSettings(), "a test")
    return replace(reference, performance=known.to_json())


@pytest.mark.parametrize(
    ("type_", "names"),
    [(ColumnType.LONG, [0, 1]), (ColumnType.BOOLEAN, [False, True]), (ColumnType.STRING, ["0", "1"])],
)
def test_the_models_own_decision_counts_whatever_its_threshold(type_: ColumnType, names: list[Any]) -> None:
    scores, labels = rows(1, 8000)
    answers = np.array([names[int(s >= 0.7)] for s in scores], dtype=object)
    data = {"out_prediction": answers, "out_probability": scores}
    reference = reference_of([prediction(type_), PROBABILITY], data, labels)
    estimator = estimator_of(reference)
    assert estimator is not None
    count, found = estimator.metrics(reference.profile)
    recall = float(labels[scores >= 0.7].sum() / labels.sum())
    assert count == 8000
    assert found["recall"].value == pytest.approx(recall, abs=0.01)
    assert found["roc_auc"].low < found["roc_auc"].value < found["roc_auc"].high


def test_without_an_output_for_the_class_the_threshold_of_the_settings_decides() -> None:
    scores, labels = rows(2, 8000)
    estimator = estimator_of(reference_of([PROBABILITY], {"out_probability": scores}, labels))
    assert estimator is not None
    window = reference_of([PROBABILITY], {"out_probability": scores}, labels).profile
    _, found = estimator.metrics(window)
    assert found["recall"].value == pytest.approx(labels[scores >= 0.5].sum() / labels.sum(), abs=0.01)


def test_a_window_without_scores_has_no_estimate() -> None:
    scores, labels = rows(3, 1000)
    reference = reference_of([PROBABILITY], {"out_probability": scores}, labels)
    estimator = estimator_of(reference)
    assert estimator is not None
    assert estimator.metrics(reference.empty_profile()) == (0, {})


def test_there_is_no_estimate_without_labels_of_both_classes_or_without_probabilities() -> None:
    scores, labels = rows(4, 1000)
    with_labels = reference_of([PROBABILITY], {"out_probability": scores}, labels)
    assert estimator_of(replace(with_labels, performance=None)) is None
    assert estimator_of(reference_of([PROBABILITY], {"out_probability": scores}, np.ones(1000, int))) is None
    answers = {"out_prediction": (scores > 0.5).astype(int)}
    assert estimator_of(reference_of([prediction(ColumnType.LONG)], answers, labels)) is None


def test_there_is_no_estimate_of_more_than_two_classes() -> None:
    shares = np.random.default_rng(5).dirichlet([1, 1, 1], 1000)
    columns = [PredictionColumn("output", str(i), f"out_{i}", ColumnType.DOUBLE) for i in range(3)]
    labels = shares.argmax(axis=1)
    assert estimator_of(reference_of(columns, {f"out_{i}": shares[:, i] for i in range(3)}, labels)) is None
