"""Performance by segment in the store: hours of labelled rows, how far labels are counted, and verdicts."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection, Row, delete, func, insert, select

from driftline.monitor.performance.hour import LabelledHour
from driftline.monitor.performance.task import Task
from driftline.monitor.performance_document import performance_document
from driftline.monitor.rows.newest_run import newest_run
from driftline.monitor.rows.performance_rows import hold_version
from driftline.store import schema
from driftline.store.labels.changes import ChangedHour

if TYPE_CHECKING:
    from driftline.monitor.segments.performance import SegmentPerformance


@dataclass(frozen=True, slots=True)
class SegmentProgress:
    """How far a version's labels are counted by one column's segments, and for which task."""

    labels_until_us: int
    task: Task


def segment_progress(connection: Connection, model_version_id: int) -> dict[str, SegmentProgress]:
    """Return how far a version's labels are counted, by the ``spec`` of the column."""
    t = schema.segment_performance_progress
    rows = connection.execute(select(t).where(t.c.model_version_id == model_version_id))
    return {row.spec: SegmentProgress(row.labels_until, Task.from_json(orjson.loads(row.task))) for row in rows}


def save_segment_hours(
    connection: Connection,
    model_version_id: int,
    spec: str,
    hours: Mapping[ChangedHour, Mapping[str, LabelledHour]],
    progress: SegmentProgress,
    *,
    anew: bool,
) -> None:
    """Put counted hours in the place of what is kept of them, and note how far labels are counted.

    Args:
        hours: their labelled rows by segment.
        anew: the other hours were counted for another task, and go.
    """
    t, p = schema.segment_performance_hour, schema.segment_performance_progress
    mine = (t.c.model_version_id == model_version_id) & (t.c.spec == spec)
    hold_version(connection, model_version_id)
    if anew:
        connection.execute(delete(t).where(mine))
    rows = []
    for hour, segments in hours.items():
        connection.execute(delete(t).where(mine & (t.c.arm == hour.arm) & (t.c.hour_start == hour.hour_us)))
        owner = {"model_version_id": model_version_id, "spec": spec, "arm": hour.arm, "hour_start": hour.hour_us}
        rows += [
            {**owner, "segment": name, "labelled_rows": counted.rows, "last_event_at": counted.last_event_us,
             "content": counted.to_bytes()}
            for name, counted in segments.items()
        ]  # fmt: skip
    if rows:
        connection.execute(insert(t), rows)
    connection.execute(delete(p).where((p.c.model_version_id == model_version_id) & (p.c.spec == spec)))
    connection.execute(insert(p).values(
        model_version_id=model_version_id, spec=spec, labels_until=progress.labels_until_us,
        task=orjson.dumps(progress.task.to_json()).decode(),
    ))  # fmt: skip


def let_go_of_other_segments(connection: Connection, model_version_id: int, specs: Sequence[str]) -> None:
    """Delete what was counted by segments that are not wanted any more."""
    for t in (schema.segment_performance_hour, schema.segment_performance_progress):
        unwanted = (t.c.model_version_id == model_version_id) & t.c.spec.not_in(specs)
        connection.execute(delete(t).where(unwanted))


def segment_hours(
    connection: Connection, model_version_id: int, arm: int, spec: str, task: Task, start_us: int, end_us: int
) -> dict[str, dict[int, LabelledHour]]:
    """Return the hours with labelled rows that begin in ``start_us <= t < end_us``, by segment and start."""
    t = schema.segment_performance_hour.c
    mine = (t.model_version_id == model_version_id) & (t.arm == arm) & (t.spec == spec)
    query = select(t.segment, t.hour_start, t.labelled_rows, t.last_event_at, t.content)
    query = query.where(mine & (t.hour_start >= start_us) & (t.hour_start < end_us)).order_by(t.hour_start)
    found = defaultdict[str, dict[int, LabelledHour]](dict)
    for segment, start, rows, last, content in connection.execute(query):
        found[segment][start] = LabelledHour.from_bytes(task, rows, last, bytes(content))
    return found


def judged_until(connection: Connection, model_version_id: int, arm: int, segment_column: str) -> int:
    """Return the end of the newest windows that were judged; 0 where none were."""
    t = schema.segment_performance_result.c
    mine = (t.model_version_id == model_version_id) & (t.arm == arm) & (t.segment_column == segment_column)
    return int(connection.scalar(select(func.max(t.window_end)).where(mine)) or 0)


def save_segment_performance(
    connection: Connection,
    found: Iterable["SegmentPerformance"],
    *,
    job_run_id: int,
    model_version_id: int,
    arm: int,
    at_us: int,
) -> None:
    """Write what was found in the segments of one column, one row per segment."""
    rows = []
    for each in found:
        worst = each.worst
        rows.append({
            "model_version_id": model_version_id,
            "job_run_id": job_run_id,
            "arm": arm,
            "segment_column": each.column,
            "segment": each.segment,
            "window_start": worst.window[0],
            "window_end": worst.window[1],
            "labelled_rows": worst.labelled_rows,
            "reference_rows": each.reference_rows,
            "metric": worst.metric,
            "value": worst.found.value if worst.found else None,
            "low": worst.found.low if worst.found else None,
            "high": worst.found.high if worst.found else None,
            "reference": worst.reference,
            "threshold": worst.threshold,
            "judged": each.judged,
            "breached": len(each.breached),
            "metrics": orjson.dumps(performance_document(each.metrics)).decode(),
            "verdict": worst.verdict,
            "reason": worst.reason,
            "computed_at": at_us,
        })  # fmt: skip
    if rows:
        connection.execute(insert(schema.segment_performance_result), rows)


def newest_segment_performance(
    connection: Connection, model_version_id: int, arm: int, segment_columns: Sequence[str]
) -> list[Row[Any]]:
    """Return the newest verdicts of one version and arm by some columns, column by column, in the order of segments."""
    t, found = schema.segment_performance_result, list[Row[Any]]()
    for column in segment_columns:
        mine = (t.c.model_version_id == model_version_id) & (t.c.arm == arm) & (t.c.segment_column == column)
        found += newest_run(connection, t, mine)
    return found
