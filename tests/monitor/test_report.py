import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from monitor_rig import MINUTE_US, TinyModel, at, rows, save_reference, send
from sqlalchemy import select

from driftline.monitor.jobs.job import JobContext
from driftline.monitor.report import drift_report, job
from driftline.monitor.report.drift_report import DriftReport, NothingToReport, compose
from driftline.monitor.report.evidently_report import ReportFailed, choose_columns, make_report
from driftline.monitor.report.mlflow_run import log_report
from driftline.monitor.report.summary_page import render
from driftline.monitor.rows.results import Result
from driftline.monitor.settings import ReportSettings
from driftline.store import schema
from driftline.store.prediction_columns import ColumnType, PredictionColumn
from driftline.store.records import MICROSECONDS, now_us

HOUR_US = 60 * MINUTE_US


def made(context: JobContext, tiny: TinyModel, window: tuple[int, int] | None = None) -> DriftReport:
    """A report of 600 shifted rows."""
    save_reference(context, tiny)
    send(context, tiny, rows(600, seed=2, income=1.0))
    now = now_us()
    return compose(context, context.watched()[0], window or (now - HOUR_US, now))


def test_a_report_is_one_run_linked_to_model_and_version(
    context: JobContext, tiny: TinyModel, tracking: mlflow.MlflowClient, tmp_path: Path
) -> None:
    report = made(context, tiny)
    run_id = log_report(context.link, tiny.built.identity, report)
    run = tracking.get_run(run_id)
    assert tracking.get_experiment(run.info.experiment_id).name == "driftline/tiny"
    assert run.info.status == "FINISHED"
    assert run.data.tags["driftline.drift"] == "drift"
    assert run.data.metrics["window_rows"] == 600
    assert run.data.metrics["columns_drifted"] >= 1
    assert run.data.metrics["drift_score.input.income"] > run.data.metrics["drift_threshold.input.income"]
    (window,) = run.inputs.dataset_inputs
    assert {t.key: t.value for t in window.tags}["mlflow.data.context"] == "monitoring"
    assert [m.model_id for m in run.inputs.model_inputs] == [tiny.model_id]
    on_model = {m.key: m.dataset_name for m in mlflow.get_logged_model(tiny.model_id).metrics}
    assert on_model["drift_share"] == "tiny-window"
    assert tracking.get_model_version("tiny", "1").tags["driftline.report_run"] == run_id
    assert mlflow.get_logged_model(tiny.model_id).tags["driftline.drift"] == "drift"
    folder = Path(mlflow.artifacts.download_artifacts(run_id=run_id, dst_path=str(tmp_path / "read")))
    assert {p.name for p in folder.iterdir()} == {
        "evidently.html", "evidently.json", "scores.json", "summary.html", "summary.json",
    }  # fmt: skip
    assert b"<html" in (folder / "evidently.html").read_bytes()[:2000]
    scores = {c["column"]: c["verdict"] for c in json.loads((folder / "scores.json").read_text())}
    assert scores["income"] == "drift"
    evidently = json.loads((folder / "evidently.json").read_text())
    drifted = {m["config"]["column"]: m["value"] for m in evidently["metrics"]
               if m["config"]["type"].endswith(":ValueDrift")}  # fmt: skip
    assert drifted["income"] > 0.5 > 0.1 > drifted["age"]


def test_logging_a_report_again_updates_the_same_run(sqlite_context: JobContext, tiny: TinyModel) -> None:
    report = DriftReport((0, HOUR_US), b"<html>", content(rows_=100))
    link, identity = sqlite_context.link, tiny.built.identity
    first = log_report(link, identity, report)
    again = log_report(link, identity, replace(report, content=content(rows_=90)))
    other = log_report(link, identity, replace(report, window=(HOUR_US, 2 * HOUR_US)))
    assert first == again != other
    assert link.client.get_run(first).data.metrics["window_rows"] == 90


def test_a_report_is_kept_whole_in_the_store_and_once(context: JobContext, tiny: TinyModel) -> None:
    save_reference(context, tiny)
    (version,) = context.watched()
    report = DriftReport((0, HOUR_US), b"<html>\xff", content(rows_=100))
    drift_report.keep(context, version, report)
    drift_report.note_run(context, version, report, "run-7")
    drift_report.keep(context, version, replace(report, html=b"newer"))
    with context.engine.connect() as connection:
        (row,) = connection.execute(select(schema.report)).all()
    kept = drift_report.unpack(row)
    assert (kept.html, kept.content, row.mlflow_run_id) == (b"newer", report.content, "run-7")


def test_the_job_reports_each_due_window_once_and_catches_up_when_mlflow_is_back(
    sqlite_context: JobContext, tiny: TinyModel, tracking: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_reference(sqlite_context, tiny)
    send(sqlite_context, tiny, rows(600, seed=2, income=1.0))
    later = at(sqlite_context, now_us() + 7 * 24 * HOUR_US)
    answers = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri("http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    away = job.run(later).outcomes["tiny/1"]
    assert away.result is Result.ERROR
    assert "kept in the store" in away.message
    mlflow.set_tracking_uri(answers)
    monkeypatch.setattr(drift_report, "compose", None)  # the kept report is logged, none is made
    back = job.run(later).outcomes["tiny/1"]
    assert back.result is Result.SUCCESS
    assert tracking.get_run(str(back.mlflow_run_id)).data.tags["driftline.drift"] == "drift"
    assert job.run(later).outcomes == {}


def test_a_version_that_was_first_served_after_the_due_window_is_not_due(
    sqlite_context: JobContext, tiny: TinyModel
) -> None:
    save_reference(sqlite_context, tiny)
    assert job.run(sqlite_context).outcomes == {}


def test_a_window_without_rows_is_told(sqlite_context: JobContext, tiny: TinyModel) -> None:
    with pytest.raises(NothingToReport, match="no rows of tiny/1"):
        made(sqlite_context, tiny, window=(0, HOUR_US))


def test_the_due_window_ends_at_the_newest_scheduled_time() -> None:
    settings = ReportSettings(schedule="0 6 * * mon")
    wednesday = datetime(2026, 1, 7, 12, tzinfo=UTC)
    start, end = job.due_window(settings, int(wednesday.timestamp()) * MICROSECONDS)
    assert datetime.fromtimestamp(end / MICROSECONDS, UTC) == datetime(2026, 1, 5, 6, tzinfo=UTC)
    assert end - start == 7 * 24 * HOUR_US
    monday = int(datetime(2026, 1, 12, 6, tzinfo=UTC).timestamp()) * MICROSECONDS
    assert job.due_window(settings, monday)[1] == monday


def test_columns_that_cannot_be_compared_are_left_out_and_named() -> None:
    kinds = [("number", ColumnType.DOUBLE), ("empty", ColumnType.DOUBLE), ("absent", ColumnType.LONG),
             ("words", ColumnType.STRING), ("truth", ColumnType.BOOLEAN), ("object", ColumnType.JSON)]  # fmt: skip
    columns = [PredictionColumn("input", name, f"in_{name}", type_) for name, type_ in kinds]
    reference = pd.DataFrame({
        "in_number": np.arange(2_000.0), "in_empty": np.nan, "in_absent": 1,
        "in_words": [f"word {i}" for i in range(2_000)], "in_truth": True, "in_object": "{}",
    })  # fmt: skip
    chosen, left_out = choose_columns(reference.drop(columns="in_absent"), reference, columns)
    assert chosen == {"in_number": "numerical", "in_truth": "categorical"}
    assert left_out == {
        "in_empty": "no values in the window",
        "in_absent": "no values in the window",
        "in_words": "more than 1000 different texts",
        "in_object": "json is neither a number nor a category",
    }


def test_a_child_that_takes_too_long_is_one_line() -> None:
    frame = pd.DataFrame({"in_a": np.arange(100.0)})
    with pytest.raises(ReportFailed, match="more than 0 s"):
        make_report(frame, frame, [PredictionColumn("input", "a", "in_a", ColumnType.DOUBLE)], timeout_seconds=0.01)


def test_the_summary_escapes_what_it_shows() -> None:
    hostile = content(rows_=10)
    hostile["columns"][0]["column"] = "<img src=x onerror=alert(1)>"
    assert "<img" not in render(hostile)


def content(rows_: int) -> dict[str, object]:
    """A report's JSON with one drifted column."""
    return {
        "model": "tiny", "version": "1", "arm": "champion", "made_at": "2026-01-05T06:00:00Z",
        "window": {"start": "2025-12-29T06:00:00Z", "end": "2026-01-05T06:00:00Z", "rows": rows_},
        "reference": {"rows": 3_000, "source": "training rows", "made_at": "2025-12-01T00:00:00Z"},
        "columns": [{
            "column": "income", "side": "input", "kind": "numeric", "statistic": "wasserstein", "score": 1.0,
            "threshold": 0.1, "rows": rows_, "verdict": "drift", "reason": "moved", "missing_share": 0.0,
            "reference_missing_share": 0.0, "unseen_share": None, "out_of_range_share": 0.0,
        }],
        "sample": {"rows": rows_, "share": 1.0, "reference_rows": 3_000, "drawn": "the smallest hashes"},
        "left_out": {}, "accounts": {"answered": 2, "stored": 2, "spooled": 0, "dropped": {}}, "evidently": {},
    }  # fmt: skip
