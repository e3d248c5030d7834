"""The numeric half of a profile: counts and offset sums on bins, for all numeric columns of a reference at once.

Invariants
----------
- All state is integers (and the least and greatest value), so adding is exactly associative and commutative: any
  split of the same rows into batches and profiles ends in the same bits.
- An offset sum is the sum over a bin's rows of ``round((x - lower edge) / width * 2**24)``; in the two open bins the
  distance from the outermost edge, in units of the reference's standard deviation, replaces it. It makes means and
  integrals over every bin exact.
- A sum that could pass 2**53 is made of Python integers.
- Missing, not a number, and infinite values are counted apart and lie in no bin.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

FRACTION = 1 << 24  # resolution of an offset, per bin width
SQUARE_UNIT = 1 << 12  # resolution of a squared deviation, per standard deviation
# float64 adds integers exactly up to 2**53: so many rows may be added at once, and deviations beyond the limit go
# through Python integers.
MAX_BATCH_ROWS = 1 << 13
_SQUARE_LIMIT = float(1 << 20)
_EXACT = float(1 << 53)
_LARGEST_OFFSET = 2.0**1000
_LARGEST_DEVIATION = 2.0**500

TALLIES = ("missing", "plus_infinity", "minus_infinity", "not_a_number")


@dataclass(frozen=True, eq=False)
class NumericBins:
    """The bins of one numeric column.

    Attributes:
        edges: strictly increasing, shape (edges,). Bin 0 is below ``edges[0]``, bin j is
            ``[edges[j - 1], edges[j])``, the last bin is from ``edges[-1]`` up.
        mean, deviation: of the reference's finite values; the standard deviation divides by the count.
        distinct: how many values the reference has.
    """

    edges: NDArray[np.float64]
    mean: float
    deviation: float
    distinct: int

    @property
    def scale(self) -> float:
        """Unit of the open bins' offsets and of the deviations: never zero."""
        magnitude = float(max(abs(self.edges[0]), abs(self.edges[-1])))
        return max(self.deviation, 1e-9 * magnitude, 1e-280) if magnitude > 0 else max(self.deviation, 1.0)

    @property
    def widths(self) -> NDArray[np.float64]:
        """Width of every bin, shape (edges + 1,); 1 float for an atom, ``scale`` in the open bins."""
        return np.concatenate([[self.scale], np.diff(self.edges), [self.scale]])

    @property
    def located(self) -> NDArray[np.bool_]:
        """Whether a row's place inside the bin is kept: not in atoms, whose rows are all alike."""
        ratio = self.widths > 0
        ratio[1:-1] = np.nextafter(self.edges[:-1], np.inf) < self.edges[1:]
        with np.errstate(over="ignore"):
            return ratio & np.isfinite(FRACTION / self.widths)

    def to_json(self) -> dict[str, Any]:
        return {"edges": self.edges.tolist(), "mean": self.mean, "deviation": self.deviation, "distinct": self.distinct}

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Self:
        edges = np.asarray(raw["edges"], dtype=np.float64)
        if edges.ndim != 1 or edges.size < 2 or not np.isfinite(edges).all() or not (np.diff(edges) > 0).all():
            raise ValueError("edges are not strictly increasing")
        return cls(edges, float(raw["mean"]), float(raw["deviation"]), int(raw["distinct"]))


class NumericLayout:
    """Where each numeric column's bins lie in the flat arrays; made once per reference, never changed."""

    def __init__(self, bins: Sequence[NumericBins]) -> None:
        self.bins = tuple(bins)
        sizes = [b.edges.size + 1 for b in self.bins]
        self.starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)
        self.total = int(self.starts[-1])
        self.located = np.concatenate([np.zeros(0, np.bool_), *(b.located for b in self.bins)])
        # One more slot, of weight 0, takes what lies in no bin.
        self.lower = np.zeros(self.total + 1)
        self.per_width = np.zeros(self.total + 1)
        for b, start, stop in zip(self.bins, self.starts[:-1], self.starts[1:], strict=True):
            self.lower[start:stop] = np.concatenate([b.edges[:1], b.edges])
            self.per_width[start:stop] = np.divide(FRACTION, b.widths, where=b.located, out=np.zeros(b.widths.size))
            self.per_width[start] *= -1
        self.open_bins = np.stack([self.starts[:-1], self.starts[1:] - 1], axis=1)
        self.means = np.array([b.mean for b in self.bins]).reshape(-1, 1)
        self.per_deviation = np.array([SQUARE_UNIT / b.scale for b in self.bins]).reshape(-1, 1)

    def __len__(self) -> int:
        return len(self.bins)


class NumericState:
    """Counts of all numeric columns of one profile.

    Attributes:
        counts, offsets: rows and offset sums per bin, flat, shape (layout.total,). Offsets of open bins are 0 here.
        open_offsets: offset sums of the lower and the upper open bin of each column, Python integers.
        squares: sum of squared deviations from the reference's mean, in units of ``(scale / SQUARE_UNIT) ** 2``.
        tallies: rows that lie in no bin, shape (columns, 4), in the order of ``TALLIES``.
        least, greatest: of the finite values; plus and minus infinity before the first.
    """

    def __init__(self, layout: NumericLayout) -> None:
        self.layout = layout
        columns = len(layout)
        self.counts = np.zeros(layout.total, np.int64)
        self.offsets = np.zeros(layout.total, np.int64)
        self.open_offsets: list[list[int]] = [[0, 0] for _ in range(columns)]
        self.squares = [0] * columns
        self.tallies = np.zeros((columns, len(TALLIES)), np.int64)
        self.least = np.full(columns, np.inf)
        self.greatest = np.full(columns, -np.inf)

    def absorb(self, values: NDArray[np.float64]) -> None:
        """Add one batch.

        Args:
            values: shape (columns, rows), 1 to ``MAX_BATCH_ROWS`` rows; NaN is missing. Overwritten.
        """
        layout, rows = self.layout, values.shape[1]
        values.sort(axis=1)  # a few edges among sorted values are found much faster than each value among the edges
        below = np.empty(layout.total, np.int64)  # rows below the upper edge of each bin, all of them in the last
        for j, bins in enumerate(layout.bins):
            below[layout.starts[j] : layout.starts[j + 1] - 1] = values[j].searchsorted(bins.edges)
        below[layout.starts[1:] - 1] = rows
        counts = np.diff(below, prepend=0)
        counts[layout.starts[1:-1]] = below[layout.starts[1:-1]]
        index = np.repeat(np.arange(layout.total), counts).reshape(values.shape)
        least, greatest = values[:, 0].copy(), values[:, -1].copy()
        infinite = np.flatnonzero(~(np.isfinite(least) & np.isfinite(greatest))).tolist()
        for column in infinite:
            least[column], greatest[column] = self._set_apart(column, values[column], index[column], counts)
        np.minimum(self.least, least, out=self.least)
        np.maximum(self.greatest, greatest, out=self.greatest)
        self.least += 0.0  # -0.0 becomes 0.0, whichever came first
        self.greatest += 0.0
        self.counts += counts
        with np.errstate(over="ignore"):
            offsets = np.rint((values - layout.lower[index]) * layout.per_width[index])
            deviations = np.rint((values - layout.means) * layout.per_deviation)
        if infinite:
            deviations[index == layout.total] = 0.0
        self._absorb_open(index, offsets, counts)
        sums = np.bincount(index.ravel(), weights=offsets.ravel(), minlength=layout.total + 1)
        self.offsets += sums[:-1].astype(np.int64)
        self._absorb_squares(deviations)

    def _set_apart(
        self, column: int, values: NDArray[np.float64], index: NDArray[np.int64], counts: NDArray[np.int64]
    ) -> tuple[float, float]:
        """Take out of the bins what is not finite and lies at both ends; return the least and greatest of the rest."""
        start, end = (int(np.searchsorted(values, edge, side="right")) for edge in (-np.inf, np.inf))
        stop = int(np.searchsorted(values, np.inf))
        self.tallies[column] += (values.size - end, end - stop, start, 0)
        first, last = self.layout.open_bins[column]
        counts[first] -= start
        counts[last] -= values.size - stop
        index[:start] = index[stop:] = self.layout.total
        least, greatest = (values[start], values[stop - 1]) if start < stop else (np.inf, -np.inf)
        values[:start] = values[stop:] = 0.0
        return float(least), float(greatest)

    def _absorb_open(self, index: NDArray[np.int64], offsets: NDArray[np.float64], counts: NDArray[np.int64]) -> None:
        for column, end in zip(*np.nonzero(counts[self.layout.open_bins]), strict=True):
            outside = index[column] == self.layout.open_bins[column, end]
            beyond = np.minimum(offsets[column, outside], _LARGEST_OFFSET)
            exact = float(beyond.max()) * beyond.size < _EXACT
            self.open_offsets[column][end] += int(beyond.sum()) if exact else sum(map(int, beyond.tolist()))
            offsets[column, outside] = 0.0

    def _absorb_squares(self, deviations: NDArray[np.float64]) -> None:
        far = np.abs(deviations) > _SQUARE_LIMIT
        if far.any():
            for column in np.nonzero(far.any(axis=1))[0].tolist():
                extreme = np.clip(deviations[column, far[column]], -_LARGEST_DEVIATION, _LARGEST_DEVIATION)
                self.squares[column] += sum(int(d) ** 2 for d in extreme.tolist())
            deviations[far] = 0.0
        for column, total in enumerate(np.einsum("ij,ij->i", deviations, deviations).tolist()):
            self.squares[column] += int(total)

    def merge(self, other: "NumericState") -> None:
        """Add the rows of ``other``, which has the same layout."""
        self.counts += other.counts
        self.offsets += other.offsets
        self.tallies += other.tallies
        np.minimum(self.least, other.least, out=self.least)
        np.maximum(self.greatest, other.greatest, out=self.greatest)
        for mine, theirs in zip(self.open_offsets, other.open_offsets, strict=True):
            mine[0] += theirs[0]
            mine[1] += theirs[1]
        self.squares = [a + b for a, b in zip(self.squares, other.squares, strict=True)]

    def equals(self, other: "NumericState") -> bool:
        """Whether every integer and both extremes are the same."""
        return (
            self.open_offsets == other.open_offsets
            and self.squares == other.squares
            and all(
                np.array_equal(getattr(self, name), getattr(other, name))
                for name in ("counts", "offsets", "tallies", "least", "greatest")
            )
        )

    def column(self, position: int) -> "NumericCounts":
        """Return what is known of one column."""
        start, stop = self.layout.starts[position : position + 2]
        bins = self.layout.bins[position]
        offsets = self.offsets[start:stop].astype(np.float64)
        offsets[0], offsets[-1] = map(_to_float, self.open_offsets[position])
        with np.errstate(over="ignore"):
            sums = offsets / FRACTION * bins.widths
        return NumericCounts(
            bins=bins,
            counts=self.counts[start:stop],
            offset_sums=sums,
            square_sum=_to_float(self.squares[position]) / SQUARE_UNIT**2 * bins.scale * bins.scale,
            least=float(self.least[position]),
            greatest=float(self.greatest[position]),
            **{name: int(count) for name, count in zip(TALLIES, self.tallies[position], strict=True)},
        )


def _to_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


@dataclass(frozen=True, eq=False)
class NumericCounts:
    """One numeric column of a profile, in the column's own unit.

    Attributes:
        counts: rows per bin, shape (bins,).
        offset_sums: per bin the sum of the distances from the bin's lower edge; in bin 0 from its upper edge.
        square_sum: sum of squared deviations from the reference's mean.
        least, greatest: of the finite values; ``inf`` and ``-inf`` where there is none.
        missing, not_a_number, plus_infinity, minus_infinity: rows in no bin.
    """

    bins: NumericBins
    counts: NDArray[np.int64]
    offset_sums: NDArray[np.float64]
    square_sum: float
    least: float
    greatest: float
    missing: int
    plus_infinity: int
    minus_infinity: int
    not_a_number: int

    @property
    def value_rows(self) -> int:
        """Rows with a finite value."""
        return int(self.counts.sum())

    @property
    def out_of_range_rows(self) -> int:
        """Rows below the least or above the greatest reference value, infinite ones included."""
        return int(self.counts[0] + self.counts[-1]) + self.plus_infinity + self.minus_infinity

    @property
    def bin_means(self) -> NDArray[np.float64]:
        """Mean value of every bin, shape (bins,); its lower edge, of bin 0 its upper one, where it holds no row."""
        edges, offsets = self.bins.edges, self.offset_sums / np.maximum(self.counts, 1)
        means: NDArray[np.float64] = np.concatenate([edges[:1], edges]) + offsets
        means[0] = edges[0] - offsets[0]
        return means

    @property
    def mean(self) -> float:
        """Mean of the finite values, NaN without any."""
        rows = self.value_rows
        if not rows:
            return math.nan
        centre = self.bins.mean
        lower = np.concatenate([self.bins.edges[:1], self.bins.edges])
        signed = self.offset_sums.copy()
        signed[0] *= -1
        with np.errstate(over="ignore"):
            return centre + float(((lower - centre) * (self.counts / rows) + signed / rows).sum())

    @property
    def deviation(self) -> float:
        """Standard deviation of the finite values (divided by their count), NaN without any."""
        rows = self.value_rows
        if not rows:
            return math.nan
        shift = self.mean - self.bins.mean
        variance = self.square_sum / rows - shift * shift
        return math.inf if math.isnan(variance) else math.sqrt(max(variance, 0.0))
