"""What the store says of the spools it has loaded from: position, counts, what was dropped or set aside, and why."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import ColumnElement, Connection, Engine, Table, func, select

from driftline.store import schema
from driftline.store.spool.reader import Position

_AT_ONCE: Final = 10_000  # variables of a statement: SQLite takes 32,766


@dataclass(frozen=True, slots=True)
class SpoolLedger:
    """What the store holds of one spool, read in one transaction.

    ``quarantined_by_reason`` adds up to ``quarantined``: what retention has taken of dead_letter is ``pruned``.

    Attributes:
        position: up to it everything is accounted for here.
        stored: records, those in dead_letter (``quarantined``) included.
        dropped: by reason.
    """

    position: Position
    host: str
    pid: int
    started_at_us: int
    stored: int
    quarantined: int
    dropped: dict[str, int]
    quarantined_by_reason: dict[str, int] = field(default_factory=dict)


def ledgers(engine: Engine, uuids: Collection[str] | None = None) -> dict[str, SpoolLedger]:
    """Return the ledgers by spool: all, or those of ``uuids`` that the store knows."""
    wanted = None if uuids is None else sorted(uuids)
    options = {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {}
    found: dict[str, SpoolLedger] = {}
    with engine.connect().execution_options(**options) as connection:
        if wanted is None:
            return _read(connection, None)
        for start in range(0, len(wanted), _AT_ONCE):
            found |= _read(connection, wanted[start : start + _AT_ONCE])
    return found


def _read(connection: Connection, uuids: list[str] | None) -> dict[str, SpoolLedger]:
    s, p, g, d = schema.spool, schema.spool_position, schema.spool_gap, schema.dead_letter
    found = select(s, p).join(p, p.c.spool_id == s.c.id)
    rows = connection.execute(found if uuids is None else found.where(s.c.uuid.in_(uuids))).all()
    dropped = _by_reason(connection, g, func.sum(g.c.record_count), uuids)
    letters: dict[str, dict[str, int]] = {}
    if any(row.quarantined for row in rows):
        letters = _by_reason(connection, d, func.count(), uuids)
    return {
        row.uuid: SpoolLedger(
            Position(row.segment, row.offset, row.seq), row.host, row.pid, row.started_at, row.stored,
            row.quarantined, dropped.get(row.uuid, {}), _with_pruned(letters.get(row.uuid, {}), row.quarantined),
        )
        for row in rows
    }  # fmt: skip


def _by_reason(
    connection: Connection, table: Table, count: ColumnElement[int], uuids: list[str] | None
) -> dict[str, dict[str, int]]:
    """Return ``count`` of a table with ``spool_id`` and ``reason``, by spool and by reason."""
    s = schema.spool
    query = (
        select(s.c.uuid, table.c.reason, count).join(s, table.c.spool_id == s.c.id).group_by(s.c.uuid, table.c.reason)
    )
    counts: dict[str, dict[str, int]] = {}
    for uuid, reason, number in connection.execute(query if uuids is None else query.where(s.c.uuid.in_(uuids))):
        counts.setdefault(uuid, {})[reason] = int(number)
    return counts


def _with_pruned(letters: dict[str, int], quarantined: int) -> dict[str, int]:
    pruned = quarantined - sum(letters.values())
    return {**letters, "pruned": pruned} if pruned > 0 else letters
