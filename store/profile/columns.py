"""What of each column is profiled: decided once, from the signature's type and the reference's values.

| type | kind | profiled |
|---|---|---|
| double, float, long, integer | numeric | the value, also of few-valued integers: each value then has its own bin |
| datetime | numeric | microseconds since the epoch |
| boolean, string | categorical | every reference category |
| string of many values | text | the most frequent ``TEXT_CATEGORIES`` values, the rest together, and the length |
| binary, JSON | length | the length in bytes or characters |

A string column has many values when the reference holds more than ``MOST_CATEGORIES`` distinct ones.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from driftline.store.prediction_columns import ColumnType, PredictionColumn
from driftline.store.profile.categorical import CategoryLayout, count_categories, storable_name, text_length
from driftline.store.profile.cells import to_floats
from driftline.store.profile.edges import LARGEST, cut_edges
from driftline.store.profile.numeric import NumericBins, NumericLayout

MOST_CATEGORIES = 1000
TEXT_CATEGORIES = 100

Kind = Literal["numeric", "categorical", "text", "length"]


@dataclass(frozen=True, eq=False)
class ProfiledColumn:
    """One column and what is counted of it.

    Attributes:
        column: as the signature gives it.
        kind: see the table above.
        bins: of the value or the length; None for categorical columns.
        categories: most frequent first; None for numeric and length columns.
    """

    column: PredictionColumn
    kind: Kind
    bins: NumericBins | None
    categories: tuple[str, ...] | None

    @functools.cached_property
    def plain_dtypes(self) -> str:
        """NumPy's one-letter codes of the arrays that are counted as they stand."""
        if self.kind != "numeric":
            return ""
        return "fe" if self.column.type is ColumnType.FLOAT else "dfe?bhilqBHILQ"

    def numbers(self, cells: NDArray[Any]) -> tuple[NDArray[np.float64], int]:
        """Return what the bins count, NaN where missing, and how many cells were not numbers."""
        return column_numbers(self.column.type, cells)

    def to_json(self) -> dict[str, Any]:
        c = self.column
        return {
            "column": [c.side, c.name, c.column_name, c.type.value],
            "kind": self.kind,
            "bins": self.bins.to_json() if self.bins else None,
            "categories": self.categories,
        }

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Self:
        side, name, column_name, type_ = raw["column"]
        return cls(
            PredictionColumn(side, name, column_name, ColumnType(type_)),
            raw["kind"],
            NumericBins.from_json(raw["bins"]) if raw["bins"] else None,
            tuple(raw["categories"]) if raw["categories"] is not None else None,
        )


def column_numbers(type_: ColumnType, cells: NDArray[Any]) -> tuple[NDArray[np.float64], int]:
    """Return a column's cells as the numbers its bins count, and how many were not numbers.

    A float column is rounded to 32 bits first: training data read as 64 bits must meet what the model was sent.
    """
    if type_ in (ColumnType.STRING, ColumnType.BINARY, ColumnType.JSON):
        return np.array([text_length(cell) for cell in cells.tolist()], dtype=np.float64), 0
    values, not_numbers = to_floats(cells)
    if type_ is ColumnType.FLOAT:
        with np.errstate(over="ignore"):
            values = values.astype(np.float32).astype(np.float64)
    return values, not_numbers


def profile_column(column: PredictionColumn, cells: NDArray[Any]) -> ProfiledColumn:
    """Decide from the reference's cells how a column is profiled."""
    if column.type in (ColumnType.BOOLEAN, ColumnType.STRING):
        keys = count_categories(cells.tolist())
        keys.pop(None, None)
        ranked = sorted(keys.items(), key=lambda item: (-item[1], item[0]))
        text = column.type is ColumnType.STRING and len(ranked) > MOST_CATEGORIES
        names = [storable_name(str(key)) for key, _ in (ranked[:TEXT_CATEGORIES] if text else ranked)]
        bins = _cut(column_numbers(column.type, cells)[0]) if text else None
        return ProfiledColumn(column, "text" if text else "categorical", bins, tuple(dict.fromkeys(names)))
    bins = _cut(column_numbers(column.type, cells)[0])
    kind: Kind = "length" if column.type in (ColumnType.BINARY, ColumnType.JSON) else "numeric"
    return ProfiledColumn(column, kind, bins, None)


def _cut(values: NDArray[np.float64]) -> NumericBins:
    finite = np.clip(values[np.isfinite(values)], -LARGEST, LARGEST)
    if finite.size == 0:
        return NumericBins(cut_edges(finite), 0.0, 0.0, 0)
    # In units of the largest magnitude, so that squares do not overflow.
    unit = float(np.abs(finite).max()) or 1.0
    mean, deviation = float((finite / unit).mean()) * unit, float((finite / unit).std()) * unit
    return NumericBins(cut_edges(finite), mean, deviation, int(np.unique(finite).size))


class Layout:
    """The flat places of all columns; made once per reference, never changed.

    Attributes:
        columns: in the order of the signature.
        names: their column names.
        binned, named: positions of the columns with bins and of those with categories.
        numeric, categorical: the layouts of the two halves.
        numeric_at, categorical_at: place of a column in each half, by its name.
    """

    def __init__(self, columns: Sequence[ProfiledColumn]) -> None:
        self.columns = tuple(columns)
        self.names = tuple(c.column.column_name for c in self.columns)
        self.binned = [i for i, c in enumerate(self.columns) if c.bins is not None]
        self.named = [i for i, c in enumerate(self.columns) if c.categories is not None]
        self.numeric = NumericLayout([c.bins for c in self.columns if c.bins is not None])
        self.categorical = CategoryLayout([c.categories for c in self.columns if c.categories is not None])
        self.numeric_at = {self.names[position]: place for place, position in enumerate(self.binned)}
        self.categorical_at = {self.names[position]: place for place, position in enumerate(self.named)}
