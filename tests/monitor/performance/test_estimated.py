"""Performance without labels: hand-worked, beside exact expectations and labels, and what it cannot see."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics

from driftline.monitor.performance.calibration_curve import CalibrationCurve, fit_curve
from driftline.monitor.performance.estimated import ESTIMABLE, estimate
from driftline.monitor.performance.score_bins import score_edges, score_histogram
from driftline.monitor.performance.window_scores import WindowScores, scores_above
from driftline.store.prediction_columns import ColumnType, PredictionColumn
from driftline.store.profile.reference import build_reference

Rng = np.random.Generator
DIAGONAL = CalibrationCurve(np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.array([[0.0, 1.0]] * 200), 10**9)


def rows(rng: Rng, count: int, shift: float = 0.0) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return scores that say too little, and labels; a shift moves the input."""
    truth = 1 / (1 + np.exp(0.5 - 1.5 * rng.normal(shift, 1, count)))
    return truth**0.6, rng.random(count) < truth


def realised(scores: NDArray[np.float64], labels: NDArray[np.bool_], threshold: float = 0.5) -> dict[str, float]:
    answers = scores >= threshold
    return {
        "accuracy": float(metrics.accuracy_score(labels, answers)),
        "precision": float(metrics.precision_score(labels, answers)),
        "recall": float(metrics.recall_score(labels, answers)),
        "f1": float(metrics.f1_score(labels, answers)),
        "roc_auc": float(metrics.roc_auc_score(labels, scores)),
        "log_loss": float(metrics.log_loss(labels, scores)),
        "brier": float(metrics.brier_score_loss(labels, scores)),
    }


def few_points(scores: NDArray[np.float64]) -> WindowScores:
    """Return rows gathered on 400 scores, which is as good and faster."""
    points, counts = np.unique(np.round(scores * 400) / 400, return_counts=True)
    return WindowScores(points, counts.astype(np.int64), points >= 0.5)


def test_the_hand_worked_values() -> None:
    # 10 rows each of 0.2 and 0.7: 2 and 7 are to be true, 8 and 3 false; from 0.5 on the answer is yes.
    window = WindowScores(np.array([0.2, 0.7]), np.array([10, 10]), np.array([False, True]))
    found = {name: each.value for name, each in estimate(window, DIAGONAL).items()}
    assert found == pytest.approx({
        "accuracy": 15 / 20,
        "precision": 7 / 10,
        "recall": 7 / 9,
        "f1": 14 / 19,
        "roc_auc": (7 * (8 + 3 / 2) + 2 * 8 / 2) / (9 * 11),
        "log_loss": -(2 * np.log(0.2) + 8 * np.log(0.8) + 7 * np.log(0.7) + 3 * np.log(0.3)) / 20,
        "brier": (2 * 0.64 + 8 * 0.04 + 7 * 0.09 + 3 * 0.49) / 20,
    })  # fmt: skip


@pytest.mark.parametrize(("seed", "threshold"), [(0, 0.2), (1, 0.5), (2, 0.77)])
def test_of_calibrated_scores_it_is_what_many_labellings_show_on_average(seed: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    scores = np.sort(rng.beta(2, 2, 400))
    found = estimate(WindowScores.of_rows(scores, threshold), DIAGONAL)
    shown = [realised(scores, rng.random(400) < scores, threshold) for _ in range(40)]
    for name in ESTIMABLE:
        values = np.array([each[name] for each in shown])
        assert found[name].value == pytest.approx(values.mean(), abs=5 * values.std() / 40**0.5 + 1e-3)


@pytest.mark.parametrize("threshold", [0.31, 0.5])
def test_bins_estimate_what_rows_do_to_a_thousandth(threshold: float) -> None:
    rng = np.random.default_rng(5)
    before, labels = rows(rng, 20_000)
    now, _ = rows(rng, 5_000, 0.7)
    column = PredictionColumn("output", "probability", "out_probability", ColumnType.DOUBLE)
    reference = build_reference([column], {"out_probability": before}, source="a test", made_at_us=0)
    window = reference.empty_profile()
    window.add({"out_probability": now}, now.size)
    curve = fit_curve(score_edges(), score_histogram(before, labels))
    binned = estimate(scores_above(window.numeric("out_probability"), threshold), curve)
    exact = estimate(WindowScores.of_rows(now, threshold), curve)
    assert binned.keys() == exact.keys() == set(ESTIMABLE)
    for name, each in binned.items():
        assert each.value == pytest.approx(exact[name].value, abs=1e-3)


@pytest.mark.parametrize("shift", [0.0, -0.8, 0.8])
def test_where_inputs_move_and_the_truth_does_not_labels_come_out_as_estimated(shift: float) -> None:
    rng = np.random.default_rng(7)
    curve = fit_curve(score_edges(), score_histogram(*rows(rng, 20_000)))
    inside, errors = dict.fromkeys(ESTIMABLE, 0), []
    for _ in range(20):
        scores, labels = rows(rng, 3_000, shift)
        scores = np.round(scores * 400) / 400
        found, shown = estimate(few_points(scores), curve), realised(scores, labels)
        errors.append(found["roc_auc"].value - shown["roc_auc"])
        for name in ESTIMABLE:
            inside[name] += found[name].low <= shown[name] <= found[name].high
    assert abs(np.mean(errors)) < 0.01
    assert min(inside.values()) >= 14  # of 20; a miss of the curve is common to all of them


def test_labels_that_have_nothing_to_do_with_the_scores_are_not_seen() -> None:
    rng = np.random.default_rng(8)
    curve = fit_curve(score_edges(), score_histogram(*rows(rng, 20_000)))
    scores, labels = rows(rng, 5_000)
    assert realised(scores, rng.permutation(labels))["roc_auc"] == pytest.approx(0.5, abs=0.03)
    assert estimate(few_points(scores), curve)["roc_auc"].low > 0.75


def test_the_interval_of_the_accuracy_is_that_of_a_sum_of_coins() -> None:
    scores = np.sort(np.random.default_rng(6).beta(2, 2, 400))
    found = estimate(WindowScores.of_rows(scores, 0.5), DIAGONAL)["accuracy"]
    spread = float(np.sqrt((scores * (1 - scores)).sum()) / 400)
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(spread, rel=0.25)


def test_smaller_windows_and_smaller_references_have_wider_intervals() -> None:
    def width(reference_rows: int, window_rows: int) -> float:
        rng = np.random.default_rng(9)
        curve = fit_curve(score_edges(), score_histogram(*rows(rng, reference_rows)))
        found = estimate(few_points(rows(rng, window_rows)[0]), curve)["roc_auc"]
        return found.high - found.low

    assert width(50_000, 500) > 2 * width(50_000, 5_000)
    assert width(500, 50_000) > 2 * width(50_000, 50_000)


def test_scores_that_are_no_probabilities_have_no_loss_and_shares_of_nothing_are_zero() -> None:
    window = WindowScores(np.array([-3.0, 0.4]), np.array([5, 5]), np.array([False, False]))
    found = estimate(window, DIAGONAL)
    assert not {"log_loss", "brier"} & found.keys()
    assert found["precision"].value == found["recall"].value == 0
