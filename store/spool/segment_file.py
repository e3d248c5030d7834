"""A segment open for reading, plain or compressed: the same bytes at the same offsets.

Invariants
----------
- A segment that is compressed or removed while it is open is read to its end: names go, open files stay.
- There is no moment at which a segment that exists has no name: the compressed one is there before the plain one goes.
"""

import os
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from driftline.store.spool.compressed import CompressedSegment
from driftline.store.spool.record import Framing
from driftline.store.spool.segment import compressed_path, segment_path


class SegmentFile(AbstractContextManager["SegmentFile"], Protocol):
    """What readers need of a segment; ``size`` is that of the uncompressed bytes when it was opened."""

    size: int

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` uncompressed bytes from ``offset``, fewer only at the end."""


class PlainSegment:
    """A segment as it was written."""

    def __init__(self, descriptor: int) -> None:
        self.size = os.fstat(descriptor).st_size
        self._descriptor = descriptor

    def read(self, offset: int, size: int) -> bytes:
        parts = []
        while size > 0 and (part := os.pread(self._descriptor, size, offset)):
            parts.append(part)
            offset += len(part)
            size -= len(part)
        return b"".join(parts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._descriptor)


def open_segment(folder: Path, number: int, framing: Framing) -> SegmentFile:
    """Open a segment in the form in which it is there.

    Raises:
        FileNotFoundError: it is gone.
        OSError: the disk refuses.
    """
    try:
        return PlainSegment(os.open(segment_path(folder, number), os.O_RDONLY | os.O_CLOEXEC))
    except FileNotFoundError:
        return CompressedSegment(os.open(compressed_path(folder, number), os.O_RDONLY | os.O_CLOEXEC), framing)
