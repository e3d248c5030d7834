"""The ring: memory of the kernel that outlives the process, shared with whoever adopts or inspects the spool.

One file in a memory file system: a page of positions, then ``capacity`` bytes that are written round and round.
Positions only grow; a position modulo the capacity is the place.

Invariants
----------
- The file is reserved whole at start (``posix_fallocate``): a full memory file system stops the start and never kills
  a write. The writer's mapping is filled at start too (``MAP_POPULATE``): no append waits for a page.
- Payload, then header, then position: bytes before the write position are whole records, at any instant of death.
- The write position and the last sequence number are published by one copy of 16 bytes; whoever finds only one of
  them renewed can tell, because the records themselves carry their numbers.
- One side writes (under the buffer's lock), one side consumes (the writer thread); neither touches the other's
  position.
"""

import errno
import mmap
import os
import struct
from pathlib import Path
from typing import Final, Self

from driftline.store.errors import SpoolError
from driftline.store.spool import failpoints
from driftline.store.spool.record import HEADER_BYTES

PAGE_BYTES: Final = 4096
_MAGIC: Final = b"dLring1\0"
_TWO: Final = struct.Struct("@QQ")
_ONE: Final = struct.Struct("@Q")
# Write position, last sequence number and read position of a ring's memory; an append has no time for three properties.
read_positions: Final = struct.Struct("@QQ8xQ").unpack_from
POSITIONS_AT: Final = 16
_WRITE_AND_SEQ: Final = POSITIONS_AT
_SEQ_AND_OVERFLOW: Final = 24
_READ: Final = 40
_OVERFLOW_READ: Final = 48
GAPS_AT: Final = 64


class Ring:
    """The mapped file; ``memory`` is the mapping, whose first page also holds the pending gaps."""

    def __init__(self, path: Path, memory: mmap.mmap) -> None:
        self.path = path
        self.memory = memory
        self.capacity: int = _ONE.unpack_from(memory, 8)[0]

    @classmethod
    def create(cls, path: Path, capacity: int) -> Self:
        """Reserve a new ring.

        Raises:
            SpoolError: the memory file system is missing, not writable or too full.
        """
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SpoolError(
                f"the ring cannot be made in {path.parent} ({error.strerror}): name a memory file system "
                "that is writable as spool.ring_folder (DRIFTLINE_SPOOL_RING_FOLDER)"
            ) from error
        try:
            os.posix_fallocate(descriptor, 0, PAGE_BYTES + capacity)
            memory = mmap.mmap(descriptor, PAGE_BYTES + capacity, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE)
        except OSError as error:
            path.unlink()
            raise _refusal(path.parent, capacity, error) from error
        finally:
            os.close(descriptor)
        memory[8:16] = _ONE.pack(capacity)
        memory[0:8] = _MAGIC
        return cls(path, memory)

    @classmethod
    def open(cls, path: Path, *, writable: bool) -> Self | None:
        """Map an existing ring; None when there is none, or none that was finished.

        Raises:
            OSError: it may not be read.
        """
        try:
            descriptor = os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            size = os.fstat(descriptor).st_size
            if size < PAGE_BYTES:
                return None
            memory = mmap.mmap(descriptor, size, access=mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ)
        finally:
            os.close(descriptor)
        if memory[0:8] != _MAGIC or _ONE.unpack_from(memory, 8)[0] + PAGE_BYTES != size:
            memory.close()
            return None
        return cls(path, memory)

    @property
    def write(self) -> int:
        return int(_ONE.unpack_from(self.memory, _WRITE_AND_SEQ)[0])

    @property
    def read(self) -> int:
        return int(_ONE.unpack_from(self.memory, _READ)[0])

    @property
    def seq(self) -> int:
        """The last sequence number that was used up."""
        return int(_ONE.unpack_from(self.memory, _SEQ_AND_OVERFLOW)[0])

    @property
    def overflow_write(self) -> int:
        return int(_ONE.unpack_from(self.memory, _SEQ_AND_OVERFLOW + 8)[0])

    @property
    def overflow_read(self) -> int:
        return int(_ONE.unpack_from(self.memory, _OVERFLOW_READ)[0])

    @property
    def free(self) -> int:
        return self.capacity - (self.write - self.read)

    def put(self, header: bytes, payload: bytes, write: int, seq: int) -> None:
        """Copy a record that fits to the position ``write``, then publish it as ``seq``."""
        size = HEADER_BYTES + len(payload)
        place = write % self.capacity
        if place + size <= self.capacity:
            memory, start = self.memory, PAGE_BYTES + HEADER_BYTES + place
            memory[start : start + len(payload)] = payload
            memory[start - HEADER_BYTES : start] = header
        else:
            self._put_round(header + payload, place)
        if failpoints.ARMED:
            failpoints.reached("append.copied")
        self.memory[_WRITE_AND_SEQ : _WRITE_AND_SEQ + 16] = _TWO.pack(write + size, seq)
        if failpoints.ARMED:
            failpoints.reached("append.published")

    def _put_round(self, record: bytes, place: int) -> None:
        first = self.capacity - place
        self.memory[PAGE_BYTES : PAGE_BYTES + len(record) - first] = record[first:]
        self.memory[PAGE_BYTES + place : PAGE_BYTES + self.capacity] = record[:first]

    def publish_overflow(self, seq: int, overflow_write: int) -> None:
        self.memory[_SEQ_AND_OVERFLOW : _SEQ_AND_OVERFLOW + 16] = _TWO.pack(seq, overflow_write)

    def consume(self, read: int) -> None:
        self.memory[_READ : _READ + 8] = _ONE.pack(read)

    def consume_overflow(self, read: int) -> None:
        self.memory[_OVERFLOW_READ : _OVERFLOW_READ + 8] = _ONE.pack(read)

    def views(self, start: int, end: int) -> list[memoryview]:
        """Return the bytes between two positions without copying: one view, or two where they go round."""
        place, size = start % self.capacity, end - start
        first = min(size, self.capacity - place)
        with memoryview(self.memory) as whole:
            views = [whole[PAGE_BYTES + place : PAGE_BYTES + place + first]]
            if size > first:
                views.append(whole[PAGE_BYTES : PAGE_BYTES + size - first])
        return views

    def copy(self, start: int, end: int) -> bytes:
        """Return the bytes between two positions."""
        place, size = start % self.capacity, end - start
        first = min(size, self.capacity - place)
        head = self.memory[PAGE_BYTES + place : PAGE_BYTES + place + first]
        return head if first == size else head + self.memory[PAGE_BYTES : PAGE_BYTES + size - first]

    def close(self, *, remove: bool) -> None:
        """Unmap the ring, and remove its file when everything in it is on disk."""
        if remove:
            self.path.unlink(missing_ok=True)
        self.memory.close()


def _refusal(folder: Path, capacity: int, error: OSError) -> SpoolError:
    if error.errno != errno.ENOSPC:
        return SpoolError(f"the ring cannot be reserved in {folder} ({error.strerror}): name another spool.ring_folder")
    disk = os.statvfs(folder)
    free = disk.f_bavail * disk.f_frsize
    return SpoolError(
        f"a ring of {capacity} bytes does not fit into {folder}, {free} bytes are free: enlarge it "
        "(docker run --shm-size), or lower spool.ring_bytes"
    )
