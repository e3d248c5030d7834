"""A report as a run in MLflow: in the experiment ``driftline/<model>``, linked to the model version.

There is one run per model version and window, found by its tags: logging a report again updates it.
"""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from driftline.monitor.mlflow_link import MlflowLink
from driftline.monitor.mlflow_run_parts import experiment_of, log_metrics, log_window, metric_key
from driftline.monitor.report.drift_report import DriftReport
from driftline.monitor.report.summary_page import render
from driftline.store.records import ModelIdentity

if TYPE_CHECKING:
    from mlflow import MlflowClient


def log_report(link: MlflowLink, identity: ModelIdentity, report: DriftReport) -> str:
    """Log the report and return the run's id.

    Raises:
        MlflowUnreachable: MLflow refuses or does not answer.
    """
    with link.talking():
        client = link.client
        run_id = _run(client, identity, report)
        model_id = identity.model_id
        window = log_window(client, run_id, identity, report.window, report.content["window"], model_id)
        log_metrics(client, run_id, model_id, window, _metrics(report))
        with tempfile.TemporaryDirectory(prefix="driftline-") as folder:
            _write_artifacts(Path(folder), report)
            client.log_artifacts(run_id, folder)
        client.set_terminated(run_id)
    link.set_tags(
        identity,
        {
            "driftline.drift": verdict(report.content),
            "driftline.report_run": run_id,
            "driftline.report_window_end": report.content["window"]["end"],
        },
    )
    return run_id


def verdict(content: dict[str, Any]) -> str:
    """Return one word or two for the whole window: drift in any column, no drift, or insufficient data."""
    verdicts = {column["verdict"] for column in content["columns"]}
    return next((v for v in ("drift", "no drift") if v in verdicts), "insufficient data")


def _run(client: "MlflowClient", identity: ModelIdentity, report: DriftReport) -> str:
    experiment_id = experiment_of(client, identity.name)
    window = report.content["window"]
    tags = {
        "driftline.model_name": identity.name,
        "driftline.model_version": identity.version,
        "driftline.window": f"{report.window[0]}-{report.window[1]}",
        "driftline.drift": verdict(report.content),
    }
    same = ("driftline.model_version", "driftline.window")
    found = client.search_runs(
        [experiment_id], " and ".join(f"tags.`{key}` = {_quoted(tags[key])}" for key in same), max_results=1
    )
    if found:
        for key, value in tags.items():
            client.set_tag(found[0].info.run_id, key, value)
        return str(found[0].info.run_id)
    run_name = f"version {identity.version}, {window['start'][:10]} to {window['end'][:10]}"
    return str(client.create_run(experiment_id, tags=tags, run_name=run_name).info.run_id)


def _metrics(report: DriftReport) -> dict[str, float | None]:
    judged = [c for c in report.content["columns"] if c["score"] is not None]
    drifted = [c for c in judged if c["verdict"] == "drift"]
    values = {
        "window_rows": report.content["window"]["rows"],
        "columns_judged": len(judged),
        "columns_drifted": len(drifted),
    }
    inputs = [c for c in judged if c["side"] == "input"]
    if inputs:  # as on the gauge: predictions follow, they do not count twice
        values["drift_share"] = sum(c in drifted for c in inputs) / len(inputs)
    for column in judged:
        key = f"{column['side']}.{metric_key(column['column'])}"
        values[f"drift_score.{key}"] = column["score"]
        values[f"drift_threshold.{key}"] = column["threshold"]
    return values


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "\\'") + "'"


def _write_artifacts(folder: Path, report: DriftReport) -> None:
    content = {key: value for key, value in report.content.items() if key != "evidently"}
    (folder / "summary.html").write_text(render(report.content), encoding="utf-8")
    (folder / "summary.json").write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))
    (folder / "scores.json").write_bytes(orjson.dumps(content["columns"], option=orjson.OPT_INDENT_2))
    (folder / "evidently.html").write_bytes(report.html)
    (folder / "evidently.json").write_bytes(orjson.dumps(report.content["evidently"]))
