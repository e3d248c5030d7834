"""What scores reached in like windows of the past: natural variation, which rows drawn at random do not show.

A window is like another when it has the same span and ends in the same hour of the day, whole days (for longer spans:
whole spans) before. Once there are ``LEAST_WINDOWS`` of them, a score must also exceed their mean by ``DEVIATIONS``
standard deviations.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

LEAST_WINDOWS = 14
MOST_WINDOWS = 28
DEVIATIONS = 3.0
_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class PastLimit:
    """What scores of one column and span do not exceed while all is as before, by so many past windows."""

    limit: float
    windows: int


def like_hours(span_seconds: int) -> list[int]:
    """Return how many hours before a window its like ones end, the newest first; none overlaps another."""
    days = -(-span_seconds // _DAY_SECONDS)
    return [24 * days * k for k in range(1, MOST_WINDOWS + 1)]


def past_limit(scores: Sequence[float]) -> PastLimit | None:
    """Return the limit that the scores of past windows set; None where they are too few."""
    if len(scores) < LEAST_WINDOWS:
        return None
    return PastLimit(float(np.mean(scores) + DEVIATIONS * np.std(scores, ddof=1)), len(scores))


def past_limits(
    scores: Mapping[int, Mapping[int, Mapping[str, float]]],
    spans: Sequence[int],
    hour: int,
    open_since: Mapping[str, int],
) -> dict[tuple[int, str], PastLimit]:
    """Return the limits for windows that end in an hour, by span and column, where the past is long enough.

    Args:
        scores: by the hour in which windows ended, their span in seconds, and column name.
        spans: in seconds.
        hour: counted from any moment, as those of ``scores`` and ``open_since``.
        open_since: by column name: nothing is learned from the hours since an open episode began.
    """
    limits = {}
    for span in spans:
        like = [
            (hour - back, scores[hour - back][span]) for back in like_hours(span) if span in scores.get(hour - back, {})
        ]
        for column in {name for _, by_column in like for name in by_column}:
            until = open_since.get(column, hour)
            limit = past_limit([found[column] for h, found in like if h < until and column in found])
            if limit is not None:
                limits[span, column] = limit
    return limits
