"""The performance job: per watched version and arm, how well the model does on the rows whose labels came.

And how well it is expected to do on all rows, labelled or not, where its reference allows an estimate.
"""

from collections.abc import Sequence

from driftline.monitor.jobs.job import JobContext, JobReport, Outcome, each_version
from driftline.monitor.performance.estimated_windows import estimate_version
from driftline.monitor.performance.realised import Realised, count_labels, judge_arm, windows_until
from driftline.monitor.performance.task import TaskUnclear
from driftline.monitor.performance.verdict import JudgedMetric
from driftline.monitor.rows import performance_rows
from driftline.monitor.rows.results import Result
from driftline.monitor.segments.performance_check import check_segments, whole_performance
from driftline.monitor.watch import WatchedVersion
from driftline.store.engine import writing
from driftline.store.records import Arm

NAME = "performance"


def run(context: JobContext) -> JobReport:
    """Judge every watched version; write to ``performance_result`` and ``label_coverage``."""
    return each_version(context, NAME, context.watched(), _check)


def _check(context: JobContext, version: WatchedVersion, run_id: int) -> Outcome:
    now = context.clock()
    windows = windows_until(now, context.performance.spans())
    settings = whole_performance(context, version)
    estimated = _estimate(context, version, windows, run_id, now)
    counted = count_labels(context.engine, version, context.performance)
    if counted is None:
        judged = any(metric.breached is not None for metric in estimated)
        return Outcome(Result.SUCCESS if judged else Result.INSUFFICIENT_DATA, f"no labels yet{_estimates(estimated)}")
    with context.engine.connect() as connection:
        arms = performance_rows.labelled_arms(connection, version.id)
        found = [judge_arm(connection, version, arm, counted, windows, settings, context.labels, now) for arm in arms]
    with writing(context.engine) as connection:
        for each in found:
            place = {"job_run_id": run_id, "model_version_id": version.id, "arm": each.arm, "at_us": now}
            performance_rows.save_performance(connection, each.metrics, **place)
            performance_rows.save_coverage(connection, each.coverage, **place)
    by_segment = check_segments(context, version, counted.task, arms, run_id)
    rows = sum(each.coverage.labelled_rows for each in found)
    if counted.task is None and rows >= context.performance.min_labelled_rows:
        raise TaskUnclear(counted.unclear)
    judged = any(metric.breached is not None for each in found for metric in each.metrics)
    said = "; ".join(_summary(each, several=len(found) > 1) for each in found)
    said = f"{counted.changed} hours with new labels; {counted.unclear or said}{_estimates(estimated)}"
    said += f"; {by_segment}" if by_segment else ""
    return Outcome(Result.SUCCESS if judged else Result.INSUFFICIENT_DATA, said)


def _estimate(
    context: JobContext, version: WatchedVersion, windows: Sequence[tuple[int, int]], run_id: int, now_us: int
) -> list[JudgedMetric]:
    """Write the estimates of a version's arms and return them; none where its reference allows none."""
    with context.engine.connect() as connection:
        found = estimate_version(connection, version, windows, context.performance)
    with writing(context.engine) as connection:
        for arm, metrics in found.items():
            place = {"job_run_id": run_id, "model_version_id": version.id, "arm": arm, "at_us": now_us}
            performance_rows.save_performance(connection, metrics, **place)
    return [metric for metrics in found.values() for metric in metrics]


def _estimates(found: Sequence[JudgedMetric]) -> str:
    breaches = list(dict.fromkeys(metric.metric for metric in found if metric.breached))
    return f"; estimated worse than the reference by {', '.join(breaches)}" if breaches else ""


def _summary(found: Realised, *, several: bool) -> str:
    breaches = list(dict.fromkeys(metric.metric for metric in found.metrics if metric.breached))
    rows = max((metric.labelled_rows for metric in found.metrics), default=0)
    arm = f" ({Arm(found.arm).name.lower()})" if several else ""
    left_out = sum(found.coverage.unusable.values())
    unusable = f" and {left_out} unusable" if left_out else ""
    if not any(metric.breached is not None for metric in found.metrics):
        return f"{rows} labelled rows{arm}{unusable}, no verdict"
    verdict = f"worse than the reference by {', '.join(breaches)}" if breaches else "no breach"
    return f"{rows} labelled rows{arm}{unusable}, {verdict}"
