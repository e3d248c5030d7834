"""Count requests in memory that outlives the process that counts.

The parent of the workers makes one sheet of shared memory; each worker adds to a block of its own, the parent reads
all of them for ``/metrics``.

Invariants
----------
- A count that was made is never lost while the parent lives, whatever kills the worker: the memory is the kernel's.
- One writer per block: a worker holds a record lock on its block, which the kernel takes away when it dies; the next
  worker then goes on counting in the same block.
- Counting never blocks and never raises: the memory is no file on a disk, and a table that is full counts under
  ``code="other"``.
- All values are whole numbers, so sums over workers are exact.
"""

import fcntl
import mmap
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, Self, get_args

from driftline.scorer.answers import REJECTIONS, Rejection
from driftline.scorer.children import lives
from driftline.scorer.histograms import ROW_BUCKETS, STAGE_BUCKETS_US, STAGES, Stage
from driftline.store.errors import DriftlineError
from driftline.store.memory_file import MemoryFile, new_memory
from driftline.store.shared_histogram import HistogramTotal, histogram_words, observe

BUCKETS_US = (
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
)  # fmt: skip
ROUTES = ("/invocations", "/ping", "/health", "/version", "other")
Batching = Literal["off", "on", "refused", "stopped"]
BATCHING: tuple[Batching, ...] = get_args(Batching)
UpstreamFault = Literal["refused", "timeout", "broken", "invalid"]
UPSTREAM_FAULTS: tuple[UpstreamFault, ...] = get_args(UpstreamFault)

# Places in a block, in words of eight bytes.
_PID, _READY, _LOADED_AT, _LOAD_DURATION, _IN_PROGRESS, _LAST_PREDICTION, _ROWS, _ENQUEUED, _TEE_FAILED = range(9)
_SKIPPED = 9
_UNSPOOLED = 10
_REJECTED = 11
_BATCHING = _REJECTED + len(REJECTIONS)
_UNCOPIED = _BATCHING + 1
_WITHHELD = _UNCOPIED + 1
_UPSTREAM = _WITHHELD + 1
_STAGES = _UPSTREAM + len(UPSTREAM_FAULTS)
_STAGE_WORDS = histogram_words(STAGE_BUCKETS_US)
_STAGE_PLACE = {stage: _STAGES + i * _STAGE_WORDS for i, stage in enumerate(STAGES)}
_REQUEST_ROWS = _STAGES + len(STAGES) * _STAGE_WORDS
_TABLE = _REQUEST_ROWS + histogram_words(ROW_BUCKETS)
# One row of the table: key, sum of microseconds, one count per bucket and one beyond the last.
_SUM, _COUNTS = 1, 2
_ROW_WORDS = _COUNTS + len(BUCKETS_US) + 1
_TABLE_ROWS = 128
_BLOCK_WORDS = _TABLE + _TABLE_ROWS * _ROW_WORDS
_WORD = 8
_OTHER_CODE = 999
_RETIRED = -1  # in place of what a worker does about batches


@dataclass(slots=True)
class Latencies:
    """A histogram: the sum in microseconds and the requests per bucket, the last one beyond all bounds."""

    sum_us: int = 0
    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_US) + 1))

    def add(self, sum_us: int, counts: list[int]) -> None:
        self.sum_us += sum_us
        self.counts = [a + b for a, b in zip(self.counts, counts, strict=True)]


@dataclass(slots=True)
class Totals:
    """The sum over all workers, living and dead.

    Attributes:
        ready: living workers that can answer.
        loaded_at_us, load_duration_us: of the worker that loaded last; 0 before the first.
        last_prediction_us: 0 before the first.
        requests: latencies by route and code.
        stages: durations in microseconds, where they were measured.
        request_rows: rows per answered request.
        batching: living workers by what they do about batches.
        tee_failed, tee_unspooled: answers that were not given to a spool: for a fault of ours, for want of a spool.
        skipped: requests that a challenger did not score, for want of room.
        uncopied: bodies that passed a proxy and were too large to be kept.
        withheld: invocations whose bodies were not kept because a redacted value's place in them was not certain.
        upstream_faults: answers that a proxy gave because the server behind it gave none.
    """

    ready: int = 0
    loaded_at_us: int = 0
    load_duration_us: int = 0
    in_progress: int = 0
    last_prediction_us: int = 0
    rows: int = 0
    enqueued: int = 0
    tee_failed: int = 0
    tee_unspooled: int = 0
    skipped: int = 0
    uncopied: int = 0
    withheld: int = 0
    upstream_faults: dict[UpstreamFault, int] = field(default_factory=lambda: dict.fromkeys(UPSTREAM_FAULTS, 0))
    rejected: dict[Rejection, int] = field(default_factory=lambda: dict.fromkeys(REJECTIONS, 0))
    requests: dict[tuple[str, str], Latencies] = field(default_factory=dict)
    stages: dict[Stage, HistogramTotal] = field(
        default_factory=lambda: {stage: HistogramTotal(STAGE_BUCKETS_US) for stage in STAGES}
    )
    request_rows: HistogramTotal = field(default_factory=lambda: HistogramTotal(ROW_BUCKETS))
    batching: dict[Batching, int] = field(default_factory=lambda: dict.fromkeys(BATCHING, 0))


class Tally:
    """One worker's block; to be used by one thread (the event loop's)."""

    def __init__(self, words: memoryview) -> None:
        self._words = words
        self._rows = {key: place for key, place in _table(words) if key}
        words[_PID] = os.getpid()
        words[_READY] = 0
        words[_IN_PROGRESS] = 0
        words[_BATCHING] = 0

    def loaded(self, at_us: int, duration_us: int) -> None:
        """The worker can answer from now on."""
        self._words[_LOADED_AT] = at_us
        self._words[_LOAD_DURATION] = duration_us
        self._words[_BATCHING] = max(self._words[_BATCHING], 0)
        self._words[_READY] = 1

    def shut_down(self) -> None:
        """The worker answers no more, or with another version."""
        self._words[_READY] = 0
        self._words[_BATCHING] = _RETIRED

    @property
    def in_progress(self) -> int:
        return self._words[_IN_PROGRESS]

    def started(self) -> None:
        self._words[_IN_PROGRESS] += 1

    def finished(self, route: int, code: int, duration_us: int) -> None:
        """Count an answered request; ``route`` is an index into ``ROUTES``, ``code`` 0 one without an answer."""
        words = self._words
        words[_IN_PROGRESS] -= 1
        if not code:
            return
        place = self._place(route, code)
        observe(words, place + _SUM, BUCKETS_US, duration_us)

    def predicted(self, rows: int, at_us: int) -> None:
        self._words[_ROWS] += rows
        self._words[_LAST_PREDICTION] = at_us
        observe(self._words, _REQUEST_ROWS, ROW_BUCKETS, rows)

    def took(self, stage: Stage, duration_us: int) -> None:
        observe(self._words, _STAGE_PLACE[stage], STAGE_BUCKETS_US, duration_us)

    def batching(self, state: Batching) -> None:
        self._words[_BATCHING] = BATCHING.index(state)

    def rejected(self, reason: Rejection) -> None:
        self._words[_REJECTED + REJECTIONS.index(reason)] += 1

    def enqueued(self) -> None:
        self._words[_ENQUEUED] += 1

    def tee_failed(self) -> None:
        self._words[_TEE_FAILED] += 1

    def tee_unspooled(self) -> None:
        self._words[_UNSPOOLED] += 1

    def uncopied(self) -> None:
        self._words[_UNCOPIED] += 1

    def withheld(self) -> None:
        self._words[_WITHHELD] += 1

    def upstream_failed(self, fault: UpstreamFault) -> None:
        self._words[_UPSTREAM + UPSTREAM_FAULTS.index(fault)] += 1

    def shadow_skipped(self) -> None:
        """Count a request that a challenger was not given; the one count that the answering event loop makes."""
        self._words[_SKIPPED] += 1

    def _place(self, route: int, code: int) -> int:
        key = 1 + route * 1000 + min(code, _OTHER_CODE)
        place = self._rows.get(key)
        if place is None:
            last = len(self._rows) >= _TABLE_ROWS - 1
            if last:
                key = 1 + (len(ROUTES) - 1) * 1000 + _OTHER_CODE
            place = self._rows.setdefault(key, _TABLE + len(self._rows) * _ROW_WORDS)
            self._words[place] = key
        return place


class TallySheet(MemoryFile):
    """The memory of all blocks."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._map = mmap.mmap(descriptor, 0)
        self._words = memoryview(self._map).cast("q")
        self._blocks = len(self._words) // _BLOCK_WORDS

    @classmethod
    def create(cls, workers: int) -> Self:
        """Make the memory; twice the workers, because a reload starts the new before it ends the old."""
        return cls(new_memory("tally", (2 * workers + 2) * _BLOCK_WORDS * _WORD))

    def claim(self) -> Tally:
        """Return a block that no living process writes."""
        for block in range(self._blocks):
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, block)
            except OSError:
                continue
            return Tally(self._block(block))
        raise DriftlineError(f"all {self._blocks} blocks of the counters are taken: restart `driftline serve`")

    def totals(self) -> Totals:
        return sum_of([self])

    def ready(self) -> int:
        """Return how many living workers can answer; much cheaper than all totals."""
        blocks = map(self._block, range(self._blocks))
        return sum(words[_READY] for words in blocks if words[_READY] and lives(words[_PID]))

    def add_to(self, totals: Totals) -> None:
        for block in range(self._blocks):
            _add(totals, self._block(block))

    def _block(self, block: int) -> memoryview:
        return self._words[block * _BLOCK_WORDS : (block + 1) * _BLOCK_WORDS]


def sum_of(sheets: Iterable[TallySheet]) -> Totals:
    """Return the totals over all workers and all sheets."""
    totals = Totals()
    for sheet in sheets:
        sheet.add_to(totals)
    return totals


def _table(words: memoryview) -> Iterator[tuple[int, int]]:
    for place in range(_TABLE, _BLOCK_WORDS, _ROW_WORDS):
        yield words[place], place


def _add(totals: Totals, words: memoryview) -> None:
    if not words[_PID]:
        return
    if lives(words[_PID]):
        totals.ready += words[_READY]
        totals.in_progress += words[_IN_PROGRESS]
        if words[_BATCHING] != _RETIRED:
            totals.batching[BATCHING[words[_BATCHING]]] += 1
    if words[_LOADED_AT] > totals.loaded_at_us:
        totals.loaded_at_us, totals.load_duration_us = words[_LOADED_AT], words[_LOAD_DURATION]
    totals.last_prediction_us = max(totals.last_prediction_us, words[_LAST_PREDICTION])
    totals.rows += words[_ROWS]
    totals.enqueued += words[_ENQUEUED]
    totals.tee_failed += words[_TEE_FAILED]
    totals.tee_unspooled += words[_UNSPOOLED]
    totals.skipped += words[_SKIPPED]
    totals.uncopied += words[_UNCOPIED]
    totals.withheld += words[_WITHHELD]
    for i, fault in enumerate(UPSTREAM_FAULTS):
        totals.upstream_faults[fault] += words[_UPSTREAM + i]
    for i, reason in enumerate(REJECTIONS):
        totals.rejected[reason] += words[_REJECTED + i]
    for place, stage in zip(range(_STAGES, _REQUEST_ROWS, _STAGE_WORDS), STAGES, strict=True):
        totals.stages[stage].add(words[place : place + _STAGE_WORDS])
    totals.request_rows.add(words[_REQUEST_ROWS:_TABLE])
    for key, place in _table(words):
        if not key:
            break
        route, code = divmod(key - 1, 1000)
        latencies = totals.requests.setdefault(
            (ROUTES[route], "other" if code == _OTHER_CODE else str(code)), Latencies()
        )
        counts = words[place + _COUNTS : place + _ROW_WORDS].tolist()
        latencies.add(words[place + _SUM], counts)
