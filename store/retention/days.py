"""Which days the store holds, and how many bytes they take."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import BigInteger, Connection, Engine, column, func, select, table, text

from driftline.store import schema
from driftline.store.partitions import DAY_US, day_of, partitioned_tables

_PARTITION = re.compile(r".*_p(\d{4})(\d{2})(\d{2})")


@dataclass(frozen=True, slots=True)
class StoredDay:
    """A day's holdings; ``bytes`` are exact for partitions, else the day's share of the rows."""

    day: int
    invocations: int
    rows: int
    bytes: int


def day_text(day: int) -> str:
    """Return ``2026-01-31``."""
    return f"{datetime.fromtimestamp(day * 86_400, UTC):%Y-%m-%d}"


def stored_days(connection: Connection, before_us: int) -> list[int]:
    """Return the days before ``before_us`` (a day's start) that hold invocations, rows or dead letters, oldest first.

    On PostgreSQL a day that has partitions counts, empty or not.
    """
    tables = partitioned_tables(connection)
    days = set(_days_of(connection, schema.dead_letter.name, "at", before_us))
    if connection.dialect.name == "postgresql":
        days.update(day for day in partitions_by_day(connection) if day < day_of(before_us))
        tables = [f"{name}_default" for name in tables]
    for name in tables:
        days.update(_days_of(connection, name, "received_at", before_us))
    return sorted(days)


@contextmanager
def whole_days(engine: Engine) -> Iterator[Connection]:
    """Open a snapshot of the store that no partition is dropped from while it is read."""
    if engine.dialect.name != "postgresql":
        with engine.connect() as connection:
            yield connection
        return
    with engine.connect() as connection:
        tables = partitioned_tables(connection)
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        # Before the first query: that is what fixes the snapshot.
        names = ", ".join(f'"{name}"' for name in tables)
        connection.execute(text(f"LOCK TABLE {names} IN ACCESS SHARE MODE"))
        yield connection


def partitions_by_day(connection: Connection) -> dict[int, list[tuple[str, str]]]:
    """Return (table, partition) of every daily partition, by day; ``invocation`` comes first, then by name."""
    query = text(
        "SELECT p.relname, c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
        "JOIN pg_class p ON p.oid = i.inhparent WHERE p.relname = ANY(:tables) AND pg_table_is_visible(p.oid)"
    )
    tables = partitioned_tables(connection)
    found: dict[int, list[tuple[str, str]]] = {}
    for parent, name in connection.execute(query, {"tables": tables}):
        if dated := _PARTITION.fullmatch(name):
            year, month, day = (int(part) for part in dated.groups())
            number = int(datetime(year, month, day, tzinfo=UTC).timestamp()) // 86_400
            found.setdefault(number, []).append((parent, name))
    for names in found.values():
        names.sort(key=lambda pair: (pair[0] != schema.invocation.name, pair))
    return found


def used_bytes(connection: Connection) -> int:
    """Return the bytes of the whole store that hold something: tables and indexes, free pages of a file left out."""
    if connection.dialect.name == "sqlite":
        pages, free, size = (
            int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size
    leaves = [name for pairs in partitions_by_day(connection).values() for _, name in pairs]
    used = _relation_bytes(connection, [*schema.metadata.tables, *leaves])
    # Deleted rows leave DEFAULT's file as it is: what lives in it counts.
    return used + sum(_default_bytes(connection).values())


def holdings(connection: Connection, days: Sequence[int]) -> list[StoredDay]:
    """Return what each of ``days`` holds, in their order."""
    if not days:
        return []
    t = schema.invocation.c
    day = func.floor(t.received_at / float(DAY_US)).label("day")
    query = select(day, func.count(), func.sum(t.row_count)).where(t.received_at < (max(days) + 1) * DAY_US)
    counts = {int(d): (int(n), int(rows)) for d, n, rows in connection.execute(query.group_by(day))}
    sizes = _bytes_by_day(connection, days, counts)
    return [StoredDay(d, *counts.get(d, (0, 0)), sizes.get(d, 0)) for d in days]


def _bytes_by_day(connection: Connection, days: Sequence[int], counts: dict[int, tuple[int, int]]) -> dict[int, int]:
    if connection.dialect.name == "sqlite":
        t = schema.invocation.c
        all_cells = connection.execute(select(func.count() + func.coalesce(func.sum(t.row_count), 0))).scalar_one()
        share = (used_bytes(connection) - _bytes_that_stay(connection)) / max(1, int(all_cells))
        return {d: round(sum(counts[d]) * share) for d in days if d in counts}
    sizes = _default_bytes(connection)
    partitions = partitions_by_day(connection)
    for d in days:
        sizes[d] = sizes.get(d, 0) + _relation_bytes(connection, [name for _, name in partitions.get(d, [])])
    return sizes


def _bytes_that_stay(connection: Connection) -> int:
    """Return the bytes on SQLite that are large and do not go with a day's rows."""
    stay = (
        schema.profile.c.counts,
        schema.segment_profile.c.counts,
        schema.reference.c.content,
        schema.report_file.c.content,
    )
    sums = [select(func.coalesce(func.sum(func.length(cell)), 0)) for cell in stay]
    return sum(int(connection.execute(query).scalar_one()) for query in sums)


def _relation_bytes(connection: Connection, names: list[str]) -> int:
    query = text(
        "SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class "
        "WHERE relname = ANY(:names) AND relkind = 'r' AND pg_table_is_visible(oid)"
    )
    return int(connection.execute(query, {"names": names}).scalar_one())


def _default_bytes(connection: Connection) -> dict[int, int]:
    sizes: dict[int, int] = {}
    for name in partitioned_tables(connection):
        query = text(
            f"SELECT floor(received_at / {DAY_US}.0), sum(pg_column_size(d.*)) "  # noqa: S608 - our names
            f'FROM "{name}_default" d GROUP BY 1'
        )
        for day, size in connection.execute(query):
            sizes[int(day)] = sizes.get(int(day), 0) + int(size)
    return sizes


def _days_of(connection: Connection, name: str, time_column: str, before_us: int) -> Iterator[int]:
    """Yield the days of a table, one look into its index a day."""
    held = table(name, column(time_column, BigInteger))
    at = held.c[time_column]
    start: int | None = None
    while True:
        condition = at < before_us if start is None else (at >= start) & (at < before_us)
        first = connection.scalar(select(func.min(at)).select_from(held).where(condition))
        if first is None:
            return
        yield day_of(int(first))
        start = (day_of(int(first)) + 1) * DAY_US
