"""The spool's memory: ring, then overflow, then drops, always in the order of the sequence numbers.

Invariants
----------
- At any instant, and after a kill at any instant, the numbers lie in this order: disk, ring, overflow, pending gaps.
  While the overflow holds anything, new records go there; while gaps are pending, new records are dropped, until the
  overflow is empty and the ring has room for the gap records and the new record.
- ``append`` never raises, never waits for a disk, and uses up one sequence number whatever happens to the record.
- The lock is held for a copy in memory, never over a disk.
- Only the process that opened the buffer appends; in a child that Python has forked ``append`` returns -1 and touches
  nothing.
"""

import os
import threading
import weakref
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from crc32c import crc32c

from driftline.store.spool import failpoints
from driftline.store.spool.overflow import LARGE_BYTES, Overflow
from driftline.store.spool.pending_gaps import ERROR, MEMORY_FULL, RING_FULL, TOO_LARGE, PendingGaps
from driftline.store.spool.record import HEADER, HEADER_BYTES, Framing, Kind
from driftline.store.spool.ring import POSITIONS_AT, Ring, read_positions

NOT_APPENDED: Final = -1


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole records to move to the disk: their bytes, where they end in ring or overflow, their numbers."""

    views: list[memoryview]
    size: int
    end: int
    first_seq: int
    last_seq: int
    from_overflow: bool

    def release(self) -> None:
        for view in self.views:
            view.release()


class Append(Protocol):
    """``Buffer.append``, wherever it is called from."""

    def __call__(self, model: int, payload: bytes, at_us: int, kind: Kind = Kind.INVOCATION) -> int: ...


class Buffer:
    """Where ``append`` copies to, and what the writer thread takes from.

    Args:
        ring, overflow: fresh ones, or what a dead owner left.
        framing: of this spool.
        wake: set when the writer thread should not wait for its next turn.
    """

    def __init__(self, ring: Ring, overflow: Overflow, framing: Framing, wake: threading.Event) -> None:
        self.full_reason = RING_FULL
        self._ring = ring
        self._overflow = overflow
        self._pending = PendingGaps(ring.memory)
        self._framing = framing
        self._wake = wake
        self._lock = threading.Lock()
        self._in_child = False
        self._detour = False
        self._closed = False
        self._half = ring.capacity // 2
        os.register_at_fork(after_in_child=partial(_note_child, weakref.ref(self)))

    def append(self, model: int, payload: bytes, at_us: int, kind: Kind = Kind.INVOCATION) -> int:
        """Keep ``payload`` and return the sequence number that it used up.

        Args:
            model: what ``Spool.declare_model`` returned.
            payload: of any size up to 1 GiB.
            at_us: microseconds since the epoch; only reported, never compared.
            kind: ``TYPED`` where ``typed_payload`` packed the request.

        Returns:
            The number, also of a record that was dropped; -1, and nothing is kept, after ``close`` and in any process
            but the one that made the buffer.
        """
        if self._in_child:
            return NOT_APPENDED
        try:
            length, checksum = len(payload), crc32c(payload)
            ring = self._ring
            with self._lock:
                write, last, read = read_positions(ring.memory, POSITIONS_AT)
                used = write + HEADER_BYTES + length - read
                if self._detour or used > ring.capacity:
                    return self._append_behind(kind, model, payload, at_us, checksum)
                seq: int = last + 1
                ring.put(self._framing.header(kind, model, seq, at_us, length, checksum), payload, write, seq)
            if used > self._half:
                self._wake.set()
            return seq
        except Exception:
            return self._give_up(at_us)

    def _append_behind(self, kind: int, model: int, payload: bytes, at_us: int, checksum: int) -> int:
        """Append when there is something beyond the ring, or the ring is full; the lock is held."""
        if self._closed:
            return NOT_APPENDED
        ring, size = self._ring, HEADER_BYTES + len(payload)
        if self._pending.count and not self._record_gaps(size):
            return self._drop(self.full_reason, at_us)
        seq = ring.seq + 1
        header = self._framing.header(kind, model, seq, at_us, len(payload), checksum)
        if not ring.overflow_write and size <= ring.free:
            ring.put(header, payload, ring.write, seq)
            return seq
        self._wake.set()
        reason = self._overflow_takes(header, payload, seq)
        return seq if reason is None else self._drop(reason, at_us)

    def _overflow_takes(self, header: bytes, payload: bytes, seq: int) -> str | None:
        """Append to the overflow, or return why it may not."""
        ring, size = self._ring, HEADER_BYTES + len(payload)
        end, large = ring.overflow_write, size if size > ring.capacity else 0
        if size > LARGE_BYTES:
            return TOO_LARGE
        if not self._overflow.has_room(end, large):
            return self.full_reason
        try:
            end = self._overflow.write(header, payload, end, large)
        except OSError:
            return MEMORY_FULL
        if failpoints.ARMED:
            failpoints.reached("overflow.written")
        self._detour = True
        ring.publish_overflow(seq, end)
        if failpoints.ARMED:
            failpoints.reached("overflow.published")
        return None

    def _drop(self, reason: str, at_us: int) -> int:
        self._detour = True
        seq = self._ring.seq + 1
        self._pending.add(seq, reason, at_us)
        if failpoints.ARMED:
            failpoints.reached("drop.noted")
        self._ring.publish_overflow(seq, self._ring.overflow_write)
        if failpoints.ARMED:
            failpoints.reached("drop.published")
        return seq

    def _give_up(self, at_us: object) -> int:
        """Count what could not even be framed; an error here would be one of the memory itself."""
        with self._lock:
            if self._closed:
                return NOT_APPENDED
            return self._drop(ERROR, at_us if isinstance(at_us, int) and abs(at_us) < 1 << 62 else 0)

    def _record_gaps(self, room: int) -> bool:
        """Turn the pending gaps into records of the ring; False while they and ``room`` bytes do not fit."""
        ring = self._ring
        if ring.overflow_write:
            return False
        records = b"".join(self._framing.gap(gap) for gap in self._pending.gaps())
        if len(records) + min(room, ring.capacity // 2) > ring.free:
            return False
        ring.put(records[:HEADER_BYTES], records[HEADER_BYTES:], ring.write, ring.seq)
        if failpoints.ARMED:
            failpoints.reached("gaps.recorded")
        self._pending.clear()
        self._detour = self._closed
        return True

    def settle(self) -> None:
        """Record pending gaps also when no request comes that would do it."""
        with self._lock:
            if self._pending.count:
                self._record_gaps(0)

    def was_dropped(self, seq: int) -> bool:
        """Return whether ``seq`` waits in a gap; a recorded gap is not remembered."""
        with self._lock:
            if self._ring.memory.closed:
                return False
            return any(gap.first_seq <= seq <= gap.last_seq for gap in self._pending.gaps())

    def peek(self, limit: int) -> Chunk | None:
        """Return the oldest whole records, about ``limit`` bytes of them and at least one; None when there are none.

        Only the writer thread calls this, and ``consume`` after it.
        """
        ring, limit = self._ring, max(limit, HEADER_BYTES)
        with self._lock:
            read, write, seq, detour = ring.read, ring.write, ring.seq, self._detour
            start, end = ring.overflow_read, ring.overflow_write
        if write > read:
            first = int(HEADER.unpack(ring.copy(read, read + HEADER_BYTES))[5])
            if write - read > limit or detour:
                size, seq = whole_records(ring.copy(read, min(write, read + limit)))
                write = read + size
            return Chunk(ring.views(read, write), write - read, write, first, seq, False)
        if end <= start:
            return None
        raw = self._overflow.read(start, min(limit, end - start))
        size, seq = whole_records(raw)
        if size > len(raw):
            raw += self._overflow.read(start + len(raw), size - len(raw))
        return Chunk([memoryview(raw)[:size]], size, start + size, int(HEADER.unpack_from(raw)[5]), seq, True)

    def consume(self, chunk: Chunk) -> None:
        """Forget what ``peek`` returned: it is in a file."""
        ring = self._ring
        chunk.release()
        if not chunk.from_overflow:
            ring.consume(chunk.end)
            return
        with self._lock:
            ring.consume_overflow(chunk.end)
            if failpoints.ARMED:
                failpoints.reached("overflow.consumed")
            if chunk.end == ring.overflow_write:
                self._overflow.empty()
                if failpoints.ARMED:
                    failpoints.reached("overflow.emptied")
                ring.publish_overflow(ring.seq, 0)
                ring.consume_overflow(0)
                self._detour = self._pending.count > 0 or self._closed

    def is_empty(self) -> bool:
        """Return whether everything that was appended has been consumed and every drop is recorded."""
        ring = self._ring
        with self._lock:
            return ring.read == ring.write and not ring.overflow_write and not self._pending.count

    def stop(self) -> None:
        """From now on ``append`` returns -1."""
        with self._lock:
            self._closed = self._detour = True

    def close(self, *, remove: bool) -> None:
        """Unmap; ``remove`` the files when ``is_empty``. The writer thread must have ended."""
        with self._lock:
            self._ring.close(remove=remove)
            self._overflow.close(remove=remove)


def _note_child(reference: weakref.ref[Buffer]) -> None:
    buffer = reference()
    if buffer is not None:
        buffer._in_child = True


def whole_records(raw: bytes) -> tuple[int, int]:
    """Return how many of ``raw``'s bytes are whole records, and the last one's number.

    The first record counts even when it is longer than ``raw``.
    """
    at, seq = 0, 0
    while at + HEADER_BYTES <= len(raw):
        length = HEADER.unpack_from(raw, at)[1]
        if at and at + HEADER_BYTES + length > len(raw):
            break
        seq = HEADER.unpack_from(raw, at)[5]
        at += HEADER_BYTES + length
    return at, seq
