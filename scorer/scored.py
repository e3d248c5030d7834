"""An answer of the fast path and how long its stages took."""

import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from driftline.scorer.fast_path import FastPath, Frame
    from driftline.store.typed_payload import TypedLayout


class Scored(NamedTuple):
    """An answer of the fast path.

    Attributes:
        body: the JSON that MLflow's server would send with status 200.
        rows: scored.
        parse_us, predict_us, encode_us: the stages; a batch's prediction counts whole for each of its requests.
        typed_rows: what is recorded instead of the request's body; None where that is.
    """

    body: bytes
    rows: int
    parse_us: int
    predict_us: int
    encode_us: int
    typed_rows: bytes | None


def score_frame(
    fast_path: "FastPath", frame: "Frame", parse_us: int, typed_layout: "TypedLayout | None" = None
) -> Scored | None:
    """Predict the rows of one request; None where MLflow's own function has to answer it.

    Args:
        typed_layout: how the rows are recorded; None records bodies.
    """
    begin = time.perf_counter_ns()
    try:
        raw = fast_path.predict(frame)
    except Exception:
        return None
    predict_us = (time.perf_counter_ns() - begin) // 1000
    return encode_rows(fast_path, frame, raw, parse_us, predict_us, typed_layout)


def encode_rows(
    fast_path: "FastPath",
    frame: "Frame",
    raw: object,
    parse_us: int,
    predict_us: int,
    typed_layout: "TypedLayout | None",
) -> Scored | None:
    """Make the answer of what the model returned for the rows of one request."""
    begin = time.perf_counter_ns()
    body = fast_path.encode(raw)
    if body is None:
        return None
    encode_us = (time.perf_counter_ns() - begin) // 1000
    return Scored(body, frame.rows, parse_us, predict_us, encode_us, _typed_rows(frame, typed_layout))


def _typed_rows(frame: "Frame", typed_layout: "TypedLayout | None") -> bytes | None:
    if typed_layout is None:
        return None
    try:
        return frame.pack(typed_layout)
    except Exception:  # an answer is not to fail for the way in which it is recorded: its body will do
        return None
