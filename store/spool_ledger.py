"""What the store says of the spools it has loaded from: position, counts, and what was dropped."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Engine, func, select

from driftline.store import schema
from driftline.store.spool.reader import Position


@dataclass(frozen=True, slots=True)
class SpoolLedger:
    """What the store holds of one spool, read in one transaction.

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


def ledgers(engine: Engine, uuids: Collection[str] | None = None) -> dict[str, SpoolLedger]:
    """Return the ledgers by spool: all, or those of ``uuids`` that the store knows."""
    s, p, g = schema.spool, schema.spool_position, schema.spool_gap
    found = select(s, p).join(p, p.c.spool_id == s.c.id)
    gaps = (
        select(s.c.uuid, g.c.reason, func.sum(g.c.record_count).label("count"))
        .join(s, g.c.spool_id == s.c.id)
        .group_by(s.c.uuid, g.c.reason)
    )
    if uuids is not None:
        found, gaps = found.where(s.c.uuid.in_(uuids)), gaps.where(s.c.uuid.in_(uuids))
    options = {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {}
    dropped: dict[str, dict[str, int]] = {}
    with engine.connect().execution_options(**options) as connection:
        rows = connection.execute(found).all()
        for gap in connection.execute(gaps):
            dropped.setdefault(gap.uuid, {})[gap.reason] = int(gap[2])
    return {
        row.uuid: SpoolLedger(
            Position(row.segment, row.offset, row.seq), row.host, row.pid, row.started_at, row.stored,
            row.quarantined, dropped.get(row.uuid, {}),
        )
        for row in rows
    }  # fmt: skip
