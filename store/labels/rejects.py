"""Labels that were rejected, as they are kept for whoever must correct them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Engine, func, select

from driftline.store import schema
from driftline.store.labels.settings import LabelSettings
from driftline.store.partitions import DAY_US
from driftline.store.retention.bounded_deletes import Pace, delete_where


def rejects_kept(connection: Connection) -> dict[str, int]:
    """Return how many rejected labels are kept, by reason."""
    t = schema.label_reject.c
    return {reason: int(n) for reason, n in connection.execute(select(t.reason, func.count()).group_by(t.reason))}


def newest_rejects(connection: Connection, limit: int, reason: str | None = None) -> Sequence[Any]:
    """Return rows of ``label_reject``, newest first."""
    t = schema.label_reject
    query = select(t).order_by(t.c.received_at.desc(), t.c.id.desc()).limit(limit)
    return connection.execute(query if reason is None else query.where(t.c.reason == reason)).all()


def prune_rejects(engine: Engine, settings: LabelSettings, now_us: int) -> int:
    """Delete the rejects that ``keep_reject_days`` does not keep; return how many."""
    if not settings.keep_reject_days:
        return 0
    t = schema.label_reject
    return delete_where(engine, t, t.c.received_at < now_us - round(settings.keep_reject_days * DAY_US), Pace(engine))
