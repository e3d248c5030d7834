"""Prediction rows as Arrow tables: typed columns under the signature's names."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from sqlalchemy import Connection, Select, select

from driftline.store.prediction_columns import ColumnType
from driftline.store.prediction_tables import ModelVersion
from driftline.store.records import Arm
from driftline.store.stored_rows import cell_names, columns_of, within

_CELLS = 200_000  # fetched at a time
_MOST_ROWS = 5_000
_HOUR_US = 3_600_000_000
# What every file has, and what the folders' names add when a data set is read.
_FIXED = ("invocation_id", "row", "received_at", "arm")
_FOLDERS = ("dt", "model", "version")

_TYPES = {
    ColumnType.DOUBLE: pa.float64(),
    ColumnType.FLOAT: pa.float32(),
    ColumnType.LONG: pa.int64(),
    ColumnType.INTEGER: pa.int32(),
    ColumnType.BOOLEAN: pa.bool_(),
    ColumnType.STRING: pa.string(),
    ColumnType.DATETIME: pa.timestamp("us"),  # as MLflow's: UTC, without a zone
    ColumnType.BINARY: pa.binary(),
    ColumnType.JSON: pa.string(),
}


def field_names(version: ModelVersion) -> dict[str, str]:
    """Return the name of each column in the files, by ``column_name``.

    It is the signature's; a name that is taken (letter case aside), empty, or no text falls back to ``column_name``.
    """
    names: dict[str, str] = {}
    taken = {*_FIXED, *_FOLDERS, *(column.column_name for column in version.columns)}
    for column in version.columns:
        fits = column.name.strip() and "\0" not in column.name and _is_text(column.name)
        name = column.name if fits and column.name.lower() not in taken else column.column_name
        taken.add(name.lower())
        names[column.column_name] = name
    return names


def arrow_schema(version: ModelVersion) -> Any:
    """Return the ``pyarrow.Schema`` of a version's files."""
    names = field_names(version)
    fixed = [("invocation_id", pa.string()), ("row", pa.int32()), ("received_at", pa.timestamp("us", "UTC")),
             ("arm", pa.string())]  # fmt: skip
    return pa.schema([*fixed, *((names[c.column_name], _TYPES[c.type]) for c in version.columns)])


def arrow_rows(connection: Connection, version: ModelVersion, start_us: int, end_us: int) -> Iterator[Any]:
    """Yield the version's rows of a span as ``pyarrow.Table``, in order of time, invocation and row.

    Memory holds some ``_CELLS`` cells; the engine sorts an hour at a time.
    """
    schema, names = arrow_schema(version), cell_names(version)
    t = version.table.c
    fetched = max(100, min(_MOST_ROWS, _CELLS // max(1, len(version.columns))))
    for start in range(start_us, end_us, _HOUR_US):
        condition = within(version, start, min(end_us, start + _HOUR_US))
        query: Select[Any] = select(t.received_at, t.invocation_id, t.row_index, t.arm, *(t[name] for name in names))
        query = query.where(condition).order_by(t.received_at, t.invocation_id, t.row_index)
        result = connection.execute(query.execution_options(yield_per=fetched))
        for rows in result.partitions():
            yield _table(version, schema, names, rows)


def _table(version: ModelVersion, schema: Any, names: Sequence[str], rows: Sequence[Any]) -> Any:
    received_at, ids, row_index, arms, *cells = zip(*rows, strict=True)
    columns = columns_of(version, names, cells)
    arrays = [
        pa.array([_uuid(each) for each in ids], pa.string()),
        pa.array(row_index, pa.int32()),
        pa.array(received_at, pa.int64()).cast(pa.timestamp("us", "UTC")),
        pa.array([Arm(arm).name.lower() for arm in arms], pa.string()),
    ]
    for column in version.columns:
        type_ = _TYPES[column.type]
        held = pa.int64() if column.type is ColumnType.DATETIME else type_
        values = columns[column.column_name]
        missing = np.isnan(values) if values.dtype.kind == "f" else None
        arrays.append(pa.array(values, held, mask=missing).cast(type_))
    return pa.table(arrays, schema=schema)


def _uuid(raw: bytes) -> str:
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
