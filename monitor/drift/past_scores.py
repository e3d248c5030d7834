"""What scores reached in like windows of the past: natural variation, which rows drawn at random do not show.

A window is like another when it has the same span and ends in the same hour of an earlier day. Once
there are ``LEAST_WINDOWS``, a score must also exceed what the next one may reach: their mean, and so many standard
deviations as the window's share of the budget asks for, at least ``DEVIATIONS``. The deviation is that of the hour of
the day or of all hours about their own means, whichever is larger. Windows longer than a day overlap with their like
ones, too much to show how they vary: as days that are independent of each other would, ``1 / sqrt(days)``.

A window shorter than a day may differ from the reference every day at its hour; days that always do have drifted,
whatever their past: their mean counts up to the threshold of chance only.
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
_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class PastScores:
    """Mean and standard deviation of the scores of one column in so many like windows of the past."""

    mean: float
    deviation: float
    windows: int

    def limit(self, span_seconds: int, threshold: float, error_rate: float) -> float:
        """Return what the next score exceeds with probability ``error_rate`` at most, if scores are about normal.

        Args:
            span_seconds: of the window.
            threshold: of chance and the least effect.
            error_rate: of one judgement.

        Source: the prediction interval of the next normal value, Hahn and Meeker, Statistical Intervals (1991).
        """
        mean = self.mean if span_seconds < _DAY_SECONDS else min(self.mean, threshold)
        freedom = (self.windows - 1) * max(1, _DAY_SECONDS // span_seconds)
        deviations = max(DEVIATIONS, float(-stdtrit(freedom, error_rate)))
        return mean + deviations * self.deviation * math.sqrt(1 + 1 / self.windows)


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
    shorter = _DAY_SECONDS, np.zeros(len(columns))
    for place, span in sorted(enumerate(spans), key=lambda item: item[1]):
        every = history[:, place]
        closed = np.where(ago > open_hours, every, np.nan)
        if span < _DAY_SECONDS:
            few = np.count_nonzero(~np.isnan(closed[23::24]), axis=0) < LEAST_WINDOWS
            closed = np.where(few, every, closed)
        means, deviations, windows = _by_hour(closed)
        if span > _DAY_SECONDS:
            deviations = shorter[1] * math.sqrt(shorter[0] / span)
        else:
            shorter = span, deviations
        for i, column in enumerate(columns):
            if windows[i] >= LEAST_WINDOWS:
                found[span, column] = PastScores(float(means[i]), float(deviations[i]), int(windows[i]))
    return found


def _by_hour(scores: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
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
