"""The performance of a version in any window, judged now: for the command and for reports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from driftline.monitor.jobs.job import JobContext
from driftline.monitor.performance.coverage import LabelCoverage
from driftline.monitor.performance.estimated_windows import estimate_version
from driftline.monitor.performance.realised import Counted, Realised, count_labels, judge_arm
from driftline.monitor.performance.verdict import JudgedMetric
from driftline.monitor.rows.performance_rows import labelled_arms
from driftline.monitor.segments.performance_check import whole_performance
from driftline.monitor.watch import WatchedVersion
from driftline.store.profile_rows import SPAN_US


@dataclass(frozen=True)
class PerformanceNow:
    """What is known of a version's performance in one window.

    Attributes:
        window: whole minutes, as profiles are; microseconds since the epoch.
        counted: None where the version has no labels.
        realised: by arm, of those with labelled rows, in whatever window.
        estimated: by arm, of those that an estimate is possible of.
    """

    window: tuple[int, int]
    counted: Counted | None
    realised: Mapping[int, Realised]
    estimated: Mapping[int, Sequence[JudgedMetric]]

    @property
    def unclear(self) -> str:
        """Why labelled rows are not judged; empty where they are, or where there are none."""
        return self.counted.unclear if self.counted else ""

    @property
    def arms(self) -> list[int]:
        """The arms of which something is known."""
        return sorted(self.realised.keys() | self.estimated.keys())

    def metrics(self, arm: int) -> list[JudgedMetric]:
        """Return the metrics of an arm, realised ones first."""
        found = self.realised.get(arm)
        return [*(found.metrics if found else ()), *self.estimated.get(arm, ())]

    def coverage(self, arm: int) -> LabelCoverage | None:
        """Return how far an arm's labels came; None where it has none."""
        found = self.realised.get(arm)
        return None if found is None else found.coverage


def performance_now(context: JobContext, version: WatchedVersion, window: tuple[int, int]) -> PerformanceNow:
    """Judge a version's arms in a window, on the labels that have come by now, and estimate what needs none.

    Labels that came since anybody last looked are counted first: that reads their hours' rows, and what is counted is
    kept. All else costs the hours of the window, whatever the rows.

    Args:
        window: start and end, microseconds since the epoch; widened to whole minutes.
    """
    start, end = window[0] // SPAN_US * SPAN_US, -(-window[1] // SPAN_US) * SPAN_US
    counted, found = count_labels(context.engine, version, context.performance), {}
    with context.engine.connect() as connection:
        if counted is not None:
            settings, now = whole_performance(context, version), context.clock()
            found = {
                arm: judge_arm(connection, version, arm, counted, [(start, end)], settings, context.labels, now)
                for arm in labelled_arms(connection, version.id)
            }
        estimates = estimate_version(connection, version, [(start, end)], context.performance)
    return PerformanceNow((start, end), counted, found, {arm: each for arm, each in estimates.items() if each})
