import threading

import mlflow
import pytest
from monitor_rig import TinyModel, rows, save_reference, send
from report_rig import DAY_US, MONDAY, WEEK_US, at, content, weeks
from sqlalchemy import select

from driftline.monitor.jobs.job import JobContext
from driftline.monitor.report import job
from driftline.monitor.report.drift_report import DriftReport
from driftline.monitor.report.kept_reports import CLAIM_US, claim, keep, newest_reports, note_run, read_report
from driftline.monitor.rows.results import Result
from driftline.store import schema


def kept_ends(context: JobContext) -> list[tuple[int, bool]]:
    """Weeks before ``MONDAY`` of the kept reports, and whether MLflow has them."""
    with context.engine.connect() as connection:
        ids = list(connection.scalars(select(schema.model_version.c.id)))
        found = newest_reports(connection, ids)
    return [((MONDAY - r.window_end_us) // WEEK_US, r.mlflow_run_id is not None) for r in found]


def test_every_missed_week_is_made_good_once_the_oldest_first(
    sqlite_context: JobContext, tiny: TinyModel, tracking: mlflow.MlflowClient
) -> None:
    later = at(sqlite_context, weeks(sqlite_context, tiny, 4) + DAY_US, catch_up=2)
    first = job.run(later).outcomes["tiny/1"]
    assert first.result is Result.SUCCESS, first.message
    assert first.message.startswith("3 reports; the newest: ")
    assert kept_ends(later) == [(0, True), (1, True), (2, True)]
    assert job.run(later).outcomes == {}
    assert job.run(at(later, later.clock() - 2 * DAY_US, catch_up=1)).outcomes == {}  # a clock that was set back
    assert job.run(at(later, later.clock() + 3600 * 10**6, schedule="0 9 * * mon")).outcomes == {}
    with later.engine.connect() as connection:
        newest = read_report(connection, 3)
    assert newest is not None
    assert [p["highest"] > 0 for p in newest.content["trend"]["points"]] == [True, True, True]
    experiment = tracking.get_experiment_by_name("driftline/tiny")
    assert experiment is not None
    assert len(tracking.search_runs([experiment.experiment_id])) == 4  # and the trend


def test_a_report_waits_in_the_store_until_mlflow_is_back(
    sqlite_context: JobContext, tiny: TinyModel, tracking: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = at(sqlite_context, weeks(sqlite_context, tiny, 1) + DAY_US, catch_up=0)
    answers = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri("http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    away = job.run(later).outcomes["tiny/1"]
    assert away.result is Result.ERROR
    assert "kept in the store" in away.message
    assert kept_ends(later) == [(0, False)]
    mlflow.set_tracking_uri(answers)
    monkeypatch.setattr(job, "compose", None)  # the kept report is logged, none is made
    back = job.run(at(later, later.clock() + 90 * DAY_US, catch_up=0, schedule="0 0 1 1 *")).outcomes["tiny/1"]
    assert back.result is Result.SUCCESS, back.message
    assert tracking.get_run(str(back.mlflow_run_id)).data.tags["driftline.scheduled"] == "true"
    assert kept_ends(later) == [(0, True)]


def test_a_version_that_was_first_served_after_the_due_windows_is_not_due(
    sqlite_context: JobContext, tiny: TinyModel
) -> None:
    save_reference(sqlite_context, tiny)
    send(sqlite_context, tiny, rows(100, seed=1))
    assert job.run(sqlite_context).outcomes == {}


def test_of_two_monitors_one_logs_and_a_claim_ends(sqlite_context: JobContext, tiny: TinyModel) -> None:
    save_reference(sqlite_context, tiny)
    (version,) = sqlite_context.watched()
    engine = sqlite_context.engine
    report = DriftReport((0, WEEK_US), content(), {}, scheduled=True)
    kept = [keep(engine, version.id, report, 1) for _ in range(2)]
    assert kept[0].id == kept[1].id
    barrier, won = threading.Barrier(4), []

    def race() -> None:
        barrier.wait()
        won.append(claim(engine, kept[0].id, 10))

    threads = [threading.Thread(target=race) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False, False, False, True]
    assert claim(engine, kept[0].id, 11 + CLAIM_US)  # who claimed it has died
    note_run(engine, kept[0].id, None)
    assert claim(engine, kept[0].id, 12)
    note_run(engine, kept[0].id, "run-7")
    assert not claim(engine, kept[0].id, 10**18)


def test_a_report_is_kept_whole_once_and_with_its_run(context: JobContext, tiny: TinyModel) -> None:
    save_reference(context, tiny)
    (version,) = context.watched()
    report = DriftReport((0, WEEK_US), content(), {"evidently.html": b"<html>\xff"}, scheduled=True)
    kept = keep(context.engine, version.id, report, 1)
    note_run(context.engine, kept.id, "run-7")
    newer = DriftReport((0, WEEK_US), content(90), {"evidently.json": b"{}"})
    again = keep(context.engine, version.id, newer, 2)
    assert (again.id, again.mlflow_run_id, again.scheduled) == (kept.id, "run-7", True)
    with context.engine.connect() as connection:
        found = read_report(connection, kept.id)
    assert found is not None
    assert (found.content, found.files) == (newer.content, newer.files)
