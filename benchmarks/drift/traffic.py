"""Made-up traffic of a model of 20 columns: independent rows, or with days, cycles and hours that hang together."""

from dataclasses import dataclass

import numpy as np
from accuracy import SHAPES
from numpy.typing import NDArray

from driftline.store.prediction_columns import ColumnType, PredictionColumn

Rng = np.random.Generator
Data = dict[str, NDArray[np.generic]]
NUMERIC = list(SHAPES)[:11]
CATEGORIES = (2, 2, 3, 4, 6, 10, 20, 35, 50)
COLUMNS = [
    PredictionColumn("input", f"c{i}", f"c{i}", ColumnType.DOUBLE if i < len(NUMERIC) else ColumnType.STRING)
    for i in range(20)
]
# Shapes whose fourth moment is infinite: single rows move the Wasserstein distance of a whole day.
POWER_LAWS = {f"c{NUMERIC.index(shape)}" for shape in ("student", "pareto")}
_DEVIATIONS = {shape: float(SHAPES[shape](np.random.default_rng(1), 1_000_000).std()) for shape in NUMERIC}
# Half of the columns have days and cycles: those that an addition leaves of the same kind, and two of categories.
_VARYING = [NUMERIC.index(s) for s in NUMERIC if s not in ("many zeros", "atoms in a cloud", "counts")] + [13, 16]
CYCLE, DAY, HOUR, MEMORY = 0.3, 0.05, 0.1, 0.7
_HISTORY_DAYS = 28  # over which the training rows lie


@dataclass(frozen=True)
class Drift:
    """What happens to the first column (shift, spread) and to the first one of 20 categories (move)."""

    shift: float = 0.0
    spread: float = 1.0
    move: float = 0.0


NOTHING = Drift()


class Traffic:
    """Hour after hour of rows; ``varying`` adds a daily cycle, day effects and an hourly autoregression.

    They move half of the columns' means, in standard deviations: CYCLE times a sine of the hour, a normal effect per
    day of DAY, and a first-order autoregression of deviation HOUR and coefficient MEMORY.
    """

    def __init__(self, rng: Rng, hours: int, *, varying: bool) -> None:
        self._rng = rng
        total = hours + 24 * _HISTORY_DAYS
        self._moves = np.zeros((total, 20))
        if varying:
            hour = np.arange(total)[:, None]
            columns = len(_VARYING)
            phases = rng.uniform(0, 2 * np.pi, columns)
            days = rng.normal(0, DAY, (total // 24 + 1, columns)).repeat(24, axis=0)[:total]
            near = np.zeros((total, columns))
            shocks = rng.normal(0, HOUR * np.sqrt(1 - MEMORY**2), (total, columns))
            for k in range(1, total):
                near[k] = MEMORY * near[k - 1] + shocks[k]
            self._moves[:, _VARYING] = CYCLE * np.sin(2 * np.pi * hour / 24 + phases) + days + near
        self._next = 24 * _HISTORY_DAYS

    def training(self, rows: int) -> Data:
        """Return training rows: of random hours before the first one."""
        return self._rows(rows, self._moves[self._rng.integers(0, 24 * _HISTORY_DAYS, rows)], NOTHING)

    def hour(self, rows: int, drift: Drift = NOTHING) -> Data:
        """Return the rows of the next hour."""
        self._next += 1
        return self._rows(rows, np.broadcast_to(self._moves[self._next - 1], (rows, 20)), drift)

    def _rows(self, rows: int, moves: NDArray[np.float64], drift: Drift) -> Data:
        rng, data = self._rng, dict[str, NDArray[np.generic]]()
        for i, shape in enumerate(NUMERIC):
            data[f"c{i}"] = SHAPES[shape](rng, rows) + _DEVIATIONS[shape] * moves[:, i]
        data["c0"] = data["c0"] * np.float64(drift.spread) + np.float64(drift.shift)
        for i, size in enumerate(CATEGORIES, start=len(NUMERIC)):
            chosen = _categories(rng, rows, size, moves[:, i])
            if drift.move and i == 17:
                share = drift.move / (1 - 1 / _harmonic(size))
                chosen = np.where(rng.random(rows) < share, 0, chosen)
            data[f"c{i}"] = _NAMES[chosen]
        return data


_NAMES = np.array([f"v{k}" for k in range(max(CATEGORIES))], dtype=object)


def _harmonic(size: int) -> float:
    return float((1 / np.arange(1, size + 1)).sum())


def _categories(rng: Rng, rows: int, size: int, moves: NDArray[np.float64]) -> NDArray[np.int64]:
    weights = 1 / np.arange(1, size + 1)
    chosen = rng.choice(size, rows, p=weights / weights.sum())
    common = 1 / weights.sum()
    extra = moves * np.sqrt(common * (1 - common))  # the commonest category's share moves by so much
    uniform = rng.random(rows)
    rising = uniform < np.maximum(extra, 0) / (1 - common)
    falling = (uniform < np.maximum(-extra, 0) / common) & (chosen == 0)
    chosen = np.where(rising, 0, chosen)
    return np.where(falling, rng.integers(1, size, rows), chosen)
