"""What a model's page tells of the past: runs of its jobs, episodes of drift, rows per hour."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from driftline.store import schema
from driftline.store.profile_levels import HOUR, HOUR_US, ROLL_UP, floor
from driftline.store.records import Arm

_MOST_RUNS = 10
_MOST_EPISODES = 200


def job_runs(connection: Connection, job: str, model_version_id: int) -> Sequence[Row[Any]]:
    """Return the newest rows of ``job_run`` of one job and version, newest first."""
    t = schema.job_run
    query = select(t).where(t.c.job == job, t.c.model_version_id == model_version_id)
    return connection.execute(query.order_by(t.c.started_at.desc(), t.c.id.desc()).limit(_MOST_RUNS)).all()


def episodes(
    connection: Connection, model_version_id: int, arm: Arm, since_us: int, place: tuple[str, str] | None = None
) -> Sequence[Row[Any]]:
    """Return the rows of ``drift_episode`` that were open at some time since ``since_us``, newest first.

    Args:
        place: side and column name; None for all columns and for the sides as wholes.
    """
    t = schema.drift_episode.c
    query = select(schema.drift_episode).where(
        t.model_version_id == model_version_id, t.arm == arm, t.closed_at.is_(None) | (t.closed_at >= since_us)
    )
    if place is not None:
        query = query.where(t.side == place[0], t.column_name == place[1])
    return connection.execute(query.order_by(t.opened_at.desc()).limit(_MOST_EPISODES)).all()


def rows_by_hour(
    connection: Connection, model_version_id: int, reference_id: int, arm: Arm, now_us: int, hours: int = 24
) -> list[tuple[int, int]]:
    """Return (start of the hour, rows) for the last hours, from the profiles: an hour is its own and its fresh minutes.

    Args:
        reference_id: rows are profiled against one reference; those of earlier ones are not counted.
    """
    t = schema.profile.c
    first = floor(now_us, HOUR) - (hours - 1) * HOUR_US
    found = connection.execute(
        select(t.bucket_start, t.row_count).where(
            t.model_version_id == model_version_id, t.reference_id == reference_id, t.arm == arm,
            t.bucket_start >= first, (t.writer != ROLL_UP) | (t.span_seconds == HOUR),
        )
    )  # fmt: skip
    counted: Counter[int] = Counter()
    for start, rows in found:
        counted[floor(start, HOUR)] += rows
    return [(first + i * HOUR_US, counted[first + i * HOUR_US]) for i in range(hours)]
