"""The difference F - G of two distribution functions, known on the reference's bins.

On a bin's edges F and G are exact, and so is the integral of F - G over the bin, thanks to the offset sums. Between
the edges each function is taken as a power path ``mass * t**k`` whose integral is the known one (a straight line when
the rows lie evenly); one single row, or rows that are all alike, make a step at their place.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftline.store.profile.numeric import NumericCounts

_STEPS = 64
_PLACES = (np.arange(_STEPS) + 0.5) / _STEPS
_ALIKE = 1e-9


@dataclass(frozen=True)
class _Side:
    """One distribution function on the closed bins: at lower and upper edges, mass, place of the rows in a bin."""

    before: NDArray[np.float64]
    after: NDArray[np.float64]
    mass: NDArray[np.float64]
    mean_place: NDArray[np.float64]
    first_place: NDArray[np.float64]
    last_place: NDArray[np.float64]
    rows: NDArray[np.int64]
    outside: tuple[float, float]

    @classmethod
    def of(cls, counts: NumericCounts) -> "_Side":
        total = counts.value_rows
        closed, edges = counts.counts[1:-1], counts.bins.edges
        widths = np.diff(edges)
        cumulative = np.cumsum(counts.counts)
        sums = counts.offset_sums
        return cls(
            before=cumulative[:-2] / total,
            after=cumulative[1:-1] / total,
            mass=closed / total,
            mean_place=sums[1:-1] / widths / np.maximum(closed, 1),
            first_place=np.clip(max(counts.least, edges[0]) - edges[:-1], 0, widths) / widths,
            last_place=np.clip(min(counts.greatest, edges[-1]) - edges[:-1], 0, widths) / widths,
            rows=closed,
            outside=(float(sums[0] / total), float(sums[-1] / total)),
        )

    def inside(self, chosen: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the function at ``_PLACES`` of the chosen bins, shape (chosen, steps)."""
        first, last = self.first_place[chosen, None], self.last_place[chosen, None]
        mean, mass = self.mean_place[chosen, None], self.mass[chosen, None]
        span = last - first
        step = (self.rows[chosen, None] <= 1) | (span <= _ALIKE)
        span = np.where(step, 1.0, span)
        share = np.clip((mean - first) / span, 1e-3, 1 - 1e-3)
        path = np.clip((_PLACES - first) / span, 0, 1) ** (share / (1 - share))
        return self.before[chosen, None] + mass * np.where(step, mean <= _PLACES, path)


class DistributionGap:
    """F of the reference minus G of the window."""

    def __init__(self, reference: NumericCounts, window: NumericCounts) -> None:
        """Both sides need at least one finite value."""
        self._f, self._g = _Side.of(reference), _Side.of(window)
        self._edges = reference.bins.edges
        self._widths = np.diff(self._edges)
        self._low = self._f.before - self._g.before
        self._high = self._f.after - self._g.after

    def area(self) -> float:
        """Return the integral of |F - G|: exact but for bins inside which F - G may change its sign."""
        outside = sum(abs(a - b) for a, b in zip(self._f.outside, self._g.outside, strict=True))
        return float(self._areas().sum()) + outside

    def area_between(self, low: float, high: float) -> float:
        """Return the integral over the closed bins from the edge ``low`` to the edge ``high``."""
        inside = (self._edges[:-1] >= low) & (self._edges[1:] <= high)
        return float(self._areas()[inside].sum())

    def _areas(self) -> NDArray[np.float64]:
        """Return the integral over each closed bin."""
        f, g = self._f, self._g
        signed = self._low + f.mass * (1 - f.mean_place) - g.mass * (1 - g.mean_place)
        absolute = np.abs(signed)
        crossing = np.nonzero((self._low - g.mass < 0) & (self._low + f.mass > 0))[0]
        if crossing.size:
            inside = np.abs(f.inside(crossing) - g.inside(crossing)).mean(axis=1)
            absolute[crossing] = np.maximum(absolute[crossing], inside)
        areas: NDArray[np.float64] = absolute * self._widths
        return areas

    def height(self) -> float:
        """Return the greatest |F - G|: wrong at most by the mass that one bin holds."""
        f, g = self._f, self._g
        greatest = float(max(np.abs(self._low).max(), np.abs(self._high).max()))
        higher = np.nonzero(np.maximum(np.abs(self._low + f.mass), np.abs(self._low - g.mass)) > greatest)[0]
        if higher.size:
            greatest = max(greatest, float(np.abs(f.inside(higher) - g.inside(higher)).max()))
        return min(greatest, 1.0)
