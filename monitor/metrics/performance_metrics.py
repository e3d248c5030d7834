"""Gauges of labels and of performance: on labelled rows, and where a job estimates it without labels."""

from collections.abc import Sequence

from driftline.monitor.metrics.beyond_columns_metrics import SetGauge
from driftline.monitor.performance.coverage import LabelCoverage
from driftline.monitor.performance.deciding import deciding
from driftline.monitor.performance.verdict import JudgedMetric
from driftline.monitor.status import VersionStatus
from driftline.store.labels.settings import LabelSettings
from driftline.store.records import MICROSECONDS


def add_labels(set_gauge: SetGauge, model: str, versions: Sequence[VersionStatus], settings: LabelSettings) -> None:
    """Add how labels of a model stand; nothing for one that never had any.

    Args:
        set_gauge: where to.
        versions: of the model under watch.
        settings: what is expected of labels.
    """
    found = [each.coverage for each in versions if each.coverage is not None]
    if not found:
        return
    newest = max(found, key=lambda each: each.last_event_us)
    set_gauge("labels_last_event_timestamp_seconds", newest.last_event_us / MICROSECONDS, model_name=model)
    set_gauge("labels_expected_delay_seconds", settings.expected_delay_seconds, model_name=model)
    set_gauge("label_coverage_min_ratio", settings.min_coverage, model_name=model)
    due = sum(each.window_rows for each in found)
    labelled = sum(each.labelled_rows for each in found)
    set_gauge("label_coverage_ratio", min(labelled / due, 1.0) if due else None, model_name=model)
    _add_delays(set_gauge, model, newest)


def add_performance(set_gauge: SetGauge, status: VersionStatus, labels: dict[str, str]) -> None:
    """Add every metric of one version by its deciding window, with what it is to be compared with.

    Args:
        labels: of the model version.
    """
    for judged in [*deciding(status.performance), *deciding(status.estimated_performance)]:
        if judged.found is not None:
            _add_metric(set_gauge, judged, {**labels, "metric": judged.metric, "estimated": _truth(judged.estimated)})


def _add_metric(set_gauge: SetGauge, judged: JudgedMetric, labels: dict[str, str]) -> None:
    assert judged.found is not None
    set_gauge("performance_score", judged.found.value, **labels)
    set_gauge("performance_low", judged.found.low, **labels)
    set_gauge("performance_high", judged.found.high, **labels)
    set_gauge("performance_reference", judged.reference, **labels)
    set_gauge("performance_threshold", judged.threshold, **labels)
    set_gauge("performance_breached", judged.breached, **labels)
    set_gauge("performance_window_rows", judged.counted_rows, **labels)
    set_gauge("performance_window_duration_seconds", judged.window_seconds, **labels)


def _add_delays(set_gauge: SetGauge, model: str, found: LabelCoverage) -> None:
    for until, delays in (("event", found.event_delay), ("arrival", found.arrival_delay)):
        for quantile, seconds in zip(("0.5", "0.95"), delays, strict=True):
            set_gauge("label_delay_seconds", seconds, model_name=model, until=until, quantile=quantile)


def _truth(value: bool) -> str:
    return "true" if value else "false"
