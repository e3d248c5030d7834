"""Which window speaks for a metric where one number must: on a gauge, in a table."""

from collections.abc import Sequence

from driftline.monitor.performance.verdict import JudgedMetric


def deciding(judged: Sequence[JudgedMetric]) -> list[JudgedMetric]:
    """Return one window per metric, in the order of the metrics.

    It is the narrowest that breaches; where none does the widest with a verdict, which is the surest; else the widest.
    """
    by_metric: dict[str, list[JudgedMetric]] = {}
    for each in judged:
        by_metric.setdefault(each.metric, []).append(each)
    return [max(windows, key=_weight) for windows in by_metric.values()]


def _weight(judged: JudgedMetric) -> tuple[bool, bool, int]:
    span = judged.window_seconds
    return bool(judged.breached), judged.breached is not None, -span if judged.breached else span
