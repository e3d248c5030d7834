from monitor_rig import TinyModel, at, rows, save_reference, send
from sqlalchemy import func, select, update

from driftline.monitor.jobs import rollup_job
from driftline.monitor.jobs.job import STORE, JobContext
from driftline.monitor.jobs.schedule import jobs
from driftline.monitor.rows.results import Result
from driftline.store import schema
from driftline.store.profile_levels import HOUR_US, ROLL_UP
from driftline.store.records import now_us


def test_the_job_rolls_up_hours_that_are_over_and_says_how_many(context: JobContext, tiny: TinyModel) -> None:
    now = now_us()
    save_reference(context, tiny)
    send(context, tiny, rows(50, seed=3), at_us=now - 3 * HOUR_US)
    report = rollup_job.run(at(context, now))
    assert report.outcomes[STORE].result is Result.SUCCESS
    assert "1 profiles rolled up to 1 hours" in report.outcomes[STORE].message
    t = schema.profile.c
    with context.engine.connect() as connection:
        assert connection.scalar(select(func.count()).where(t.writer != ROLL_UP)) == 0


def test_a_damaged_profile_is_an_error_that_names_the_command(sqlite_context: JobContext, tiny: TinyModel) -> None:
    now = now_us()
    save_reference(sqlite_context, tiny)
    send(sqlite_context, tiny, rows(50, seed=3), at_us=now - 3 * HOUR_US)
    with sqlite_context.engine.begin() as connection:
        connection.execute(update(schema.profile).values(counts=b"junk"))
    report = rollup_job.run(at(sqlite_context, now))
    assert report.failed
    assert "driftline drift backfill" in report.outcomes[STORE].message


def test_the_schedule_holds_it_before_retention(sqlite_context: JobContext) -> None:
    names = [job.name for job in jobs(sqlite_context)]
    assert names.index("rollup") < names.index("retention")
