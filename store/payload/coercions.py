"""Cells that were sent with another JSON type than the signature says, and that MLflow converted without a word.

| sent | for | what MLflow makes of it |
|---|---|---|
| text | a number | the number that it spells |
| a boolean | a number | 1 or 0 |
| a fraction | a whole number | its whole part |
| a number that does not fit | a whole number | 0 or the least one |
| null, a number, text | a boolean | null is false, any text is true |
| anything else | text | stays what it is, and reaches the model so |
| a number | a time | nanoseconds since 1970 |

Whole numbers for fractional ones, and 1.0 for 1, lose nothing and are not counted. Only bodies that went through
MLflow's own parser are looked at: what the fast ways take has the exact types already.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import isfinite
from typing import Any

from driftline.store.prediction_columns import ColumnType, PredictionColumn

# column name, what was sent for what
Coercion = tuple[str, str]

_BITS = {ColumnType.LONG: 64, ColumnType.INTEGER: 32}


def count_coercions(inputs: Sequence[PredictionColumn], document: Any) -> Counter[Coercion]:
    """Return such cells of one JSON request by column and coercion; nothing of a request of another form."""
    counted: Counter[Coercion] = Counter()
    for column in inputs:
        if column.type is ColumnType.JSON:
            continue
        for cell in _cells(document, column.name):
            said = coercion(column.type, cell)
            if said is not None:
                counted[column.column_name, said] += 1
    return counted


def coercion(type_: ColumnType, cell: Any) -> str | None:
    """Return what a cell was sent as and for what, where MLflow does not leave it as it is; None elsewhere."""
    if type_ in _BITS:
        return _of_whole_number(_BITS[type_], cell)
    what, fits = _EXPECTED.get(type_, ("", None))
    return None if fits is None or fits(cell) else f"{_name(cell)} for {what}"


def _of_whole_number(bits: int, cell: Any) -> str | None:
    if not _is_number(cell):
        return f"{_name(cell)} for a whole number"
    if cell != cell // 1:
        return "fractions for a whole number"
    limit = 1 << (bits - 1)
    return None if -limit <= cell < limit else "numbers that do not fit a whole number"


def _cells(document: Any, name: str) -> Iterator[Any]:
    """Yield one column's cells of a request in any of MLflow's forms."""
    if not isinstance(document, dict):
        return
    split = document.get("dataframe_split")
    if isinstance(split, dict):
        columns, data = split.get("columns"), split.get("data")
        if isinstance(columns, list) and isinstance(data, list) and name in columns:
            place = columns.index(name)
            yield from (row[place] for row in data if isinstance(row, list) and place < len(row))
        return
    for form in ("dataframe_records", "instances", "inputs"):
        rows = document.get(form)
        if isinstance(rows, dict):
            cells = rows.get(name)
            yield from cells if isinstance(cells, list) else _present(rows, name)
        elif isinstance(rows, list):
            yield from _of_records(rows, name)


def _of_records(rows: Iterable[Any], name: str) -> Iterator[Any]:
    for row in rows:
        if isinstance(row, dict):
            yield from _present(row, name)


def _present(record: dict[str, Any], name: str) -> Iterator[Any]:
    if name in record:
        yield record[name]


def _is_number(cell: Any) -> bool:
    return isinstance(cell, int | float) and not isinstance(cell, bool) and (isinstance(cell, int) or isfinite(cell))


def _name(cell: Any) -> str:
    if cell is None:
        return "nulls"
    if isinstance(cell, bool):
        return "booleans"
    if isinstance(cell, str):
        return "texts"
    return "numbers" if isinstance(cell, int | float) else "lists or objects"


def _is_decimal(cell: Any) -> bool:
    return cell is None or isinstance(cell, float) or _is_number(cell)


_EXPECTED: dict[ColumnType, tuple[str, Callable[[Any], bool]]] = {
    ColumnType.DOUBLE: ("a number", _is_decimal),
    ColumnType.FLOAT: ("a number", _is_decimal),
    ColumnType.BOOLEAN: ("a boolean", lambda cell: isinstance(cell, bool)),
    ColumnType.STRING: ("text", lambda cell: cell is None or isinstance(cell, str)),
    ColumnType.DATETIME: ("a time", lambda cell: not _is_number(cell)),
}
