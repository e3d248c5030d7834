"""Delete what the store holds of one request or of one value of a key: what a person may ask for.

Invariants
----------
- Everything goes in one transaction, or nothing does.
- What went is counted where it went from: the accounts and ``store verify`` balance. An invocation stays as a line of
  status and latency, without its bodies; profiles and results, which are sums, stay as they are.
- On SQLite the bytes are overwritten, and the write-ahead log is emptied. PostgreSQL keeps them until it vacuums.
"""

import json
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard
from sqlalchemy import ColumnElement, Connection, Engine, Row, Table, delete, or_, select, update

from driftline.store import schema
from driftline.store.accounts import accounts
from driftline.store.engine import writing
from driftline.store.errors import ConfigurationError, DriftlineError
from driftline.store.imports.letters import bodies_within
from driftline.store.imports.loading import take_turn
from driftline.store.labels.staging import KEY_TYPES
from driftline.store.labels.targets import key_columns
from driftline.store.near_names import meant
from driftline.store.partitions import day_of
from driftline.store.prediction_columns import ColumnType
from driftline.store.prediction_tables import ModelVersion
from driftline.store.profile_rows import lock_loading
from driftline.store.reads import model_versions
from driftline.store.records import Invocation, now_us
from driftline.store.retention.ledger import count_forgotten

_LETTERS = 50  # a payload may be large
_KEYS_AT_ONCE = 500
_PATIENCE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class RequestSubject:
    """One request, by our id or the client's own."""

    request_id: str

    @property
    def invocation_id(self) -> bytes | None:
        try:
            return uuid.UUID(self.request_id).bytes
        except ValueError:
            return None

    def is_in(self, payload: bytes) -> bool:
        """Return whether a record, whole or cut, is of this request."""
        try:
            invocation = Invocation.unpack(payload)
        except ValueError:
            return _names(payload, self.request_id) or (self.invocation_id or b"\0" * 17) in payload
        return invocation.id == self.invocation_id or invocation.client_request_id == self.request_id.encode()


@dataclass(frozen=True, slots=True)
class KeySubject:
    """Whoever has this value in a model's key column, as the store has it."""

    model: str
    column: str
    value: str

    def is_in(self, payload: bytes) -> bool:
        """Return whether a record's bytes name the value anywhere."""
        return _names(payload, self.value)


Subject = RequestSubject | KeySubject


@dataclass(slots=True)
class Forgotten:
    """What went: rows of predictions, requests whose bodies went, and the rest."""

    rows: int = 0
    requests: int = 0
    labels: int = 0
    pending_labels: int = 0
    label_rejects: int = 0
    dead_letters: int = 0
    waiting_events: int = 0

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__slots__)


class _DryRun(Exception):
    """Ends a transaction that is not to be kept."""


def require_loaded(engine: Engine, spool_folder: Path) -> None:
    """Wait until the spools of this host are loaded: what lies there would come after what is forgotten.

    Raises:
        DriftlineError: something still lies there after a while.
    """
    end = time.monotonic() + _PATIENCE_SECONDS
    while (waiting := accounts(engine, spool_folder).spooled) and time.monotonic() < end:
        time.sleep(0.2)
    if waiting:
        raise DriftlineError(
            f"{waiting} records still lie in the spool {spool_folder} and could hold what is to be forgotten: "
            "let `driftline serve` load them, or type `driftline store load`, and then this again"
        )


def forget(engine: Engine, subject: Subject, *, dry_run: bool = False) -> Forgotten:
    """Delete what the store holds of the subject; with ``dry_run`` only count it.

    Raises:
        ConfigurationError: there is no such model or key column.
    """
    found = Forgotten()
    try:
        with writing(engine) as connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA secure_delete=ON")
            lock_loading(connection, alone=False)
            take_turn(connection)  # else what an import has just read would come after what is forgotten
            _forget(connection, subject, found, now_us())
            if dry_run:
                raise _DryRun
    except _DryRun:
        return found
    if engine.dialect.name == "sqlite":
        with closing(engine.raw_connection()) as raw:  # outside of any transaction
            raw.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]
    return found


def _forget(connection: Connection, subject: Subject, found: Forgotten, at_us: int) -> None:
    if isinstance(subject, KeySubject):
        targets = _rows_by_key(connection, subject)
        requests = {(row.invocation_id, row.received_at) for row in targets} | _bodies(connection, subject)
        found.labels = _labels(connection, {(row.invocation_id, row.row_index) for row in targets})
        t = schema.pending_label.c
        pending = (t.key_column == subject.column) & (t.key == subject.value) & t.model_name.in_(("", subject.model))
    else:
        targets, requests = _rows_of_request(connection, subject)
        ids = {id_ for id_, _ in requests}
        found.labels = _deleted(connection, schema.label, schema.label.c.invocation_id.in_(ids)) if ids else 0
        t = schema.pending_label.c
        names = {subject.request_id, *(str(uuid.UUID(bytes=id_)) for id_ in ids)}
        pending = (t.key_column == "") & t.key.in_(names)
    _empty(connection, requests, Counter((row.invocation_id, row.received_at) for row in targets),
           keeps_id=isinstance(subject, KeySubject))  # fmt: skip
    for (day, version_id), rows in Counter((day_of(r.received_at), r.model_version_id) for r in targets).items():
        count_forgotten(connection, day, version_id, rows, 0, at_us)
    found.rows, found.requests = len(targets), len(requests)
    found.pending_labels = _deleted(connection, schema.pending_label, pending)
    found.label_rejects = len(_taken(connection, schema.label_reject, "content", lambda text: _told(subject, text)))
    letters = _taken(connection, schema.dead_letter, "payload", lambda letter: _is_in_letter(subject, letter), "at")
    for day, number in Counter(day_of(at) for at in letters).items():
        count_forgotten(connection, day, 0, 0, number, at_us)
    found.dead_letters = len(letters)
    if isinstance(subject, RequestSubject):
        t_event = schema.waiting_event
        found.waiting_events = _deleted(connection, t_event, t_event.c.client_id == subject.request_id)
    found.waiting_events += len(_taken(connection, schema.waiting_event, "body", subject.is_in))


def _rows_by_key(connection: Connection, subject: KeySubject) -> list[Row[tuple[bytes, int, int, int]]]:
    versions = [v for v in model_versions(connection) if v.name == subject.model]
    if not versions:
        raise ConfigurationError(
            f"the store knows no model {subject.model!r}: `driftline store status` lists those it does"
        )
    named = {v.table.name: (v.table, _key_column(v, subject.column)) for v in versions}
    keyed = [(table, *column) for table, column in named.values() if column is not None]
    if not keyed:
        raise ConfigurationError(
            f"no version of {subject.model} has a text or integer input {subject.column!r} in a column of its own, to "
            f"be the key column: {meant(subject.column, key_columns(versions))}"
        )
    found: list[Row[tuple[bytes, int, int, int]]] = []
    for table, name, type_ in keyed:
        value: object = subject.value
        if type_ is not ColumnType.STRING:
            if not re.fullmatch(r"[+-]?\d{1,18}", subject.value):
                continue  # no number, so no row has it
            value = int(subject.value)
        found += _delete_rows(connection, table, table.c[name] == value)
    return found


def _key_column(version: ModelVersion, name: str) -> tuple[str, ColumnType] | None:
    for column in version.columns:
        if column.side == "input" and column.name == name and column.type in KEY_TYPES:
            return None if column in version.array_columns else (column.column_name, column.type)
    return None


def _rows_of_request(
    connection: Connection, subject: RequestSubject
) -> tuple[list[Row[tuple[bytes, int, int, int]]], set[tuple[bytes, int]]]:
    t = schema.invocation.c
    named: list[ColumnElement[bool]] = [t.client_request_id == subject.request_id]
    if subject.invocation_id is not None:
        named.append(t.id == subject.invocation_id)
    requests = {(bytes(id_), int(at)) for id_, at in connection.execute(select(t.id, t.received_at).where(or_(*named)))}
    rows: list[Row[tuple[bytes, int, int, int]]] = []
    tables = {v.table.name: v.table for v in model_versions(connection)}
    for table in tables.values() if requests else ():
        ids, times = {id_ for id_, _ in requests}, {at for _, at in requests}
        rows += _delete_rows(connection, table, table.c.invocation_id.in_(ids) & table.c.received_at.in_(times))
    return rows, requests


def _delete_rows(
    connection: Connection, table: Table, condition: ColumnElement[bool]
) -> Sequence[Row[tuple[bytes, int, int, int]]]:
    c = table.c
    statement = delete(table).where(condition)
    return connection.execute(
        statement.returning(c.invocation_id, c.row_index, c.received_at, c.model_version_id)
    ).all()  # type: ignore[return-value]


def _empty(
    connection: Connection, requests: Iterable[tuple[bytes, int]], rows: Counter[tuple[bytes, int]], *, keeps_id: bool
) -> None:
    """Take bodies, and of whole requests the client's id, from invocations, and their rows from their counts."""
    t = schema.invocation
    gone = {"request_body": None, "response_body": None}
    if not keeps_id:
        gone["client_request_id"] = None
    for id_, at in requests:
        left = t.c.row_count - rows[id_, at]
        connection.execute(update(t).where((t.c.id == id_) & (t.c.received_at == at)).values(row_count=left, **gone))


def _bodies(connection: Connection, subject: KeySubject) -> set[tuple[bytes, int]]:
    """Return the requests without rows whose kept bodies name the value: refused ones, and those of other versions."""
    t = schema.invocation.c
    query = select(t.id, t.received_at, t.request_body, t.response_body).where(t.row_count == 0)
    kept = or_(t.request_body.is_not(None), t.response_body.is_not(None))
    found = connection.execute(query.where(kept).execution_options(yield_per=_LETTERS))
    unpack = zstandard.ZstdDecompressor().decompressobj
    return {
        (bytes(row.id), int(row.received_at))
        for row in found
        if any(body and subject.is_in(unpack().decompress(body)) for body in (row.request_body, row.response_body))
    }


def _labels(connection: Connection, targets: set[tuple[bytes, int]]) -> int:
    t = schema.label.c
    return sum(
        _deleted(connection, schema.label, (t.invocation_id == id_) & (t.row_index == row)) for id_, row in targets
    )


def _deleted(connection: Connection, table: Table, condition: ColumnElement[bool]) -> int:
    return connection.execute(delete(table).where(condition)).rowcount


def _taken(
    connection: Connection, table: Table, content: str, is_meant: Callable[[Any], bool], told: str = "id"
) -> list[int]:
    """Delete the rows whose content is meant; return what ``told`` says of each. Memory holds a few contents."""
    after, keys, said = -1, [], []
    while True:
        query = select(table.c.id, table.c[told].label("told"), table.c[content].label("content"))
        batch = connection.execute(query.where(table.c.id > after).order_by(table.c.id).limit(_LETTERS)).all()
        if not batch:
            break
        after = batch[-1].id
        for row in batch:
            if is_meant(row.content):
                keys.append(row.id)
                said.append(int(row.told))
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        _deleted(connection, table, table.c.id.in_(keys[start : start + _KEYS_AT_ONCE]))
    return said


def _is_in_letter(subject: Subject, letter: bytes) -> bool:
    return any(subject.is_in(part) for part in (letter, *bodies_within(bytes(letter))))


def _told(subject: Subject, content: str) -> bool:
    value = subject.value if isinstance(subject, KeySubject) else subject.request_id
    return _names(content.encode(), value)


def _names(content: bytes, value: str) -> bool:
    """Return whether the bytes hold a value by itself, as it is or as JSON writes it."""
    forms = {value.encode(), json.dumps(value)[1:-1].encode(), json.dumps(value, ensure_ascii=False)[1:-1].encode()}
    return any(re.search(rb"(?<![0-9A-Za-z_])" + re.escape(form) + rb"(?![0-9A-Za-z_])", content) for form in forms)
