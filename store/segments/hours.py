"""Count the rows of each hour that is over into the profiles of its segments, once, off the loading path.

Invariants
----------
- A segment's hour holds the rows of one reading of the hour, each once, in exactly one segment of each column.
- An hour is counted when its segments hold as many rows as the loaders' profiles of it; rows that came late make it
  uncounted again, and all of it is read anew. So counting twice, or two monitors at a time, change nothing.
- While an hour is read nothing is locked; it is replaced in one transaction.
- Hours from which retention has taken rows stay as they were counted.
- Memory holds the profiles of one hour.

Why not the loader: decision record 0015.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, delete, func, insert, select, text

from driftline.store import schema
from driftline.store.engine import writing
from driftline.store.prediction_tables import ModelVersion
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference
from driftline.store.profile.segments import SegmentedColumn, add_by_segment
from driftline.store.profile_levels import HOUR, HOUR_US, ROLL_UP, floor
from driftline.store.retention.days import whole_days
from driftline.store.retention.ledger import complete_from
from driftline.store.rollup import SETTLED_SECONDS
from driftline.store.stored_rows import read_rows, within

_LOCK = 0x6472_6966_746C_000A
Counted = dict[tuple[str, int, str], Profile]  # by spec, arm, segment
InForce = tuple[int, Reference]  # id and reference


@dataclass(slots=True)
class CountReport:
    """What was done: hours and rows that were read; ``left`` are the starts of hours that are still uncounted."""

    hours: int = 0
    rows: int = 0
    left: tuple[int, ...] = ()


def settled_until(now_us: int) -> int:
    """Return the end of the last hour that is over, and loaded but for what comes late."""
    return floor(now_us - SETTLED_SECONDS * 1_000_000, HOUR)


def count_hours(
    engine: Engine,
    version: ModelVersion,
    in_force: InForce,
    columns: Sequence[SegmentedColumn],
    window: tuple[int, int],
    seconds: float,
) -> CountReport:
    """Count the uncounted hours of a window, the newest first, and let go what was counted by others than ``columns``.

    Args:
        window: start and end, whole hours.
        seconds: after so long no further hour is begun.
    """
    report, deadline = CountReport(), time.monotonic() + seconds
    with engine.connect() as connection:
        todo = sorted(uncounted_hours(connection, version.id, in_force[0], columns, *window), reverse=True)
    _let_go_of_others(engine, version.id, in_force[0], columns)
    for place, hour in enumerate(todo):
        if time.monotonic() > deadline:
            report.left = tuple(todo[place:])
            break
        with whole_days(engine) as connection:
            counted = count_span(connection, version, in_force[1], columns, hour, hour + HOUR_US)
        _replace_hour(engine, version.id, in_force[0], columns, hour, counted)
        report.hours += 1
        report.rows += sum(profile.row_count for profile in counted.values()) // max(1, len(columns))
    return report


def uncounted_hours(
    connection: Connection,
    model_version_id: int,
    reference_id: int,
    columns: Iterable[SegmentedColumn],
    start_us: int,
    end_us: int,
) -> list[int]:
    """Return the starts of the hours of which rows are missing in the segments of a column, and all rows are there."""
    start_us = max(start_us, complete_from(connection))
    p, s = schema.profile.c, schema.segment_profile.c
    hour = p.bucket_start - p.bucket_start % HOUR_US
    stored = connection.execute(
        select(p.arm, hour, func.sum(p.row_count))
        .where(
            (p.model_version_id == model_version_id) & (p.reference_id == reference_id)
            & (p.bucket_start >= start_us) & (p.bucket_start < end_us)
            & ((p.writer != ROLL_UP) | (p.span_seconds == HOUR))
        )
        .group_by(p.arm, hour)
    ).all()  # fmt: skip
    mine = (s.model_version_id == model_version_id) & (s.reference_id == reference_id)
    inside = (s.hour_start >= start_us) & (s.hour_start < end_us)
    sums = select(s.spec, s.arm, s.hour_start, func.sum(s.row_count)).where(mine & inside)
    counted = {tuple(key): int(rows) for *key, rows in connection.execute(sums.group_by(s.spec, s.arm, s.hour_start))}
    specs = [column.spec for column in columns]
    return sorted({
        int(start) for arm, start, rows in stored
        if any(counted.get((spec, arm, start), 0) < int(rows) for spec in specs)
    })  # fmt: skip


def count_span(
    connection: Connection,
    version: ModelVersion,
    reference: Reference,
    columns: Sequence[SegmentedColumn],
    start_us: int,
    end_us: int,
    arm: int | None = None,
) -> Counted:
    """Return the profiles of the rows of ``start <= received_at < end``, by spec, arm and segment."""
    counted: dict[tuple[str, int], dict[str, Profile]] = defaultdict(dict)
    for chunk in read_rows(connection, version, within(version, start_us, end_us, arm)):
        for each in set(chunk.arms.tolist()):
            of_arm = chunk.arms == each
            data = {name: cells[of_arm] for name, cells in chunk.columns.items()}
            for column in columns:
                add_by_segment(counted[column.spec, each], reference, column, data, int(of_arm.sum()))
    return {(*key, segment): profile for key, found in counted.items() for segment, profile in found.items()}


def _replace_hour(
    engine: Engine,
    model_version_id: int,
    reference_id: int,
    columns: Sequence[SegmentedColumn],
    hour_us: int,
    counted: Counted,
) -> None:
    t = schema.segment_profile
    mine = (t.c.model_version_id == model_version_id) & (t.c.reference_id == reference_id)
    same = mine & (t.c.hour_start == hour_us) & t.c.spec.in_([column.spec for column in columns])
    owner = {"model_version_id": model_version_id, "reference_id": reference_id, "hour_start": hour_us}
    rows = [
        {**owner, "spec": spec, "arm": arm, "segment": name, "row_count": p.row_count, "counts": p.to_bytes()}
        for (spec, arm, name), p in counted.items()
    ]
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        connection.execute(delete(t).where(same))
        if rows:
            connection.execute(insert(t), rows)


def _let_go_of_others(
    engine: Engine, model_version_id: int, reference_id: int, columns: Sequence[SegmentedColumn]
) -> None:
    """Delete what was counted on an earlier reference, or by segments that are not wanted any more."""
    t = schema.segment_profile
    others = (t.c.reference_id != reference_id) | t.c.spec.not_in([column.spec for column in columns])
    unwanted = (t.c.model_version_id == model_version_id) & others
    with engine.connect() as connection:
        if connection.scalar(select(t.c.id).where(unwanted).limit(1)) is None:
            return
    with writing(engine) as connection:
        connection.execute(delete(t).where(unwanted))
