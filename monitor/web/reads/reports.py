"""Which reports are kept, without their contents."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, select

from driftline.monitor.report.drift_report import DriftReport, unpack
from driftline.store import schema

_LARGEST_ID = 2**63 - 1
_MOST_REPORTS = 500


@dataclass(frozen=True, slots=True)
class KeptReport:
    """One report; times are microseconds since the epoch."""

    id: int
    model_version_id: int
    window_start_us: int
    window_end_us: int
    made_at_us: int


def newest_reports(connection: Connection, version_ids: Collection[int], most: int = _MOST_REPORTS) -> list[KeptReport]:
    """Return the reports of some versions, newest first.

    The MLflow run is left out on purpose: it lies behind megabytes of HTML in SQLite's rows.
    """
    t = schema.report.c
    query = select(t.id, t.model_version_id, t.window_start, t.window_end, t.made_at)
    rows = connection.execute(
        query.where(t.model_version_id.in_(version_ids)).order_by(t.made_at.desc(), t.id.desc()).limit(most)
    )
    return [KeptReport(*row) for row in rows]


def report_by_id(connection: Connection, report_id: int) -> DriftReport | None:
    """Return one report, whole; None where it is not kept."""
    if report_id > _LARGEST_ID:  # an address may hold what is no key of the table
        return None
    row = connection.execute(select(schema.report).where(schema.report.c.id == report_id)).one_or_none()
    return unpack(row) if row else None
