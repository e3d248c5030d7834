"""Performance in the store: hours of labelled rows, how far labels are counted, results, and coverage."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, Row, delete, insert, select

from driftline.monitor.performance.coverage import LabelCoverage
from driftline.monitor.performance.hour import LabelledHour
from driftline.monitor.performance.metric import MetricInterval
from driftline.monitor.performance.task import Task
from driftline.monitor.performance.verdict import JudgedMetric
from driftline.monitor.rows.newest_run import newest_run
from driftline.store import schema
from driftline.store.labels.changes import ChangedHour


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the labels of a version are counted.

    Attributes:
        labels_until_us: what ``changed_hours`` is to be asked from.
        task: None while it could not be told.
        decided_from: what told it, to see whether that has changed.
    """

    labels_until_us: int
    task: Task | None
    decided_from: str


def progress_of(connection: Connection, model_version_id: int) -> Progress | None:
    """Return how far a version's labels are counted; None where none are."""
    t = schema.performance_progress
    row = connection.execute(select(t).where(t.c.model_version_id == model_version_id)).one_or_none()
    if row is None:
        return None
    task = None if row.task is None else Task.from_json(orjson.loads(row.task))
    return Progress(row.labels_until, task, row.decided_from)


def hold_version(connection: Connection, model_version_id: int) -> None:
    """Let nobody else write a version's counted hours until the transaction ends.

    The job, a report and a command may count the same hours at once. Loading goes on.
    """
    t = schema.model_version.c.id
    connection.execute(select(t).where(t == model_version_id).with_for_update(key_share=True))


def save_hours(
    connection: Connection,
    model_version_id: int,
    hours: Mapping[ChangedHour, LabelledHour],
    progress: Progress,
    *,
    anew: bool,
) -> None:
    """Put counted hours in the place of what is kept of them, and note how far labels are counted.

    Args:
        anew: the other hours were counted for another task, and go.
    """
    t, p = schema.performance_hour, schema.performance_progress
    mine = t.c.model_version_id == model_version_id
    hold_version(connection, model_version_id)
    if anew:
        connection.execute(delete(t).where(mine))
    for hour, counted in hours.items():
        same = mine & (t.c.arm == hour.arm) & (t.c.hour_start == hour.hour_us)
        connection.execute(delete(t).where(same))
        if counted.rows:
            connection.execute(insert(t).values(
                model_version_id=model_version_id, arm=hour.arm, hour_start=hour.hour_us, labelled_rows=counted.rows,
                last_event_at=counted.last_event_us, content=counted.to_bytes(),
            ))  # fmt: skip
    connection.execute(delete(p).where(p.c.model_version_id == model_version_id))
    connection.execute(insert(p).values(
        model_version_id=model_version_id, labels_until=progress.labels_until_us, decided_from=progress.decided_from,
        task=None if progress.task is None else orjson.dumps(progress.task.to_json()).decode(),
    ))  # fmt: skip


def labelled_arms(connection: Connection, model_version_id: int) -> list[int]:
    """Return the arms of a version that have labelled rows."""
    t = schema.performance_hour.c
    return sorted(connection.scalars(select(t.arm).where(t.model_version_id == model_version_id).distinct()))


def hours_between(
    connection: Connection, model_version_id: int, arm: int, task: Task | None, start_us: int, end_us: int
) -> dict[int, LabelledHour]:
    """Return the hours with labelled rows that begin in ``start_us <= t < end_us``, by their start."""
    t = schema.performance_hour.c
    mine = (t.model_version_id == model_version_id) & (t.arm == arm)
    query = select(t.hour_start, t.labelled_rows, t.last_event_at, t.content)
    query = query.where(mine & (t.hour_start >= start_us) & (t.hour_start < end_us)).order_by(t.hour_start)
    return {
        start: LabelledHour.from_bytes(task, rows, last, bytes(content))
        for start, rows, last, content in connection.execute(query)
    }


def last_event(connection: Connection, model_version_id: int, arm: int) -> int | None:
    """Return when the newest label of all became true."""
    t = schema.performance_hour.c
    newest = select(t.last_event_at).where((t.model_version_id == model_version_id) & (t.arm == arm))
    return connection.scalar(newest.order_by(t.last_event_at.desc()).limit(1))


def save_performance(
    connection: Connection,
    judged: Iterable[JudgedMetric],
    *,
    job_run_id: int,
    model_version_id: int,
    arm: int,
    at_us: int,
) -> None:
    """Write the metrics of one version and arm, of all windows."""
    rows = [
        {
            "model_version_id": model_version_id,
            "job_run_id": job_run_id,
            "arm": arm,
            "metric": each.metric,
            "estimated": each.estimated,
            "window_start": each.window[0],
            "window_end": each.window[1],
            "labelled_rows": each.labelled_rows,
            "window_rows": each.window_rows,
            "value": each.found.value if each.found else None,
            "low": each.found.low if each.found else None,
            "high": each.found.high if each.found else None,
            "reference": each.reference,
            "threshold": each.threshold,
            "breached": each.breached,
            "reason": each.reason,
            "computed_at": at_us,
        }
        for each in judged
    ]
    if rows:
        connection.execute(insert(schema.performance_result), rows)


def newest_performance(
    connection: Connection, model_version_id: int, arm: int, *, estimated: bool = False
) -> Sequence[JudgedMetric]:
    """Return what the last run found in one version and arm, all windows, in its order; empty while none ran."""
    t = schema.performance_result
    mine = (t.c.model_version_id == model_version_id) & (t.c.arm == arm) & (t.c.estimated == estimated)
    return [_judged(row) for row in newest_run(connection, t, mine)]


def _judged(row: Row[Any]) -> JudgedMetric:
    return JudgedMetric(
        metric=row.metric,
        window=(row.window_start, row.window_end),
        window_rows=row.window_rows,
        labelled_rows=row.labelled_rows,
        found=None if row.value is None else MetricInterval(row.value, row.low, row.high),
        reference=row.reference,
        threshold=row.threshold,
        breached=row.breached,
        reason=row.reason,
        estimated=row.estimated,
    )


def save_coverage(
    connection: Connection, found: LabelCoverage, *, job_run_id: int, model_version_id: int, arm: int, at_us: int
) -> None:
    """Write how many predictions of one version and arm have labels, and how long these took."""
    connection.execute(insert(schema.label_coverage).values(
        model_version_id=model_version_id, job_run_id=job_run_id, arm=arm, window_start=found.window[0],
        window_end=found.window[1], window_rows=found.window_rows, labelled_rows=found.labelled_rows,
        event_delay_median_seconds=found.event_delay[0], event_delay_p95_seconds=found.event_delay[1],
        arrival_delay_median_seconds=found.arrival_delay[0], arrival_delay_p95_seconds=found.arrival_delay[1],
        last_event_at=found.last_event_us, unusable=orjson.dumps(found.unusable).decode(), computed_at=at_us,
    ))  # fmt: skip


def newest_coverage(connection: Connection, model_version_id: int, arm: int) -> LabelCoverage | None:
    """Return the newest coverage of one version and arm; None while it has no labels."""
    t = schema.label_coverage
    mine = (t.c.model_version_id == model_version_id) & (t.c.arm == arm)
    row = connection.execute(
        select(t).where(mine).order_by(t.c.computed_at.desc(), t.c.id.desc()).limit(1)
    ).one_or_none()
    if row is None:
        return None
    return LabelCoverage(
        window=(row.window_start, row.window_end),
        window_rows=row.window_rows,
        labelled_rows=row.labelled_rows,
        event_delay=(row.event_delay_median_seconds, row.event_delay_p95_seconds),
        arrival_delay=(row.arrival_delay_median_seconds, row.arrival_delay_p95_seconds),
        last_event_us=row.last_event_at,
        unusable={} if row.unusable is None else orjson.loads(row.unusable),
    )
