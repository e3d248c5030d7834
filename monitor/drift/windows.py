"""Windows of several spans that share one budget of false alarms.

A shift shows in the window that it has just filled: short windows find large changes soon, long ones small changes.
Each span gets an equal part of the budget. Windows of one span overlap, so judging them often is less than that many
chances: for sums over a sliding window of length ``w``, judged every ``d``, the excursions beyond a level ``u`` number
``u**2 * nu(u * sqrt(2 * d / w))`` per span in units of the probability of one.

Source: Siegmund, Sequential Analysis (1985), section 10.2 and his approximation of nu.
"""

import math
from collections.abc import Collection

from scipy.special import ndtr, ndtri

from driftline.store.errors import ConfigurationError

MONTH_SECONDS = 30 * 86_400
LONGEST_SPAN = 366 * 86_400
_UNITS = {"m": 60, "h": 3600, "d": 86_400}


def parse_spans(text: str) -> tuple[int, ...]:
    """Return the spans of ``1h,6h,7d`` in seconds, rising.

    Raises:
        ConfigurationError: an item is no whole number of minutes, hours or days, or more than a year; there is none.
    """
    items = [item.strip() for item in text.split(",") if item.strip()]
    if not items or not all(i[:-1].isdecimal() and int(i[:-1]) and i[-1] in _UNITS for i in items):
        raise ConfigurationError(f"windows should be whole minutes, hours or days, as `1h,6h,7d`, found {text!r}")
    spans = tuple(sorted({int(i[:-1]) * _UNITS[i[-1]] for i in items}))
    if spans[-1] > LONGEST_SPAN:
        raise ConfigurationError(f"windows should be of a year at most, found {text!r}")
    return spans


def span_name(seconds: int) -> str:
    """Return a span as people write it, to a percent: ``6 h``, ``7 d``; a day is ``24 h``."""
    for unit, least, name in ((86_400, 2, "d"), (3600, 1, "h"), (60, 1, "min")):
        number = round(seconds / unit)
        if number >= least and abs(seconds - number * unit) <= seconds / 100:
            return f"{number} {name}"
    return f"{seconds} s"


def chances_per_month(span_seconds: float, interval_seconds: float, level: float) -> float:
    """Return how many independent judgements those of one span in a month amount to.

    Args:
        span_seconds: of a window.
        interval_seconds: from one judgement to the next.
        level: the threshold in standard deviations, above 1.

    Returns:
        At most the number of judgements.
    """
    spans = MONTH_SECONDS / span_seconds
    overlapping = spans * level**2 * _nu(level * math.sqrt(2 * interval_seconds / span_seconds))
    return min(MONTH_SECONDS / interval_seconds, overlapping)


def error_rates(
    spans: Collection[int], interval_seconds: float, columns: int, false_alarms_per_month: float
) -> dict[int, float]:
    """Return for each span the probability of a false alarm that one column's judgement may have.

    Args:
        spans: in seconds: those that hold enough rows to be judged.
        interval_seconds: from one judgement to the next.
        columns: judged at a time.
        false_alarms_per_month: of all columns and spans together.
    """
    rates = {}
    for span in spans:
        rate, level = 0.0, 4.0
        for _ in range(4):
            budget = false_alarms_per_month / len(spans) / max(columns, 1)
            rate = min(budget / chances_per_month(span, interval_seconds, level), 0.5)
            level = max(float(-ndtri(rate / 2)), 1.5)
        rates[span] = rate
    return rates


def natural_rates(
    spans: Collection[int], interval_seconds: float, columns: int, false_alarms_per_month: float
) -> dict[int, float]:
    """Return for each span the probability of a false alarm by natural variation that a judgement may have.

    Windows shorter than a day, whose scores vary most and lean to one side, get a tenth of their ``error_rates``; those
    of a day and longer share the rest of the budget. What varies from day to day has one chance per window that does
    not overlap with the one before, however often windows are judged.

    Args:
        spans, interval_seconds, columns, false_alarms_per_month: as for ``error_rates``.
    """
    rates = {s: r / 10 for s, r in error_rates(spans, interval_seconds, columns, false_alarms_per_month).items()}
    long = [span for span in spans if span >= _UNITS["d"]]
    for span in long:
        chances = MONTH_SECONDS / max(span, interval_seconds)
        rates[span] = min(0.9 * false_alarms_per_month / len(long) / max(columns, 1) / chances, 0.5)
    return rates


def _nu(x: float) -> float:
    if x < 1e-6:
        return 1.0
    half = x / 2
    density = math.exp(-half * half / 2) / math.sqrt(2 * math.pi)
    return float(2 / x * (ndtr(half) - 0.5) / (half * ndtr(half) + density))
