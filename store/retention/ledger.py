"""What retention has taken away and what was forgotten, counted in the transaction that took it.

Invariants
----------
- What the spools' positions count as stored is there or counted here.
- Rows of days from ``complete_from`` on are all there but those of ``forgotten_days``: profiles can be recomputed from
  them.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from driftline.store import schema
from driftline.store.partitions import DAY_US
from driftline.store.upserts import add_counts


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
    counts = {"invocations": pruned.invocations, "row_count": pruned.rows, "dead_letters": pruned.dead_letters}
    row = {"day_start": day * DAY_US, "pruned_at": at_us} | counts
    add_counts(connection, schema.pruned_day, [row], key=["day_start"], counted=counts)


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


def count_forgotten(
    connection: Connection, day: int, model_version_id: int, rows: int, dead_letters: int, at_us: int
) -> None:
    """Add to what was forgotten of a day and a model version; dead letters are of version 0."""
    counts = {"row_count": rows, "dead_letters": dead_letters}
    row = {"day_start": day * DAY_US, "model_version_id": model_version_id, "forgotten_at": at_us} | counts
    add_counts(connection, schema.forgotten_day, [row], key=["day_start", "model_version_id"], counted=counts)


def forgotten_letters(connection: Connection) -> int:
    """Return how many dead letters were ever forgotten."""
    return int(connection.scalar(select(func.coalesce(func.sum(schema.forgotten_day.c.dead_letters), 0))) or 0)


def forgotten_days(connection: Connection, model_version_id: int) -> frozenset[int]:
    """Return the days of which rows of a version were forgotten; their profiles count these rows still."""
    t = schema.forgotten_day.c
    query = select(t.day_start).where((t.model_version_id == model_version_id) & (t.row_count > 0))
    return frozenset(int(start) // DAY_US for start in connection.scalars(query))
