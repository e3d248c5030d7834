"""Concurrent requests to one model become one prediction.

Invariants
----------
- Rows never change owner: answers are cut in the order in which the frames were joined, and where a cut is not certain
  no answer comes from a batch, then or later.
- A request waits for others while a batch runs, and after that for those who were answered by it and may come again: no
  longer than that batch took, and never longer than ``wait_seconds`` in all. A request alone never waits.
- While the event loop sends answers and reads requests nobody's time runs: what has arrived by the end of a wait is
  read before the batch starts.
- What goes wrong in a batch goes wrong for nobody: ``score`` returns None, and each request is predicted alone.
- A request that is gone (a timeout) changes nothing for its neighbours.
"""

import asyncio
import logging
import time
from collections.abc import Hashable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from driftline.scorer.prediction_pool import BatchLimits, Place, PredictionPool
from driftline.scorer.scored import Scored, encode_rows, score_frame
from driftline.scorer.tally import Tally
from driftline.store.typed_payload import TypedLayout

if TYPE_CHECKING:
    from driftline.scorer.fast_path import FastPath, Frame

# A turn to come from the timers to the sockets, one to read them, one to parse what was read.
_READING_TURNS = 3

_log = logging.getLogger("driftline.scorer")


class _Request(NamedTuple):
    frame: "Frame"
    parse_us: int
    place: Place
    answer: "asyncio.Future[Scored | None]"


class _Batch:
    """Requests that wait together, at the latest until ``latest`` of the monotonic clock."""

    __slots__ = ("latest", "requests", "rows", "start")

    def __init__(self, latest: float) -> None:
        self.latest = latest
        self.requests: list[_Request] = []
        self.rows = 0
        self.start: asyncio.Handle | None = None


class _NotCut(Exception):
    """The prediction for several requests cannot be cut into theirs."""


class Batcher:
    """The batches of one model; for the event loop's thread.

    Attributes:
        active: whether requests are joined; ends for good when a prediction could not be cut.
    """

    def __init__(
        self,
        fast_path: "FastPath",
        pool: PredictionPool,
        limits: BatchLimits,
        tally: Tally,
        typed_layout: TypedLayout | None = None,
    ) -> None:
        self.active = True
        self._typed_layout = typed_layout
        self._fast_path = fast_path
        self._pool = pool
        self._limits = limits
        self._tally = tally
        self._waiting: dict[Hashable, _Batch] = {}
        self._running = 0
        self._expected = 1
        self._expected_until = 0.0

    def score(self, frame: "Frame", parse_us: int, place: Place) -> "asyncio.Future[Scored | None]":
        """Return the future answer to these rows out of a batch; its result is None where they go alone."""
        answer: asyncio.Future[Scored | None] = self._pool.loop.create_future()
        if frame.join_key is None or frame.rows > self._limits.rows:
            answer.set_result(None)
        else:
            self._add(_Request(frame, parse_us, place, answer))
        return answer

    def _add(self, request: _Request) -> None:
        key, rows = request.frame.join_key, request.frame.rows
        batch = self._waiting.get(key)
        if batch is not None and batch.rows + rows > self._limits.rows:
            self._start(key, batch)
            batch = None
        if batch is None:
            batch = self._waiting[key] = _Batch(time.monotonic() + self._limits.wait_seconds)
            self._start_later(key, batch)
        batch.requests.append(request)
        batch.rows += rows
        if batch.rows >= self._limits.rows:
            self._start(key, batch)
        elif not self._running and len(batch.requests) == self._expected:
            self._pool.loop.call_soon(self._start, key, batch)

    def _start_later(self, key: Hashable, batch: _Batch) -> None:
        if batch.start is not None:
            batch.start.cancel()
        loop, now = self._pool.loop, time.monotonic()
        if self._running:
            batch.start = loop.call_later(max(0.0, batch.latest - now), self._start, key, batch)
        elif now < self._expected_until:
            wait_seconds = max(0.0, min(batch.latest, self._expected_until) - now)
            batch.start = loop.call_later(wait_seconds, self._start_when_read, key, batch, _READING_TURNS)
        else:
            # Not at once, but when all requests that came in the same turn of the loop have been parsed.
            batch.start = loop.call_soon(self._start, key, batch)

    def _start_when_read(self, key: Hashable, batch: _Batch, turns: int) -> None:
        """Start the batch when the loop has read and parsed what has arrived by now, which takes it so many turns."""
        if not turns:
            self._start(key, batch)
        elif self._waiting.get(key) is batch:
            batch.start = self._pool.loop.call_soon(self._start_when_read, key, batch, turns - 1)

    def _start(self, key: Hashable, batch: _Batch) -> None:
        if self._waiting.get(key) is not batch:
            return
        del self._waiting[key]
        if batch.start is not None:
            batch.start.cancel()
        live = [request for request in batch.requests if not request.answer.done()]
        if live:
            self._running += 1
            done = self._pool.start(self._score, live, places=[request.place for request in live])
            done.add_done_callback(partial(self._finish, live, time.monotonic()))

    def _finish(
        self, requests: Sequence[_Request], begin: float, done: "asyncio.Future[Sequence[Scored | None]]"
    ) -> None:
        took_seconds = time.monotonic() - begin
        self._running -= 1
        self._expected = len(requests) + sum(len(batch.requests) for batch in self._waiting.values())
        self._expected_until = time.monotonic() + self._limits.wait_seconds
        self._answer(requests, done)
        self._pool.loop.call_soon(self._expect_others, took_seconds)

    def _answer(self, requests: Sequence[_Request], done: "asyncio.Future[Sequence[Scored | None]]") -> None:
        error = done.exception()
        if isinstance(error, _NotCut) and self.active:
            self.active = False
            self._tally.batching("stopped")
            _log.warning("requests are predicted one by one from now on: %s", error)
        if error is not None and not isinstance(error, Exception):
            for request in requests:
                if not request.answer.done():
                    request.answer.set_exception(error)
            return
        for request, scored in zip(requests, [None] * len(requests) if error else done.result(), strict=True):
            if not request.answer.done():
                request.answer.set_result(scored)

    def _expect_others(self, took_seconds: float) -> None:
        """Let those that wait go on waiting for those whose answers have been sent by now, who may well come again."""
        wait_seconds = min(self._limits.wait_seconds, took_seconds) if self._expected > 1 else 0.0
        self._expected_until = time.monotonic() + wait_seconds
        for key, batch in self._waiting.items():
            self._start_later(key, batch)

    def _score(self, requests: Sequence[_Request]) -> Sequence[Scored | None]:
        """Return the answers in the order of the requests; in a thread."""
        fast_path, layout = self._fast_path, self._typed_layout
        if len(requests) == 1:
            return [score_frame(fast_path, requests[0].frame, requests[0].parse_us, layout)]
        begin = time.perf_counter_ns()
        raw = fast_path.predict(fast_path.join([request.frame for request in requests]))
        predicted = time.perf_counter_ns()
        parts = fast_path.split(raw, [request.frame.rows for request in requests])
        if parts is None:
            raise _NotCut("the model's answer to several requests cannot be cut into theirs")
        predict_us = (predicted - begin) // 1000
        return [
            encode_rows(fast_path, request.frame, part, request.parse_us, predict_us, layout)
            for request, part in zip(requests, parts, strict=True)
        ]
