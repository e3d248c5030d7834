"""How two versions' answers to the same rows differ, output by output.

Classes differ or they do not; numbers differ by an amount. The same number computed in a batch of another size may
differ in its last digits: what is within ``rounding`` is equal.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from driftline.monitor.replay.intervals import Interval, of_mean, wilson
from driftline.store.payload.typed_cells import Column
from driftline.store.prediction_columns import ColumnType, PredictionColumn

MOST_CLASSES = 20  # different whole numbers are classes up to so many
_TOLERANCE_SHARE = 0.1  # of the standard deviation of the recorded answers
_PROBABILITY_TOLERANCE = 0.05  # where all answers of both versions lie between 0 and 1
_MOST_MOVES = 20
_NUMBERS = (ColumnType.DOUBLE, ColumnType.FLOAT, ColumnType.LONG, ColumnType.INTEGER)


@dataclass(frozen=True, slots=True)
class ClassAgreement:
    """Answers that are classes, truths or texts.

    Attributes:
        name: of the output.
        rows: compared.
        differs: per row.
        moves: how often one class became another, the most frequent first; empty for texts of more than 20 kinds.
    """

    name: str
    rows: int
    differs: NDArray[np.bool_]
    moves: tuple[tuple[str, str, int], ...]

    @property
    def differing(self) -> NDArray[np.bool_]:
        """Per row whether the answer is another."""
        return self.differs

    @property
    def size(self) -> NDArray[np.float64]:
        """Per row by how much: 1 or 0."""
        return self.differs.astype(np.float64)

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        count = int(self.differs.sum())
        return {
            "output": self.name, "kind": "class", "rows": self.rows, "differing_rows": count,
            "share": _share(count, self.rows), "share_interval": wilson(count, self.rows),
            "moves": [{"from": a, "to": b, "rows": n} for a, b, n in self.moves],
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class NumberAgreement:
    """Answers that are numbers.

    Attributes:
        name: of the output.
        difference: asked minus recorded per row; infinite where only one of them is a number.
        differs: whether that is more than rounding.
        tolerance: differences above it count.
        correlation: Pearson's; None where one side does not vary.
    """

    name: str
    difference: NDArray[np.float64]
    differs: NDArray[np.bool_]
    tolerance: float
    correlation: float | None

    @property
    def differing(self) -> NDArray[np.bool_]:
        """Per row whether the answers differ by more than the tolerance."""
        return self.differs & (self.size > self.tolerance)

    @property
    def size(self) -> NDArray[np.float64]:
        """Per row by how much."""
        return np.abs(self.difference)

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        rows, size = len(self.difference), self.size[np.isfinite(self.difference)]
        beyond, other = int(self.differing.sum()), int(self.differs.sum())
        bias = self.difference[np.isfinite(self.difference)]
        quantiles = np.quantile(size, [0.5, 0.95, 0.99]).tolist() if len(size) else [None] * 3
        interval: Interval | None = of_mean(bias)
        return {
            "output": self.name, "kind": "number", "rows": rows, "differing_rows": beyond,
            "share": _share(beyond, rows), "share_interval": wilson(beyond, rows), "tolerance": self.tolerance,
            "unequal_rows": other, "mean_absolute": float(size.mean()) if len(size) else None,
            "median_absolute": quantiles[0], "p95_absolute": quantiles[1], "p99_absolute": quantiles[2],
            "bias": float(bias.mean()) if len(bias) else None, "bias_interval": interval,
            "correlation": self.correlation, "without_a_number": rows - len(size), "moves": [],
        }  # fmt: skip


Agreement = ClassAgreement | NumberAgreement


def compare_output(
    recorded: tuple[PredictionColumn, Column], asked: tuple[PredictionColumn, Column], tolerance: float | None = None
) -> Agreement:
    """Compare one output of two versions on the same rows.

    Args:
        recorded, asked: the column and its cells, shape (rows,).
        tolerance: of numbers; None takes 0.05 where all lie between 0 and 1, else a tenth of the standard deviation
            of the recorded ones.
    """
    name = recorded[0].name
    a, b = (numbers(column.type, cells) for column, cells in (recorded, asked))
    if a is None or b is None or are_classes(a, b):
        return _classes(name, texts(*recorded), texts(*asked))
    narrow = ColumnType.FLOAT in (recorded[0].type, asked[0].type)
    return _numbers(name, a, b, 1e-5 if narrow else 1e-9, tolerance)


def numbers(type_: ColumnType, cells: Column) -> NDArray[np.float64] | None:
    """Return cells as numbers, NaN for missing; None where they are none."""
    if type_ in _NUMBERS:
        return np.array(cells.tolist(), np.float64)
    if type_ is not ColumnType.JSON:
        return None
    values = [None if cell is None else orjson.loads(cell) for cell in cells.tolist()]
    if not {int, float, type(None)}.issuperset(map(type, values)) or not any(value is not None for value in values):
        return None
    return np.array(values, np.float64)


def are_classes(*sides: NDArray[np.float64]) -> bool:
    """Return whether numbers are few whole ones."""
    values = np.concatenate(sides)
    values = np.unique(values[~np.isnan(values)])
    return len(values) <= MOST_CLASSES and bool(np.all(np.isfinite(values)) and np.all(values == np.round(values)))


def texts(column: PredictionColumn, cells: Column) -> list[str]:
    """Return cells as people read them; a whole number is written as one, whatever its type."""
    found = numbers(column.type, cells)
    if found is not None:
        return [f"{int(x)}" if x == x and abs(x) < 2**53 and x == int(x) else str(x) for x in found.tolist()]  # noqa: PLR0124
    if column.type is ColumnType.JSON:
        loaded = [None if cell is None else orjson.loads(cell) for cell in cells.tolist()]
        return [x if type(x) is str else orjson.dumps(x, option=orjson.OPT_SORT_KEYS).decode() for x in loaded]
    return [str(cell) for cell in cells.tolist()]


def most_probable(columns: list[tuple[PredictionColumn, Column]]) -> NDArray[np.int64] | None:
    """Return the place of the largest of several outputs per row, where these are probabilities that sum to 1."""
    sides = [numbers(column.type, cells) for column, cells in columns]
    if len(sides) < 2 or any(side is None for side in sides):
        return None
    matrix = np.stack([side for side in sides if side is not None], axis=1)
    if not len(matrix) or not np.all((matrix >= 0) & (matrix <= 1)) or np.abs(matrix.sum(axis=1) - 1).max() > 1e-3:
        return None
    places: NDArray[np.int64] = np.argmax(matrix, axis=1).astype(np.int64)
    return places


def compare_most_probable(names: list[str], recorded: NDArray[np.int64], asked: NDArray[np.int64]) -> ClassAgreement:
    """Compare which output was the largest; ``names`` are the outputs'."""
    return _classes("most probable", [names[i] for i in recorded.tolist()], [names[i] for i in asked.tolist()])


def _classes(name: str, a: list[str], b: list[str]) -> ClassAgreement:
    differs = np.array([x != y for x, y in zip(a, b, strict=True)], np.bool_)
    moves: tuple[tuple[str, str, int], ...] = ()
    if len({*a, *b}) <= MOST_CLASSES:
        counted = Counter(pair for pair in zip(a, b, strict=True) if pair[0] != pair[1])
        moves = tuple((x, y, n) for (x, y), n in sorted(counted.items(), key=lambda kv: (-kv[1], kv[0])))
    return ClassAgreement(name, len(a), differs, moves[:_MOST_MOVES])


def _numbers(
    name: str, a: NDArray[np.float64], b: NDArray[np.float64], rounding: float, tolerance: float | None
) -> NumberAgreement:
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore"):
        difference = np.where(same, 0.0, b - a)
    difference = np.where(np.isnan(difference), np.inf, difference)
    finite = a[np.isfinite(a)]
    scale = float(np.abs(finite).max()) if len(finite) else 0.0
    differs = np.abs(difference) > rounding * np.maximum(np.maximum(np.abs(a), np.abs(b)), scale * 1e-6)
    differs = np.where(np.isnan(a) != np.isnan(b), True, differs) & ~same
    difference = np.where(differs, difference, 0.0)
    if tolerance is None:
        tolerance = _usual_tolerance(finite, b[np.isfinite(b)])
    both = np.isfinite(a) & np.isfinite(b)
    varied = both.sum() > 1 and a[both].std() > 0 and b[both].std() > 0
    correlation = float(np.corrcoef(a[both], b[both])[0, 1]) if varied else None
    return NumberAgreement(name, difference, differs.astype(np.bool_), tolerance, correlation)


def _usual_tolerance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    both = np.concatenate([a, b])
    if len(both) and both.min() >= 0 and both.max() <= 1:
        return _PROBABILITY_TOLERANCE
    return _TOLERANCE_SHARE * float(a.std()) if len(a) else 0.0


def _share(count: int, rows: int) -> float | None:
    return count / rows if rows else None
