"""An answer of the fast path and how long its stages took."""

import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from driftline.scorer.fast_path import FastPath, Frame


class Scored(NamedTuple):
    """An answer of the fast path.

    Attributes:
        body: the JSON that MLflow's server would send with status 200.
        rows: scored.
        parse_us, predict_us, encode_us: the stages; a batch's prediction counts whole for each of its requests.
    """

    body: bytes
    rows: int
    parse_us: int
    predict_us: int
    encode_us: int


def score_frame(fast_path: "FastPath", frame: "Frame", parse_us: int) -> Scored | None:
    """Predict the rows of one request; None where MLflow's own function has to answer it."""
    begin = time.perf_counter_ns()
    try:
        raw = fast_path.predict(frame)
    except Exception:
        return None
    predicted = time.perf_counter_ns()
    body = fast_path.encode(raw)
    if body is None:
        return None
    encode_us = (time.perf_counter_ns() - predicted) // 1000
    return Scored(body, frame.rows, parse_us, (predicted - begin) // 1000, encode_us)
