"""The report job: one report per version and due window, made once and logged until MLflow has it.

It looks every hour, not only when the schedule says so: a window that was missed, or an MLflow that was down, is made
good at the next look, the oldest first.

Invariants
----------
- A version has at most one scheduled report per due window, whatever the clock, the schedule or another monitor does.
- A report that is made is in the store before MLflow is asked; it is logged at every look until MLflow has it.
- A window is due for the versions that had rows in it; the newest window also for what is under watch and had none.
"""

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from driftline.monitor.jobs.job import JobContext, JobReport, Outcome, each_version
from driftline.monitor.report.arm_findings import has_rows
from driftline.monitor.report.compose import compose
from driftline.monitor.report.drift_report import EVIDENTLY, DriftReport
from driftline.monitor.report.kept_reports import (
    KeptReport,
    claim,
    keep,
    newest_reports,
    note_run,
    oldest_unlogged,
    read_report,
)
from driftline.monitor.report.mlflow_run import log_report
from driftline.monitor.report.windows import Window, due_windows, is_covered
from driftline.monitor.rows.results import Result
from driftline.monitor.watch import WatchedVersion, watched_versions
from driftline.store.errors import MlflowUnreachable

NAME = "report"
LOOK_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be done for one version: windows to make, oldest first, and kept reports to log."""

    version: WatchedVersion
    windows: tuple[Window, ...]
    unlogged: tuple[KeptReport, ...]


def run(context: JobContext) -> JobReport:
    """Make and log what is due; versions whose due reports are in MLflow cost a look at a small table."""
    with context.engine.connect() as connection:
        due = {found.version.id: found for found in find_due(context, connection)}
    versions = [found.version for found in due.values()]
    return each_version(context, NAME, versions, lambda _, version, run_id: _work_off(context, due[version.id]))


def find_due(context: JobContext, connection: Connection) -> list[Due]:
    """Return what is to be done now, per version."""
    windows = due_windows(context.report, context.clock())
    watched = {version.id for version in context.watched()}
    found = []
    since = min(windows[0][0], oldest_unlogged(connection) or windows[0][0])
    for version in watched_versions(connection, since):
        kept = newest_reports(connection, [version.id])
        ends = [report.window_end_us for report in kept if report.scheduled]
        missing = tuple(
            window
            for window in windows
            if version.first_served_at_us < window[1]
            and not is_covered(window, ends, context.report)
            and ((window is windows[-1] and version.id in watched) or has_rows(connection, version, window))
        )
        # What lies in the store alone is not given up: it is logged however old it is.
        unlogged = tuple(r for r in reversed(kept) if r.scheduled and r.mlflow_run_id is None)
        if missing or unlogged:
            found.append(Due(version, missing, unlogged))
    return found


def log_kept(context: JobContext, version: WatchedVersion, kept: KeptReport, report: DriftReport) -> str:
    """Log a kept report and note where; a report that MLflow has is logged again, into the same run.

    Raises:
        MlflowUnreachable: MLflow refuses or does not answer; the report stays in the store.
    """
    run_id = None
    try:
        run_id = log_report(context.link, version.identity, report, context.report.runbooks_url)
    finally:
        note_run(context.engine, kept.id, run_id)
    return run_id


def _work_off(context: JobContext, due: Due) -> Outcome:
    """Log what waits, then make and log what is missing, so that what the store has alone is seldom much."""
    outcome, logged = Outcome(Result.SKIPPED, "another monitor logs it"), 0
    for kept in due.unlogged:
        with context.engine.connect() as connection:
            report = read_report(connection, kept.id)
        if report is not None:
            outcome = _log(context, due.version, kept, report) or outcome
            logged += outcome.result is Result.SUCCESS
    for window in due.windows:
        report = compose(context, due.version, window, scheduled=True)
        kept = keep(context.engine, due.version.id, report, context.clock())
        outcome = _log(context, due.version, kept, report) or outcome
        logged += outcome.result is Result.SUCCESS
    if logged > 1 and outcome.result is Result.SUCCESS:
        return replace(outcome, message=f"{logged} reports; the newest: {outcome.message}")
    return outcome


def _log(context: JobContext, version: WatchedVersion, kept: KeptReport, report: DriftReport) -> Outcome | None:
    """Log one report; None where another monitor does, or has done."""
    if not claim(context.engine, kept.id, context.clock()):
        return None
    try:
        run_id = log_kept(context, version, kept, report)
    except MlflowUnreachable as error:
        return Outcome(Result.ERROR, f"the report is kept in the store and will be logged later: {error}")
    without = "" if EVIDENTLY in report.files else ", without Evidently's page (the report says why)"
    return Outcome(Result.SUCCESS, f"{report.verdict}, MLflow run {run_id}{without}", run_id)
