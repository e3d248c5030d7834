"""What scores reached in like windows of the past: natural variation, which rows drawn at random do not show.

A window is like another when it has the same span and, if that is shorter than a day, ends in the same hour of the
day. Once there are ``LEAST_WINDOWS`` of earlier days, a score must also exceed what the next one may reach: so many
natural deviations as the window's share of the budget asks for, at least ``DEVIATIONS``.

- *Shorter than a day*: beyond the mean of that hour of the day, as a daily cycle is no drift. The deviation is that of
  the hour or of all hours about their own means, whichever is larger; each day counts as one observation.
- *A day and longer*: beyond nothing. A score has no sign, so the natural deviation is the root of the mean square, less
  what independent rows explain of it; chance comes on top, as variances add. The windows slide by the hour, which
  tells of the deviation 1.5 times what those that do not overlap would (the integral of a squared triangle).

The last ``GUARD_DAYS`` teach nothing where enough is known without them: drift that begins must not raise the threshold
that it is to reach. Nothing is learned from hours since an open episode began either.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

LEAST_WINDOWS = 14
DEVIATIONS = 3.0
DAYS = 28
HOURS = 24 * DAYS  # that are looked back upon
GUARD_DAYS = 2
DAY_SECONDS = 86_400
_SLIDING = 1.5


@dataclass(frozen=True, slots=True)
class PastScores:
    """The scores of one column in like windows of the past.

    Attributes:
        mean: what is usual; 0 for windows of a day and longer.
        deviation: standard deviation about the mean.
        windows: how many, one per day.
    """

    mean: float
    deviation: float
    windows: int

    def limit(self, span_seconds: int, chance: float, typical: float, error_rate: float) -> float:
        """Return what the next score exceeds with probability ``error_rate`` at most, if shifts are about normal.

        Args:
            span_seconds: of the window.
            chance: the score that independent rows exceed no oftener.
            typical: the root mean square of the scores of independent rows.
            error_rate: of one judgement.

        Source: the prediction interval of the next normal value, Hahn and Meeker, Statistical Intervals (1991).
        """
        if span_seconds < DAY_SECONDS:
            deviations = max(DEVIATIONS, float(-stdtrit(self.windows - 1, error_rate)))
            return self.mean + deviations * self.deviation * math.sqrt(1 + 1 / self.windows)
        freedom = max(_SLIDING * self.windows * DAY_SECONDS / span_seconds - 1, 1.0)
        deviations = max(DEVIATIONS, float(-stdtrit(freedom, error_rate / 2)))
        natural = math.sqrt(max(self.deviation**2 - typical**2, 0.0))
        return math.hypot(chance, deviations * natural)


def past_scores(
    history: NDArray[np.float64], spans: Sequence[int], columns: Sequence[str], open_hours: NDArray[np.int64]
) -> dict[tuple[int, str], PastScores]:
    """Return what like windows scored, by span in seconds and column, where they are enough.

    Args:
        history: scores of the windows that ended 1, 2, ... ``HOURS`` hours ago, shape (HOURS, spans, columns); NaN
            where there was none.
        spans, columns: of the history.
        open_hours: for how many hours an episode has been open, shape (columns,): nothing is learned from these.
            Windows shorter than a day learn all the same while too little is known: a daily cycle would else stay an
            episode for ever.
    """
    ago = 1 + np.arange(HOURS)[:, None]
    found = {}
    for place, span in enumerate(spans):
        every = history[:, place]
        known = np.where(ago > open_hours, every, np.nan)
        if span < DAY_SECONDS:
            few = np.count_nonzero(~np.isnan(known[23::24]), axis=0) < LEAST_WINDOWS
            known = np.where(few, every, known)
        spare = np.count_nonzero(~np.isnan(known[23::24]), axis=0) - LEAST_WINDOWS
        known = np.where(ago > 24 * np.clip(spare, 0, GUARD_DAYS), known, np.nan)
        means, deviations, windows = _by_hour(known) if span < DAY_SECONDS else _of_all(known)
        for i, column in enumerate(columns):
            if windows[i] >= LEAST_WINDOWS:
                found[span, column] = PastScores(float(means[i]), float(deviations[i]), int(windows[i]))
    return found


_PerColumn = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]


def _by_hour(scores: NDArray[np.float64]) -> _PerColumn:
    """Return mean, deviation and number of the windows that are like the present one, shape (columns,) each."""
    days = scores.reshape(DAYS, 24, -1)  # the last hour of a day ago is like the present one
    known = ~np.isnan(days)
    counts = known.sum(axis=0)
    values = np.where(known, days, 0.0)
    means = values.sum(axis=0) / np.maximum(counts, 1)
    squares = (np.where(known, days - means, 0.0) ** 2).sum(axis=0)
    own = squares[-1] / np.maximum(counts[-1] - 1, 1)
    pooled = squares.sum(axis=0) / np.maximum((counts - 1).clip(0).sum(axis=0), 1)
    return means[-1], np.sqrt(np.maximum(own, pooled)), counts[-1]


def _of_all(scores: NDArray[np.float64]) -> _PerColumn:
    """Return 0, the root mean square of the windows of all hours, and the number of those of the present hour."""
    known = ~np.isnan(scores)
    squares = (np.where(known, scores, 0.0) ** 2).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.zeros_like(squares), np.sqrt(squares), known[23::24].sum(axis=0)
