"""Performance on labelled rows: hours counted where labels changed, windows summed from hours and judged.

Invariants
----------
- Only hours whose labels changed are read from rows again; all others are taken as they were counted.
- What is kept of the hours of a version was counted for one task; when settings, reference or labels of further
  classes tell another, all are counted anew.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import Connection, Engine

from driftline.monitor.performance.classes import class_name
from driftline.monitor.performance.coverage import LabelCoverage, predictions_in
from driftline.monitor.performance.delays import quantile
from driftline.monitor.performance.hour import LabelledHour, count_hour, summed
from driftline.monitor.performance.metric import METRICS
from driftline.monitor.performance.reference_performance import (
    ReferencePerformance,
    metrics_of,
    performance_of,
    task_of_reference,
)
from driftline.monitor.performance.settings import BY_MODEL, PerformanceSettings
from driftline.monitor.performance.sums import Sums
from driftline.monitor.performance.task import Task, TaskKind, TaskUnclear, decide_task
from driftline.monitor.performance.verdict import JudgedMetric, judge
from driftline.monitor.rows import performance_rows
from driftline.monitor.rows.performance_rows import Progress
from driftline.monitor.watch import WatchedVersion
from driftline.store.engine import writing
from driftline.store.labels.changes import HOUR_US, ChangedHour, Changes, changed_hours
from driftline.store.labels.labelled_rows import LabelledRows, newest_labelled
from driftline.store.labels.settings import LabelSettings
from driftline.store.prediction_columns import PredictionColumn
from driftline.store.records import MICROSECONDS
from driftline.store.references import newest_reference

_EVIDENCE_ROWS = 2_000


@dataclass(frozen=True)
class Counted:
    """How far a version's labels are counted.

    Attributes:
        task: None where it cannot be told; ``unclear`` says why.
        reference: what performance is held against; None where that is not known.
        changed: hours that were counted.
    """

    task: Task | None
    unclear: str
    reference: ReferencePerformance | None
    changed: int


@dataclass(frozen=True)
class Realised:
    """What was found in one version and arm: metrics of all windows, the narrowest first, and coverage."""

    arm: int
    metrics: Sequence[JudgedMetric]
    coverage: LabelCoverage


def count_labels(engine: Engine, version: WatchedVersion, settings: PerformanceSettings) -> Counted | None:
    """Count the hours whose labels changed since the last time; None where the version has no labels."""
    with engine.connect() as connection:
        in_force = newest_reference(connection, version.id)
        reference = None if in_force is None else performance_of(in_force[1])
        decided_from = _grounds(version, settings, 0 if in_force is None else in_force[0])
        before = performance_rows.progress_of(connection, version.id)
        task, unclear = None if before is None else before.task, ""
        if before is None or before.task is None or before.decided_from != decided_from:
            task, unclear = _decide(connection, version, settings, reference)
        if task is None and before is not None and before.task is not None:  # which its rows, long gone, once told
            task = before.task
        anew = before is None or before.task != task
        since = 0 if before is None or anew else before.labels_until_us
        changes, hours = _count(connection, version, task, since)
        if task is not None and _may_grow(task, hours.values(), version.identity.name, reference, settings):
            grown = _grown(connection, version, settings, task)
            if grown != task:
                task, anew = grown, True
                changes, hours = _count(connection, version, task, 0)
    if before is None and not hours:
        return None
    if anew or hours or before is None or before.decided_from != decided_from:
        progress = Progress(changes.until_us, task, decided_from)
        with writing(engine) as connection:
            performance_rows.save_hours(connection, version.id, hours, progress, anew=anew)
    return Counted(task, unclear, reference, len(hours))


def _count(
    connection: Connection, version: WatchedVersion, task: Task | None, since_us: int
) -> tuple[Changes, dict[ChangedHour, LabelledHour]]:
    changes = changed_hours(connection, version.id, since_us)
    hours = {hour: count_hour(connection, version.stored, task, hour.arm, hour.hour_us) for hour in changes.hours}
    return changes, hours


def _may_grow(
    task: Task,
    hours: Iterable[LabelledHour],
    model: str,
    reference: ReferencePerformance | None,
    settings: PerformanceSettings,
) -> bool:
    """Return whether two classes, which labels alone told, are too few for the labels that came since."""
    if task.kind is not TaskKind.BINARY or task.probabilities or task_of_reference(model, reference, settings):
        return False
    if settings.of_model(model, "task") or settings.of_model(model, "classes"):
        return False
    return any(hour.sums is not None and hour.sums.unusable for hour in hours)


def judge_arm(
    connection: Connection,
    version: WatchedVersion,
    arm: int,
    counted: Counted,
    windows: Sequence[tuple[int, int]],
    settings: PerformanceSettings,
    labels: LabelSettings,
    now_us: int,
) -> Realised:
    """Return the performance of one arm in windows of whole hours.

    Args:
        windows: start and end, microseconds since the epoch, each inside the next one, which all end alike. Where the
            widest begins or ends inside an hour, that hour is counted from its rows.
    """
    start, end = windows[-1]
    hours = performance_rows.hours_between(connection, version.id, arm, counted.task, start, end)
    for hour in {start // HOUR_US * HOUR_US, end // HOUR_US * HOUR_US}:
        if hour < end and (hour < start or hour + HOUR_US > end):
            hours[max(hour, start)] = count_hour(connection, version.stored, counted.task, arm, hour, (start, end))
    metrics: list[JudgedMetric] = []
    total, after = summed((), counted.task), end
    for window in windows:  # each adds what lies before the one inside it
        total.add(summed((hour for at, hour in hours.items() if window[0] <= at < after), counted.task))
        after = window[0]
        if counted.task is not None and total.sums is not None:
            rows = predictions_in(connection, version, arm, *window)
            metrics += judge_window(counted.task, total.sums, counted.reference, window, rows, settings)
    return Realised(arm, metrics, _coverage(connection, version, arm, hours, total, (start, end), labels, now_us))


def judge_window(
    task: Task,
    sums: Sums,
    reference: ReferencePerformance | None,
    window: tuple[int, int],
    window_rows: int,
    settings: PerformanceSettings,
) -> list[JudgedMetric]:
    """Return the metrics of one window, those that its rows do not determine too."""
    found = metrics_of(task, sums)
    names = [name for name in METRICS if name in found or (reference is not None and name in reference.metrics)]
    if not names:
        names = ["mae" if task.kind is TaskKind.REGRESSION else "accuracy"]
    return [
        judge(JudgedMetric(name, window, window_rows, sums.rows, found.get(name)), task, sums, reference, settings)
        for name in names
    ]


def windows_until(now_us: int, spans: Sequence[int]) -> list[tuple[int, int]]:
    """Return windows of whole hours that end with the present one, the narrowest first."""
    end = now_us // HOUR_US * HOUR_US + HOUR_US
    return [(end - span * MICROSECONDS, end) for span in spans]


def _coverage(
    connection: Connection,
    version: WatchedVersion,
    arm: int,
    hours: dict[int, LabelledHour],
    total: LabelledHour,
    window: tuple[int, int],
    labels: LabelSettings,
    now_us: int,
) -> LabelCoverage:
    due_until = (now_us - round(labels.expected_delay_seconds * MICROSECONDS)) // HOUR_US * HOUR_US
    start, end = window[0], max(window[0], min(window[1], due_until))
    return LabelCoverage(
        window=(start, end),
        window_rows=predictions_in(connection, version, arm, start, end),
        labelled_rows=sum(hour.rows for at, hour in hours.items() if at < end),
        event_delay=(quantile(total.event_delays, 0.5), quantile(total.event_delays, 0.95)),
        arrival_delay=(quantile(total.arrival_delays, 0.5), quantile(total.arrival_delays, 0.95)),
        last_event_us=performance_rows.last_event(connection, version.id, arm) or 0,
        unusable={} if total.sums is None else dict(total.sums.unusable),
    )


def _decide(
    connection: Connection,
    version: WatchedVersion,
    settings: PerformanceSettings,
    reference: ReferencePerformance | None,
) -> tuple[Task | None, str]:
    """Return the task that settings say, else that of the reference, else what labels and outputs tell; or why none."""
    name = version.identity.name
    if (task := task_of_reference(name, reference, settings)) is not None:
        return task, ""
    outputs, rows = _evidence(connection, version)
    if rows is None:
        return None, ""
    try:
        return decide_task(name, outputs, rows.columns, rows.labels, settings), ""
    except TaskUnclear as error:
        return None, str(error)


def _grown(connection: Connection, version: WatchedVersion, settings: PerformanceSettings, task: Task) -> Task:
    """Return the task with the classes that the first labels did not show; a class is what the model answers too.

    So one mistaken label makes no class.
    """
    name, (outputs, rows) = version.identity.name, _evidence(connection, version)
    if rows is None:
        return task
    answered = {class_name(cell) for cell in rows.columns[task.prediction].tolist()}
    labels = [label for label in rows.labels if class_name(label) in answered.union(task.classes)]
    if {class_name(label) for label in labels} <= set(task.classes):
        return task
    earlier = map(float, task.classes) if all(isinstance(x, (int, float)) for x in labels) else task.classes
    try:
        return decide_task(name, outputs, rows.columns, [*labels, *earlier], settings)
    except (TaskUnclear, ValueError):  # numbers now, texts before
        return task


def _evidence(connection: Connection, version: WatchedVersion) -> tuple[list[PredictionColumn], LabelledRows | None]:
    """Return the outputs of a version, and rows of them whose labels came last; None where there are none."""
    outputs = [column for column in version.stored.columns if column.side == "output"]
    return outputs, newest_labelled(connection, version.stored, [c.column_name for c in outputs], _EVIDENCE_ROWS)


def _grounds(version: WatchedVersion, settings: PerformanceSettings, reference_id: int) -> str:
    """Return what a task was decided from, in a few letters."""
    said = [settings.of_model(version.identity.name, name) for name in BY_MODEL]
    grounds = [said, settings.decision_threshold, reference_id]
    return hashlib.sha256(orjson.dumps(grounds)).hexdigest()[:16]
