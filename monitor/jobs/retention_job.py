"""The retention job: what is older than ``[retention]`` keeps goes, day by day; about the whole store, no model."""

from driftline.monitor.jobs.job import JobContext, JobReport, Outcome, whole_store
from driftline.monitor.rows.results import Result
from driftline.store.retention.prune import prune

NAME = "retention"


def run(context: JobContext) -> JobReport:
    """Prune the store and record how that went."""
    return whole_store(context, NAME, _prune)


def _prune(context: JobContext) -> Outcome:
    report = prune(context.engine, context.retention, context.clock())
    return Outcome(Result.SKIPPED if report.waiting and not report.days else Result.SUCCESS, str(report))
