"""How the jobs that a report rests on went."""

from typing import Any

from sqlalchemy import Connection, func, select

from driftline.monitor.rows.results import Result, job_clock
from driftline.monitor.status import CHECKS, STORE_CHECKS
from driftline.store import schema
from driftline.store.records import iso


def job_health(connection: Connection, model_version_id: int, window: tuple[int, int]) -> dict[str, dict[str, Any]]:
    """Return per job when it last succeeded, and how many of the runs that began in the window failed, and how last."""
    owners = dict.fromkeys(CHECKS, model_version_id) | dict.fromkeys(STORE_CHECKS)
    return {job: _health(connection, job, owner, window) for job, owner in owners.items()}


def _health(connection: Connection, job: str, owner: int | None, window: tuple[int, int]) -> dict[str, Any]:
    t = schema.job_run.c
    mine = (t.job == job) & (t.model_version_id == owner) & (t.started_at >= window[0]) & (t.started_at < window[1])
    counted = connection.execute(select(t.result, func.count()).where(mine).group_by(t.result))
    runs: dict[str, int] = {result: int(count) for result, count in counted}
    failed = mine & (t.result == Result.ERROR)
    said = connection.scalar(select(t.message).where(failed).order_by(t.started_at.desc(), t.id.desc()).limit(1))
    clock = job_clock(connection, job, owner)
    success = clock.last_success_us if clock else None
    return {
        "last_success_at": None if success is None else iso(success),
        "runs": sum(runs.values()),
        "failures": runs.get(Result.ERROR.value, 0),
        "last_failure": said,
    }
