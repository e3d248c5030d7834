"""Events that wait for the other half of their call, in the table ``waiting_event``; and the counts of all.

An event is there when its sender is told that it was taken. One that is there already is counted, and not kept again.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, Row, and_, delete, func, select

from driftline.store import schema
from driftline.store.engine import writing
from driftline.store.imports.events import EventHalf
from driftline.store.imports.fates import Fate
from driftline.store.imports.loading import take_turn
from driftline.store.imports.settings import Served
from driftline.store.records import now_us
from driftline.store.upserts import add_counts, insert_into

Counts = Mapping[tuple[str, Fate], int]  # by service
_AT_ONCE = 500  # rows of one statement


def stage(engine: Engine, taken: Sequence[tuple[EventHalf, Served]], others: int = 0) -> Counter[Fate]:
    """Keep events until they are paired, in one transaction; return what became at once of some.

    Args:
        others: so many more came that are about no prediction: they are counted.

    Raises:
        Exception: of the database where it is away; nothing has been kept then.
    """
    counts: Counter[tuple[str, Fate]] = Counter({("", Fate.OTHER): others})
    at_us = now_us()
    with writing(engine) as connection:
        by_service: dict[str, list[dict[str, Any]]] = {}
        # In one order, so that no two wait for each other.
        for half, served in sorted(taken, key=lambda each: each[0].key):
            by_service.setdefault(served.service, []).append(_row(half, served, at_us))
        for service, rows in sorted(by_service.items()):
            for start in range(0, len(rows), _AT_ONCE):
                part = rows[start : start + _AT_ONCE]
                counts[service, Fate.REPEATED] += len(part) - _insert_new(connection, part)
        count_fates(connection, counts)
    return by_fate(counts)


def count_fates(connection: Connection, counts: Counts) -> None:
    """Add to the counts of all events ever."""
    rows = [
        {"service": service, "fate": fate.value, "events": events}
        for (service, fate), events in sorted(counts.items())
        if events
    ]
    add_counts(connection, schema.event_count, rows, key=["service", "fate"], counted=["events"])


def by_fate(counts: Counts) -> Counter[Fate]:
    """Return the sums over services."""
    sums: Counter[Fate] = Counter()
    for (_, fate), events in counts.items():
        sums[fate] += events
    return sums


@dataclass(frozen=True, slots=True)
class EventAccounts:
    """What became of all events, by service (empty: not known) and fate; and how many wait, since when."""

    fates: dict[tuple[str, str], int] = field(default_factory=dict)
    waiting: int = 0
    oldest_waiting_us: int | None = None


def event_accounts(connection: Connection) -> EventAccounts:
    """Return how events stand."""
    t = schema.waiting_event.c
    fates = {(row.service, row.fate): int(row.events) for row in connection.execute(select(schema.event_count))}
    waiting, oldest = connection.execute(select(func.count(), func.min(t.received_at))).one()
    return EventAccounts(fates, int(waiting), oldest)


def models_waited_for(connection: Connection) -> list[str]:
    """Return the URIs of the models whose events wait."""
    return sorted(connection.scalars(select(schema.waiting_event.c.model_uri).distinct()))


def pairs(connection: Connection, model_uri: str, limit: int, most_bytes: int) -> list[tuple[Row[Any], Row[Any]]]:
    """Return request and response of calls whose halves are both there, the oldest first.

    Args:
        limit, most_bytes: at most so many calls, with at most so many bytes (and one call beyond).
    """
    request, response = schema.waiting_event.alias(), schema.waiting_event.alias()
    both = and_(response.c.key == request.c.key, response.c.side == "response")
    found = connection.execute(
        select(request.c.id, response.c.id, func.length(request.c.body) + func.length(response.c.body))
        .join(response, both)
        .where(request.c.side == "request", request.c.model_uri == model_uri)
        .order_by(request.c.id)
        .limit(limit)
    ).all()
    ids = _within(found, most_bytes)
    rows = {row.id: row for row in _rows(connection, ids)}
    return [(rows[ids[i]], rows[ids[i + 1]]) for i in range(0, len(ids), 2)]


def alone(connection: Connection, model_uri: str, before_us: int, limit: int, most_bytes: int) -> list[Row[Any]]:
    """Return events that came before a time and whose other half is not there, the oldest first."""
    one, other = schema.waiting_event.alias(), schema.waiting_event.alias()
    pair = select(other.c.id).where(other.c.key == one.c.key, other.c.side != one.c.side).exists()
    found = connection.execute(
        select(one.c.id, func.length(one.c.body))
        .where(one.c.model_uri == model_uri, one.c.received_at < before_us, ~pair)
        .order_by(one.c.id)
        .limit(limit)
    ).all()
    return _rows(connection, _within(found, most_bytes))


def remove(connection: Connection, ids: Sequence[int]) -> None:
    """Take events off the table that wait no more."""
    t = schema.waiting_event
    for start in range(0, len(ids), _AT_ONCE):
        connection.execute(delete(t).where(t.c.id.in_(ids[start : start + _AT_ONCE])))


def prune_waiting(engine: Engine, before_us: int) -> int:
    """Take away the events that came before a time and wait still, and count them; return how many those were."""
    t, pruned = schema.waiting_event, 0
    while True:
        with writing(engine) as connection:
            take_turn(connection)
            aged = select(t.c.id).where(t.c.received_at < before_us).limit(_AT_ONCE)
            gone = connection.scalars(delete(t).where(t.c.id.in_(aged)).returning(t.c.service)).all()
            count_fates(connection, Counter((service, Fate.PRUNED) for service in gone))
        if not gone:
            return pruned
        pruned += len(gone)


def _within(found: Sequence[Sequence[int]], most_bytes: int) -> list[int]:
    """Return the ids of the first rows, each of ids and a length, until these have more bytes than that."""
    ids: list[int] = []
    size = 0
    for *those, length in found:
        ids += those
        size += length
        if size > most_bytes:
            break
    return ids


def _rows(connection: Connection, ids: Sequence[int]) -> list[Row[Any]]:
    t = schema.waiting_event
    rows: list[Row[Any]] = []
    for start in range(0, len(ids), _AT_ONCE):
        rows += connection.execute(select(t).where(t.c.id.in_(ids[start : start + _AT_ONCE])).order_by(t.c.id)).all()
    return rows


def _row(half: EventHalf, served: Served, at_us: int) -> dict[str, Any]:
    return {
        "key": half.key, "side": half.side, "service": served.service, "model_uri": served.model_uri,
        "arm": int(half.arm), "client_id": half.client_id, "at": half.at_us, "received_at": at_us,
        "content_type": half.content_type, "body": half.body,
    }  # fmt: skip


def _insert_new(connection: Connection, rows: list[dict[str, Any]]) -> int:
    """Insert the events that are not there; return how many those were."""
    t = schema.waiting_event
    new = insert_into(connection, t).values(rows).on_conflict_do_nothing(index_elements=["key", "side"])
    return len(connection.execute(new.returning(t.c.id)).all())
