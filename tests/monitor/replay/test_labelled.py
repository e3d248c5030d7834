"""Paired performance on labelled rows."""

import numpy as np
import orjson
import pytest
from sklearn import metrics as sklearn_metrics

from driftline.monitor.performance.settings import PerformanceSettings
from driftline.monitor.performance.task import Task, TaskKind
from driftline.monitor.replay.labelled import labelled_performance
from driftline.store.prediction_columns import ColumnType, PredictionColumn

ROWS = 1_500
IDS = [i.to_bytes(16, "big") for i in range(ROWS)]
SCORE = PredictionColumn("output", "prediction", "out_prediction", ColumnType.DOUBLE)


def measured(
    then: np.ndarray, now: np.ndarray, truth: np.ndarray, ids: list[bytes] = IDS, known: Task | None = None
) -> dict[str, object]:
    found = labelled_performance(
        "clf", [(SCORE, SCORE)], {"out_prediction": then}, {"out_prediction": now},
        [orjson.dumps(x).decode() for x in truth.tolist()], ids, PerformanceSettings(), known,
    )  # fmt: skip
    assert found is not None
    return found


def scores(seed: int, strength: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, ROWS)
    return truth, 1 / (1 + np.exp(-(strength * (truth - 0.5) + rng.normal(size=ROWS)))).round(2)


def test_metrics_are_scikit_learns() -> None:
    truth, score = scores(0, 1.5)
    found = measured(score, score, truth)["metrics"]
    expected = {
        "roc_auc": sklearn_metrics.roc_auc_score(truth, score),
        "brier": sklearn_metrics.brier_score_loss(truth, score),
        "log_loss": sklearn_metrics.log_loss(truth, np.clip(score, 1e-15, 1 - 1e-15)),
        "accuracy": sklearn_metrics.accuracy_score(truth, score >= 0.5),
        "f1": sklearn_metrics.f1_score(truth, score >= 0.5),
    }
    assert {name: m["recorded"] for name, m in found.items()} == pytest.approx(expected, rel=1e-9)
    assert all(m["difference"] == 0 == m["difference_interval"][0] for m in found.values())
    amounts = np.random.default_rng(1).normal(50, 9, ROWS)
    numbers = measured(amounts + 1, amounts * 1.1, amounts)["metrics"]
    assert numbers["mae"]["recorded"] == pytest.approx(1)
    assert numbers["rmse"]["asked"] == pytest.approx(sklearn_metrics.root_mean_squared_error(amounts, amounts * 1.1))
    assert numbers["r2"]["asked"] == pytest.approx(sklearn_metrics.r2_score(amounts, amounts * 1.1))


def test_a_mistaken_label_is_left_out_and_makes_no_other_task_where_the_reference_tells_it() -> None:
    truth, score = scores(0, 1.5)
    mistaken = np.where(np.arange(ROWS) == 7, 9, truth)
    binary = Task(TaskKind.BINARY, probabilities=("out_prediction",), classes=("0", "1"))
    found = measured(score, score, mistaken, known=binary)
    assert (found["rows"], found["unusable_rows"]) == (ROWS - 1, 1)
    kept = np.arange(ROWS) != 7
    assert found["metrics"]["roc_auc"]["asked"] == pytest.approx(
        sklearn_metrics.roc_auc_score(truth[kept], score[kept])
    )
    assert "mae" in measured(score, score, mistaken)["metrics"]  # by labels alone these would be numbers
    elsewhere = Task(TaskKind.BINARY, probabilities=("out_other",), classes=("0", "1"))
    assert measured(score, score, truth, known=elsewhere)["metrics"] != {}


def test_the_interval_of_the_paired_difference_covers_it_and_is_narrower_than_unpaired_ones() -> None:
    covered, widths = 0, []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        truth = rng.normal(size=300)
        shared = rng.normal(size=300)
        then, now = truth + shared, truth + shared + 0.1 * rng.normal(size=300)
        found = measured(then, now, truth, IDS[:300])["metrics"]["rmse"]
        low, high = found["difference_interval"]
        covered += low <= np.sqrt(1.01) - 1 <= high
        widths.append(high - low)
    assert covered >= 34
    assert np.mean(widths) < 0.25 * (2 * 1.96 / np.sqrt(2 * 300))


def test_rows_of_one_request_are_drawn_together() -> None:
    truth, then = scores(0, 1.5)
    _, now = scores(3, 1.5)
    alone = measured(then, now, truth)["metrics"]["accuracy"]["difference_interval"]
    repeated = [IDS[i // 10] for i in range(ROWS)]
    order = np.argsort(((then >= 0.5) == truth).astype(int) - ((now >= 0.5) == truth), kind="stable")
    together = measured(then[order], now[order], truth[order], repeated)["metrics"]["accuracy"]["difference_interval"]
    assert together[1] - together[0] > 1.5 * (alone[1] - alone[0])


def test_what_cannot_be_measured_says_why() -> None:
    truth, score = scores(0, 1.0)
    few = measured(score[:5], score[:5], truth[:5], IDS[:5])
    assert (few["metrics"], few["reason"]) == ({}, "5 labelled rows, 10 are needed")
    words = np.array(["yes", "no"] * (ROWS // 2), dtype=object)
    assert "performance.positive_label" in str(measured(score, score, words)["reason"])
    assert labelled_performance("clf", [], {}, {}, [None, None], IDS[:2], PerformanceSettings()) is None


@pytest.mark.parametrize("classes", [2, 3])
def test_a_version_that_knows_other_classes_is_not_measured_and_ends_no_replay(classes: int) -> None:
    pair = (PredictionColumn("output", "p", "out_p", ColumnType.JSON),) * 2
    shares = np.random.default_rng(0).dirichlet(np.ones(4), 60)
    own = shares[:, :classes] / shares[:, :classes].sum(axis=1, keepdims=True)
    then, now = ([orjson.dumps(row).decode() for row in part.tolist()] for part in (own, shares))
    labels = [str(i % classes) for i in range(60)]
    told = (np.array(then, object), np.array(now, object))
    found = labelled_performance(
        "m", [pair], {"out_p": told[0]}, {"out_p": told[1]}, labels, IDS[:60], PerformanceSettings()
    )
    assert found is not None
    assert (found["metrics"], found["reason"]) == ({}, "0 labelled rows, 10 are needed")
