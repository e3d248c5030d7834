"""Findings on data quality in the store."""

from collections.abc import Sequence

from sqlalchemy import Connection, insert

from driftline.monitor.quality.finding import Kind, QualityFinding, QualityVerdict
from driftline.monitor.rows.newest_run import newest_run
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


def newest_findings(
    connection: Connection, model_version_id: int, arm: Arm, within_us: tuple[int, int] | None = None
) -> list[QualityFinding]:
    """Return what the last run found in one version and arm, in its order; empty while none ran.

    Kinds that a newer release wrote are left out.

    Args:
        within_us: start (exclusive) and end of the time in which that run must have been; None: any.
    """
    t = schema.quality_result
    mine = (t.c.model_version_id == model_version_id) & (t.c.arm == arm)
    if within_us is not None:
        mine &= (t.c.computed_at > within_us[0]) & (t.c.computed_at <= within_us[1])
    return [
        QualityFinding(
            kind=Kind(row.kind),
            side=row.side,
            name=row.column_name,
            window=(row.window_start, row.window_end),
            window_rows=row.window_rows,
            observed=row.observed,
            expected=row.expected,
            threshold=row.threshold,
            verdict=QualityVerdict(row.verdict),
            reason=row.reason,
        )
        for row in newest_run(connection, t, mine, shown=t.c.kind.in_(tuple(Kind)))
    ]
