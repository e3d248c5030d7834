"""Export the store's rows as Parquet files by day, model and version.

Invariants
----------
- A run that was killed is resumed by the same command: finished files are skipped, the result is that of one run.
- A file is one snapshot of its day; a day that rows came to late is written again, a day that was pruned is kept.
- Today's files are marked open and written again by every run until their day is over.
- One export at a time works on a folder.
- Memory is bounded by a row group, whatever the day.
"""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, func, select

from driftline.store.errors import DriftlineError, ModelNotFound
from driftline.store.export.arrow_rows import arrow_rows
from driftline.store.export.day_file import DayFile
from driftline.store.partitions import DAY_US, day_of
from driftline.store.prediction_tables import ModelVersion
from driftline.store.reads import model_versions
from driftline.store.retention.days import stored_days, whole_days

_END_OF_TIME = 2**62
_LOCK_NAME = ".driftline-export.lock"


@dataclass(slots=True)
class ExportReport:
    """What was done: files and rows written, files that were finished already."""

    files: int = 0
    rows: int = 0
    skipped: int = 0


def day_files(engine: Engine, since_us: int | None, model: str | None, now_us: int) -> list[DayFile]:
    """Return what the store has to export, oldest first.

    Args:
        since_us: the day of this moment is the first; None begins with the oldest.
        model: the name of one model; None means all.

    Raises:
        ModelNotFound: the store knows no model of that name.
    """
    with engine.connect() as connection:
        versions = model_versions(connection, model)
        if model is not None and not versions:
            raise ModelNotFound(f"the store holds no model {model}: `driftline store status` names those that it holds")
        first = -(2**31) if since_us is None else day_of(since_us)
        days = [day for day in stored_days(connection, _END_OF_TIME) if day >= first]
        return [file for day in days for file in _of_day(connection, versions, day, now_us)]


def export(
    engine: Engine, folder: Path, files: list[DayFile], on_rows: Callable[[int], None] = lambda _: None
) -> ExportReport:
    """Write the files that are not finished; ``on_rows`` hears of every few thousand rows.

    Raises:
        DriftlineError: the folder cannot be written to, or another export works on it.
    """
    report = ExportReport()
    try:
        with _alone(folder):
            for file in files:
                if file.is_finished(folder):
                    report.skipped += 1
                    on_rows(file.rows)
                    continue
                report.rows += _export_file(engine, folder, file, on_rows)
                report.files += 1
    except OSError as error:
        raise DriftlineError(
            f"the export cannot write to {folder} ({error.strerror or error}): mend it and run the same command again"
        ) from error
    return report


def _export_file(engine: Engine, folder: Path, file: DayFile, on_rows: Callable[[int], None]) -> int:
    with whole_days(engine) as connection:
        tables = arrow_rows(connection, file.version, file.day * DAY_US, (file.day + 1) * DAY_US)
        return file.write(folder, _told(tables, on_rows))


def _told(tables: Iterator[Any], on_rows: Callable[[int], None]) -> Iterator[Any]:
    for table in tables:
        yield table
        on_rows(len(table))


def _of_day(connection: Connection, versions: list[ModelVersion], day: int, now_us: int) -> Iterator[DayFile]:
    tables = {version.table.name: version.table for version in versions}
    counts: dict[int, int] = {}
    for table in tables.values():
        t = table.c
        inside = (t.received_at >= day * DAY_US) & (t.received_at < (day + 1) * DAY_US)
        query = select(t.model_version_id, func.count()).where(inside).group_by(t.model_version_id)
        counts.update((key, count) for key, count in connection.execute(query))
    for version in versions:
        if version.id in counts:
            yield DayFile(day, version, counts[version.id], day >= day_of(now_us))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK_NAME).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DriftlineError(f"another export works on {folder}: wait for its end") from error
        yield
