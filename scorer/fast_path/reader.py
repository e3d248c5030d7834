"""From a JSON document to typed blocks, in the forms that MLflow's protocol knows.

Invariants
----------
- A document is taken only where MLflow would make the same frame of it; whatever is in doubt raises or returns None.
- The cells of all columns of one type are converted at once.
- What is kept about column orders, which are the clients', is bounded.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline.scorer.fast_path.layout import Layout
from driftline.scorer.fast_path.scalar_type import scalar_array
from driftline.scorer.fast_path.signature import ScalarSignature
from driftline.store.prediction_columns import ColumnType

_KEPT_ARRANGEMENTS = 100
_IGNORED_CELLS = frozenset({int, float, bool, str, type(None)})


class Form(Enum):
    """A way to write rows, named as in MLflow's protocol and by what stands below that name."""

    SPLIT = "dataframe_split"
    RECORDS = "dataframe_records"
    INPUTS_RECORDS = "inputs, a list of objects"
    INPUTS_COLUMNS = "inputs, an object of lists"
    INPUTS_SCALARS = "inputs, an object of scalars"
    INSTANCES_RECORDS = "instances, a list of objects"
    INSTANCES_COLUMNS = "instances, an object of lists"
    INSTANCES_SCALARS = "instances, an object of scalars"


_BELOW = {
    "inputs": (Form.INPUTS_RECORDS, Form.INPUTS_COLUMNS, Form.INPUTS_SCALARS),
    "instances": (Form.INSTANCES_RECORDS, Form.INSTANCES_COLUMNS, Form.INSTANCES_SCALARS),
}


@dataclass(frozen=True, slots=True)
class Rows:
    """What was read: blocks of ``layout``, each of shape (columns of the group, rows)."""

    layout: Layout
    blocks: list[NDArray[Any]]
    labels: list[int] | None = None


class Arrangement:
    """Where the cells of each group lie in a row of one client's order.

    Args:
        keys: the client's columns; the place in this sequence, or the name itself, finds a cell.
        by_place: rows are lists.
    """

    def __init__(self, keys: Sequence[str], layout: Layout, *, by_place: bool) -> None:
        where: dict[str, Any] = {key: place if by_place else key for place, key in enumerate(keys)}
        self.layout = layout
        self._groups = [
            (group.type, None if by_place and group.names == tuple(keys) else _picker([where[n] for n in group.names]))
            for group in layout.groups
        ]
        ignored = [where[key] for key in keys if key not in layout.names]
        self.ignored = len(ignored)
        self._pick_ignored = _picker(ignored) if ignored else None

    def blocks(self, rows: list[Any], dataframe: bool) -> list[NDArray[Any]] | None:
        """Return the blocks of these rows, or None where MLflow must look."""
        if self._pick_ignored is not None and not _are_harmless(_flat(rows, self._pick_ignored)):
            return None
        blocks = []
        for type_, pick in self._groups:
            block = _block(type_, _flat(rows, pick), dataframe)
            if block is None:
                return None
            blocks.append(block.reshape(len(rows), -1).T)
        return blocks


class Reader:
    """Reads documents of one model.

    Args:
        forms: those that are taken.
    """

    def __init__(self, signature: ScalarSignature, forms: Collection[Form]) -> None:
        self._signature = signature
        self._forms = frozenset(forms)
        self._arrangements: dict[tuple[bool, tuple[str, ...]], Arrangement] = {}

    def read(self, field: str, value: Any) -> Rows | None:
        """Return the rows below one of the protocol's fields, or None where MLflow must look.

        Raises:
            Exception: likewise; the value does not have the shape that was assumed.
        """
        rows = self._read(field, value)
        return rows if rows is None or rows.layout.holds(rows.blocks) else None

    def _read(self, field: str, value: Any) -> Rows | None:
        if field == Form.SPLIT.value:
            return self._split(value) if Form.SPLIT in self._forms else None
        if field == Form.RECORDS.value:
            return self._records(value, dataframe=True) if Form.RECORDS in self._forms else None
        records, columns, scalars = _BELOW[field]
        if type(value) is list:
            return self._records(value, dataframe=False) if records in self._forms else None
        if type(value) is not dict:
            return None
        if set(map(type, value.values())) == {list}:
            return self._columns(value) if columns in self._forms else None
        return self._scalars(value) if scalars in self._forms else None

    def _split(self, split: dict[str, Any]) -> Rows | None:
        columns, data, index = split["columns"], split["data"], split.get("index")
        if len(split) != 2 + ("index" in split) or type(data) is not list or type(columns) is not list:
            return None
        if set(map(type, data)) != {list} or set(map(len, data)) != {len(columns)}:
            return None
        if index is not None and not _are_labels(index, len(data)):
            return None
        arrangement = self._arrangement(tuple(columns), by_place=True)
        blocks = arrangement and arrangement.blocks(data, dataframe=True)
        return Rows(arrangement.layout, blocks, index) if arrangement and blocks else None

    def _records(self, records: list[Any], dataframe: bool) -> Rows | None:
        if set(map(type, records)) != {dict} or set(map(len, records)) != {len(records[0])}:
            return None
        arrangement = self._arrangement(tuple(records[0]), by_place=False)
        if arrangement is None or (arrangement.ignored and not dataframe):
            return None
        blocks = arrangement.blocks(records, dataframe)
        return Rows(arrangement.layout, blocks) if blocks else None

    def _columns(self, columns: dict[str, list[Any]]) -> Rows | None:
        lengths = set(map(len, columns.values()))
        layout = self._signature.layout(columns)
        if len(lengths) != 1 or lengths == {0} or layout is None or len(layout.names) != len(columns):
            return None
        blocks = []
        for group in layout.groups:
            block = _block(group.type, list(chain.from_iterable(map(columns.__getitem__, group.names))), False)
            if block is None:
                return None
            blocks.append(block.reshape(len(group.names), -1))
        return Rows(layout, blocks)

    def _scalars(self, row: dict[str, Any]) -> Rows | None:
        return self._records([row], dataframe=False)

    def _arrangement(self, keys: tuple[str, ...], by_place: bool) -> Arrangement | None:
        known = self._arrangements.get((by_place, keys))
        if known is not None:
            return known
        layout = self._signature.layout(keys)
        if layout is None or len(set(keys)) != len(keys) or any(type(key) is not str for key in keys):
            return None
        "".join(keys).encode()  # raises where pandas may fail to make a column of that name
        if len(self._arrangements) >= _KEPT_ARRANGEMENTS:
            self._arrangements.clear()
        made = self._arrangements[by_place, keys] = Arrangement(keys, layout, by_place=by_place)
        return made


def _block(type_: ColumnType, cells: list[Any], dataframe: bool) -> NDArray[Any] | None:
    """NumPy text, which ``inputs`` and ``instances`` go through, knows neither null nor a NUL at the end."""
    if type_ is ColumnType.STRING and not dataframe and any(cell is None or "\0" in cell for cell in cells):
        return None
    return scalar_array(type_, cells)


def _flat(rows: list[Any], pick: Callable[[Any], Sequence[Any]] | None) -> list[Any]:
    """Return the picked cells row after row; without ``pick`` all of them."""
    if len(rows) == 1:
        row: Sequence[Any] = rows[0] if pick is None else pick(rows[0])
        return list(row)
    return list(chain.from_iterable(rows if pick is None else map(pick, rows)))


def _picker(keys: Sequence[Any]) -> Callable[[Any], Sequence[Any]]:
    if len(keys) == 1:
        key = keys[0]
        return lambda row: (row[key],)
    return itemgetter(*keys)


def _are_harmless(cells: list[Any]) -> bool:
    """Tell whether MLflow makes columns of these cells, which it then drops, without an error."""
    "".join(cell for cell in cells if type(cell) is str).encode()
    return set(map(type, cells)) <= _IGNORED_CELLS


def _are_labels(index: Any, rows: int) -> bool:
    if type(index) is not list or len(index) != rows or set(map(type, index)) != {int}:
        return False
    np.array(index, np.int64)  # raises where 64 bits do not hold one
    return True
