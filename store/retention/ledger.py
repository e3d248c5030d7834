"""What retention has taken away, counted in the transaction that took it.

Invariants
----------
- What the spools' positions count as stored is there or counted here.
- Rows of days from ``complete_from`` on are all there: profiles can be recomputed from them.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects import postgresql, sqlite

from driftline.store import schema
from driftline.store.partitions import DAY_US


@dataclass(slots=True)
class Pruned:
    """How much was taken away."""

    invocations: int = 0
    rows: int = 0
    dead_letters: int = 0

    def __iadd__(self, other: "Pruned") -> "Pruned":
        self.invocations += other.invocations
        self.rows += other.rows
        self.dead_letters += other.dead_letters
        return self

    def __bool__(self) -> bool:
        return bool(self.invocations or self.rows or self.dead_letters)


def count_pruned(connection: Connection, day: int, pruned: Pruned, at_us: int) -> None:
    """Add to a day's counts; nothing is written where nothing was taken."""
    if not pruned:
        return
    t = schema.pruned_day
    new = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    counts = {"invocations": pruned.invocations, "row_count": pruned.rows, "dead_letters": pruned.dead_letters}
    statement = new(t).values(day_start=day * DAY_US, pruned_at=at_us, **counts)
    added = {name: t.c[name] + count for name, count in counts.items()}
    connection.execute(
        statement.on_conflict_do_update(index_elements=["day_start"], set_={**added, "pruned_at": at_us})
    )


def pruned_so_far(connection: Connection) -> Pruned:
    """Return all that was ever taken."""
    t = schema.pruned_day.c
    sums = [func.coalesce(func.sum(column), 0) for column in (t.invocations, t.row_count, t.dead_letters)]
    return Pruned(*(int(count) for count in connection.execute(select(*sums)).one()))


def complete_from(connection: Connection) -> int:
    """Return the start of the first day, microseconds since the epoch, from which on no row was ever taken.

    0 where nothing was taken: all rows are there.
    """
    newest = connection.scalar(select(func.max(schema.pruned_day.c.day_start)))
    return 0 if newest is None else int(newest) + DAY_US
