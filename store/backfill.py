"""Recompute the profiles of a model version from its rows: the store's, or an export's where the store let them go.

Invariants
----------
- A day's profiles are replaced in one transaction, together with how far the backfill has come: other processes see
  the old ones or the new ones, and a backfill that was killed goes on with the day it was at.
- While a day is replaced no loader commits (``lock_loading`` alone; SQLite's write lock), so every row is counted once:
  here if it was stored before, by the loader if after. The day is computed before that lock is taken, and computed
  again under it only where its rows have changed meanwhile: loaders wait for the writing, not for the reading.
- The result is what loaders and roll-ups have made of the same rows, to the bit.
- Days whose rows retention has taken keep their profiles, unless an export has these rows.
- Memory holds the profiles of an hour, of less where the model is very wide, and the packed ones of a day.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, insert, select, update

from driftline.store import schema
from driftline.store.engine import writing
from driftline.store.errors import DriftlineError
from driftline.store.prediction_tables import ModelVersion, model_version_of
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference
from driftline.store.profile_levels import DAY_US, HOUR_US, MINUTE_US, Kept, packed_day, replace_day
from driftline.store.profile_rows import lock_loading, split
from driftline.store.reads import count_rows
from driftline.store.records import Arm, now_us
from driftline.store.references import newest_reference, newest_reference_id, save_reference
from driftline.store.retention.days import stored_days, whole_days
from driftline.store.retention.ledger import complete_from
from driftline.store.retention.settings import RetentionSettings
from driftline.store.stored_rows import RowChunk, read_rows, within

_END_OF_TIME = 2**62
_STEP_BYTES = 256 << 20  # of profiles that are open while rows are counted
OnHours = Callable[[int], object]
Minute = tuple[int, int, Profile]  # arm, start, what was counted


class RowSource(Protocol):
    """Where the rows of a backfill come from; ``name`` tells two sources apart when a backfill is resumed."""

    @property
    def name(self) -> str: ...

    def days(self, connection: Connection, version: ModelVersion) -> list[int]:
        """Return the days whose rows are known whole, by number."""
        ...

    def minutes(
        self, connection: Connection, version: ModelVersion, reference: Reference, day_us: int, on_hours: OnHours
    ) -> Iterator[Minute]:
        """Yield the profiles of a day's rows, hour by hour, every arm and minute once."""
        ...


class StoredRows:
    """The rows of the store, of the days from which retention has taken nothing."""

    name = "store"

    def days(self, connection: Connection, version: ModelVersion) -> list[int]:
        start = complete_from(connection)
        return [day for day in stored_days(connection, _END_OF_TIME) if day * DAY_US >= start]

    def minutes(
        self, connection: Connection, version: ModelVersion, reference: Reference, day_us: int, on_hours: OnHours
    ) -> Iterator[Minute]:
        def of_span(start_us: int, end_us: int) -> Iterator[RowChunk]:
            return read_rows(connection, version, within(version, start_us, end_us))

        return minutes_of_day(reference, of_span, day_us, on_hours)


@dataclass(frozen=True, slots=True)
class _Backfill:
    id: int
    version: ModelVersion
    reference_id: int
    reference: Reference
    kept: Kept


def put_in_force(
    engine: Engine, model_version_id: int, reference: Reference, settings: RetentionSettings | None = None
) -> int:
    """Save a version's new reference together with the profiles of its stored rows; return how many rows they count.

    Both or neither: nobody ever sees the reference without the profiles on its bins.
    """
    kept = Kept.now(settings or RetentionSettings(), now_us())
    with writing(engine) as connection:
        lock_loading(connection, alone=True)
        version = version_by_id(connection, model_version_id)
        reference_id = save_reference(connection, model_version_id, reference)
        rows = 0
        for day in StoredRows().days(connection, version):
            minutes = recomputed_minutes(connection, version, reference, day * DAY_US)
            packed = packed_day(version.id, reference_id, reference, kept, minutes)
            replace_day(connection, version.id, reference_id, day * DAY_US, packed)
            rows += _rows_of(packed)
    return rows


def days_to_do(engine: Engine, model_version_id: int, source: RowSource | None = None) -> int:
    """Return how many days ``backfill`` has before it now."""
    source = source or StoredRows()
    with engine.connect() as connection:
        begun = _unfinished(connection, model_version_id, newest_reference_id(connection, model_version_id), source)
        next_day = -_END_OF_TIME if begun is None else begun.next_day
        version = version_by_id(connection, model_version_id)
        return sum(day * DAY_US >= next_day for day in _days(connection, version, source))


def backfill(
    engine: Engine,
    model_version_id: int,
    source: RowSource | None = None,
    settings: RetentionSettings | None = None,
    on_hours: OnHours = lambda _: None,
) -> int:
    """Replace the profiles of a version on its newest reference; return how many rows they count.

    One that was stopped is resumed. Nothing happens, and 0 is returned, where the version has no reference.

    Args:
        on_hours: hears of every hour that is done, 24 a day.

    Raises:
        DriftlineError: a newer reference came into force meanwhile.
        ReferenceCorrupt: the newest reference is damaged.
    """
    source = source or StoredRows()
    with writing(engine) as connection:
        version = version_by_id(connection, model_version_id)
        in_force = newest_reference(connection, model_version_id)
        if in_force is None:
            return 0
        begun = _unfinished(connection, version.id, in_force[0], source) or _begin(
            connection, version.id, in_force[0], source
        )
        days = [day * DAY_US for day in _days(connection, version, source) if day * DAY_US >= begun.next_day]
    one = _Backfill(begun.id, version, *in_force, Kept.now(settings or RetentionSettings(), now_us()))
    for day_us in days:
        _redo_day(engine, one, source, day_us, on_hours)
    t = schema.profile_backfill
    with writing(engine) as connection:
        connection.execute(update(t).where(t.c.id == begun.id).values(finished_at=now_us()))
        return int(connection.execute(select(t.c.row_count).where(t.c.id == begun.id)).scalar_one())


def _redo_day(engine: Engine, one: _Backfill, source: RowSource, day_us: int, on_hours: OnHours) -> None:
    def compute(connection: Connection, tell: OnHours) -> tuple[list[dict[str, Any]], tuple[int, bool]]:
        minutes = source.minutes(connection, one.version, one.reference, day_us, tell)
        packed = packed_day(one.version.id, one.reference_id, one.reference, one.kept, minutes)
        return packed, _state(connection, one.version, day_us)

    with whole_days(engine) as connection:
        packed, state = compute(connection, on_hours)
    with writing(engine) as connection:
        lock_loading(connection, alone=True)
        if newest_reference_id(connection, one.version.id) != one.reference_id:
            raise DriftlineError(
                "expected the reference of the beginning, found a newer one in force: run the same command again"
            )
        if _state(connection, one.version, day_us) != state:
            packed, _ = compute(connection, lambda _: None)
        replace_day(connection, one.version.id, one.reference_id, day_us, packed)
        t = schema.profile_backfill
        connection.execute(
            update(t).where(t.c.id == one.id)
            .values(next_day=day_us + DAY_US, row_count=t.c.row_count + _rows_of(packed))
        )  # fmt: skip


def _state(connection: Connection, version: ModelVersion, day_us: int) -> tuple[int, bool]:
    """Return what differs when rows of a day came or went: loaders only add, and who takes says so."""
    return count_rows(connection, version, day_us, day_us + DAY_US), complete_from(connection) <= day_us


def _days(connection: Connection, version: ModelVersion, source: RowSource) -> list[int]:
    """Return the days of the source, and those whose profiles have no rows any more though none were taken."""
    t = schema.profile.c
    reference_id = newest_reference_id(connection, version.id)
    mine = (t.model_version_id == version.id) & (t.reference_id == reference_id)
    stale = mine & (t.bucket_start >= complete_from(connection))
    profiled = connection.scalars(select(t.bucket_start // DAY_US).where(stale).distinct())
    return sorted({*source.days(connection, version), *profiled})


def _unfinished(connection: Connection, model_version_id: int, reference_id: int | None, source: RowSource) -> Any:
    t = schema.profile_backfill
    mine = (t.c.model_version_id == model_version_id) & (t.c.reference_id == reference_id)
    begun = mine & (t.c.source == source.name) & t.c.finished_at.is_(None)
    return connection.execute(select(t.c.id, t.c.next_day).where(begun).order_by(t.c.id.desc()).limit(1)).one_or_none()


def _begin(connection: Connection, model_version_id: int, reference_id: int, source: RowSource) -> Any:
    connection.execute(insert(schema.profile_backfill).values(
        model_version_id=model_version_id, reference_id=reference_id, source=source.name, started_at=now_us(),
        next_day=-_END_OF_TIME, row_count=0,
    ))  # fmt: skip
    return _unfinished(connection, model_version_id, reference_id, source)


def _rows_of(packed: list[dict[str, Any]]) -> int:
    return sum(int(row["row_count"]) for row in packed if row["span_seconds"] * 1_000_000 == DAY_US)


def recomputed_minutes(
    connection: Connection, version: ModelVersion, reference: Reference, day_us: int
) -> Iterator[Minute]:
    """Yield (arm, start of minute, profile) of a day's stored rows, hour by hour."""
    return StoredRows().minutes(connection, version, reference, day_us, lambda _: None)


def minutes_of_day(
    reference: Reference, of_span: Callable[[int, int], Iterator[RowChunk]], day_us: int, on_hours: OnHours
) -> Iterator[Minute]:
    """Yield (arm, start of minute, profile) of a day, hour by hour, or in smaller steps where profiles are large.

    Args:
        of_span: yields the rows of ``start <= received_at < end``.
    """
    for hour in range(day_us, day_us + DAY_US, HOUR_US):
        step = _step_minutes(reference) * MINUTE_US
        for start in range(hour, hour + HOUR_US, step):
            profiles: dict[tuple[int, int], Profile] = {}
            for chunk in of_span(start, start + step):
                add_chunk(profiles, reference, chunk)
            yield from in_order(profiles)
        on_hours(1)


def _step_minutes(reference: Reference) -> int:
    """Return how many minutes of every arm are counted at a time: an hour's, unless the model is very wide."""
    profile_bytes = 16 * reference.layout.numeric.total + 8 * reference.layout.categorical.total
    return max(m for m in (1, 2, 4, 12, 60) if m == 1 or m * len(Arm) * profile_bytes <= _STEP_BYTES)


def in_order(profiles: dict[tuple[int, int], Profile]) -> Iterator[Minute]:
    """Yield profiles by arm and minute."""
    for arm, minute in sorted(profiles):
        yield arm, minute, profiles[arm, minute]


def add_chunk(profiles: dict[tuple[int, int], Profile], reference: Reference, chunk: RowChunk) -> None:
    """Count rows into the profiles of their arms and minutes."""
    for arm, minute, positions in split(chunk.received_at, chunk.arms):
        profile = profiles.setdefault((arm, minute), reference.empty_profile())
        if positions is None:
            profile.add(chunk.columns, len(chunk))
        else:
            profile.add({name: cells[positions] for name, cells in chunk.columns.items()}, len(positions))


def version_by_id(connection: Connection, model_version_id: int) -> ModelVersion:
    """Return a version by its key."""
    t = schema.model_version
    return model_version_of(connection.execute(select(t).where(t.c.id == model_version_id)).one())
