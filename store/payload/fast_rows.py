"""The rows of an ordinary JSON body without pandas: only what is certain to equal MLflow's own result.

Invariants
----------
- A body is taken only where every cell has the exact Python type that MLflow's coercion leaves as it is; everything
  else is refused here and goes to MLflow's own functions (``payload``). Tested against them by Hypothesis.
- A batch is turned into columns at once; a column with an unusual cell costs its own invocation the fast way, not the
  batch.
"""

import base64
import itertools
import operator
import re
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from driftline.store.payload.typed_cells import Column, dtype_of, storable_text
from driftline.store.prediction_columns import ColumnType, PredictionColumn

_EXACT: dict[ColumnType, frozenset[type]] = {
    ColumnType.DOUBLE: frozenset({float, int, type(None)}),
    ColumnType.FLOAT: frozenset({float, type(None)}),
    ColumnType.LONG: frozenset({int}),
    ColumnType.INTEGER: frozenset({int}),
    ColumnType.BOOLEAN: frozenset({bool}),
    ColumnType.STRING: frozenset({str, type(None)}),
    ColumnType.DATETIME: frozenset({str}),
    ColumnType.BINARY: frozenset({str}),
}
# What struct takes for these is what is exact for them, but for booleans and missing cells.
_PACKED = {ColumnType.DOUBLE: "d", ColumnType.LONG: "q", ColumnType.INTEGER: "i"}
_FRAME_ONLY = {ColumnType.DATETIME, ColumnType.BINARY}
_MOMENT = re.compile(r"(1[7-9]|20|21)\d\d-\d\d-\d\d([T ]\d\d:\d\d:\d\d(\.\d{6})?)?", re.ASCII)

Row = Sequence[Any]


class FastRows:
    """Reads request bodies of one model whose inputs are named scalars."""

    def __init__(self, inputs: Sequence[PredictionColumn]) -> None:
        self.names = [column.name for column in inputs]
        self._known = set(self.names)
        self._pick = _picker(self.names)
        types = {column.type for column in inputs}
        self._forms = {"dataframe_split": self._split, "dataframe_records": self._records}
        if not types & _FRAME_ONLY:
            self._forms |= {"instances": self._instances, "inputs": self._inputs}
        self._has_text = ColumnType.STRING in types
        self._narrow = bool(types & {ColumnType.FLOAT, ColumnType.INTEGER})
        self._pickers: dict[tuple[str, ...], Callable[[Any], Row]] = {}

    @classmethod
    def of(cls, signature: dict[str, Any] | None, inputs: Sequence[PredictionColumn]) -> "FastRows | None":
        """Return a reader, or None where the inputs are tensors, nameless or nested."""
        raw = (signature or {}).get("inputs")
        specs = orjson.loads(raw) if raw else []
        plain = all(isinstance(spec.get("name"), str) and spec["type"] != "tensor" for spec in specs)
        plain = plain and all(column.type is not ColumnType.JSON for column in inputs)
        unique = len({spec.get("name") for spec in specs}) == len(specs)
        from_hints = (signature or {}).get("is_signature_from_type_hint")
        return cls(inputs) if specs and plain and unique and not from_hints else None

    def rows(self, document: Any) -> list[Row] | None:
        """Return one sequence of cells per row in the signature's order, or None where MLflow must look."""
        if not _is_plain(document):
            return None
        try:
            for form in document:
                if form in self._forms:
                    return self._forms[form](document[form])
        except (KeyError, TypeError, IndexError):
            pass
        return None

    def many_rows(self, document: Any, tables: list[Any]) -> tuple[list[int], list[Row]] | None:
        """Return the rows of many requests together, and how many each has; None where MLflow must look at one.

        Args:
            document: what the requests have in common, in ``dataframe_split``.
            tables: the ``data`` of each.
        """
        try:
            return self._tables(document["dataframe_split"], tables) if _is_plain(document) else None
        except (KeyError, TypeError):
            return None

    def _split(self, split: Any) -> list[Row] | None:
        found = self._tables(split, [split["data"]])
        return None if found is None else found[1]

    def _tables(self, split: Any, tables: list[Any]) -> tuple[list[int], list[Row]] | None:
        columns = split["columns"]
        if set(map(type, tables)) != {list}:
            return None
        counts = list(map(len, tables))
        if 0 in counts or not (len(split) == 2 or all(_index_fits(split, count) for count in set(counts))):
            return None
        pick = None
        if columns != self.names:
            pick = self._column_picker(columns)
            if pick is None:
                return None
        rows = tables[0] if len(tables) == 1 else list(itertools.chain.from_iterable(tables))
        if set(map(type, rows)) != {list} or set(map(len, rows)) != {len(columns)}:
            return None
        return counts, rows if pick is None else list(map(pick, rows))

    def _column_picker(self, columns: list[str]) -> Callable[[Any], Row] | None:
        key = tuple(columns)
        if key not in self._pickers:
            if len(set(key)) != len(key) or not self._known <= set(key) or not all(type(c) is str for c in key):
                return None
            if len(self._pickers) > 100:  # columns are the client's, so their variety is not bounded by the model
                self._pickers.clear()
            self._pickers[key] = _picker([key.index(name) for name in self.names])
        return self._pickers[key]

    def _records(self, records: Any) -> list[Row] | None:
        if type(records) is not list or not records or any(type(record) is not dict for record in records):
            return None
        return list(map(self._pick, records))

    def _exact_records(self, records: Any) -> list[Row] | None:
        rows = self._records(records)
        return rows if rows is not None and all(len(record) == len(self.names) for record in records) else None

    def _instances(self, instances: Any) -> list[Row] | None:
        return self._checked(self._exact_records(instances))

    def _inputs(self, inputs: Any) -> list[Row] | None:
        if type(inputs) is list:
            return None if self._narrow else self._checked(self._exact_records(inputs))
        if type(inputs) is not dict or len(inputs) != len(self.names):
            return None
        columns = self._pick(inputs)
        if any(type(column) is not list or len(column) != len(columns[0]) or not column for column in columns):
            return None
        return self._checked(list(zip(*columns, strict=True)))

    def _checked(self, rows: list[Row] | None) -> list[Row] | None:
        """NumPy text, which these formats go through, knows neither None nor a trailing NUL."""
        if rows is None or not self._has_text:
            return rows
        cells = itertools.chain.from_iterable(rows)
        return None if any(cell is None or (type(cell) is str and "\0" in cell) for cell in cells) else rows


def fast_column(
    type_: ColumnType, cells: Sequence[Any], owners: NDArray[np.int64], booleans: bool = True
) -> Column | set[int]:
    """Return the typed column, or the owners of cells that are not certain to stay what they are.

    Args:
        cells: as parsed from JSON, one per row.
        owners: which invocation each row belongs to.
        booleans: False where it is known that no cell is one.
    """
    if not booleans and type_ in _PACKED and (packed := _packed(type_, cells)) is not None:
        return packed
    if not set(map(type, cells)) <= _EXACT[type_]:
        allowed = _EXACT[type_]
        return {int(owner) for owner, cell in zip(owners, cells, strict=True) if type(cell) not in allowed}
    if type_ in _CONVERTERS:
        return _CONVERTERS[type_](cells, owners)
    try:
        return np.array(cells, dtype_of(type_))
    except OverflowError:
        wide = _too_wide(type_)
        return {int(owner) for owner, cell in zip(owners, cells, strict=True) if wide(cell)}


def _packed(type_: ColumnType, cells: Sequence[Any]) -> Column | None:
    """Return a column of numbers, which ``struct`` takes faster than NumPy; None where a cell is none or too wide."""
    column = np.empty(len(cells), dtype_of(type_))
    try:
        struct.pack_into(f"={len(cells)}{_PACKED[type_]}", column.data, 0, *cells)
    except (struct.error, OverflowError):
        return None
    return column


def _texts(cells: Sequence[str | None], owners: NDArray[np.int64]) -> Column | set[int]:
    """Lone surrogates are MLflow's to judge: some pandas refuse them."""
    try:
        "".join(filter(None, cells)).encode()
    except UnicodeEncodeError:
        lone = re.compile("[\ud800-\udfff]")
        return {int(owner) for owner, cell in zip(owners, cells, strict=True) if cell and lone.search(cell)}
    return _objects([cell if cell is None else storable_text(cell) for cell in cells])


def _narrow_floats(cells: Sequence[float | None], _: NDArray[np.int64]) -> Column:
    with np.errstate(over="ignore"):
        return np.array(cells, np.float64).astype(np.float32)


def _decoded(cells: Sequence[str], owners: NDArray[np.int64]) -> Column | set[int]:
    return _per_cell(cells, owners, lambda cell: base64.decodebytes(cell.encode()))


def _moments(cells: Sequence[str], owners: NDArray[np.int64]) -> Column | set[int]:
    odd = {int(owner) for owner, cell in zip(owners, cells, strict=True) if not _MOMENT.fullmatch(cell)}
    shapes: dict[int, tuple[int, str]] = {}
    for owner, cell in zip(owners.tolist(), cells, strict=True):
        shape = (len(cell), cell[10:11])
        if shapes.setdefault(owner, shape) != shape:
            odd.add(owner)
    if odd:
        return odd
    return _per_cell(cells, owners, lambda cell: int(np.datetime64(cell, "us").astype(np.int64)), np.int64)


def _per_cell(
    cells: Sequence[Any], owners: NDArray[np.int64], convert: Callable[[Any], Any], dtype: Any = np.object_
) -> Column | set[int]:
    converted, odd = [], set()
    for owner, cell in zip(owners, cells, strict=True):
        try:
            converted.append(convert(cell))
        except ValueError:
            odd.add(int(owner))
    return odd or (_objects(converted) if dtype is np.object_ else np.array(converted, dtype))


def _too_wide(type_: ColumnType) -> Callable[[Any], bool]:
    if type_ is ColumnType.DOUBLE:
        return lambda cell: type(cell) is int and cell.bit_length() > 1000
    limit = 1 << (31 if type_ is ColumnType.INTEGER else 63)
    return lambda cell: not -limit <= cell < limit


def _is_plain(document: Any) -> bool:
    return type(document) is dict and (len(document) == 1 or (len(document) == 2 and "params" in document))


def _index_fits(split: dict[str, Any], rows: int) -> bool:
    index = split["index"]
    return len(split) == 3 and type(index) is list and len(index) == rows and set(map(type, index)) <= {int}


def _picker(keys: Sequence[Any]) -> Callable[[Any], Row]:
    if len(keys) == 1:
        key = keys[0]
        return lambda row: (row[key],)
    return operator.itemgetter(*keys)


def _objects(cells: Sequence[Any]) -> Column:
    column = np.empty(len(cells), np.object_)
    column[:] = cells
    return column


_CONVERTERS: dict[ColumnType, Callable[[Any, NDArray[np.int64]], Column | set[int]]] = {
    ColumnType.STRING: _texts,
    ColumnType.FLOAT: _narrow_floats,
    ColumnType.DATETIME: _moments,
    ColumnType.BINARY: _decoded,
}
