"""The report job: one report per watched version for the newest due window, made once and logged until MLflow has it.

It looks every hour, not only when the schedule says so: a window that was missed, or an MLflow that was down, is made
good at the next look.
"""

import itertools
from datetime import UTC, datetime, timedelta

from apscheduler.triggers.cron import CronTrigger

from driftline.monitor.jobs.job import JobContext, JobReport, Outcome, each_version
from driftline.monitor.report import drift_report
from driftline.monitor.report.mlflow_run import log_report, verdict
from driftline.monitor.rows.results import Result
from driftline.monitor.settings import ReportSettings
from driftline.monitor.watch import WatchedVersion
from driftline.store.errors import ConfigurationError, MlflowUnreachable
from driftline.store.records import MICROSECONDS

NAME = "report"
LOOK_SECONDS = 3600.0


def run(context: JobContext) -> JobReport:
    """Make and log what is due; versions whose newest due report is in MLflow cost one query."""
    window = due_window(context.report, context.clock())
    due = []
    with context.engine.connect() as connection:
        for version in context.watched():
            kept = drift_report.kept_report(connection, version.id, window)
            if version.first_served_at_us < window[1] and (kept is None or kept.mlflow_run_id is None):
                due.append(version)
    return each_version(context, NAME, due, _check)


def report_cron(settings: ReportSettings) -> CronTrigger:
    """Return the report's schedule.

    Raises:
        ConfigurationError: the cron expression is malformed.
    """
    try:
        return CronTrigger.from_crontab(settings.schedule, timezone=UTC)
    except ValueError as error:
        raise ConfigurationError(
            f"schedule in [report] should be a cron expression of five fields, found {settings.schedule!r} ({error}): "
            "write for example `0 6 * * mon`"
        ) from error


def period(settings: ReportSettings) -> timedelta:
    """Return the longest of the next gaps between two reports: a cron expression need not be even."""
    cron, at = report_cron(settings), datetime.now(UTC)
    times: list[datetime] = []
    for _ in range(8):
        at = cron.get_next_fire_time(None, at)
        times.append(at)
        at += timedelta(seconds=1)
    return max(b - a for a, b in itertools.pairwise(times))


def due_window(settings: ReportSettings, now_us: int) -> tuple[int, int]:
    """Return the window that the newest scheduled time before now ended, microseconds since the epoch."""
    cron, gap = report_cron(settings), period(settings)
    now = datetime.fromtimestamp(now_us / MICROSECONDS, UTC)
    at = cron.get_next_fire_time(None, now - gap - timedelta(days=1))
    while (following := cron.get_next_fire_time(None, at + timedelta(seconds=1))) <= now:
        at = following
    end = round(at.timestamp()) * MICROSECONDS
    return end - round(settings.window_seconds * MICROSECONDS), end


def _check(context: JobContext, version: WatchedVersion, run_id: int) -> Outcome:
    window = due_window(context.report, context.clock())
    with context.engine.connect() as connection:
        row = drift_report.kept_report(connection, version.id, window)
    if row is not None:
        report = drift_report.unpack(row)
    else:
        try:
            report = drift_report.compose(context, version, window)
        except drift_report.NothingToReport as error:
            return Outcome(Result.INSUFFICIENT_DATA, str(error))
        drift_report.keep(context, version, report)
    try:
        mlflow_run = log_report(context.link, version.identity, report)
    except MlflowUnreachable as error:
        return Outcome(Result.ERROR, f"the report is kept in the store and will be logged later: {error}")
    drift_report.note_run(context, version, report, mlflow_run)
    return Outcome(Result.SUCCESS, f"{verdict(report.content)}, MLflow run {mlflow_run}", mlflow_run)
