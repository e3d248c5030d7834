"""Roll minutes up to hours and days, and let the minutes and hours go that are not kept.

Invariants
----------
- A fresh minute goes into its minute, hour and day and ceases to be fresh in one transaction: at every moment its rows
  count exactly once in every window.
- A minute that a loader writes for an hour long rolled up, or long thinned out, is fresh, counts at once, and is
  rolled up like any other by the next run.
- Two runs at a time do what one does: each hour's transaction holds a lock of its own, and finds what is still fresh.
- A run never waits for a loader's transaction: what it holds is left to the next run. A loader waits for one hour's
  transaction at most; on SQLite the write lock is left free between two.
- Nothing is let go that is not counted in a larger span: only what was rolled up.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import ColumnElement, Connection, Engine, delete, select, text

from driftline.store import schema
from driftline.store.engine import writing
from driftline.store.errors import ProfileCorrupt, ReferenceCorrupt
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference
from driftline.store.profile_levels import DAY, HOUR, HOUR_US, MINUTE, ROLL_UP, Kept, Owner, add_rolled_up, floor
from driftline.store.profile_rows import lock_loading
from driftline.store.references import reference_by_id
from driftline.store.retention.bounded_deletes import Pace, delete_where
from driftline.store.retention.settings import RetentionSettings

_log = logging.getLogger(__name__)
_LOCK = 0x6472_6966_746C_0006
# An hour is rolled up when it has been over for so long: most of what was spooled in it is loaded then.
SETTLED_SECONDS = 300


@dataclass(slots=True)
class RollUpReport:
    """What was done.

    Attributes:
        hours: rolled up, counted per model version, reference and arm.
        minutes: fresh profiles that went into them.
        thinned: profiles of minutes and hours that were let go.
        unreadable: hours that stay as they are because a profile or a reference in them is damaged.
    """

    hours: int = 0
    minutes: int = 0
    thinned: int = 0
    unreadable: int = 0

    def __str__(self) -> str:
        said = f"{self.minutes} profiles rolled up to {self.hours} hours, {self.thinned} thinned out"
        if self.unreadable:
            said += f"; {self.unreadable} hours hold damaged profiles: mend them with `driftline drift backfill MODEL`"
        return said


def roll_up(engine: Engine, settings: RetentionSettings, now_us: int) -> RollUpReport:
    """Roll up all hours that are over, then thin out what the settings do not keep."""
    report, pace, kept = RollUpReport(), Pace(engine), Kept.now(settings, now_us)
    references: dict[int, Reference] = {}
    with engine.connect() as connection:
        pending = list(_pending(connection, now_us))
    for owner, hour in pending:
        began = time.monotonic()
        try:
            minutes = _roll_up_hour(engine, owner, hour, kept, references)
        except (ProfileCorrupt, ReferenceCorrupt) as error:
            _log.error("an hour of model version %d is not rolled up: %s", owner[0], error)
            report.unreadable += 1
        else:
            report.hours += minutes > 0
            report.minutes += minutes
        pace.took(time.monotonic() - began)
    report.thinned = _thin_out(engine, kept, pace)
    return report


def _pending(connection: Connection, now_us: int) -> Iterator[tuple[Owner, int]]:
    """Yield the owners and starts of the hours that are over and hold fresh minutes, oldest first."""
    t = schema.profile.c
    hour = (t.bucket_start // HOUR_US).label("hour")
    until = floor(now_us - SETTLED_SECONDS * 1_000_000, HOUR)
    query = select(t.model_version_id, t.reference_id, t.arm, hour).distinct()
    for *owner, number in connection.execute(query.where(_is_fresh() & (t.bucket_start < until)).order_by(hour)):
        version, reference, arm = owner
        yield (version, reference, arm), number * HOUR_US


def _roll_up_hour(engine: Engine, owner: Owner, hour_us: int, kept: Kept, references: dict[int, Reference]) -> int:
    """Roll up an hour's fresh minutes; return how many profiles these were."""
    t = schema.profile
    condition = (
        (t.c.model_version_id == owner[0]) & (t.c.reference_id == owner[1]) & (t.c.arm == owner[2])
        & (t.c.bucket_start >= hour_us) & (t.c.bucket_start < hour_us + HOUR_US) & _is_fresh()
    )  # fmt: skip
    with writing(engine) as connection:
        lock_loading(connection, alone=False)
        _lock(connection)
        if owner[1] not in references:
            references[owner[1]] = reference_by_id(connection, owner[1])
        reference = references[owner[1]]
        query = select(t.c.id, t.c.bucket_start, t.c.counts).where(condition).order_by(t.c.bucket_start)
        fresh = connection.execute(query.with_for_update(skip_locked=True)).all()
        if not fresh:
            return 0
        total = reference.empty_profile()
        for start, rows in groupby(fresh, lambda row: int(row.bucket_start)):
            minute = reference.empty_profile()
            for row in rows:
                minute += Profile.from_bytes(reference, bytes(row.counts))
            if (MINUTE, start) in kept:
                add_rolled_up(connection, owner, reference, MINUTE, start, minute)
            total += minute
        if (HOUR, hour_us) in kept:
            add_rolled_up(connection, owner, reference, HOUR, hour_us, total)
        add_rolled_up(connection, owner, reference, DAY, floor(hour_us, DAY), total)
        connection.execute(delete(t).where(t.c.id.in_([row.id for row in fresh])))
    return len(fresh)


def _thin_out(engine: Engine, kept: Kept, pace: Pace) -> int:
    t = schema.profile
    return sum(
        delete_where(engine, t, (t.c.bucket_start < start) & (t.c.span_seconds == span) & (t.c.writer == ROLL_UP), pace)
        for span, start in ((MINUTE, kept.minutes_from_us), (HOUR, kept.hours_from_us))
    )


def _is_fresh() -> ColumnElement[bool]:
    return schema.profile.c.writer != ROLL_UP


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
