"""What a batch of labels writes: labels, those that wait, rejects, counts; all inside the caller's transaction."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import orjson
from sqlalchemy import Connection, func, insert, select, text

from driftline.store import schema
from driftline.store.labels import staging
from driftline.store.labels.record import REJECTS, Fate, Label
from driftline.store.labels.targets import Target
from driftline.store.records import MICROSECONDS, now_us
from driftline.store.upserts import add_counts

REJECTED = frozenset(REJECTS)
FIRST_TRY_US = 60 * MICROSECONDS  # a label waits so long before its request is looked for again
NO_ROW = -1

_LOCK = 0x6472_6966_746C_0007

# The same on both engines. `received_at` tells when the value changed: to say it again reopens nothing.
_UPSERT = """
INSERT INTO label (invocation_id, row_index, value, event_at, received_at)
SELECT invocation_id, row_index, value, event_at, received_at FROM label_staged WHERE true
ON CONFLICT (invocation_id, row_index) DO UPDATE SET
  received_at = CASE WHEN label.value = excluded.value THEN label.received_at ELSE excluded.received_at END,
  value = excluded.value, event_at = excluded.event_at
"""
_UPSERT_PENDING = """
INSERT INTO pending_label (model_name, key_column, key, row_index, value, event_at, received_at, next_try_at)
SELECT :model, :key_column, key, row_index, value, event_at, received_at, received_at + :wait
FROM label_staged WHERE true
ON CONFLICT (key, row_index, value, key_column, model_name) DO UPDATE SET event_at =
  CASE WHEN excluded.event_at > pending_label.event_at THEN excluded.event_at ELSE pending_label.event_at END
"""


class Written(NamedTuple):
    """What a row's label becomes."""

    value: str
    event_at_us: int


class Reject(NamedTuple):
    """A label that is not in force, and never will be."""

    fate: Fate
    model_name: str
    key_column: str
    content: str


def take_turn(connection: Connection) -> int:
    """Wait for the batches before this one; return its time, which is later than that of any label in the store."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    newest = connection.scalar(select(func.max(schema.label.c.received_at)))
    return max(now_us(), int(newest or 0) + 1)


def labels_of(connection: Connection, targets: Iterable[Target]) -> dict[tuple[bytes, int], tuple[str, int]]:
    """Return value and event time of the labels of these rows."""
    return staging.labels_there(connection, sorted(set(targets)))


def write_labels(connection: Connection, written: Mapping[Target, Written], at_us: int) -> None:
    """Insert or update labels."""
    if not written:
        return
    staging.stage(
        connection,
        {
            "invocation_id": staging.ids_array([target.invocation_id for target in written]),
            "row_index": np.array([target.row_index for target in written]),
            "value": [label.value for label in written.values()],
            "event_at": np.array([label.event_at_us for label in written.values()]),
            "received_at": np.full(len(written), at_us),
        },
        len(written),
    )
    connection.execute(text(_UPSERT))


def write_pending(connection: Connection, labels: Sequence[Label], model: str, key_column: str, at_us: int) -> None:
    """Keep labels until their requests are known; one that says the same again is kept once."""
    for by_key in (False, True):
        newest: dict[tuple[str, int, str], int] = {}
        for label in labels:
            if label.by_key is by_key:
                same = (label.key, NO_ROW if label.row is None else label.row, label.value)
                newest[same] = max(label.event_at_us, newest.get(same, 0))
        if not newest:
            continue
        staging.stage(
            connection,
            {
                "key": [key for key, _, _ in newest],
                "row_index": np.array([row for _, row, _ in newest]),
                "value": [value for _, _, value in newest],
                "event_at": np.array(list(newest.values())),
                "received_at": np.full(len(newest), at_us),
            },
            len(newest),
        )
        named = {"model": model, "key_column": key_column if by_key else "", "wait": FIRST_TRY_US}
        connection.execute(text(_UPSERT_PENDING), named)


def write_rejects(connection: Connection, rejects: Sequence[Reject], at_us: int) -> None:
    """Keep rejects with their reasons."""
    if rejects:
        connection.execute(
            insert(schema.label_reject),
            [
                {"received_at": at_us, "reason": fate.value, "model_name": model, "key_column": column, "content": said}
                for fate, model, column, said in rejects
            ],
        )


def count_fates(connection: Connection, counts: Counter[tuple[str, Fate]], at_us: int) -> None:
    """Add to the counts that only grow."""
    rows = [
        {"model_name": model, "fate": fate.value, "labels": count, "counted_at": at_us}
        for (model, fate), count in counts.items()
    ]
    add_counts(connection, schema.label_count, rows, key=["model_name", "fate"], counted=["labels"])


def told(label: Label) -> str:
    """Return a label as its reject keeps it."""
    known = {"key" if label.by_key else "request_id": label.key, "row": label.row, "event_at_us": label.event_at_us}
    return orjson.dumps({**known, "label": orjson.loads(label.value)}).decode()
