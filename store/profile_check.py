"""Compare the stored profiles of a model version with profiles recomputed from its rows, whatever was rolled up."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from driftline.store import schema
from driftline.store.backfill import recomputed_minutes
from driftline.store.errors import ProfileCorrupt
from driftline.store.prediction_tables import ModelVersion
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference
from driftline.store.profile_levels import DAY, DAY_US, HOUR, ROLL_UP, Bucket, Tree, floor
from driftline.store.retention.days import stored_days

_END_OF_TIME = 2**62
Minutes = dict[tuple[int, int], Profile]  # by arm and start


@dataclass(slots=True)
class ProfileCheck:
    """Rows that the stored profiles count, rows that were recomputed, and stored profiles that differ from theirs."""

    counted: int = 0
    recomputed: int = 0
    differing: int = 0

    @property
    def agrees(self) -> bool:
        return not self.differing and self.counted == self.recomputed


def check_profiles(
    connection: Connection,
    version: ModelVersion,
    reference_id: int,
    reference: Reference,
    start_us: int,
    partial: frozenset[int] = frozenset(),
) -> ProfileCheck:
    """Compare from ``start_us`` on, a day's start; memory holds the bytes of a day and the profiles of an hour.

    Args:
        partial: days of which rows were forgotten: what is there is not what was profiled, so they are left out.
    """
    t = schema.profile.c
    mine = (t.model_version_id == version.id) & (t.reference_id == reference_id) & (t.bucket_start >= start_us)
    profiled = connection.scalars(select(t.bucket_start // DAY_US).where(mine).distinct())
    days = {*profiled, *(day for day in stored_days(connection, _END_OF_TIME) if day * DAY_US >= start_us)}
    check = ProfileCheck()
    for day in sorted(days - partial):
        query = select(t.arm, t.bucket_start, t.span_seconds, t.writer != ROLL_UP, t.row_count, t.counts)
        inside = mine & (t.bucket_start >= day * DAY_US) & (t.bucket_start < (day + 1) * DAY_US)
        buckets = [Bucket(*row) for row in connection.execute(query.where(inside))]
        recomputed: dict[int, Minutes] = {}
        one = _Day(reference, buckets, check)
        hour = None
        for arm, minute, profile in recomputed_minutes(connection, version, reference, day * DAY_US):
            if hour is not None and floor(minute, HOUR) != hour:
                one.compare_hour(hour, recomputed.pop(hour))
            hour = floor(minute, HOUR)
            recomputed.setdefault(hour, {})[arm, minute] = profile
        if hour is not None:
            one.compare_hour(hour, recomputed.pop(hour))
        one.compare_rest()
    return check


@dataclass(slots=True)
class _Sums:
    """Of one arm and a day: the hours' own profiles, what is fresh, and what was recomputed."""

    hours: Profile
    fresh: Profile
    recomputed: Profile


@dataclass
class _Day:
    reference: Reference
    buckets: list[Bucket]
    check: ProfileCheck
    sums: dict[int, _Sums] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tree = Tree(self.buckets)
        self.days = {bucket.arm: bucket for bucket in self.tree.days}
        self.by_hour: dict[int, list[Bucket]] = {}
        for bucket in self.buckets:
            if bucket.is_fresh or bucket.span != DAY:
                self.by_hour.setdefault(floor(bucket.start_us, HOUR), []).append(bucket)
            if bucket.is_fresh or bucket.span == DAY:
                self.check.counted += bucket.row_count

    def compare_hour(self, hour_us: int, recomputed: Minutes) -> None:
        """Compare an hour; its minutes where they are all kept."""
        buckets = self.by_hour.pop(hour_us, [])
        for arm in {arm for arm, _ in recomputed} | {bucket.arm for bucket in buckets}:
            self._compare_arm(
                arm, [bucket for bucket in buckets if bucket.arm == arm],
                {minute: profile for (of, minute), profile in recomputed.items() if of == arm},
            )  # fmt: skip

    def _compare_arm(self, arm: int, buckets: list[Bucket], recomputed: dict[int, Profile]) -> None:
        sums = self.sums.setdefault(arm, _Sums(*(self.reference.empty_profile() for _ in range(3))))
        hours = [bucket for bucket in buckets if bucket.span == HOUR]
        fresh = [bucket for bucket in buckets if bucket.is_fresh]
        minutes = [bucket for bucket in buckets if not bucket.is_fresh and bucket.span != HOUR]
        expected, hour, fresh_sum = self._sum(recomputed.values()), self._read(hours), self._read(fresh)
        self.check.recomputed += expected.row_count
        sums.hours += hour
        sums.fresh += fresh_sum
        sums.recomputed += expected
        if not self._has_hours(arm):
            return
        if hours and self.tree.parts(hours[0]) is None:
            self.check.differing += hour + fresh_sum != expected
            return
        stored: dict[int, list[Bucket]] = {}
        for bucket in fresh + minutes:
            stored.setdefault(bucket.start_us, []).append(bucket)
        for start in stored.keys() | recomputed.keys():
            found = self._read(stored.get(start, []))
            self.check.differing += found != recomputed.get(start, self.reference.empty_profile())
        self.check.differing += self._read(minutes) != hour

    def compare_rest(self) -> None:
        """Compare the hours that have no rows, and the day."""
        for hour in list(self.by_hour):
            self.compare_hour(hour, {})
        for arm in self.days.keys() | self.sums.keys():
            sums = self.sums.setdefault(arm, _Sums(*(self.reference.empty_profile() for _ in range(3))))
            day = self._read([self.days[arm]] if arm in self.days else [])
            if self._has_hours(arm):
                self.check.differing += day != sums.hours
            else:
                self.check.differing += day + sums.fresh != sums.recomputed

    def _has_hours(self, arm: int) -> bool:
        return arm not in self.days or self.tree.parts(self.days[arm]) is not None

    def _read(self, buckets: Iterable[Bucket]) -> Profile:
        total = self.reference.empty_profile()
        for bucket in buckets:
            try:
                total += bucket.profile(self.reference)
            except ProfileCorrupt:
                self.check.differing += 1
        return total

    def _sum(self, profiles: Iterable[Profile]) -> Profile:
        total = self.reference.empty_profile()
        for profile in profiles:
            total += profile
        return total
