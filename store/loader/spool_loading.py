"""One spool into SQL, exactly once.

Invariants
----------
- Rows, profiles, gaps, dead letters and the spool's position are one transaction; the position's row is locked in it
  and must be where this loader began to read, else nothing is written and reading starts over from there.
- Segments are deleted after the commit that covers them.
- A record that the database refuses lies in ``dead_letter`` with its bytes, is counted, and stops nothing behind it.
- No value of a request is logged or stored in an error's text.
"""

import gc
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection, Engine, insert, select, update

from driftline.store import partitions, schema
from driftline.store.engine import writing
from driftline.store.errors import SpoolError
from driftline.store.failures import describe, is_store_trouble
from driftline.store.loader.batch_rows import BodyPolicy, Parsers, Prepared, Refused, prepare, write
from driftline.store.loader.coerced_rows import add_coerced
from driftline.store.loader.settings import LoaderSettings
from driftline.store.prediction_tables import ModelVersion, ensure_model_version
from driftline.store.profile_rows import ProfileRows, lock_loading
from driftline.store.records import now_us
from driftline.store.spool.layout import Meta
from driftline.store.spool.reader import Batch, Position, SpoolReader
from driftline.store.spool.record import Record
from driftline.store.upserts import insert_into

_log = logging.getLogger(__name__)

_LARGEST_LETTER = 256 << 20  # bytes; PostgreSQL holds less than 1 GiB in a cell


@dataclass
class LoadReport:
    """What was loaded, summed over batches."""

    records: int = 0
    rows: int = 0
    dropped: int = 0
    quarantined: int = 0
    refusals: dict[str, int] = field(default_factory=dict)

    def __iadd__(self, other: "LoadReport") -> "LoadReport":
        self.records += other.records
        self.rows += other.rows
        self.dropped += other.dropped
        self.quarantined += other.quarantined
        for reason, count in other.refusals.items():
            self.refusals[reason] = self.refusals.get(reason, 0) + count
        return self

    @property
    def moved(self) -> bool:
        """Whether the spool's position went forward."""
        return bool(self.records or self.dropped)


class SpoolLoading:
    """Loads one spool batch by batch; made anew after any error, it begins where the store says."""

    def __init__(self, engine: Engine, path: Path, settings: LoaderSettings) -> None:
        self._engine = engine
        self._path = path
        self._settings = settings
        self._policy = BodyPolicy(settings.raw_bodies, settings.raw_sample_share)
        self._meta = Meta.read(path)
        with writing(engine) as connection:
            self._spool_id = ensure_spool(connection, self._meta)
            self._position = lock_position(connection, self._spool_id)
        self._reader = SpoolReader(path, self._position)
        self._parsers: dict[int, Parsers] = {}
        self._versions: dict[int, ModelVersion] = {}
        self._days: set[int] = set()
        self._profiles = ProfileRows(self._meta.uuid)

    def load_batch(self) -> LoadReport:
        """Load what follows, at most one batch; the report says whether there was anything.

        Raises:
            Exception: of the database where it is away; nothing has been written then.
        """
        with _uncollected():
            return self._load_batch()

    def _load_batch(self) -> LoadReport:
        batch = self._reader.read(self._settings.batch_records, self._settings.batch_bytes)
        if batch.end == self._position:
            self._reader.delete_consumed(self._position)  # whoever committed it may have died before this
            return LoadReport()
        try:
            report = self._commit(batch, self._all_at_once(batch.records))
        except Exception as error:
            self._profiles.forget()
            if is_store_trouble(error) or isinstance(error, SpoolError | OSError):
                self._reader.position = self._position
                raise
            try:
                report = self._commit(batch, lambda connection: self._bisected(connection, batch.records))
            except Exception:
                self._profiles.forget()
                self._reader.position = self._position
                raise
        self._reader.delete_consumed(self._position)
        return report

    def _commit(self, batch: Batch, load: Callable[[Connection], LoadReport]) -> LoadReport:
        with writing(self._engine) as connection:
            lock_loading(connection, alone=False)
            found = lock_position(connection, self._spool_id)
            if found != self._position:  # another loader was here
                self._position = self._reader.position = found
                self._profiles.forget()
                return LoadReport()
            report = load(connection)
            _insert_gaps(connection, self._spool_id, batch)
            report.dropped = sum(gap.count for gap in batch.gaps)
            advance(connection, self._spool_id, batch.end, report)
        self._position = batch.end
        for reason, count in report.refusals.items():
            _log.warning("spool %s: %d records went to dead_letter: %s", self._meta.uuid, count, reason)
        return report

    def _all_at_once(self, records: Sequence[Record]) -> Callable[[Connection], LoadReport]:
        """Parse now, before any lock is held; the returned function writes."""
        self._know(records)
        prepared, refused = prepare(records, self._parsers)
        return lambda connection: self._write(connection, prepared, refused)

    def _know(self, records: Sequence[Record]) -> None:
        """Make parsers, model versions, tables and partitions that the records need."""
        for model in {record.model for record in records} - self._versions.keys():
            identity = self._reader.model(model)
            with writing(self._engine) as connection:
                version = ensure_model_version(connection, identity)
            self._parsers[model] = Parsers(identity)
            self._versions[model] = version
            self._days.clear()  # its table may be new, and have no partitions yet
        today = partitions.day_of(now_us())
        days = {partitions.day_of(record.at_us) for record in records}
        days = {day for day in days if today - partitions.DAYS_BACK <= day <= today + partitions.DAYS_AHEAD}
        if not days <= self._days:
            partitions.ensure_days(self._engine, days)
            self._days |= days

    def _write(self, connection: Connection, prepared: list[Prepared], refused: list[Refused]) -> LoadReport:
        report = LoadReport()
        for part in prepared:
            version = self._versions[part.model]
            columns = write(connection, version, part, self._policy)
            owners = part.parsed.owners
            batch = part.invocations
            self._profiles.add(connection, version, columns, batch.received_at[owners], batch.arm[owners])
            add_coerced(connection, version.id, self._meta.uuid, part)
            report += LoadReport(records=len(batch), rows=len(owners))
        for letter in refused:
            report += self._quarantine(connection, letter.record, "unreadable", letter.error)
        return report

    def _bisected(self, connection: Connection, records: Sequence[Record]) -> LoadReport:
        """Write what can be written, halving around what cannot, down to the record."""
        if not records:
            return LoadReport()
        try:
            with connection.begin_nested():
                return self._all_at_once_within(connection, records)
        except Exception as error:
            self._profiles.forget()
            if is_store_trouble(error) or isinstance(error, SpoolError | OSError):
                raise
            if len(records) == 1:
                return self._quarantine(connection, records[0], "refused", describe(error))
        middle = len(records) // 2
        report = self._bisected(connection, records[:middle])
        report += self._bisected(connection, records[middle:])
        return report

    def _all_at_once_within(self, connection: Connection, records: Sequence[Record]) -> LoadReport:
        for model in {record.model for record in records} - self._versions.keys():
            identity = self._reader.model(model)
            version = ensure_model_version(connection, identity)  # fails again where it failed before: a poison model
            self._parsers[model] = Parsers(identity)
            self._versions[model] = version
        prepared, refused = prepare(records, self._parsers)
        return self._write(connection, prepared, refused)

    def _quarantine(self, connection: Connection, record: Record, reason: str, error: str) -> LoadReport:
        payload = record.payload
        if len(payload) > _LARGEST_LETTER:
            payload, error = payload[:_LARGEST_LETTER], f"{error}; {len(record.payload)} bytes, cut"
        connection.execute(insert(schema.dead_letter).values(
            spool_id=self._spool_id, seq=record.seq, reason=reason, error=error, payload=payload, at=now_us()
        ))  # fmt: skip
        return LoadReport(records=1, quarantined=1, refusals={f"{reason}, {error}": 1})


@contextmanager
def _uncollected() -> Iterator[None]:
    """Spare the garbage collector a batch: its containers hold no cycles, and to walk them is a fifth of the work."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def ensure_spool(connection: Connection, meta: Meta) -> int:
    """Return the spool's key; two loaders may meet here, one of them makes the rows."""
    t = schema.spool
    values = {"uuid": meta.uuid, "host": meta.host, "pid": meta.pid, "started_at": meta.started_at_us}
    connection.execute(insert_into(connection, t).values(**values).on_conflict_do_nothing())
    key = connection.execute(select(t.c.id).where(t.c.uuid == meta.uuid)).scalar_one()
    zeros = {"segment": 0, "offset": 0, "seq": 0, "stored": 0, "dropped": 0, "quarantined": 0}
    position = insert_into(connection, schema.spool_position).values(spool_id=key, updated_at=now_us(), **zeros)
    connection.execute(position.on_conflict_do_nothing())
    return int(key)


def lock_position(connection: Connection, spool_id: int) -> Position:
    """Return how far a spool is loaded; until the transaction ends nobody else changes that."""
    t = schema.spool_position
    row = connection.execute(
        select(t.c.segment, t.c.offset, t.c.seq).where(t.c.spool_id == spool_id).with_for_update()
    ).one()
    return Position(*row)


def advance(connection: Connection, spool_id: int, end: Position, report: LoadReport) -> None:
    """Note that a spool is loaded up to ``end``, and what became of its records."""
    t = schema.spool_position
    connection.execute(update(t).where(t.c.spool_id == spool_id).values(
        segment=end.segment, offset=end.offset, seq=end.seq, stored=t.c.stored + report.records,
        dropped=t.c.dropped + report.dropped, quarantined=t.c.quarantined + report.quarantined, updated_at=now_us(),
    ))  # fmt: skip


def _insert_gaps(connection: Connection, spool_id: int, batch: Batch) -> None:
    if batch.gaps:
        connection.execute(insert(schema.spool_gap), [
            {"spool_id": spool_id, "first_seq": gap.first_seq, "last_seq": gap.last_seq, "record_count": gap.count,
             "reason": gap.reason, "from_at": gap.from_us, "to_at": gap.to_us}
            for gap in batch.gaps
        ])  # fmt: skip
