"""What is known of how good the predictions of a window were: realised from labels, and estimated without them."""

from typing import Any

from sqlalchemy import Connection, Row, select

from driftline.monitor.judge import iso
from driftline.store import schema
from driftline.store.records import Arm


def window_performance(
    connection: Connection, model_version_id: int, arm: Arm, window: tuple[int, int]
) -> list[dict[str, Any]]:
    """Return the newest result per metric that was computed of this window, realised ones first; empty without any."""
    t = schema.performance_result.c
    mine = (t.model_version_id == model_version_id) & (t.arm == arm)
    overlapping = (t.window_end > window[0]) & (t.window_start < window[1])
    query = select(schema.performance_result).where(mine & overlapping).order_by(t.computed_at, t.id)
    newest = {(row.estimated, row.metric): row for row in connection.execute(query)}
    return [_entry(row) for _, row in sorted(newest.items(), key=lambda found: found[0])]


def _entry(row: Row[Any]) -> dict[str, Any]:
    return {
        "metric": row.metric,
        "estimated": row.estimated,
        "window": {"start": iso(row.window_start), "end": iso(row.window_end), "rows": row.window_rows},
        "labelled_rows": row.labelled_rows,
        "value": row.value,
        "low": row.low,
        "high": row.high,
        "threshold": row.threshold,
        "breached": row.breached,
    }
