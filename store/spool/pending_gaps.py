"""Drops that have no gap record yet, kept in the ring's first page so that they survive a kill.

Invariants
----------
- Every dropped sequence number extends exactly one run; runs lie in order and do not overlap.
- The table is bounded: when it is full, further drops extend its last run under that run's reason.
- ``generation`` moves whenever the table is cleared, so that another process that reads it can tell that it changed.
"""

import mmap
import struct
from typing import Final

from driftline.store.spool.record import Gap
from driftline.store.spool.ring import GAPS_AT, PAGE_BYTES

RING_FULL: Final = "ring_full"
DISK_FULL: Final = "disk_full"
DISK_BUDGET: Final = "disk_budget"
DISK_ERROR: Final = "disk_error"
MEMORY_FULL: Final = "memory_full"
TOO_LARGE: Final = "too_large"
ERROR: Final = "error"
REASONS: Final = (RING_FULL, DISK_FULL, DISK_BUDGET, DISK_ERROR, MEMORY_FULL, TOO_LARGE, ERROR)

_HEAD: Final = struct.Struct("@QQ")
_RUN: Final = struct.Struct("@QQQqq")
_RUNS_AT: Final = GAPS_AT + _HEAD.size
CAPACITY: Final = (PAGE_BYTES - _RUNS_AT) // _RUN.size


class PendingGaps:
    """The table in a mapped ring; ``add`` and ``clear`` only under the buffer's lock."""

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory

    @property
    def generation(self) -> int:
        return int(_HEAD.unpack_from(self._memory, GAPS_AT)[0])

    @property
    def count(self) -> int:
        return int(_HEAD.unpack_from(self._memory, GAPS_AT)[1])

    def add(self, seq: int, reason: str, at_us: int) -> None:
        """Note that ``seq`` was dropped for one of ``REASONS``."""
        generation, count = _HEAD.unpack_from(self._memory, GAPS_AT)
        code = REASONS.index(reason)
        if count:
            place = _RUNS_AT + (count - 1) * _RUN.size
            first, last, known, from_us, _ = _RUN.unpack_from(self._memory, place)
            if (known == code or count == CAPACITY) and last + 1 == seq:
                self._memory[place : place + _RUN.size] = _RUN.pack(first, seq, known, from_us, at_us)
                return
        place = _RUNS_AT + count * _RUN.size
        self._memory[place : place + _RUN.size] = _RUN.pack(seq, seq, code, at_us, at_us)
        self._memory[GAPS_AT : GAPS_AT + _HEAD.size] = _HEAD.pack(generation, count + 1)

    def gaps(self) -> list[Gap]:
        """Return the runs as gaps, in order."""
        runs = (_RUN.unpack_from(self._memory, _RUNS_AT + i * _RUN.size) for i in range(min(self.count, CAPACITY)))
        return [
            Gap(first, last, last - first + 1, REASONS[code % len(REASONS)], from_us, to_us)
            for first, last, code, from_us, to_us in runs
        ]

    def clear(self) -> None:
        """Forget the runs: their gap records are in the ring."""
        self._memory[GAPS_AT : GAPS_AT + _HEAD.size] = _HEAD.pack(self.generation + 1, 0)
