"""Delete what is old in short transactions: SQLite's days, PostgreSQL's DEFAULT partitions, results, dead letters.

Invariants
----------
- On SQLite the write lock is held for about ``_HOLD_SECONDS`` at a time and left free for as long, so that a loader
  always gets its turn; on PostgreSQL deletes stop nobody.
- An invocation goes with its rows, and is counted as pruned, in one transaction: what is killed between two of them
  has left nothing half.
"""

import time
from collections.abc import Sequence
from contextlib import closing

from sqlalchemy import ColumnElement, Connection, Engine, Table, column, delete, func, select, table

from driftline.store import schema
from driftline.store.column_types import Timestamp
from driftline.store.engine import writing
from driftline.store.partitions import DAY_US, partitioned_tables
from driftline.store.profile_rows import lock_loading
from driftline.store.retention.ledger import Pruned, count_pruned

_HOLD_SECONDS = 0.05
_FEWEST_ROWS, _MOST_ROWS = 50, 20_000
_LETTERS = 20  # a payload may be large
_PAGES = 256
_INCREMENTAL = 2  # SQLite's number for it


class Pace:
    """How many rows one transaction may delete: grown and shrunk by how long the last one took."""

    def __init__(self, engine: Engine) -> None:
        self._waits = engine.dialect.name == "sqlite"
        self.rows = 1000 if self._waits else _MOST_ROWS

    def took(self, seconds: float) -> None:
        """Note how long a transaction took, and leave the write lock free for as long."""
        if self._waits:
            factor = min(2.0, max(0.5, _HOLD_SECONDS / max(seconds, 1e-6)))
            self.rows = round(min(_MOST_ROWS, max(_FEWEST_ROWS, self.rows * factor)))
            time.sleep(min(1.0, max(seconds, _HOLD_SECONDS / 5)))


def delete_day(engine: Engine, day: int, at_us: int, pace: Pace) -> Pruned:
    """Delete a day's invocations, rows and dead letters from wherever they lie."""
    pruned = Pruned()
    start, end = day * DAY_US, (day + 1) * DAY_US
    while start < end:
        with engine.connect() as connection:
            bound = _bound(connection, start, end, pace.rows)
        began = time.monotonic()
        with writing(engine) as connection:
            lock_loading(connection, alone=False)
            began = time.monotonic()
            part = _delete_slice(connection, start, bound)
            count_pruned(connection, day, part, at_us)
        pace.took(time.monotonic() - began)
        pruned += part
        start = bound
    return _delete_letters(engine, day, at_us, pace, pruned)


def _bound(connection: Connection, start: int, end: int, rows: int) -> int:
    """Return the time up to which about ``rows`` rows lie, invocations counted among them."""
    t = schema.invocation.c
    query = select(t.received_at, t.row_count).where((t.received_at >= start) & (t.received_at < end))
    seen = 0
    for received_at, row_count in connection.execute(query.order_by(t.received_at).limit(rows)):
        seen += 1 + row_count
        if seen >= rows:
            return int(received_at) + 1
    return end


def _delete_slice(connection: Connection, start: int, end: int) -> Pruned:
    pruned = Pruned()
    for name in partitioned_tables(connection):
        t = table(name, column("received_at", Timestamp))
        at = t.c.received_at
        count = connection.execute(delete(t).where((at >= start) & (at < end))).rowcount
        pruned += Pruned(invocations=count) if name == schema.invocation.name else Pruned(rows=count)
    return pruned


def _delete_letters(engine: Engine, day: int, at_us: int, pace: Pace, pruned: Pruned) -> Pruned:
    t = schema.dead_letter.c
    condition = (t.at >= day * DAY_US) & (t.at < (day + 1) * DAY_US)
    while True:
        began = time.monotonic()
        with writing(engine) as connection:
            keys = list(connection.scalars(select(t.id).where(condition).limit(_LETTERS)))
            if not keys:
                return pruned
            connection.execute(delete(schema.dead_letter).where(t.id.in_(keys)))
            part = Pruned(dead_letters=len(keys))
            count_pruned(connection, day, part, at_us)
        pace.took(time.monotonic() - began)
        pruned += part


def delete_where(engine: Engine, t: Table, condition: ColumnElement[bool], pace: Pace) -> int:
    """Delete the rows of a table that meet ``condition``; return how many.

    The condition should begin at an index of the table; the key ``id`` is one.
    """
    deleted = 0
    while True:
        began = time.monotonic()
        with writing(engine) as connection:
            keys: Sequence[int] = list(connection.scalars(select(t.c.id).where(condition).limit(min(pace.rows, 1000))))
            if keys:
                connection.execute(delete(t).where(t.c.id.in_(keys)))
        if not keys:
            return deleted
        deleted += len(keys)
        pace.took(time.monotonic() - began)


def oldest(t: Table, rows: int = 10_000) -> ColumnElement[bool]:
    """Return the condition for the first rows of a table that grows with time: spares a search through all of it."""
    first = select(func.min(t.c.id)).scalar_subquery()
    return t.c.id < first + rows


def release_pages(engine: Engine, pace: Pace) -> None:
    """Give SQLite's free pages beyond a tenth of the file back to the file system, where the file was made for it."""
    if engine.dialect.name != "sqlite":
        return
    with closing(engine.raw_connection()) as connection:

        def pragma(name: str) -> int:
            return int(connection.driver_connection.execute(f"PRAGMA {name}").fetchone()[0])  # type: ignore[union-attr]

        while pragma("auto_vacuum") == _INCREMENTAL and pragma("freelist_count") > pragma("page_count") // 10:
            began = time.monotonic()
            # A script: `execute` would stop after the first page.
            connection.driver_connection.executescript(f"PRAGMA incremental_vacuum({_PAGES})")  # type: ignore[union-attr]
            pace.took(time.monotonic() - began)
