"""The multivariate job: per watched version and arm, whether live rows can be told from training rows."""

from driftline.monitor.drift.verdict import Verdict
from driftline.monitor.jobs.job import JobContext, JobReport, Outcome, each_version, without_reference
from driftline.monitor.multivariate.check import check
from driftline.monitor.rows.multivariate_rows import save_check
from driftline.monitor.rows.results import Result
from driftline.monitor.watch import WatchedVersion
from driftline.store.engine import writing
from driftline.store.records import MICROSECONDS
from driftline.store.references import newest_reference

NAME = "multivariate"


def run(context: JobContext) -> JobReport:
    """Check every watched version and write the results to ``multivariate_result``, unless it is switched off."""
    return each_version(context, NAME, context.watched() if context.multivariate.enabled else [], _check)


def _check(context: JobContext, version: WatchedVersion, run_id: int) -> Outcome:
    with context.engine.connect() as connection:
        in_force = newest_reference(connection, version.id)
    if in_force is None:
        return without_reference(version)
    now, said, judged = context.clock(), [], False
    window = (now - round(context.multivariate.window_seconds * MICROSECONDS), now)
    for arm in version.arms:
        found = check(context, version, arm, in_force[1], window)
        with writing(context.engine) as connection:
            save_check(
                connection, found, job_run_id=run_id, model_version_id=version.id, reference_id=in_force[0], arm=arm
            )
        judged |= found.verdict is not Verdict.INSUFFICIENT_DATA
        said.append(f"{found.verdict}: {found.reason}" + (f" ({arm.name.lower()})" if len(version.arms) > 1 else ""))
    return Outcome(Result.SUCCESS if judged else Result.INSUFFICIENT_DATA, "; ".join(said))
