"""The same profiles on Spark, for history that is too much for one machine: counted where the rows lie, added up here.

A day is one Spark job: its executors run ``profile_batches`` over their partitions and send packed profiles, not rows.

Invariants
----------
- The profiles are those of ``backfill`` on one machine, to the bit, however Spark has cut and ordered the rows.
- An executor holds ``MOST_OPEN`` profiles and one batch, the driver the profiles of an hour.
- This module imports Spark nowhere at its top: executors import it, and so may anyone without Spark.

Executors need ``driftline`` installed (``driftline[spark]``).
"""

import functools
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
from sqlalchemy import Connection

from driftline.store.backfill import Minute, OnHours, StoredRows, add_chunk, in_order
from driftline.store.export.arrow_rows import field_names
from driftline.store.export.parquet_rows import ParquetRows, chunk_of, late_rows, stored_ids
from driftline.store.prediction_columns import PredictionColumn
from driftline.store.prediction_tables import ModelVersion
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference
from driftline.store.profile_levels import DAY_US, HOUR, floor
from driftline.store.retention.ledger import complete_from

MOST_OPEN = 64
SCHEMA = "arm smallint, minute bigint, counts binary"


def profile_batches(
    reference: bytes, columns: Sequence[PredictionColumn], names: dict[str, str], batches: Iterable[Any]
) -> Iterator[Any]:
    """Yield packed profiles of Arrow batches, per arm and minute; a minute may come several times. For ``mapInArrow``.

    Args:
        reference: ``Reference.to_bytes``.
        columns: of the model version.
        names: what the batches call them, by ``column_name``.
    """
    known, open_ = Reference.from_bytes(reference), dict[tuple[int, int], Profile]()
    for batch in batches:
        if batch.num_rows:
            add_chunk(open_, known, chunk_of(batch, columns, names))
        if len(open_) > MOST_OPEN:
            yield _packed([(*key, open_.pop(key)) for key in list(open_)[:-MOST_OPEN]])
    if open_:
        yield _packed([(*key, profile) for key, profile in open_.items()])


def _packed(profiles: list[Minute]) -> Any:
    arms, minutes, counted = zip(*profiles, strict=True)
    return pa.RecordBatch.from_arrays(
        [
            pa.array(arms, pa.int16()),
            pa.array(minutes, pa.int64()),
            pa.array([profile.to_bytes() for profile in counted], pa.binary()),
        ],
        names=["arm", "minute", "counts"],
    )


class SparkRows:
    """Rows of a Spark data frame, as a backfill takes them.

    The frame has ``invocation_id``, ``received_at``, ``arm`` and the version's columns, under the signature's names as
    in an export or under those of the version's table as JDBC reads them; rows of other versions are passed over.
    """

    def __init__(self, frame: Any, name: str, exported: ParquetRows | None = None) -> None:
        """Take ``frame``: the rows of the store, or of ``exported``, which then says what days it holds."""
        self.name = name
        self._frame = frame
        self._exported = exported

    def days(self, connection: Connection, version: ModelVersion) -> list[int]:
        return (self._exported or StoredRows()).days(connection, version)

    def minutes(
        self, connection: Connection, version: ModelVersion, reference: Reference, day_us: int, on_hours: OnHours
    ) -> Iterator[Minute]:
        if self._exported is not None and self._exported.whole_file(connection, version, day_us) is None:
            yield from StoredRows().minutes(connection, version, reference, day_us, on_hours)
            return
        frame = self._of_day(version, day_us)
        columns = set(frame.columns)
        names = field_names(version)
        if not columns.issuperset(names.values()):
            names = {column.column_name: column.column_name for column in version.columns}
        late = self._late(connection, version, reference, frame, day_us)
        needed = frame.select("received_at", "arm", *(f"`{name.replace('`', '``')}`" for name in names.values()))
        counting = functools.partial(profile_batches, reference.to_bytes(), version.columns, names)
        packed = needed.mapInArrow(counting, SCHEMA).orderBy("minute").toLocalIterator(prefetchPartitions=False)
        for hour, rows in groupby(packed, lambda row: floor(int(row.minute), HOUR)):
            profiles = late.pop(hour, {})
            for row in rows:
                total = profiles.setdefault((int(row.arm), int(row.minute)), reference.empty_profile())
                total += Profile.from_bytes(reference, bytes(row.counts))
            yield from in_order(profiles)
        for _, profiles in sorted(late.items(), key=lambda item: item[0]):
            yield from in_order(profiles)
        on_hours(24)

    def _of_day(self, version: ModelVersion, day_us: int) -> Any:
        from pyspark.sql import functions as f
        from pyspark.sql.types import LongType

        frame, at = self._frame, f.col("received_at")
        if "model_version_id" in frame.columns:
            frame = frame.filter(f.col("model_version_id") == version.id)
        if "dt" in frame.columns:
            frame = frame.filter(f.col("dt") == f.lit(datetime.fromtimestamp(day_us / 1e6, UTC).date()))
        if isinstance(frame.schema["received_at"].dataType, LongType):
            return frame.filter((at >= day_us) & (at < day_us + DAY_US))
        micros = f.unix_micros(at)
        return frame.filter((micros >= day_us) & (micros < day_us + DAY_US))

    def _late(
        self, connection: Connection, version: ModelVersion, reference: Reference, frame: Any, day_us: int
    ) -> dict[int, dict[tuple[int, int], Profile]]:
        """Return by hour the profiles of rows of a pruned day that are in the store and not in the frame."""
        found: dict[int, dict[tuple[int, int], Profile]] = {}
        if self._exported is None or day_us >= complete_from(connection):
            return found
        ids = stored_ids(connection, version, day_us, day_us + DAY_US)
        if ids:
            from pyspark.sql import functions as f

            texts = [str(UUID(bytes=id_)) for id_ in ids]
            known = frame.filter(f.col("invocation_id").isin(texts)).select("invocation_id").distinct().collect()
            ids -= {UUID(row.invocation_id).bytes for row in known}
        for chunk in late_rows(connection, version, day_us, day_us + DAY_US, ids):
            profiles: dict[tuple[int, int], Profile] = {}
            add_chunk(profiles, reference, chunk)
            for (arm, minute), profile in profiles.items():
                of_hour = found.setdefault(floor(minute, HOUR), {})
                total = of_hour.setdefault((arm, minute), reference.empty_profile())
                total += profile
        return found


def exported_rows(spark: Any, folder: Path, version: ModelVersion) -> SparkRows:
    """Return the rows of a version that ``driftline store export`` wrote to ``folder``, read by Spark."""
    exported = ParquetRows(folder)
    paths = [str(path) for path in exported.files(version)]
    frame = spark.read.option("basePath", str(folder)).parquet(*paths) if paths else None
    return SparkRows(frame, f"spark:{exported.name}", exported)
