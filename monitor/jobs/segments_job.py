"""The segments job: per watched version and arm, the rows of hours that are over by segment, and their drift.

Windows end with the last hour that is over and loaded; each hour's end is judged once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from driftline.monitor.drift.column_judge import chosen_statistics
from driftline.monitor.drift.episodes import Episode, follow
from driftline.monitor.drift.settings import DriftSettings
from driftline.monitor.drift.verdict import Verdict
from driftline.monitor.jobs.job import JobContext, JobReport, Outcome, each_version, without_reference
from driftline.monitor.rows.results import Result
from driftline.monitor.rows.segment_rows import (
    Owner,
    is_judged,
    lock_segments,
    open_segments,
    past_segments,
    save_segments,
)
from driftline.monitor.segments.judge import SegmentDrift, judge_segments, segment_budget
from driftline.monitor.segments.parts import ensure_segments, wanted_of
from driftline.monitor.watch import WatchedVersion
from driftline.store.engine import writing
from driftline.store.profile.reference import Reference
from driftline.store.profile.segments import SegmentedReference
from driftline.store.profile_levels import HOUR
from driftline.store.records import MICROSECONDS, Arm, iso
from driftline.store.references import newest_reference
from driftline.store.segments.hours import CountReport, count_hours, settled_until
from driftline.store.segments.windows import growing_segment_windows, whole_hour_spans

NAME = "segments"
_COUNTING_SECONDS = 120.0


def run(context: JobContext) -> JobReport:
    """Count and judge the segments of every watched version that ``[segments] columns`` names a column of."""
    return each_version(context, NAME, context.watched() if context.segments.columns else [], _check)


def _check(context: JobContext, version: WatchedVersion, run_id: int) -> Outcome:
    wanted = wanted_of(context.segments, version.identity.name, version.stored.columns)
    if not wanted:
        return Outcome(Result.SKIPPED, "it has no input that segments.columns names")
    with context.engine.connect() as connection:
        in_force = newest_reference(connection, version.id)
    if in_force is None:
        return without_reference(version)
    reference_id, reference = ensure_segments(context, version, in_force, wanted)
    spans, end = context.drift.spans(), settled_until(context.clock())
    whole_hours = [span for span in spans if span % HOUR == 0] or [24 * HOUR]
    start = end - max(whole_hours) * MICROSECONDS
    columns = [segmented.column for segmented in reference.segments]
    counted = count_hours(
        context.engine, version.stored, (reference_id, reference), columns, (start, end), _COUNTING_SECONDS
    )
    judged = whole_hour_spans(whole_hours, end, counted.left)
    found = [
        drift
        for segmented in reference.segments
        for arm in version.arms
        if judged
        for drift in _judge(context, version, arm, (reference_id, reference), segmented, judged, end, run_id)
    ]
    return _outcome(reference, counted, found)


def _judge(
    context: JobContext,
    version: WatchedVersion,
    arm: Arm,
    in_force: tuple[int, Reference],
    segmented: SegmentedReference,
    spans: Sequence[int],
    end_us: int,
    run_id: int,
) -> list[SegmentDrift]:
    reference_id, reference = in_force
    owner = Owner(version.id, reference_id, arm, segmented.column.name)
    settings = segment_budget(context.drift, context.segments, len(reference.segments))
    with context.engine.connect() as connection:
        if is_judged(connection, owner, end_us):
            return []
        parts = {name: segmented.reference(reference, name) for name in segmented.parts}
        statistics = {name: chosen_statistics(part, settings) for name, part in parts.items() if part is not None}
        windows = growing_segment_windows(connection, version.id, in_force, segmented.column, arm, spans, end_us)
        past = past_segments(connection, owner, spans, statistics, end_us, open_segments(connection, owner))
    drifts = judge_segments(reference, segmented, windows, settings, interval_seconds=HOUR, past=past)
    with writing(context.engine) as connection:
        lock_segments(connection)
        if is_judged(connection, owner, end_us):  # by another monitor, meanwhile
            return []
        after = _episodes(drifts, open_segments(connection, owner), end_us, settings)
        drifts = [_told(drift, after.get(drift.segment)) for drift in drifts]
        save_segments(
            connection, owner, drifts, after, statistics, job_run_id=run_id, end_us=end_us, at_us=context.clock()
        )
    return drifts


def _episodes(
    drifts: Sequence[SegmentDrift], before: Mapping[str, Episode], end_us: int, settings: DriftSettings
) -> dict[str, Episode]:
    followed = {d.segment: follow(before.get(d.segment), d.ratio, end_us, settings) for d in drifts}
    return {segment: episode for segment, episode in followed.items() if episode is not None}


def _told(drift: SegmentDrift, episode: Episode | None) -> SegmentDrift:
    """Return the verdict of a segment whose episode is open: it stays drift until the episode closes."""
    if episode is None or drift.verdict is not Verdict.NO_DRIFT:
        return drift
    return replace(drift, verdict=Verdict.DRIFT, reason=f"{drift.reason}; drift since {iso(episode.opened_at_us)}")


def _outcome(reference: Reference, counted: CountReport, found: Sequence[SegmentDrift]) -> Outcome:
    said = [f"{counted.rows} rows of {counted.hours} hours counted"]
    if counted.left:
        said.append(f"{len(counted.left)} hours are left to the next run")
    samples = {s.counted_rows for s in reference.segments if s.counted_rows < reference.row_count}
    if samples:
        said.append(f"training told apart by a sample of {min(samples)} of its {reference.row_count} rows")
    drifted = [f"{d.column}={d.segment}" for d in found if d.verdict is Verdict.DRIFT]
    judged = any(d.judged for d in found)
    if judged:
        said.append(f"drift in {', '.join(drifted) if drifted else 'no segment'}")
    elif found:
        said.append("too few rows for a verdict")
    return Outcome(Result.INSUFFICIENT_DATA if found and not judged else Result.SUCCESS, "; ".join(said))
