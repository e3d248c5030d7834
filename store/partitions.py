"""Daily partitions on PostgreSQL, made ahead; SQLite has none and every function here does nothing on it.

Invariants
----------
- Rows of any time find a partition: days within reach have their own, all else lies in DEFAULT.
- A day whose rows already lie in DEFAULT gets its partition all the same: they are moved into it.
- Two processes never make the same partition: an advisory lock orders them.
- Loading never waits long for a reader: where a table is in use, its rows lie in DEFAULT until the next try.
"""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.exc import DBAPIError

from driftline.store import schema

_log = logging.getLogger(__name__)

DAY_US = 86_400_000_000
DAYS_AHEAD = 14
DAYS_BACK = 90  # a backlog older than this is loaded into DEFAULT
_PATIENCE_SECONDS = 5
_LOCK_NOT_AVAILABLE = "55P03"
_INSUFFICIENT_PRIVILEGE = "42501"
_LOCK = 0x6472_6966_746C_0003


def day_of(at_us: int) -> int:
    """Return the number of the UTC day since the epoch."""
    return at_us // DAY_US


def partition_name(table: str, day: int) -> str:
    """Return the name of a table's partition for a day."""
    return f"{table}_p{datetime.fromtimestamp(day * 86_400, UTC):%Y%m%d}"


def ensure_days(engine: Engine, days: Iterable[int]) -> None:
    """Make the partitions of ``days`` for ``invocation`` and every prediction table that lacks them."""
    wanted = sorted(set(days))
    if engine.dialect.name != "postgresql" or not wanted:
        return
    with engine.connect() as connection:
        missing = _missing(connection, wanted)
    for table, day in missing:
        try:
            with engine.begin() as connection:
                connection.execute(text(f"SET LOCAL lock_timeout = '{_PATIENCE_SECONDS}s'"))
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
                if (table, day) in _missing(connection, [day]):
                    _make(connection, table, day)
        except DBAPIError as error:
            state = getattr(error.orig, "sqlstate", None)
            if state == _INSUFFICIENT_PRIVILEGE:  # the owner makes them, and without them rows lie in DEFAULT
                _log.warning("partitions are not made by this role: run `driftline store upkeep` daily as their owner")
                return
            if state != _LOCK_NOT_AVAILABLE:
                raise
            _log.warning("partition %s is not made yet: another session uses the table", partition_name(table, day))


def partitioned_tables(connection: Connection) -> list[str]:
    """Return the names of all tables that are partitioned by day."""
    return [schema.invocation.name, *connection.scalars(select(schema.prediction_table.c.table_name))]


def _missing(connection: Connection, days: list[int]) -> list[tuple[str, int]]:
    present = set(connection.scalars(text("SELECT relname FROM pg_class WHERE relispartition")))
    return [(t, d) for t in partitioned_tables(connection) for d in days if partition_name(t, d) not in present]


def _make(connection: Connection, table: str, day: int) -> None:
    name, start, end = partition_name(table, day), day * DAY_US, (day + 1) * DAY_US
    within = f"received_at >= {start} AND received_at < {end}"
    default = f'"{table}_default"'
    if not connection.scalar(text(f"SELECT EXISTS (SELECT FROM {default} WHERE {within})")):  # noqa: S608 - our names
        connection.execute(text(f'CREATE TABLE "{name}" PARTITION OF "{table}" FOR VALUES FROM ({start}) TO ({end})'))
        return
    connection.execute(text(f'LOCK TABLE "{table}" IN ACCESS EXCLUSIVE MODE'))
    connection.execute(text(f'CREATE TABLE "{name}" (LIKE "{table}" INCLUDING ALL)'))
    moved = f"WITH moved AS (DELETE FROM {default} WHERE {within} RETURNING *)"  # noqa: S608 - our names
    connection.execute(text(f'{moved} INSERT INTO "{name}" SELECT * FROM moved'))  # noqa: S608 - our names
    connection.execute(text(f'ALTER TABLE "{table}" ATTACH PARTITION "{name}" FOR VALUES FROM ({start}) TO ({end})'))
