"""Reports in the store: there before MLflow hears of them, so that an MLflow that is down loses none.

Invariants
----------
- There is one report per model version and window, whoever makes it.
- At most one monitor logs a report at a time: it claims the report first, and a claim ends after ``CLAIM_US``.
- What lists reports never reads their files: these lie in a table of their own.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import zstandard
from sqlalchemy import Connection, Engine, Select, delete, func, insert, or_, select, update

from driftline.monitor.report.drift_report import SUMMARY, DriftReport, current_format
from driftline.store import schema
from driftline.store.engine import writing
from driftline.store.records import MICROSECONDS

CLAIM_US = 900 * MICROSECONDS
MOST_LISTED = 500
_LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class KeptReport:
    """One kept report, without its contents; times are microseconds since the epoch.

    Attributes:
        mlflow_run_id: None while MLflow has not got it.
    """

    id: int
    model_version_id: int
    window_start_us: int
    window_end_us: int
    made_at_us: int
    scheduled: bool
    verdict: str | None
    mlflow_run_id: str | None

    @property
    def window(self) -> tuple[int, int]:
        return self.window_start_us, self.window_end_us


def keep(engine: Engine, model_version_id: int, report: DriftReport, made_at_us: int) -> KeptReport:
    """Write the report, in the place of an earlier one of the same window, whose run in MLflow stays its own.

    A report that the schedule asked for stays one, whoever makes it anew.
    """
    t, (start, end) = schema.report, report.window
    of_window = (t.c.model_version_id == model_version_id, t.c.window_start == start, t.c.window_end == end)
    packed = {**report.files, SUMMARY: orjson.dumps(report.content)}
    compressor = zstandard.ZstdCompressor()
    with writing(engine) as connection:
        _lock(connection)
        earlier = connection.execute(select(t.c.id, t.c.scheduled).where(*of_window)).one_or_none()
        values = {
            "made_at": made_at_us,
            "verdict": report.verdict,
            "scheduled": report.scheduled or bool(earlier and earlier.scheduled),
        }
        if earlier is None:
            new = insert(t).values(model_version_id=model_version_id, window_start=start, window_end=end, **values)
            key = connection.execute(new).inserted_primary_key
            assert key is not None
            report_id = int(key[0])
        else:
            report_id = earlier.id
            connection.execute(update(t).where(t.c.id == report_id).values(**values))
            connection.execute(delete(schema.report_file).where(schema.report_file.c.report_id == report_id))
        files = [
            {"report_id": report_id, "name": name, "content": compressor.compress(content)}
            for name, content in packed.items()
        ]
        connection.execute(insert(schema.report_file), files)
        (row,) = connection.execute(_listed().where(t.c.id == report_id)).all()
    return KeptReport(*row)


def _lock(connection: Connection) -> None:
    """Have two monitors that make the same report wait for each other; SQLite's writers do anyway."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE report IN SHARE ROW EXCLUSIVE MODE")


def claim(engine: Engine, report_id: int, now_us: int) -> bool:
    """Return whether it is the caller who logs the report now; one that is in MLflow or claimed by another is not."""
    t = schema.report.c
    free = or_(t.claimed_at.is_(None), t.claimed_at < now_us - CLAIM_US, t.claimed_at > now_us + CLAIM_US)
    claimed = update(schema.report).where(t.id == report_id, t.mlflow_run_id.is_(None), free).values(claimed_at=now_us)
    with writing(engine) as connection:
        return connection.execute(claimed).rowcount == 1


def note_run(engine: Engine, report_id: int, run_id: str | None) -> None:
    """Remember in which MLflow run the report lies, None for in none; the claim ends."""
    t = schema.report
    values: dict[str, str | None] = {"claimed_at": None}
    if run_id is not None:
        values["mlflow_run_id"] = run_id
    with writing(engine) as connection:
        connection.execute(update(t).where(t.c.id == report_id).values(**values))


def newest_reports(connection: Connection, version_ids: Collection[int], most: int = MOST_LISTED) -> list[KeptReport]:
    """Return the reports of some versions, the newest window first."""
    t = schema.report.c
    query = _listed().where(t.model_version_id.in_(version_ids))
    rows = connection.execute(query.order_by(t.window_end.desc(), t.made_at.desc(), t.id.desc()).limit(most))
    return [KeptReport(*row) for row in rows]


def oldest_unlogged(connection: Connection) -> int | None:
    """Return the start of the first window whose scheduled report MLflow has not got; None where there is none."""
    t = schema.report.c
    found = connection.scalar(select(func.min(t.window_start)).where(t.scheduled, t.mlflow_run_id.is_(None)))
    return None if found is None else int(found)


def earlier_reports(connection: Connection, model_name: str, before_us: int, most: int) -> Iterator[KeptReport]:
    """Yield the scheduled reports of a model's versions whose windows ended before a time, the newest first."""
    t, v = schema.report.c, schema.model_version.c
    named = select(v.id).where(v.name == model_name)
    query = _listed().where(t.model_version_id.in_(named), t.window_end < before_us, t.scheduled)
    for row in connection.execute(query.order_by(t.window_end.desc(), t.id.desc()).limit(most)).all():
        yield KeptReport(*row)


def listed_report(connection: Connection, report_id: int) -> KeptReport | None:
    """Return one report without its contents; None where it is not kept."""
    if report_id > _LARGEST_ID:  # an address may hold what is no key of the table
        return None
    row = connection.execute(_listed().where(schema.report.c.id == report_id)).one_or_none()
    return KeptReport(*row) if row else None


def read_report(connection: Connection, report_id: int) -> DriftReport | None:
    """Return a report, whole; None where it is not kept."""
    f, kept, decompressor = schema.report_file, listed_report(connection, report_id), zstandard.ZstdDecompressor()
    if kept is None:
        return None
    files = {
        file.name: decompressor.decompress(file.content)
        for file in connection.execute(select(f.c.name, f.c.content).where(f.c.report_id == report_id))
    }
    content = current_format(orjson.loads(files.pop(SUMMARY)))
    return DriftReport(kept.window, content, files, kept.scheduled)


def read_content(connection: Connection, report_id: int) -> dict[str, Any] | None:
    """Return a report's JSON alone; None where it is not kept."""
    packed = read_file(connection, report_id, SUMMARY)
    return None if packed is None else current_format(orjson.loads(packed))


def read_file(connection: Connection, report_id: int, name: str) -> bytes | None:
    """Return one file of a report; None where it has none of this name."""
    if report_id > _LARGEST_ID:
        return None
    f = schema.report_file.c
    packed = connection.scalar(select(f.content).where(f.report_id == report_id, f.name == name))
    return None if packed is None else zstandard.ZstdDecompressor().decompress(packed)


def _listed() -> Select[Any]:
    t = schema.report.c
    return select(
        t.id, t.model_version_id, t.window_start, t.window_end, t.made_at, t.scheduled, t.verdict, t.mlflow_run_id
    )
