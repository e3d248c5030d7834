"""What did not fit into the ring: a file beside it, written by the appender, read by the writer thread.

It lies in the memory file system and not in the heap, so that a kill does not lose it either.

Invariants
----------
- The bytes before the published position are whole records; a write that the file system refuses leaves no trace.
- A record that could never lie in the ring is kept here whole. Such large records have a bound of their own
  (``LARGE_BYTES``), so that one of them does not push out the small ones that follow it.
- It is emptied as a whole, when everything in it has been read.
"""

import os
from pathlib import Path
from typing import Final, Self

LARGE_BYTES: Final = 1 << 30


class Overflow:
    """An append-only file that is truncated to nothing each time it has been read to its end."""

    def __init__(self, path: Path, descriptor: int, bound: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._bound = bound
        self._large_bytes = 0

    @classmethod
    def create(cls, path: Path, bound: int) -> Self:
        """Make the empty file.

        Raises:
            OSError: the folder refuses it.
        """
        return cls(path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), bound)

    def has_room(self, end: int, large: int) -> bool:
        """Return whether a record may be appended at ``end``; ``large`` is its size if it is a large one, else 0."""
        if large:
            return self._large_bytes + large <= LARGE_BYTES
        return end - self._large_bytes < self._bound

    def write(self, header: bytes, payload: bytes, end: int, large: int) -> int:
        """Write a record at ``end`` and return where it ends.

        Raises:
            OSError: the memory file system is full.
        """
        place, whole = end, end + len(header) + len(payload)
        try:
            place += os.pwritev(self._descriptor, [header, payload], place)
            while place < whole:  # nearly full: the rest, or the error that says why not
                rest = memoryview(header + payload)[place - end :]
                place += os.pwrite(self._descriptor, rest, place)
        except OSError:
            os.ftruncate(self._descriptor, end)
            raise
        self._large_bytes += large
        return place

    def read(self, start: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``start``."""
        parts = []
        while size > 0 and (part := os.pread(self._descriptor, size, start)):
            parts.append(part)
            start += len(part)
            size -= len(part)
        return b"".join(parts)

    def empty(self) -> None:
        """Give the memory back."""
        os.ftruncate(self._descriptor, 0)
        self._large_bytes = 0

    def close(self, *, remove: bool) -> None:
        if remove:
            self.path.unlink(missing_ok=True)
        os.close(self._descriptor)
