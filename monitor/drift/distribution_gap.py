"""The difference F - G of two distribution functions, known on the reference's bins.

On a bin's edges F and G are exact, and so is the integral of F - G over the bin, thanks to the offset sums. Between
the edges each function is taken as a power path ``mass * t**k`` whose integral is the known one (a straight line when
the rows lie evenly); one single row, or rows that are all alike, make a step at their place.

Many windows go through at once when they are stacked along a first axis.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftline.store.profile.edges import LARGEST
from driftline.store.profile.numeric import NumericBins, NumericCounts

_STEPS = 64
_PLACES = (np.arange(_STEPS) + 0.5) / _STEPS
_ALIKE = 1e-9


@dataclass(frozen=True, eq=False)
class StackedCounts:
    """One numeric column of many windows: what ``NumericCounts`` holds of one, with a first axis of windows.

    Attributes:
        bins: of all of them.
        counts, offset_sums: shape (windows, bins); every window holds at least one row.
        least, greatest: shape (windows,).
    """

    bins: NumericBins
    counts: NDArray[np.int64]
    offset_sums: NDArray[np.float64]
    least: NDArray[np.float64]
    greatest: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Side:
    """Distribution functions on the closed bins: at lower and upper edges, mass, place of the rows; (..., bins)."""

    before: NDArray[np.float64]
    after: NDArray[np.float64]
    mass: NDArray[np.float64]
    mean_place: NDArray[np.float64]
    first_place: NDArray[np.float64]
    last_place: NDArray[np.float64]
    rows: NDArray[np.int64]
    outside: NDArray[np.float64]

    @classmethod
    def of(cls, side: NumericCounts | StackedCounts) -> "_Side":
        counts, sums, edges = side.counts, side.offset_sums, side.bins.edges
        cumulative = np.cumsum(counts, axis=-1)
        total = cumulative[..., -1:]
        closed = counts[..., 1:-1]
        widths = np.diff(edges)
        least = np.maximum(np.asarray(side.least)[..., None], edges[0])
        greatest = np.minimum(np.asarray(side.greatest)[..., None], edges[-1])
        return cls(
            before=cumulative[..., :-2] / total,
            after=cumulative[..., 1:-1] / total,
            mass=closed / total,
            mean_place=sums[..., 1:-1] / widths / np.maximum(closed, 1),
            first_place=np.clip(least - edges[:-1], 0, widths) / widths,
            last_place=np.clip(greatest - edges[:-1], 0, widths) / widths,
            rows=closed,
            outside=np.minimum(sums[..., [0, -1]] / total, LARGEST),  # infinite ones would differ by no number
        )

    def inside(self, chosen: tuple[NDArray[np.intp], ...]) -> NDArray[np.float64]:
        """Return the function at ``_PLACES`` of the chosen bins, shape (chosen, steps)."""
        if len(chosen) > self.mass.ndim:  # one reference beside many windows: each of its bins once
            bins, back = np.unique(chosen[-1], return_inverse=True)
            return self.inside((bins,))[back]
        first, last, mean = self.first_place[chosen], self.last_place[chosen], self.mean_place[chosen]
        share = np.empty((mean.size, _STEPS))
        step = (self.rows[chosen] <= 1) | (last - first <= _ALIKE)
        share[step] = mean[step, None] <= _PLACES
        low, span = first[~step, None], (last - first)[~step, None]
        middle = np.clip((mean[~step, None] - low) / span, 1e-3, 1 - 1e-3)
        share[~step] = np.clip((_PLACES - low) / span, 0, 1) ** (middle / (1 - middle))
        found: NDArray[np.float64] = self.before[chosen][:, None] + self.mass[chosen][:, None] * share
        return found


class DistributionGap:
    """F of the reference minus G of the window, or of each of many windows: then results have shape (windows,)."""

    def __init__(self, reference: NumericCounts, window: NumericCounts | StackedCounts) -> None:
        """Both sides need at least one finite value."""
        self._f, self._g = _Side.of(reference), _Side.of(window)
        self._edges = reference.bins.edges
        self._widths = np.diff(self._edges)
        self._low = self._f.before - self._g.before
        self._high = self._f.after - self._g.after

    def area(self) -> NDArray[np.float64]:
        """Return the integral of |F - G|: exact but for bins inside which F - G may change its sign."""
        whole: NDArray[np.float64] = self._areas().sum(axis=-1) + np.abs(self._f.outside - self._g.outside).sum(axis=-1)
        return whole

    def area_between(self, low: float, high: float) -> NDArray[np.float64]:
        """Return the integral over the closed bins from the edge ``low`` to the edge ``high``."""
        inside = (self._edges[:-1] >= low) & (self._edges[1:] <= high)
        part: NDArray[np.float64] = self._areas()[..., inside].sum(axis=-1)
        return part

    def _areas(self) -> NDArray[np.float64]:
        """Return the integral over each closed bin."""
        f, g = self._f, self._g
        absolute = np.abs(self._low + f.mass * (1 - f.mean_place) - g.mass * (1 - g.mean_place))
        crossing = np.nonzero((self._low - g.mass < 0) & (self._low + f.mass > 0))
        if crossing[0].size:
            inside = np.abs(f.inside(crossing) - g.inside(crossing)).mean(axis=1)
            absolute[crossing] = np.maximum(absolute[crossing], inside)
        areas: NDArray[np.float64] = absolute * self._widths
        return areas

    def height(self) -> NDArray[np.float64]:
        """Return the greatest |F - G|: wrong at most by the mass that one bin holds."""
        f, g = self._f, self._g
        greatest = np.maximum(np.abs(self._low).max(axis=-1), np.abs(self._high).max(axis=-1))
        reach = np.maximum(np.abs(self._low + f.mass), np.abs(self._low - g.mass))
        higher = np.nonzero(reach > greatest[..., None])
        if higher[0].size:
            inside = np.abs(f.inside(higher) - g.inside(higher)).max(axis=1)
            if greatest.ndim:
                np.maximum.at(greatest, higher[0], inside)
            else:
                greatest = np.maximum(greatest, inside.max())
        height: NDArray[np.float64] = np.minimum(greatest, 1.0)
        return height
