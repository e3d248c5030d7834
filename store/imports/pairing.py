"""Waiting events into calls, and those into SQL: each event meets one fate, which is counted.

Invariants
----------
- Calls, their rows, the counts and the end of the waiting are one transaction, which has the turn of the store's
  imports: a process that dies in it has changed nothing, and two that look at the same time do each call once.
- A repeat adds no call: of a call with a time ever, of one without within a day. Which half comes first is the same.
- An event whose other half did not come in time is a call without rows. Where the other half comes later, it lies in
  ``dead_letter`` with its bytes: what is stored is not written again.
- Events whose model is not found wait on, until retention takes them.
"""

import base64
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, Engine, Row, func, select, text

from driftline.store import schema
from driftline.store.engine import writing
from driftline.store.errors import DriftlineError
from driftline.store.imports import waiting
from driftline.store.imports.bodies import CSV, answer_body, request_body, signature_names
from driftline.store.imports.call import ImportedCall, UnreadableEvent, event_mark, stored_id
from driftline.store.imports.fates import Fate
from driftline.store.imports.loading import ImportLoading, Unreadable
from driftline.store.labels.record import LONGEST_KEY
from driftline.store.loader.settings import LoaderSettings
from driftline.store.partitions import DAY_US
from driftline.store.records import Arm, ModelIdentity

Resolve = Callable[[str], ModelIdentity]
_AT_ONCE = 500
_MOST_BYTES = 16 << 20
_JSON_STARTS = (b"{", b"[")


@dataclass(slots=True)
class EventReport:
    """What became of events that waited; ``rows`` are the stored calls', ``errors`` by URI of models not found."""

    fates: Counter[Fate] = field(default_factory=Counter)
    rows: int = 0
    errors: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        said = ", ".join(f"{self.fates[fate]} {fate.value}" for fate in Fate if self.fates[fate])
        return f"{said or 'none'} ({self.rows} rows)"


class _Call(NamedTuple):
    """A call that is to be stored, and the events that it is made of."""

    made: ImportedCall | Unreadable
    events: Sequence[Row[Any]]


def settle(engine: Engine, resolve: Resolve, settings: LoaderSettings, before_us: int) -> EventReport:
    """Store the calls whose halves are both there, and those alone that came before a time.

    Args:
        resolve: says what the model at a URI is, with its signature; raises ``DriftlineError`` where there is none.
    """
    report = EventReport()
    with engine.connect() as connection:
        uris = waiting.models_waited_for(connection)
    for uri in uris:
        try:
            identity = resolve(uri)
        except DriftlineError as error:
            report.errors[uri] = str(error)
            continue
        pairing = _Pairing(ImportLoading(engine, identity, settings), uri, signature_names(identity.signature), report)
        while pairing.store_pairs():
            pass
        while pairing.store_alone(before_us):
            pass
    return report


class _Pairing:
    """The events of one model."""

    def __init__(self, loading: ImportLoading, uri: str, names: tuple[str, ...], report: EventReport) -> None:
        self._loading = loading
        self._uri = uri
        self._names = names
        self._report = report

    def store_pairs(self) -> bool:
        """Store a batch of calls whose halves are both there; return whether there were any."""

        def read(connection: Connection) -> list[tuple[Row[Any], ...]]:
            return list(waiting.pairs(connection, self._uri, _AT_ONCE, _MOST_BYTES))

        return self._store(read, Fate.STORED, Fate.REPEATED)

    def store_alone(self, before_us: int) -> bool:
        """Store a batch of events without their other half; return whether there were any."""

        def read(connection: Connection) -> list[tuple[Row[Any], ...]]:
            return [(row,) for row in waiting.alone(connection, self._uri, before_us, _AT_ONCE, _MOST_BYTES)]

        return self._store(read, Fate.INCOMPLETE, Fate.LATE)

    def _store(self, read: Callable[[Connection], list[tuple[Row[Any], ...]]], fate: Fate, of_incomplete: Fate) -> bool:
        with self._loading.engine.connect() as connection:
            self._loading.ensure_days([_first(events).at for events in read(connection)])
        counts: Counter[tuple[str, Fate]] = Counter()
        with writing(self._loading.engine) as connection:
            position = self._loading.lock(connection)
            found = read(connection)
            known = _stored(connection, [event for events in found for event in events])
            new: list[_Call] = []
            late: list[Unreadable] = []
            for events in found:
                whole = known.get(events[0].key)
                if whole is None:
                    new.append(_Call(self._call(events), events))
                    continue
                again = Fate.REPEATED if whole else of_incomplete
                counts.update((event.service, again) for event in events)
                late += (
                    [Unreadable(_kept(events), "it came after its call had been stored")] if again is Fate.LATE else []
                )
            calls = [call.made for call in new if isinstance(call.made, ImportedCall)]
            letters = [call.made for call in new if isinstance(call.made, Unreadable)]
            loaded = self._loading.load_within(connection, position, calls, [*letters, *late])
            for call in new:
                met = fate if isinstance(call.made, ImportedCall) else Fate.UNREADABLE
                counts.update((event.service, met) for event in call.events)
            waiting.count_fates(connection, counts)
            waiting.remove(connection, [event.id for events in found for event in events])
        self._report.fates.update(waiting.by_fate(counts))
        self._report.rows += loaded.rows
        return bool(found)

    def _call(self, events: Sequence[Row[Any]]) -> ImportedCall | Unreadable:
        sides = {event.side: event for event in events}
        try:
            return self._made(_first(events), sides.get("request"), sides.get("response"))
        except UnreadableEvent as error:
            return Unreadable(_kept(events), str(error))

    def _made(self, first: Row[Any], request: Row[Any] | None, response: Row[Any] | None) -> ImportedCall:
        content_type, body = b"", b""
        if request is not None and request.body:
            content_type, body = request_body(_type(request), bytes(request.body), self._names)
        return ImportedCall(
            first.key, first.at, content_type, body,
            answer_body(_type(response), bytes(response.body)) if response is not None and response.body else b"",
            client_request_id=first.client_id, arm=Arm(first.arm),
            latency_us=max(0, response.at - request.at) if request is not None and response is not None else 0,
        )  # fmt: skip


def _first(events: Sequence[Row[Any]]) -> Row[Any]:
    """Return the event whose time is the call's."""
    return min(events, key=lambda event: event.side != "request")


def _type(event: Row[Any]) -> bytes:
    """Return the content type as far as the body bears it out: KServe tells the request's of the response too."""
    told = event.content_type.encode("latin-1", "replace")
    is_csv = told.split(b";")[0].strip().lower() == CSV and not bytes(event.body).lstrip().startswith(_JSON_STARTS)
    return told if is_csv else b"application/json"


def _kept(events: Iterable[Row[Any]]) -> bytes:
    """Return events as they lie in ``dead_letter``: JSON lines."""
    return b"".join(
        orjson.dumps(
            {
                "side": event.side, "id": event.client_id, "service": event.service, "at_us": event.at,
                "content_type": event.content_type, "body_base64": base64.b64encode(event.body).decode(),
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )
        for event in events
    )  # fmt: skip


def _stored(connection: Connection, events: Sequence[Row[Any]]) -> dict[str, bool]:
    """Return the keys whose calls are stored, and whether with both halves."""
    if not events:
        return {}
    t = schema.invocation.c
    marks = {event_mark(event.key): event.key for event in events}
    query = select(t.id, t.parse_error).where(
        t.client_request_id.in_({stored_id(event.client_id) for event in events}),
        func.length(t.client_request_id) <= text(str(LONGEST_KEY)),  # as the index says it
        t.received_at.between(min(e.at for e in events) - DAY_US, max(e.at for e in events) + DAY_US),
    )
    found = {bytes(row.id)[6:]: row.parse_error for row in connection.execute(query)}
    return {key: not (found[mark] or "").startswith("without a body") for mark, key in marks.items() if mark in found}
