"""Made-up traffic of a model of 20 columns: independent rows, or with days, cycles and hours that hang together.

Training rows are drawn one by one. Live hours are drawn as what a profile keeps of them: rows per bin from the
distribution's own probabilities, and the place of these rows inside their bins as evenly spread. That costs the same
whether an hour has ten rows or ten thousand.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from accuracy import SHAPES
from numpy.typing import NDArray
from scipy.special import ndtr, pdtr, stdtr

from driftline.monitor.drift.distribution_gap import StackedCounts
from driftline.store.prediction_columns import ColumnType, PredictionColumn
from driftline.store.profile.numeric import NumericBins

Rng = np.random.Generator
Values = NDArray[np.float64]
Data = dict[str, NDArray[np.generic]]
NUMERIC = list(SHAPES)[:11]
CATEGORIES = (2, 2, 3, 4, 6, 10, 20, 35, 50)
COLUMNS = [
    PredictionColumn("input", f"c{i}", f"c{i}", ColumnType.DOUBLE if i < len(NUMERIC) else ColumnType.STRING)
    for i in range(int(os.environ.get("TRAFFIC_COLUMNS", "20")))  # fewer for a quick look
]
NAMES = np.array([f"v{k}" for k in range(max(CATEGORIES))], dtype=object)
# Half of the columns have days and cycles: those that an addition leaves of the same kind, and two of categories.
VARYING = [NUMERIC.index(s) for s in NUMERIC if s not in ("many zeros", "atoms in a cloud", "counts")] + [13, 16]
CYCLE, DAY, HOUR, MEMORY = 0.3, 0.05, 0.1, 0.7
_SAMPLES = {shape: np.sort(SHAPES[shape](np.random.default_rng(1), 1_000_000)) for shape in NUMERIC}
_DEVIATIONS = {shape: float(sample.std()) for shape, sample in _SAMPLES.items()}

# The probability of a value below x.
_BELOW: dict[str, Callable[[Values], Values]] = {
    "normal": ndtr,
    "lognormal": lambda x: ndtr(np.log(np.maximum(x, 1e-300))),
    "exponential": lambda x: -np.expm1(-np.maximum(x, 0) / 3),
    "uniform": lambda x: np.clip((x + 5) / 10, 0, 1),
    "student": lambda x: stdtr(2.5, x),
    "pareto": lambda x: 1 - (1 + np.maximum(x, 0)) ** -2.5,
    "two humps": lambda x: 0.4 * ndtr((x + 4) / 0.5) + 0.6 * ndtr(x - 3),
    "u-shaped": lambda x: 2 / np.pi * np.arcsin(np.sqrt(np.clip(x, 0, 1))),
    "many zeros": lambda x: 0.6 * (x > 0) - 0.4 * np.expm1(-np.maximum(x, 0) / 10),
    "atoms in a cloud": lambda x: sum((0.1 * (x > atom) for atom in (-1, 0, 2)), 0.7 * ndtr(x / 2)),
    "counts": lambda x: np.where(x > 0, pdtr(np.maximum(np.ceil(x) - 1, 0), 3), 0.0),
}


@dataclass(frozen=True)
class Drift:
    """What happens to one column: a shift in standard deviations and a spread of a numeric one, a move of categories.

    A move of 0.1: the commonest category has 10 % more of the rows, taken from all others evenly.
    """

    column: int
    shift: float = 0.0
    spread: float = 1.0
    move: float = 0.0


class Traffic:
    """Hours of rows, with a daily cycle, day effects and an hourly autoregression where phases are given.

    They move half of the columns' means, in standard deviations: CYCLE times a sine of the hour, a normal effect per
    day of DAY, and a first-order autoregression of deviation HOUR and coefficient MEMORY.
    """

    def __init__(self, rng: Rng, hours: int, phases: Values | None) -> None:
        """``phases`` of the daily cycles, shape (varying columns,), where traffic varies."""
        self._rng = rng
        self._moves = np.zeros((hours, 20))
        if phases is not None:
            hour = np.arange(hours)[:, None]
            days = rng.normal(0, DAY, (hours // 24 + 1, phases.size)).repeat(24, axis=0)[:hours]
            near = np.zeros((hours, phases.size))
            near[0] = rng.normal(0, HOUR, phases.size)
            shocks = rng.normal(0, HOUR * np.sqrt(1 - MEMORY**2), near.shape)
            for k in range(1, hours):
                near[k] = MEMORY * near[k - 1] + shocks[k]
            self._moves[:, VARYING] = CYCLE * np.sin(2 * np.pi * hour / 24 + phases) + days + near

    def training(self, rows: int) -> Data:
        """Return training rows, of random hours."""
        moves = self._moves[self._rng.integers(0, len(self._moves), rows)]
        data: Data = {
            f"c{i}": SHAPES[shape](self._rng, rows) + _DEVIATIONS[shape] * moves[:, i]
            for i, shape in enumerate(NUMERIC)
        }
        for i in range(len(NUMERIC), 20):
            below = np.cumsum(_category_shares(i, moves[:, i]), axis=1)
            data[f"c{i}"] = NAMES[(self._rng.random(rows)[:, None] > below[:, :-1]).sum(axis=1)]
        return data

    def numbers(self, column: int, bins: NumericBins, rows: int, hours: range, drift: Drift | None) -> StackedCounts:
        """Return the profiles of hours, one window each."""
        shape = NUMERIC[column]
        move = _DEVIATIONS[shape] * self._moves[hours.start : hours.stop]
        spread, shift = (drift.spread, drift.shift) if drift else (1.0, 0.0)
        places = (bins.edges - _DEVIATIONS[shape] * shift) / spread - move[:, [column]]
        below = np.pad(_BELOW[shape](places), ((0, 0), (1, 1)), constant_values=((0, 0), (0, 1)))
        counts = self._rng.multinomial(rows, np.diff(below, axis=1).clip(0))
        offsets = self._offsets(counts) * bins.widths * bins.located
        for hour, end in zip(*np.nonzero(counts[:, [0, -1]]), strict=True):
            beyond = self._beyond(shape, float(places[hour, -end]), counts[hour, -end], upper=bool(end))
            offsets[hour, -end] = spread * beyond
        held = counts > 0
        edges = bins.edges[[0, *range(bins.edges.size), -1]]
        return StackedCounts(
            bins, counts, offsets, edges[held.argmax(axis=1)], edges[counts.shape[1] - held[:, ::-1].argmax(axis=1)]
        )

    def _offsets(self, counts: NDArray[np.int64]) -> Values:
        """Return the sum of so many places between 0 and 1; of more than one, as a normal number."""
        one = self._rng.random(counts.shape) * (counts == 1)
        normal = counts / 2 + np.sqrt(counts / 12) * self._rng.standard_normal(counts.shape)
        return np.where(counts > 1, normal.clip(0, counts), one)

    def _beyond(self, shape: str, edge: float, rows: int, *, upper: bool) -> float:
        """Return the sum of the distances from the outermost edge of rows that lie beyond it."""
        sample = _SAMPLES[shape]
        place = int(np.searchsorted(sample, edge))
        low, high = (place, sample.size) if upper else (0, place)
        return float(np.abs(sample[self._rng.integers(low, high, rows)] - edge).sum()) if low < high else 0.0

    def categories(self, column: int, rows: int, hours: range, drift: Drift | None) -> NDArray[np.int64]:
        """Return the rows per category of hours, in the order of ``NAMES``, shape (hours, categories)."""
        moves = self._moves[hours.start : hours.stop, column]
        shares = _category_shares(column, moves)
        if drift:
            taken = drift.move / (1 - shares[:, :1])
            shares *= 1 - taken
            shares[:, :1] += taken
        return self._rng.multinomial(rows, shares)


def _category_shares(column: int, moves: Values) -> Values:
    """Return the shares of Zipf's law, shape (moves, categories), the commonest moved by its standard deviation."""
    weights = 1 / np.arange(1, CATEGORIES[column - len(NUMERIC)] + 1)
    shares = weights / weights.sum()
    common = shares[0] + moves[:, None] * np.sqrt(shares[0] * (1 - shares[0]))
    common = common.clip(0.001, 0.999)
    return np.hstack([common, shares[1:] * (1 - common) / (1 - shares[0])])
