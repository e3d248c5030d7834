"""Load labels into the store: a batch at a time, each in one transaction, each label to a fate that is counted.

Invariants
----------
- Every label that comes in is in force, waits, or lies in ``label_reject`` with the reason; and its fate is counted in
  the transaction that decides it.
- The newer event wins, whatever comes first: an older one never overwrites it. Loading the same again changes nothing.
- Batches of all processes follow each other (an advisory lock; SQLite's write lock): ``received_at`` grows with the
  order of commits, which ``changes`` builds on.
- Memory holds one batch.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Engine

from driftline.store.engine import writing
from driftline.store.labels import rows
from driftline.store.labels.record import Fate, Fields, Label, Refusal, read_record
from driftline.store.labels.settings import LabelSettings
from driftline.store.labels.targets import Found, Target, Targets
from driftline.store.records import now_us

_BATCH = {"sqlite": 5_000, "postgresql": 20_000}  # SQLite's write lock is held for a batch
_SMALL_BATCH = 2_000  # where a label may be about many rows
_BREATH_SECONDS = 0.01  # in which a loader of predictions takes SQLite's write lock

Progress = Callable[[int], object]


@dataclass(slots=True)
class LabelReport:
    """How many labels met which fate."""

    fates: Counter[Fate] = field(default_factory=Counter)

    @property
    def received(self) -> int:
        return self.fates.total()

    def __str__(self) -> str:
        said = ", ".join(f"{self.fates[fate]} {fate.value}" for fate in Fate if self.fates[fate])
        return f"{self.received} labels{': ' if said else ''}{said}"


@dataclass(slots=True)
class Batch:
    """The labels of one batch by place, and what has been decided about them."""

    labels: dict[int, Label]
    refusals: list[Refusal]
    found: dict[int, Found] = field(default_factory=dict)
    fates: dict[int, Fate] = field(default_factory=dict)
    written: dict[Target, rows.Written] = field(default_factory=dict)


def load_labels(
    engine: Engine, settings: LabelSettings, records: Iterable[Any], fields: Fields, model: str = "",
    on_labels: Progress = lambda _: None,
) -> LabelReport:  # fmt: skip
    """Load the labels that the records hold; what was committed stays where a later batch fails.

    Args:
        records: mappings, from ``formats``, ``files`` or ``sql``; anything else is a malformed label.
        fields: what their fields are called; ``fields.key`` names the key column too.
        model: the model they are about; empty: any.
        on_labels: called with the size of each batch when it is committed.

    Raises:
        ConfigurationError: there is no such model or key column.
    """
    with engine.connect() as connection:
        targets = Targets(connection, settings, model, fields.key)
    report = LabelReport()
    size = _SMALL_BATCH if settings.repeated_keys == "all" and fields.key else _BATCH[engine.dialect.name]
    for batch in _batches(records, fields, size):
        report.fates.update(_load_batch(engine, targets, batch, model, fields.key))
        on_labels(len(batch.labels) + len(batch.refusals))
        if engine.dialect.name == "sqlite":
            time.sleep(_BREATH_SECONDS)
    return report


def decide(batch: Batch, there: dict[tuple[bytes, int], tuple[str, int]]) -> None:
    """Decide about the labels that have rows: what is written, and each one's fate; in the order in which they came.

    Args:
        there: value and event time of the rows' labels.
    """
    for n, label in batch.labels.items():
        found = batch.found[n]
        fates = [_against(batch, there, target, found.value, label.event_at_us) for target in found.targets]
        batch.fates[n] = found.fate or next(fate for fate in _STRONGEST if fate in fates)


_STRONGEST = (Fate.STORED, Fate.REPLACED, Fate.REPEATED, Fate.OLDER)  # of a label of many rows


def _against(
    batch: Batch, there: dict[tuple[bytes, int], tuple[str, int]], target: Target, value: str, event_at: int
) -> Fate:
    known = there.get(target)
    if known is not None and known[0] == value:
        fate = Fate.REPEATED
        if event_at > known[1]:
            batch.written[target] = rows.Written(value, event_at)
    elif known is not None and event_at < known[1]:
        return Fate.OLDER
    else:
        fate = Fate.STORED if known is None else Fate.REPLACED
        batch.written[target] = rows.Written(value, event_at)
    there[target] = (value, max(event_at, known[1] if known else event_at))
    return fate


def _batches(records: Iterable[Any], fields: Fields, size: int) -> Iterator[Batch]:
    records = iter(records)
    while taken := list(islice(records, size)):
        at_us = now_us()
        read = [read_record(record, fields, at_us) for record in taken]
        labels = {n: label for n, label in enumerate(read) if isinstance(label, Label)}
        yield Batch(labels, [refusal for refusal in read if isinstance(refusal, Refusal)])


def _load_batch(engine: Engine, targets: Targets, batch: Batch, model: str, key_column: str) -> Counter[Fate]:
    with writing(engine) as connection:
        at_us = rows.take_turn(connection)
        settle(connection, targets, batch, at_us)
        waiting = [label for n, label in batch.labels.items() if batch.fates[n] is Fate.PENDING]
        rows.write_pending(connection, waiting, model, key_column, at_us)
        return account(connection, batch, model, key_column, at_us)


def settle(connection: Connection, targets: Targets, batch: Batch, at_us: int) -> None:
    """Find the rows of a batch's labels, decide about each label, and write those that are in force."""
    batch.found = targets.find(connection, batch.labels)
    decide(batch, rows.labels_of(connection, (t for found in batch.found.values() for t in found.targets)))
    rows.write_labels(connection, batch.written, at_us)


def account(connection: Connection, batch: Batch, model: str, key_column: str, at_us: int) -> Counter[Fate]:
    """Keep the rejects of a batch and count all its fates; return how many met which."""
    rejects = [
        rows.Reject(fate, batch.found[n].model_name, key_column if label.by_key else "", rows.told(label))
        for n, label in batch.labels.items()
        if (fate := batch.fates.get(n)) in rows.REJECTED
    ]
    rejects += [rows.Reject(refusal.fate, model, "", refusal.content) for refusal in batch.refusals]
    rows.write_rejects(connection, rejects, at_us)
    counts = Counter((batch.found[n].model_name, fate) for n, fate in batch.fates.items())
    counts.update((model, refusal.fate) for refusal in batch.refusals)
    rows.count_fates(connection, counts, at_us)
    fates: Counter[Fate] = Counter()
    for (_, fate), count in counts.items():
        fates[fate] += count
    return fates
