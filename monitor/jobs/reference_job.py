"""The reference job: a version that is served and has no reference in the store, but one in MLflow, gets it."""

from driftline.monitor.jobs.job import JobContext, JobReport, Outcome, each_version
from driftline.monitor.mlflow_link import exact_uri
from driftline.monitor.rows.results import Result
from driftline.monitor.training.reference import fetch
from driftline.monitor.watch import WatchedVersion
from driftline.store.references import newest_reference_id

NAME = "reference"


def run(context: JobContext) -> JobReport:
    """Look into MLflow for the versions without a reference; the others cost one query."""
    watched = context.watched()
    with context.engine.connect() as connection:
        without = [v for v in watched if newest_reference_id(connection, v.id) is None]
    return each_version(context, NAME, without, _check)


def _check(context: JobContext, version: WatchedVersion, run_id: int) -> Outcome:
    reference = fetch(context.engine, context.link, version)
    if reference is None:
        return Outcome(Result.SKIPPED, f"none in MLflow: `driftline reference build {exact_uri(version.identity)}`")
    return Outcome(Result.SUCCESS, f"fetched from MLflow, {reference.row_count} rows of {reference.source}")
