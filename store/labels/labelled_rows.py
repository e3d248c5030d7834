"""Predictions beside their labels."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import Connection, Select, select

from driftline.store import schema
from driftline.store.labels.changes import HOUR_US
from driftline.store.payload.typed_cells import Column
from driftline.store.prediction_tables import ModelVersion
from driftline.store.stored_rows import columns_of, within

_CHUNK_ROWS = 20_000


class LabelledRows(NamedTuple):
    """Some labelled rows of one version, all of one length.

    Attributes:
        columns: those that were asked for, by ``column_name``.
        labels: as Python values.
        requested_us, event_us, received_us: when the row was asked, when the label became true, and when it came.
    """

    columns: dict[str, Column]
    labels: list[Any]
    requested_us: NDArray[np.int64]
    event_us: NDArray[np.int64]
    received_us: NDArray[np.int64]


def chosen_rows(rows: LabelledRows, places: NDArray[np.int64]) -> LabelledRows:
    """Return the rows at some places."""
    return LabelledRows(
        {name: cells[places] for name, cells in rows.columns.items()},
        [rows.labels[place] for place in places.tolist()],
        rows.requested_us[places],
        rows.event_us[places],
        rows.received_us[places],
    )


def labelled_hour(
    connection: Connection,
    version: ModelVersion,
    arm: int,
    hour_us: int,
    wanted: Sequence[str],
    within_us: tuple[int, int] | None = None,
) -> Iterator[LabelledRows]:
    """Yield the labelled rows of one hour and arm, in chunks, in the order of their requests.

    Args:
        hour_us: its start, microseconds since the epoch.
        wanted: columns of the prediction table that are read.
        within_us: start (inclusive) and end; rows of requests outside are left out.
    """
    t, (start, end) = version.table.c, within_us or (hour_us, hour_us + HOUR_US)
    query = _joined(version, wanted).where(within(version, max(hour_us, start), min(hour_us + HOUR_US, end), arm))
    query = query.order_by(t.received_at, t.invocation_id, t.row_index)  # samples of a regression are drawn by place
    for rows in connection.execute(query.execution_options(yield_per=_CHUNK_ROWS)).partitions():
        yield _labelled(version, rows, wanted)


def newest_labelled(
    connection: Connection, version: ModelVersion, outputs: Sequence[str], max_rows: int
) -> LabelledRows | None:
    """Return the rows whose labels came last; None where none has any."""
    query = _joined(version, outputs).where(within(version, None, None))
    query = query.order_by(schema.label.c.received_at.desc()).limit(max_rows)
    rows = connection.execute(query).all()
    return _labelled(version, rows, outputs) if rows else None


def _joined(version: ModelVersion, outputs: Sequence[str]) -> Select[Any]:
    t, label = version.table.c, schema.label.c
    same = (label.invocation_id == t.invocation_id) & (label.row_index == t.row_index)
    cells = (t[name] for name in outputs)
    return select(label.value, t.received_at, label.event_at, label.received_at.label("came_at"), *cells).join_from(
        version.table, schema.label, same
    )


def _labelled(version: ModelVersion, rows: Sequence[Any], outputs: Sequence[str]) -> LabelledRows:
    values, requested, event, received, *cells = zip(*rows, strict=True)
    return LabelledRows(
        columns_of(version, outputs, cells),
        [orjson.loads(value) for value in values],
        np.array(requested, np.int64),
        np.array(event, np.int64),
        np.array(received, np.int64),
    )
