"""Prediction rows back from SQL as the typed columns that were stored."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Select, select

from driftline.store.loader.batch_rows import unfold
from driftline.store.payload.typed_cells import Column, object_or_typed
from driftline.store.prediction_columns import ColumnType
from driftline.store.prediction_tables import ARRAY_COLUMN, ModelVersion

_CHUNK_ROWS = 5_000
_FLOATS = (ColumnType.DOUBLE, ColumnType.FLOAT)


@dataclass(slots=True)
class RowChunk:
    """Some rows of a prediction table; ``columns`` by ``column_name``."""

    received_at: NDArray[np.int64]
    arms: NDArray[np.int16]
    columns: dict[str, Column]

    def __len__(self) -> int:
        return len(self.received_at)


def within(
    version: ModelVersion,
    start_us: int | None,
    end_us: int | None,
    arm: int | None = None,
    received_at: ColumnElement[int] | None = None,
) -> ColumnElement[bool]:
    """Return the condition for a version's rows with ``start_us <= received_at < end_us``.

    Args:
        received_at: how the statement is to name that column, where not as usual.
    """
    t = version.table.c
    at = t.received_at if received_at is None else received_at
    condition = t.model_version_id == version.id
    if start_us is not None:
        condition &= at >= start_us
    if end_us is not None:
        condition &= at < end_us
    return condition if arm is None else condition & (t.arm == arm)


def read_rows(connection: Connection, version: ModelVersion, condition: ColumnElement[bool]) -> Iterator[RowChunk]:
    """Yield the rows that meet ``condition``, in chunks, in no particular order."""
    names = cell_names(version)
    t = version.table.c
    query: Select[Any] = select(t.received_at, t.arm, *(t[name] for name in names)).where(condition)
    result = connection.execute(query.execution_options(yield_per=_CHUNK_ROWS))
    for rows in result.partitions():
        received_at, arms, *cells = zip(*rows, strict=True)
        columns = columns_of(version, names, cells)
        yield RowChunk(np.array(received_at, np.int64), np.array(arms, np.int16), columns)


def cell_names(version: ModelVersion) -> list[str]:
    """Return the columns of the version's table that hold cells."""
    folded = {column.column_name for column in version.array_columns}
    names = [column.column_name for column in version.columns if column.column_name not in folded]
    return [ARRAY_COLUMN, *names] if folded else names


def holding_column(version: ModelVersion, column_name: str) -> str:
    """Return the column of the version's table that holds the cells of a column of the signature."""
    return ARRAY_COLUMN if column_name in {column.column_name for column in version.array_columns} else column_name


def columns_of(version: ModelVersion, names: Sequence[str], cells: Sequence[Sequence[Any]]) -> dict[str, Column]:
    """Return typed columns of SQL values, one sequence per name."""
    types = {column.column_name: column.type for column in version.columns}
    columns: dict[str, Column] = {}
    for name, values in zip(names, cells, strict=True):
        if name == ARRAY_COLUMN:
            matrix = [np.frombuffer(v, "<f8") if isinstance(v, bytes) else np.array(v, np.float64) for v in values]
            columns.update(unfold(version, np.stack(matrix)))
        elif types[name] in _FLOATS:
            dtype = np.float32 if types[name] is ColumnType.FLOAT else np.float64
            columns[name] = np.array(values, np.float64).astype(dtype)
        else:
            columns[name] = object_or_typed(types[name], values)
    return columns
