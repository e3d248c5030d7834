"""How much was asked lately and how long answers took: from the newest invocations in the store, at most so many.

Ids begin with their time, so the newest are found through the primary key, whatever the table holds.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from driftline.store import schema
from driftline.store.records import MICROSECONDS

LOOK_BACK_SECONDS = 3600
MOST_REQUESTS = 10_000
_PERCENTILES = (50, 95, 99)
Place = tuple[int, int]  # model version id, arm


@dataclass(frozen=True, slots=True)
class Traffic:
    """What came in a span up to now.

    Attributes:
        seconds: of the span.
        requests, rows, failed: counts; ``failed`` are answers of status 500 and above.
        refused: answers of status 400 to 499.
        latency_ms: the 50th, 95th and 99th percentile of the latency of answers below 400; None without any.
    """

    seconds: float
    requests: int
    rows: int
    failed: int
    refused: int
    latency_ms: tuple[float, float, float] | None


class RecentRequests:
    """The invocations that were read: columns of equal length."""

    def __init__(self, cells: NDArray[np.int64], seconds: float) -> None:
        """``cells`` in the order of the query below, shape (invocations, 5)."""
        self._version, self._arm, self._status, self._rows, self._latency = cells.T
        self.seconds = seconds

    def of(self, places: Iterable[Place]) -> Traffic:
        """Return the traffic of some versions and arms together."""
        mine = np.zeros(self._version.size, np.bool_)
        for version_id, arm in places:
            mine |= (self._version == version_id) & (self._arm == arm)
        status = self._status[mine]
        good = self._latency[mine][status < 400] / 1000
        return Traffic(
            seconds=self.seconds,
            requests=int(status.size),
            rows=int(self._rows[mine].sum()),
            failed=int((status >= 500).sum()),
            refused=int(((status >= 400) & (status < 500)).sum()),
            latency_ms=tuple(np.percentile(good, _PERCENTILES).tolist()) if good.size else None,
        )


def recent_requests(connection: Connection, now_us: int) -> RecentRequests:
    """Read the newest ``MOST_REQUESTS`` invocations of the last ``LOOK_BACK_SECONDS``.

    Where these are more, the span that is told ends with the oldest that was read.
    """
    t, since = schema.invocation.c, now_us - LOOK_BACK_SECONDS * MICROSECONDS
    rows = connection.execute(
        select(t.model_version_id, t.arm, t.status, t.row_count, t.latency_us, t.received_at)
        .where(t.id >= _first_id(since), t.received_at >= since)
        .order_by(t.id.desc())
        .limit(MOST_REQUESTS)
    ).all()
    cells = np.array([tuple(row) for row in rows], np.int64).reshape(-1, 6)
    begin = int(cells[:, 5].min()) if len(rows) == MOST_REQUESTS else since
    return RecentRequests(cells[:, :5], max(1.0, (now_us - begin) / MICROSECONDS))


def _first_id(at_us: int) -> bytes:
    """Return what is less than every invocation id of that time or later."""
    return (at_us // 1000).to_bytes(6) + bytes(10)
