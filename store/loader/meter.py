"""Count the loader's batches in memory that outlives the loader.

``driftline serve`` makes the memory and shows what is counted; each loader that it starts goes on counting there.

Invariants
----------
- A count that was made is not lost while the parent lives, whatever kills the loader: the memory is the kernel's.
- One writer at a time: the loader that holds its spool folder's lock.
- Counting never blocks and never raises.
"""

import mmap
from typing import Self

from driftline.store.memory_file import MemoryFile, new_memory
from driftline.store.shared_histogram import HistogramTotal, histogram_words, observe

BUCKETS_US = (
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
)  # fmt: skip
_LAST_SUCCESS, _ERRORS, _DURATIONS = range(3)
_WORDS = _DURATIONS + histogram_words(BUCKETS_US)
_WORD_BYTES = 8


class LoaderMeter(MemoryFile):
    """The counts of the loaders of one server."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._words = memoryview(mmap.mmap(descriptor, _WORDS * _WORD_BYTES)).cast("q")

    @classmethod
    def create(cls) -> Self:
        """Make the memory."""
        return cls(new_memory("loader-meter", _WORDS * _WORD_BYTES))

    def flushed(self, duration_us: int, at_us: int) -> None:
        """Count a batch that the store has taken."""
        observe(self._words, _DURATIONS, BUCKETS_US, duration_us)
        self._words[_LAST_SUCCESS] = at_us

    def failed(self) -> None:
        """Count a try that the store, or a spool, did not let succeed."""
        self._words[_ERRORS] += 1

    @property
    def last_success_us(self) -> int:
        """Microseconds since the epoch; 0 before the first."""
        return self._words[_LAST_SUCCESS]

    @property
    def errors(self) -> int:
        """Tries that failed."""
        return self._words[_ERRORS]

    @property
    def durations(self) -> HistogramTotal:
        """Batches by what they took in microseconds."""
        total = HistogramTotal(BUCKETS_US)
        total.add(self._words[_DURATIONS:])
        return total
