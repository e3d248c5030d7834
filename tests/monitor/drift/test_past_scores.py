"""What like windows of the past reached, by hand."""

import pytest

from driftline.monitor.drift.past_scores import LEAST_WINDOWS, MOST_WINDOWS, like_hours, past_limit

HOUR = 3600


def test_the_limit_is_three_deviations_over_the_mean() -> None:
    found = past_limit([0.1, 0.2] * 8)
    assert found is not None
    assert found.windows == 16
    assert found.limit == pytest.approx(0.15 + 3 * 0.05 * (16 / 15) ** 0.5)


def test_too_few_windows_set_no_limit() -> None:
    assert past_limit([0.1] * (LEAST_WINDOWS - 1)) is None


def test_like_windows_end_in_the_same_hour_of_the_day_and_do_not_overlap() -> None:
    assert like_hours(HOUR)[:3] == like_hours(24 * HOUR)[:3] == [24, 48, 72]
    assert like_hours(7 * 24 * HOUR)[:2] == [168, 336]
    assert like_hours(25 * HOUR)[0] == 48
    assert len(like_hours(HOUR)) == MOST_WINDOWS
