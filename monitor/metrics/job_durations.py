"""What the runs of one job took: a histogram whose buckets each remember the MLflow run that last fell into them."""

import time
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Self

from prometheus_client.samples import Exemplar

BUCKETS_SECONDS = (0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)


@dataclass(slots=True)
class JobDurations:
    """The histogram; ``counts`` per bucket, the last one beyond all bounds."""

    sum_seconds: float = 0.0
    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_SECONDS) + 1))
    exemplars: dict[int, Exemplar] = field(default_factory=dict)

    def add(self, seconds: float, mlflow_run_id: str | None) -> None:
        """Count a run; a bucket holds its upper bound."""
        place = bisect_left(BUCKETS_SECONDS, seconds)
        self.sum_seconds += seconds
        self.counts[place] += 1
        if mlflow_run_id:
            self.exemplars[place] = Exemplar({"mlflow_run_id": mlflow_run_id}, seconds, time.time())

    def copy(self) -> Self:
        """Return the same, for a reader in another thread."""
        return type(self)(self.sum_seconds, self.counts.copy(), self.exemplars.copy())

    def buckets(self) -> Iterator[tuple[str, int, Exemplar | None]]:
        """Yield bound, runs up to it, and the bucket's exemplar."""
        bounds = [*map(str, BUCKETS_SECONDS), "+Inf"]
        for place, (bound, count) in enumerate(zip(bounds, accumulate(self.counts), strict=True)):
            yield bound, count, self.exemplars.get(place)
