"""What like windows of the past reached, by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from driftline.monitor.drift.past_scores import HOURS, LEAST_WINDOWS, PastScores, past_scores

HOUR, DAY, WEEK = 3600, 86_400, 7 * 86_400
CLOSED = np.zeros(1, np.int64)


def history(hours: int, spans: int = 1) -> NDArray[np.float64]:
    """Scores of one column: 0.3 in windows like the present one, 0.1 in others, 0.02 more on even days."""
    scores = np.full((HOURS, spans, 1), np.nan)
    ago = 1 + np.arange(hours)
    scores[:hours] = (np.where(ago % 24 == 0, 0.3, 0.1) + 0.02 * ((ago - 1) // 24 % 2))[:, None, None]
    return scores


def test_the_mean_is_that_of_the_same_hour_of_the_day() -> None:
    (past,) = past_scores(history(HOURS), [HOUR], ["x"], CLOSED).values()
    assert past.windows == 28
    assert past.mean == pytest.approx(0.31)
    assert past.deviation == pytest.approx(0.01 * (28 / 27) ** 0.5)


def test_an_hour_that_happened_to_be_calm_has_the_deviation_of_all_hours() -> None:
    scores = history(HOURS)
    scores[23::24] = 0.3
    (past,) = past_scores(scores, [HOUR], ["x"], CLOSED).values()
    assert past.mean == pytest.approx(0.3)
    assert past.deviation == pytest.approx(0.01 * (28 / 27 * 23 / 24) ** 0.5)


def test_the_limit_is_a_prediction_interval_of_three_deviations_or_more() -> None:
    past = PastScores(0.15, 0.05, 16)
    root = (1 + 1 / 16) ** 0.5
    assert past.limit(DAY, 0.2, 0.4) == pytest.approx(0.15 + 3 * 0.05 * root)
    assert past.limit(DAY, 0.2, 1e-5) == pytest.approx(0.15 + stats.t.isf(1e-5, 15) * 0.05 * root)
    assert past.limit(HOUR, 0.2, 1e-5) == pytest.approx(0.15 + stats.t.isf(1e-5, 15 * 24) * 0.05 * root)


def test_days_that_always_differ_from_the_reference_stay_drift() -> None:
    past = PastScores(0.5, 0.005, 20)
    assert past.limit(HOUR, 0.1, 1e-5) > 0.5
    assert past.limit(DAY, 0.1, 1e-5) < 0.15


def test_too_few_windows_say_nothing() -> None:
    assert past_scores(history(24 * LEAST_WINDOWS - 1), [HOUR], ["x"], CLOSED) == {}
    assert len(past_scores(history(24 * LEAST_WINDOWS), [HOUR], ["x"], CLOSED)) == 1


def test_a_week_varies_as_seven_independent_days_would() -> None:
    past = past_scores(history(HOURS, 2), [DAY, WEEK], ["x"], CLOSED)
    assert past[WEEK, "x"].mean == past[DAY, "x"].mean
    assert past[WEEK, "x"].deviation == pytest.approx(past[DAY, "x"].deviation / 7**0.5)


def test_an_open_episode_is_not_learned_but_for_short_windows_that_know_nothing_else() -> None:
    scores, spans = history(HOURS, 2), [HOUR, DAY]
    late = past_scores(scores, spans, ["x"], np.array([24 * 10]))
    assert {key: past.windows for key, past in late.items()} == {(HOUR, "x"): 18, (DAY, "x"): 18}
    early = past_scores(scores, spans, ["x"], np.array([24 * 20]))
    assert {key: past.windows for key, past in early.items()} == {(HOUR, "x"): 28}
