"""Findings on data quality in the store."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from driftline.monitor.quality.finding import QualityFinding
from driftline.store import schema
from driftline.store.records import Arm


def save_findings(
    connection: Connection,
    findings: Sequence[QualityFinding],
    *,
    job_run_id: int,
    model_version_id: int,
    arm: Arm,
    at_us: int,
) -> None:
    """Write what one run found in one arm."""
    if not findings:
        return
    connection.execute(
        insert(schema.quality_result),
        [
            {
                "model_version_id": model_version_id,
                "job_run_id": job_run_id,
                "arm": arm,
                "kind": f.kind,
                "side": f.side,
                "column_name": f.name,
                "window_start": f.window[0],
                "window_end": f.window[1],
                "window_rows": f.window_rows,
                "observed": f.observed,
                "expected": f.expected,
                "threshold": f.threshold,
                "verdict": f.verdict,
                "reason": f.reason,
                "computed_at": at_us,
            }
            for f in findings
        ],
    )


def newest_findings(connection: Connection, model_version_id: int, arm: Arm) -> Sequence[Row[Any]]:
    """Return the rows of ``quality_result`` that the last run wrote for one version and arm, as it found them."""
    t = schema.quality_result
    mine = (t.c.model_version_id == model_version_id) & (t.c.arm == arm)
    newest = connection.scalar(
        select(t.c.job_run_id).where(mine).order_by(t.c.computed_at.desc(), t.c.id.desc()).limit(1)
    )
    return connection.execute(select(t).where(mine & (t.c.job_run_id == newest)).order_by(t.c.id)).all()
