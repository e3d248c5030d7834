"""Exported rows back from Parquet as the typed columns that were stored: what a backfill reads in place of the store.

Invariants
----------
- A day is taken from its file only where that file holds all its rows: retention has taken the day from the store, or
  the store counts as many rows as the file. Else the store's rows are taken.
- Rows that came for a day after it was exported and pruned are in the store alone: they are taken from there, by their
  invocations' ids, so that no row counts twice.
- Memory holds one batch of a row group, however large the file.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
from sqlalchemy import Connection, select

from driftline.store.backfill import StoredRows
from driftline.store.errors import DriftlineError
from driftline.store.export.arrow_rows import field_names
from driftline.store.export.day_file import DayFile
from driftline.store.partitions import DAY_US
from driftline.store.payload.typed_cells import Column, object_or_typed
from driftline.store.prediction_columns import ColumnType
from driftline.store.prediction_tables import ModelVersion
from driftline.store.profile_levels import HOUR_US
from driftline.store.reads import count_rows
from driftline.store.records import Arm
from driftline.store.retention.ledger import complete_from
from driftline.store.stored_rows import RowChunk, read_rows, within

_BATCH_ROWS = 10_000
_IDS = 500  # of invocations, looked up at a time
_FLOATS = (ColumnType.DOUBLE, ColumnType.FLOAT)
ARMS = {arm.name.lower(): int(arm) for arm in Arm}


class ParquetRows:
    """The rows of a folder that ``driftline store export`` wrote, and the store's where the folder lacks them."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise DriftlineError(f"expected a folder of `driftline store export`, found none at {folder}")
        self._folder = folder
        self.name = str(folder.resolve())

    def days(self, connection: Connection, version: ModelVersion) -> list[int]:
        exported = [
            day for each in self._folder.glob("dt=*") if (day := _day(each.name)) is not None
            and DayFile(day, version, 0, False).is_finished(self._folder)
        ]  # fmt: skip
        return sorted({*exported, *StoredRows().days(connection, version)})

    def hours(self, connection: Connection, version: ModelVersion, day_us: int) -> Callable[[int], Iterator[RowChunk]]:
        file = DayFile(day_us // DAY_US, version, 0, False)
        is_finished = file.is_finished(self._folder)
        stored = StoredRows().hours(connection, version, day_us)
        if day_us >= complete_from(connection):
            if not is_finished or file.row_count(self._folder) != count_rows(
                connection, version, day_us, day_us + DAY_US
            ):
                return stored
            return lambda hour: _of_file(file.path(self._folder), version, hour)
        if not is_finished:
            return stored

        def both(hour: int) -> Iterator[RowChunk]:
            path = file.path(self._folder)
            yield from _of_file(path, version, hour)
            yield from _late(connection, path, version, hour)

        return both


def chunk_of(batch: Any, version: ModelVersion, names: dict[str, str]) -> RowChunk:
    """Return an Arrow batch as rows; ``names`` are the batch's names of the columns, by ``column_name``."""
    received_at, arm = batch.column("received_at"), batch.column("arm")
    if pa.types.is_timestamp(received_at.type):
        received_at = received_at.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    codes = [ARMS[each] for each in arm.to_pylist()] if pa.types.is_string(arm.type) else arm.to_pylist()
    return RowChunk(
        received_at.to_numpy(zero_copy_only=False).astype(np.int64),
        np.array(codes, np.int16),
        {c.column_name: _cells(c.type, batch.column(names[c.column_name])) for c in version.columns},
    )


def _cells(type_: ColumnType, cells: Any) -> Column:
    if type_ in _FLOATS:
        dtype = np.float32 if type_ is ColumnType.FLOAT else np.float64
        floats: Column = cells.cast(pa.float64()).to_numpy(zero_copy_only=False).astype(dtype)
        return floats
    if type_ is ColumnType.DATETIME and pa.types.is_timestamp(cells.type):
        cells = cells.cast(pa.timestamp("us", cells.type.tz)).cast(pa.int64())
    return object_or_typed(type_, cells.to_pylist())


def _of_file(path: Path, version: ModelVersion, hour_us: int) -> Iterator[RowChunk]:
    names = field_names(version)
    columns = ["received_at", "arm", *names.values()]
    for batch in _scan(path, hour_us, columns):
        if batch.num_rows:
            yield chunk_of(batch, version, names)


def _scan(path: Path, hour_us: int, columns: list[str]) -> Iterator[Any]:
    """Yield the rows of an hour; groups of rows of other hours are not read."""
    type_ = pa.timestamp("us", "UTC")
    start, end = (pa.scalar(at, pa.int64()).cast(type_) for at in (hour_us, hour_us + HOUR_US))
    inside = (ds.field("received_at") >= start) & (ds.field("received_at") < end)
    yield from (
        ds.dataset(path)
        .scanner(columns=columns, filter=inside, batch_size=_BATCH_ROWS, batch_readahead=1, fragment_readahead=1)
        .to_batches()
    )


def _late(connection: Connection, path: Path, version: ModelVersion, hour_us: int) -> Iterator[RowChunk]:
    t = version.table.c
    inside = within(version, hour_us, hour_us + HOUR_US)
    stored = {bytes(id_) for id_ in connection.scalars(select(t.invocation_id).where(inside).distinct())}
    if not stored:
        return
    for batch in _scan(path, hour_us, ["invocation_id"]):
        stored -= {UUID(id_).bytes for id_ in batch.column("invocation_id").to_pylist()}
    ids = sorted(stored)
    for start in range(0, len(ids), _IDS):
        yield from read_rows(connection, version, inside & t.invocation_id.in_(ids[start : start + _IDS]))


def _day(folder: str) -> int | None:
    try:
        return int(datetime.strptime(folder, "dt=%Y-%m-%d").replace(tzinfo=UTC).timestamp()) // 86_400
    except ValueError:
        return None
