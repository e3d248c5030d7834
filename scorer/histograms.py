"""Histograms in words of shared memory: the sum, one count per bucket and one beyond the last bound."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

Stage = Literal["parse", "predict", "encode", "tee"]
STAGES: tuple[Stage, ...] = get_args(Stage)

STAGE_BUCKETS_US = (
    10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 60_000_000,
)  # fmt: skip
ROW_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 100_000)


def histogram_words(bounds: Sequence[int]) -> int:
    """Return the room that a histogram with these upper bounds takes."""
    return 2 + len(bounds)


@dataclass(slots=True)
class HistogramTotal:
    """What several writers counted; ``counts`` per bucket, the last one beyond all bounds."""

    bounds: Sequence[int]
    sum: int = 0
    counts: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.counts = self.counts or [0] * (len(self.bounds) + 1)

    def add(self, words: memoryview) -> None:
        self.sum += words[0]
        self.counts = [a + b for a, b in zip(self.counts, words[1:].tolist(), strict=True)]


def observe(words: memoryview, place: int, bounds: Sequence[int], value: int) -> None:
    """Count ``value`` in the histogram whose words begin at ``place``; a bucket holds its upper bound."""
    words[place] += value
    words[place + 1 + bisect_left(bounds, value)] += 1
