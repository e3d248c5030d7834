"""The quality job: per watched version and arm, what is wrong with the rows themselves."""

from driftline.monitor.jobs.job import JobContext, JobReport, Outcome, each_version, without_reference
from driftline.monitor.quality.examine import examine
from driftline.monitor.quality.finding import WHOLE, QualityFinding, QualityVerdict
from driftline.monitor.rows.quality_rows import save_findings
from driftline.monitor.rows.results import Result
from driftline.monitor.watch import WatchedVersion
from driftline.store.engine import writing
from driftline.store.references import newest_reference

NAME = "quality"


def run(context: JobContext) -> JobReport:
    """Look at every watched version and write the findings to ``quality_result``."""
    return each_version(context, NAME, context.watched(), _check)


def _check(context: JobContext, version: WatchedVersion, run_id: int) -> Outcome:
    with context.engine.connect() as connection:
        in_force = newest_reference(connection, version.id)
    if in_force is None:
        return without_reference(version)
    said, judged = [], False
    for arm in version.arms:
        found = examine(context, version, arm, in_force, context.quality.spans())
        with writing(context.engine) as connection:
            save_findings(
                connection, found, job_run_id=run_id, model_version_id=version.id, arm=arm, at_us=context.clock()
            )
        judged |= any(f.threshold is not None for f in found)
        said.append(_summary(found) + (f" ({arm.name.lower()})" if len(version.arms) > 1 else ""))
    return Outcome(Result.SUCCESS if judged else Result.INSUFFICIENT_DATA, "; ".join(said))


def _summary(found: list[QualityFinding]) -> str:
    breaches = [f.kind.words if f.name == WHOLE else f"{f.name}: {f.kind.words}" for f in found
                if f.verdict is QualityVerdict.BREACH]  # fmt: skip
    return f"breaches: {', '.join(breaches)}" if breaches else "no breach"
