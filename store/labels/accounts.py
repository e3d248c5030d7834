"""How labels stand: fates by model, and those that wait."""

from dataclasses import dataclass, field

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

    fates: dict[tuple[str, str], int] = field(default_factory=dict)
    pending: int = 0
    oldest_pending_us: int | None = None


def label_accounts(connection: Connection) -> LabelAccounts:
    """Return how labels stand."""
    t = schema.pending_label.c
    fates = {(row.model_name, row.fate): int(row.labels) for row in connection.execute(select(schema.label_count))}
    pending, oldest = connection.execute(select(func.count(), func.min(t.received_at))).one()
    return LabelAccounts(fates, int(pending), oldest)


def labels_in_force(connection: Connection) -> int:
    """Return how many rows have a label; this reads an index of all of them."""
    return int(connection.scalar(select(func.count()).select_from(schema.label)) or 0)
