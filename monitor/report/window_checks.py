"""Data quality, all inputs together and performance, judged of the report's own window.

Volume is about one hour against the same hour of past weeks: there the monitor's last finding in the window stays.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from driftline.monitor.beyond_columns_document import multivariate_document, quality_document
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.judge import Judgement
from driftline.monitor.multivariate.check import MultivariateDrift, check
from driftline.monitor.performance_document import (
    coverage_document,
    performance_document,
    segment_performance_document,
)
from driftline.monitor.performance_now import PerformanceNow, performance_now
from driftline.monitor.quality.examine import examine_judged
from driftline.monitor.quality.finding import Kind, QualityFinding
from driftline.monitor.report.arm_findings import ArmFindings
from driftline.monitor.rows.multivariate_rows import newest_check
from driftline.monitor.rows.quality_rows import newest_findings
from driftline.monitor.segments.parts import segment_names
from driftline.monitor.segments.performance import SegmentPerformance
from driftline.monitor.segments.performance_check import segments_performance_now
from driftline.monitor.watch import WatchedVersion
from driftline.store.errors import DriftlineError
from driftline.store.profile_levels import HOUR_US


def check_window(
    context: JobContext, found: ArmFindings, window: tuple[int, int], progress: Callable[[str], object]
) -> tuple[dict[str, Any], list[str]]:
    """Return quality and all inputs together of one arm as parts of its document, and what could not be made of them.

    Where all inputs together cannot be judged now, the check that the monitor made last in the window stands in.

    Args:
        found: of a version with a reference and rows; of any other nothing is checked.
    """
    if found.judged is None or not found.rows:
        return {"quality": [], "multivariate": None}, []
    progress(f"checking the quality of {found.rows:,} rows")
    quality = _quality(context, found.judged, window)
    together, failure = None, ""
    if context.multivariate.enabled:
        progress("checking all inputs together")
        try:
            together = check(context, found.judged.version, found.arm, found.judged.reference, found.judged.window)
        except DriftlineError as error:
            together, failure = _last_check(context, found.judged, window), f"all inputs together: {error}"
    parts = {"quality": quality_document(quality), "multivariate": multivariate_document(together)}
    return parts, [failure] if failure else []


def judge_performance(
    context: JobContext,
    version: WatchedVersion,
    arms: Sequence[ArmFindings],
    window: tuple[int, int],
    progress: Callable[[str], object],
) -> list[str]:
    """Put the performance of each arm that has rows, also by segment, and how far its labels came into its document.

    Returns:
        Why labelled rows are not judged, where they are not.
    """
    with_rows = [found for found in arms if found.rows]
    if not with_rows:
        return []
    progress("judging performance on the rows that have labels")
    now = performance_now(context, version, window)
    by_segment, failures = _by_segment(context, version, now, window) if with_rows[0].judged else ({}, [])
    for found in with_rows:
        found.document["performance"] = performance_document(now.metrics(found.arm))
        found.document["labels"] = coverage_document(now.coverage(found.arm))
        found.document["segment_performance"] = segment_performance_document(by_segment.get(found.arm, ()))
    return [*([f"performance: {now.unclear}"] if now.unclear else []), *failures]


def _by_segment(
    context: JobContext, version: WatchedVersion, now: PerformanceNow, window: tuple[int, int]
) -> tuple[dict[int, list[SegmentPerformance]], list[str]]:
    """Return the performance by segment of each arm, and by which columns it could not be judged.

    Labelled rows are kept by segment and hour, so the window is widened to whole hours.
    """
    if now.counted is None or now.counted.task is None:
        return {}, []
    hours = window[0] // HOUR_US * HOUR_US, -(-window[1] // HOUR_US) * HOUR_US
    found, failures = dict[int, list[SegmentPerformance]](), []
    for column in segment_names(context, version):
        try:
            arms = segments_performance_now(context, version, now.counted.task, column, hours, list(now.realised))
        except DriftlineError as error:
            failures.append(f"performance by {column}: {error}")
            continue
        for arm, segments in arms:
            found.setdefault(arm, []).extend(segments)
    return found, failures


def _quality(context: JobContext, judged: Judgement, window: tuple[int, int]) -> list[QualityFinding]:
    without_volume = replace(context, quality=replace(context.quality, volume_weeks=0))
    found = examine_judged(without_volume, judged)
    with context.engine.connect() as connection:
        return found + _last_volume(connection, judged, window)


def _last_volume(connection: Connection, judged: Judgement, window: tuple[int, int]) -> list[QualityFinding]:
    last = newest_findings(connection, judged.version.id, judged.arm, window)
    return [finding for finding in last if finding.kind is Kind.VOLUME]


def _last_check(context: JobContext, judged: Judgement, window: tuple[int, int]) -> MultivariateDrift | None:
    with context.engine.connect() as connection:
        return newest_check(connection, judged.version.id, judged.arm, window)
