"""Spans, and how many chances overlapping windows amount to."""

import numpy as np
import pytest
from scipy.special import ndtr

from driftline.monitor.drift.windows import (
    MONTH_SECONDS,
    chances_per_month,
    error_rates,
    natural_rates,
    parse_spans,
    span_name,
)
from driftline.store.errors import ConfigurationError

HOUR = 3600


def test_spans_are_read_in_rising_order_and_named() -> None:
    assert parse_spans("7d, 30m,1h,24h") == (1800, HOUR, 24 * HOUR, 7 * 24 * HOUR)
    assert [span_name(s) for s in (1800, HOUR, 6 * HOUR, 24 * HOUR, 7 * 24 * HOUR, 90)] == [
        "30 min", "1 h", "6 h", "24 h", "7 d", "90 s",
    ]  # fmt: skip
    for wrong in ("", "1.5h", "h", "0h", "1w"):
        with pytest.raises(ConfigurationError, match="whole minutes, hours or days"):
            parse_spans(wrong)


def test_a_span_is_named_to_a_percent_as_windows_begin_with_whole_minutes() -> None:
    assert [span_name(s) for s in (24 * HOUR + 53, 7 * 24 * HOUR + 59, HOUR - 30, 5000)] == [
        "24 h",
        "7 d",
        "1 h",
        "83 min",
    ]


def test_windows_that_do_not_overlap_are_chances_each_and_others_fewer() -> None:
    assert chances_per_month(HOUR, HOUR, 4.0) == pytest.approx(720, rel=0.1)
    assert chances_per_month(HOUR, 6 * HOUR, 4.0) == pytest.approx(120)
    day = chances_per_month(24 * HOUR, HOUR, 4.0)
    assert 30 < day < 360
    assert day < chances_per_month(24 * HOUR, HOUR / 12, 4.0) < 30 * 17


@pytest.mark.parametrize(("overlap", "level"), [(24, 3.0), (6, 3.0)])
def test_the_chances_are_those_of_simulated_sliding_sums(overlap: int, level: float) -> None:
    rng, months = np.random.default_rng(overlap), 2000
    sums = np.cumsum(rng.normal(size=(months, 720 + overlap)), axis=1)
    over = np.abs(sums[:, overlap:] - sums[:, :-overlap]) / overlap**0.5 >= level
    # Excursions a window apart count as two.
    episodes = 0
    for month in over:
        hours = np.flatnonzero(month)
        episodes += int(hours.size > 0) + int((np.diff(hours) > overlap).sum())
    chances = chances_per_month(overlap * HOUR, HOUR, level)
    assert episodes / months == pytest.approx(chances * 2 * ndtr(-level), rel=0.2)


def test_the_budget_is_shared_over_columns_and_spans() -> None:
    spans = (HOUR, 6 * HOUR, 24 * HOUR)
    rates = error_rates(spans, HOUR, 20, 1.0)
    levels = dict.fromkeys(spans, 4.2)
    spent = sum(20 * rates[s] * chances_per_month(s, HOUR, levels[s]) for s in spans)
    assert spent == pytest.approx(1.0, rel=0.1)
    assert rates[24 * HOUR] > rates[6 * HOUR] > rates[HOUR]
    alone = error_rates((HOUR,), HOUR, 20, 1.0)
    assert alone[HOUR] > 2.5 * rates[HOUR]
    assert error_rates((HOUR,), 300, 20, 1.0)[HOUR] < alone[HOUR]
    assert MONTH_SECONDS == 720 * HOUR


def test_natural_variation_has_one_chance_per_day_and_week_and_a_tenth_in_shorter_windows() -> None:
    spans = (HOUR, 24 * HOUR, 7 * 24 * HOUR)
    rates, chance = natural_rates(spans, HOUR, 20, 1.0), error_rates(spans, HOUR, 20, 1.0)
    assert rates[HOUR] == pytest.approx(chance[HOUR] / 10)
    assert 20 * 30 * rates[24 * HOUR] == pytest.approx(0.45)
    assert 20 * 30 / 7 * rates[7 * 24 * HOUR] == pytest.approx(0.45)
    assert natural_rates(spans, 300, 20, 1.0)[24 * HOUR] == rates[24 * HOUR]
