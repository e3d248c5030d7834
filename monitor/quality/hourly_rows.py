"""Rows per hour of a model, from the row counts of its stored profiles: no profile is unpacked, no row read."""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, func, select

from driftline.store import schema
from driftline.store.profile_levels import HOUR, HOUR_US, ROLL_UP
from driftline.store.records import Arm


def hourly_rows(
    connection: Connection, reference_ids: Sequence[int], arms: Collection[Arm], start_us: int, end_us: int
) -> NDArray[np.int64]:
    """Return the rows of each hour of a span, shape (hours,).

    Args:
        reference_ids: those in force, of all versions that are meant.
        arms: whose rows are counted.
        start_us, end_us: beginnings of hours.
    """
    t = schema.profile.c
    hour = (t.bucket_start - t.bucket_start % HOUR_US).label("hour")
    # What came lately is a minute of its own; what was rolled up is in its hour.
    counted = (t.writer != ROLL_UP) | (t.span_seconds == HOUR)
    inside = (t.bucket_start >= start_us) & (t.bucket_start < end_us) & t.arm.in_(arms)
    query = select(hour, func.sum(t.row_count)).where(t.reference_id.in_(reference_ids), inside, counted).group_by(hour)
    rows = np.zeros((end_us - start_us) // HOUR_US, np.int64)
    for at, count in connection.execute(query):
        rows[(at - start_us) // HOUR_US] = count
    return rows


def first_hour(connection: Connection, reference_ids: Sequence[int]) -> int | None:
    """Return the beginning of the first whole hour after the first profile; None where there is none."""
    t = schema.profile.c
    first = connection.scalar(select(func.min(t.bucket_start)).where(t.reference_id.in_(reference_ids)))
    return None if first is None else -(-int(first) // HOUR_US) * HOUR_US
