"""The imports job: events that wait are paired and stored as calls; about the whole store, no model."""

from driftline.monitor.jobs.job import JobContext, JobReport, Outcome, whole_store
from driftline.monitor.rows.results import Result
from driftline.store.imports.pairing import settle
from driftline.store.loader.settings import LoaderSettings
from driftline.store.records import MICROSECONDS
from driftline.store.settings import load_section

NAME = "imports"


def run(context: JobContext) -> JobReport:
    """Store what is paired and what waited long enough, and record how that went."""
    return whole_store(context, NAME, _settle)


def _settle(context: JobContext) -> Outcome:
    before_us = context.clock() - round(context.imports.wait_seconds * MICROSECONDS)
    report = settle(context.engine, context.link.resolve, load_section(LoaderSettings, "loader"), before_us)
    if report.errors:
        return Outcome(
            Result.ERROR, f"events of {', '.join(report.errors)} wait on: {next(iter(report.errors.values()))}"
        )
    return Outcome(Result.SUCCESS, f"of events that waited: {report}")
