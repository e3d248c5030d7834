"""Take away what is older than the settings keep, and the oldest days while the store is larger than it may be.

Invariants
----------
- Nothing younger than the limit goes: days go whole, and a day goes when its last moment is older than the limit.
- Today never goes, whatever the size.
- Profiles are kept at least as long as the rows they can be checked against.
- Running it again, or twice at a time, takes nothing more and counts nothing twice.
"""

from dataclasses import dataclass, field, replace

from sqlalchemy import Engine, exists

from driftline.store import schema
from driftline.store.imports.waiting import prune_waiting
from driftline.store.partitions import DAY_US, day_of
from driftline.store.profile_levels import Kept
from driftline.store.records import first_invocation_id
from driftline.store.retention.bounded_deletes import Pace, delete_day, delete_where, oldest, release_pages
from driftline.store.retention.days import StoredDay, holdings, stored_days, used_bytes
from driftline.store.retention.ledger import Pruned, complete_from
from driftline.store.retention.partition_drop import drop_day
from driftline.store.retention.settings import RetentionSettings

# Not drift_history: thresholds need its last weeks, whatever is kept of results, and the monitor drops what is older.
_RESULTS = ((schema.drift_result, "computed_at"), (schema.drift_episode, "closed_at"),
            (schema.quality_result, "computed_at"), (schema.coerced_cells, "hour_start"),
            (schema.multivariate_result, "computed_at"), (schema.segment_result, "computed_at"),
            (schema.performance_result, "computed_at"), (schema.performance_hour, "hour_start"),
            (schema.segment_performance_hour, "hour_start"), (schema.segment_performance_result, "computed_at"),
            (schema.label_coverage, "computed_at"), (schema.report, "made_at"), (schema.event, "at"))  # fmt: skip


@dataclass(slots=True)
class PruneReport:
    """What went.

    Attributes:
        days: that went, oldest first.
        waiting: days that should have gone, whose tables other sessions use.
        profiles, results: rows of these; results with reports, events, those of other servers that waited too long,
            job runs and labels.
        bytes: that the store holds afterwards; None where the settings do not limit them.
        over: whether these are more than the settings allow, though nothing more may go.
    """

    days: list[int] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    pruned: Pruned = field(default_factory=Pruned)
    profiles: int = 0
    results: int = 0
    bytes: int | None = None
    over: bool = False

    def __str__(self) -> str:
        said = [f"{len(self.days)} days with {self.pruned.invocations} invocations and {self.pruned.rows} rows"]
        if self.pruned.dead_letters:
            said.append(f"{self.pruned.dead_letters} dead letters")
        said.append(f"{self.profiles} profiles, {self.results} results")
        if self.waiting:
            said.append(f"{len(self.waiting)} days wait: other sessions use the tables")
        if self.bytes is not None:
            said.append(f"{self.bytes} bytes are left{', more than keep_bytes allows' if self.over else ''}")
        return "; ".join(said)


def older_than(settings: RetentionSettings, seconds: float) -> RetentionSettings:
    """Return the settings with another ``keep_days``; profiles stay for what they stay."""
    kept = seconds / 86_400
    longer = settings.keep_profile_days and max(settings.keep_profile_days, kept)
    return replace(settings, keep_days=kept or 1e-9, keep_profile_days=longer)


def plan(engine: Engine, settings: RetentionSettings, now_us: int) -> list[StoredDay]:
    """Return the days that ``prune`` would take, oldest first; for ``keep_bytes`` that is an estimate."""
    with engine.connect() as connection:
        days = stored_days(connection, day_of(now_us) * DAY_US)
        aged = [day for day in days if day < _cut(settings.keep_days, now_us)]
        if not settings.keep_bytes:
            return holdings(connection, aged)
        used, planned = used_bytes(connection), []
        for held in holdings(connection, days):
            if held.day >= _cut(settings.keep_days, now_us) and used <= settings.keep_bytes:
                break
            planned.append(held)
            used -= held.bytes
    return planned


def prune(engine: Engine, settings: RetentionSettings, now_us: int) -> PruneReport:
    """Take away what the settings do not keep."""
    report, pace = PruneReport(), Pace(engine)
    with engine.connect() as connection:
        days = stored_days(connection, day_of(now_us) * DAY_US)
    for day in days:
        if day >= _cut(settings.keep_days, now_us) and not _is_over(engine, settings):
            break
        _take_day(engine, day, now_us, pace, report)
    if settings.keep_days:
        report.results += prune_waiting(engine, _cut(settings.keep_days, now_us) * DAY_US)
    _prune_profiles(engine, settings, now_us, pace, report)
    _prune_results(engine, settings, now_us, pace, report)
    release_pages(engine, pace)
    if settings.keep_bytes:
        with engine.connect() as connection:
            report.bytes = used_bytes(connection)
        report.over = report.bytes > settings.keep_bytes
    return report


def _cut(keep_days: float, now_us: int) -> int:
    """Return the first day that stays."""
    return day_of(now_us - round(keep_days * DAY_US)) if keep_days else -(2**31)


def _is_over(engine: Engine, settings: RetentionSettings) -> bool:
    if not settings.keep_bytes:
        return False
    with engine.connect() as connection:
        return used_bytes(connection) > settings.keep_bytes


def _take_day(engine: Engine, day: int, now_us: int, pace: Pace, report: PruneReport) -> None:
    if engine.dialect.name == "postgresql":
        dropped = drop_day(engine, day, now_us)
        if dropped is None:
            report.waiting.append(day)
            return
        report.pruned += dropped
    report.pruned += delete_day(engine, day, now_us, pace)
    report.days.append(day)


def _prune_profiles(engine: Engine, settings: RetentionSettings, now_us: int, pace: Pace, report: PruneReport) -> None:
    with engine.connect() as connection:
        checked_from = complete_from(connection)
    until = min(_cut(settings.keep_profile_days, now_us) * DAY_US, checked_from)
    if until > 0:
        report.profiles = delete_where(engine, schema.profile, schema.profile.c.bucket_start < until, pace)
    t, hours_from = schema.segment_profile, Kept.now(settings, now_us).hours_from_us  # hours, which no day holds
    report.profiles += delete_where(engine, t, t.c.hour_start < max(until, hours_from), pace)


def _prune_results(engine: Engine, settings: RetentionSettings, now_us: int, pace: Pace, report: PruneReport) -> None:
    until = _cut(settings.keep_result_days, now_us) * DAY_US
    if until > 0:
        for t, time_column in _RESULTS:
            report.results += delete_where(engine, t, oldest(t) & (t.c[time_column] < until), pace)
        run = schema.job_run
        unused = [~exists().where(t.c.job_run_id == run.c.id) for t, _ in _RESULTS if "job_run_id" in t.c]
        aged = oldest(run) & (run.c.started_at < until)
        for condition in unused:
            aged &= condition
        report.results += delete_where(engine, run, aged, pace)
    with engine.connect() as connection:
        rows_from = complete_from(connection)
    if rows_from:  # a label goes with the day of its request, which the request's id tells
        gone = schema.label.c.invocation_id < first_invocation_id(rows_from)
        report.results += delete_where(engine, schema.label, gone, pace)
