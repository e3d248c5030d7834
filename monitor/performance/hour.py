"""One hour of one version and arm, reduced: what its labelled rows add up to, and how long their labels took."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import orjson
import zstandard
from sqlalchemy import Connection

from driftline.monitor.performance.delays import delays_of
from driftline.monitor.performance.reference_performance import add_sums
from driftline.monitor.performance.sums import Sums, empty_sums, sums_from_json, sums_of
from driftline.monitor.performance.task import Task
from driftline.store.labels.labelled_rows import LabelledRows, labelled_hour
from driftline.store.prediction_tables import ModelVersion
from driftline.store.records import MICROSECONDS


@dataclass
class LabelledHour:
    """Labelled rows of an hour, or of several: they add.

    Attributes:
        rows: that have a label.
        last_event_us: of the labels.
        event_delays, arrival_delays: of the labels, by bin (``delays``).
        sums: None while the task cannot be told.
    """

    rows: int = 0
    last_event_us: int = 0
    event_delays: Counter[int] = field(default_factory=Counter)
    arrival_delays: Counter[int] = field(default_factory=Counter)
    sums: Sums | None = None

    def add(self, other: "LabelledHour") -> None:
        """Add another hour of the same task."""
        self.rows += other.rows
        self.last_event_us = max(self.last_event_us, other.last_event_us)
        self.event_delays.update(other.event_delays)
        self.arrival_delays.update(other.arrival_delays)
        if self.sums is not None and other.sums is not None:
            add_sums(self.sums, other.sums)

    def to_bytes(self) -> bytes:
        """Return the hour as the store keeps it; rows and last event have columns of their own."""
        content = {
            "event_delays": list(self.event_delays.items()),
            "arrival_delays": list(self.arrival_delays.items()),
            "sums": None if self.sums is None else self.sums.to_json(),
        }
        packed: bytes = zstandard.ZstdCompressor(level=3).compress(orjson.dumps(content))
        return packed

    @classmethod
    def from_bytes(cls, task: Task | None, rows: int, last_event_us: int, raw: bytes) -> "LabelledHour":
        """Return the hour that ``to_bytes`` packed."""
        content = orjson.loads(zstandard.ZstdDecompressor().decompress(raw))
        sums = None if task is None or content["sums"] is None else sums_from_json(task, content["sums"])
        event, arrival = (Counter(dict(content[name])) for name in ("event_delays", "arrival_delays"))
        return cls(rows, last_event_us, event, arrival, sums)


def empty_hour(task: Task | None) -> LabelledHour:
    """Return an hour without rows."""
    return LabelledHour(sums=None if task is None else empty_sums(task))


def count_hour(
    connection: Connection,
    version: ModelVersion,
    task: Task | None,
    arm: int,
    hour_us: int,
    within_us: tuple[int, int] | None = None,
) -> LabelledHour:
    """Return what the labelled rows of an hour add up to, read from the rows themselves.

    Args:
        within_us: start (inclusive) and end; requests outside do not count.
    """
    hour = empty_hour(task)
    columns: Sequence[str] = () if task is None else task.columns
    for place, part in enumerate(labelled_hour(connection, version, arm, hour_us, columns, within_us)):
        seed = hour_us // MICROSECONDS + place
        hour.add(reduced(task, part, seed))
    return hour


def reduced(task: Task | None, part: LabelledRows, seed: int) -> LabelledHour:
    """Return what some labelled rows of an hour, at least one, add up to; ``seed`` of a regression's sample."""
    return LabelledHour(
        rows=len(part.labels),
        last_event_us=int(part.event_us.max()),
        event_delays=Counter(delays_of((part.event_us - part.requested_us) / MICROSECONDS)),
        arrival_delays=Counter(delays_of((part.received_us - part.requested_us) / MICROSECONDS)),
        sums=None if task is None else sums_of(task, part.columns, part.labels, seed),
    )


def summed(hours: Iterable[LabelledHour], task: Task | None) -> LabelledHour:
    """Return the sum of hours."""
    total = empty_hour(task)
    for hour in hours:
        total.add(hour)
    return total
