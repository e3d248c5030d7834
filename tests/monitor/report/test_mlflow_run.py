"""Reports in a real MLflow: its local store without a server, and a tracking server with registry over HTTP."""

import json
from dataclasses import replace
from pathlib import Path

import mlflow
from monitor_rig import TinyModel
from report_rig import MONDAY, WEEK_US, column, content

from driftline.monitor.mlflow_link import MlflowLink
from driftline.monitor.report.drift_report import DriftReport
from driftline.monitor.report.mlflow_run import log_report
from driftline.monitor.report.mlflow_trend import TREND_TAG

FILES = {"evidently.html": b"<html>evidently", "evidently.json": b"{}"}


def report(weeks_ago: int = 0, ratio: float = 2.0, **more: object) -> DriftReport:
    end = MONDAY - weeks_ago * WEEK_US
    made = content(100, column(ratio=ratio), column("prediction", 0.5, "output"), end=end, **more)
    return DriftReport((end - WEEK_US, end), made, FILES, scheduled=True)


def challenged() -> DriftReport:
    """A report whose version also was the shadow."""
    made = report()
    other = {**made.content["arms"][0], "arm": "shadow", "rows": 40}
    return replace(made, content={**made.content, "arms": [*made.content["arms"], other]})


def check_everything(tiny: TinyModel, client: mlflow.MlflowClient, tmp_path: Path) -> None:
    """Log a report and read every part of its run back."""
    run_id = log_report(MlflowLink(), tiny.built.identity, challenged())
    run = client.get_run(run_id)
    assert client.get_experiment(run.info.experiment_id).name == "driftline/tiny"
    assert run.info.status == "FINISHED"
    assert run.data.tags["driftline.drift"] == "drift"
    assert run.data.tags["mlflow.note.content"] == "1 of 2 judged columns drifted, most of all income."
    metrics = run.data.metrics
    assert (metrics["window_rows"], metrics["columns_drifted"], metrics["drift_share"]) == (100, 1, 1.0)
    assert metrics["drift_score/input.income"] > metrics["drift_threshold/input.income"]
    assert (metrics["shadow/window_rows"], metrics["shadow/drift_score.input.income"]) == (40, 0.2)
    (window,) = run.inputs.dataset_inputs
    assert {t.key: t.value for t in window.tags}["mlflow.data.context"] == "monitoring"
    assert json.loads(window.dataset.profile) == {"num_rows": 100}
    assert [m.model_id for m in run.inputs.model_inputs] == [tiny.model_id]
    on_model = {m.key: m for m in mlflow.get_logged_model(tiny.model_id).metrics}
    assert on_model["drift_share"].dataset_name == "tiny-window"
    assert on_model["drift_share"].dataset_digest == window.dataset.digest
    found = mlflow.search_logged_models(filter_string="metrics.drift_share > 0.5", output_format="list")
    assert [m.model_id for m in found] == [tiny.model_id]
    assert client.get_model_version("tiny", "1").tags["driftline.report_run"] == run_id
    assert mlflow.get_logged_model(tiny.model_id).tags["driftline.drift"] == "drift"
    folder = Path(mlflow.artifacts.download_artifacts(run_id=run_id, dst_path=str(tmp_path / "read")))
    assert {p.name for p in folder.iterdir()} == {*FILES, "scores.json", "summary.html", "summary.json"}
    assert (folder / "evidently.html").read_bytes() == FILES["evidently.html"]
    assert json.loads((folder / "summary.json").read_text())["verdict"] == "drift"
    assert 'href="evidently.html"' in (folder / "summary.html").read_text()
    assert {(s["arm"], s["column"]) for s in json.loads((folder / "scores.json").read_text())} >= {("shadow", "income")}


def test_a_report_is_one_run_linked_to_model_and_version_in_the_local_store(
    tiny: TinyModel, tracking: mlflow.MlflowClient, tmp_path: Path
) -> None:
    check_everything(tiny, tracking, tmp_path)


def test_a_report_is_one_run_linked_to_model_and_version_over_http(
    tiny: TinyModel, tracking_server: mlflow.MlflowClient, tmp_path: Path
) -> None:
    check_everything(tiny, tracking_server, tmp_path)


def test_the_reports_of_the_weeks_make_a_curve_and_one_that_is_made_anew_moves_its_point(
    tiny: TinyModel, tracking: mlflow.MlflowClient
) -> None:
    link, identity = MlflowLink(), tiny.built.identity
    runs = [log_report(link, identity, report(weeks_ago, ratio)) for weeks_ago, ratio in ((2, 1.0), (1, 3.0), (0, 2.0))]
    assert log_report(link, identity, report(1, 2.5)) == runs[1]
    experiment = tracking.get_run(runs[0]).info.experiment_id
    (trend,) = tracking.search_runs([experiment], f"tags.`{TREND_TAG}` = '1'")
    points: dict[int, list[float]] = {}
    history = tracking.get_metric_history(trend.info.run_id, "highest_score_in_thresholds")
    for metric in sorted(history, key=lambda m: (m.step, m.timestamp)):
        points.setdefault(metric.step, []).append(metric.value)
    assert list(points.values()) == [[1.0], [3.0, 2.5], [2.0]]
    assert [b - a for a, b in zip(points, list(points)[1:], strict=False)] == [7, 7]
    unchanged = tracking.get_metric_history(trend.info.run_id, "window_rows")
    assert len(unchanged) == 3
    children = tracking.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{trend.info.run_id}'")
    assert {run.info.run_id for run in children} == set(runs)
    assert len(tracking.get_run(runs[1]).inputs.dataset_inputs) == 1


def test_the_version_tells_of_the_newest_window_however_late_an_older_one_is_logged(
    tiny: TinyModel, tracking: mlflow.MlflowClient
) -> None:
    newest = log_report(MlflowLink(), tiny.built.identity, report(0))
    log_report(MlflowLink(), tiny.built.identity, report(3))
    assert tracking.get_model_version("tiny", "1").tags["driftline.report_run"] == newest


def test_of_two_runs_that_were_made_at_once_the_older_one_stays(tiny: TinyModel, tracking: mlflow.MlflowClient) -> None:
    identity = tiny.built.identity
    first = log_report(MlflowLink(), identity, report())
    run = tracking.get_run(first)
    keys = ("driftline.model_version", "driftline.window")
    tracking.create_run(run.info.experiment_id, tags={k: run.data.tags[k] for k in keys})
    assert log_report(MlflowLink(), identity, report()) == first


def test_a_report_on_demand_is_a_run_but_no_point_of_the_curve(tiny: TinyModel, tracking: mlflow.MlflowClient) -> None:
    run_id = log_report(MlflowLink(), tiny.built.identity, replace(report(), scheduled=False))
    runs = tracking.search_runs([tracking.get_run(run_id).info.experiment_id])
    assert [run.info.run_id for run in runs] == [run_id]


def test_a_report_of_a_version_that_mlflow_no_longer_has_is_a_run_all_the_same(
    tiny: TinyModel, tracking: mlflow.MlflowClient
) -> None:
    tracking.rename_registered_model("tiny", "renamed")
    first = log_report(MlflowLink(), tiny.built.identity, report(1))
    assert tracking.get_logged_model(tiny.model_id).tags["driftline.report_run"] == first
    tracking.delete_model_version("renamed", "1")
    tracking.delete_logged_model(tiny.model_id)
    second = log_report(MlflowLink(), tiny.built.identity, report())
    assert tracking.get_run(second).data.metrics["columns_drifted"] == 1
    assert log_report(MlflowLink(), tiny.built.identity, report()) == second
