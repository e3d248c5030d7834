"""The roll-up job: profiles of minutes become those of hours and days; about the whole store, no model."""

from driftline.monitor.jobs.job import JobContext, JobReport, Outcome, whole_store
from driftline.monitor.rows.results import Result
from driftline.store.rollup import roll_up

NAME = "rollup"


def run(context: JobContext) -> JobReport:
    """Roll up what is over, thin out what ``[retention]`` does not keep, and record how that went."""
    return whole_store(context, NAME, _roll_up)


def _roll_up(context: JobContext) -> Outcome:
    report = roll_up(context.engine, context.retention, context.clock())
    return Outcome(Result.ERROR if report.unreadable else Result.SUCCESS, str(report))
