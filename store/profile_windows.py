"""Which stored profiles make up a window: the coarsest that lie inside it, finer ones at its edges.

A profile counts where its own begin lies inside ``start <= t < end``, so that windows side by side add up. At an edge
the smallest kept size decides: the minute; the hour where its minutes are gone, or the day.
"""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Connection, case, func, select

from driftline.store import schema
from driftline.store.profile_levels import DAY, HOUR, MINUTE, ROLL_UP, Bucket, Tree, floor


def window_buckets(
    connection: Connection,
    model_version_id: int,
    reference_id: int,
    arm: int | None,
    start_us: int,
    end_us: int,
    *,
    finest: bool = False,
) -> list[Bucket]:
    """Return the stored profiles whose sum is the window, read by one statement.

    Args:
        arm: one arm, or None for all.
        finest: the smallest kept sizes everywhere instead of the coarsest.
    """
    t = schema.profile.c
    condition = (t.model_version_id == model_version_id) & (t.reference_id == reference_id)
    if arm is not None:
        condition &= t.arm == arm
    inside = _within(start_us, end_us)
    if finest:
        condition &= _within(floor(start_us, DAY), end_us)
    else:
        edges = [
            (t.span_seconds == span) & (_holding(parent, start_us) | _holding(parent, end_us))
            for span, parent in ((HOUR, DAY), (MINUTE, HOUR))
        ]
        days = (t.span_seconds == DAY) & _within(floor(start_us, DAY), end_us)
        condition &= ((t.writer != ROLL_UP) & inside) | days | edges[0] | edges[1]
    # Of what begins outside only the size matters: whether the parts of a day or an hour are all there.
    counts = case((inside, t.counts))
    query = select(t.arm, t.bucket_start, t.span_seconds, t.writer != ROLL_UP, t.row_count, counts).where(condition)
    buckets = (Bucket(*row) for row in connection.execute(query))
    return chosen(buckets, start_us, end_us, finest=finest)


def chosen(buckets: Iterable[Bucket], start_us: int, end_us: int, *, finest: bool = False) -> list[Bucket]:
    """Return those of ``buckets`` whose sum is the window."""
    found = list(buckets)
    tree = Tree(found)
    taken = [bucket for bucket in found if bucket.is_fresh and start_us <= bucket.start_us < end_us]

    def take(bucket: Bucket) -> None:
        is_inside = start_us <= bucket.start_us and bucket.end_us <= end_us
        parts = None if is_inside and not finest else tree.parts(bucket)
        if parts is not None:
            for part in parts:
                take(part)
        elif start_us <= bucket.start_us < end_us:
            taken.append(bucket)

    for day in tree.days:
        take(day)
    return taken


def whole_buckets(
    connection: Connection, model_version_id: int, reference_id: int, arm: int, start_us: int, end_us: int
) -> tuple[int, int]:
    """Return the window without the kept profiles that its edges fall into; start is beyond end where it is one."""
    inside = [_bucket_at(connection, model_version_id, reference_id, arm, at_us) for at_us in (start_us, end_us)]
    return inside[0][1], inside[1][0]


def _bucket_at(
    connection: Connection, model_version_id: int, reference_id: int, arm: int, at_us: int
) -> tuple[int, int]:
    """Return start and end of the smallest kept profile around a moment; the moment twice where that is a border."""
    t = schema.profile.c
    mine = (t.model_version_id == model_version_id) & (t.reference_id == reference_id) & (t.arm == arm)
    for span, part in ((DAY, HOUR), (HOUR, MINUTE)):
        start = floor(at_us, span)
        if start == at_us:
            break
        held = mine & (t.writer == ROLL_UP) & t.span_seconds.in_((span, part)) & _holding(span, at_us)
        query = select(t.span_seconds, func.sum(t.row_count)).where(held).group_by(t.span_seconds)
        rows = {found: int(count) for found, count in connection.execute(query)}
        if rows.get(span, 0) > rows.get(part, 0):  # its parts are not all kept
            return start, start + span * 1_000_000
    return at_us, at_us


def _within(start_us: int, end_us: int) -> ColumnElement[bool]:
    at = schema.profile.c.bucket_start
    return (at >= start_us) & (at < end_us)


def _holding(span: int, at_us: int) -> ColumnElement[bool]:
    start = floor(at_us, span)
    return _within(start, start + span * 1_000_000)
