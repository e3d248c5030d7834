"""Answer a request sooner than MLflow's server would, with the same bytes, or not at all."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from driftline.scorer.prediction_pool import PredictionPool

if TYPE_CHECKING:
    from driftline.scorer.fast_path import FastPath


@dataclass(frozen=True, slots=True)
class Scored:
    """An answer of the fast path.

    Attributes:
        body: the JSON that MLflow's server would send with status 200.
        rows: scored.
        parse_us, predict_us, encode_us: the stages.
    """

    body: bytes
    rows: int
    parse_us: int
    predict_us: int
    encode_us: int


class Predictor:
    """The fast path of one model in the worker's threads."""

    def __init__(self, fast_path: "FastPath", pool: PredictionPool) -> None:
        self._fast_path = fast_path
        self._pool = pool

    async def answer(self, body: bytes) -> Scored | None:
        """Return the answer, or None where MLflow's own function has to give it: an unusual body, any failure."""
        return await self._pool.run(self._score, body)

    def _score(self, body: bytes) -> Scored | None:
        begin = time.perf_counter_ns()
        frame = self._fast_path.parse(body)
        if frame is None:
            return None
        parsed = time.perf_counter_ns()
        try:
            raw = self._fast_path.predict(frame)
        except Exception:
            return None
        predicted = time.perf_counter_ns()
        answer = self._fast_path.encode(raw)
        if answer is None:
            return None
        encoded = time.perf_counter_ns()
        return Scored(
            answer,
            frame.rows,
            (parsed - begin) // 1000,
            (predicted - parsed) // 1000,
            (encoded - predicted) // 1000,
        )
