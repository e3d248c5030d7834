"""One Parquet file: the rows of a day, a model and a version.

Invariants
----------
- Under its final name a file is whole: it is written as ``.<name>.partial`` beside it, synced, and renamed.
- While a day may still grow, a marker ``_<name>.open`` lies beside the file, from before the file is there.
- Names of folders are percent-encoded: no model name leads out of the folder.
"""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from driftline.store.export.arrow_rows import arrow_schema
from driftline.store.prediction_tables import ModelVersion
from driftline.store.retention.days import day_text

_GROUP_ROWS, _GROUP_BYTES = 100_000, 32 << 20
_LONGEST_NAME = 240  # bytes; file systems take 255


@dataclass(frozen=True, slots=True)
class DayFile:
    """What is to be exported, and where it goes.

    Attributes:
        rows: in the store.
        is_open: whether the day may still grow.
    """

    day: int
    version: ModelVersion
    rows: int
    is_open: bool

    def path(self, folder: Path) -> Path:
        """Return the file's final name: ``dt=2026-01-31/model=NAME/version=V/rows-FINGERPRINT.parquet``."""
        fingerprint = self.version.table.name.rsplit("_", 1)[1]
        model, version = _segment("model", self.version.name), _segment("version", self.version.version)
        return folder / f"dt={day_text(self.day)}" / model / version / f"rows-{fingerprint}.parquet"

    def is_finished(self, folder: Path) -> bool:
        """Whether the file is there, closed, and holds as many rows as the store or more (it may have been pruned)."""
        path = self.path(folder)
        if not path.exists() or _marker(path).exists():
            return False
        try:
            return self.row_count(folder) >= self.rows
        except (pa.ArrowException, OSError):
            return False

    def row_count(self, folder: Path) -> int:
        """Return how many rows the file holds."""
        return int(pq.read_metadata(self.path(folder)).num_rows)

    def write(self, folder: Path, tables: Iterable[Any]) -> int:
        """Write the tables, replacing what is there; return how many rows they had."""
        path = self.path(folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.is_open:
            _marker(path).touch()
        partial = path.with_name(f".{path.name}.partial")
        with partial.open("wb") as file:
            rows = _write(file, self.version, tables)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _sync_folder(path.parent)
        if not self.is_open:
            _marker(path).unlink(missing_ok=True)
        return rows


def _write(file: Any, version: ModelVersion, tables: Iterable[Any]) -> int:
    about = {"driftline.model": version.name, "driftline.version": version.version}
    schema = arrow_schema(version).with_metadata(about)
    group: list[Any] = []
    rows = rows_in_group = bytes_in_group = 0
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for table in tables:
            group.append(table)
            rows, rows_in_group = rows + len(table), rows_in_group + len(table)
            bytes_in_group += table.nbytes
            if rows_in_group >= _GROUP_ROWS or bytes_in_group >= _GROUP_BYTES:
                writer.write_table(pa.concat_tables(group), row_group_size=rows_in_group)
                group, rows_in_group, bytes_in_group = [], 0, 0
        if group:
            writer.write_table(pa.concat_tables(group), row_group_size=rows_in_group)
    return rows


def _marker(path: Path) -> Path:
    return path.with_name(f"_{path.stem}.open")


def _segment(key: str, value: str) -> str:
    """Return ``key=value`` as the name of a folder; what is too long ends in its hash."""
    encoded = f"{key}={quote(value, safe='')}"
    if len(encoded) <= _LONGEST_NAME:
        return encoded
    return f"{encoded[: _LONGEST_NAME - 20]}~{hashlib.sha256(value.encode()).hexdigest()[:16]}"


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
