"""Gauges of drift and performance by segment: at most ``[segments] max_values`` + 2 series of each per column."""

from driftline.monitor.drift.verdict import Verdict, in_thresholds
from driftline.monitor.metrics.beyond_columns_metrics import SetGauge
from driftline.monitor.status import VersionStatus
from driftline.store.records import MICROSECONDS


def add_segments(set_gauge: SetGauge, status: VersionStatus, labels: dict[str, str]) -> None:
    """Add what the newest runs of the segments and the performance job found in one version.

    Args:
        set_gauge: where to.
        labels: of the model version.
    """
    for row in status.segments:
        of = {"segment_column": row.segment_column, "segment": row.segment, **labels}
        set_gauge("segment_window_rows", row.window_rows, **of)
        ends = row.window_end / MICROSECONDS
        set_gauge("segment_window_end_timestamp_seconds", ends, **of)
        if row.score is None:
            continue
        set_gauge("segment_drift_detected", row.verdict == Verdict.DRIFT, **of)
        set_gauge("segment_drift_share_ratio", row.drifted / row.judged, **of)
        set_gauge("segment_drift_score_ratio", in_thresholds(row.score, row.threshold), **of)
    for row in status.segment_performance:
        of = {"segment_column": row.segment_column, "segment": row.segment, **labels}
        set_gauge("segment_performance_labelled_rows", row.labelled_rows, **of)
        if row.judged:
            set_gauge("segment_performance_breached", row.breached > 0, **of)
            room = row.threshold - row.reference
            ratio = (row.value - row.reference) / room if room else None
            set_gauge("segment_performance_threshold_ratio", ratio, **of)
