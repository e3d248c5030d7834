"""The model's curve in MLflow: one run per model whose metrics have a point per report.

MLflow draws a metric over the steps of one run as a line, and the metrics of many runs as bars beside each other. The
reports' runs, children of this one, are the bars; this run has the lines.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from driftline.monitor.mlflow_run_parts import step_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

TREND_TAG = "driftline.trend"
RUN_NAME = "trend over the reports"
_METRICS_A_BATCH = 1000


def log_points(client: "MlflowClient", run_id: str, values: Mapping[str, float], window_end_us: int) -> None:
    """Add a report's point to the curves; a report that is logged again adds one only where a figure has changed.

    A metric's newest point of a step counts, and is a millisecond later than that which it replaces.
    """
    from mlflow.entities import Metric

    step, at = step_of(window_end_us), window_end_us // 1000
    again = any(m.step == step for m in client.get_metric_history(run_id, "window_rows"))
    metrics = []
    for name, value in values.items():
        earlier = [m for m in client.get_metric_history(run_id, name) if m.step == step] if again else []
        newest = max(earlier, key=lambda m: m.timestamp, default=None)
        if newest is None or newest.value != value:
            metrics.append(Metric(name, value, newest.timestamp + 1 if newest else at, step))
    for start in range(0, len(metrics), _METRICS_A_BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + _METRICS_A_BATCH])
