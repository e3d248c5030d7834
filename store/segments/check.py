"""Compare the stored profiles of segments with profiles recomputed from the rows of their hours."""

from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import Connection, select

from driftline.store import schema
from driftline.store.errors import ProfileCorrupt
from driftline.store.partitions import day_of
from driftline.store.prediction_tables import ModelVersion
from driftline.store.profile.profile import Profile
from driftline.store.profile_levels import HOUR_US
from driftline.store.segments.hours import InForce, count_span


@dataclass(slots=True)
class SegmentCheck:
    """Rows that the segments of all columns count and that were recomputed, profiles that differ from theirs, and
    hours that rows came to after they were counted: the monitor counts those anew.
    """

    counted: int = 0
    recomputed: int = 0
    differing: int = 0
    waiting: int = 0


def check_segments(
    connection: Connection,
    version: ModelVersion,
    in_force: InForce,
    start_us: int,
    partial: frozenset[int] = frozenset(),
) -> SegmentCheck:
    """Compare the hours from ``start_us`` on; memory holds the profiles of an hour, twice.

    Args:
        partial: days of which rows were forgotten; they are left out.
    """
    reference_id, reference = in_force
    columns = [segmented.column for segmented in reference.segments]
    t, check = schema.segment_profile.c, SegmentCheck()
    mine = (t.model_version_id == version.id) & (t.reference_id == reference_id) & (t.hour_start >= start_us)
    mine &= t.spec.in_([column.spec for column in columns])
    for hour in connection.scalars(select(t.hour_start).where(mine).distinct().order_by(t.hour_start)).all():
        if day_of(hour) in partial:
            continue
        query = select(t.spec, t.arm, t.segment, t.row_count, t.counts).where(mine & (t.hour_start == hour))
        stored = {(spec, arm, segment): rest for spec, arm, segment, *rest in connection.execute(query)}
        counted = [column for column in columns if any(spec == column.spec for spec, _, _ in stored)]
        recomputed = count_span(connection, version, reference, counted, hour, hour + HOUR_US)
        check.counted += sum(rows for rows, _ in stored.values())
        check.recomputed += sum(profile.row_count for profile in recomputed.values())
        more = defaultdict[tuple[str, int], int](int)
        for key in stored.keys() | recomputed.keys():
            more[key[:2]] += recomputed[key].row_count if key in recomputed else 0
            more[key[:2]] -= stored[key][0] if key in stored else 0
        check.waiting += any(rows > 0 for rows in more.values())
        for key in stored.keys() | recomputed.keys():
            if more[key[:2]] <= 0:  # else the hour is counted anew
                expected = recomputed.get(key, reference.empty_profile())
                check.differing += _read(in_force, stored.get(key)) != expected
    return check


def _read(in_force: InForce, row: list[object] | None) -> Profile | None:
    if row is None:
        return in_force[1].empty_profile()
    try:
        profile = Profile.from_bytes(in_force[1], bytes(row[1]))  # type: ignore[call-overload]
    except ProfileCorrupt:
        return None
    return profile if profile.row_count == row[0] else None
