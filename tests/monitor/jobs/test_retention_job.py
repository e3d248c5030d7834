from dataclasses import replace

from monitor_rig import TinyModel, at, rows, send
from sqlalchemy import select, text

from driftline.monitor.jobs import retention_job
from driftline.monitor.jobs.job import STORE, JobContext
from driftline.monitor.jobs.schedule import jobs
from driftline.monitor.rows.results import Result, job_clock
from driftline.monitor.status import read_snapshot
from driftline.store import schema
from driftline.store.partitions import DAY_US
from driftline.store.records import now_us
from driftline.store.retention.settings import RetentionSettings


def keeping(context: JobContext, days: float) -> JobContext:
    return replace(context, retention=RetentionSettings(keep_days=days))


def test_the_job_prunes_by_the_settings_and_is_recorded_for_no_version(context: JobContext, tiny: TinyModel) -> None:
    now = now_us()
    send(context, tiny, rows(100, seed=2), at_us=now - 5 * DAY_US)
    send(context, tiny, rows(50, seed=3), at_us=now)
    report = retention_job.run(at(keeping(context, 2), now))
    assert not report.failed
    assert report.outcomes[STORE].result is Result.SUCCESS
    assert "2 invocations and 100 rows" in report.outcomes[STORE].message
    with context.engine.connect() as connection:
        assert len(connection.scalars(select(schema.invocation.c.id)).all()) == 1
        run = connection.execute(select(schema.job_run)).one()
    assert (run.job, run.model_version_id, run.result, run.started_at) == ("retention", None, "success", now)


def test_its_clock_tells_of_the_last_run(sqlite_context: JobContext) -> None:
    retention_job.run(sqlite_context)
    with sqlite_context.engine.connect() as connection:
        clock = job_clock(connection, "retention", None)
        assert read_snapshot(connection, sqlite_context).clocks == {"retention": clock}
    assert clock is not None
    assert (clock.result, clock.failures) == ("success", 0)
    assert clock.last_success_us is not None


def test_a_failure_is_recorded_and_counted(sqlite_context: JobContext) -> None:
    with sqlite_context.engine.begin() as connection:
        connection.execute(text("DROP TABLE profile"))
        connection.execute(text("INSERT INTO pruned_day VALUES (8640000000000000, 1, 1, 0, 1)"))
    settings = RetentionSettings(keep_days=2, keep_profile_days=2)
    report = retention_job.run(replace(sqlite_context, retention=settings))
    assert report.failed
    with sqlite_context.engine.connect() as connection:
        clock = job_clock(connection, "retention", None)
    assert clock is not None
    assert (clock.result, clock.failures) == ("error", 1)


def test_the_schedule_holds_it_at_the_interval_of_the_settings(sqlite_context: JobContext) -> None:
    (job,) = [job for job in jobs(sqlite_context) if job.name == retention_job.NAME]
    assert job.interval_seconds == sqlite_context.monitor.retention_interval_seconds == 3600
    assert job.at_start
