"""What jobs write and others show: job runs and drift results in the store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
from sqlalchemy import Connection, Row, func, insert, select, update

from driftline.monitor.drift.movement import ColumnPicture
from driftline.monitor.drift.verdict import ColumnDrift
from driftline.monitor.rows.newest_run import newest_run
from driftline.store import schema
from driftline.store.records import MICROSECONDS, Arm


class Result(StrEnum):
    """How a job's run for one model version ended."""

    SUCCESS = "success"
    ERROR = "error"
    INSUFFICIENT_DATA = "insufficient_data"
    SKIPPED = "skipped"


RUNNING = "running"
# The job did its work: too few rows to judge is the traffic's state, not the job's failure.
_DONE = (Result.SUCCESS, Result.INSUFFICIENT_DATA)


@dataclass(frozen=True, slots=True)
class JobClock:
    """When a job of a model version last ran, and how.

    Times are microseconds since the epoch; ``last_success_us`` is None while it never succeeded,
    ``last_duration_seconds`` while it never ended. ``failures`` counts the errors since the last success.
    """

    last_attempt_us: int
    last_success_us: int | None
    last_duration_seconds: float | None
    failures: int
    result: str
    message: str | None


def begin_run(connection: Connection, job: str, model_version_id: int | None, at_us: int) -> int:
    """Record that a job begins and return the run's id."""
    row = insert(schema.job_run).values(job=job, model_version_id=model_version_id, started_at=at_us, result=RUNNING)
    key = connection.execute(row).inserted_primary_key
    assert key is not None
    return int(key[0])


def finish_run(
    connection: Connection, run_id: int, result: Result, message: str, at_us: int, mlflow_run_id: str | None = None
) -> None:
    """Record how a run ended."""
    t = schema.job_run
    connection.execute(
        update(t)
        .where(t.c.id == run_id)
        .values(result=result, message=message, finished_at=at_us, mlflow_run_id=mlflow_run_id)
    )


def close_interrupted(connection: Connection, at_us: int) -> set[str]:
    """Mark the runs that a monitor left behind when it stopped, and return their jobs; for who comes to lead."""
    t = schema.job_run
    interrupted = set(connection.scalars(select(t.c.job).where(t.c.result == RUNNING)))
    connection.execute(
        update(t)
        .where(t.c.result == RUNNING)
        .values(result=Result.ERROR, message="the monitor stopped while the job ran", finished_at=at_us)
    )
    return interrupted


def newest_starts(connection: Connection) -> dict[str, int]:
    """Return when each job last began, in microseconds since the epoch."""
    t = schema.job_run
    return dict(connection.execute(select(t.c.job, func.max(t.c.started_at)).group_by(t.c.job)).tuples().all())


def job_clock(connection: Connection, job: str, model_version_id: int | None) -> JobClock | None:
    """Return the clock of one job of one version, or of the whole store (None); None while it never ran."""
    t = schema.job_run
    of_job = (t.c.job == job, t.c.model_version_id == model_version_id)
    newest = select(t).where(*of_job).order_by(t.c.started_at.desc(), t.c.id.desc()).limit(1)
    last = connection.execute(newest).one_or_none()
    if last is None:
        return None
    ended = connection.execute(newest.where(t.c.finished_at.is_not(None))).one_or_none()
    good = connection.execute(newest.where(t.c.result.in_(_DONE))).one_or_none()
    failures = select(func.count()).where(*of_job, t.c.result == Result.ERROR)
    if good is not None:
        failures = failures.where(t.c.started_at > good.started_at)
    return JobClock(
        last_attempt_us=last.started_at,
        last_success_us=good.finished_at if good else None,
        last_duration_seconds=(ended.finished_at - ended.started_at) / 1e6 if ended else None,
        failures=connection.scalar(failures) or 0,
        result=last.result,
        message=last.message,
    )


def newest_mlflow_run(connection: Connection, model_name: str) -> str | None:
    """Return the id of the MLflow run that holds the model's newest report, made by the job or by the command."""
    t, v = schema.report, schema.model_version
    query = select(t.c.mlflow_run_id).join(v, v.c.id == t.c.model_version_id)
    query = query.where(v.c.name == model_name, t.c.mlflow_run_id.is_not(None))
    return connection.scalar(query.order_by(t.c.made_at.desc(), t.c.id.desc()).limit(1))


def save_drift(
    connection: Connection,
    drifts: Sequence[ColumnDrift],
    *,
    job_run_id: int,
    model_version_id: int,
    reference_id: int,
    arm: Arm,
    at_us: int,
    since_us: Mapping[tuple[str, str], int],
    pictures: Mapping[str, ColumnPicture],
    importances: Mapping[str, float | None],
) -> None:
    """Write the verdicts of the windows that end at ``at_us``, one row per column.

    Args:
        since_us: when the open episodes began, by side and column name.
        pictures: what changed in the drifted columns, by column name; ``importances`` likewise, of all.
    """
    connection.execute(
        insert(schema.drift_result),
        [
            {
                "model_version_id": model_version_id,
                "job_run_id": job_run_id,
                "reference_id": reference_id,
                "arm": arm,
                "side": d.side,
                "column_name": d.name,
                "kind": d.kind,
                "statistic": d.statistic,
                "window_start": at_us - d.window_seconds * MICROSECONDS,
                "window_end": at_us,
                "window_rows": d.window_rows,
                "score": d.score,
                "threshold": d.threshold,
                "effect": d.effect,
                "since": since_us.get((d.side, d.name)),
                "verdict": d.verdict,
                "reason": d.reason,
                "missing_share": d.missing_share,
                "reference_missing_share": d.reference_missing_share,
                "unseen_share": d.unseen_share,
                "out_of_range_share": d.out_of_range_share,
                "picture": _packed(pictures.get(d.column_name)),
                "importance": importances.get(d.column_name),
                "computed_at": at_us,
            }
            for d in drifts
        ],
    )


def _packed(picture: ColumnPicture | None) -> str | None:
    return None if picture is None else orjson.dumps(picture.to_json()).decode()


def newest_drift(connection: Connection, model_version_id: int, arm: Arm) -> Sequence[Row[Any]]:
    """Return the newest window's rows of ``drift_result`` for one version and arm, in the signature's order."""
    t = schema.drift_result
    return newest_run(connection, t, (t.c.model_version_id == model_version_id) & (t.c.arm == arm))


def is_drifted(drifted: int, judged: int, share_threshold: float) -> bool:
    """Return whether so many drifted columns of those judged are more than the allowed share."""
    return judged > 0 and drifted / judged > share_threshold
