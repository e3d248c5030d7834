"""Scores of past judgements, thinned to what a picture can show.

A model's judgements are as many rows as it has columns, so a number of them is picked that holds at most
``MODEL_ROWS`` rows. One column's are read through their own index, at most ``COLUMN_ROWS``, and of those that fall into
one pixel's time the highest score stays: thinning hides no excursion of the column.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from driftline.monitor.drift.verdict import in_thresholds
from driftline.store import schema
from driftline.store.records import Arm

MODEL_ROWS = 6000
COLUMN_ROWS = 10_000
_OF_MODEL = ("job_run_id", "computed_at", "side", "column_name", "score", "threshold", "verdict")
_OF_COLUMN = (
    "computed_at", "statistic", "score", "threshold", "verdict", "missing_share", "unseen_share",
    "out_of_range_share", "window_start", "window_end", "window_rows",
)  # fmt: skip
_MOST_RUNS = 5000
_LEAST_JUDGEMENTS, _MOST_JUDGEMENTS = 12, 96
Place = tuple[str, str]  # side, column name


@dataclass(frozen=True)
class Judgements:
    """Some judgements of a model, in order of time.

    Attributes:
        made: how many the period holds.
        rows: of ``drift_result`` (``computed_at``, side, column, score, threshold, verdict) per judgement.
    """

    made: int
    rows: list[list[Row[Any]]]


def judgements(connection: Connection, model_version_id: int, arm: Arm, since_us: int, columns: int) -> Judgements:
    """Read judgements evenly spread over the time since ``since_us``, the newest one among them.

    Args:
        columns: that one judgement holds.
    """
    r, t = schema.job_run.c, schema.drift_result.c
    of_version = (r.job == "drift") & (r.model_version_id == model_version_id) & (r.started_at >= since_us)
    ids = list(
        connection.scalars(
            select(r.id).where(of_version, r.result == "success").order_by(r.started_at.desc()).limit(_MOST_RUNS)
        )
    )
    wanted = min(_MOST_JUDGEMENTS, max(_LEAST_JUDGEMENTS, MODEL_ROWS // max(1, columns)))
    step = max(1.0, len(ids) / wanted)
    picked = [ids[int(i * step)] for i in range(min(wanted, len(ids)))]
    query = select(*(t[name] for name in _OF_MODEL))
    by_run: dict[int, list[Row[Any]]] = {}
    for row in connection.execute(query.where(t.job_run_id.in_(picked), t.arm == arm).order_by(t.id)):
        by_run.setdefault(row.job_run_id, []).append(row)
    return Judgements(len(ids), [by_run[run] for run in reversed(picked) if run in by_run])


def column_history(
    connection: Connection,
    model_version_id: int,
    arm: Arm,
    place: Place,
    period_us: tuple[int, int],
    points: int = 240,
) -> list[Row[Any]]:
    """Return one column's rows of ``drift_result`` in a period, thinned to ``points``, in order of time."""
    t = schema.drift_result.c
    (side, name), (start, end) = place, period_us
    rows = connection.execute(
        select(*(t[name] for name in _OF_COLUMN))
        .where(
            t.model_version_id == model_version_id, t.column_name == name, t.computed_at >= start,
            t.computed_at <= end, t.side == side, t.arm == arm,
        )
        .order_by(t.computed_at.desc())
        .limit(COLUMN_ROWS)
    ).all()  # fmt: skip
    start = rows[-1].computed_at if rows else start
    return _highest_per_slot(rows[::-1], start, max(1, -(-(end - start) // points)))


def ratio(row: Row[Any]) -> float | None:
    """Return the score in units of its threshold; None without a verdict."""
    return None if row.score is None or row.threshold is None else in_thresholds(row.score, row.threshold)


def _highest_per_slot(rows: Sequence[Row[Any]], start_us: int, slot_us: int) -> list[Row[Any]]:
    kept: dict[int, Row[Any]] = {}
    for row in rows:
        slot = (row.computed_at - start_us) // slot_us
        if slot not in kept or (ratio(row) or -1.0) >= (ratio(kept[slot]) or -1.0):
            kept[slot] = row
    return list(kept.values())
