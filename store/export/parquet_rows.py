"""Exported rows back from Parquet as the typed columns that were stored: what a backfill reads in place of the store.

Invariants
----------
- A day is taken from its file only where that file holds all its rows: retention has taken the day from the store, or
  the store counts as many rows as the file. Else the store's rows are taken.
- Rows that came for a day after it was exported and pruned are in the store alone: they are taken from there, by their
  invocations' ids, so that no row counts twice.
- Memory holds one batch of a row group, however large the file.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
from sqlalchemy import Connection, select

from driftline.store.backfill import Minute, OnHours, StoredRows, minutes_of_day
from driftline.store.errors import DriftlineError
from driftline.store.export.arrow_rows import field_names
from driftline.store.export.day_file import DayFile
from driftline.store.partitions import DAY_US
from driftline.store.payload.typed_cells import Column, object_or_typed
from driftline.store.prediction_columns import ColumnType, PredictionColumn
from driftline.store.prediction_tables import ModelVersion
from driftline.store.profile.reference import Reference
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
        return sorted({*self._finished(version), *StoredRows().days(connection, version)})

    def files(self, version: ModelVersion) -> list[Path]:
        """Return the closed files of a version."""
        return [file.path(self._folder) for file in self._finished(version).values()]

    def whole_file(self, connection: Connection, version: ModelVersion, day_us: int) -> Path | None:
        """Return the file that holds all rows of a day that were there before it was pruned; None where none does."""
        file = self._finished(version).get(day_us // DAY_US)
        if file is None:
            return None
        is_whole = day_us < complete_from(connection) or (
            file.row_count(self._folder) == count_rows(connection, version, day_us, day_us + DAY_US)
        )
        return file.path(self._folder) if is_whole else None

    def minutes(
        self, connection: Connection, version: ModelVersion, reference: Reference, day_us: int, on_hours: OnHours
    ) -> Iterator[Minute]:
        path = self.whole_file(connection, version, day_us)
        if path is None:
            return StoredRows().minutes(connection, version, reference, day_us, on_hours)
        is_pruned = day_us < complete_from(connection)

        def of_span(start_us: int, end_us: int) -> Iterator[RowChunk]:
            yield from _of_file(path, version, start_us, end_us)
            if is_pruned:
                yield from _late(connection, path, version, start_us, end_us)

        return minutes_of_day(reference, of_span, day_us, on_hours)

    def _finished(self, version: ModelVersion) -> dict[int, DayFile]:
        days = (_day(each.name) for each in self._folder.glob("dt=*"))
        files = {day: DayFile(day, version, 0, False) for day in days if day is not None}
        return {day: file for day, file in files.items() if file.is_finished(self._folder)}


def chunk_of(batch: Any, columns: Sequence[PredictionColumn], names: dict[str, str]) -> RowChunk:
    """Return an Arrow batch as rows; ``names`` are the batch's names of the columns, by ``column_name``."""
    received_at, arm = batch.column("received_at"), batch.column("arm")
    if pa.types.is_timestamp(received_at.type):
        received_at = received_at.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    codes = arm.to_pylist() if pa.types.is_integer(arm.type) else [ARMS[each] for each in arm.to_pylist()]
    return RowChunk(
        received_at.to_numpy(zero_copy_only=False).astype(np.int64),
        np.array(codes, np.int16),
        {c.column_name: _cells(c.type, batch.column(names[c.column_name])) for c in columns},
    )


def _cells(type_: ColumnType, cells: Any) -> Column:
    if type_ in _FLOATS:
        dtype = np.float32 if type_ is ColumnType.FLOAT else np.float64
        floats: Column = cells.cast(pa.float64()).to_numpy(zero_copy_only=False).astype(dtype)
        return floats
    if type_ is ColumnType.DATETIME and pa.types.is_timestamp(cells.type):
        cells = cells.cast(pa.timestamp("us", cells.type.tz)).cast(pa.int64())
    return object_or_typed(type_, cells.to_pylist())


def _of_file(path: Path, version: ModelVersion, start_us: int, end_us: int) -> Iterator[RowChunk]:
    names = field_names(version)
    columns = ["received_at", "arm", *names.values()]
    for batch in _scan(path, start_us, end_us, columns):
        if batch.num_rows:
            yield chunk_of(batch, version.columns, names)


def _scan(path: Path, start_us: int, end_us: int, columns: list[str]) -> Iterator[Any]:
    """Yield the rows of a span; groups of rows that lie outside are not read."""
    type_ = pa.timestamp("us", "UTC")
    start, end = (pa.scalar(at, pa.int64()).cast(type_) for at in (start_us, end_us))
    inside = (ds.field("received_at") >= start) & (ds.field("received_at") < end)
    yield from (
        ds.dataset(path)
        .scanner(columns=columns, filter=inside, batch_size=_BATCH_ROWS, batch_readahead=1, fragment_readahead=1)
        .to_batches()
    )


def _late(connection: Connection, path: Path, version: ModelVersion, start_us: int, end_us: int) -> Iterator[RowChunk]:
    ids = stored_ids(connection, version, start_us, end_us)
    if ids:
        for batch in _scan(path, start_us, end_us, ["invocation_id"]):
            ids -= {UUID(id_).bytes for id_ in batch.column("invocation_id").to_pylist()}
    yield from late_rows(connection, version, start_us, end_us, ids)


def stored_ids(connection: Connection, version: ModelVersion, start_us: int, end_us: int) -> set[bytes]:
    """Return the ids of the invocations whose rows the store holds of a span."""
    query = select(version.table.c.invocation_id).where(within(version, start_us, end_us)).distinct()
    return {bytes(id_) for id_ in connection.scalars(query)}


def late_rows(
    connection: Connection, version: ModelVersion, start_us: int, end_us: int, ids: set[bytes]
) -> Iterator[RowChunk]:
    """Yield the stored rows of these invocations."""
    inside, ordered = within(version, start_us, end_us), sorted(ids)
    for start in range(0, len(ordered), _IDS):
        some = version.table.c.invocation_id.in_(ordered[start : start + _IDS])
        yield from read_rows(connection, version, inside & some)


def _day(folder: str) -> int | None:
    try:
        return int(datetime.strptime(folder, "dt=%Y-%m-%d").replace(tzinfo=UTC).timestamp()) // 86_400
    except ValueError:
        return None
