from dataclasses import replace

from monitor_rig import MINUTE_US, TinyModel, at, rows, save_reference, send
from sqlalchemy import select

from driftline.monitor import drift_job, results
from driftline.monitor.jobs import JobContext
from driftline.monitor.judge import judge
from driftline.monitor.results import Result
from driftline.monitor.watch import watched_versions
from driftline.store import schema
from driftline.store.records import Arm, now_us


def verdicts(context: JobContext) -> dict[str, str]:
    t = schema.drift_result
    with context.engine.connect() as connection:
        newest = connection.scalar(select(t.c.job_run_id).order_by(t.c.id.desc()).limit(1))
        found = connection.execute(select(t).where(t.c.job_run_id == newest)).all()
    return {row.column_name: row.verdict for row in found if row.side == "input"}


def test_the_drift_job_finds_the_shifted_column_and_only_it(context: JobContext, tiny: TinyModel) -> None:
    save_reference(context, tiny)
    send(context, tiny, rows(1_500, seed=2, income=1.0))
    report = drift_job.run(context)
    assert report.outcomes["tiny/1"].result is Result.SUCCESS
    assert verdicts(context) == {"age": "no drift", "income": "drift", "tenure": "no drift"}


def test_traffic_like_the_training_data_is_no_drift(context: JobContext, tiny: TinyModel) -> None:
    save_reference(context, tiny)
    send(context, tiny, rows(1_500, seed=2))
    drift_job.run(context)
    assert set(verdicts(context).values()) == {"no drift"}


def test_rows_that_came_before_the_reference_are_judged(context: JobContext, tiny: TinyModel) -> None:
    send(context, tiny, rows(1_500, seed=2, income=1.0))
    save_reference(context, tiny)
    drift_job.run(context)
    assert verdicts(context)["income"] == "drift"


def test_a_version_without_rows_has_insufficient_data(context: JobContext, tiny: TinyModel) -> None:
    save_reference(context, tiny)
    report = drift_job.run(context)
    assert report.outcomes["tiny/1"].result is Result.INSUFFICIENT_DATA
    assert not report.failed
    assert set(verdicts(context).values()) == {"insufficient data"}


def test_a_version_without_a_reference_is_skipped_with_the_next_command(context: JobContext, tiny: TinyModel) -> None:
    send(context, tiny, rows(100, seed=2))
    outcome = drift_job.run(context).outcomes["tiny/1"]
    assert outcome.result is Result.SKIPPED
    assert "driftline reference build models:/tiny/1" in outcome.message


def test_only_rows_of_the_window_are_judged(sqlite_context: JobContext, tiny: TinyModel) -> None:
    save_reference(sqlite_context, tiny)
    now = now_us()
    send(sqlite_context, tiny, rows(1_500, seed=2, income=3.0), at_us=now - 25 * 60 * MINUTE_US)
    send(sqlite_context, tiny, rows(1_500, seed=3), at_us=now - 60 * MINUTE_US)
    drift_job.run(at(sqlite_context, now))
    assert verdicts(sqlite_context)["income"] == "no drift"


def test_a_window_that_begins_within_a_minute_holds_that_minute_whole(
    sqlite_context: JobContext, tiny: TinyModel
) -> None:
    save_reference(sqlite_context, tiny)
    minute = now_us() // MINUTE_US * MINUTE_US
    send(sqlite_context, tiny, rows(500, seed=2), at_us=minute)
    with sqlite_context.engine.connect() as connection:
        (version,) = watched_versions(connection, 0)
        window = (minute + MINUTE_US // 2, minute + MINUTE_US)
        judged = judge(connection, version, Arm.CHAMPION, window, sqlite_context.drift)
    assert judged is not None
    assert (judged.window, judged.rows) == ((minute, minute + MINUTE_US), 500)


def test_every_run_is_recorded_with_its_times_and_result(context: JobContext, tiny: TinyModel) -> None:
    save_reference(context, tiny)
    send(context, tiny, rows(500, seed=2))
    drift_job.run(context)
    with context.engine.connect() as connection:
        run = connection.execute(select(schema.job_run)).one()
        drifted = connection.scalars(select(schema.drift_result.c.job_run_id)).all()
    assert (run.job, run.result, set(drifted)) == ("drift", "success", {run.id})
    assert run.started_at <= run.finished_at


def test_a_version_whose_check_fails_is_recorded_as_an_error_and_the_others_go_on(
    context: JobContext, tiny: TinyModel
) -> None:
    for name in ("broken", "sound"):
        save_reference(context, tiny.named(name))
    t, v = schema.reference, schema.model_version
    broken = select(v.c.id).where(v.c.name == "broken").scalar_subquery()
    with context.engine.begin() as connection:
        connection.execute(t.update().where(t.c.model_version_id == broken).values(content=b"damaged"))
    report = drift_job.run(context)
    assert report.failed
    assert report.outcomes["broken/1"].result is Result.ERROR
    assert "driftline reference build" in report.outcomes["broken/1"].message
    assert report.outcomes["sound/1"].result is Result.INSUFFICIENT_DATA


def test_an_unforeseen_error_names_the_place_and_no_value(sqlite_context: JobContext, tiny: TinyModel) -> None:
    save_reference(sqlite_context, tiny)
    broken = replace(sqlite_context, drift=None)  # type: ignore[arg-type]
    send(sqlite_context, tiny, rows(500, seed=2))

    class Secret:
        def __getattr__(self, name: str) -> object:
            raise ValueError("the patient's name")

    outcome = drift_job.run(replace(broken, drift=Secret())).outcomes["tiny/1"]  # type: ignore[arg-type]
    assert outcome.result is Result.ERROR
    assert "ValueError in" in outcome.message
    assert "patient" not in outcome.message


def test_windows_in_a_row_count_back_to_the_last_quiet_one(sqlite_context: JobContext, tiny: TinyModel) -> None:
    save_reference(sqlite_context, tiny)
    start = now_us()
    for hour, shift in enumerate([2.0, 0.0, 2.0, 2.0]):
        then = start + 60 * hour * MINUTE_US
        send(sqlite_context, tiny, rows(600, seed=hour, income=shift), at_us=then)
        hourly = replace(sqlite_context, monitor=replace(sqlite_context.monitor, window_seconds=1800.0))
        drift_job.run(at(hourly, then + MINUTE_US))
    with sqlite_context.engine.connect() as connection:
        version = sqlite_context.watched()[0]
        assert results.windows_in_a_row(connection, version.id, version.arms[0], "input", 0.0) == 2
        assert results.windows_in_a_row(connection, version.id, version.arms[0], "input", 0.5) == 0
