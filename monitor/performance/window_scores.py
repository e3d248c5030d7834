"""The scores of a window as few points, from its profile: what an estimate reads in the place of rows.

A profile knows rows and mean of every bin, so that a bin is a point of that mean; but for the bin in which the
decision falls, which becomes two. Inside it rows lie along a power path with the bin's mean, as in
``drift.distribution_gap``.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftline.store.profile.numeric import NumericCounts


@dataclass(frozen=True, eq=False)
class WindowScores:
    """Rows by score.

    Attributes:
        scores: rising, shape (points,).
        rows: with that score, above 0, same shape.
        predicted: whether the model answers the positive class there, same shape.
    """

    scores: NDArray[np.float64]
    rows: NDArray[np.int64]
    predicted: NDArray[np.bool_]

    @property
    def total(self) -> int:
        """Rows of all points."""
        return int(self.rows.sum())

    @classmethod
    def of_rows(cls, scores: NDArray[np.float64], threshold: float) -> "WindowScores":
        """Return each row as a point of its own; positive from ``threshold`` up."""
        ordered = np.sort(scores)
        return cls(ordered, np.ones(ordered.size, np.int64), ordered >= threshold)


def scores_above(counts: NumericCounts, threshold: float) -> WindowScores:
    """Return a window's scores; the model answers the positive class from ``threshold`` up."""
    place = int(np.searchsorted(counts.bins.edges, threshold, side="right"))
    low, high = _limits(counts, place)
    share = _path(counts, place)
    below = 0
    if share is not None:
        below = round(float(counts.counts[place]) * ((threshold - low) / (high - low)) ** share)
    elif counts.bin_means[place] < threshold:
        below = int(counts.counts[place])
    return _cut(counts, place, below)


def scores_of_share(counts: NumericCounts, positive_share: float) -> WindowScores:
    """Return a window's scores; the model answers the positive class on that share of the rows, the highest scores."""
    negative = round((1 - positive_share) * counts.value_rows)
    cumulative = np.cumsum(counts.counts)
    place = min(int(np.searchsorted(cumulative, negative, side="right")), cumulative.size - 1)
    return _cut(counts, place, negative - int(cumulative[place] - counts.counts[place]))


def _cut(counts: NumericCounts, place: int, below: int) -> WindowScores:
    """Return the points, ``below`` of the rows of the bin ``place`` on the negative side, as those before it."""
    means, rows = counts.bin_means, counts.counts
    of_bin, at = int(rows[place]), float(means[place])
    lower = upper = at
    share = _path(counts, place)
    if share is not None and 0 < below < of_bin:
        low, high = _limits(counts, place)
        lower = low + (at - low) * (below / of_bin) ** (1 / share)
        upper = (at * of_bin - lower * below) / (of_bin - below)
        lower, upper = min(lower, at), min(max(upper, at), high)
    scores = np.concatenate([means[:place], [lower, upper], means[place + 1 :]])
    points = np.concatenate([rows[:place], [below, of_bin - below], rows[place + 1 :]])
    predicted = np.arange(scores.size) > place
    filled = points > 0
    return WindowScores(scores[filled], points[filled], predicted[filled])


def _limits(counts: NumericCounts, place: int) -> tuple[float, float]:
    edges = counts.bins.edges
    return float(edges[max(place - 1, 0)]), float(edges[min(place, edges.size - 1)])


def _path(counts: NumericCounts, place: int) -> float | None:
    """Return the exponent of the path inside a bin; None for a bin of one value, an open or an empty one."""
    low, high = _limits(counts, place)
    if not counts.bins.located[place] or low == high or not counts.counts[place]:
        return None
    middle = min(max((float(counts.bin_means[place]) - low) / (high - low), 1e-3), 1 - 1e-3)
    return middle / (1 - middle)
