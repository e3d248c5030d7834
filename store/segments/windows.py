"""Windows of one column's segments: sums of counted hours, and of rows where hours are not counted or not whole."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from sqlalchemy import Connection, select

from driftline.store import schema
from driftline.store.prediction_tables import ModelVersion
from driftline.store.profile.profile import Profile
from driftline.store.profile.segments import SegmentedColumn
from driftline.store.profile_levels import HOUR, HOUR_US, floor
from driftline.store.records import MICROSECONDS
from driftline.store.segments.hours import InForce, count_span, uncounted_hours


def growing_segment_windows(
    connection: Connection,
    model_version_id: int,
    in_force: InForce,
    column: SegmentedColumn,
    arm: int,
    spans: Iterable[int],
    end_us: int,
) -> dict[str, dict[int, Profile]]:
    """Return per segment that had rows the windows' profiles by their spans in seconds; each hour is read once.

    Args:
        spans: in seconds, whole hours.
        end_us: of all windows, a whole hour.
    """
    reference, spans = in_force[1], sorted(spans)
    found: dict[str, dict[int, Profile]] = {}
    start = end_us - spans[-1] * MICROSECONDS
    counted = _hours(connection, model_version_id, in_force, column, arm, start, end_us)
    for segment, hours in groupby(counted, lambda hour: hour[0]):
        total, windows, waiting = reference.empty_profile(), dict[int, Profile](), list(spans)
        for _, hour, profile in hours:  # the newest first
            while hour < end_us - waiting[0] * MICROSECONDS:
                windows[waiting.pop(0)] = total + reference.empty_profile()
            total += profile
        found[segment] = windows | dict.fromkeys(waiting, total)
    return found


def segment_window(
    connection: Connection, version: ModelVersion, in_force: InForce, column: SegmentedColumn, arm: int,
    start_us: int, end_us: int,
) -> dict[str, Profile]:  # fmt: skip
    """Return the profile of each segment that had rows in ``start <= t < end``, counted hours or not.

    It costs the hours inside the window, and the rows of those that are not counted or not whole.
    """
    first, last = -(-start_us // HOUR_US) * HOUR_US, floor(end_us, HOUR)
    gaps = [(start_us, min(first, end_us)), (max(last, min(first, end_us)), end_us)]
    totals: dict[str, Profile] = {}
    if first < last:
        missing = uncounted_hours(connection, version.id, in_force[0], [column], first, last)
        gaps += [(hour, hour + HOUR_US) for hour in missing]
        for segment, hour, profile in _hours(connection, version.id, in_force, column, arm, first, last):
            if hour not in missing:
                _add(totals, in_force, segment, profile)
    for start, end in gaps:
        if start < end:
            rows = count_span(connection, version, in_force[1], [column], start, end, arm)
            for (_, _, segment), profile in rows.items():
                _add(totals, in_force, segment, profile)
    return totals


def _add(totals: dict[str, Profile], in_force: InForce, segment: str, profile: Profile) -> None:
    total = totals.setdefault(segment, in_force[1].empty_profile())
    total += profile


def _hours(
    connection: Connection, model_version_id: int, in_force: InForce, column: SegmentedColumn, arm: int,
    start_us: int, end_us: int,
) -> Iterator[tuple[str, int, Profile]]:  # fmt: skip
    """Yield segment, start of hour and profile, segment by segment, the newest hour first."""
    t = schema.segment_profile.c
    mine = (t.model_version_id == model_version_id) & (t.reference_id == in_force[0]) & (t.spec == column.spec)
    inside = mine & (t.arm == arm) & (t.hour_start >= start_us) & (t.hour_start < end_us)
    query = select(t.segment, t.hour_start, t.counts).where(inside).order_by(t.segment, t.hour_start.desc())
    for segment, hour, counts in connection.execute(query):
        yield segment, hour, Profile.from_bytes(in_force[1], bytes(counts))


def whole_hour_spans(spans: Sequence[int], end_us: int, uncounted: Sequence[int]) -> tuple[int, ...]:
    """Return those spans (in seconds) that are whole hours and hold no uncounted one."""
    newest = max(uncounted, default=None)
    return tuple(
        span for span in spans
        if span % HOUR == 0 and (newest is None or newest < end_us - span * MICROSECONDS)
    )  # fmt: skip
