"""The drift job: per watched version and arm, the window's profiles against the newest reference."""

from driftline.monitor import results
from driftline.monitor.jobs import JobContext, JobReport, Outcome, each_version
from driftline.monitor.judge import Judgement, judge
from driftline.monitor.mlflow_link import exact_uri
from driftline.monitor.results import Result
from driftline.monitor.watch import WatchedVersion
from driftline.store.engine import writing
from driftline.store.records import MICROSECONDS

NAME = "drift"


def run(context: JobContext) -> JobReport:
    """Judge every watched version and write the verdicts to ``drift_result``."""
    return each_version(context, NAME, context.watched(), _check)


def _check(context: JobContext, version: WatchedVersion, run_id: int) -> Outcome:
    now = context.clock()
    window = (now - round(context.monitor.window_seconds * MICROSECONDS), now)
    with context.engine.connect() as connection:
        judged = [judge(connection, version, arm, window, context.drift) for arm in version.arms]
    found = [each for each in judged if each is not None]
    if not found:
        return Outcome(
            Result.SKIPPED, f"no training reference: `driftline reference build {exact_uri(version.identity)}`"
        )
    with writing(context.engine) as connection:
        for each in found:
            results.save_drift(
                connection,
                each.drifts,
                job_run_id=run_id,
                model_version_id=version.id,
                reference_id=each.reference_id,
                arm=each.arm,
                window=each.window,
                at_us=now,
            )
    return _outcome(found)


def _outcome(found: list[Judgement]) -> Outcome:
    said = []
    for each in found:
        drifted = [d.name for d in each.drifts if d.verdict == "drift"]
        arm = f" ({each.arm.name.lower()})" if len(found) > 1 else ""
        verdict = f"drift in {', '.join(drifted) if drifted else 'no column'}"
        said.append(f"{each.rows} rows{arm}, {verdict if _is_judged(each) else 'too few for a verdict'}")
    judged = any(map(_is_judged, found))
    return Outcome(Result.SUCCESS if judged else Result.INSUFFICIENT_DATA, "; ".join(said))


def _is_judged(judgement: Judgement) -> bool:
    return any(d.score is not None for d in judgement.drifts)
