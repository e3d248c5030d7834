"""Rows that are alike are not told apart; what no single column shows is found."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from driftline.monitor.multivariate.domain_classifier import _auc, _null_variance, separate

DRIFT = (0.55, 4.0)
NUMBERS = np.zeros(4, np.bool_)


@pytest.fixture(autouse=True)
def one_core() -> Iterator[None]:
    """Threads that wait for each other on a busy machine cost many times what they save."""
    with threadpool_limits(1):
        yield


def rows(count: int, seed: int, correlation: float = 0.5) -> NDArray[np.float64]:
    """Four standard normal columns, of which the first two are correlated."""
    values = np.random.default_rng(seed).normal(size=(count, 4))
    values[:, 1] = correlation * values[:, 0] + np.sqrt(1 - correlation**2) * values[:, 1]
    return values


def test_rows_that_are_alike_are_not_told_apart() -> None:
    for seed in range(3):
        found = separate(rows(500, seed), rows(2_000, seed + 100), NUMBERS, named_from=DRIFT)
        assert abs(found.z) < 4
        assert found.importances == {}


def test_a_correlation_that_turned_is_found_and_its_columns_are_named() -> None:
    found = separate(rows(2_000, 1, -0.5), rows(3_000, 2), NUMBERS, named_from=DRIFT)
    assert found.auc > 0.65
    assert found.z > 10
    assert set(list(found.importances)[:2]) == {0, 1}


def test_categories_that_go_together_otherwise_are_found() -> None:
    rng = np.random.default_rng(3)
    training, live = (rng.integers(0, 6, (2_000, 3)).astype(float) for _ in range(2))
    training[:, 1], live[:, 1] = training[:, 0], 5 - live[:, 0]
    found = separate(live, training, np.ones(3, np.bool_), named_from=DRIFT)
    assert found.z > 4
    assert set(list(found.importances)[:2]) == {0, 1}


def test_missing_cells_that_come_together_are_found() -> None:
    training, live = rows(2_000, 1), rows(2_000, 2)
    rng = np.random.default_rng(4)
    gone = rng.random(2_000) < 0.3
    live[gone, 2] = live[gone, 3] = np.nan
    training[rng.random(2_000) < 0.3, 2] = np.nan
    training[rng.random(2_000) < 0.3, 3] = np.nan
    found = separate(live, training, NUMBERS, named_from=DRIFT)
    assert found.z > 4
    assert set(list(found.importances)[:2]) == {2, 3}


def test_the_area_is_scikit_learns_ties_included() -> None:
    rng = np.random.default_rng(5)
    scores, is_live = rng.integers(0, 9, 400).astype(float), rng.integers(0, 2, 400).astype(np.int8)
    assert _auc(scores, is_live) == pytest.approx(roc_auc_score(is_live, scores))


def test_the_variance_without_drift_is_that_of_shuffled_rows() -> None:
    rng = np.random.default_rng(6)
    is_live = np.r_[np.ones(30, np.int8), np.zeros(70, np.int8)]
    areas = [_auc(rng.random(100), is_live) for _ in range(4_000)]
    assert np.var(areas) == pytest.approx(_null_variance(30, 70), rel=0.1)


@pytest.mark.parametrize("categorical", [False, True])
def test_a_column_that_is_missing_everywhere_says_nothing_and_stops_nothing(categorical: bool) -> None:
    rng = np.random.default_rng(7)
    live, training = rng.normal(1, 1, (400, 2)), rng.normal(0, 1, (800, 2))
    live[:, 0] = training[:, 0] = np.nan
    found = separate(live, training, np.array([categorical, False]))
    assert found.auc > 0.7
    assert list(found.importances) == [1]
