"""A temporary table of one batch of labels, and what is found by joining it: requests, rows, labels that are there.

It lives as long as its connection and is emptied for every use; on both engines a batch costs a few statements.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import BigInteger, Column, Connection, Integer, MetaData, Select, Table, Text, and_, func, select, text
from sqlalchemy.schema import CreateTable

from driftline.store import schema
from driftline.store.column_types import InvocationId, Timestamp
from driftline.store.labels.record import LONGEST_KEY
from driftline.store.labels.settings import RepeatedKeys
from driftline.store.loader.bulk import Cells, insert_rows
from driftline.store.prediction_columns import ColumnType, PredictionColumn
from driftline.store.prediction_tables import ModelVersion

MOST_ROWS = 100  # of one key, arms counted, that a label may be about
_FEW_ROWS = 10  # of one key, newest first, are enough to see that it repeats or to find the newest
_WHOLE_NUMBERS = (ColumnType.LONG, ColumnType.INTEGER)
KEY_TYPES = (*_WHOLE_NUMBERS, ColumnType.STRING)

STAGED = Table(
    "label_staged",
    MetaData(),
    Column("n", Integer),  # place in the batch
    Column("invocation_id", InvocationId),
    Column("row_index", Integer),
    Column("key", Text),
    Column("number", BigInteger),
    Column("value", Text),
    Column("event_at", Timestamp),
    Column("received_at", Timestamp),
    prefixes=["TEMPORARY"],
)


class Request(NamedTuple):
    """A request that a label may be about, as one arm answered it."""

    n: int
    invocation_id: bytes
    received_at_us: int
    version_id: int
    arm: int
    row_count: int


class KeyedRow(NamedTuple):
    """A prediction row that has the label's key, as one arm answered it."""

    n: int
    invocation_id: bytes
    received_at_us: int
    version_id: int
    arm: int
    row_index: int


def stage(connection: Connection, columns: Mapping[str, Cells], rows: int) -> None:
    """Put a batch in place of the last one."""
    if connection.dialect.name == "postgresql":
        made = str(CreateTable(STAGED, if_not_exists=True).compile(connection))
        connection.execute(text(f"{made} ON COMMIT DELETE ROWS"))
        connection.execute(text("TRUNCATE label_staged"))
    else:
        connection.execute(CreateTable(STAGED, if_not_exists=True))
        connection.execute(text("DELETE FROM label_staged"))
    insert_rows(connection, STAGED, columns, rows)


def ids_array(ids: Sequence[bytes]) -> NDArray[np.void]:
    """Return invocation ids as what ``insert_rows`` takes."""
    return np.frombuffer(b"".join(ids), "V16")


def invocation_id_of(key: str) -> bytes | None:
    """Return the bytes of an invocation id in its usual forms; None where the key is none."""
    try:
        return UUID(key).bytes if len(key) in (32, 36) else None
    except ValueError:
        return None


def requests_by_id(connection: Connection, keys: Mapping[int, str], version_ids: Sequence[int] | None) -> list[Request]:
    """Return the requests that have the keys as their invocation ids; ``version_ids`` limits them to one model's."""
    ids = {n: id_ for n, key in keys.items() if (id_ := invocation_id_of(key)) is not None}
    if not ids:
        return []
    stage(connection, {"n": np.array(list(ids)), "invocation_id": ids_array(list(ids.values()))}, len(ids))
    i = schema.invocation.c
    return _requests(connection, version_ids, STAGED.c.invocation_id == i.id)


def requests_by_client_id(
    connection: Connection, keys: Mapping[int, str], version_ids: Sequence[int] | None
) -> list[Request]:
    """Return the requests that came with the keys as ``X-Request-Id``; the newest of each key."""
    if not keys:
        return []
    stage(connection, {"n": np.array(list(keys)), "key": list(keys.values())}, len(keys))
    i = schema.invocation.c
    short = func.length(i.client_request_id) <= text(str(LONGEST_KEY))  # as the index says it
    return _requests(connection, version_ids, and_(STAGED.c.key == i.client_request_id, short), bounded=True)


def rows_by_key(
    connection: Connection, version: ModelVersion, column: PredictionColumn, version_ids: Sequence[int],
    keys: Mapping[int, tuple[str, int]], repeated: RepeatedKeys,
) -> list[KeyedRow]:  # fmt: skip
    """Return the newest rows of a version's prediction table that hold the keys in ``column``.

    Args:
        keys: key and event time by place. Unless repeated keys are rejected, rows after that time do not count.
        repeated: for ``all`` one row more than ``MOST_ROWS`` of a key is returned where it has more.
    """
    t = version.table.c
    staged: dict[str, Cells]
    if column.type in _WHOLE_NUMBERS:
        numbers = {n: number for n, (key, _) in keys.items() if (number := _whole(key)) is not None}
        staged = {"n": np.array(list(numbers)), "number": np.array(list(numbers.values()), np.int64)}
        matches = STAGED.c.number == t[column.column_name]
    else:
        staged = {"n": np.array(list(keys)), "key": [key for key, _ in keys.values()]}
        matches = STAGED.c.key == t[column.column_name]
    if not len(staged["n"]):
        return []
    staged["event_at"] = np.array([keys[int(n)][1] for n in staged["n"]])
    stage(connection, staged, len(staged["n"]))
    query = (
        select(STAGED.c.n, t.invocation_id, t.received_at, t.model_version_id, t.arm, t.row_index)
        .select_from(STAGED.join(version.table, matches))
        .where(t.model_version_id.in_(version_ids))
    )
    if repeated != "reject":
        query = query.where(t.received_at <= STAGED.c.event_at)
    most = MOST_ROWS + 1 if repeated == "all" else _FEW_ROWS
    return [KeyedRow(*row) for row in connection.execute(_newest(query, most))]


def labels_there(
    connection: Connection, targets: Sequence[tuple[bytes, int]]
) -> dict[tuple[bytes, int], tuple[str, int]]:
    """Return value and event time of those of the rows that have a label."""
    if not targets:
        return {}
    stage(
        connection,
        {"invocation_id": ids_array([id_ for id_, _ in targets]), "row_index": np.array([row for _, row in targets])},
        len(targets),
    )
    t, s = schema.label.c, STAGED.c
    joined = STAGED.join(schema.label, (t.invocation_id == s.invocation_id) & (t.row_index == s.row_index))
    query = select(t.invocation_id, t.row_index, t.value, t.event_at).select_from(joined)
    return {(id_, row): (value, int(at)) for id_, row, value, at in connection.execute(query)}


def _requests(
    connection: Connection, version_ids: Sequence[int] | None, matches: Any, bounded: bool = False
) -> list[Request]:
    i = schema.invocation.c
    query = select(STAGED.c.n, i.id, i.received_at, i.model_version_id, i.arm, i.row_count).select_from(
        STAGED.join(schema.invocation, matches)
    )
    if version_ids is not None:
        query = query.where(i.model_version_id.in_(version_ids))
    return [Request(*row) for row in connection.execute(_newest(query, _FEW_ROWS) if bounded else query)]


def _newest(query: Select[Any], most: int) -> Select[Any]:
    """Limit what one key may find."""
    at = query.selected_columns.received_at
    ranked = query.add_columns(
        func.row_number().over(partition_by=STAGED.c.n, order_by=at.desc()).label("place")
    ).subquery()
    return select(*list(ranked.c)[:-1]).where(ranked.c.place <= most)


def _whole(key: str) -> int | None:
    try:
        number = int(key)
    except ValueError:
        return None
    return number if -(2**63) <= number < 2**63 else None
