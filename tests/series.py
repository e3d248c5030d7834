"""A model's life as series: every metric that the catalogue marks exported, with plausible values at any moment.

Load for Prometheus in the tests of dashboards and alerts, where the whole product would be slow: as a page to scrape
(``Page``) and as history to load (``write_history``).
"""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from driftline.store.metric_catalogue import CataloguedMetric, load_catalogue

MODEL = "fare model/1"  # hostile to queries and links on purpose
METHODS = {"income": "wasserstein", "age": "wasserstein", "region": "jensenshannon"}
LABEL_VALUES = {
    "model_name": (MODEL,),
    "model_version": ("3",),
    "model_alias": ("champion",),
    "flavor": ("sklearn",),
    "arm": ("champion",),
    "route": ("/invocations", "/ping"),
    "code": ("200", "400", "500"),
    "check": ("drift",),
    "dataset": ("current", "reference"),
    "scope": ("dataset", "prediction"),
    "feature": tuple(METHODS),
    "dependency": ("store", "mlflow"),
    "source": ("artifact",),
    "segment_column": ("country",),
    "segment": ("DE", "FR", "other"),
    "kind": ("out_of_range", "unseen_category"),
    "output": ("prediction",),
    "bin": ("00_below", *(f"{place:02d}" for place in range(1, 11)), "11_above", "99_missing"),
    "fate": ("stored", "pending", "ambiguous"),
    "service": ("iris",),
    "metric": ("accuracy", "roc_auc"),
    "estimated": ("false", "true"),
    "version": ("0.1.0",),
    "python_version": ("3.11",),
    "mlflow_version": ("3.17.2",),
    "evidently_version": ("0.7.23",),
}
BY_METRIC = {
    "driftline_scorer_tee_records_total": {"result": ("answered", "enqueued", "stored", "quarantined", "dropped")},
    "driftline_scorer_tee_quarantined_records": {"reason": ("unreadable", "refused")},
    "driftline_scorer_tee_dropped_records_total": {"reason": ("queue_full", "spool_full")},
    "driftline_scorer_upstream_errors_total": {"reason": ("refused", "timeout", "broken", "invalid")},
    "driftline_scorer_rejected_requests_total": {"reason": ("schema", "malformed")},
    "driftline_scorer_tee_pending_records": {"stage": ("memory", "spool")},
    "driftline_scorer_stage_duration_seconds": {"stage": ("parse", "predict", "encode", "tee")},
    "driftline_scorer_batching_workers": {"state": ("off", "on", "refused", "stopped")},
    "driftline_scorer_tee_flushes_total": {"result": ("success", "error")},
    "driftline_scorer_model_swaps_total": {"result": ("success", "error")},
    "driftline_monitor_job_runs_total": {"result": ("success", "error", "insufficient_data")},
    "driftline_monitor_label_delay_seconds": {"until": ("event", "arrival"), "quantile": ("0.5", "0.95")},
    "driftline_monitor_features": {"state": ("monitored", "drifted", "dropped")},
}
DRIFTED = {
    "driftline_monitor_drift_detected": 1.0,
    "driftline_monitor_drift_consecutive_windows": 3.0,
    "driftline_monitor_drift_since_timestamp_seconds": 1_700_000_000.0,
    "driftline_monitor_drift_share_ratio": 0.67,
    "driftline_monitor_prediction_drift_score": 0.2,
    "driftline_monitor_prediction_drift_detected": 1.0,
    "driftline_monitor_feature_drift_score": 0.31,
    "driftline_monitor_feature_drift_detected": 1.0,
}
STEADY = {
    "driftline_monitor_job_interval_seconds": 300.0,
    "driftline_scorer_registry_interval_seconds": 30.0,
    "driftline_scorer_tee_dropped_records_total": 0.0,
    "driftline_monitor_feature_drift_score": 0.04,
    "driftline_monitor_feature_drift_threshold": 0.1,
    "driftline_monitor_prediction_drift_threshold": 0.1,
    "driftline_monitor_drift_since_timestamp_seconds": 0.0,
    "driftline_monitor_feature_window_rows": 4000.0,
    "driftline_monitor_prediction_window_rows": 4000.0,
    "driftline_monitor_feature_window_duration_seconds": 86_400.0,
    "driftline_monitor_prediction_window_duration_seconds": 86_400.0,
    "driftline_monitor_feature_bin_ratio": 0.08,
    "driftline_monitor_prediction_bin_ratio": 0.08,
    "driftline_monitor_drift_share_threshold_ratio": 0.5,
    "driftline_monitor_window_rows": 4000.0,
    "driftline_monitor_window_min_rows": 500.0,
    "driftline_monitor_job_last_duration_seconds": 0.4,
    "driftline_monitor_performance_score": 0.9,
    "driftline_monitor_performance_low": 0.88,
    "driftline_monitor_performance_high": 0.92,
    "driftline_monitor_performance_reference": 0.91,
    "driftline_monitor_performance_threshold": 0.85,
    "driftline_monitor_performance_breached": 0.0,
    "driftline_monitor_label_coverage_ratio": 0.7,
    "driftline_monitor_label_coverage_min_ratio": 0.1,
    "driftline_monitor_label_delay_seconds": 7200.0,
    "driftline_monitor_labels_expected_delay_seconds": 86_400.0,
    "driftline_scorer_spool_bytes": 2e6,
    "driftline_scorer_spool_limit_bytes": 1e9,
    "driftline_scorer_spool_available_bytes": 998e6,
}
RECORDED = {"driftline:slo_errors:ratio_rate3d": 0.0002, "driftline:slo_objective:ratio": 0.999}
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


def families(at: float, drifted: bool) -> Iterator[Metric]:
    """Return the page as it stands ``at`` seconds since the epoch."""
    for metric in load_catalogue().values():
        if metric.exported:
            yield _family(metric, at, drifted)


def _family(metric: CataloguedMetric, at: float, drifted: bool) -> Metric:
    values = BY_METRIC.get(metric.name, {}) | {k: v for k, v in LABEL_VALUES.items() if k in metric.labels}
    kinds = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily, "histogram": HistogramMetricFamily}
    family = kinds[metric.type](metric.name, metric.help, labels=metric.labels)
    names = [name for name in metric.labels if name != "method"]
    for chosen in itertools.product(*(values[name] for name in names)):
        labels = dict(zip(names, chosen, strict=True))
        if "method" in metric.labels:
            labels["method"] = METHODS.get(labels.get("feature", ""), "wasserstein")
        row = [labels[name] for name in metric.labels]
        if isinstance(family, HistogramMetricFamily):
            answered = float(int(at) % 1_000_000)
            shares = [min(1.0, (i + 1) / 6) for i in range(len(BUCKETS))]
            bounds = [(str(b), float(round(answered * s))) for b, s in zip(BUCKETS, shares, strict=True)]
            family.add_metric(row, [*bounds, ("+Inf", answered)], sum_value=answered * 0.03)
        else:
            family.add_metric(row, _value(metric, at, drifted))
    return family


def _value(metric: CataloguedMetric, at: float, drifted: bool) -> float:
    if drifted and metric.name in DRIFTED:
        return DRIFTED[metric.name]
    if metric.name in STEADY:
        return STEADY[metric.name]
    if metric.name.endswith("_timestamp_seconds"):
        return at - 60
    if metric.type == "counter":
        return float(int(at) % 1_000_000) * 2
    return 1.0 if metric.name.endswith(("_info", "_up", "_ready")) else 0.0


class Page(Collector):
    """The page of a live exporter; ``drifted`` may be switched while it is scraped."""

    def __init__(self) -> None:
        self.drifted = False

    def collect(self) -> Iterator[Metric]:
        return families(time.time(), self.drifted)


def write_history(path: Path, start: int, end: int, step: int, drift_from: int) -> None:
    """Write OpenMetrics text with a sample of every series each ``step`` seconds, ready for promtool to load."""
    moments = range(start, end + 1, step)
    pages = [{f.name: f for f in families(float(at), at >= drift_from)} for at in moments]
    with path.open("w", encoding="utf-8") as text:
        for job in ("driftline-scorer", "driftline-monitor"):
            text.write("# TYPE up gauge\n" if job == "driftline-scorer" else "")
            text.writelines(f'up{{job="{job}",instance="{job}:1"}} 1 {at}\n' for at in moments)
        for name, value in RECORDED.items():
            text.write(f"# TYPE {name} gauge\n")
            text.writelines(f'{name}{{model_name="{MODEL}",slo="availability"}} {value} {at}\n' for at in moments)
        for name, first in pages[0].items():
            job = "driftline-scorer" if name.startswith("driftline_scorer") else "driftline-monitor"
            text.write(f"# TYPE {name} {first.type}\n")
            for at, page in zip(moments, pages, strict=True):
                for sample in page[name].samples:
                    labels = {**sample.labels, "job": job, "instance": f"{job}:1"}
                    inside = ",".join(f'{k}="{v}"' for k, v in labels.items())
                    text.write(f"{sample.name}{{{inside}}} {sample.value} {at}\n")
        text.write("# EOF\n")
