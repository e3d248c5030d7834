"""The figures of a report as metrics of MLflow: the same names each week, so that its charts compare the weeks."""

from collections.abc import Mapping
from typing import Any

from driftline.monitor.mlflow_run_parts import metric_key
from driftline.monitor.report.wording import by_segment

MOST_TREND_COLUMNS = 100


def report_metrics(content: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics of a report's run.

    The first arm's have plain names, another arm's begin with it (``challenger/``). Of a name with a slash MLflow's
    charts make a section.
    """
    values: dict[str, float | None] = {"window_rows": content["window"]["rows"]}
    values |= {"sample_rows": content["sample"]["rows"], "sample_share": content["sample"]["share"]}
    if content["accounts"]:
        values["requests_dropped"] = sum(content["accounts"]["dropped"].values())
    values["jobs_failed"] = sum(job["failures"] for job in content["jobs"].values())
    for place, arm in enumerate(content["arms"]):
        figures = arm_figures(arm) | _column_figures(arm)
        if place:
            figures = {f"{arm['arm']}/{name.replace('/', '.')}": value for name, value in figures.items()}
            figures[f"{arm['arm']}/window_rows"] = arm["rows"]
        values |= figures
    return {name: float(value) for name, value in values.items() if value is not None}


def trend_metrics(content: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics of the model's curve: of the first arm, and of a bounded number of columns."""
    arm = content["arms"][0]
    values: dict[str, float | None] = {"window_rows": arm["rows"], **arm_figures(arm)}
    judged = sorted((c for c in arm["columns"] if c["score"] is not None), key=lambda c: (c["side"], c["column"]))
    values |= {f"drift_score/{column_key(c)}": c["score"] for c in judged[:MOST_TREND_COLUMNS]}
    return {name: float(value) for name, value in values.items() if value is not None}


def arm_figures(arm: Mapping[str, Any]) -> dict[str, float | None]:
    """Return what one arm comes to."""
    judged = [c for c in arm["columns"] if c["score"] is not None]
    inputs = [c for c in judged if c["side"] == "input"]
    values: dict[str, float | None] = {
        "columns_judged": len(judged),
        "columns_drifted": sum(c["verdict"] == "drift" for c in judged),
        # As on the gauge: predictions follow, they do not count twice.
        "drift_share": sum(c["verdict"] == "drift" for c in inputs) / len(inputs) if inputs else None,
        "highest_score_in_thresholds": max((c["ratio"] for c in judged if c["ratio"] is not None), default=None),
    }
    if arm["quality"]:
        values["quality_breaches"] = sum(f["verdict"] == "breach" for f in arm["quality"])
    if arm["segments"]:
        values["segments_drifted"] = sum(s["verdict"] == "drift" for s in arm["segments"])
    if judged_segments := by_segment(arm):
        values["segments_breached"] = sum(s["verdict"] == "breach" for s in judged_segments)
    if arm["multivariate"]:
        values["all_inputs_auc"] = arm["multivariate"]["auc"]
    for found in arm["performance"]:
        kind = "performance_estimated" if found["estimated"] else "performance"
        for part, suffix in (("value", ""), ("low", "_low"), ("high", "_high")):
            values[f"{kind}{suffix}/{metric_key(found['metric'])}"] = found[part]
    return values


def column_key(column: Mapping[str, Any]) -> str:
    """Return side and name of a column, as far as MLflow allows it in a metric's name."""
    return f"{column['side']}.{metric_key(column['column'])}"


def _column_figures(arm: Mapping[str, Any]) -> dict[str, float | None]:
    values: dict[str, float | None] = {}
    for column in arm["columns"]:
        if column["score"] is not None:
            values[f"drift_score/{column_key(column)}"] = column["score"]
            values[f"drift_threshold/{column_key(column)}"] = column["threshold"]
    return values
