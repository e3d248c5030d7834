"""Imported calls into SQL, exactly once by the id of their event.

Invariants
----------
- Invocations, rows, profiles, dead letters and the account are one transaction, which holds the account's row: of all
  processes that import into a store, one at a time looks what is there already and writes.
- A call whose event is stored is left out and counted; so what broke off is begun again from the start.
- What cannot be read lies in ``dead_letter`` with its bytes, once, and stops nothing behind it.
- Imports have an account of their own: received and new = stored, as for a spool that is loaded.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, Engine, insert, select

from driftline.store import partitions, schema
from driftline.store.engine import writing
from driftline.store.failures import describe, is_store_trouble
from driftline.store.imports.call import ImportedCall
from driftline.store.loader.batch_rows import BodyPolicy, Parsers, prepare, write
from driftline.store.loader.coerced_rows import add_coerced
from driftline.store.loader.settings import LoaderSettings
from driftline.store.loader.spool_loading import LoadReport, advance, ensure_spool, lock_position
from driftline.store.prediction_tables import ensure_model_version
from driftline.store.profile_rows import ProfileRows, lock_loading
from driftline.store.records import ModelIdentity, now_us
from driftline.store.spool.layout import Meta
from driftline.store.spool.reader import Position
from driftline.store.spool.record import Kind, Record

# One account for all imports of a store: its row is what they take turns by.
ACCOUNT = "0d1f7a3e-0000-5000-8000-696d706f7274"
_MODEL = 0


def take_turn(connection: Connection) -> None:
    """Wait for the import that is under way, and let none begin, until the transaction ends."""
    account = select(schema.spool.c.id).where(schema.spool.c.uuid == ACCOUNT)
    t = schema.spool_position
    connection.execute(select(t.c.spool_id).where(t.c.spool_id.in_(account)).with_for_update())


class Unreadable(NamedTuple):
    """What was captured and cannot be read, and why."""

    content: bytes
    error: str


@dataclass(slots=True)
class ImportReport:
    """What became of what was received; ``rows`` are those of the stored calls."""

    stored: int = 0
    repeated: int = 0
    unreadable: int = 0
    rows: int = 0

    def __iadd__(self, other: "ImportReport") -> "ImportReport":
        self.stored += other.stored
        self.repeated += other.repeated
        self.unreadable += other.unreadable
        self.rows += other.rows
        return self

    @property
    def received(self) -> int:
        return self.stored + self.repeated + self.unreadable


class ImportLoading:
    """Loads calls of one model version; used by one thread."""

    def __init__(self, engine: Engine, identity: ModelIdentity, settings: LoaderSettings) -> None:
        self.engine = engine
        self._policy = BodyPolicy(settings.raw_bodies, settings.raw_sample_share)
        self._parsers = {_MODEL: Parsers(identity)}
        self._profiles = ProfileRows(ACCOUNT)
        with writing(engine) as connection:
            self._account = ensure_spool(connection, Meta(ACCOUNT, "imports", 0, now_us(), "", "", ""))
            self._version = ensure_model_version(connection, identity)

    @property
    def version_id(self) -> int:
        return self._version.id

    def load(self, calls: Sequence[ImportedCall], unreadable: Sequence[Unreadable] = ()) -> ImportReport:
        """Load a batch, in one transaction.

        Raises:
            Exception: of the database where it is away; nothing has been written then.
        """
        self.ensure_days(call.at_us for call in calls)
        try:
            with writing(self.engine) as connection:
                return self.load_within(connection, self.lock(connection), calls, unreadable)
        except Exception:
            self._profiles.forget()
            raise

    def ensure_days(self, times_us: Iterable[int]) -> None:
        """Make the partitions that calls of these times need, before anything is locked."""
        today = partitions.day_of(now_us())
        days = {partitions.day_of(at_us) for at_us in times_us}
        near = {day for day in days if today - partitions.DAYS_BACK <= day <= today + partitions.DAYS_AHEAD}
        partitions.ensure_days(self.engine, near)

    def lock(self, connection: Connection) -> Position:
        """Take the turn of this store's imports, until the transaction ends."""
        lock_loading(connection, alone=False)
        return lock_position(connection, self._account)

    def load_within(
        self,
        connection: Connection,
        position: Position,
        calls: Sequence[ImportedCall],
        unreadable: Sequence[Unreadable],
    ) -> ImportReport:
        """Load a batch in a transaction that has the turn."""
        report = ImportReport()
        new = self._new(connection, calls, report)
        letters = self._new_letters(connection, unreadable, report)
        records = [
            Record(position.seq + i, Kind.INVOCATION, _MODEL, call.at_us, call.invocation().pack())
            for i, call in enumerate(new, 1)
        ]
        loaded = self._write(connection, records)
        for i, letter in enumerate(letters, 1):
            loaded += self._set_aside(
                connection, position.seq + len(records) + i, "unreadable", letter.error, letter.content
            )
        report.stored, report.rows = loaded.records - loaded.quarantined, loaded.rows
        report.unreadable += loaded.quarantined
        seq = position.seq + len(records) + len(letters)
        advance(connection, self._account, Position(0, 0, seq), loaded)
        return report

    def _new(self, connection: Connection, calls: Sequence[ImportedCall], report: ImportReport) -> list[ImportedCall]:
        by_id = {call.id: call for call in calls}
        report.repeated += len(calls) - len(by_id)
        if not by_id:
            return []
        t, times = schema.invocation.c, [call.at_us for call in by_id.values()]
        query = select(t.id).where(t.id.in_(list(by_id)), t.received_at.between(min(times), max(times)))
        known = {bytes(id_) for id_ in connection.scalars(query)}
        report.repeated += len(known)
        return [call for id_, call in by_id.items() if id_ not in known]

    def _new_letters(
        self, connection: Connection, unreadable: Sequence[Unreadable], report: ImportReport
    ) -> list[Unreadable]:
        by_content = {letter.content: letter for letter in unreadable}
        report.repeated += len(unreadable) - len(by_content)
        t = schema.dead_letter.c
        for content in list(by_content):
            query = select(t.id).where(t.spool_id == self._account, t.payload == content).limit(1)
            if connection.scalar(query) is not None:
                del by_content[content]
                report.repeated += 1
        return list(by_content.values())

    def _write(self, connection: Connection, records: Sequence[Record]) -> LoadReport:
        """Write what can be written, halving around what the database refuses, down to the record."""
        if not records:
            return LoadReport()
        try:
            with connection.begin_nested():
                return self._write_all(connection, records)
        except Exception as error:
            self._profiles.forget()
            if is_store_trouble(error):
                raise
            if len(records) == 1:
                (record,) = records
                return self._set_aside(connection, record.seq, "refused", describe(error), record.payload)
        middle = len(records) // 2
        report = self._write(connection, records[:middle])
        report += self._write(connection, records[middle:])
        return report

    def _write_all(self, connection: Connection, records: Sequence[Record]) -> LoadReport:
        report = LoadReport()
        prepared, refused = prepare(records, self._parsers)
        for part in prepared:
            columns = write(connection, self._version, part, self._policy)
            batch, owners = part.invocations, part.parsed.owners
            self._profiles.add(connection, self._version, columns, batch.received_at[owners], batch.arm[owners])
            add_coerced(connection, self._version.id, ACCOUNT, part)
            report += LoadReport(records=len(batch), rows=len(owners))
        for letter in refused:
            report += self._set_aside(connection, letter.record.seq, "unreadable", letter.error, letter.record.payload)
        return report

    def _set_aside(self, connection: Connection, seq: int, reason: str, error: str, content: bytes) -> LoadReport:
        connection.execute(insert(schema.dead_letter).values(
            spool_id=self._account, seq=seq, reason=reason, error=error, payload=content, at=now_us()
        ))  # fmt: skip
        return LoadReport(records=1, quarantined=1)
