"""Answer a request sooner than MLflow's server would, with the same bytes, or not at all."""

import logging
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from driftline.scorer.batch_check import batch_objection
from driftline.scorer.batching import Batcher
from driftline.scorer.prediction_pool import Place, PredictionPool
from driftline.scorer.scored import Scored, score_frame
from driftline.scorer.tally import Tally
from driftline.store.typed_payload import TypedLayout

if TYPE_CHECKING:
    from driftline.scorer.fast_path import FastPath, Frame

# What is parsed on the event loop, where it is to be joined with others: a quarter of a millisecond.
_SMALL_BODY_BYTES = 16 * 1024

_log = logging.getLogger("driftline.scorer")


class _Parsed(NamedTuple):
    frame: "Frame"
    duration_us: int


class Predictor:
    """The fast path of one model in the worker's threads.

    Args:
        batcher: joins concurrent requests; None predicts each alone.
        typed_layout: how rows are recorded instead of bodies; None records bodies.
    """

    def __init__(
        self,
        fast_path: "FastPath",
        pool: PredictionPool,
        batcher: Batcher | None = None,
        typed_layout: TypedLayout | None = None,
    ) -> None:
        self._fast_path = fast_path
        self._typed_layout = typed_layout
        self._pool = pool
        self._batcher = batcher

    @classmethod
    def for_model(
        cls, model: Any, pool: PredictionPool, tally: Tally, typed_layout: TypedLayout | None = None
    ) -> Self | None:
        """Return the predictor of a loaded pyfunc, None where MLflow's own function has to answer every request.

        Batches are checked here, before the first request; both decisions are logged.
        """
        from driftline.scorer.fast_path import FastPath

        verdict = FastPath.judge(model)
        _log.info("%s", verdict.sentence)
        if verdict.fast_path is None:
            if pool.batches:
                tally.batching("refused")
                _log.warning("requests are predicted one by one: batches need the fast path")
            return None
        batcher = _batcher(verdict.fast_path, model, pool, tally, typed_layout)
        return cls(verdict.fast_path, pool, batcher, typed_layout)

    async def answer(self, body: bytes, place: Place) -> Scored | None:
        """Return the answer, or None where MLflow's own function has to give it: an unusual body, any failure."""
        if self._batcher is None or not self._batcher.active:
            return await self._pool.start(self._score, body, places=(place,))
        small = len(body) <= _SMALL_BODY_BYTES
        parsed = self._parse(body) if small else await self._pool.run(place, self._parse, body)
        if parsed is None:
            return None
        # What fails in a batch is predicted again alone, and what fails alone is MLflow's to answer.
        scored = await self._batcher.score(parsed.frame, parsed.duration_us, place)
        return scored or await self._pool.run(place, score_frame, self._fast_path, *parsed, self._typed_layout)

    def _parse(self, body: bytes) -> _Parsed | None:
        begin = time.perf_counter_ns()
        frame = self._fast_path.parse(body)
        return None if frame is None else _Parsed(frame, (time.perf_counter_ns() - begin) // 1000)

    def _score(self, body: bytes) -> Scored | None:
        parsed = self._parse(body)
        return None if parsed is None else score_frame(self._fast_path, *parsed, self._typed_layout)


def _batcher(
    fast_path: "FastPath", model: Any, pool: PredictionPool, tally: Tally, typed_layout: TypedLayout | None
) -> Batcher | None:
    limits = pool.batches
    if limits is None:
        return None
    objection = batch_objection(fast_path, model, limits)
    if objection:
        tally.batching("refused")
        _log.warning("requests are predicted one by one: %s", objection)
        return None
    tally.batching("on")
    _log.info("concurrent requests are predicted together, up to %d rows", limits.rows)
    return Batcher(fast_path, pool, limits, tally, typed_layout)
