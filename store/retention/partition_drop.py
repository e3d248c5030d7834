"""Drop a day's partitions on PostgreSQL.

Invariants
----------
- A day goes whole, from all tables in one transaction, or stays whole.
- What is counted as pruned is what was there: nobody writes into the day's partitions from the count to the drop.
- No reader and no loader waits longer than ``_PATIENCE_MILLISECONDS`` for it, which is under PostgreSQL's
  ``deadlock_timeout``: whoever meets it, it is always this side that gives way.
- Counts are never taken while a backfill works (``lock_loading``): it sees a day whole or not at all.
"""

import time

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from driftline.store import schema
from driftline.store.engine import writing
from driftline.store.failures import sqlstate
from driftline.store.profile_rows import lock_loading
from driftline.store.retention.days import partitions_by_day
from driftline.store.retention.ledger import Pruned, count_pruned

_LOCK = 0x6472_6966_746C_0005
_LOCK_NOT_AVAILABLE = "55P03"
_PATIENCE_MILLISECONDS = 500
_SHARE_PATIENCE_MILLISECONDS = 5000  # for a vacuum or a loader in a day long past
_TRIES = 4
_PAUSE_SECONDS = 1.0


def drop_day(engine: Engine, day: int, at_us: int) -> Pruned | None:
    """Drop the day's partitions; None where other sessions use the tables and it must wait for the next time."""
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_PAUSE_SECONDS)
        try:
            with writing(engine) as connection:
                return _drop(connection, day, at_us)
        except OperationalError as error:
            if sqlstate(error) != _LOCK_NOT_AVAILABLE:
                raise
    return None


def _drop(connection: Connection, day: int, at_us: int) -> Pruned:
    _patience(connection, _SHARE_PATIENCE_MILLISECONDS)
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    lock_loading(connection, alone=False)
    pairs = partitions_by_day(connection).get(day, [])
    pruned = Pruned()
    if not pairs:
        return pruned
    for parent, name in pairs:
        connection.execute(text(f'LOCK TABLE "{name}" IN SHARE MODE'))
        count = int(connection.execute(text(f'SELECT count(*) FROM "{name}"')).scalar_one())  # noqa: S608 - our names
        pruned += Pruned(invocations=count) if parent == schema.invocation.name else Pruned(rows=count)
    _patience(connection, _PATIENCE_MILLISECONDS)
    for parent, _ in pairs:  # in the order in which a loader writes: invocations first
        connection.execute(text(f'LOCK TABLE "{parent}" IN ACCESS EXCLUSIVE MODE'))
    connection.execute(text("DROP TABLE " + ", ".join(f'"{name}"' for _, name in pairs)))
    count_pruned(connection, day, pruned, at_us)
    return pruned


def _patience(connection: Connection, milliseconds: int) -> None:
    connection.execute(text(f"SET LOCAL lock_timeout = '{milliseconds}ms'"))
