"""Histograms in words of shared memory: the sum, one count per bucket and one beyond the last bound."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field


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
