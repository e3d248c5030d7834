"""The segments' part of the performance job, and of its command."""

from collections.abc import Sequence

from driftline.monitor.jobs.job import JobContext
from driftline.monitor.performance.realised import windows_until
from driftline.monitor.performance.settings import PerformanceSettings
from driftline.monitor.performance.task import Task
from driftline.monitor.rows import segment_performance_rows as rows
from driftline.monitor.segments.labelled import count_labels_by_segment
from driftline.monitor.segments.now import wanted_with
from driftline.monitor.segments.parts import ensure_segments, segment_names, wanted_of
from driftline.monitor.segments.performance import SegmentPerformance, judge_by_segment, segment_chance, whole_chance
from driftline.monitor.training.reference import require
from driftline.monitor.training.segmented import known_segments
from driftline.monitor.watch import WatchedVersion
from driftline.store.engine import writing
from driftline.store.profile.reference import Reference
from driftline.store.profile.segments import SegmentedReference
from driftline.store.references import newest_reference
from driftline.store.segments.settings import WantedSegments


def whole_performance(context: JobContext, version: WatchedVersion) -> PerformanceSettings:
    """Return the settings by which a version's performance is judged as a whole: its segments have a part of chance."""
    return whole_chance(context.performance, context.segments, len(segment_names(context, version)))


def check_segments(
    context: JobContext, version: WatchedVersion, task: Task | None, arms: Sequence[int], run_id: int
) -> str:
    """Count and judge the labelled rows of a version by segment, where labels changed or an hour is over.

    Returns:
        What was found, for the job's outcome; empty where there is nothing to say.
    """
    wanted = wanted_of(context.segments, version.identity.name, version.stored.columns)
    if not wanted or task is None:
        return ""
    with context.engine.connect() as connection:
        in_force = newest_reference(connection, version.id)
    segments = [] if in_force is None else _known(context, in_force[1], wanted)
    if in_force is None or not segments:
        return "its reference tells no segments apart yet"
    changed = count_labels_by_segment(context.engine, version, task, [each.column for each in segments])
    judged = [
        each
        for segmented in segments
        for arm in arms
        for each in _check(context, version, (task, in_force[1], segmented), arm, run_id, anew=changed > 0)
    ]
    breached = [f"{each.column}={each.segment}" for each in judged if each.breached]
    if not judged:
        return ""
    return f"worse than the reference in {', '.join(breached)}" if breached else "no segment breaches"


def _known(context: JobContext, whole: Reference, wanted: Sequence[WantedSegments]) -> list[SegmentedReference]:
    """Return the wanted segments that a reference has: job and command count these, so neither lets go of others'."""
    found = (known_segments(whole, each, context.segments.max_values) for each in wanted)
    return [each for each in found if each is not None]


def segments_of_arm(
    context: JobContext,
    version: WatchedVersion,
    of: tuple[Task, Reference, SegmentedReference],
    arm: int,
    windows: Sequence[tuple[int, int]],
) -> list[SegmentPerformance]:
    """Return the performance of one arm by the segments of a column, in windows of whole hours.

    Args:
        of: the task, the reference of all rows and its segments.
        windows: each inside the next one, which all end alike.
    """
    task, whole, segmented = of
    start, end = windows[-1]
    with context.engine.connect() as connection:
        hours = rows.segment_hours(connection, version.id, arm, segmented.column.spec, task, start, end)
    columns = len(segment_names(context, version))
    settings = segment_chance(context.performance, context.segments, columns)
    return judge_by_segment(task, whole, segmented, hours, windows, settings)


def _check(
    context: JobContext,
    version: WatchedVersion,
    of: tuple[Task, Reference, SegmentedReference],
    arm: int,
    run_id: int,
    *,
    anew: bool,
) -> list[SegmentPerformance]:
    now = context.clock()
    windows, column = windows_until(now, context.performance.spans()), of[2].column.name
    with context.engine.connect() as connection:
        until = rows.judged_until(connection, version.id, arm, column)
    if until >= windows[0][1] and not anew:
        return []
    found = segments_of_arm(context, version, of, arm, windows)
    with writing(context.engine) as connection:
        place = {"job_run_id": run_id, "model_version_id": version.id, "arm": arm, "at_us": now}
        rows.save_segment_performance(connection, found, **place)
    return found


def segments_performance_now(
    context: JobContext, version: WatchedVersion, task: Task, column: str, window: tuple[int, int], arms: Sequence[int]
) -> list[tuple[int, list[SegmentPerformance]]]:
    """Return arms and their performance by the segments of a column, which is one of ``[segments] columns``.

    Raises:
        ConfigurationError: the column is not among these, or has no segments.
        ReferenceMissing: there is no reference, or it lacks the column's segments and there is no sample of its rows.
    """
    wanted = wanted_with(context, version, column)
    require(context.engine, context.link, version)
    with context.engine.connect() as connection:
        found = newest_reference(connection, version.id)
    assert found is not None  # required
    whole = found[1]
    segments = _known(context, whole, wanted)
    if column not in [each.column.name for each in segments]:
        _, whole = ensure_segments(context, version, found, wanted)
        segments = _known(context, whole, wanted)
    count_labels_by_segment(context.engine, version, task, [each.column for each in segments])
    (segmented,) = (each for each in segments if each.column.name == column)
    of = task, whole, segmented
    return [(arm, segments_of_arm(context, version, of, arm, [window])) for arm in arms]
