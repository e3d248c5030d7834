"""How labels stand: fates by model, those that wait, rejects."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from driftline.store import schema


@dataclass(frozen=True, slots=True)
class LabelAccounts:
    """What became of all labels.

    Attributes:
        fates: labels ever, by model (empty: not known) and fate. One that waited is counted as pending, and under its
            last fate too.
        pending: labels that wait now; ``oldest_pending_us`` when the oldest of them came.
    """

    fates: dict[tuple[str, str], int]
    pending: int
    oldest_pending_us: int | None


def label_accounts(connection: Connection) -> LabelAccounts:
    """Return how labels stand."""
    t = schema.pending_label.c
    fates = {(row.model_name, row.fate): int(row.labels) for row in connection.execute(select(schema.label_count))}
    pending, oldest = connection.execute(select(func.count(), func.min(t.received_at))).one()
    return LabelAccounts(fates, int(pending), oldest)


def labels_in_force(connection: Connection) -> int:
    """Return how many rows have a label; this reads an index of all of them."""
    return int(connection.scalar(select(func.count()).select_from(schema.label)) or 0)


def rejects_kept(connection: Connection) -> dict[str, int]:
    """Return how many rejected labels are kept, by reason."""
    t = schema.label_reject.c
    return {reason: int(n) for reason, n in connection.execute(select(t.reason, func.count()).group_by(t.reason))}


def newest_rejects(connection: Connection, limit: int, reason: str | None = None) -> Sequence[Any]:
    """Return rows of ``label_reject``, newest first."""
    t = schema.label_reject
    query = select(t).order_by(t.c.received_at.desc(), t.c.id.desc()).limit(limit)
    return connection.execute(query if reason is None else query.where(t.c.reason == reason)).all()
