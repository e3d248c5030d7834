"""The three sizes of stored profiles: minutes, which loaders write, and the hours and days they are rolled up to.

Invariants
----------
- A profile of a loader is *fresh*: its rows are in no other profile. One whose writer is ``ROLL_UP`` is *rolled up*:
  a minute's rows are also in its hour, an hour's also in its day.
- So what a day holds is its day's profile and its fresh minutes, whatever else is kept.
- A span's parts are complete exactly where their row counts add up to its own: parts that were thinned out, or came
  late after that, do not.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import Connection, delete, insert, select, update

from driftline.store import schema
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference
from driftline.store.retention.settings import RetentionSettings

MINUTE, HOUR, DAY = 60, 3_600, 86_400  # seconds
MINUTE_US, HOUR_US, DAY_US = (span * 1_000_000 for span in (MINUTE, HOUR, DAY))
ROLL_UP = "rollup"
_PARENT = {MINUTE: HOUR, HOUR: DAY}

# model version, reference, arm
Owner = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Kept:
    """From when on minutes and hours are kept; hours begin with a day, minutes with an hour."""

    minutes_from_us: int
    hours_from_us: int

    @classmethod
    def now(cls, settings: RetentionSettings, now_us: int) -> Self:
        """Return what the settings keep at ``now_us``."""
        return cls(
            _cut(settings.keep_minute_profile_hours, HOUR_US, now_us),
            _cut(settings.keep_hour_profile_days, DAY_US, now_us),
        )

    def __contains__(self, bucket: tuple[int, int]) -> bool:
        """Whether a (span in seconds, start) is kept."""
        span, start = bucket
        return span == DAY or start >= (self.minutes_from_us if span == MINUTE else self.hours_from_us)


def _cut(kept: float, unit_us: int, now_us: int) -> int:
    return (now_us - round(kept * unit_us)) // unit_us * unit_us if kept else -(2**62)


def floor(at_us: int, span: int) -> int:
    """Return the start of the span (in seconds) that holds a moment."""
    return at_us - at_us % (span * 1_000_000)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A stored profile; ``counts`` is None where only its size was asked for."""

    arm: int
    start_us: int
    span: int
    is_fresh: bool
    row_count: int
    counts: bytes | None

    @property
    def end_us(self) -> int:
        return self.start_us + self.span * 1_000_000

    def profile(self, reference: Reference) -> Profile:
        """Return what was counted.

        Raises:
            ProfileCorrupt: the bytes are damaged.
        """
        return Profile.from_bytes(reference, self.counts or b"")


class Tree:
    """Rolled up buckets and their parts."""

    def __init__(self, buckets: Iterable[Bucket]) -> None:
        self.days: list[Bucket] = []
        self._parts: dict[tuple[int, int, int], list[Bucket]] = {}
        for bucket in buckets:
            if bucket.is_fresh:
                continue
            if bucket.span == DAY:
                self.days.append(bucket)
            else:
                parent = _PARENT[bucket.span]
                self._parts.setdefault((bucket.arm, parent, floor(bucket.start_us, parent)), []).append(bucket)

    def parts(self, bucket: Bucket) -> Sequence[Bucket] | None:
        """Return the buckets that make this one up; None where they are not all kept."""
        found = self._parts.get((bucket.arm, bucket.span, bucket.start_us), [])
        return found if sum(part.row_count for part in found) == bucket.row_count else None


def add_rolled_up(
    connection: Connection, owner: Owner, reference: Reference, span: int, start_us: int, profile: Profile
) -> None:
    """Add a profile's rows to the rolled up bucket of a span, which is made where it is not there."""
    t = schema.profile
    bucket = bucket_values(owner, span, start_us, ROLL_UP)
    condition = t.c.id > 0
    for name, value in bucket.items():
        condition &= t.c[name] == value
    stored = connection.execute(select(t.c.id, t.c.counts).where(condition)).one_or_none()
    if stored is None:
        connection.execute(insert(t).values(**bucket, row_count=profile.row_count, counts=profile.to_bytes()))
        return
    total = Profile.from_bytes(reference, bytes(stored.counts))
    total += profile
    connection.execute(update(t).where(t.c.id == stored.id).values(row_count=total.row_count, counts=total.to_bytes()))


def bucket_values(owner: Owner, span: int, start_us: int, writer: str) -> dict[str, Any]:
    """Return the columns that identify a stored profile."""
    names = ("model_version_id", "reference_id", "arm", "span_seconds", "bucket_start", "writer")
    return dict(zip(names, (*owner, span, start_us, writer), strict=True))


def replace_day(
    connection: Connection, model_version_id: int, reference_id: int, day_us: int, rows: list[dict[str, Any]]
) -> None:
    """Put ``rows`` in place of all profiles of a day, fresh ones included."""
    t = schema.profile
    connection.execute(delete(t).where(
        (t.c.model_version_id == model_version_id) & (t.c.reference_id == reference_id)
        & (t.c.bucket_start >= day_us) & (t.c.bucket_start < day_us + DAY_US)
    ))  # fmt: skip
    if rows:
        connection.execute(insert(t), rows)


def packed_day(
    model_version_id: int, reference_id: int, reference: Reference, kept: Kept,
    minutes: Iterable[tuple[int, int, Profile]],
) -> list[dict[str, Any]]:  # fmt: skip
    """Return the rolled up rows of a day from its (arm, start of minute, profile), each once, hour by hour.

    Memory holds the profiles of an hour and the day, and the rows' bytes.
    """
    rows: list[dict[str, Any]] = []
    open_: dict[tuple[int, int, int], Profile] = {}  # hours and days by arm, span, start

    def pack(arm: int, span: int, start: int, profile: Profile) -> None:
        if (span, start) in kept:
            values = bucket_values((model_version_id, reference_id, arm), span, start, ROLL_UP)
            rows.append({**values, "row_count": profile.row_count, "counts": profile.to_bytes()})

    for arm, minute, profile in minutes:
        for key in [key for key in open_ if key[1] == HOUR and key[2] != floor(minute, HOUR)]:
            pack(*key, open_.pop(key))
        pack(arm, MINUTE, minute, profile)
        for span in (HOUR, DAY):
            total = open_.setdefault((arm, span, floor(minute, span)), reference.empty_profile())
            total += profile
    for key, profile in open_.items():
        pack(*key, profile)
    return rows
