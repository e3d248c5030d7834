"""Count one HTTP request, once: when the last byte of its answer is about to leave, or when it ends without one."""

import time

from driftline.scorer.tally import Tally


class RequestCount:
    """In progress from the beginning, until ``finish``.

    Args:
        tally: of the version that answers.
        route: an index into ``tally.ROUTES``.
    """

    __slots__ = ("_begin_ns", "_is_open", "_route", "_tally")

    def __init__(self, tally: Tally, route: int) -> None:
        self._begin_ns = time.perf_counter_ns()
        self._tally = tally
        self._route = route
        self._is_open = True
        tally.started()

    def finish(self, status: int) -> None:
        """Count the request under this status, 0 where nobody got an answer; the first call counts."""
        if self._is_open:
            self._is_open = False
            self._tally.finished(self._route, status, (time.perf_counter_ns() - self._begin_ns) // 1000)
