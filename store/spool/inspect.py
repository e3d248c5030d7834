"""Look into a spool without touching it: how much was answered, and where every answer is now.

Invariants
----------
- ``answered == position.seq + on_disk + in_memory + sum(dropped.values())``, at whatever moment of a living spool.
  Numbers move from memory to disk only, so memory is read first and the disk up to the numbers seen there.
- Nothing is written, no lock is held, and a long backlog is not read: its segments were counted once (``census``).
"""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from driftline.store.errors import SpoolError
from driftline.store.spool.census import take_census
from driftline.store.spool.layout import Meta
from driftline.store.spool.lock import is_held
from driftline.store.spool.pending_gaps import PendingGaps
from driftline.store.spool.reader import Position
from driftline.store.spool.record import Framing, Gap, Kind
from driftline.store.spool.ring import Ring
from driftline.store.spool.segment import SEGMENT_HEADER_BYTES, SegmentHeader, segment_bytes, segment_numbers
from driftline.store.spool.segment_file import open_segment

_TRIES: Final = 200


@dataclass(frozen=True, slots=True)
class SpoolState:
    """Where the sequence numbers of a spool are, as seen from a position.

    Attributes:
        answered: numbers used up since the spool was made: ``append`` was called so often.
        in_memory: records in ring and overflow.
        on_disk: records in segments behind the position.
        dropped: by reason, behind the position; recorded, pending or damaged.
        bytes: of the segments that still exist.
        oldest_at_us: time of the oldest record behind the position; None when there is none.
    """

    uuid: str
    host: str
    pid: int
    started_at_us: int
    alive: bool
    answered: int
    in_memory: int
    on_disk: int
    bytes: int
    oldest_at_us: int | None
    dropped: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Memory:
    answered: int
    gaps: list[Gap]
    records: list[tuple[int, int]]  # number and time of each record of the ring


def inspect(path: Path, position: Position | None = None) -> SpoolState:
    """Return the state of the spool in ``path`` behind ``position``.

    Raises:
        SpoolError: META.json cannot be read, or the ring moved faster than it could be read.
    """
    position = position or Position()
    meta = Meta.read(path)
    alive = is_held(path)
    memory = _read_memory(meta)
    until = max(memory.answered, position.seq) if memory else None
    disk = take_census(path, Framing(bytes.fromhex(meta.salt)), position, until)
    known, dropped, oldest = disk.known, disk.dropped, disk.oldest_at_us
    answered = known if until is None else until  # without memory: closed or adopted, everything lies on the disk
    in_memory = answered - known
    if memory is not None:
        in_memory -= _count(dropped, memory.gaps, known, answered)
        if oldest is None:
            oldest = next((at_us for seq, at_us in memory.records if seq > known), None)
    return SpoolState(
        meta.uuid,
        meta.host,
        meta.pid,
        meta.started_at_us,
        alive,
        answered,
        in_memory,
        disk.records,
        _bytes(path),
        oldest,
        dropped,
    )


def first_position(path: Path) -> Position:
    """Return where the oldest segment that is still there begins, for want of the position that the store holds.

    Raises:
        SpoolError: META.json cannot be read.
        FileNotFoundError: the spool is gone.
    """
    numbers = segment_numbers(path)
    if not numbers:
        return Position()
    with open_segment(path, numbers[0], Framing(bytes.fromhex(Meta.read(path).salt))) as segment:
        header = SegmentHeader.unpack(segment.read(0, SEGMENT_HEADER_BYTES))
    return Position(numbers[0], SEGMENT_HEADER_BYTES, header.base_seq - 1) if header else Position()


def _count(dropped: dict[str, int], gaps: list[Gap], known: int, answered: int) -> int:
    """Add the parts of ``gaps`` that lie behind ``known`` and up to ``answered`` to ``dropped``; return how many."""
    total = 0
    for gap in gaps:
        count = min(gap.last_seq, answered) - max(gap.first_seq - 1, known)
        if count > 0:
            dropped[gap.reason] = dropped.get(gap.reason, 0) + count
            total += count
    return total


def _read_memory(meta: Meta) -> _Memory | None:
    """Return what ring and pending gaps held at one moment, or None when there is no ring (any more)."""
    ring = Ring.open(Path(meta.ring), writable=False)
    if ring is None:
        return None
    try:
        framing, pending = Framing(bytes.fromhex(meta.salt)), PendingGaps(ring.memory)
        for attempt in range(_TRIES):
            answered, generation, read = ring.seq, pending.generation, ring.read
            gaps = pending.gaps()
            raw = ring.copy(read, ring.write)
            if ring.read != read or pending.generation != generation:  # bytes may have been written over
                time.sleep(0.0001 * (attempt % 10))
                continue
            records = [record for _, record in framing.scan(raw)]
            recorded = [Gap.unpack(record.payload) for record in records if record.kind is Kind.GAP]
            first_pending = recorded[-1].last_seq if recorded else 0
            held = [(record.seq, record.at_us) for record in records if record.kind is not Kind.GAP]
            return _Memory(answered, [*recorded, *(g for g in gaps if g.first_seq > first_pending)], held)
    finally:
        ring.close(remove=False)
    raise SpoolError(f"the ring {meta.ring} is written faster than it can be read: try again")


def _bytes(path: Path) -> int:
    for _ in range(_TRIES):
        try:
            return segment_bytes(path)
        except FileNotFoundError:  # the loader has removed a segment, or the whole spool
            if not path.exists():
                break
    return 0
