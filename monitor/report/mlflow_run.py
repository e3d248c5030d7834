"""A report as a run in MLflow: in the experiment ``driftline/<model>``, linked to the model version.

Invariants
----------
- There is one run per model version and window, and one trend run per model, found by their tags: logging a report
  again updates its run. Of runs that two monitors made at once the older one stays.
- The tags of model version and LoggedModel tell of the newest window, in whatever order reports are logged.
"""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from driftline.monitor.mlflow_link import MlflowLink
from driftline.monitor.mlflow_run_parts import experiment_of, log_metrics, log_window
from driftline.monitor.report import report_files
from driftline.monitor.report.drift_report import DriftReport
from driftline.monitor.report.mlflow_metrics import report_metrics, trend_metrics
from driftline.monitor.report.mlflow_trend import RUN_NAME, TREND_TAG, log_points
from driftline.monitor.report.wording import headline
from driftline.store.records import ModelIdentity

if TYPE_CHECKING:
    from mlflow import MlflowClient

_WINDOW_END = "driftline.report_window_end"
_PARENT = "mlflow.parentRunId"


def log_report(link: MlflowLink, identity: ModelIdentity, report: DriftReport, runbooks_url: str = "") -> str:
    """Log the report and return the run's id.

    Raises:
        MlflowUnreachable: MLflow refuses or does not answer.
    """
    with link.talking():
        client = link.client
        experiment_id = experiment_of(client, identity.name)
        on_curve = report.scheduled and report.content["arms"][0]["arm"] == "champion"
        trend_id = _trend_run(client, experiment_id) if on_curve else None
        run_id = _run(client, experiment_id, identity, report, trend_id)
        model_id = identity.model_id
        window = log_window(client, run_id, identity, report.window, report.content["window"], model_id)
        log_metrics(client, run_id, model_id, window, report_metrics(report.content))
        with tempfile.TemporaryDirectory(prefix="driftline-") as folder:
            report_files.write(Path(folder), report, {"runbooks": runbooks_url or None})
            client.log_artifacts(run_id, folder)
        if trend_id is not None:
            log_points(client, trend_id, trend_metrics(report.content), report.window[1])
            client.set_terminated(trend_id)
        client.set_terminated(run_id)
    end = report.content["window"]["end"]
    if link.tags(identity).get(_WINDOW_END, "") <= end:
        tags = {"driftline.drift": report.verdict, "driftline.report_run": run_id, _WINDOW_END: end}
        link.set_tags(identity, tags)
    return run_id


def _trend_run(client: "MlflowClient", experiment_id: str) -> str:
    tags = {TREND_TAG: "1", "mlflow.note.content": "One point per scheduled report of the model's champion."}
    return _one_run(client, experiment_id, {TREND_TAG: "1"}, tags, RUN_NAME)


def _run(
    client: "MlflowClient", experiment_id: str, identity: ModelIdentity, report: DriftReport, parent_id: str | None
) -> str:
    content = report.content
    window = content["window"]
    same = {
        "driftline.model_version": identity.version,
        "driftline.window": f"{report.window[0]}-{report.window[1]}",
    }
    tags = {
        **same,
        "driftline.model_name": identity.name,
        "driftline.drift": report.verdict,
        "driftline.scheduled": str(report.scheduled).lower(),
        "mlflow.note.content": headline(content),
        **({_PARENT: parent_id} if parent_id else {}),
    }
    name = f"version {identity.version}, {window['start'][:10]} to {window['end'][:10]}"
    return _one_run(client, experiment_id, same, tags, name)


def _one_run(client: "MlflowClient", experiment_id: str, same: dict[str, str], tags: dict[str, str], name: str) -> str:
    """Return the run that has the tags ``same``, made where there is none; ``tags`` are set in any case."""
    condition = " and ".join(f"tags.`{key}` = {_quoted(value)}" for key, value in same.items())
    found = client.search_runs([experiment_id], condition)
    if not found:
        made = client.create_run(experiment_id, tags=tags, run_name=name)
        found = client.search_runs([experiment_id], condition) or [made]
        oldest = _oldest(found)
        if oldest != made.info.run_id:
            client.delete_run(made.info.run_id)
        else:
            return str(oldest)
    run_id = _oldest(found)
    for key, value in tags.items():
        client.set_tag(run_id, key, value)
    return run_id


def _oldest(runs: Any) -> str:
    return str(min(runs, key=lambda run: (run.info.start_time, run.info.run_id)).info.run_id)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "\\'") + "'"
