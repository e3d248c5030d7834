"""Uniform samples of a window's rows: those of the invocations with the smallest hashes, always the same ones.

The hash is the random end of an invocation's id, so a sample is uniform over invocations, and whole ones come.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    and_,
    exists,
    func,
    literal,
    literal_column,
    select,
    true,
    tuple_,
)

from driftline.store import schema
from driftline.store.payload.typed_cells import Column
from driftline.store.prediction_tables import ModelVersion
from driftline.store.sample_index import INDEXED_SHARE, IdHash, IsIndexed
from driftline.store.stored_rows import cell_names, columns_of, within

_PROBED_SHARE = 1 / 4096  # of a window, to tell how many rows it holds


@dataclass(frozen=True, slots=True)
class SampledRows:
    """Some rows of a sample, in the order of their invocations' hashes.

    Attributes:
        ids: of the invocations, one per row; ``row_index`` is the row's place in its request.
        received_at: microseconds since the epoch.
        columns: typed cells by ``column_name``.
        labels: the JSON of each row's label, None where it has none.
    """

    ids: list[bytes]
    row_index: NDArray[np.int64]
    received_at: NDArray[np.int64]
    columns: dict[str, Column]
    labels: list[str | None]

    def __len__(self) -> int:
        return len(self.ids)


def narrowing(
    connection: Connection,
    version: ModelVersion,
    window: tuple[int | None, int | None],
    arm: int | None,
    max_rows: int,
) -> Iterator[ColumnElement[bool]]:
    """Yield conditions for ever more of the window's rows, the smallest hashes first; the last one holds for all.

    The first is a guess at what holds ``max_rows`` rows, from the sample's index where that can be.
    """
    condition = within(version, *window, arm)
    if connection.dialect.name == "sqlite":  # which would rather walk the window than the sample's index
        indexed = within(version, *window, arm, received_at=literal_column("+received_at"))
    else:
        indexed = condition
    probe = select(func.count()).where(indexed & IsIndexed() & _below(_PROBED_SHARE))
    there = int(connection.execute(probe).scalar_one()) / _PROBED_SHARE
    share = 1.5 * max_rows / there if there else INDEXED_SHARE
    while True:
        yield indexed & IsIndexed() & _below(share) if share <= INDEXED_SHARE else condition & _below(share)
        if share >= 1:
            return
        share *= 4


def _below(share: float) -> ColumnElement[bool]:
    """Return the condition for the invocations with the smallest hashes: such a share of all."""
    return true() if share >= 1 else IdHash() < literal(int(share * 2**32).to_bytes(4))


@dataclass(frozen=True, slots=True)
class Sample:
    """Which rows a sample holds; nothing is read yet.

    Attributes:
        version: that answered them.
        rows: how many.
        is_whole: whether that is all that the window holds.
    """

    version: ModelVersion
    rows: int
    is_whole: bool
    _condition: ColumnElement[bool]

    def chunks(self, engine: Engine, chunk_rows: int) -> Iterator[SampledRows]:
        """Yield the rows, at most ``chunk_rows`` at a time, each chunk in a transaction of its own.

        So whoever takes long over a chunk keeps no transaction open; rows that retention takes meanwhile do not come.
        """
        names, t = cell_names(self.version), self.version.table.c
        place = (IdHash(), t.invocation_id, t.row_index)
        query: Select[Any] = select(t.invocation_id, t.row_index, t.received_at, *(t[name] for name in names))
        query = query.where(self._condition).order_by(*place)
        left = self.rows
        after: ColumnElement[bool] = true()
        while left > 0:
            with engine.connect() as connection:
                rows = connection.execute(query.where(after).limit(min(left, chunk_rows))).all()
                if not rows:
                    return
                ids, places, received_at, *cells = zip(*rows, strict=True)
                known = _labels(connection, list(dict.fromkeys(ids)))
            columns = columns_of(self.version, names, cells)
            labels = [known.get(row) for row in zip(ids, places, strict=True)]
            yield SampledRows(list(ids), np.array(places, np.int64), np.array(received_at, np.int64), columns, labels)
            last = (literal(ids[-1][12:]), literal(ids[-1], t.invocation_id.type), literal(places[-1]))
            left, after = left - len(rows), tuple_(*place) > tuple_(*last)


def draw(
    connection: Connection,
    version: ModelVersion,
    window: tuple[int | None, int | None],
    arm: int,
    max_rows: int,
    *,
    labelled: bool = False,
) -> Sample:
    """Return a sample of at most ``max_rows`` rows that an arm answered in a window.

    Args:
        window: start (inclusive) and end, microseconds since the epoch.
        labelled: only rows that have a label.
    """
    t, label = version.table.c, schema.label.c
    has_label = exists().where(and_(label.invocation_id == t.invocation_id, label.row_index == t.row_index))
    wanted = has_label if labelled else true()
    found, condition = 0, within(version, *window, arm) & wanted
    for near in narrowing(connection, version, window, arm, max_rows + 1):
        condition = near & wanted
        some = select(t.row_index).where(condition).limit(max_rows + 1).subquery()
        found = int(connection.execute(select(func.count()).select_from(some)).scalar_one())
        if found > max_rows:
            break
    return Sample(version, min(found, max_rows), found <= max_rows, condition)


def _labels(connection: Connection, ids: Sequence[bytes]) -> dict[tuple[bytes, int], str]:
    t = schema.label.c
    found = connection.execute(select(t.invocation_id, t.row_index, t.value).where(t.invocation_id.in_(ids)))
    return {(id_, row): value for id_, row, value in found}
