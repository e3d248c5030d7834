"""What like windows of the past reached, by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from driftline.monitor.drift.past_scores import GUARD_DAYS, HOURS, LEAST_WINDOWS, PastScores, past_scores

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
    assert past.windows == 28 - GUARD_DAYS
    assert past.mean == pytest.approx(0.31)
    assert past.deviation == pytest.approx(0.01 * (26 / 25) ** 0.5)


def test_an_hour_that_happened_to_be_calm_has_the_deviation_of_all_hours() -> None:
    scores = history(HOURS)
    scores[23::24] = 0.3
    (past,) = past_scores(scores, [HOUR], ["x"], CLOSED).values()
    assert past.mean == pytest.approx(0.3)
    assert past.deviation == pytest.approx(0.01 * (26 / 25 * 23 / 24) ** 0.5)


def test_a_day_varies_about_nothing_whatever_the_hour() -> None:
    (past,) = past_scores(history(HOURS), [DAY], ["x"], CLOSED).values()
    assert past.mean == 0
    assert past.deviation == pytest.approx(
        (np.mean([0.1**2, 0.12**2]) * 23 / 24 + np.mean([0.3**2, 0.32**2]) / 24) ** 0.5
    )


def test_the_limit_of_a_short_window_is_a_prediction_interval_of_three_deviations_or_more() -> None:
    past, root = PastScores(0.15, 0.05, 16), (1 + 1 / 16) ** 0.5
    assert past.limit(HOUR, 0.2, 0.1, 0.4) == pytest.approx(0.15 + 3 * 0.05 * root)
    assert past.limit(HOUR, 0.2, 0.1, 1e-5) == pytest.approx(0.15 + stats.t.isf(1e-5, 15) * 0.05 * root)


def test_the_limit_of_a_day_adds_what_chance_does_not_explain_to_chance() -> None:
    past = PastScores(0.0, 0.05, 16)
    assert past.limit(DAY, 0.2, 0.06, 1e-4) == 0.2
    natural = (0.05**2 - 0.03**2) ** 0.5
    assert past.limit(DAY, 0.2, 0.03, 1e-4) == pytest.approx(np.hypot(0.2, stats.t.isf(5e-5, 23) * natural))
    assert past.limit(DAY, 0.2, 0.03, 0.4) == pytest.approx(np.hypot(0.2, 3 * natural))
    assert past.limit(WEEK, 0.2, 0.03, 1e-4) > 2 * past.limit(DAY, 0.2, 0.03, 1e-4)


def test_too_few_windows_say_nothing() -> None:
    assert past_scores(history(24 * LEAST_WINDOWS - 1), [HOUR], ["x"], CLOSED) == {}
    assert len(past_scores(history(24 * LEAST_WINDOWS), [HOUR], ["x"], CLOSED)) == 1


@pytest.mark.parametrize("days", [LEAST_WINDOWS + GUARD_DAYS, 28])
def test_drift_that_began_within_two_days_raises_no_threshold(days: int) -> None:
    before = history(24 * days, 2)
    after = before.copy()
    after[: 24 * GUARD_DAYS] = 5.0
    assert past_scores(after, [HOUR, DAY], ["x"], CLOSED) == past_scores(before, [HOUR, DAY], ["x"], CLOSED)


def test_an_open_episode_is_not_learned_but_for_short_windows_that_know_nothing_else() -> None:
    scores, spans = history(HOURS, 2), [HOUR, DAY]
    late = past_scores(scores, spans, ["x"], np.array([24 * 10]))
    assert {key: past.windows for key, past in late.items()} == {(HOUR, "x"): 18, (DAY, "x"): 18}
    early = past_scores(scores, spans, ["x"], np.array([24 * 20]))
    assert {key: past.windows for key, past in early.items()} == {(HOUR, "x"): 26}


def test_days_that_differ_by_nature_are_called_drift_as_seldom_as_promised() -> None:
    # 24-hour windows of hours with a day effect and an autoregression; the score is the size of their mean.
    rng, columns, rate, over = np.random.default_rng(3), 400, 1e-3, 0
    near = np.zeros((HOURS + 24 * 40, columns))
    for hour in range(1, len(near)):
        near[hour] = 0.7 * near[hour - 1] + rng.normal(0, 0.07, columns)
    hours = near + rng.normal(0, 0.05, (len(near) // 24, columns)).repeat(24, axis=0)
    sums = np.cumsum(np.vstack([np.zeros(columns), hours]), axis=0)
    scores = np.abs(sums[24:] - sums[:-24]) / 24
    names = [str(column) for column in range(columns)]
    ends = range(HOURS, len(scores), 23)  # at every hour of the day
    for hour in ends:
        past = past_scores(scores[hour - HOURS : hour][::-1, None], [DAY], names, np.zeros(columns, np.int64))
        over += sum(scores[hour, i] > past[DAY, name].limit(DAY, 0.0, 0.0, rate) for i, name in enumerate(names))
    assert 0.3 * rate < over / columns / len(ends) < 2 * rate
