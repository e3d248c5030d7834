"""A report as a run in MLflow: in the experiment ``driftline/<model>``, linked to the model version.

There is one run per model version and window, found by its tags: logging a report again updates it.
"""

import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from driftline.monitor.mlflow_link import MlflowLink
from driftline.monitor.report.drift_report import DriftReport
from driftline.monitor.report.summary_page import render
from driftline.store.records import MICROSECONDS, ModelIdentity

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

_METRICS_A_BATCH = 1000
_DAY_SECONDS = 86_400


def log_report(link: MlflowLink, identity: ModelIdentity, report: DriftReport) -> str:
    """Log the report and return the run's id.

    Raises:
        MlflowUnreachable: MLflow refuses or does not answer.
    """
    with link.talking():
        client = link.client
        run_id = _run(client, identity, report)
        digest = _log_window(client, run_id, identity, report)
        metrics = _metrics(identity, report, digest)
        for start in range(0, len(metrics), _METRICS_A_BATCH):
            client.log_batch(run_id, metrics=metrics[start : start + _METRICS_A_BATCH])
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
    name = f"driftline/{identity.name}"
    experiment = client.get_experiment_by_name(name)
    experiment_id = experiment.experiment_id if experiment else client.create_experiment(name)
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


def _log_window(client: "MlflowClient", run_id: str, identity: ModelIdentity, report: DriftReport) -> str:
    """Log the window as the run's dataset, and the model as its input; return the dataset's digest."""
    from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelInput

    content = report.content
    digest = hashlib.sha256(f"{identity.uri} {report.window}".encode()).hexdigest()[:8]
    columns = orjson.loads((identity.signature or {}).get("inputs") or "[]")
    dataset = Dataset(
        name=f"{identity.name}-window",
        digest=digest,
        source_type="code",
        source=orjson.dumps({"tags": {"mlflow.source.name": "driftline", "window": content["window"]}}).decode(),
        schema=orjson.dumps({"mlflow_colspec": columns}).decode(),
        profile=orjson.dumps({"num_rows": content["window"]["rows"]}).decode(),
    )
    client.log_inputs(
        run_id,
        datasets=[DatasetInput(dataset, [InputTag("mlflow.data.context", "monitoring")])],
        models=[LoggedModelInput(model_id=identity.model_id)] if identity.model_id else None,
    )
    return digest


def _metrics(identity: ModelIdentity, report: DriftReport, digest: str) -> list["Metric"]:
    from mlflow.entities import Metric
    from mlflow.utils.time import get_current_time_millis

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
        values[f"drift_score.{_key(column)}"] = column["score"]
        values[f"drift_threshold.{_key(column)}"] = column["threshold"]
    # The day as the step: the metrics of a model's runs then make one curve over the weeks.
    step = report.window[1] // MICROSECONDS // _DAY_SECONDS
    now = get_current_time_millis()
    return [
        Metric(
            name,
            float(value),
            now,
            step,
            model_id=identity.model_id,
            dataset_name=f"{identity.name}-window",
            dataset_digest=digest,
            run_id=None,
        )
        for name, value in values.items()
        if value is not None
    ]


def _key(column: dict[str, Any]) -> str:
    """Return a column's name in the characters that MLflow allows in a metric's."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "_-. ") else "_" for c in column["column"])[:200]
    exact = "" if plain == column["column"] else "." + hashlib.sha256(column["column"].encode()).hexdigest()[:6]
    return f"{column['side']}.{plain}{exact}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "\\'") + "'"


def _write_artifacts(folder: Path, report: DriftReport) -> None:
    content = {key: value for key, value in report.content.items() if key != "evidently"}
    (folder / "summary.html").write_text(render(report.content), encoding="utf-8")
    (folder / "summary.json").write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))
    (folder / "scores.json").write_bytes(orjson.dumps(content["columns"], option=orjson.OPT_INDENT_2))
    (folder / "evidently.html").write_bytes(report.html)
    (folder / "evidently.json").write_bytes(orjson.dumps(report.content["evidently"]))
