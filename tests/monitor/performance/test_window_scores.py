"""A window's scores from its profile: where the decision falls among them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from driftline.monitor.performance.window_scores import WindowScores, scores_above, scores_of_share
from driftline.store.prediction_columns import ColumnType, PredictionColumn
from driftline.store.profile.numeric import NumericCounts
from driftline.store.profile.reference import build_reference


def profiled(before: NDArray[np.float64], now: NDArray[np.float64]) -> NumericCounts:
    column = PredictionColumn("output", "probability", "out_probability", ColumnType.DOUBLE)
    reference = build_reference([column], {"out_probability": before}, source="a test", made_at_us=0)
    window = reference.empty_profile()
    window.add({"out_probability": now}, now.size)
    return window.numeric("out_probability")


def positive_rows(window: WindowScores) -> int:
    return int(window.rows[window.predicted].sum())


@pytest.mark.parametrize("threshold", [0.013, 0.37, 0.5, 0.9])
def test_rows_above_a_threshold_are_counted_to_a_thousandth_of_the_window(threshold: float) -> None:
    rng = np.random.default_rng(1)
    now = rng.beta(2, 3, 20_000)
    window = scores_above(profiled(rng.beta(1, 2, 20_000), now), threshold)
    assert positive_rows(window) == pytest.approx((now >= threshold).sum(), abs=20)
    assert window.total == now.size
    assert (window.scores * window.rows).sum() == pytest.approx(now.sum(), rel=1e-6)
    assert (np.diff(window.scores) >= 0).all()
    assert (window.scores[window.predicted] >= threshold - 1e-9).all()


def test_the_models_own_share_of_positive_answers_places_the_decision() -> None:
    rng = np.random.default_rng(2)
    now = rng.beta(2, 3, 20_000)
    counts = profiled(rng.beta(1, 2, 20_000), now)
    window = scores_of_share(counts, float((now >= 0.37).mean()))
    assert positive_rows(window) == (now >= 0.37).sum()
    assert window.scores[window.predicted][0] == pytest.approx(0.37, abs=0.003)
    assert (window.scores * window.rows).sum() == pytest.approx(now.sum(), rel=1e-6)


@pytest.mark.parametrize(("share", "rows"), [(0.0, 0), (1.0, 3000)])
def test_all_rows_may_get_one_answer(share: float, rows: int) -> None:
    rng = np.random.default_rng(3)
    window = scores_of_share(profiled(rng.random(3000), rng.random(3000)), share)
    assert positive_rows(window) == rows
    assert window.total == 3000


@pytest.mark.parametrize("now", [0.3, 0.2, 0.9])
def test_rows_of_one_score_lie_on_one_side(now: float) -> None:
    counts = profiled(np.array([0.2, 0.3, 0.8] * 100), np.full(50, now))
    window = scores_above(counts, 0.3)
    assert positive_rows(window) == (50 if now >= 0.3 else 0)
    assert window.scores == pytest.approx([now])
