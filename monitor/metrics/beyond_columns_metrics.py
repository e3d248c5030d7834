"""Gauges of what is found beyond the drift of single columns: data quality, and all inputs together."""

from collections import Counter
from typing import Protocol

from driftline.monitor.drift.verdict import Verdict
from driftline.monitor.quality.finding import WHOLE, Kind, QualityVerdict
from driftline.monitor.status import VersionStatus
from driftline.store.records import MICROSECONDS


class SetGauge(Protocol):
    """Adds one sample of ``driftline_monitor_<name>``; None adds nothing."""

    def __call__(self, name: str, value: float | None, **labels: str) -> None: ...


def add_beyond_columns(set_gauge: SetGauge, status: VersionStatus, labels: dict[str, str], max_features: int) -> None:
    """Add what the newest runs of the quality and the multivariate job found in one version.

    Args:
        set_gauge: where to.
        labels: of the model version.
        max_features: inputs that get series of their own.
    """
    _add_quality(set_gauge, status, labels, max_features)
    check = status.multivariate
    if check is None:
        return
    set_gauge("multivariate_drift_score", check.auc, **labels)
    set_gauge("multivariate_drift_detected", None if check.auc is None else check.verdict is Verdict.DRIFT, **labels)
    set_gauge("multivariate_window_rows", check.window_rows, **labels)
    set_gauge("multivariate_window_end_timestamp_seconds", check.window[1] / MICROSECONDS, **labels)


def _add_quality(set_gauge: SetGauge, status: VersionStatus, labels: dict[str, str], max_features: int) -> None:
    judged = [f for f in status.quality if f.threshold is not None]
    breaches = Counter(f.kind for f in judged if f.verdict is QualityVerdict.BREACH)
    for kind in dict.fromkeys(f.kind for f in judged):
        set_gauge("quality_breaches", breaches[kind], kind=kind, **labels)
    inputs = list(dict.fromkeys(f.name for f in status.quality if f.side == "input"))[:max_features]
    for finding in judged:
        if finding.side == "input" and finding.name in inputs:
            breached = finding.verdict is QualityVerdict.BREACH
            set_gauge("feature_quality_breached", breached, feature=finding.name, kind=finding.kind, **labels)
    for finding in [f for f in status.quality if f.name == WHOLE]:
        name, usual = ("hour_rows", "usual") if finding.kind is Kind.VOLUME else ("duplicate_rows_ratio", "reference")
        set_gauge(name, finding.observed, dataset="current", **labels)
        set_gauge(name, finding.expected, dataset=usual, **labels)
